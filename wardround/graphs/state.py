"""What travels through the state machine: frozen values and plain JSON, never image bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, TypedDict

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from wardround.agents.roles import Briefing
from wardround.agents.roster import Roster
from wardround.core.answers import SpecialistAnswer
from wardround.core.calibration.card import Card
from wardround.core.case import Case
from wardround.core.claim import ClaimKind, Severity, VerdictLabel
from wardround.core.finding import Assertion, Finding, Laterality
from wardround.core.graph import EvidenceGraph
from wardround.core.items import (
    ClaimItem,
    Grade,
    Item,
    Provenance,
    ProvenanceItem,
    ReadingItem,
    SourceItem,
    VerdictItem,
    WeightItem,
)
from wardround.core.source import Source, SourceKind
from wardround.graphs.edits import Edits
from wardround.graphs.gate import Calibration
from wardround.graphs.intake import chart_of
from wardround.graphs.settings import ConsultSettings
from wardround.graphs.uncertainty import Opinion
from wardround.knowledge.clinician import KnowledgeClinician
from wardround.models.asking import Asker
from wardround.models.images import Picture
from wardround.tools.fhir.record import Chart, RecordSearch
from wardround.tools.hallucination.detector import RuleDetector
from wardround.tools.measure.calculator import ClinicalScores
from wardround.tools.retrieval.passages import GuidelinePassages
from wardround.tools.tool import Patient, Tool
from wardround.trace.events import EvidenceAdded
from wardround.trace.recorder import Recorder
from wardround.trace.visits import steps_begun


def _extend(old: list[Any], new: list[Any]) -> list[Any]:
    """Append what is not there yet; a node that runs again after a resume adds nothing."""
    return old + [value for value in new if value not in old]


def _extend_items(old: list[Item], new: list[Item]) -> list[Item]:
    return list(EvidenceGraph((*old, *new)).items)


_STATE_TYPES: tuple[type, ...] = (
    SourceItem,
    ReadingItem,
    ClaimItem,
    VerdictItem,
    WeightItem,
    Grade,
    ProvenanceItem,
    Provenance,
    SourceKind,
    Assertion,
    Laterality,
    ClaimKind,
    VerdictLabel,
    Severity,
)


Update = dict[str, Any]
"""What a step changes."""


class State(TypedDict, total=False):
    """State of a consult."""

    case: dict[str, Any]
    """With age and sex, once taken in."""
    read: float
    items: Annotated[list[Item], _extend_items]
    """Sources, readings, claims and verdicts; hypotheses and likelihoods follow from the knowledge."""
    urgency: str
    stratum: str
    """Leading specialty, by which a calibration card sorts cases."""
    route: list[str]
    indicators: list[str]
    opinions: Annotated[list[dict[str, Any]], _extend]
    round: int
    """How often more was gathered."""
    gathered: int
    """New sources of the last gathering."""
    searched: list[str]
    answer: str | None
    combined: float
    largest: str | None
    spent: bool
    proposal: dict[str, Any]
    decision: dict[str, Any]
    person: dict[str, Any] | None
    """What a person answered."""


class Assignment(TypedDict):
    """What one specialist is sent."""

    specialty: str
    case: dict[str, Any]
    items: list[Item]
    indicators: list[str]
    round: int


@dataclass(frozen=True)
class Context:
    """What the nodes of one consult work with; never part of the state."""

    case: Case
    clinician: KnowledgeClinician
    roster: Roster
    settings: ConsultSettings
    recorder: Recorder
    asker: Asker
    pictures: tuple[Picture, ...] = ()
    """Images of the case, read; none where the model does not look at images."""
    card: Card | None = None
    """The calibration that the consult names."""
    edits: Edits = field(default_factory=Edits)
    """What is changed about the run that this one is forked from."""
    other: Asker | None = None
    """Asks the other model of a fork."""
    other_after: int = 0
    """Steps that are begun before that one is asked."""

    @cached_property
    def chart(self) -> Chart:
        """The case's record, gone through once."""
        return chart_of(self.case, self.clinician)

    @cached_property
    def tools(self) -> dict[str, Tool]:
        """All tools by name; a specialty may use those that its entry lists."""
        kb = self.clinician.kb
        tools: list[Tool] = [GuidelinePassages(kb), ClinicalScores(kb)]
        if self.case.record is not None:
            tools.append(RecordSearch(self.chart, self.clinician))
        return {tool.name: tool for tool in tools}

    def asker_of(self, agent: str) -> Asker:
        """Return who asks a model on behalf of an agent."""
        if self.other is None or not self.edits.asks_other(agent):
            return self.asker
        return self.other if steps_begun(self.recorder.events) > self.other_after else self.asker

    @property
    def spent(self) -> bool:
        """Whether the case's budget has run out."""
        return self.asker.caller.meter.exhausted

    def detector(self, case: Case) -> RuleDetector:
        """The hallucination detector for this patient."""
        return RuleDetector(self.clinician, age=case.age, sex=case.sex.value if case.sex else None)

    def briefing(self, case: Case, items: Iterable[Item]) -> Briefing:
        """Return what an agent is shown of a case and its evidence."""
        sources = sources_of(items)
        seen = {source.document for source in sources}
        pictures = [picture for picture in self.pictures if f"image:{picture.sha256}" in seen]
        return Briefing(case, sources, [picture.reference() for picture in pictures])

    def add(self, items: Iterable[Item]) -> list[Item]:
        """Record items and return them for the state, without what a fork leaves out."""
        added = self.edits.kept(items)
        for item in added:
            self.recorder.record(EvidenceAdded, item=item)
        return added

    def copies(self, sources: Iterable[Source]) -> list[ProvenanceItem]:
        """Return which of these sources, or their documents, come from others of the record."""
        if not self.settings.provenance:
            return []
        known = {name for source in sources for name in (source.id, source.document)}
        return [item for item in self.chart.copies if item.tail in known]

    def graph(self, case: Case, items: Iterable[Item]) -> EvidenceGraph:
        """Return the evidence graph of a state, with hypotheses and likelihoods from the knowledge."""
        stated = EvidenceGraph(items)
        return stated.with_items(self.knowledge_items(case, stated))

    def knowledge_items(self, case: Case, graph: EvidenceGraph) -> list[Item]:
        """Return what the knowledge says of this patient's hypotheses and observations."""
        kb = self.clinician.kb
        sex = case.sex.value if case.sex else None
        return [kb.candidates(case.age, sex), *kb.bearings(graph.readings)]


