"""Suites of tasks in a record: what one is, where its episodes are played, how they run under Inspect AI."""
