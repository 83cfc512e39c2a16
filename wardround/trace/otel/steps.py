"""The spans of the run itself and of its steps: agents that take a turn, checks, and what else is done."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from wardround import __version__
from wardround.core.claim import Verdict, VerdictLabel
from wardround.core.items import ClaimItem, SourceItem, VerdictItem
from wardround.core.source import Source
from wardround.trace.events import (
    DecisionMade,
    Event,
    EvidenceAdded,
    GatheringChosen,
    ImageRead,
    ModelAnswered,
    ModelAsked,
    OpinionGiven,
    RecordRead,
    RolloutsEnded,
    SpanKind,
    TriageGiven,
    UncertaintyMeasured,
)
from wardround.trace.otel.messages import Message, Text, as_gen_ai, asked, hidden_input, hidden_output, instructions
from wardround.trace.otel.model_calls import model_of, provider_of
from wardround.trace.otel.names import EXPORT_VERSION, GenAi, OpenInference, Ours, Role
from wardround.trace.otel.privacy import Privacy
from wardround.trace.otel.results import decided
from wardround.trace.otel.stretches import Log, Stretch
from wardround.trace.otel.values import Value, digest

CHECKS = {"verify": Role.EVALUATOR, "gate": Role.GUARDRAIL}
"""Steps of a consult that judge, by name."""
JSON, PLAIN = "application/json", "text/plain"


def agent_of(log: Log, stretch: Stretch) -> str | None:
    """Return whose turn a step is: a specialist's, or of whoever asks the model in it."""
    if stretch.kind is SpanKind.AGENT:
        return stretch.name
    if stretch.kind is not SpanKind.NODE or stretch.name in CHECKS:
        return None
    return next((event.agent for call in log.within(stretch, SpanKind.MODEL) for event in call.of(ModelAsked)), None)


def run_attributes(log: Log, privacy: Privacy) -> dict[str, Value]:
    """Return what is to be said of a whole run."""
    ours: dict[str, Value] = {
        Ours.EXPORT_VERSION: EXPORT_VERSION,
        Ours.SCHEMA_VERSION: log.started.schema_version,
        Ours.REDACTION: privacy.policy,
        Ours.CASE: case_hash(log),
        Ours.RUN: log.started.run,
    }
    decisions = [event.decision for event in log.events if isinstance(event, DecisionMade)]
    reached = decided(decisions[-1]) if decisions else {}
    tags = ["wardround", *([decisions[-1].status.value] if decisions else [])]
    return {
        GenAi.WORKFLOW: log.root.name,
        GenAi.PROVIDER: provider_of(log.started.model),
        GenAi.REQUEST_MODEL: model_of(log.started.model),
        **ours,
        **reached,
        **_of_events(log.root, [event for event in log.events if isinstance(event, TriageGiven | UncertaintyMeasured)]),
        OpenInference.TAGS: tags,
        OpenInference.METADATA: json.dumps(_settings(log.started.settings), sort_keys=True),
        **_told_run(log, privacy),
    }


def case_hash(log: Log) -> str:
    """Name the case by its id and by all that was read of it before anybody was asked.

    An id alone, such as a number of the hospital's, could be found by trying.
    """
    read: list[str] = []
    for event in log.events:
        if isinstance(event, ModelAsked):
            break
        if isinstance(event, EvidenceAdded) and isinstance(event.item, SourceItem):
            read.append(event.item.source.id)
    return digest("\n".join([log.started.case, *sorted(read)]))


def agent_attributes(log: Log, stretch: Stretch, agent: str) -> dict[str, Value]:
    """Return what is to be said of an agent's turn."""
    calls = log.within(stretch, SpanKind.MODEL)
    questions = [event for call in calls for event in call.of(ModelAsked)]
    told: dict[str, Value] = {
        GenAi.PROVIDER: provider_of(log.started.model),
        GenAi.REQUEST_MODEL: model_of(log.started.model),
        GenAi.AGENT_NAME: agent,
        GenAi.AGENT_ID: agent,
        GenAi.AGENT_VERSION: __version__,
        GenAi.OUTPUT_TYPE: "json",
        OpenInference.AGENT_NAME: agent,
        **step_attributes(log, stretch),
    }
    if questions:
        told |= _input(_last_said(questions[-1]), PLAIN)
        said = instructions(asked(questions[-1].messages))
        told |= {GenAi.SYSTEM_INSTRUCTIONS: said} if said is not None else {}
    answers = [event.text for call in calls for event in call.of(ModelAnswered)]
    opinions = [event.opinion for event in stretch.of(OpinionGiven)]
    if opinions:
        told |= _output(json.dumps(opinions, ensure_ascii=False), JSON)
    elif answers:
        told |= _output(answers[-1], JSON if answers[-1].startswith("{") else PLAIN)
    return told


def step_attributes(log: Log, stretch: Stretch) -> dict[str, Value]:
    """Return what is to be said of any step: in figures and codes, and as content what came out of it."""
    return {**_of_events(stretch, stretch.events), **_evidence(stretch), **_outcome(log, stretch)}


