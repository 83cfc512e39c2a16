"""Promises of a hallucination detector."""

from __future__ import annotations

from collections.abc import Callable

from wardround.core.claim import Claim, ClaimKind, Severity, VerdictLabel
from wardround.core.ports import Detector
from wardround.core.source import Source, SourceKind

_NOTE = Source(
    kind=SourceKind.CLINICIAN_NOTE,
    text="The patient has chest pain. He denies fever.",
    document="note:conformance",
    title="note, sentence 1",
)
_SOURCES = {_NOTE.id: _NOTE}


def _claim(text: str, *cites: str) -> Claim:
    return Claim(agent="conformance", text=text, kind=ClaimKind.FINDING, cites=cites or (_NOTE.id,))


def supports_what_the_cited_source_says(detector: Detector) -> None:
    """A claim that repeats a cited source is supported, and names it."""
    verdict = detector.check(_claim("There is chest pain."), _SOURCES)
    assert verdict.label is VerdictLabel.SUPPORTED, verdict
    assert verdict.severity is Severity.CORRECT, verdict
    assert verdict.evidence == (_NOTE.id,), verdict


def never_supports_the_opposite(detector: Detector) -> None:
    """A claim that flips an assertion is contradicted, however alike the words."""
    for text in ("There is no chest pain.", "The patient has fever."):
        verdict = detector.check(_claim(text), _SOURCES)
        assert verdict.label is VerdictLabel.CONTRADICTED, verdict


def leaves_open_what_no_source_speaks_of(detector: Detector) -> None:
    """A claim about something else is not addressed and has no score."""
    verdict = detector.check(_claim("There is haemoptysis."), _SOURCES)
    assert verdict.label is VerdictLabel.NOT_ADDRESSED, verdict
    assert verdict.severity is Severity.UNSCORED, verdict


def never_supports_an_invented_citation(detector: Detector) -> None:
    """A citation that is no evidence of the case is contradicted."""
    verdict = detector.check(_claim("There is chest pain.", "src_000000000000"), _SOURCES)
    assert verdict.label is VerdictLabel.CONTRADICTED, verdict


def judges_the_claim_it_was_given(detector: Detector) -> None:
    """The verdict names the claim, gives a reason, and is the same each time."""
    claim = _claim("There is chest pain.")
    first, second = detector.check(claim, _SOURCES), detector.check(claim, _SOURCES)
    assert first == second, (first, second)
    assert first.claim == claim.id, first
    assert first.reason, first


DETECTOR_PROMISES: tuple[Callable[[Detector], None], ...] = (
    supports_what_the_cited_source_says,
    never_supports_the_opposite,
    leaves_open_what_no_source_speaks_of,
    never_supports_an_invented_citation,
    judges_the_claim_it_was_given,
)
