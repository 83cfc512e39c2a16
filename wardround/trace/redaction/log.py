"""A whole run with its identifiers taken out: the log still says the same of the same patient, who is nobody now."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from wardround.core.case import Case, ImageRef, Record
from wardround.core.errors import StoreError
from wardround.core.finding import Finding
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
    SpanKind,
    SpanStarted,
    UncertaintyMeasured,
)
from wardround.trace.redaction.classes import OLDEST, Identifier
from wardround.trace.redaction.edits import Redacted, Redactor, Report
from wardround.trace.redaction.evidence import EvidenceRedactor
from wardround.trace.redaction.identity import person_label
from wardround.trace.redaction.log_words import LogWords
from wardround.trace.redaction.patterns import PatternRedactor
from wardround.trace.redaction.structured import StructuredRedactor
from wardround.trace.views import evidence_graph

if TYPE_CHECKING:
    from wardround.trace.annotating import Annotation

KEPT: dict[str, frozenset[str]] = {
    "run_started": frozenset(("model",)),
    "card_named": frozenset(("card",)),
    "span_started": frozenset(("name", "kind")),
    "span_ended": frozenset(("outcome",)),
    "record_read": frozenset(("used", "skipped")),
    "model_reached": frozenset(("model", "served")),
    "model_asked": frozenset(("agent", "model", "answer", "options")),
    "model_answered": frozenset(("served_by", "origin", "finish")),
    "answer_refused": frozenset(("agent", "kind")),
    "tool_called": frozenset(("agent",)),
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
_SETTINGS = frozenset(("card", "prices", "local", "budget", "gate"))
"""Settings that are kept; of the others some hold a task in words, the patient, or a whole answer."""
_SERVERS = frozenset(("server", "api_base"))
_OPEN = frozenset(("messages", "arguments", "tool_calls", "invalid_tool_calls", "opinion", "question", "answer"))
"""Fields of no fixed shape, whose keys and numbers may be anything that a model or a person wrote."""
_FEWEST_DIGITS = 5
"""Of a number in such a field that is looked up as a record number."""


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
        self._words = LogWords(redactor)
        self._known: set[str] = set()

    def events(self, events: Iterable[Event]) -> Redacted[list[Event]]:
        """Return the log of one run; see `redact_events`."""
        log, report, names = list(events), Report(), dict[str, str]()
        self._words.begin(names, {e.case: self._words.case_id(e.case) for e in log if isinstance(e, RunStarted)})
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
            "id": self._words.case_id(case.id),
            "age": min(case.age, float(OLDEST)) if case.age is not None else None,
            "complaint": self._text(case.complaint, report),
            "narrative": self._text(case.narrative, report),
            "findings": tuple(self._finding(finding, report) for finding in case.findings),
            "images": tuple(self._image(image, report) for image in case.images),
            "record": self._record(case.record, report) if case.record is not None else None,
            "time": words.moved(case.time),
        }
        return Redacted(case.model_copy(update=fields), report)

    def judgement(self, judgement: Annotation, report: Report) -> Annotation:
        """Return a judgement of the run whose log was redacted last, about what it was about, by nobody known."""
        report.replaced[Identifier.NAME] += 1
        return replace(
            judgement,
            run=self._words.renamed(judgement.run),
            id=self._words.renamed(judgement.id),
            why=self._words.searched(judgement.why, report),
            who=person_label("PERSON", judgement.who, self._redactor.names),
            time=judgement.time + timedelta(days=self._redactor.shift.days),
        )

    def _image(self, image: ImageRef, report: Report) -> ImageRef:
        report.replaced[Identifier.PHOTOGRAPH] += 1
        told = {name: self._text(getattr(image, name), report) for name in ("modality", "body_part")}
        return image.model_copy(update={"uri": self._redactor.names.id(image.uri), **told})

    def _finding(self, finding: Finding, report: Report) -> Finding:
        told = {name: self._text(getattr(finding, name), report) for name in ("name", "site")}
        return finding.model_copy(update={"time": self._words.moved(finding.time), **told})

    def _text(self, text: str | None, report: Report) -> str | None:
        return self._words.searched(text, report) if text else text

    def _record(self, record: Record, report: Report) -> Record:
        done = [self._redactor.resource(resource) for resource in record.resources]
        for each in done:
            report.replaced.update(each.report.replaced)
            report.spared.update(each.report.spared)
            report.removed.update(each.report.removed)
        # where it came from, a path or server, may name anybody
        return Record(resources=tuple(each.value for each in done), origin="redacted")

    def _event(self, event: Event, evidence: EvidenceRedactor, report: Report) -> Event:
        fields = event.model_dump(mode="json")
        kept = KEPT.get(event.event, frozenset()) | {"event", "schema_version"}
        done = {
            name: value if name == "time" else self._field(name, value, kept, report) for name, value in fields.items()
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
                done["case"] = self._words.case_id(event.case)
                done["settings"] = self._settings(event.settings, report)
            case SpanStarted(kind=SpanKind.TOOL):  # a model may call a tool whatever it likes
                done["name"] = self._words.searched(event.name, report)
            case OpinionGiven(cluster=str(answer)) if answer in self._known:
                done["cluster"] = answer
            case UncertaintyMeasured(answer=str(answer)) if answer in self._known:
                done["answer"] = answer
            case ImageRead():
                report.replaced[Identifier.PHOTOGRAPH] += 1
                done["uri"] = self._redactor.names.id(event.uri)
        return EVENT.validate_python(done)

    def _field(self, name: str, value: Any, kept: frozenset[str], report: Report) -> Any:
        if name in kept:
            return value
        is_open = name in _OPEN and not isinstance(value, str)
        return self._open(value, report) if is_open else self._value(value, kept, report)

    def _value(self, value: Any, kept: frozenset[str], report: Report) -> Any:
        if isinstance(value, dict):
            return {k: v if k in kept else self._value(v, kept, report) for k, v in value.items()}
        if isinstance(value, list):
            return [self._value(v, kept, report) for v in value]
        return self._words.searched(value, report) if isinstance(value, str) else value

    def _open(self, value: Any, report: Report) -> Any:
        if isinstance(value, dict):
            return {self._words.searched(k, report): self._open(v, report) for k, v in value.items()}
        if isinstance(value, list):
            return [self._open(v, report) for v in value]
        if isinstance(value, int) and not isinstance(value, bool) and len(str(abs(value))) >= _FEWEST_DIGITS:
            found = self._words.searched(str(value), report)
            return value if found == str(value) else found
        return self._value(value, frozenset(), report)

    def _settings(self, settings: Mapping[str, Any], report: Report) -> dict[str, Any]:
        found = {k: v if k in _SETTINGS else self._open(v, report) for k, v in settings.items()}
        servers = {k: self._words.url(v, report) for k, v in settings.items() if k in _SERVERS and isinstance(v, str)}
        return found | servers

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
        except (ValueError, RecursionError):
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
