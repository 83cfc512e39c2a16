"""Published clinical scores; what is not known makes a range of points, never a zero."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import yaml

from wardround.core.errors import ToolRetry, UsageError
from wardround.core.finding import Finding, Presence
from wardround.core.source import Source, SourceKind
from wardround.knowledge.base import KnowledgeBase
from wardround.tools.measure.schema import Score, ScoreFile, ScoreItem
from wardround.tools.tool import Patient, ToolResult


@dataclass(frozen=True)
class ScoreResult:
    """A score as far as it can be told."""

    score: Score
    low: float
    """Points if everything unknown turns out for the lowest total."""
    high: float
    answered: Mapping[str, float]
    """Points by item that is known."""
    unknown: tuple[str, ...]
    """Texts of the items that are not known."""

    @property
    def meanings(self) -> tuple[str, ...]:
        """Strata that the total can fall in; one when the score is settled."""
        strata = self.score.strata
        upper = [*(s.at_least for s in strata[1:]), float("inf")]
        return tuple(
            s.meaning for s, end in zip(strata, upper, strict=True) if self.high >= s.at_least and self.low < end
        ) or (strata[0].meaning,)

    def __str__(self) -> str:
        """Return the total, what it means, and what is not known."""
        total = f"{self.low:g}" if self.low == self.high else f"{self.low:g} to {self.high:g}"
        parts = [f"{self.score.name}: {total} points ({' or '.join(self.meanings)})."]
        if self.unknown:
            parts.append(f"Not known: {'; '.join(self.unknown)}.")
        return " ".join(parts)


@cache
def embedded_scores() -> Mapping[str, Score]:
    """Return the scores that ship with Wardround, by id."""
    text = (resources.files("wardround.tools.measure") / "scores.yaml").read_text("utf-8")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return {score.id: score for score in ScoreFile.model_validate(yaml.load(text, loader)).scores}


def calculate(
    score: Score,
    *,
    age: float | None,
    sex: str | None,
    present: Mapping[str, Presence],
    numbers: Mapping[str, float],
    answers: Mapping[str, bool] | None = None,
) -> ScoreResult:
    """Work out a score from what is known.

    Args:
        score: Which.
        age: Years.
        sex: `female` or `male`.
        present: Presence by finding code; codes that are not there are unknown.
        numbers: Values by analyte, in the analyte's own unit.
        answers: Yes or no by item id, for items that the caller knows; they go first.

    Raises:
        UsageError: An answer names no item, or one that takes more than a yes or no; or the score does
            not apply at this age.
    """
    stray = set(answers or {}) - {item.id for item in score.items}
    if stray:
        raise UsageError(f"{score.name} has no item {', '.join(sorted(stray))}")
    if age is not None and age < score.min_age:
        raise UsageError(f"{score.name} does not apply below {score.min_age:g} years")
    low = high = 0.0
    answered: dict[str, float] = {}
    unknown: list[str] = []
    known = {**numbers, **({"age": age} if age is not None else {})}
    for item in score.items:
        points = _points(item, sex, present, known, answers or {})
        if points is None:
            least, most = _bounds(item)
            low, high = low + least, high + most
            unknown.append(item.text)
        else:
            low, high = low + points, high + points
            answered[item.id] = points
    return ScoreResult(score, round(low, 6), round(high, 6), answered, tuple(unknown))


def _points(
    item: ScoreItem,
    sex: str | None,
    present: Mapping[str, Presence],
    numbers: Mapping[str, float],
    answers: Mapping[str, bool],
) -> float | None:
    if item.id in answers:
        return _yes_points(item) if answers[item.id] else 0.0
    if item.number is not None:
        return _banded(item, numbers[item.number]) if item.number in numbers else None
    if item.sex is not None:
        return None if sex is None else item.points if sex == item.sex else 0.0
    yes = _yes(item, present)
    return None if yes is None else item.points if yes else 0.0


def _yes_points(item: ScoreItem) -> float:
    """Points for a yes: of bands, the one figure that is not 0."""
    if not item.bands:
        return item.points
    graded = {band.points for band in item.bands if band.points}
    if len(graded) > 1:
        raise UsageError(f"{item.id} takes no yes or no; give the number of {item.number}")
    return graded.pop()


def _yes(item: ScoreItem, present: Mapping[str, Presence]) -> bool | None:
    """Three-valued: one decisive finding is enough, all others must be known."""
    decided: list[bool | None] = []
    for codes, when_present in ((item.any_of, True), (item.none_of, False)):
        states = [present.get(code, Presence.UNKNOWN) for code in codes]
        if not states:
            continue
        if Presence.PRESENT in states:
            decided.append(when_present)
        elif Presence.UNKNOWN in states:
            decided.append(None)
        else:
            decided.append(not when_present)
    if False in decided:
        return False
    return None if not decided or None in decided else True


def _banded(item: ScoreItem, value: float) -> float | None:
    """Points of the band that holds a value; outside all bands the number does not decide."""
    for band in item.bands:
        if (band.at_least is None or value >= band.at_least) and (band.below is None or value < band.below):
            return band.points
    return None


def _bounds(item: ScoreItem) -> tuple[float, float]:
    """Least and most points; bands with an end left open on either side cover every value."""
    covered = any(b.at_least is None for b in item.bands) and any(b.below is None for b in item.bands)
    options = [band.points for band in item.bands] if item.bands else [item.points]
    if not covered:
        options.append(0.0)
    return min(options), max(options)


class ClinicalScores:
    """Calculates the scores that belong to a diagnosis, from the readings so far."""

    name = "clinical_score"
    purpose = "published clinical scores for a diagnosis or by name; the argument is either"

    def __init__(self, kb: KnowledgeBase, scores: Mapping[str, Score] | None = None) -> None:
        self._kb = kb
        self._scores = embedded_scores() if scores is None else scores

    def use(self, argument: str, patient: Patient, /) -> ToolResult:
        """Return the scores with their citation.

        Raises:
            ToolRetry: No score has this name or is about this diagnosis.
        """
        present = known_presence(patient.findings)
        numbers = known_numbers(self._kb, patient.findings)
        wanted = self._wanted(argument)
        if not wanted:
            return ToolResult(text=f"no score is about {argument.strip()}")
        sources = []
        for score in wanted:
            if patient.age is not None and patient.age < score.min_age:
                continue
            result = calculate(score, age=patient.age, sex=patient.sex, present=present, numbers=numbers)
            sources.append(
                Source(
                    kind=SourceKind.SCORE,
                    text=str(result),
                    document=f"score:{score.id}",
                    title=score.name,
                    citation=score.citation,
                )
            )
        text = "\n".join(source.text for source in sources) or "no score applies at this age"
        return ToolResult(text=text, sources=tuple(sources))

    def _wanted(self, argument: str) -> list[Score]:
        wanted = argument.strip().lower()
        named = [s for s in self._scores.values() if wanted in (s.id, s.name.lower(), *map(str.lower, s.synonyms))]
        if named:
            return named
        condition = self._kb.find_condition(argument)
        if condition is not None:
            return [s for s in self._scores.values() if condition.id in s.about]
        names = list(itertools.chain.from_iterable((s.id, s.name) for s in self._scores.values()))
        near = difflib.get_close_matches(argument, names, n=3, cutoff=0.4)
        raise ToolRetry(self.name, f"no score {argument!r}; near: {', '.join(near) or 'none'}")


def known_presence(findings: tuple[Finding, ...]) -> dict[str, Presence]:
    """Return presence by code; readings that contradict one another leave it unknown."""
    said: dict[str, set[Presence]] = {}
    for finding in findings:
        if finding.presence is not Presence.UNKNOWN:
            said.setdefault(finding.code, set()).add(finding.presence)
    return {code: next(iter(states)) for code, states in said.items() if len(states) == 1}


def known_numbers(kb: KnowledgeBase, findings: tuple[Finding, ...]) -> dict[str, float]:
    """Return the latest value of each analyte among current readings; one without a time is of now."""
    latest: dict[str, tuple[tuple[bool, float], float]] = {}
    for finding in findings:
        entry = kb.findings.get(finding.code)
        is_current = finding.presence is not Presence.UNKNOWN
        if finding.value is None or not is_current or entry is None or entry.analyte is None:
            continue
        when = (finding.time is None, finding.time.timestamp() if finding.time is not None else 0.0)
        if entry.analyte not in latest or when >= latest[entry.analyte][0]:
            latest[entry.analyte] = (when, finding.value)
    return {analyte: value for analyte, (_, value) in latest.items()}
