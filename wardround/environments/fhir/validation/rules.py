"""What a rule of R4 is, and the questions that rules ask of an object."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from wardround.environments.fhir.dates import date_range

Node = Mapping[str, Any]
Rule = Callable[[Node], bool]

UCUM: Final = "http://unitsofmeasure.org"
_TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem/"


@dataclass(frozen=True, slots=True)
class Invariant:
    """A rule of one type."""

    key: str
    """Its key in the specification: `obs-6`."""
    says: str
    """What must be so, in words."""
    at: str
    """The member that a breach is told of; empty for the object itself."""
    severity: Literal["error", "warning"]
    holds: Rule


class RuleBook(dict[str, tuple[Invariant, ...]]):
    """Rules by type or dotted group."""

    def rule(
        self, *groups: str, says: str, at: str = "", severity: Literal["error", "warning"] = "error"
    ) -> Callable[[Rule], Rule]:
        """Enter the function below as the rule that its name gives (`obs_6` is obs-6) of some types or groups."""

        def enter(holds: Rule) -> Rule:
            invariant = Invariant(holds.__name__.replace("_", "-"), says, at, severity, holds)
            for group in groups:
                self[group] = (*self.get(group, ()), invariant)
            return holds

        return enter


def has(node: Node, name: str) -> bool:
    """Tell whether a primitive is given, as a value or by an extension alone."""
    return name in node or f"_{name}" in node


def has_choice(node: Node, base: str) -> bool:
    """Tell whether a choice such as `value[x]` is given, as a value or by an extension alone."""
    start, twin = len(base), len(base) + 1
    return any(
        (name.startswith(base) and name[start : start + 1].isupper())
        or (name.startswith(f"_{base}") and name[twin : twin + 1].isupper())
        for name in node
    )


def _codings(concept: Node | None) -> Iterator[tuple[str, str]]:
    for coding in (concept or {}).get("coding", ()):
        yield coding.get("system", ""), coding.get("code", "")


def is_coded(concept: Node | None, system: str, *codes: str) -> bool:
    """Tell whether a CodeableConcept has one of some codes of an HL7 code system, named by the end of its address."""
    return any(each == _TERMINOLOGY + system and code in codes for each, code in _codings(concept))


def is_after(first: object, second: object) -> bool:
    """Tell whether a date is wholly after another; one that cannot be read is judged elsewhere."""
    if not isinstance(first, str) or not isinstance(second, str):
        return False
    try:
        return date_range(first)[0] > date_range(second)[1]
    except ValueError:
        return False
