"""Allergies: what is recorded of them, and which classes of drugs they rule out."""

from __future__ import annotations

import numpy as np

from wardround.environments.fhir.population import shares
from wardround.environments.fhir.population.draws import weighted
from wardround.environments.fhir.population.resources import DAY, SNOMED, Json, Record, concept, day, instant, term, to
from wardround.environments.fhir.population.schema import AllergyRow
from wardround.environments.fhir.population.tables import Tables

_ACTIVE = term("allergyintolerance-clinical", "active")
_CONFIRMED = term("allergyintolerance-verification", "confirmed")


def file_allergies(
    tables: Tables, record: Record, rng: np.random.Generator, *, earliest: int, latest: int, recorder: str
) -> frozenset[str]:
    """File what is recorded of a patient's allergies, and return the classes of drugs that they rule out.

    A patient of whom nothing is recorded may have any; that none is known is a record of its own.

    Args:
        tables: The tables.
        record: The patient's record.
        rng: The patient's stream.
        earliest: When the first may have been recorded, in seconds since 1970.
        latest: When the record's years begin; all are recorded before, so that no drug came between.
        recorder: Id of the Practitioner.
    """
    roll = rng.random()
    at = int(earliest + rng.random() * max(latest - earliest, DAY))
    if roll >= shares.ANY_ALLERGY:
        if roll < shares.ANY_ALLERGY + shares.NO_KNOWN_ALLERGY:
            _no_known_allergy(record, at, recorder)
        return frozenset()
    rows = {row.name: row for row in tables.medications.allergies}
    n = 1 + int(rng.random() < 0.3) + int(rng.random() < 0.1)
    chosen = dict.fromkeys(weighted(rng, {name: row.weight for name, row in rows.items()}) for _ in range(n))
    ruled_out: set[str] = set()
    for name in chosen:
        is_refuted = rng.random() < shares.REFUTED_ALLERGY
        _allergy(tables, record, rows[name], rng, at=at, earliest=earliest, recorder=recorder, is_refuted=is_refuted)
        if not is_refuted:
            ruled_out |= set(rows[name].groups)
    return frozenset(ruled_out)


def _allergy(
    tables: Tables,
    record: Record,
    row: AllergyRow,
    rng: np.random.Generator,
    *,
    at: int,
    earliest: int,
    recorder: str,
    is_refuted: bool,
) -> None:
    reactions = {reaction.name: reaction for reaction in tables.medications.reactions}
    reaction = reactions[weighted(rng, {name: r.weight for name, r in reactions.items()})]
    content: Json = {
        "clinicalStatus": _ACTIVE,
        "verificationStatus": _CONFIRMED,
        "type": "allergy",
        "category": [row.category],
        "criticality": "high" if reaction.severity == "severe" else "low",
        "code": concept(row.name, row.system, row.code, row.display),
        "patient": record.subject,
        "recordedDate": instant(at),
        "recorder": to("Practitioner", recorder),
        "reaction": [
            {
                "manifestation": [concept(reaction.name, reaction.system, reaction.code)],
                "severity": reaction.severity,
                "onset": day(max(at - 30 * DAY, earliest)),
            }
        ],
    }
    if is_refuted:
        content["verificationStatus"] = term("allergyintolerance-verification", "refuted")
        content["clinicalStatus"] = term("allergyintolerance-clinical", "resolved")
        content["note"] = [{"text": "Tested; tolerated without reaction."}]
    record.add("AllergyIntolerance", content)


def _no_known_allergy(record: Record, at: int, recorder: str) -> None:
    record.add(
        "AllergyIntolerance",
        {
            "clinicalStatus": _ACTIVE,
            "verificationStatus": _CONFIRMED,
            "code": concept("No known allergy", SNOMED, "716186003", "No known allergy"),
            "patient": record.subject,
            "recordedDate": instant(at),
            "recorder": to("Practitioner", recorder),
        },
    )
