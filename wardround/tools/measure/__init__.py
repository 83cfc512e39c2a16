"""Clinical scores."""
