"""What a clinician sees first of a run: the decision with its confidence, and the report sentence by sentence.

Each sentence leads to the claims that make it, their verdicts, what they rest on, and the very place where that stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from wardround.agents.roles import ATTENDING
from wardround.core.case import Case
from wardround.core.claim import Claim, Severity, Verdict
from wardround.core.decision import Decision
from wardround.core.graph import EvidenceGraph
from wardround.core.uncertainty import WEIGHTS, Part, Uncertainty
from wardround.dashboard.evidence import claim_picture
from wardround.dashboard.heading import head_of
from wardround.dashboard.images import images_of
from wardround.dashboard.places import Place, Places
from wardround.dashboard.showing import Shown, line, shown
from wardround.graphs.consult import NOTICE, Consult
from wardround.trace import views
from wardround.trace.events import Event, EvidenceAdded, ModelAnswered, Suspended

MOST_PICTURES = 30
"""Sentences whose evidence is drawn on the page; of further ones it is a link away."""
MOST_CLAIMS = 400

PART_WORDS: dict[Part, tuple[str, str]] = {
    Part.SELF: ("rollouts differ", "share of the rollouts that gave another answer"),
    Part.SEMANTIC: ("answers scatter", "entropy of the rollouts' answers, normalised"),
    Part.CONFIDENCE: ("stated doubt", "1 - confidence that the model stated"),
    Part.TOKENS: ("hesitant words", "1 - probability of the answer's tokens, normalised by length"),
    Part.VOTES: ("votes may err together", "1 - P(answer right | votes), as measured on the card's cases"),
    Part.EVIDENCE: ("evidence for others", "1 - posterior of the answer in the evidence graph"),
    Part.IGNORANCE: ("little evidence", "vacuity of the evidence behind the answer"),
    Part.CONFLICT: ("evidence in conflict", "balance of evidence for and against the answer"),
    Part.HALLUCINATION: ("claims not borne out", "1 - mean MediHall score of the claims; 1 if one is catastrophic"),
    Part.DISAGREEMENT: ("specialists disagree", "Jensen-Shannon divergence of their distributions, normalised"),
}
"""Name and meaning of each part of the uncertainty."""


@dataclass(frozen=True)
class PartShown:
    """One part of the uncertainty."""

    name: str
    meaning: str
    value: float
    weight: float
    """Share of the combination, before a card changes it."""
    is_largest: bool


@dataclass(frozen=True)
class ClaimShown:
    """A claim with its verdict and the places that it cites."""

    id: str
    agent: str
    text: Shown
    kind: str
    label: str
    """supported, contradicted, not_addressed, or unchecked."""
    severity: str
    reason: str
    cites: tuple[str, ...]
    """Ids of sources that are on the page."""
    lost: tuple[str, ...]
    """What it cites and nobody has read."""
    decided_by: tuple[str, ...]
    """Ids of the sources that decided the verdict."""


@dataclass(frozen=True)
class Bearing:
    """What one finding that a sentence rests on says of one hypothesis."""

    finding: str
    presence: str
    hypothesis: str
    llr: float
    citation: str | None


@dataclass(frozen=True)
class Sentence:
    """One sentence of the report with all that stands behind it."""

    number: int
    text: str
    claims: tuple[ClaimShown, ...]
    label: str
    """Worst verdict of its claims; `unclaimed` where it is no claim."""
    places: tuple[Place, ...]
    bearings: tuple[Bearing, ...]
    picture: Markup

    @property
    def anchor(self) -> str:
        """Id of its detail on the page."""
        return f"sentence-{self.number}"


def report_page(events: Sequence[Event], case: Case) -> dict[str, Any]:
    """Return all that the report of a run shows.

    Args:
        events: The run's log, whole or up to now.
        case: The patient, or the task of a record agent.

    Returns:
        `head` (see `head_of`), `decision`, `triage`, `parts` and `combined`, `differential` with `rest`
        (probability of those behind the eighth), `danger` (ids of dangerous hypotheses), `sentences`, `others` (claims
        of the specialists), `images`, `problems`, `question` (what a person is asked), `answer` (the last of a run
        without a decision), `story` (the case as text) and `notice`; what the run has nothing for is None or empty.
    """
    consult = Consult.from_events(case, events)
    graph, decision = consult.evidence, views.decision(events)
    places = Places(case, graph, _added(events))
    claims = claims_of(graph)
    waiting = events[-1].question if events and isinstance(events[-1], Suspended) else None
    sentences = sentences_of(decision, graph, claims, places)
    spoken = {claim.id for sentence in sentences for claim in sentence.claims}
    return {
        "head": head_of(events, case),
        "decision": decision,
        "triage": consult.triage,
        "combined": consult.uncertainty.combined if consult.uncertainty is not None else None,
        "parts": parts_of(consult.uncertainty),
        "differential": decision.differential if decision is not None else None,
        "rest": sum(h.probability for h in decision.differential.hypotheses[8:]) if decision is not None else 0.0,
        "danger": {c.id for c in graph.candidates if c.must_not_miss},
        "sentences": sentences,
        "others": [claim for claim in claims if claim.id not in spoken][:MOST_CLAIMS],
        "images": images_of(events, case, graph),
        "problems": [line(problem) for problem in consult.problems],
        "skipped": consult.skipped,
        "question": waiting,
        "answer": _last_answer(events) if decision is None else None,
        "story": story_of(case),
        "notice": NOTICE,
    }


def _last_answer(events: Sequence[Event]) -> Shown | None:
    last = next((event for event in reversed(events) if isinstance(event, ModelAnswered)), None)
    return shown(last.text, whole=f"event/{last.seq}") if last is not None and last.text else None


def story_of(case: Case) -> Shown:
    """Return the case as it was told."""
    return shown(case.narrative or "", whole="case")


def parts_of(uncertainty: Uncertainty | None) -> list[PartShown]:
    """Return the parts of the uncertainty, the largest value first."""
    if uncertainty is None:
        return []
    total = sum(WEIGHTS[part] for part in uncertainty.parts) or 1.0
    parts = [
        PartShown(*PART_WORDS[part], max(0.0, round(value, 6)), WEIGHTS[part] / total, part is uncertainty.largest)
        for part, value in uncertainty.parts.items()
    ]
    return sorted(parts, key=lambda part: -part.value)


def claims_of(graph: EvidenceGraph) -> list[ClaimShown]:
    """Return all claims: those that are not borne out first, then by agent, the attending last."""
    found = [claim_shown(claim, graph.verdicts.get(claim.id), graph) for claim in graph.claims.values()]
    order = {"contradicted": 0, "not_addressed": 1, "unchecked": 2, "supported": 3}
    return sorted(found, key=lambda claim: (order[claim.label], claim.agent == ATTENDING, claim.agent))


def claim_shown(claim: Claim, verdict: Verdict | None, graph: EvidenceGraph) -> ClaimShown:
    """Return a claim as a page shows it."""
    scored = verdict is not None and verdict.severity not in (Severity.CORRECT, Severity.UNSCORED)
    return ClaimShown(
        id=claim.id,
        agent=line(claim.agent, most=60),
        text=shown(claim.text, most=1000),
        kind=claim.kind.value,
        label=verdict.label.value if verdict is not None else "unchecked",
        severity=verdict.severity.value if verdict is not None and scored else "",
        reason=line(verdict.reason) if verdict is not None else "",
        cites=tuple(dict.fromkeys(c for c in claim.cites if c in graph.sources)),
        lost=tuple(line(c, most=80) for c in dict.fromkeys(claim.cites) if c not in graph.sources),
        decided_by=tuple(s for s in verdict.evidence if s in graph.sources) if verdict is not None else (),
    )


def sentences_of(
    decision: Decision | None, graph: EvidenceGraph, claims: Sequence[ClaimShown], places: Places
) -> list[Sentence]:
    """Return the report's sentences in order, each with what it rests on.

    The report is the attending's argument, whose claims stand in it word for word; what of it is no claim is a
    sentence without one. A claim that others stated in the same words, or of the same sources, belongs to it as well.
    """
    by_id = {claim.id: claim for claim in claims}
    summary = decision.summary if decision is not None else ""
    argument = [claim for claim in graph.claims.values() if claim.agent == ATTENDING and claim.text in summary]
    sentences = []
    for number, (text, claim) in enumerate(_pieces(summary, argument), start=1):
        if claim is None:
            sentences.append(Sentence(number, line(text, most=1000), (), "unclaimed", (), (), Markup("")))
            continue
        same = [by_id[c.id] for c in graph.claims.values() if _is_same(c, claim)]
        behind = tuple(dict.fromkeys(s for one in same for s in (*one.cites, *one.decided_by)))
        sentences.append(
            Sentence(
                number=number,
                text=line(text, most=1000),
                claims=tuple(sorted(same, key=lambda c: (c.id != claim.id, c.agent))),
                label=_worst(same),
                places=tuple(places.of(graph.sources[s]) for s in behind[:12]),
                bearings=bearings_of(graph, behind),
                picture=claim_picture(graph, claim.id) if number <= MOST_PICTURES else Markup(""),
            )
        )
    return sentences


def _is_same(claim: Claim, other: Claim) -> bool:
    return claim.text.casefold() == other.text.casefold()


def _worst(claims: Iterable[ClaimShown]) -> str:
    order = {"contradicted": 0, "not_addressed": 1, "unchecked": 2, "supported": 3}
    return min((claim.label for claim in claims), key=lambda label: order[label], default="unclaimed")


def _pieces(summary: str, argument: Sequence[Claim]) -> Iterable[tuple[str, Claim | None]]:
    """The summary cut into claims and what is between them, each claim where it stands first."""
    at = 0
    rest = list(argument)
    while rest:
        found = [(summary.find(claim.text, at), -len(claim.text), claim) for claim in rest]
        there = [entry for entry in found if entry[0] >= 0]
        if not there:
            break
        start, _, claim = min(there, key=lambda entry: entry[:2])
        if summary[at:start].strip():
            yield from ((part, None) for part in _split(summary[at:start]))
        yield claim.text, claim
        at = start + len(claim.text)
        rest.remove(claim)
    yield from ((part, None) for part in _split(summary[at:]))


def _split(text: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.!?])\s+", text.strip()) if part]


def bearings_of(graph: EvidenceGraph, sources: Iterable[str], *, most: int = 12) -> tuple[Bearing, ...]:
    """Return what the findings read in some sources say of the three leading hypotheses, strongest first."""
    if not graph.candidates:
        return ()
    wanted = set(sources)
    codes = {code for code, read in graph.readings.items() if any(finding.source in wanted for finding in read)}
    found = []
    for hypothesis in graph.differential.hypotheses[:3]:
        why = graph.why(hypothesis.id)
        for weight in (*why.supporting, *why.opposing):
            if weight.code in codes:
                found.append(Bearing(weight.name, weight.presence.value, hypothesis.name, weight.llr, weight.citation))
    return tuple(sorted(found, key=lambda bearing: -abs(bearing.llr))[:most])


def _added(events: Sequence[Event]) -> dict[str, int]:
    """Place in the log of each source."""
    return {e.item.source.id: e.seq for e in events if isinstance(e, EvidenceAdded) and e.item.item == "source"}
