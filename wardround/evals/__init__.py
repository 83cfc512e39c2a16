"""How well: cases with known answers, scores with intervals, baselines beside them."""
