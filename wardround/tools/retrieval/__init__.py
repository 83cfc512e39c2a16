"""Guideline passages."""
