"""Runs as OpenTelemetry spans, in both vocabularies that trace tools read; what is said stays here unless asked for."""
