"""The catalogue as it is used: every statement with its value, how sure it is and where it comes from."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from wardround.core.errors import UsageError
from wardround.models.catalogue.schema import Source
from wardround.models.catalogue.vocabulary import Sureness

_NEAR = 0.6
"""Likeness, by `difflib`'s ratio, from which a name is worth suggesting."""
_SUGGESTED = 3


@dataclass(frozen=True)
class Fact:
    """One statement."""

    value: Any
    """Nothing where it is unknown."""
    sure: Sureness
    source: str | None = None
    """Key of the source that states it, or why it is likely."""

    @property
    def known(self) -> bool:
        """Whether there is a value at all."""
        return self.sure is not Sureness.UNKNOWN

    def to_json(self) -> dict[str, Any]:
        """Return it with its value, sureness and source."""
        value = list(self.value) if isinstance(self.value, tuple) else self.value
        return {"value": value, "sure": self.sure.value, "source": self.source}


UNKNOWN = Fact(None, Sureness.UNKNOWN)


@dataclass(frozen=True)
class Family:
    """An architecture."""

    id: str
    name: str
    facts: Mapping[str, Fact]
    sources: Mapping[str, Source]
    note: str | None


@dataclass(frozen=True)
class CatalogueModel:
    """A model with all that is known of it."""

    id: str
    name: str
    organisation: str
    series: str
    facts: Mapping[str, Fact]
    """By field; what its family says is in it as likely."""
    sources: Mapping[str, Source]
    notes: tuple[str, ...]
    folders: bool
    """Whether the id holds several checkpoints in folders, one of which has to be chosen."""
    checked: bool = False
    """Whether anybody ran the weights to see whether all this is so; nobody has."""

    @property
    def is_hub_id(self) -> bool:
        """Whether the id is one that the Hugging Face hub knows."""
        return "/" in self.id

    def to_json(self) -> dict[str, Any]:
        """Return all that is known, with sources."""
        return {
            "id": self.id,
            "name": self.name,
            "organisation": self.organisation,
            "series": self.series,
            "checked": self.checked,
            "folders": self.folders,
            "facts": {field: fact.to_json() for field, fact in self.facts.items()},
            "sources": {key: source.model_dump() for key, source in self.sources.items()},
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Selection:
    """The models that a filter lets through."""

    models: tuple[CatalogueModel, ...]
    """Sorted by id."""
    undecided: int
    """How many are left out only because what is asked for is unknown of them."""


@dataclass(frozen=True)
class Filters:
    """What a model has to be; nothing is asked where nothing is given."""

    modality: str | None = None
    image_type: str | None = None
    licence: str | None = None
    """Part of its name, in any case."""
    served: str | None = None
    """`vllm`: on vLLM's list; `hf`: by a class of transformers or of its repository."""


@dataclass(frozen=True)
class Catalogue:
    """All models and architectures by id."""

    models: Mapping[str, CatalogueModel]
    families: Mapping[str, Family]

    def find(self, name: str) -> CatalogueModel:
        """Return the model with an id, in any case.

        Raises:
            UsageError: There is none; names the nearest.
        """
        by_case = {key.casefold(): model for key, model in self.models.items()}
        model = by_case.get(name.casefold())
        if model is not None:
            return model
        near = self.near(name)
        mend = f"did you mean {' or '.join(near)}?" if near else "`wardround models list` shows what it holds"
        raise UsageError(f"the catalogue holds no model {name!r}; {mend}")

    def near(self, name: str) -> list[str]:
        """Return the ids that are most like a name, the likest first."""
        wanted = name.casefold()
        likeness: dict[str, float] = {}
        for model in self.models.values():
            spellings = {model.id.casefold(), model.id.casefold().rpartition("/")[2], model.name.casefold()}
            holds = any(wanted in spelling for spelling in spellings)
            ratio = max(difflib.SequenceMatcher(None, wanted, spelling).ratio() for spelling in spellings)
            likeness[model.id] = 1.0 if holds else ratio
        ranked = sorted(likeness, key=lambda key: (-likeness[key], key.casefold()))
        return [key for key in ranked[:_SUGGESTED] if likeness[key] >= _NEAR]

    def select(self, filters: Filters) -> Selection:
        """Return the models that are known to be as asked for; what is unknown never passes."""
        tests = [_TESTS[name] for name in _TESTS if getattr(filters, name) is not None]
        wanted = [getattr(filters, name) for name in _TESTS if getattr(filters, name) is not None]
        passed, undecided = [], 0
        for model in self.models.values():
            answers = [test(model, value) for test, value in zip(tests, wanted, strict=True)]
            if all(answers):
                passed.append(model)
            elif None in answers and False not in answers:
                undecided += 1
        return Selection(tuple(sorted(passed, key=lambda model: model.id.casefold())), undecided)


def _held(field: str) -> Callable[[CatalogueModel, str], bool | None]:
    def test(model: CatalogueModel, value: str) -> bool | None:
        fact = model.facts[field]
        return value in fact.value if fact.known else None

    return test


def _licensed(model: CatalogueModel, value: str) -> bool | None:
    fact = model.facts["licence"]
    return value.casefold() in fact.value.casefold() if fact.known else None


def _served(model: CatalogueModel, value: str) -> bool | None:
    fact = model.facts["vllm" if value == "vllm" else "transformers_class"]
    return fact.value not in ("no", "none") if fact.known else None


_TESTS: dict[str, Callable[[CatalogueModel, str], bool | None]] = {
    "modality": _held("modalities"),
    "image_type": _held("image_types"),
    "licence": _licensed,
    "served": _served,
}
"""Three-valued: yes, no, or nothing where it is unknown."""
