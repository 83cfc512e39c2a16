"""Questions to a record, in two steps: which searches may answer it, then the answer with what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from wardround.core.errors import ToolError, UsageError
from wardround.core.frozen import content_id
from wardround.core.ports import Clock
from wardround.knowledge.base import KnowledgeBase
from wardround.models.asking import Asker
from wardround.tools.fhir.access import objects, string
from wardround.tools.fhir.question_prompts import (
    COMMON,
    ProposedSearch,
    QuestionAnswer,
    RetrievalAnswer,
    again,
    answer_task,
    retrieval_task,
)
from wardround.tools.fhir.scope import FREE
from wardround.tools.fhir.session import RecordSession
from wardround.tools.fhir.terms import inventory
from wardround.tools.fhir.units import Analytes
from wardround.trace.events import SpanKind, ToolCalled, ToolReturned

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

AGENT = "record reader"
"""Who asks, for the log."""
RESOURCES = 60
"""How many resources of one search are read."""
ROUNDS = 2
"""How often a step is asked before its faults stand."""


class AnswerStatus(StrEnum):
    """What came of a question."""

    ANSWERED = "answered"
    NOT_IN_RECORD = "not_in_record"
    NO_OPINION = "no_opinion"
    """The model gave nothing that can be used."""


@dataclass(frozen=True)
class RecordAnswer:
    """The answer to a question with what it rests on."""

    status: AnswerStatus
    text: str
    citations: tuple[str, ...]
    """Resources that were retrieved, as `Type/id`."""
    searches: tuple[str, ...]
    """What was searched for."""
    retrieved: tuple[str, ...]
    """All that was found, as `Type/id`."""
    gaps: tuple[str, ...] = ()
    """Searches that failed, were refused or were cut."""
    fault: str | None = None
    """Why there is no opinion."""


@dataclass
class _Evidence:
    """What the searches brought."""

    searches: list[str] = field(default_factory=list)
    resources: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class RecordReader:
    """Answers questions about one patient with any chat model."""

    asker: Asker
    session: RecordSession
    knowledge: KnowledgeBase
    clock: Clock

    async def answer(self, question: str, *, patient: str | None = None) -> RecordAnswer:
        """Answer a question from the record, or say that the record does not.

        An answer that cites what was not retrieved, or nothing, is rejected and asked for once more.

        Args:
            question: In words.
            patient: Such as `Patient/1`; not needed where the session is held to one.

        Raises:
            UsageError: Nobody says which patient.
            ToolRefused: The session is held to another patient.
            FhirRequestError: The server does not say what it serves.
            ModelUnavailable: The model could not be reached.
        """
        who = self.session.whose(patient)
        if who is None:
            raise UsageError("a question needs a patient; hold the session to one, or give patient='Patient/1'")
        with self.asker.caller.recorder.span(AGENT, SpanKind.AGENT):
            analytes = Analytes(self.knowledge)
            served = served_parameters(await self.session.read("metadata"))
            known = await inventory(self.session, who)
            task = retrieval_task(question, who, self.clock.now().isoformat(), served, known, analytes)
            evidence, fault = await self._retrieve(task, who, served)
            if fault is not None:
                return _no_opinion(evidence, fault)
            return await self._conclude(question, who, evidence, analytes)

    async def _retrieve(
        self, task: list[BaseMessage], patient: str, served: Mapping[str, tuple[str, ...]]
    ) -> tuple[_Evidence, str | None]:
        conversation = list(task)
        evidence = _Evidence()
        faults: list[str] = []
        for _ in range(ROUNDS):
            answered = await self.asker.ask(AGENT, conversation, RetrievalAnswer)
            if answered.value is None:
                return evidence, answered.fault or "no answer"
            tried = [await self._search(search, patient, served, evidence) for search in answered.value.searches]
            faults = [fault for fault in tried if fault is not None]
            if not faults:
                break
            conversation += again(answered.value, faults)
        evidence.gaps += faults
        return evidence, None if evidence.searches else "no search could be made: " + "; ".join(faults)

    async def _search(
        self, search: ProposedSearch, patient: str, served: Mapping[str, tuple[str, ...]], evidence: _Evidence
    ) -> str | None:
        """Add what a search finds to the evidence, or return why it could not be made."""
        fault = _fault(search, served)
        if fault is not None:
            return fault
        params = _held_to(patient, search)
        told = search.type + "?" + "&".join(f"{name}={value}" for name, value in params)
        if told in evidence.searches:
            return None
        recorder = self.asker.caller.recorder
        call = content_id("tool", AGENT, told, len(recorder.events))
        recorder.record(ToolCalled, call=call, agent=AGENT, tool="search_record", arguments={"search": told})
        try:
            sent = [*params, ("_count", str(RESOURCES))]
            found, is_cut = await self.session.search_all(search.type, sent, limit=RESOURCES)
        except ToolError as error:
            recorder.record(ToolReturned, call=call, text="", error=str(error))
            return f"{told}: {error}"
        named = {f"{r.get('resourceType')}/{r.get('id')}": r for r in found if r.get("id")}
        recorder.record(ToolReturned, call=call, text=f"{len(named)} resources: {', '.join(named)}")
        evidence.searches.append(told)
        evidence.resources |= named
        if is_cut:
            evidence.gaps.append(f"{told}: only the first {RESOURCES} were read")
        return None

    async def _conclude(self, question: str, patient: str, evidence: _Evidence, analytes: Analytes) -> RecordAnswer:
        conversation = answer_task(
            question,
            patient,
            self.clock.now().isoformat(),
            searches=evidence.searches,
            resources=evidence.resources.values(),
            gaps=evidence.gaps,
            analytes=analytes,
        )
        fault = ""
        for _ in range(ROUNDS):
            answered = await self.asker.ask(AGENT, conversation, QuestionAnswer)
            if answered.value is None:
                return _no_opinion(evidence, answered.fault or "no answer")
            fault = _uncited(answered.value, evidence.resources)
            if not fault:
                return _accepted(answered.value, evidence)
            conversation += again(answered.value, [fault])
        return _no_opinion(evidence, fault)


def served_parameters(capabilities: Any) -> dict[str, tuple[str, ...]]:
    """Return the search parameters that a CapabilityStatement says are served, by resource type.

    Raises:
        UsageError: It names no type that can be searched.
    """
    served: dict[str, tuple[str, ...]] = {}
    rest = objects(capabilities.get("rest") if isinstance(capabilities, dict) else None)
    for described in (r for part in rest for r in objects(part.get("resource"))):
        interactions = {string(i.get("code")) for i in objects(described.get("interaction"))}
        if "search-type" in interactions:
            names = (string(p.get("name")) for p in objects(described.get("searchParam")))
            served[string(described.get("type"))] = tuple(filter(None, names))
    if not served:
        raise UsageError("the server's CapabilityStatement names no type that can be searched; check the base address")
    return served


def _fault(search: ProposedSearch, served: Mapping[str, tuple[str, ...]]) -> str | None:
    """What is wrong with a proposed search, and what is served instead."""
    if search.type not in served:
        return f"{search.type} is not served; served types: {', '.join(served)}"
    known = {*served[search.type], *COMMON}
    wrong = [p.name for p in search.parameters if p.name.partition(":")[0].partition(".")[0] not in known]
    if wrong:
        return f"{search.type} has no parameter {', '.join(wrong)}; it has: {', '.join(sorted(known))}"
    return None


def _held_to(patient: str, search: ProposedSearch) -> list[tuple[str, str]]:
    """The parameters of a search, for this patient whatever it says itself."""
    is_patient = search.type == "Patient"
    own = ("_count", "_id") if is_patient else ("_count", "patient", "subject")
    params = [(p.name, p.value) for p in search.parameters if p.name not in own]
    if is_patient:
        return [*params, ("_id", patient.removeprefix("Patient/"))]
    return params if search.type in FREE else [*params, ("patient", patient)]


def _uncited(answer: QuestionAnswer, retrieved: Mapping[str, Any]) -> str:
    """Why an answer does not stand; empty where it does."""
    if answer.status == "not_in_record":
        return ""
    if not answer.answer.strip():
        return "there is no answer; give one, or the status not_in_record"
    if not answer.citations:
        return "it cites nothing; cite the resources that say so as Type/id, or give the status not_in_record"
    unknown = [cited for cited in answer.citations if cited not in retrieved]
    if unknown:
        return f"it cites {', '.join(unknown[:5])}, which no search has brought; cite only what stands in the evidence"
    return ""


def _accepted(answer: QuestionAnswer, evidence: _Evidence) -> RecordAnswer:
    is_answered = answer.status == "answered"
    return RecordAnswer(
        status=AnswerStatus.ANSWERED if is_answered else AnswerStatus.NOT_IN_RECORD,
        text=answer.answer.strip() if is_answered else "",
        citations=tuple(dict.fromkeys(answer.citations)) if is_answered else (),
        searches=tuple(evidence.searches),
        retrieved=tuple(evidence.resources),
        gaps=tuple(evidence.gaps),
    )


def _no_opinion(evidence: _Evidence, fault: str) -> RecordAnswer:
    return RecordAnswer(
        status=AnswerStatus.NO_OPINION,
        text="",
        citations=(),
        searches=tuple(evidence.searches),
        retrieved=tuple(evidence.resources),
        gaps=tuple(evidence.gaps),
        fault=fault,
    )
