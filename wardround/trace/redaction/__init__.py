"""Taking identifiers of people out of texts, FHIR resources and logs, before they are given to others.

    from wardround.trace.redaction import StructuredRedactor, redact_events

    redacted = redact_events(consult.events, case.record.resources, key=secret)

What is taken out is counted and never told. Redaction is no proof of anonymity: see `classes` for the rule it follows
and where it departs from it.
"""

from wardround.trace.redaction.classes import PARAGRAPH, Identifier
from wardround.trace.redaction.edits import Edit, Redacted, Redactor, Report, redact_text
from wardround.trace.redaction.kept_run import RedactedRun, redact_run
from wardround.trace.redaction.log import LogRedactor, redact_events
from wardround.trace.redaction.patterns import PatternRedactor
from wardround.trace.redaction.pseudonyms import Pseudonyms
from wardround.trace.redaction.structured import StructuredRedactor

__all__ = [
    "PARAGRAPH",
    "Edit",
    "Identifier",
    "LogRedactor",
    "PatternRedactor",
    "Pseudonyms",
    "Redacted",
    "RedactedRun",
    "Redactor",
    "Report",
    "StructuredRedactor",
    "redact_events",
    "redact_run",
    "redact_text",
]
