"""What a consult leaves: the decision, the evidence, and everything that led there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from wardround.agents.roles import ATTENDING
from wardround.core.case import Case
from wardround.core.claim import Claim, Verdict
from wardround.core.decision import Decision, Triage
from wardround.core.errors import UsageError, WardroundError
from wardround.core.graph import EvidenceGraph
from wardround.core.source import Source
from wardround.core.uncertainty import Uncertainty
from wardround.graphs.opening import open_run
from wardround.models.budget import Prices
from wardround.trace import views
from wardround.trace.events import (
    Event,
    ImageRead,
    ModelAnswered,
    OpinionGiven,
    RecordRead,
    RunStarted,
    TriageGiven,
    UncertaintyMeasured,
)

NOTICE = "Research software, not validated for care. A clinician must check every statement."


@dataclass(frozen=True)
class Consult:
    """A consult that came to a decision; everything is read off its log."""

    case: Case
    events: tuple[Event, ...]
    evidence: EvidenceGraph
    workspace: Path | str | None = None
    """Where its run is kept, if it is."""

    @classmethod
    def from_events(cls, case: Case, events: Sequence[Event], *, workspace: Path | str | None = None) -> Consult:
        """Make a consult of its log."""
        return cls(case=case, events=tuple(events), evidence=views.evidence_graph(events), workspace=workspace)

    @cached_property
    def _started(self) -> RunStarted:
        return next(e for e in self.events if isinstance(e, RunStarted))

    @property
    def run(self) -> str:
        """Id of the run."""
        return self._started.run

    @property
    def model(self) -> str:
        """Spec of the model that was asked."""
        return self._started.model

    @cached_property
    def decision(self) -> Decision:
        """The decision.

        Raises:
            WardroundError: The run ended before there was one.
        """
        decision = views.decision(self.events)
        if decision is None:
            raise WardroundError(f"run {self.run} came to no decision; see `wardround runs show {self.run}`")
        return decision

    @cached_property
    def triage(self) -> Triage | None:
        """How the case was sorted."""
        return next((e.triage for e in self.events if isinstance(e, TriageGiven)), None)

    @cached_property
    def uncertainty(self) -> Uncertainty | None:
        """The last measurement of the uncertainty."""
        measured = [e.uncertainty for e in self.events if isinstance(e, UncertaintyMeasured)]
        return measured[-1] if measured else None

    @cached_property
    def favoured(self) -> str | None:
        """Condition id of the answer that the uncertainty is of: the one that the specialists favour."""
        measured = [e.answer for e in self.events if isinstance(e, UncertaintyMeasured)]
        return measured[-1] if measured else None

    @property
    def claims(self) -> list[tuple[Claim, Verdict | None]]:
        """Everything that was claimed, with its verdict: by agent, the attending last, each in its own order.

        Specialists work at the same time, so the order of the log would differ from run to run.
        """
        claims = sorted(self.evidence.claims.values(), key=lambda c: (c.agent == ATTENDING, c.agent))
        return [(claim, self.evidence.verdicts.get(claim.id)) for claim in claims]

    @property
    def opinions(self) -> list[OpinionGiven]:
        """What each rollout of each specialist held, by agent."""
        return sorted((e for e in self.events if isinstance(e, OpinionGiven)), key=lambda e: (e.agent, e.rollout))

    @property
    def sources(self) -> list[Source]:
        """What was read: the case in its order, then literature and scores by title."""
        return sorted(self.evidence.sources.values(), key=lambda s: s.title if s.citation is not None else "")

    @property
    def usage(self) -> views.Usage:
        """What it cost."""
        return views.usage(self.events)

    @property
    def money(self) -> float | None:
        """What it cost in the currency of the prices; nothing where none were given."""
        given = self._started.settings.get("prices")
        if given is None:
            return None
        prices = Prices.model_validate(given)
        agents = self.usage.agents.values()
        return math.fsum(prices.cost(agent.input_tokens, agent.output_tokens) for agent in agents)

    @property
    def served_by(self) -> tuple[str, ...]:
        """What the model's server said it served, in the order in which the names came up."""
        named = (e.served_by for e in self.events if isinstance(e, ModelAnswered))
        return tuple(dict.fromkeys(name for name in named if name is not None))

    @property
    def problems(self) -> tuple[str, ...]:
        """What of the case could not be taken in."""
        read = (p for e in self.events if isinstance(e, RecordRead) for p in e.problems)
        seen = (f"{e.uri}: {p}" for e in self.events if isinstance(e, ImageRead) for p in e.problems)
        return (*read, *seen)

    @property
    def contested(self) -> list[str]:
        """Findings that one place says are there and another says are not."""
        names = {bearing.code: bearing.name for bearing in self.evidence.bearings}
        return [names.get(code, code) for code in self.evidence.contested]

    @property
    def skipped(self) -> dict[str, int]:
        """Resource types of the record that say nothing to a diagnosis, with their number."""
        return next((e.skipped for e in self.events if isinstance(e, RecordRead)), {})

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        decision = self.decision
        uncertainty = self.uncertainty
        usage = self.usage
        return {
            "run": self.run,
            "case": self.case.id,
            "model": self.model,
            "settings": self._started.settings,
            "notice": NOTICE,
            "triage": {
                "urgency": self.triage.urgency.value,
                "specialties": list(self.triage.specialties),
                "reasons": list(self.triage.reasons),
            }
            if self.triage is not None
            else None,
            "decision": {
                "status": decision.status.value,
                "diagnosis": {
                    "id": decision.diagnosis.id,
                    "name": decision.diagnosis.name,
                    "icd10": decision.diagnosis.icd10,
                }
                if decision.diagnosis is not None
                else None,
                "probability": decision.probability,
                "posterior": decision.posterior,
                "interval": list(decision.interval) if decision.interval is not None else None,
                "calibration": decision.calibration,
                "certificate": decision.certificate,
                "differential": [h.model_dump() for h in decision.differential.hypotheses],
                "other": decision.differential.other,
                "set": list(decision.plausible),
                "reasons": [r.model_dump(mode="json") for r in decision.reasons],
                "missing": [m.model_dump(mode="json") for m in decision.missing],
                "red_flags": [f.model_dump(mode="json") for f in decision.red_flags],
                "summary": decision.summary,
            },
            "claims": [
                {
                    "text": claim.text,
                    "agent": claim.agent,
                    "verdict": verdict.label.value if verdict is not None else None,
                    "severity": verdict.severity.value if verdict is not None else None,
                    "evidence": list(claim.cites),
                    "reason": verdict.reason if verdict is not None else None,
                }
                for claim, verdict in self.claims
            ],
            "opinions": [{"agent": o.agent, "rollout": o.rollout, "diagnosis": o.cluster} for o in self.opinions],
            "uncertainty": {
                "answer": self.favoured,
                "combined": uncertainty.combined,
                "parts": {part.value: value for part, value in uncertainty.parts.items()},
            }
            if uncertainty is not None
            else None,
            "evidence": [{"id": s.id, "kind": s.kind.value, "title": s.title, "text": s.text} for s in self.sources],
            "contested": self.contested,
            "record": {"skipped": self.skipped, "problems": list(self.problems)},
            "served_by": list(self.served_by),
            "usage": {**asdict(usage), "money": self.money},
        }

    def open(self) -> str:
        """Show the run on the dashboard, in the browser of this machine, and return its address.

        The dashboard listens on this machine alone, and ends with this program.

        Raises:
            UsageError: The run is not kept, or the dashboard does not start.
        """
        if self.workspace is None:
            raise UsageError("the run is not kept, so no page can show it; consult with Ward(workspace=DIR)")
        return open_run(self.run, self.workspace)

    def to_fhir(self) -> dict[str, Any]:
        """Return the result as a FHIR R4 transaction Bundle, preliminary until a clinician signs.

        Raises:
            MissingExtra: fhir.resources is not installed.
        """
        from wardround.tools.fhir.export import consult_bundle  # fhir.resources is heavy and optional

        return consult_bundle(self.case, self.decision, self.evidence, run=self.run, model=self.model)
