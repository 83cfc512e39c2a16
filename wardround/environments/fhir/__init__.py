"""A FHIR R4 server that a workflow can write to, break and reset."""
