"""The hallucination detector: claims against evidence."""
