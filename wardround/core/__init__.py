"""The vocabulary: cases, findings, claims, evidence, decisions, errors and ports."""
