"""Search: from a query string to conditions, from these to SQL, from rows to pages."""
