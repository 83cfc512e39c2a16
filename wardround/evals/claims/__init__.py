"""Claims with evidence and the right verdict: a benchmark of hallucination detectors."""
