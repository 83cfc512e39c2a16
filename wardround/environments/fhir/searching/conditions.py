"""Conditions of a search: parameters with modifiers, chains and `_has`, understood in full or refused."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wardround.environments.fhir.definitions import COMMON, SearchParameter, definitions
from wardround.environments.fhir.extract import COMMON_PATHS
from wardround.environments.fhir.outcome import bad_request

MAX_STEPS = 8
"""Most steps of a chain, since each step may branch into several types."""

MODIFIERS: Mapping[str, tuple[str, ...]] = {
    "token": ("missing", "not"),
    "string": ("missing", "exact", "contains"),
    "reference": ("missing",),
    "date": ("missing",),
    "quantity": ("missing",),
    "number": ("missing",),
    "uri": ("missing",),
}
"""Modifiers that are served, by type of parameter; a reference also takes the name of a resource type."""

RESULT_PARAMETERS = (
    "_count",
    "_cursor",
    "_elements",
    "_format",
    "_include",
    "_pretty",
    "_revinclude",
    "_sort",
    "_summary",
    "_total",
)
_SOUNDALIKE = ("phonetic",)
"""Parameters that have a place to read but not the comparison that they are for."""


@dataclass(frozen=True)
class Criterion:
    """One condition on a resource: a parameter, how it is compared, and values of which one must fit."""

    type: str
    """Resource type that the parameter belongs to."""
    parameter: SearchParameter
    modifier: str | None
    values: tuple[str, ...]
    """As written, with escapes."""


@dataclass(frozen=True)
class Chain:
    """What a reference points to must fulfil a criterion."""

    type: str
    parameter: SearchParameter
    branches: tuple[tuple[str, Condition], ...]
    """For each type that may be pointed to and has the inner parameter, the criterion there."""


@dataclass(frozen=True)
class Has:
    """A resource that points here must fulfil a criterion."""

    source: str
    """Type of the resource that points here."""
    parameter: SearchParameter
    inner: Condition


@dataclass(frozen=True)
class AnyOf:
    """One of several criteria must be fulfilled, as in a compartment."""

    criteria: tuple[Criterion, ...]


Condition = Criterion | Chain | Has | AnyOf


def parse_condition(type_: str, name: str, value: str) -> Condition:
    """Understand one search parameter with its modifier, chain or `_has`.

    Raises:
        FhirError: 400.
    """
    if name.count(".") + name.count("_has:") > MAX_STEPS:
        raise bad_request(f"more than {MAX_STEPS} steps are not followed; search in several requests: {name}", name)
    if name.endswith(":") or ":." in name:
        raise bad_request(f"{name}: nothing follows the colon; leave it out", name)
    if name.startswith("_has:"):
        return _has(type_, name, value)
    head, dot, rest = name.partition(".")
    if dot:
        return _chain(type_, head, rest, value)
    base, _, modifier = name.partition(":")
    parameter = find_parameter(type_, base, what=name)
    _check_modifier(parameter, modifier, name)
    if not is_served(parameter):
        mend = "search by name" if base in _SOUNDALIKE else "search by its parts"
        raise bad_request(
            f"{base} is a {parameter.type} parameter of {type_} that is not implemented; {mend}",
            name,
            code="not-supported",
        )
    if modifier == "missing" and value not in ("true", "false"):
        raise bad_request(f"{name}={value}: write true or false", name)
    values = tuple(split_escaped(value, ","))
    if not all(values):
        raise bad_request(f"{name}={value} holds an empty value; remove the comma", name)
    return Criterion(type_, parameter, modifier or None, values)


def _check_modifier(parameter: SearchParameter, modifier: str, name: str) -> None:
    if not modifier:
        return
    served = MODIFIERS.get(parameter.type, ())
    if modifier in served:
        return
    if parameter.type == "reference" and modifier in definitions().resources:
        if parameter.targets and modifier not in parameter.targets:
            allowed = ", ".join(parameter.targets)
            raise bad_request(f"{name}: {parameter.name} refers to {allowed}, never to {modifier}", name)
        return
    meant = near(modifier, served)
    raise bad_request(
        f"{name}: the modifier ':{modifier}' is not supported for a {parameter.type}{meant};"
        f" supported: {', '.join(':' + m for m in served) or 'none'}",
        name,
        code="code-invalid",
    )


def _chain(type_: str, head: str, rest: str, value: str) -> Chain:
    base, _, target = head.partition(":")
    parameter = find_parameter(type_, base, what=head)
    if parameter.type != "reference":
        raise bad_request(f"{head}.{rest}: {base} is a {parameter.type}; only a reference can be followed", head)
    allowed = parameter.targets or tuple(definitions().types)
    candidates = [t for t in allowed if t in definitions().types]
    if target:
        if target not in allowed:
            raise bad_request(f"{head}: {base} refers to {', '.join(allowed)}, never to {target}", head)
        candidates = [served_type(target, where=head)]
    inner = rest.split(".")[0].split(":")[0]
    fitting = [t for t in candidates if inner in definitions().types[t].parameters or inner in COMMON]
    if not fitting:
        names = {name for t in candidates for name in definitions().types[t].parameters}
        raise bad_request(
            f"{head}.{rest}: no type that {base} refers to has a parameter '{inner}'{near(inner, names)}",
            f"{head}.{rest}",
            code="not-supported",
        )
    return Chain(type_, parameter, tuple((t, parse_condition(t, rest, value)) for t in fitting))


def _has(type_: str, name: str, value: str) -> Has:
    parts = name.split(":", 3)
    if len(parts) != 4:
        raise bad_request(f"{name}: write _has:Type:reference:parameter, such as _has:Observation:patient:code", name)
    source = served_type(parts[1], where=name)
    parameter = find_parameter(source, parts[2], what=name)
    if parameter.type != "reference":
        raise bad_request(f"{name}: {parts[2]} is a {parameter.type}; only a reference can point here", name)
    if parameter.targets and type_ not in parameter.targets:
        allowed = ", ".join(parameter.targets)
        raise bad_request(f"{name}: {source}:{parts[2]} refers to {allowed}, never to {type_}", name)
    return Has(source, parameter, parse_condition(source, parts[3], value))


def served_type(type_: str, *, where: str) -> str:
    """Return a resource type.

    Raises:
        FhirError: 400, if it is not served.
    """
    if type_ not in definitions().types:
        raise bad_request(f"{where}: resource type '{type_}' is not served{near(type_, definitions().types)}", where)
    return type_


def is_served(parameter: SearchParameter) -> bool:
    """Return whether a parameter is implemented."""
    has_place = bool(parameter.paths) or parameter.is_computed or parameter.name in COMMON
    return has_place and parameter.name not in _SOUNDALIKE


def find_parameter(type_: str, name: str, *, what: str) -> SearchParameter:
    """Return a search parameter of a type.

    Raises:
        FhirError: 400, with the name that was probably meant.
    """
    own = definitions().types[type_].parameters
    if name in own:
        return own[name]
    if name in COMMON:
        paths = (COMMON_PATHS[name][1],) if name in COMMON_PATHS else ()
        return SearchParameter(name, COMMON[name], paths, (), False)
    known = [*own, *COMMON, *RESULT_PARAMETERS]
    meant = f"; did you mean '_{name}'?" if f"_{name}" in known else near(name, known)
    raise bad_request(f"{type_} has no search parameter '{name}'{meant}", what, code="not-supported")


def near(name: str, known: Iterable[str]) -> str:
    """Return a question after the name that was probably meant; nothing, if none is like it."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    if not found:
        parts = [
            k for k in known if name.lower() in k.lower().split("-") or k.lower() in re.split(r"[-_]", name.lower())
        ]
        found = parts[:1]
    return f"; did you mean '{found[0]}'?" if found else ""


def split_escaped(text: str, mark: str) -> list[str]:
    r"""Split at a mark that is not escaped; a backslash that is escaped itself escapes nothing.

    >>> split_escaped(r"a\,b,c", ","), split_escaped(r"a\\,b", ",")
    (['a\\,b', 'c'], ['a\\\\', 'b'])
    """
    parts = [""]
    for piece in re.findall(r"\\.|.", text, re.DOTALL):
        if piece == mark:
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def unescape(text: str) -> str:
    """Take the backslashes from escaped commas, bars, dollars and backslashes."""
    return re.sub(r"\\([,|$\\])", r"\1", text)
