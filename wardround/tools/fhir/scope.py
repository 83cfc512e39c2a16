"""What belongs to one patient, and which requests stay with that patient."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from wardround.core.errors import ToolRefused, ToolRetry, UsageError
from wardround.tools.fhir.access import mapping, objects, string
from wardround.tools.fhir.addresses import BaseAddress

TOOL = "record"
"""Under which name a record refuses."""

FREE = frozenset(
    (
        "ActivityDefinition", "CapabilityStatement", "CodeSystem", "CompartmentDefinition", "ConceptMap", "Endpoint",
        "HealthcareService", "ImplementationGuide", "Location", "Medication", "MedicationKnowledge", "NamingSystem",
        "ObservationDefinition", "OperationDefinition", "Organization", "OrganizationAffiliation", "PlanDefinition",
        "Practitioner", "PractitionerRole", "Questionnaire", "SearchParameter", "SpecimenDefinition",
        "StructureDefinition", "Substance", "TerminologyCapabilities", "ValueSet",
    )
)  # fmt: skip
"""Types that speak of no patient: outside R4's Patient compartment, and without an element that names one.

Every other type counts as a patient's, those that this list has forgotten too.
"""

OWNERS = ("subject", "patient", "individual", "for", "beneficiary")
"""Elements that say whose a resource is."""

_BINDING = ("patient", "subject", "individual", "beneficiary")
"""Search parameters that hold a search to a patient."""

_LEAKING = ("_has", "_filter", "_query", "_type")
"""Search parameters that ask about other resources than those found."""

_PATIENT = re.compile(r"(?:^|/)Patient(?:/|\?|$)")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


@dataclass(frozen=True)
class PatientScope:
    """Holds a session to one patient."""

    id: str
    base: BaseAddress

    @classmethod
    def of(cls, patient: str, base: BaseAddress) -> PatientScope:
        """Make a scope from `Patient/1` or `1`.

        Raises:
            UsageError: It is no id.
        """
        bare = patient.removeprefix("Patient/")
        if not _ID.fullmatch(bare):
            raise UsageError(f"{patient!r} is no reference to a patient; give one such as Patient/123")
        return cls(bare, base)

    @property
    def reference(self) -> str:
        """The patient as `Patient/1`."""
        return f"Patient/{self.id}"

    def names(self, reference: str) -> bool:
        """Whether a reference is to this patient, on this server, in any version."""
        below = self.base.relative(reference) if "://" in reference else reference
        return (below or "").partition("/_history")[0] == self.reference

    def holds(self, resource: Mapping[str, Any]) -> bool:
        """Whether a resource is this patient's, or nobody's in particular.

        The elements that say whose it is decide; where there is none, every patient named in it must be
        this one, and one must be named.
        """
        kind = resource.get("resourceType")
        if kind in FREE:
            return True
        if kind == "Patient":
            return resource.get("id") == self.id
        owners = [self._is_ours(value) for name in OWNERS for value in _listed(resource.get(name))]
        if owners:
            return all(owners)
        named = [reference for reference in _strings(resource, "reference") if _PATIENT.search(reference)]
        return bool(named) and all(self.names(reference) for reference in named)

    def _is_ours(self, owner: object) -> bool:
        return self.names(string(mapping(owner).get("reference")))

    def screened(self, body: Any) -> Any:
        """Return an answer with what belongs to other patients taken out, and a word on how much that was.

        Raises:
            ToolRefused: The answer as a whole is another patient's, or cannot be shown to be this one's.
        """
        if not isinstance(body, dict) or body.get("resourceType") == "OperationOutcome":
            return body
        if body.get("resourceType") == "Bundle":
            return self._screened_bundle(body)
        if not self.holds(body):
            what = f"{body.get('resourceType')}/{body.get('id')} is not known to be of {self.reference}"
            raise ToolRefused(TOOL, f"{what}, to whom this session is held")
        return body

    def _screened_bundle(self, bundle: dict[str, Any]) -> dict[str, Any]:
        entries = objects(bundle.get("entry"))
        kept = [entry for entry in entries if self._may_be_seen(entry)]
        withheld = len(entries) - len(kept)
        if withheld == 0:
            return bundle
        what = f"{withheld} entries withheld that are not known to be of {self.reference}; the total is not told"
        issue = {"severity": "warning", "code": "suppressed", "diagnostics": what}
        outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
        screened = {name: value for name, value in bundle.items() if name != "total"}
        return {**screened, "entry": [*kept, {"resource": outcome, "search": {"mode": "outcome"}}]}

    def _may_be_seen(self, entry: Mapping[str, Any]) -> bool:
        resource = entry.get("resource")
        if not isinstance(resource, dict):
            return resource is None
        return resource.get("resourceType") == "OperationOutcome" or self.holds(resource)

    def check_read(self, path: str) -> None:
        """Refuse a read or search that is not held to this patient.

        What is read by its id is judged when it has been read; see `screened`.

        Args:
            path: Below the base, with its query.

        Raises:
            ToolRefused: It asks beyond this patient.
            ToolRetry: It hides whose the resources are.
        """
        route, pairs = _parsed(path)
        for name, _ in pairs:
            if "." in name or name.partition(":")[0] in _LEAKING:
                raise self._refusal(f"the parameter {name}, which asks about resources of others,")
        if not {*route[:1]} & {*FREE, "Patient"} or len(route) > 2:
            _check_elements(pairs)
        match route:
            case ["metadata"]:
                return
            case [kind, *rest] if kind in FREE and (len(rest) < 2 or rest[1] == "_history"):
                return
            case ["Patient", id_, *_] if not id_.startswith(("_", "$")):
                if id_ != self.id:
                    raise self._refusal(f"Patient/{id_} is another patient")
            case [kind] | [kind, "_search"] if not kind.startswith(("_", "$")):
                self._check_search(kind, pairs)
            case [kind, operation] if operation.startswith("$") and not kind.startswith(("_", "$")):
                self._check_search(kind, pairs)
            case [kind, id_] | [kind, id_, "_history"] | [kind, id_, "_history", _] if _ID.fullmatch(id_):
                return
            case _:
                raise self._refusal(f"{'/'.join(route) or 'the whole server'} asks beyond one patient")

    def _check_search(self, kind: str, pairs: Sequence[tuple[str, str]]) -> None:
        if kind == "Patient":
            given = [part for name, value in pairs if name == "_id" for part in value.split(",")]
            if not given or any(part != self.id for part in given):
                raise self._refusal("a search for patients", f"_id={self.id}")
            return
        bound = [(name, value) for name, value in pairs if name.partition(":")[0] in _BINDING]
        if not bound:
            raise self._refusal(f"a search for {kind} without a patient", f"patient={self.id}")
        for name, value in bound:
            if name.partition(":")[2] not in ("", "Patient"):
                raise self._refusal(f"the parameter {name}", f"patient={self.id}")
            if not all(part == self.id or self.names(part) for part in value.split(",")):
                raise self._refusal(f"{name}={value}", f"patient={self.id}")

    def check_write(self, method: str, path: str, body: Any) -> str | None:
        """Refuse a write that concerns anyone else.

        Args:
            method: POST, PUT, PATCH or DELETE.
            path: Below the base.
            body: What is sent.

        Returns:
            The resource that is changed, which must be this patient's already; nothing where one is made.

        Raises:
            ToolRefused: It concerns another patient, or cannot be shown to concern this one.
        """
        route, pairs = _parsed(path)
        if pairs:
            raise self._refusal(f"{method} with a search in its address")
        match method, route:
            case "POST", []:
                self._check_bundle(body)
                return None
            case "POST", [kind] if not kind.startswith(("_", "$")):
                self._check_resource(body, is_new=True)
                return None
            case "PUT", [kind, id_] if _ID.fullmatch(id_):
                self._check_resource(body, is_new=False)
                return f"{kind}/{id_}"
            case "PATCH", [kind, id_] if _ID.fullmatch(id_):
                self._check_patch(body)
                return f"{kind}/{id_}"
            case "DELETE", [kind, id_] if _ID.fullmatch(id_):
                return f"{kind}/{id_}"
        raise self._refusal(f"{method} {'/'.join(route)}")

    def _check_resource(self, resource: Any, *, is_new: bool) -> None:
        kind = string(mapping(resource).get("resourceType"))
        if kind in FREE or not kind or (kind == "Patient" and is_new):
            raise self._refusal(f"writing a {kind or 'body without resourceType'}, which is about nobody or another,")
        if not self.holds(resource):
            raise self._refusal(f"writing a {kind} that is not about {self.reference}")
        self._check_strings(resource, kind)

    def _check_strings(self, value: Any, what: str) -> None:
        contained = objects(mapping(value).get("contained"))
        said = [*_strings(value, "reference"), *(text for text in _strings(value) if len(text.split()) == 1)]
        others = [text for text in said if _PATIENT.search(text) and not self.names(text)]
        if others or any(resource.get("resourceType") == "Patient" for resource in contained):
            raise self._refusal(f"writing a {what} that names {(others or ['a patient inside it'])[0][:80]}")

    def _check_bundle(self, bundle: Any) -> None:
        entries = objects(mapping(bundle).get("entry"))
        if mapping(bundle).get("resourceType") != "Bundle" or not entries:
            raise self._refusal("a POST to the whole server without a Bundle")
        for entry in entries:
            request, resource = mapping(entry.get("request")), mapping(entry.get("resource"))
            is_plain = request.get("method") == "POST" and request.get("url") == resource.get("resourceType")
            if not is_plain or "ifNoneExist" in request:
                raise self._refusal("a Bundle with anything but plain POST entries")
            self._check_resource(resource, is_new=True)

    def _check_patch(self, body: Any) -> None:
        touched = list(body) if isinstance(body, dict) else []
        for operation in objects(body):
            touched += [string(operation.get(end)).lstrip("/").partition("/")[0] for end in ("path", "from")]
            if not string(operation.get("path")).lstrip("/"):
                raise self._refusal("a patch of a resource as a whole")
        if set(touched) & {*OWNERS, "resourceType", "id", "contained"}:
            raise self._refusal("a patch of whose a resource is")
        self._check_strings(body, "patch")

    def _refusal(self, what: str, mend: str = "") -> ToolRefused:
        hint = f"; give {mend}" if mend else ""
        return ToolRefused(TOOL, f"{what} is not allowed: this session is held to {self.reference}{hint}")


def _check_elements(pairs: Sequence[tuple[str, str]]) -> None:
    for name, value in pairs:
        if name == "_elements" and not set(OWNERS) & {part.strip() for part in value.split(",")}:
            raise ToolRetry(TOOL, f"_elements={value} hides whose the resources are; add subject or patient to it")


def _parsed(path: str) -> tuple[list[str], list[tuple[str, str]]]:
    route, _, query = path.partition("?")
    return [unquote(part) for part in route.split("/") if part], parse_qsl(query, keep_blank_values=True)


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _strings(value: Any, name: str | None = None) -> Iterator[str]:
    """All strings in a JSON value, or those of one member only."""
    if isinstance(value, dict):
        for key, member in value.items():
            if isinstance(member, str):
                if name is None or key == name:
                    yield member
            else:
                yield from _strings(member, name)
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, str) and name is None:
                yield item
            elif not isinstance(item, str):
                yield from _strings(item, name)
