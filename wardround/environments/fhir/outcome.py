"""What the server says when something is wrong: OperationOutcome, with repeated messages said once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["fatal", "error", "warning", "information"]
MAX_TEXT = 2_000
"""Most characters of a message; what was sent is said again only so far."""
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


@dataclass(frozen=True)
class Issue:
    """One thing that is wrong, and where."""

    severity: Severity
    code: str
    """A code of the R4 issue-type value set, such as `structure`, `value` or `not-found`."""
    diagnostics: str
    """What is wrong and how to mend it, for a person."""
    expression: tuple[str, ...] = field(default=())
    """FHIRPaths of the places, or the names of search parameters."""


class FhirError(Exception):
    """A request that cannot be carried out; it becomes an answer with an OperationOutcome."""

    def __init__(self, status: int, issues: Sequence[Issue]) -> None:
        self.status, self.issues = status, tuple(issues)
        super().__init__("; ".join(issue.diagnostics for issue in issues))


def refusal(status: int, code: str, diagnostics: str, *expression: str) -> FhirError:
    """Return an error of one issue."""
    return FhirError(status, [Issue("error", code, diagnostics, expression)])


def bad_request(diagnostics: str, *expression: str, code: str = "invalid") -> FhirError:
    """Return the error for a request that was written wrong: 400."""
    return refusal(400, code, diagnostics, *expression)


def operation_outcome(issues: Iterable[Issue]) -> dict[str, Any]:
    """Return the OperationOutcome; issues that say the same of several places become one."""
    grouped: dict[tuple[str, str, str], dict[str, None]] = {}
    for issue in issues:
        places = grouped.setdefault((issue.severity, issue.code, _shown(issue.diagnostics)), {})
        places.update(dict.fromkeys(_shown(place) for place in issue.expression if place))
    return {
        "resourceType": "OperationOutcome",
        "issue": [
            {"severity": severity, "code": code, "diagnostics": diagnostics}
            | ({"expression": list(places)} if places else {})
            for (severity, code, diagnostics), places in grouped.items()
        ],
    }


def _shown(text: str) -> str:
    """Return text as a FHIR string may have it, whatever a client had sent that it repeats."""
    text = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}... ({len(text)} characters)"
