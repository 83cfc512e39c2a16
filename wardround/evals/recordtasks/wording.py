"""The words of tasks: ways to name a patient, and which wordings whoever builds an agent may look at."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeVar

from wardround.evals.recordtasks.tasks import Category, Split, Who

T = TypeVar("T")

NAMINGS = (
    "patient {mrn}",
    "the patient with MRN {mrn}",
    "{name} (MRN {mrn})",
    "{title} {family} (MRN {mrn})",
)
_TITLES = {"male": "Mr", "female": "Ms"}


def split_of(items: Sequence[T], split: Split, seed: int, name: str) -> tuple[T, ...]:
    """Return the half of some wordings that is for one split; the halves have nothing in common.

    Args:
        items: At least two, all different.
        split: Which half.
        seed: Of the suite.
        name: What they are wordings of, so that halves are drawn for each anew.
    """
    shuffled = Random(f"{seed}/split/{name}").sample(list(items), len(items))
    middle = (len(shuffled) + 1) // 2
    return tuple(shuffled[:middle] if split == "dev" else shuffled[middle:])


def wordings_of(category: Category, split: Split, seed: int) -> tuple[str, ...]:
    """Return the instructions of a category that are for one split."""
    return split_of(category.wordings, split, seed, category.slug)


def named(who: Who | None, split: Split, seed: int, rng: Random) -> dict[str, str]:
    """Return `who` and `Who` for the gaps of an instruction; nothing where it is about nobody yet."""
    if who is None:
        return {}
    naming = rng.choice(split_of(NAMINGS, split, seed, "namings"))
    family = who.name.rsplit(" ", 1)[-1]
    said = naming.format(mrn=who.mrn, name=who.name, family=family, title=_TITLES.get(who.gender, "Patient"))
    return {"who": said, "Who": said[0].upper() + said[1:]}
