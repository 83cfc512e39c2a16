"""The ablation: patients, arms, a card, figures, and paired differences, as one report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wardround.core.calibration.card import Card
from wardround.core.errors import UsageError
from wardround.evals.ablation.arms import CALIBRATED, FULL, OFF, PARTS, ROLLOUTS, Part, settings_of
from wardround.evals.ablation.consulting import Round, fitted_card
from wardround.evals.ablation.outcomes import DECIDED, Arm, Outcome, differences, figures, outcome_of
from wardround.evals.ablation.patients import COPIES, CorruptedPatient, Corruption, corrupted_patients
from wardround.evals.calibrating.building import FEWEST
from wardround.evals.statistics import Estimate
from wardround.graphs.consult import Consult
from wardround.knowledge.base import KnowledgeBase
from wardround.knowledge.clinician import KnowledgeClinician
from wardround.models.handle import ModelHandle
from wardround.testing.erring import ErringChatModel, Errors

NOTICE = (
    "Simulated patients, drawn from the knowledge that the reference model reasons with, and errors drawn by rule: "
    "the figures compare parts of this software under known errors and say nothing of clinical accuracy."
)
_APART = 1_000_003
"""What the seed of the labelled patients is more than that of the others, so that no patient is in both."""

Told = Callable[[str, int, int], None]
"""Told what is under way, how much of it is done, and how much there is."""


@dataclass(frozen=True)
class Ablation:
    """What is to be measured."""

    model: ModelHandle
    """Asked in all arms, with errors put into its answers."""
    patients: int = 100
    calibrating: int = 400
    """Labelled patients from whom the card is made; with none there is no arm with a card."""
    seed: int = 0
    corruption: Corruption = field(default_factory=Corruption)
    concurrency: int = 16


def run(ablation: Ablation, clinician: KnowledgeClinician, *, told: Told = lambda what, done, total: None) -> Report:
    """Consult all patients in all arms.

    Args:
        ablation: What is to be measured.
        clinician: Knowledge from which patients are drawn, and by which errors are plausible.
        told: Told of the progress.

    Raises:
        UsageError: There are no patients, or too few for a card.
        ModelUnavailable: The model could not be reached.
    """
    if ablation.patients < 1:
        raise UsageError("there is no patient to consult; give at least one")
    if 0 < ablation.calibrating < FEWEST:
        raise UsageError(
            f"{ablation.calibrating} patients are too few for a card; give {FEWEST} or more, or 0 for no card"
        )
    return _Bench(ablation, clinician, told).report()


@dataclass(frozen=True)
class Report:
    """What came out."""

    ablation: Ablation
    patients: Sequence[CorruptedPatient]
    arms: Mapping[str, Arm]
    """By name of the part that is off; `full` with none off, `calibrated` with a card."""
    card: Card | None
    baselines: Mapping[str, Arm]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        seed = self.ablation.seed
        return {
            "what": "each part of a ward on and off, on simulated patients with corrupted evidence",
            "notice": NOTICE,
            "model": self.ablation.model.spec,
            "n": len(self.patients),
            "seed": seed,
            "corruption": self.ablation.corruption.model_dump(mode="json"),
            "corrupted": self._corrupted(),
            "settings": settings_of(None, seed=seed).model_dump(mode="json"),
            "arms": {name: _rounded(figures(arm, seed=seed)) for name, arm in self.arms.items()},
            "differences": {part: self._difference(part, *pair) for part, pair in self._pairs().items()},
            "baselines": {name: _rounded(figures(arm, DECIDED)) for name, arm in self.baselines.items()},
            "brier_without_skill": self._without_skill(),
            "card": _card(self.card) if self.card is not None else None,
        }

    def _pairs(self) -> dict[str, tuple[str, str]]:
        """The arm that has a part, and the arm that is the same without it."""
        pairs: dict[str, tuple[str, str]] = {part: (FULL, part) for part in PARTS}
        return pairs | ({"calibration": (CALIBRATED, FULL)} if CALIBRATED in self.arms else {})

    def _difference(self, part: str, having: str, lacking: str) -> dict[str, Any]:
        one, other = self.arms[having], self.arms[lacking]
        return {
            "off": OFF[part],
            "with": having,
            "without": lacking,
            "changed": sum(a.group != b.group for a, b in zip(one.outcomes, other.outcomes, strict=True)),
            **_rounded(differences(one, other, seed=self.ablation.seed)),
        }

    def _without_skill(self) -> float:
        """Brier score of stating the share of right diagnoses every time, for those of the arm with all on."""
        share = float(self.arms[FULL].columns["stated_right"].mean())
        return round(share * (1.0 - share), 4)

    def _corrupted(self) -> dict[str, Any]:
        full = self.arms[FULL]
        return {
            "wrong_readings": sum(len(p.wrong) for p in self.patients),
            "patients_with_wrong_readings": sum(bool(p.wrong) for p in self.patients),
            "patients_with_copied_errors": sum(bool(p.wrong) and p.copied for p in self.patients),
            "copies": COPIES,
            "hallucinated_claims": sum(o.hallucinated for o in full.outcomes),
            "rollouts": ROLLOUTS,
        }


class _Bench:
    """Consults arm after arm, and makes the card."""

    def __init__(self, ablation: Ablation, clinician: KnowledgeClinician, told: Told) -> None:
        self._ablation, self._kb, self._told = ablation, clinician.kb, told
        corruption, seed = ablation.corruption, ablation.seed
        errors = Errors(
            wrong=corruption.erring, hallucinated=corruption.hallucinations, attending_hallucinates=True, seed=seed
        )
        self._erring = ErringChatModel(inner=ablation.model.chat, errors=errors, clinician=clinician)
        self._round = Round(self._erring.handle(ablation.model), seed, ablation.concurrency)
        self._patients = corrupted_patients(self._kb, ablation.patients, seed=seed, corruption=corruption)
        self._labelled = corrupted_patients(self._kb, ablation.calibrating, seed=seed + _APART, corruption=corruption)

    def report(self) -> Report:
        arms = {FULL: self._arm(FULL, None)}
        arms |= {part: self._arm(part, part) for part in PARTS}
        card = self._fitted() if self._ablation.calibrating else None
        if card is not None:
            arms[CALIBRATED] = self._arm(CALIBRATED, None, card)
        return Report(
            ablation=self._ablation,
            patients=self._patients,
            arms=arms,
            card=card,
            baselines={
                "most_probable_beforehand": Arm([_beforehand(self._kb, p) for p in self._patients]),
                "always_abstains": Arm([_silent(self._kb, p) for p in self._patients]),
            },
        )

    def _arm(self, name: str, without: Part | None, card: Card | None = None) -> Arm:
        done = _Count(self._told, name, len(self._patients))

        def outcome(patient: CorruptedPatient, consult: Consult) -> Outcome:
            done.one_more()
            return outcome_of(consult, patient.sample.gold, self._erring.injected)

        return Arm(self._round.consult(self._patients, without, card, outcome))

    def _fitted(self) -> Card:
        done = _Count(self._told, "card", len(self._labelled))

        def row(patient: CorruptedPatient, consult: Consult) -> dict[str, Any]:
            done.one_more()
            return consult.to_json()

        rows = self._round.consult(self._labelled, None, None, row)
        return fitted_card(rows, self._labelled, self._kb, seed=self._ablation.seed)


class _Count:
    """Counts what is done and tells of it."""

    def __init__(self, told: Told, what: str, total: int) -> None:
        self._told, self._what, self._total, self._done = told, what, total, 0

    def one_more(self) -> None:
        self._done += 1
        self._told(self._what, self._done, self._total)


def _beforehand(kb: KnowledgeBase, patient: CorruptedPatient) -> Outcome:
    """The commonest condition at this age and sex, always answered."""
    case = patient.sample.case
    prior = kb.prior(case.age, case.sex.value if case.sex is not None else None)
    first = int(prior.argmax())
    is_right = list(kb.conditions)[first] in patient.sample.gold.conditions
    return _without_consult(float(prior[first]), is_right=is_right, is_final=True)


def _silent(kb: KnowledgeBase, patient: CorruptedPatient) -> Outcome:
    """The same condition as the leading one, never answered."""
    before = _beforehand(kb, patient)
    return _without_consult(before.stated, is_right=before.right, is_final=False)


def _without_consult(p: float, *, is_right: bool, is_final: bool) -> Outcome:
    return Outcome(
        final=is_final,
        right=is_final and is_right,
        leading_right=is_right,
        stated=p,
        stated_right=is_right,
        uncertainty=1.0 - p,
        favoured_right=is_right,
    )


def _rounded(found: Mapping[str, Estimate]) -> dict[str, dict[str, Any]]:
    return {name: estimate.as_json() for name, estimate in found.items()}


def _card(card: Card) -> dict[str, Any]:
    return {
        "id": card.id,
        "cases": card.fitted_on.cases,
        "splits": card.fitted_on.splits,
        "calibrators": {name: calibrator.method for name, calibrator in card.calibrators.items()},
        "promise": str(card.threshold),
        "certified": card.threshold.certified,
    }
