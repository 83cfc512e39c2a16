"""What comes out of a consult: a diagnosis that can be checked, or the reasons why not."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from wardround.core.differential import Differential, Hypothesis
from wardround.core.frozen import Frozen


class Urgency(StrEnum):
    """How soon the patient has to be seen."""

    EMERGENT = "emergent"
    URGENT = "urgent"
    ROUTINE = "routine"


class Triage(Frozen):
    """Urgency and the specialties to be asked; none is a legal answer."""

    urgency: Urgency
    specialties: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


class DecisionStatus(StrEnum):
    """How a consult ended."""

    FINAL = "final"
    ABSTAINED = "abstained"
    ESCALATED = "escalated"


class GateReason(StrEnum):
    """The predicates of the gate, each named by what it found wrong."""

    NO_DIAGNOSIS = "no_diagnosis"
    """Nobody proposed a diagnosis that the knowledge covers."""
    LOW_PROBABILITY = "low_probability"
    VACUITY = "vacuity"
    """Too little evidence bears on the diagnosis."""
    CONFLICT = "conflict"
    """Evidence for and against are of like weight."""
    FRAGILE = "fragile"
    """One unreliable group of evidence carries the diagnosis alone."""
    CRITICAL_CLAIM = "critical_claim"
    """The argument for the decision contains a contradicted claim of critical severity."""
    MUST_NOT_MISS = "must_not_miss"
    """A dangerous alternative is not excluded."""
    UNEXPLAINED = "unexplained"
    """Most of what was found is not explained by the diagnosis."""
    UNREAD = "unread"
    """Most of the text was not understood: another language, or outside the knowledge."""
    OVERRULED = "overruled"
    """The attending's diagnosis is not the one the evidence favours."""
    NO_OPINION = "no_opinion"
    """No agent gave an answer that could be read."""
    BUDGET = "budget"
    """The case used up what it was given before it was settled."""
    NOT_CERTIFIED = "not_certified"
    """The calibration card promises nothing of an answer of this probability."""
    SEVERAL_PATIENTS = "several_patients"
    """The record holds more than one patient."""
    CLINICIAN = "clinician"
    """A person decided."""


class Reason(Frozen):
    """One gate predicate that did not hold, with the figures."""

    code: GateReason
    detail: str


class Missing(Frozen):
    """Something not known that would change the decision, best value for its cost first."""

    code: str
    name: str
    how: str
    gain: float = Field(ge=0.0)
    """Expected information gain in bits."""


class RedFlag(Frozen):
    """A danger sign that is present, or a dangerous condition not excluded."""

    code: str
    name: str
    detail: str


class Decision(Frozen):
    """The answer of a consult.

    `probability`, `interval` and `differential` come from the evidence graph, never from what an
    agent said of its own confidence.
    """

    status: DecisionStatus
    diagnosis: Hypothesis | None = None
    """The attending's diagnosis; when the status is not final, the leading hypothesis is in `differential`."""
    probability: float | None = Field(default=None, ge=0.0, le=1.0)
    """That the diagnosis, or else the leading one, is right: as calibrated by the card, or else the posterior."""
    posterior: float | None = Field(default=None, ge=0.0, le=1.0)
    """The same as the evidence graph has it, whatever the card says."""
    interval: tuple[float, float] | None = None
    """5 % to 95 % band over reliabilities and likelihood ratios, its ends calibrated as `probability` is; or the pair
    of a Venn-Abers calibrator."""
    calibration: str = "uncalibrated"
    """Id of the calibration card, or `uncalibrated`."""
    certificate: str | None = None
    """What the card promises of answers, or that it promises nothing; nothing without a card."""
    differential: Differential
    plausible: tuple[str, ...] = ()
    """ICD-10 codes of all that is not excluded, dangerous ones included from 1 % on; with a card the conformal set,
    `other` being a diagnosis that is not listed."""
    reasons: tuple[Reason, ...] = ()
    """Why the gate stayed closed; empty where the status is final, unless the gate was not enforced."""
    missing: tuple[Missing, ...] = ()
    red_flags: tuple[RedFlag, ...] = ()
    summary: str = ""
    """The attending's argument in sentences."""

    def __str__(self) -> str:
        """Return the decision in a line, and each reason against it in one more.

        >>> from wardround.core.differential import Differential
        >>> print(Decision(status=DecisionStatus.ABSTAINED, differential=Differential()))
        abstained: no hypothesis
        """
        shown = self.diagnosis or self.differential.top
        named = f"{shown.name} ({shown.icd10})" if shown is not None else "no hypothesis"
        chance = f", probability {self.probability:.1%}" if self.probability is not None else ""
        chance += f" ({self.calibration})" if self.probability is not None and self.certificate is not None else ""
        within = f" [{self.interval[0]:.1%} to {self.interval[1]:.1%}]" if self.interval is not None else ""
        leading = "" if self.status is DecisionStatus.FINAL or shown is None else "leading "
        head = f"{self.status.value}: {leading}{named}{chance}{within}"
        return "\n".join([head, *(f"  - {reason.code.value}: {reason.detail}" for reason in self.reasons)])
