"""Which way through a task the record leads, so that a score can be told apart from doing nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from wardround.evals.medagentbench.facts import (
    Age,
    Facts,
    Infusion,
    Level,
    LookUp,
    Recheck,
    Recording,
    Referral,
    Repletion,
    facts_of,
)
from wardround.evals.medagentbench.gold import Gold, Measurement, considered, latest
from wardround.evals.medagentbench.tasks import MedAgentTask

BRANCHES: Mapping[int, tuple[str, ...]] = {
    1: ("found", "not_found"),
    2: ("birthday_ahead", "birthday_today", "birthday_past"),
    3: ("write",),
    4: ("none", "older", "one", "several"),
    5: ("none", "normal", "mild", "moderate", "severe"),
    6: ("none", "one", "several"),
    7: ("none", "plain", "tied"),
    8: ("write",),
    9: ("none", "normal", "low"),
    10: ("none", "fresh", "stale"),
}
"""The branches of each category.

In category 4 `older` means that values exist, all before the window; in 5 and 6 `none` holds that as well. `one` and
`several` count the values in the window. `tied` means that several values share the latest point in time.
"""
WRITING: frozenset[tuple[int, str]] = frozenset(
    {
        (3, "write"),
        (5, "mild"),
        (5, "moderate"),
        (5, "severe"),
        (8, "write"),
        (9, "low"),
        (10, "none"),
        (10, "stale"),
    }
)
"""The branches in which something must be written; in all others nothing may be."""


@dataclass(frozen=True)
class Branches:
    """The branch of each of several tasks."""

    by_task: Mapping[str, tuple[int, str]]
    """Category and branch by task id."""

    @property
    def counts(self) -> dict[int, dict[str, int]]:
        """How many tasks are in each branch, by category; branches without a task are there with 0."""
        found = Counter(self.by_task.values())
        categories = sorted({category for category, _ in found})
        return {c: {branch: found[c, branch] for branch in BRANCHES[c]} for c in categories}

    def must_write(self, task: str) -> bool:
        """Whether a task asks for a write in this record."""
        return self.by_task[task] in WRITING


def branch_of(task: MedAgentTask, gold: Gold) -> str:
    """Return the branch of a task in a record, with values after the time of the task left out."""
    facts = facts_of(task)
    match facts:
        case LookUp():
            return "not_found" if task.solution == (facts.absent,) else "found"
        case Recording() | Referral():
            return "write"
        case Age():
            return _birthday(gold.birth_date, facts.now.date())
    values = considered(facts, gold, "state")
    if isinstance(facts, Level):
        return _level(facts, gold, values)
    return _decision(facts, values)


def _birthday(born: date | None, today: date) -> str:
    if born is None:
        raise ValueError("the branch of an age needs the date of birth; fetch the gold with the facts of the same task")
    this_year = (born.month, born.day)
    if this_year == (today.month, today.day):
        return "birthday_today"
    return "birthday_past" if this_year < (today.month, today.day) else "birthday_ahead"


def _level(facts: Level, gold: Gold, values: tuple[Measurement, ...]) -> str:
    if facts.window is None:
        return ("none", "plain", "tied")[min(len(latest(values)), 2)]
    if not values and not facts.is_mean and any(m.time <= facts.now for m in gold.measurements):
        return "older"
    return ("none", "one", "several")[min(len(values), 2)]


def _decision(facts: Facts, values: tuple[Measurement, ...]) -> str:
    if not values:
        return "none"
    last = latest(values)[0]
    if isinstance(facts, Infusion):
        tier = facts.tier(last.value)
        severity = ("mild", "moderate", "severe")
        return "normal" if tier is None else severity[min(len(facts.tiers) - 1 - facts.tiers.index(tier), 2)]
    if isinstance(facts, Repletion):
        return "low" if last.value < facts.goal else "normal"
    if isinstance(facts, Recheck):
        return "stale" if last.time < facts.oldest else "fresh"
    raise TypeError(f"{type(facts).__name__} decides nothing by a value")
