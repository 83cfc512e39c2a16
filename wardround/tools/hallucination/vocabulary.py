"""What the detector knows beyond the knowledge base: drugs, pathologies, sites, attributes, from its data files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

import yaml

from wardround.core.claim import ClaimType, Severity
from wardround.knowledge.text import Token, tokens


class Place(NamedTuple):
    """A phrase that was found."""

    target: str
    start: int
    end: int


class Phrases:
    """Phrases by what they stand for; the longest one that begins at a word is taken."""

    def __init__(self, phrases: Iterable[tuple[str, str]]) -> None:
        self._by_first: dict[str, list[tuple[tuple[str, ...], str]]] = defaultdict(list)
        for target, phrase in phrases:
            words = tuple(token.form for token in tokens(phrase))
            self._by_first[words[0]].append((words, target))
        for known in self._by_first.values():
            known.sort(key=lambda pair: (-len(pair[0]), pair[1]))

    def find(self, words: Sequence[Token]) -> list[Place]:
        """Return what is found in the tokens of a sentence, from left to right, without overlap."""
        found: list[Place] = []
        forms = [token.form for token in words]
        if self._by_first.keys().isdisjoint(forms):
            return found
        i = 0
        while i < len(words):
            taken = 1
            for phrase, target in self._by_first.get(forms[i], ()):
                if len(phrase) == 1 or tuple(forms[i : i + len(phrase)]) == phrase:
                    found.append(Place(target, words[i].start, words[i + len(phrase) - 1].end))
                    taken = len(phrase)
                    break
            i += taken
        return found


@dataclass(frozen=True)
class Drug:
    """A drug, the class it belongs to and the largest dose that an adult is given."""

    name: str
    group: str
    allergy: tuple[str, ...]
    most: float | None
    """In a day, in mg or units."""
    once: float | None
    unit: str


@dataclass(frozen=True)
class Dimension:
    """A way in which statements about one thing can differ."""

    claim: ClaimType
    severity: Severity


class Vocabulary:
    """The data files of the detector, indexed."""

    def __init__(self, drugs: Mapping[str, Any], attributes: Mapping[str, Any], things: Mapping[str, Any]) -> None:
        self.drugs: dict[str, Drug] = {}
        self.group_allergy: dict[str, tuple[str, ...]] = {}
        phrases: list[tuple[str, str]] = []
        for group, entry in drugs["classes"].items():
            allergy = tuple(entry.get("allergy", ()))
            self.group_allergy[group] = allergy
            phrases += [(f"class:{group}", name) for name in entry.get("names", ())]
            for name, facts in entry["drugs"].items():
                limits = facts.get("max"), facts.get("once")
                self.drugs[name] = Drug(name, group, allergy, *limits, facts.get("unit", "mg"))
                phrases += [(f"drug:{name}", word) for word in (name, *facts.get("names", ()))]
        for kind in ("pathologies", "organisms", "procedures", "treatments"):
            prefix = _PREFIX[kind]
            phrases += [(f"{prefix}:{name}", word) for name, words in things[kind].items() for word in words]
        self.things = Phrases(phrases)
        self.dimensions = {
            name: Dimension(ClaimType(entry["claim"]), Severity(entry["severity"]))
            for name, entry in attributes["dimensions"].items()
        }
        self.attributes = Phrases(_attribute_phrases(attributes))
        self.organ = _organs(attributes["sites"])
        self.interactions: list[tuple[str, str, str]] = [(a, b, why) for a, b, why in drugs["interactions"]]
        self.contraindications: list[tuple[str, tuple[str, ...]]] = [
            (drug, tuple(codes)) for drug, codes in drugs["contraindications"]
        ]
        self.chronic = frozenset(things["chronic"]) | {f"pathology:{name}" for name in things["chronic"]}
        self.stains = Phrases((stain, stain) for stain in things["stains"])
        self.fits = {stain: frozenset(f"organism:{o}" for o in fits) for stain, fits in things["stains"].items()}
        self.sexed = {sex: frozenset(_coded(codes)) for sex, codes in things["sexed"].items()}
        self.ages = [(frozenset(_coded(e["codes"])), float(e["from"]), float(e["to"])) for e in things["ages"]]
        critical = things["critical"]
        self.critical = frozenset(critical["codes"]) | {f"pathology:{name}" for name in critical["pathologies"]}
        self.critical_values: dict[str, tuple[float, float]] = {k: (v[0], v[1]) for k, v in critical["values"].items()}

    def group_of(self, code: str) -> str:
        """Return the class of a drug's code, or the class that a class's code names; empty for anything else."""
        kind, _, name = code.partition(":")
        if kind == "drug":
            return self.drugs[name].group
        return name if kind == "class" else ""

    def matches(self, code: str, name: str) -> bool:
        """Whether the code of a drug or class is, or belongs to, a drug or class by name."""
        return code.partition(":")[2] == name or self.group_of(code) == name

    def holds(self, one: str, other: str) -> bool:
        """Whether two sites are the same, or one is a part of the other."""
        return one == other or self.organ[one] == other or self.organ[other] == one


_PREFIX = {"pathologies": "pathology", "organisms": "organism", "procedures": "procedure", "treatments": "treatment"}


def _attribute_phrases(attributes: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = [
        (f"{dimension}|{value}", phrase)
        for dimension, entry in attributes["dimensions"].items()
        for value, phrases in entry["values"].items()
        for phrase in phrases
    ]
    for organ, entry in attributes["sites"].items():
        found += [(f"site|{organ}", phrase) for phrase in entry["names"]]
        found += [(f"site|{part}", phrase) for part, phrases in entry["parts"].items() for phrase in phrases]
    return found


def _organs(sites: Mapping[str, Any]) -> dict[str, str]:
    return {part: organ for organ, entry in sites.items() for part in (organ, *entry["parts"])}


def _coded(codes: Iterable[str]) -> list[str]:
    """Names in the data that carry no prefix may be a finding, a pathology or a procedure."""
    plain = [code for code in codes if ":" not in code]
    return [*codes, *(f"{kind}:{code}" for code in plain for kind in ("pathology", "procedure"))]


@cache
def vocabulary() -> Vocabulary:
    """Return the vocabulary of the packaged data files, read once per process."""
    folder = resources.files("wardround.tools.hallucination") / "data"
    drugs, attributes, things = (
        yaml.safe_load((folder / f"{name}.yaml").read_text("utf-8")) for name in ("drugs", "attributes", "pathologies")
    )
    return Vocabulary(drugs, attributes, things)
