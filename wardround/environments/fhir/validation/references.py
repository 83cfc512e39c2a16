"""What a Reference may say: its form, and the type of resource that it points to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Final

from wardround.environments.fhir.definitions import definitions

_ID: Final = r"[A-Za-z0-9\-.]{1,64}"
_RELATIVE = re.compile(rf"([A-Za-z]+)/{_ID}(?:/_history/{_ID})?")
_ABSOLUTE = re.compile(rf"https?://\S+?/([A-Z][A-Za-z]+)/{_ID}(?:/_history/{_ID})?")
_URL = re.compile(r"https?://[^\s/]\S*")
_UUID = re.compile(r"urn:uuid:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_OID = re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+")
_CONDITIONAL = re.compile(r"([A-Za-z]+)\?\S+=\S*")

FORMS: Final = "must be Type/id, #id of a contained resource, urn:uuid:..., urn:oid:... or an http(s) address"


def pointed_type(reference: str, *, may_search: bool) -> tuple[str | None, str | None]:
    """Return the resource type that a reference names, where it names one, and what is wrong with its form.

    Args:
        reference: Anything but a local `#id`.
        may_search: It stands in a transaction, where `Type?parameter=value` is a reference too.
    """
    match = _RELATIVE.fullmatch(reference) or (_CONDITIONAL.fullmatch(reference) if may_search else None)
    if match is not None:
        name = match[1]
        return (name, None) if name in definitions().resources else (None, unknown_type(name))
    if match := _ABSOLUTE.fullmatch(reference):
        # Another server's address may end in anything; only a name that is a type says what it points to.
        return (match[1] if match[1] in definitions().resources else None), None
    if _URL.fullmatch(reference) or _UUID.fullmatch(reference) or _OID.fullmatch(reference):
        return None, None
    return None, FORMS


@lru_cache(maxsize=256)
def unknown_type(name: str) -> str:
    """Say that a name is no resource type, with the nearest that is one."""
    near = get_close_matches(name, definitions().resources, n=1)
    return f"'{name}' is not an R4 resource type" + (f"; did you mean {near[0]}?" if near else "")


def wrong_target(found: str, targets: Sequence[str]) -> str | None:
    """Return what is wrong with pointing to a type, or None."""
    if not targets or found in targets:
        return None
    return f"must point to {' or '.join(targets)}, not to {found}"


def named_type(reference: Mapping[str, Any]) -> str | None:
    """Return the R4 type in the `type` member of a Reference; other names there are logical models."""
    name = reference.get("type")
    if not isinstance(name, str):
        return None
    name = name.removeprefix("http://hl7.org/fhir/StructureDefinition/")
    return name if name in definitions().resources else None
