"""The REST interactions of FHIR: which method on which path does what."""

from __future__ import annotations

import difflib
from dataclasses import replace

from wardround.environments.fhir.capability import capability_statement
from wardround.environments.fhir.codec import dump
from wardround.environments.fhir.definitions import definitions
from wardround.environments.fhir.exchange import Reply, Request, failure
from wardround.environments.fhir.operations import check_served, everything, lastn, validation
from wardround.environments.fhir.outcome import FhirError, refusal
from wardround.environments.fhir.reading import compartment, history, read, search, vread
from wardround.environments.fhir.transactions import process
from wardround.environments.fhir.writing import (
    create,
    delete,
    delete_where,
    patch,
    patch_where,
    update,
    update_where,
)

_READS = ("GET", "HEAD")
_WRITES = ("POST", "PUT", "PATCH", "DELETE")


def respond(request: Request) -> Reply:
    """Carry out an interaction whole or not at all; what is wrong becomes an OperationOutcome."""
    try:
        with request.state.store.transaction():
            return _dispatch(request)
    except FhirError as error:
        return failure(error)


def allowed(path: tuple[str, ...]) -> tuple[str, ...]:
    """Return the methods that are served at a path below the base URL."""
    match path:
        case ():
            return ("POST",)
        case ("metadata",) | (*_, "_history"):
            return _READS
        case (_,):
            return _READS + _WRITES
        case (_, "_search") | (_, "$validate"):
            return ("POST",)
        case (_, _, "$validate"):
            return ("POST", *_READS)
        case (_, last) if not last.startswith("$"):
            return (*_READS, "PUT", "PATCH", "DELETE")
    return _READS


def _dispatch(request: Request) -> Reply:
    path, method = request.path, request.method
    if path and path not in (("metadata",), ("_history",)):
        _check_type(path[0])
    _check_method(request)
    match path:
        case ():
            return _system(request)
        case ("metadata",):
            return _capabilities(request)
        case ("_history",):
            return history(request, None, None)
    type_ = path[0]
    if method in _WRITES:
        _check_writable(request)
    match path[1:]:
        case ():
            return _on_type(request, type_)
        case (*_, last) if last.startswith("$"):
            return _operation(request, type_)
        case ("_search",):
            return search(request, type_)
        case ("_history",):
            return history(request, type_, None)
        case (id_,):
            return _on_instance(request, type_, id_)
        case (id_, *rest):
            return _below_instance(request, type_, id_, tuple(rest))
    raise AssertionError(f"no interaction at {path}")


def _check_method(request: Request) -> None:
    served = allowed(request.path)
    if request.method in served:
        return
    where = "/".join(request.path) or "the base URL"
    hint = f"use {' or '.join(served)}"
    if not request.path:
        hint = "POST a batch or transaction there; a search across all types is not implemented, so name one: Patient"
    elif request.method == "POST" and "PUT" in served:
        hint = f"POST to {request.path[0]} creates, PUT to {where} changes"
    raise refusal(405, "not-supported", f"{request.method} is not served at {where}; {hint}")


def _capabilities(request: Request) -> Reply:
    rest = tuple(pair for pair in request.query if pair not in (("mode", "full"), ("mode", "normative")))
    replace(request, query=rest).only_format()
    return Reply(200, dump(capability_statement(request)))


def _system(request: Request) -> Reply:
    body = request.body
    if request.profile.is_read_only and isinstance(body, dict) and body.get("type") != "batch":
        _check_writable(request)
    return process(request, _dispatch)


def _on_type(request: Request, type_: str) -> Reply:
    match request.method:
        case "GET" | "HEAD":
            return search(request, type_)
        case "POST":
            return create(request, type_)
        case "PUT":
            return update_where(request, type_)
        case "PATCH":
            return patch_where(request, type_)
    return delete_where(request, type_)


def _on_instance(request: Request, type_: str, id_: str) -> Reply:
    match request.method:
        case "GET" | "HEAD":
            return read(request, type_, id_)
        case "PUT":
            return update(request, type_, id_)
        case "PATCH":
            return patch(request, type_, id_)
    return delete(request, type_, id_)


def _below_instance(request: Request, type_: str, id_: str, rest: tuple[str, ...]) -> Reply:
    if rest == ("_history",):
        return history(request, type_, id_)
    if len(rest) == 2 and rest[0] == "_history":
        return vread(request, type_, id_, rest[1])
    if len(rest) == 1:
        _check_type(rest[0])
        return compartment(request, type_, id_, rest[0])
    raise refusal(404, "not-found", f"there is nothing at {'/'.join(request.path)}")


def _operation(request: Request, type_: str) -> Reply:
    name = request.path[-1][1:]
    check_served(name, type_)
    if name == "everything" and len(request.path) == 3:
        return everything(request, type_, request.path[1])
    if name == "lastn" and len(request.path) == 2:
        return lastn(request)
    if name == "validate" and len(request.path) in (2, 3):
        request.only_format()
        return validation(request, type_, request.path[1] if len(request.path) == 3 else None)
    where = f"{type_}/id/${name}" if name == "everything" else f"{type_}/${name}"
    raise refusal(404, "not-found", f"${name} is at {where}")


def _check_writable(request: Request) -> None:
    is_harmless = request.path[-1:] in (("_search",), ("$validate",))
    if request.profile.is_read_only and not is_harmless:
        raise refusal(403, "forbidden", "this server is read-only; nothing was written")


def _check_type(type_: str) -> None:
    known = definitions().types
    if type_ in known:
        return
    near = difflib.get_close_matches(type_, list(known), n=1)
    hint = f"; did you mean '{near[0]}'?" if near else f"; served: {', '.join(known)}"
    what = "is not served here" if type_ in definitions().resources else "is no resource type"
    raise refusal(404, "not-supported", f"'{type_}' {what}{hint}")
