"""Models that run in this process, on transformers: loaded, batched, held to a grammar, sampled row by row."""
