"""A run that is kept, made ready to be given away: who its patient is, is learnt from its own case and log."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from wardround.core.case import Case
from wardround.trace.events import Event, FhirExchanged, RunStarted
from wardround.trace.redaction.classes import Identifier
from wardround.trace.redaction.edits import Edit, Report
from wardround.trace.redaction.identity import PEOPLE
from wardround.trace.redaction.log import LogRedactor
from wardround.trace.redaction.patterns import PatternRedactor
from wardround.trace.redaction.pseudonyms import Pseudonyms
from wardround.trace.redaction.structured import StructuredRedactor

if TYPE_CHECKING:
    from wardround.trace.annotating import Annotation

Json = Mapping[str, Any]

_SHORTEST = 4
"""Characters of the id of a case from which on it is looked for in texts, where it has a digit."""
_BY_CONTENT = re.compile(r"case_[0-9a-f]{12}")
"""Ids that nobody gave; they are renamed as all such names are."""


@dataclass(frozen=True)
class Known:
    """What a run says of who its patient is."""

    resources: tuple[Json, ...]
    """Of the case's record, then what FHIR servers answered; each once."""
    patients: tuple[str, ...]
    """Ids of its patients, that of the run first; the dates of texts move by this one's days."""


@dataclass(frozen=True)
class RedactedRun:
    """A run without the identifiers of its patient."""

    events: tuple[Event, ...]
    case: Case
    judgements: tuple[Annotation, ...]
    log_report: Report
    """What was taken out of the events and the judgements."""
    case_report: Report
    patients: int
    """How many are known; the dates of texts move by the days of the first."""
    knows_names: bool
    """Whether anybody's name was known, so that it was looked for."""


def redact_run(
    events: Sequence[Event], case: Case, *, key: bytes, judgements: Iterable[Annotation] = ()
) -> RedactedRun:
    """Return a kept run without identifiers: its log, its case and what people said of it.

    Args:
        events: The log of one run.
        case: The one that was kept with it.
        key: Secret of 16 bytes or more.
        judgements: Of this run.

    Raises:
        StoreError: The redacted log would say something else of the diagnosis than the log.
        UsageError: The key is too short.
    """
    known = known_of(events, case)
    patient = known.patients[0] if known.patients else None
    also = (PatternRedactor(), _CaseName(case.id, Pseudonyms(key)))
    learnt = StructuredRedactor(known.resources, key=key, also=also, patient=patient)
    redactor = LogRedactor(learnt)
    log = redactor.events(events)
    about = tuple(redactor.judgement(judgement, log.report) for judgement in judgements)
    done = redactor.case(case)
    return RedactedRun(
        events=tuple(log.value),
        case=done.value,
        judgements=about,
        log_report=log.report,
        case_report=done.report,
        patients=len(known.patients),
        knows_names=learnt.knows_names,
    )


def known_of(events: Iterable[Event], case: Case) -> Known:
    """Gather who is known: from the record of the case, what servers told, and whom they were asked for."""
    log = list(events)
    asked = [event for event in log if isinstance(event, FhirExchanged)]
    found = [*_of_record(case), *(r for event in asked for r in (*_answered(event), *_sought(event.url)))]
    named = [patient for event in log if isinstance(event, RunStarted) for patient in _named(event.settings)]
    own = [*named, *(str(r.get("id", "")) for r in found if r.get("resourceType") == "Patient")]
    there = {str(r.get("id", "")) for r in found if r.get("resourceType") == "Patient"}
    found += [{"resourceType": "Patient", "id": name} for name in dict.fromkeys(named) if name not in there]
    once = {json.dumps(resource, sort_keys=True, default=str): resource for resource in found}
    return Known(tuple(once.values()), tuple(dict.fromkeys(own)))


def _of_record(case: Case) -> Iterator[Json]:
    for resource in case.record.resources if case.record is not None else ():
        yield from _entries(resource)


def _answered(event: FhirExchanged) -> Iterator[Json]:
    for text in (event.body, event.answer):
        try:
            value = json.loads(text) if text else None
        except (ValueError, RecursionError):
            continue  # no resource; it is searched as a text
        if isinstance(value, dict):
            yield from _entries(value)


def _sought(url: str) -> Iterator[Json]:
    """Yield whom a search by name or number was for, whether or not the server knew somebody."""
    path, _, query = url.partition("?")
    if path.rstrip("/").rsplit("/", 1)[-1] not in PEOPLE:
        return
    sought = [(key.split(":")[0], value) for key, value in parse_qsl(query, errors="replace")]
    names: list[Json] = [{"text": value} for key, value in sought if key == "name"]
    names += [{"family": value} for key, value in sought if key == "family"]
    names += [{"given": [value]} for key, value in sought if key == "given"]
    numbers = [{"value": value.rpartition("|")[2]} for key, value in sought if key == "identifier"]
    if names or numbers:
        yield {"resourceType": "Person", "name": names, "identifier": numbers}


def _entries(resource: Json) -> Iterator[Json]:
    """Yield a resource, or those of a Bundle."""
    if resource.get("resourceType") != "Bundle":
        yield resource
        return
    entries = resource.get("entry")
    for entry in entries if isinstance(entries, list) else ():
        inner = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(inner, dict):
            yield from _entries(inner)


def _named(settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield the patient of a record agent's session."""
    patient = settings.get("patient")
    if isinstance(patient, str) and patient.strip():
        yield patient.strip().removeprefix("Patient/")


class _CaseName:
    """Finds the id of a case in texts: whoever gave it may have named the patient."""

    def __init__(self, case: str, names: Pseudonyms) -> None:
        self._case, self._names = case, names
        self._pattern = re.compile(rf"(?<![^\W_]){re.escape(case)}(?![^\W_])")
        has_digit = any(character.isdigit() for character in case)
        self._is_told = len(case) >= _SHORTEST and has_digit and _BY_CONTENT.fullmatch(case) is None

    def edits(self, text: str) -> list[Edit]:
        """Return where it stands; one of letters alone may be a plain word, and is left."""
        places = self._pattern.finditer(text) if self._is_told else ()
        name = self._names.id(self._case)
        return [Edit(m.start(), m.end(), Identifier.RECORD_NUMBER, name) for m in places]
