"""A request and its answer, apart from HTTP: what batches and the server have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from wardround.environments.fhir.codec import dump
from wardround.environments.fhir.dates import instant
from wardround.environments.fhir.outcome import FhirError, bad_request, operation_outcome, refusal
from wardround.environments.fhir.searching.query import check_format
from wardround.environments.fhir.state import State
from wardround.environments.fhir.store import Version

MAX_PARAMETERS = 1000
"""Most parameters that a query string may have."""

Pairs = tuple[tuple[str, str], ...]


def query_pairs(query: str) -> Pairs:
    """Return the names and values of a query string in order, decoded.

    Raises:
        FhirError: 400, where it is not UTF-8 or has too many parameters.
    """
    if not query:
        return ()
    try:
        return tuple(parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS))
    except UnicodeDecodeError:
        raise bad_request("the query is not UTF-8; percent-encode it as UTF-8") from None
    except ValueError:
        raise bad_request(f"the query has more than {MAX_PARAMETERS} parameters") from None


@dataclass(frozen=True)
class Profile:
    """How strict the server is, and to whom it answers."""

    name: str = "r4"
    """`r4`, or `medagentbench` for the shapes that this benchmark's published functions ask for."""
    is_read_only: bool = False
    checks_references: bool = True
    """Refuse a write that refers to a resource of a served type that is not there."""


@dataclass(frozen=True)
class Request:
    """One interaction that a client asks for."""

    state: State
    base: str
    """Base URL under which the client sees the state."""
    method: str
    path: tuple[str, ...]
    """Segments below the base URL."""
    query: Pairs = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    body: Any = None
    """Parsed JSON."""
    profile: Profile = field(default_factory=Profile)
    assigned_id: str | None = None
    """Id that a transaction has given to the resource to be created."""
    arriving: frozenset[str] = frozenset()
    """`Type/id` of all that the same transaction writes, and that may be referred to already."""

    def preference(self, name: str) -> str | None:
        """Return what the `Prefer` header says of `return` or `handling`."""
        for part in self.headers.get("prefer", "").replace(";", ",").split(","):
            key, _, value = part.strip().partition("=")
            if key.lower() == name:
                return value.strip().strip('"').lower()
        return None

    def only_format(self) -> None:
        """Refuse every query parameter but those about the form of the answer.

        Raises:
            FhirError: 400 or 406.
        """
        for name, value in self.query:
            if name == "_format":
                check_format(value)
            elif name != "_pretty":
                raise bad_request(f"{name} has no meaning here; leave it out", name, code="not-supported")


@dataclass(frozen=True)
class Reply:
    """What is answered."""

    status: int
    body: str | None = None
    """JSON text."""
    headers: Mapping[str, str] = field(default_factory=dict)
    written: tuple[str, ...] = ()
    """`Type/id` of every resource that was created, changed or deleted."""


def failure(error: FhirError) -> Reply:
    """Return the answer for an error."""
    return Reply(error.status, dump(operation_outcome(error.issues)))


def version_headers(version: Version) -> dict[str, str]:
    """Return ETag and Last-Modified of a version."""
    return {"ETag": f'W/"{version.number}"', "Last-Modified": http_date(version.updated)}


def http_date(microseconds: int) -> str:
    """Return a time as HTTP writes it, such as `Mon, 13 Nov 2023 10:15:00 GMT`."""
    from email.utils import formatdate

    return formatdate(microseconds / 1e6, usegmt=True)


def when(version: Version) -> str:
    """Return when a version was written, as a FHIR instant."""
    return instant(version.updated)


def matches(tag: str, version: Version) -> bool:
    """Return whether an If-Match or If-None-Match header names a version."""
    tags = (part.strip().removeprefix("W/").strip('"') for part in tag.split(","))
    return any(part in ("*", str(version.number)) for part in tags)


def not_found(type_: str, id_: str) -> FhirError:
    """Return the error for a resource that was never there."""
    return refusal(404, "not-found", f"there is no {type_}/{id_}; search {type_} to find it")


def deleted(type_: str, id_: str) -> FhirError:
    """Return the error for a resource that was deleted."""
    return refusal(410, "deleted", f"{type_}/{id_} was deleted; its history is at {type_}/{id_}/_history")
