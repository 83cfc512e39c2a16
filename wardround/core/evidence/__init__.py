"""The evidence graph in depth: where readings come from, what they add up to, what it means, how it is drawn."""
