"""Who thinks: triage, planner, specialists and attending, each a question with an answer of a given shape."""
