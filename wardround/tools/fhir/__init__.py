"""FHIR R4: a record as evidence, and a consult as a Bundle."""
