"""The hospital: what all patients' records refer to, and who looks after whom."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from wardround.environments.fhir.population.draws import stream
from wardround.environments.fhir.population.people import draw_identity
from wardround.environments.fhir.population.resources import ATC, LOCAL, TERMINOLOGY, Json, concept, term, to
from wardround.environments.fhir.population.schema import Specialty
from wardround.environments.fhir.population.tables import Tables

_STREAM = 7
"""Names the stream of the shared resources; patients' streams use other numbers."""


def shared(tables: Tables, seed: int) -> Iterator[Json]:
    """Yield Organizations, Locations, Practitioners, PractitionerRoles and the formulary's Medications."""
    yield from _organizations(tables)
    yield from _locations(tables)
    rng = stream(seed, 0, _STREAM)
    people = [(row, n) for row in tables.staff.specialties for n in range(1, row.staff + 1)]
    for row, n in people:
        yield _practitioner(tables, row, n, rng)
    for row, n in people:
        yield _role(row, n)
    for name in tables.medications.drugs:
        yield _medication(tables, name)


def staff_of(rng: np.random.Generator, row: Specialty) -> str:
    """Return the id of one of those who practise a specialty."""
    return practitioner_id(row, 1 + int(rng.random() * row.staff))


def practitioner_id(row: Specialty, n: int) -> str:
    """Return the id of the n-th Practitioner of a specialty."""
    return f"staff-{row.id.replace('_', '-')}-{n}"


def medication_id(drug: str) -> str:
    """Return the id of the formulary's Medication."""
    return f"medication-{drug.replace('_', '-')}"


def drug_concept(tables: Tables, drug: str) -> Json:
    """Return a drug's code: ATC."""
    row = tables.medications.drugs[drug]
    return concept(row.name, ATC, row.atc, row.name)


def _organizations(tables: Tables) -> Iterator[Json]:
    for row in tables.staff.organizations:
        resource: Json = {
            "resourceType": "Organization",
            "id": row.id,
            "identifier": [{"system": LOCAL + "organization", "value": row.id}],
            "active": True,
            "type": [term("organization-type", row.type)],
            "name": row.name,
        }
        if row.part_of is not None:
            resource["partOf"] = to("Organization", row.part_of)
        yield resource


def _locations(tables: Tables) -> Iterator[Json]:
    for row in tables.staff.locations:
        resource: Json = {
            "resourceType": "Location",
            "id": row.id,
            "status": "active",
            "name": row.name,
            "mode": "instance",
            "physicalType": term("location-physical-type", row.form),
            "managingOrganization": to("Organization", row.organization),
        }
        if row.part_of is not None:
            resource["partOf"] = to("Location", row.part_of)
        yield resource


def _practitioner(tables: Tables, row: Specialty, n: int, rng: np.random.Generator) -> Json:
    who = draw_identity(tables.people, rng)
    return {
        "resourceType": "Practitioner",
        "id": practitioner_id(row, n),
        "identifier": [{"system": LOCAL + "staff", "value": practitioner_id(row, n)}],
        "active": True,
        "name": [{"use": "official", "family": who.family, "given": list(who.given)}],
        "gender": who.sex,
    }


def _role(row: Specialty, n: int) -> Json:
    organization = "org-practices" if row.site.startswith("loc-practice") else "org-hospital"
    return {
        "resourceType": "PractitionerRole",
        "id": practitioner_id(row, n).replace("staff-", "role-"),
        "active": True,
        "practitioner": to("Practitioner", practitioner_id(row, n)),
        "organization": to("Organization", organization),
        "code": [{"coding": [{"system": TERMINOLOGY + "practitioner-role", "code": _CODES.get(row.id, "doctor")}]}],
        "specialty": [concept(row.name, "http://nucc.org/provider-taxonomy", row.code)],
        "location": [to("Location", row.site)],
    }


_CODES = {"nursing": "nurse"}


def _medication(tables: Tables, drug: str) -> Json:
    return {
        "resourceType": "Medication",
        "id": medication_id(drug),
        "code": drug_concept(tables, drug),
        "status": "active",
    }
