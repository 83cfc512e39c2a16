"""The knowledge base in memory: entries by id, likelihoods as one matrix, priors by age and sex."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from wardround.core.items import BearingItem, Candidate, CandidatesItem
from wardround.core.weighing import OTHER_PRIOR, Array
from wardround.knowledge.schema import (
    GRADED,
    Analyte,
    ConditionEntry,
    FindingEntry,
    How,
    Likelihood,
    Passage,
    Presentation,
    SourceEntry,
)

COST: dict[How, float] = {
    "ask": 1.0,
    "examine": 1.0,
    "measure": 1.0,
    "bedside": 2.0,
    "ecg": 3.0,
    "lab": 4.0,
    "xray": 8.0,
    "ultrasound": 12.0,
    "echo": 16.0,
    "ct": 30.0,
    "mri": 45.0,
    "endoscopy": 60.0,
    "invasive": 60.0,
}
"""Cost of obtaining a finding, a question at the bedside being 1: effort, price and harm together. Graded."""


@dataclass(frozen=True)
class KnowledgeBase:
    """All entries, checked against one another."""

    findings: Mapping[str, FindingEntry]
    analytes: Mapping[str, Analyte]
    conditions: Mapping[str, ConditionEntry]
    presentations: Mapping[str, Presentation]
    passages: Mapping[str, Passage]
    sources: Mapping[str, SourceEntry]
    presentation_conditions: Mapping[str, tuple[str, ...]]
    """Ids of the conditions written under each presentation."""

    @cached_property
    def finding_index(self) -> Mapping[str, int]:
        """Row of each finding in the likelihood matrix."""
        return {code: i for i, code in enumerate(self.findings)}

    @cached_property
    def decided_by(self) -> Mapping[str, tuple[FindingEntry, ...]]:
        """Findings that a measured value decides, by analyte."""
        found: dict[str, list[FindingEntry]] = {}
        for entry in self.findings.values():
            if entry.analyte is not None:
                found.setdefault(entry.analyte, []).append(entry)
        return {analyte: tuple(entries) for analyte, entries in found.items()}

    @cached_property
    def condition_index(self) -> Mapping[str, int]:
        """Column of each condition in the likelihood matrix."""
        return {code: j for j, code in enumerate(self.conditions)}

    @cached_property
    def background(self) -> Array:
        """P(finding | none of the conditions), shape (n_findings,)."""
        return np.array([entry.background for entry in self.findings.values()])

    @cached_property
    def likelihood(self) -> Array:
        """P(finding | condition), shape (n_findings, n_conditions); background where there is no figure."""
        matrix = np.repeat(self.background[:, None], len(self.conditions), axis=1)
        for j, condition in enumerate(self.conditions):
            for code, value in self.figures[condition].items():
                matrix[self.finding_index[code], j] = value
        return matrix

    @cached_property
    def figures(self) -> Mapping[str, Mapping[str, float]]:
        """P(finding | condition) by condition and finding, where it is not the background.

        These are the listed ones, and narrower findings whose background is above what is listed for a
        broader one: what makes vomiting rare makes bilious vomiting no less rare.
        """
        implied = {code: broad for code in self.broad_first if (broad := self.implied(code))}
        return {condition.id: self._figures(condition, implied) for condition in self.conditions.values()}

    def _figures(self, condition: ConditionEntry, implied: Mapping[str, tuple[str, ...]]) -> Mapping[str, float]:
        figures = {code: probability(value) for code, value in condition.findings.items()}
        for code, broad in implied.items():
            most = min((figures[b] for b in broad if b in figures), default=1.0)
            if code not in figures and most < self.findings[code].background:
                figures[code] = most
        return figures

    @cached_property
    def group(self) -> Mapping[str, str]:
        """Syndrome of each finding; one without a syndrome is a group of its own."""
        return {code: entry.group or code for code, entry in self.findings.items()}

    @cached_property
    def group_names(self) -> tuple[str, ...]:
        """All groups in order of name."""
        return tuple(sorted(set(self.group.values())))

    @cached_property
    def broad_first(self) -> Mapping[str, tuple[str, ...]]:
        """Findings, each behind those it implies, with the nearest of these: none that follows from another."""
        ordered = sorted(self.findings, key=lambda code: (len(self.implied(code)), code))
        return {code: self._nearest(self.findings[code].implies) for code in ordered}

    def _nearest(self, codes: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(code for code in codes if not any(code in self.implied(other) for other in codes))

    @cached_property
    def cost(self) -> Array:
        """Cost of obtaining each finding, shape (n_findings,)."""
        return np.array([COST[entry.how] for entry in self.findings.values()])

    @cached_property
    def specialties(self) -> tuple[str, ...]:
        """All specialties that look after a condition."""
        return tuple(sorted({s for c in self.conditions.values() for s in c.specialties}))

    def prior(self, age: float | None, sex: str | None) -> Array:
        """Return P(condition) before any finding, shape (n_conditions,), summing to 1 - other.

        Args:
            age: Years; unknown averages the multipliers over ages 1, 10, 30, 50 and 75.
            sex: `female` or `male`; unknown averages both.
        """
        key = (None if age is None else int(age), sex)
        if key not in self._priors:
            ages = _AGES_IF_UNKNOWN if key[0] is None else (key[0],)
            sexes = ("female", "male") if sex is None else (sex,)
            rates = [
                np.mean([_rate(condition, a, s) for a in ages for s in sexes]) for condition in self.conditions.values()
            ]
            floored = np.maximum(np.array(rates), 1e-9)
            self._priors[key] = floored / floored.sum() * (1.0 - OTHER_PRIOR)
        return self._priors[key]

    @cached_property
    def _priors(self) -> dict[tuple[int | None, str | None], Array]:
        return {}

    def candidates(self, age: float | None, sex: str | None) -> CandidatesItem:
        """Return the hypotheses of a patient of this age and sex as an item of the evidence graph."""
        key = (None if age is None else int(age), sex)
        if key not in self._candidates:
            self._candidates[key] = CandidatesItem(
                candidates=tuple(
                    Candidate(
                        id=c.id,
                        name=c.name,
                        icd10=c.icd10,
                        prior=float(p),
                        must_not_miss=c.must_not_miss,
                    )
                    for c, p in zip(self.conditions.values(), self.prior(age, sex), strict=True)
                )
            )
        return self._candidates[key]

    @cached_property
    def _candidates(self) -> dict[tuple[int | None, str | None], CandidatesItem]:
        return {}

    def bearings(self, codes: Iterable[str]) -> list[BearingItem]:
        """Return what the knowledge says of each known finding code."""
        known = [code for code in dict.fromkeys(codes) if code in self.findings]
        for code in known:
            if code not in self._bearings:
                self._bearings[code] = self._bearing(code)
        return [self._bearings[code] for code in known]

    @cached_property
    def _bearings(self) -> dict[str, BearingItem]:
        return {}

    def _bearing(self, code: str) -> BearingItem:
        entry = self.findings[code]
        cited = {
            condition.id: self.sources[value.source].citation
            for condition in self.conditions.values()
            if isinstance(value := condition.findings.get(code), Likelihood) and value.source != GRADED
        }
        return BearingItem(
            code=code,
            name=entry.name,
            group=self.group[code],
            background=entry.background,
            present={condition: figures[code] for condition, figures in self.figures.items() if code in figures},
            cited=cited,
        )

    @cached_property
    def names(self) -> Mapping[str, str]:
        """Condition id by lower-case id, name, synonym and ICD-10 code."""
        known: dict[str, str] = {}
        for c in self.conditions.values():
            for name in (c.id, c.id.replace("_", " "), c.name, c.icd10, *c.synonyms):
                known.setdefault(name.lower(), c.id)
        return known

    def find_condition(self, name: str) -> ConditionEntry | None:
        """Return a condition by id, name, synonym or ICD-10 code, or nothing."""
        code = self.names.get(" ".join(name.lower().split()))
        return self.conditions[code] if code is not None else None

    def implied(self, code: str) -> tuple[str, ...]:
        """Return the broader findings that hold whenever this one does, nearest first."""
        found: list[str] = []
        queue = list(self.findings[code].implies) if code in self.findings else []
        while queue:
            broader = queue.pop(0)
            if broader not in found:
                found.append(broader)
                queue.extend(self.findings[broader].implies)
        return tuple(found)


def probability(value: float | Likelihood) -> float:
    """Return the probability of a likelihood entry."""
    return value.p if isinstance(value, Likelihood) else value


_AGES_IF_UNKNOWN: Sequence[int] = (1, 10, 30, 50, 75)


def _rate(condition: ConditionEntry, age: int, sex: str) -> float:
    prevalence = condition.prevalence
    applicable = [start for start in prevalence.age if start <= age]
    by_age = prevalence.age[max(applicable)] if applicable else 1.0
    by_sex = {str(k): v for k, v in prevalence.sex.items()}.get(sex, 1.0)
    return prevalence.per_10000 * by_age * by_sex
