"""Building the suite: branches by their shares, a patient and what is filed for each task, words by split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from wardround.core.errors import WardroundError
from wardround.environments.fhir.population import NOW, generate
from wardround.evals.recordtasks.catalogue import CATEGORIES
from wardround.evals.recordtasks.desk import Desk, NobodyLeft
from wardround.evals.recordtasks.tasks import Ask, Category, RecordTask, Split
from wardround.evals.recordtasks.wording import named, wordings_of

YEARS = 2.0
"""How far back the records go."""
ATTEMPTS = 12
"""How often a task is drawn anew before there are too few patients for it."""


class InconsistentSuite(WardroundError):
    """A task does not lead down the branch that it was made for; a fault of this package."""


@dataclass(frozen=True)
class Built:
    """Tasks and the record that they are about."""

    tasks: tuple[RecordTask, ...]
    resources: tuple[dict[str, Any], ...]
    added: tuple[dict[str, Any], ...]
    """Those of the resources that are not the population's."""


def build(seed: int, patients: int, per_category: int) -> Built:
    """Make a suite; the same arguments make the same.

    Raises:
        UsageError: There are too few patients for so many tasks.
        InconsistentSuite: A task came out otherwise than meant.
    """
    desk = Desk(generate(patients, seed, end=NOW, years=YEARS))
    drawn = {c.slug: _drawn(c, desk, seed, per_category) for c in sorted(CATEGORIES, key=lambda c: c.turn)}
    tasks = tuple(task for category in CATEGORIES for task in _worded(category, drawn[category.slug], seed))
    for task in tasks:
        found = desk.record.solved(task.ask.solve()).branch
        if found != task.branch:
            raise InconsistentSuite(f"{task.id} was made for the branch {task.branch!r} and leads down {found!r}")
    return Built(tasks, tuple(desk.record.resources), tuple(desk.added))


def quotas(shares: Mapping[str, float], total: int) -> dict[str, int]:
    """Split a number by shares: each gets what is whole of it, the rest goes to the largest remainders.

    >>> quotas({"low": 0.5, "normal": 0.3, "none": 0.2}, 5)
    {'low': 3, 'normal': 1, 'none': 1}
    """
    exact = {name: share * total for name, share in shares.items()}
    counts = {name: int(value + 1e-9) for name, value in exact.items()}
    rest = sorted(exact, key=lambda name: counts[name] - exact[name])[: total - sum(counts.values())]
    return {name: count + (name in rest) for name, count in counts.items()}


Drawn = Sequence[tuple[str, Split, Ask]]
"""Branch, split and what is asked, for each task."""


def _drawn(category: Category, desk: Desk, seed: int, count: int) -> Drawn:
    """Draw the tasks of a category; the splits take turns within each branch, so that both have all branches."""
    made: list[tuple[str, Split, Ask]] = []
    splits: tuple[Split, Split] = ("dev", "test")
    for branch, quota in quotas(category.branches, count).items():
        for number in range(quota):
            ask = _ask(category, desk, branch, f"{seed}/{category.slug}/{branch}/{number}")
            made.append((branch, splits[len(made) % 2], ask))
    return Random(f"{seed}/{category.slug}/order").sample(made, len(made))


def _ask(category: Category, desk: Desk, branch: str, name: str) -> Ask:
    """Draw a task, with another analyte or drug where nobody is left for the one that was drawn first."""
    for attempt in range(ATTEMPTS):
        try:
            return category.draw(desk, branch, Random(f"{name}/{attempt}"))
        except NobodyLeft as error:
            last = error
    raise last


def _worded(category: Category, drawn: Drawn, seed: int) -> list[RecordTask]:
    tasks = []
    for number, (branch, split, ask) in enumerate(drawn, start=1):
        name = f"{category.slug}_{number}"
        rng = Random(f"{seed}/{name}/words")
        wording = rng.choice(wordings_of(category, split, seed))
        words = {**ask.words, **named(ask.who, split, seed, rng)}
        instruction, context = wording.format(**words), category.context.format(**words)
        tasks.append(RecordTask(name, category, branch, split, instruction, context, ask))
    return tasks
