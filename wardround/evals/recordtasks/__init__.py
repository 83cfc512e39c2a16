"""Record tasks: a suite of our own over synthetic records, graded by what is answered, written and really read.

The record is that of `environments.fhir.population`, with additions that make each branch of each category exist.
Every task is answerable from its instruction and context alone; the rules in them are ours or bear their source.
"""
