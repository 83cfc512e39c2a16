"""The record agent: an agent that reads a patient's record on a FHIR server and writes to it."""
