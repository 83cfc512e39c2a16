"""A whole run with its identifiers taken out: the log still says the same of the same patient, who is nobody now."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote

from wardround.core.case import Case, ImageRef, Record
from wardround.core.errors import StoreError
from wardround.core.graph import EvidenceGraph
from wardround.core.items import ITEM, CandidatesItem
from wardround.trace.events import (
    EVENT,
    Event,
    EvidenceAdded,
    FhirExchanged,
    ImageRead,
    ModelAnswered,
    OpinionGiven,
    RunStarted,
    UncertaintyMeasured,
)
from wardround.trace.redaction.classes import OLDEST, Identifier
from wardround.trace.redaction.edits import Edit, Redacted, Redactor, Report, applied, counted
from wardround.trace.redaction.evidence import EvidenceRedactor
from wardround.trace.redaction.patterns import PatternRedactor
from wardround.trace.redaction.resources import HOST
from wardround.trace.redaction.structured import StructuredRedactor
from wardround.trace.views import evidence_graph

_CONTENT_ID = re.compile(
    r"\b(?P<kind>run|case|evt|call|spn|src|clm|fnd|shown|question|draw|tool|act)_(?P<hex>[0-9a-f]{12})\b"
)
"""Names made from content that may be about the patient: an unkeyed digest of it could be tried out."""
_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
_FIELDS = ("complaint", "note", "coded")
"""What documents of a case are called before a colon and the id of the case."""
_SERVER = re.compile(r"https?://[^/\s]+")

KEPT: dict[str, frozenset[str]] = {
    "run_started": frozenset(("model", "settings")),
    "card_named": frozenset(("card",)),
    "span_started": frozenset(("name", "kind")),
    "span_ended": frozenset(("outcome",)),
    "record_read": frozenset(("used", "skipped")),
    "model_reached": frozenset(("model", "served")),
    "model_asked": frozenset(("agent", "model", "answer", "options")),
    "model_answered": frozenset(("served_by", "origin", "finish")),
    "answer_refused": frozenset(("agent", "kind")),
    "tool_called": frozenset(("agent", "tool")),
    "fhir_exchanged": frozenset(("method",)),
    "triage_given": frozenset(("routed", "urgency", "specialties")),
    "opinion_given": frozenset(("agent",)),
    "rollouts_ended": frozenset(("agent", "because")),
    "gathering_chosen": frozenset(("action",)),
    "uncertainty_measured": frozenset(("parts",)),
    "decision_made": frozenset(
        ("status", "diagnosis", "differential", "plausible", "calibration", "certificate", "missing", "code", "name")
    ),
    "run_ended": frozenset(("outcome",)),
}
"""What an event says of the software and the knowledge and not of the patient; all else is searched, so that a new
field or event is never let through unread."""


class _LogWords:
    """Redacts the texts of one log; the same text always becomes the same."""

    def __init__(self, redactor: StructuredRedactor) -> None:
        self._redactor = redactor
        self._shift = redactor.shift
        self._edits: dict[str, list[Edit]] = {}
        self._names: Mapping[str, str] = {}
        self._cases: Mapping[str, str] = {}

    def begin(self, names: Mapping[str, str], cases: Mapping[str, str]) -> None:
        """Take the new names of the evidence and of the cases of a log; the former may still be filling."""
        self._names, self._cases = names, cases

    def edits(self, text: str) -> list[Edit]:
        if text not in self._edits:
            self._edits[text] = self._redactor.edits(text)
        return self._edits[text]

    def searched(self, text: str, report: Report) -> str:
        edits = self.edits(text)
        report.replaced.update(counted(edits).replaced)
        report.spared.update(counted(edits).spared)
        return self.renamed(applied(text, edits))

    named = searched

    def renamed(self, text: str) -> str:
        """Lead the names of sources, claims, runs, cases and images to their new ones."""
        for old, new in self._cases.items():
            for field in _FIELDS:
                text = text.replace(f"{field}:{old}", f"{field}:{new}")
        if "_" in text:
            text = _CONTENT_ID.sub(self._content_id, text)
        return _DIGEST.sub(lambda m: self._redactor.names.hexadecimal(m[0]), text) if len(text) >= 64 else text

    def _content_id(self, match: re.Match[str]) -> str:
        known = self._names.get(match[0])
        return known if known else f"{match['kind']}_{self._redactor.names.hexadecimal(match[0])[:12]}"

    def moved(self, moment: datetime | None) -> datetime | None:
        return None if moment is None else moment + timedelta(days=self._shift.days)

    def url(self, url: str, report: Report) -> str:
        """Redact an address: its host names the institution, its query the patient."""
        rest = _SERVER.sub(HOST, url, count=1)
        plain = unquote(rest)
        done = self.searched(plain, report)
        return rest if done == plain else quote(done, safe=":/?&=,|$-._~[]#+")


def redact_events(
    events: Iterable[Event],
    record: Sequence[Mapping[str, Any]],
    *,
    key: bytes,
    also: Sequence[Redactor] = (PatternRedactor(),),
    vocabulary: Sequence[str] = (),
) -> Redacted[list[Event]]:
    """Return the log of a run without identifiers.

    Dates, those of the run itself included, move by the patient's days; names of sources, claims, runs and cases are
    new and lead to each other as before. The evidence graph of the result has the same posterior, links and verdicts,
    which is checked.

    Args:
        events: The log of one run.
        record: FHIR R4 resources of the patient, with whoever else may be named.
        key: Secret of 16 bytes or more.
        also: Further redactors for texts.
        vocabulary: Words that are no names unless something says so.

    Raises:
        StoreError: The redacted log says something else of the diagnosis than the log.
        UsageError: The key is too short, or the record has several patients.
    """
    return LogRedactor(StructuredRedactor(record, key=key, also=also, vocabulary=vocabulary)).events(events)


class LogRedactor:
    """Takes the identifiers of one patient out of logs and cases."""

    def __init__(self, redactor: StructuredRedactor) -> None:
        """Take the redactor of the patient's record."""
        self._redactor = redactor
        self._words = _LogWords(redactor)
        self._known: set[str] = set()

    def events(self, events: Iterable[Event]) -> Redacted[list[Event]]:
        """Return the log of one run; see `redact_events`."""
        log, report, names = list(events), Report(), dict[str, str]()
        self._words.begin(names, {e.case: self._case_id(e.case) for e in log if isinstance(e, RunStarted)})
        items = [e.item for e in log if isinstance(e, EvidenceAdded)]
        evidence = EvidenceRedactor(self._words, items, report, names)
        self._known = {c.id for item in items if isinstance(item, CandidatesItem) for c in item.candidates}
        found = [self._event(event, evidence, report) for event in log]
        _check(evidence_graph(log), evidence_graph(found))
        return Redacted(found, report)

    def case(self, case: Case) -> Redacted[Case]:
        """Return a case without identifiers, for whoever wants to consult on it again."""
        report, words = Report(), self._words
        fields: dict[str, Any] = {
            "id": self._case_id(case.id),
            "age": min(case.age, float(OLDEST)) if case.age is not None else None,
            "complaint": words.searched(case.complaint, report) if case.complaint else case.complaint,
            "narrative": words.searched(case.narrative, report) if case.narrative else case.narrative,
            "findings": tuple(f.model_copy(update={"time": words.moved(f.time)}) for f in case.findings),
            "images": tuple(self._image(image, report) for image in case.images),
            "record": self._record(case.record, report) if case.record is not None else None,
            "time": words.moved(case.time),
        }
        return Redacted(case.model_copy(update=fields), report)

    def _case_id(self, name: str) -> str:
        renamed = self._words.renamed(name)
        done = self._words.searched(name, Report())
        return done if done != name else renamed if renamed != name else self._redactor.names.id(name)

    def _image(self, image: ImageRef, report: Report) -> ImageRef:
        report.replaced[Identifier.PHOTOGRAPH] += 1
        return image.model_copy(update={"uri": self._redactor.names.id(image.uri)})

    def _record(self, record: Record, report: Report) -> Record:
        done = [self._redactor.resource(resource) for resource in record.resources]
        for each in done:
            report.replaced.update(each.report.replaced)
            report.spared.update(each.report.spared)
            report.removed.update(each.report.removed)
        return Record(resources=tuple(each.value for each in done), origin=self._words.searched(record.origin, report))

    def _event(self, event: Event, evidence: EvidenceRedactor, report: Report) -> Event:
        fields = event.model_dump(mode="json")
        kept = KEPT.get(event.event, frozenset()) | {"event", "schema_version"}
        done = {
            name: value if name in kept or name == "time" else self._value(value, kept, report)
            for name, value in fields.items()
        }
        done["time"] = self._words.moved(event.time)
        match event:
            case EvidenceAdded():
                done["item"] = ITEM.dump_python(evidence.item(event.item), mode="json")
            case ModelAnswered(logprobs=logprobs) if logprobs is not None:
                done["logprobs"] = self._tokens(logprobs)
            case FhirExchanged():
                done |= self._exchanged(event, report)
            case RunStarted():
                done["case"] = self._case_id(event.case)
            case OpinionGiven(cluster=str(answer)) if answer in self._known:
                done["cluster"] = answer
            case UncertaintyMeasured(answer=str(answer)) if answer in self._known:
                done["answer"] = answer
            case ImageRead():
                report.replaced[Identifier.PHOTOGRAPH] += 1
                done["uri"] = self._redactor.names.id(event.uri)
        return EVENT.validate_python(done)

    def _value(self, value: Any, kept: frozenset[str], report: Report) -> Any:
        if isinstance(value, dict):
            return {k: v if k in kept else self._value(v, kept, report) for k, v in value.items()}
        if isinstance(value, list):
            return [self._value(v, kept, report) for v in value]
        return self._words.searched(value, report) if isinstance(value, str) else value

    def _exchanged(self, event: FhirExchanged, report: Report) -> dict[str, Any]:
        headers = {name: self._words.url(value, report) for name, value in event.headers.items()}
        return {
            "url": self._words.url(event.url, report),
            "headers": headers,
            "body": self._json(event.body, report),
            "answer": self._json(event.answer, report),
        }

    def _json(self, text: str | None, report: Report) -> str | None:
        """Redact a body: a resource by its elements, anything else as a text."""
        if not text:
            return text
        try:
            value = json.loads(text)
        except ValueError:
            return self._words.searched(text, report)
        if not isinstance(value, dict) or "resourceType" not in value:
            return self._words.searched(text, report)
        done = self._redactor.resource(value)
        report.replaced.update(done.report.replaced)
        report.spared.update(done.report.spared)
        report.removed.update(done.report.removed)
        return json.dumps(done.value, ensure_ascii=False)

    def _tokens(self, tokens: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
        """Redact an answer given token by token: what a name was made of becomes its label and empty tokens."""
        edits = self._words.edits("".join(token for token, _ in tokens))
        found, at = [], 0
        for token, logprob in tokens:
            end = at + len(token)
            inside = [e for e in edits if e.replacement is not None and e.start < end and at < e.end]
            text = token
            for edit in reversed(inside):
                put = (edit.replacement or "") if edit.start >= at else ""
                text = text[: max(edit.start - at, 0)] + put + text[max(edit.end - at, 0) :]
            found.append((text, logprob))
            at = end
        return found


def _check(before: EvidenceGraph, after: EvidenceGraph) -> None:
    same = [
        len(before.sources) == len(after.sources),
        len(before.claims) == len(after.claims),
        len(before.items) == len(after.items),
        _ranked(before) == _ranked(after),
    ]
    if not all(same):
        raise StoreError(
            "the redacted log would say something else of the diagnosis than the log; it is not given out. "
            "This can happen where a source is a copy of several others; leave these copies out"
        )


def _ranked(graph: EvidenceGraph) -> dict[str, float]:
    hypotheses = graph.differential.hypotheses if graph.candidates else ()
    return {h.id: round(h.probability, 9) for h in hypotheses}