def serializer() -> JsonPlusSerializer:
    """Return the checkpoints' serializer; it makes no types but those that the state holds."""
    return JsonPlusSerializer(allowed_msgpack_modules=_STATE_TYPES)


def case_of(state: State | Assignment) -> Case:
    """Return the case of a state."""
    return Case.model_validate(state["case"])


def opinions_of(state: State) -> list[Opinion]:
    """Return the opinions of a state."""
    return [
        Opinion(
            agent=row["agent"],
            rollout=row["rollout"],
            answer=SpecialistAnswer.model_validate(row["answer"]) if row["answer"] is not None else None,
            tokens=tuple(row["tokens"]) if row.get("tokens") is not None else None,
        )
        for row in state.get("opinions", [])
    ]


def calibration_of(context: Context, state: State) -> Calibration | None:
    """Return the card of a consult with the stratum of its case, if it names one.

    Nothing once a person has answered or told more: the card was made of consults without that.
    """
    if context.card is None or state.get("person"):
        return None
    return Calibration(context.card, state["stratum"])


def patient_of(case: Case, graph: EvidenceGraph) -> Patient:
    """Return what a tool may know of the patient."""
    readings = tuple(f for readings in graph.readings.values() for f in readings)
    return Patient(age=case.age, sex=case.sex.value if case.sex else None, findings=readings)


def evidence_items(sources: Iterable[Source], findings: Iterable[Finding]) -> list[Item]:
    """Return sources and readings as items."""
    return [
        *(SourceItem(source=source) for source in sources),
        *(ReadingItem(finding=finding) for finding in findings),
    ]


def sources_of(items: Iterable[Item]) -> list[Source]:
    """Return the sources among items, each once."""
    return list(EvidenceGraph(items).sources.values())


def unique(items: Iterable[Item]) -> list[Item]:
    """Return items, each once."""
    return list(EvidenceGraph(items).items)