def _outcome(log: Log, stretch: Stretch) -> dict[str, Value]:
    """Return in words what came out of a step: a decision, a measurement, verdicts, or what was read."""
    for event in reversed(stretch.events):
        match event:
            case DecisionMade(decision=decision):
                return _output(decision.model_dump_json(), JSON)
            case UncertaintyMeasured(answer=answer, uncertainty=measured):
                return _output(json.dumps({"answer": answer, **measured.model_dump(mode="json")}), JSON)
            case GatheringChosen(action=action):
                return _output(action, PLAIN)
            case _:
                pass
    items = [event.item for event in stretch.of(EvidenceAdded)]
    judged = [_judged(log, item.verdict) for item in items if isinstance(item, VerdictItem)]
    read = [_line(item.source) for item in items if isinstance(item, SourceItem)]
    lines = judged or read
    return _output("\n".join(lines), PLAIN) if lines else {}


def _judged(log: Log, verdict: Verdict) -> str:
    claim = log.claims.get(verdict.claim)
    said = f"{claim.agent}: {claim.text}" if claim is not None else verdict.claim
    return f"{verdict.label.value}: {said} ({verdict.reason})"


def _of_events(stretch: Stretch, events: Sequence[Event]) -> dict[str, Value]:
    told: dict[str, Value] = {}
    for event in events:
        match event:
            case TriageGiven():
                told |= {Ours.URGENCY: event.triage.urgency.value, Ours.ROUTE: list(event.routed)}
            case UncertaintyMeasured():
                measured = event.uncertainty
                told |= {f"{Ours.UNCERTAINTY}.{part.value}": value for part, value in measured.parts.items()}
                told[f"{Ours.UNCERTAINTY}.combined"] = measured.combined
            case GatheringChosen():
                told |= {Ours.ROUND: event.round, Ours.FOUND: event.found, Ours.BECAUSE: event.because}
            case RolloutsEnded():
                told |= {Ours.ASKED: event.asked, Ours.HALT: event.because}
            case RecordRead():
                told |= {f"{Ours.USED}.{_word(kind)}": n for kind, n in event.used.items()}
                told |= {f"{Ours.SKIPPED}.{_word(kind)}": n for kind, n in event.skipped.items()}
            case DecisionMade():
                told |= decided(event.decision)
            case _:
                pass
    seen = [event.sha256 for event in events if isinstance(event, ImageRead)]
    return {**told, Ours.IMAGES: seen} if seen else told


def _evidence(stretch: Stretch) -> dict[str, Value]:
    items = [event.item for event in stretch.of(EvidenceAdded)]
    sources = [item.source.id for item in items if isinstance(item, SourceItem)]
    claims = [item.claim.id for item in items if isinstance(item, ClaimItem)]
    labels = [item.verdict.label for item in items if isinstance(item, VerdictItem)]
    told: dict[str, Value] = {f"{Ours.VERDICTS}.{label.value}": labels.count(label) for label in VerdictLabel if labels}
    if sources:
        told[Ours.SOURCES] = sources
    if claims:
        told[Ours.CLAIMS] = claims
    return told


def _settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings without their texts, which may tell of a patient: a task, an address."""
    told: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, bool | int | float):
            told[name] = value
        elif isinstance(value, Mapping):
            told |= {f"{name}.{inner}": v for inner, v in value.items() if isinstance(v, bool | int | float)}
    return told


def _told_run(log: Log, privacy: Privacy) -> dict[str, Value]:
    """Return what a run was given and what came out of it, in words."""
    task = log.started.settings.get("task")  # a record agent is given a task, and answers by its last turn
    given = task if isinstance(task, str) else _read_first(log)
    decisions = [event.decision for event in log.events if isinstance(event, DecisionMade)]
    answers = [event.text for event in log.events if isinstance(event, ModelAnswered)]
    told: dict[str, Value] = {}
    if given:
        said = Message("user", (Text(given),))
        told |= {**_input(given, PLAIN), GenAi.INPUT_MESSAGES: as_gen_ai(hidden_input([said], privacy))}
    if decisions:
        answer = Message("assistant", (Text(str(decisions[-1])),), decisions[-1].status.value)
        shown = as_gen_ai(hidden_output([answer], privacy))
        told |= {**_output(decisions[-1].model_dump_json(), JSON), GenAi.OUTPUT_MESSAGES: shown}
    elif isinstance(task, str) and answers:
        told |= _output(answers[-1], PLAIN)
    return told


def _read_first(log: Log) -> str:
    """Return what the first step read, which is the case."""
    first = next((step for step in log.within(log.root) if step.of(EvidenceAdded)), None)
    items = [event.item for event in first.of(EvidenceAdded)] if first is not None else []
    return "\n".join(_line(item.source) for item in items if isinstance(item, SourceItem))


def _line(source: Source) -> str:
    return f"{source.title}: {source.text}" if source.title else source.text


def _last_said(question: ModelAsked) -> str:
    said = [m for m in asked(question.messages) if m.role != "system"]
    return "\n".join(part.text for part in said[-1].parts if isinstance(part, Text)) if said else ""


def _input(text: str, mime_type: str) -> dict[str, Value]:
    return {OpenInference.INPUT: text, OpenInference.INPUT_TYPE: mime_type}


def _output(text: str, mime_type: str) -> dict[str, Value]:
    return {OpenInference.OUTPUT: text, OpenInference.OUTPUT_TYPE: mime_type}


def _word(kind: str) -> str:
    """Return a resource type as it may stand in a name; a record can have anything there."""
    return kind if re.fullmatch(r"[A-Za-z]{1,40}", kind) else "other"
