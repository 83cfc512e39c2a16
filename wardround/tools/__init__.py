"""What agents touch: the record, guideline passages, clinical scores, the hallucination detector."""
