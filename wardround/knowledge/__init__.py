"""The embedded clinical knowledge, the reader that finds findings in text, and the inference over both."""
