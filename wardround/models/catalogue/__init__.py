"""The catalogue: what is known of models that can be asked, where each statement comes from, and how sure it is."""
