"""The categories of tasks, by subject."""
