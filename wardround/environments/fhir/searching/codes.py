"""The codes that a search parameter can meet, where R4 lists all of them."""

from __future__ import annotations

import difflib
from functools import cache

from wardround.environments.fhir.definitions import IndexPath, definitions
from wardround.environments.fhir.outcome import bad_request

_TRUTH = frozenset(("true", "false"))
_SHOWN = 20


def check_code(type_: str, name: str, code: str) -> None:
    """Refuse a code that no valid resource has, rather than find nothing: it is a slip, not a question.

    Raises:
        FhirError: 400, with the codes that there are.
    """
    codes = _codes(type_, name)
    if codes is None or code.casefold() in {known.casefold() for known in codes}:
        return
    near = difflib.get_close_matches(code.casefold(), list(codes), n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    shown = ", ".join(sorted(codes)[:_SHOWN]) + (" ..." if len(codes) > _SHOWN else "")
    raise bad_request(f"{name}: '{code}' is not one of its codes{hint}; codes: {shown}", name)


@cache
def _codes(type_: str, name: str) -> frozenset[str] | None:
    parameter = definitions().types[type_].parameters.get(name)
    if parameter is None:
        return None
    if parameter.is_computed:
        return _TRUTH
    found = [_TRUTH if path.type == "boolean" else _bound(type_, path) for path in parameter.paths]
    sets = [codes for codes in found if codes is not None]
    return frozenset().union(*sets) if sets and len(sets) == len(found) else None


def _bound(type_: str, path: IndexPath) -> frozenset[str] | None:
    """Return the codes of the required binding of a code; a concept may have further codings beside one of them."""
    if path.type != "code":
        return None
    *groups, last = path.path.split(".")
    group = type_
    for name in groups:
        group = definitions().elements[group][name].type
    return definitions().elements[group][last].codes
