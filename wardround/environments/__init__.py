"""Where agents are put: the record server."""
