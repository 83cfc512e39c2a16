"""Synthetic patients are the same for a seed, valid, coherent, and as untidy as the shares say."""

import base64
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.core.errors import UsageError
from wardround.core.finding import Assertion
from wardround.environments.fhir.population import NOW, generate, shares
from wardround.environments.fhir.population.conditions import Problem
from wardround.environments.fhir.population.draws import stream
from wardround.environments.fhir.population.illness import draw_illness
from wardround.environments.fhir.population.onset import fall_ill
from wardround.environments.fhir.population.people import draw_person
from wardround.environments.fhir.population.physiology import Body, axes, ckd_epi_2021, findings_of, scale_of, wander
from wardround.environments.fhir.population.resources import YEAR, Json, seconds
from wardround.environments.fhir.population.schema import LongTerm
from wardround.environments.fhir.population.tables import tables
from wardround.environments.fhir.validation.validator import validate
from wardround.knowledge.loading import embedded
from wardround.knowledge.quantities import convert
from wardround.knowledge.reader import Reader

PATIENTS = 40
SEED = 7
KB = embedded()
READER = Reader(KB)
GOOD = {"final", "corrected", "amended"}


@cache
def population() -> tuple[Json, ...]:
    return tuple(generate(PATIENTS, SEED))


@cache
def by_patient() -> dict[str, list[Json]]:
    records: dict[str, list[Json]] = defaultdict(list)
    for resource in population():
        patient = patient_of(resource)
        if patient is not None:
            records[patient].append(resource)
    return dict(records)


def patient_of(resource: Json) -> str | None:
    """The patient that a resource's id names; nothing for the shared ones."""
    match = re.match(r"p\d{6}", resource["id"])
    return None if match is None else match.group()


def of_type(*kinds: str) -> Iterator[Json]:
    return (resource for resource in population() if resource["resourceType"] in kinds)


def values(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for name, child in node.items():
            yield from values(child, f"{path}.{name}")
    elif isinstance(node, list):
        for child in node:
            yield from values(child, path)
    else:
        yield path, node


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text) if "T" in text else datetime.fromisoformat(f"{text}T00:00:00+00:00")


def text_of(document: Json) -> str:
    return base64.b64decode(document["content"][0]["attachment"]["data"]).decode()


@cache
def analyte_of() -> dict[str, str]:
    """Analyte of the knowledge base by each of its LOINC codes."""
    return {code: analyte.id for analyte in KB.analytes.values() for code in analyte.loinc}


def quantities(observation: Json) -> Iterator[tuple[str, float, Json]]:
    """Analyte, value in its own unit, and the part of an Observation that has it."""
    for part in (observation, *observation.get("component", ())):
        for coding in part["code"].get("coding", ()):
            analyte = analyte_of().get(coding["code"]) or (coding["code"] if coding["code"] in KB.analytes else None)
            if analyte is not None and "valueQuantity" in part:
                quantity = part["valueQuantity"]
                yield analyte, convert(quantity["value"], quantity["code"], KB.analytes[analyte]), part
                break


def test_the_same_seed_yields_the_same_resources() -> None:
    assert json.dumps(list(generate(3, 11))) == json.dumps(list(generate(3, 11)))


def test_another_seed_yields_other_patients() -> None:
    first, second = ([r["name"] for r in generate(4, seed) if r["resourceType"] == "Patient"] for seed in (1, 2))
    assert first != second


def test_a_patient_does_not_depend_on_how_many_there_are() -> None:
    few, many = list(generate(2, 11)), list(generate(4, 11))
    assert many[: len(few)] == few


def test_workers_that_share_the_patients_yield_what_one_does() -> None:
    assert [*generate(2, 11), *generate(2, 11, start=2)] == list(generate(4, 11))


def test_the_shared_resources_come_first_and_then_each_patient_before_the_rest_of_its_record() -> None:
    owners = [patient_of(r) for r in population()]
    shared = owners.index("p000000")
    assert set(owners[:shared]) == {None}
    assert None not in owners[shared:]
    assert {r["resourceType"] for r in population()[:shared]} == {
        "Organization", "Location", "Practitioner", "PractitionerRole", "Medication"
    }  # fmt: skip
    assert all(record[0]["resourceType"] == "Patient" for record in by_patient().values())
    assert owners[shared:] == sorted(owners[shared:], key=str)


@pytest.mark.parametrize(
    "wrong",
    [
        {"patients": -1, "seed": 1},
        {"patients": 1, "seed": -1},
        {"patients": 1, "seed": 1, "years": 0},
        {"patients": 1, "seed": 1, "start": 10_000_000},
        {"patients": 1, "seed": 1, "end": datetime(2023, 1, 1)},
    ],
)
def test_what_cannot_be_generated_is_refused_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"give|time zone"):
        generate(**wrong)


def test_another_end_and_fewer_years_hold() -> None:
    end = datetime(2020, 2, 29, 8, 0, tzinfo=UTC)
    visits = [r for r in generate(6, 3, end=end, years=2) if r["resourceType"] == "Encounter"]
    starts = [moment(r["period"]["start"]) for r in visits]
    assert starts
    assert max(starts) <= end
    assert min(starts) >= end - timedelta(days=2 * 366)


@pytest.mark.slow
def test_every_resource_is_valid_r4_for_two_validators() -> None:
    checked = 0
    for resource in population():
        if (patient_of(resource) or "p000000") > "p000009":
            break
        model = getattr(
            import_module(f"fhir.resources.R4B.{resource['resourceType'].lower()}"), resource["resourceType"]
        )
        model.model_validate(resource)
        assert validate(resource) == []
        checked += 1
    assert checked > 5_000


def test_ids_are_unique_and_of_the_fhir_form() -> None:
    names = [f"{r['resourceType']}/{r['id']}" for r in population()]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[A-Z]\w+/[A-Za-z0-9\-.]{1,64}", name) for name in names)


def test_every_reference_resolves_to_a_shared_resource_or_one_of_the_same_patient() -> None:
    owner = {f"{r['resourceType']}/{r['id']}": patient_of(r) for r in population()}
    for resource in population():
        for path, value in values(resource):
            if path.endswith(".reference"):
                assert value in owner, f"{resource['id']}{path}"
                assert owner[value] in (None, patient_of(resource))


def test_nothing_lies_after_the_end_but_appointments_and_planned_orders() -> None:
    ahead = Counter[str]()
    for resource in population():
        for path, value in values(resource):
            is_time = isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d(T.+)?", value)
            if is_time and moment(value) > NOW:
                ahead[f"{resource['resourceType']}{path} {resource['status']}"] += 1
    assert set(ahead) == {
        "Appointment.start booked", "Appointment.end booked", "ServiceRequest.occurrenceDateTime active"
    }  # fmt: skip


def test_nobody_does_anything_before_birth_or_after_death() -> None:
    dead = 0
    for record in by_patient().values():
        patient = record[0]
        born, died = moment(patient["birthDate"]), moment(patient.get("deceasedDateTime", "2100-01-01"))
        dead += "deceasedDateTime" in patient
        for resource in record[1:]:
            for path, value in values(resource):
                if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d(T.+)?", value):
                    assert born <= moment(value) <= died, f"{resource['id']}{path}"
    assert dead > 0


def test_a_patient_has_a_record_number_and_is_marked_as_a_test() -> None:
    patients = list(of_type("Patient"))
    numbers = {p["identifier"][0]["value"] for p in patients}
    assert {p["identifier"][0]["system"] for p in patients} == {"https://wardround.example/mrn"}
    assert len(numbers) == PATIENTS
    assert all(p["meta"]["security"][0]["code"] == "HTEST" for p in patients)


def test_some_patients_share_their_name_and_sex_but_not_their_birth_date() -> None:
    people = [r for r in generate(shares.NAMESAKE_EVERY, 5) if r["resourceType"] == "Patient"]
    before, namesake = people[-2:]
    assert before["name"][0] == namesake["name"][0]
    assert before["gender"] == namesake["gender"]
    assert before["birthDate"] != namesake["birthDate"]


def test_a_measured_value_is_one_that_a_living_patient_can_have() -> None:
    measured = Counter[str]()
    for observation in of_type("Observation"):
        for analyte, value, _ in quantities(observation):
            low, high = KB.analytes[analyte].plausible
            assert low <= value <= high, observation["id"]
            measured[analyte] += 1
    assert len(measured) > 50
    assert {"potassium", "systolic_bp", "hba1c", "temperature"} <= set(measured)


def test_a_flag_says_on_which_side_of_its_reference_range_a_value_lies() -> None:
    flags = Counter[str]()
    for observation in of_type("Observation"):
        if "interpretation" not in observation or "valueQuantity" not in observation:
            continue
        if observation["status"] not in GOOD or "referenceRange" not in observation:
            continue
        value, limits = observation["valueQuantity"]["value"], observation["referenceRange"][0]
        flag = observation["interpretation"][0]["coding"][0]["code"]
        flags[flag] += 1
        touch = 0.02 * abs(value)  # limits of another unit are rounded, so a value in it may touch its limit
        low, high = (limits.get(end, {}).get("value") for end in ("low", "high"))
        assert flag != "H" or value > high - touch
        assert flag != "L" or value < low + touch
        if flag == "N":
            assert low is None or value >= low - touch
            assert high is None or value <= high + touch
    assert min(flags["H"], flags["L"], flags["N"]) > 100


def test_laboratory_results_and_vital_signs_are_coded_as_such() -> None:
    systems = Counter[str]()
    for observation in of_type("Observation"):
        category = observation["category"][0]["coding"][0]
        assert category["system"] == "http://terminology.hl7.org/CodeSystem/observation-category"
        systems[category["code"]] += 1
        if "valueQuantity" in observation:
            assert observation["valueQuantity"]["system"] == "http://unitsofmeasure.org"
            assert observation["code"]["coding"][0]["system"] in (
                "http://loinc.org",
                "https://wardround.example/analyte",
            )
    assert systems["laboratory"] > 5_000 < systems["vital-signs"]


def test_blood_pressure_is_one_panel_of_two_components() -> None:
    panels = [o for o in of_type("Observation") if o["code"].get("coding", [{}])[0].get("code") == "85354-9"]
    assert len(panels) > 500
    for panel in panels:
        systolic, diastolic = (c["valueQuantity"]["value"] for c in panel["component"])
        assert [c["code"]["coding"][0]["code"] for c in panel["component"]] == ["8480-6", "8462-4"]
        assert systolic > diastolic


def emergency_contacts() -> Iterator[tuple[Json, Json, list[Json]]]:
    """Note, Patient and Observations of every first contact in the emergency department."""
    for record in by_patient().values():
        observations: dict[str, list[Json]] = defaultdict(list)
        for resource in record:
            if resource["resourceType"] == "Observation" and "encounter" in resource:
                observations[resource["encounter"]["reference"]].append(resource)
        for resource in record:
            title = resource.get("type", {}) if resource["resourceType"] == "DocumentReference" else {}
            if title.get("text") == "Emergency department Note":
                yield resource, record[0], observations[resource["context"]["encounter"][0]["reference"]]


def test_what_a_note_says_of_a_measured_finding_agrees_with_the_values() -> None:
    decided = Counter[bool]()
    for note, patient, observations in emergency_contacts():
        at = moment(note["date"])
        age = (at - moment(patient["birthDate"])).days / 365.25
        said = {f.code: f.assertion for f in READER.read(text_of(note), age=age, sex=patient["gender"])}
        for observation in observations:
            if observation["status"] not in (*GOOD, "preliminary"):
                continue
            for analyte, value, part in quantities(observation):
                unit = part["valueQuantity"]["code"]
                measured = READER.measured(
                    analyte, part["valueQuantity"]["value"], unit, age=age, sex=patient["gender"]
                )
                assert value == pytest.approx(convert(part["valueQuantity"]["value"], unit, KB.analytes[analyte]))
                for finding in measured:
                    if finding.code in said and KB.findings[finding.code].analyte == analyte:
                        assert said[finding.code] is finding.assertion, f"{note['id']}: {finding.code}"
                        decided[finding.assertion is Assertion.PRESENT] += 1
    assert decided[True] > 100 < decided[False]


def test_what_a_note_denies_is_never_what_it_affirms() -> None:
    denials = 0
    for note, patient, _ in emergency_contacts():
        text = text_of(note)
        denied = set(re.findall(r"(?<=\bNo )[^.]+(?=\.)", text))
        affirmed = set(re.findall(r"(?:^|[:.] )(?!No )([A-Z][^.:]*)(?=\.)", text, re.MULTILINE))
        assert not denied & {name[:1].lower() + name[1:] for name in affirmed}, (note["id"], patient["id"])
        denials += len(denied)
    assert denials > 200


def test_tests_and_reports_say_the_same_as_the_note() -> None:
    compared = 0
    for note, _, observations in emergency_contacts():
        text = text_of(note)
        for observation in observations:
            if "valueCodeableConcept" in observation:
                name = observation["code"]["text"]
                is_absent = observation["valueCodeableConcept"]["text"] == "Absent"
                assert (f"No {name}." in text) == is_absent
                compared += 1
    assert compared > 30


def test_inpatients_of_today_have_blood_results_and_vital_signs_of_the_last_day() -> None:
    found = 0
    for record in by_patient().values():
        stays = [r for r in record if r["resourceType"] == "Encounter" and r["status"] == "in-progress"]
        if not stays:
            continue
        found += 1
        assert [stay["class"]["code"] for stay in stays] == ["IMP"]
        assert "end" not in stays[0]["period"]
        recent = Counter(
            analyte
            for r in record
            if r["resourceType"] == "Observation" and NOW - moment(r["effectiveDateTime"]) < timedelta(days=1)
            for analyte, _, _ in quantities(r)
        )
        assert min(recent["potassium"], recent["magnesium"], recent["hemoglobin"]) >= 1
        assert recent["heart_rate"] >= 3
    assert found >= 2


def test_inpatients_are_measured_densely() -> None:
    gaps: dict[str, list[float]] = defaultdict(list)
    for record in by_patient().values():
        stays = {f"Encounter/{r['id']}" for r in record if r.get("class", {}).get("code") == "IMP"}
        times: dict[tuple[str, str], list[datetime]] = defaultdict(list)
        for r in record:
            if r["resourceType"] == "Observation" and r["encounter"]["reference"] in stays:
                for analyte, _, _ in quantities(r):
                    if r["code"]["text"] != "Capillary glucose":
                        times[r["encounter"]["reference"], analyte].append(moment(r["effectiveDateTime"]))
        for (_, analyte), taken in times.items():
            gaps[analyte] += [(b - a).total_seconds() / 3600 for a, b in pairwise(sorted(taken))]
    assert np.median(gaps["heart_rate"]) == pytest.approx(4.0, abs=0.2)
    assert 6 <= np.median(gaps["potassium"]) <= 24
    assert np.percentile(gaps["potassium"], 99) <= 24


def test_capillary_glucose_is_taken_four_times_a_day_in_diabetes() -> None:
    readings: dict[tuple[str, str], int] = Counter()
    for o in of_type("Observation"):
        if o["code"]["text"] == "Capillary glucose":
            readings[o["encounter"]["reference"], o["effectiveDateTime"][:10]] += 1
    assert Counter(readings.values()).most_common(1)[0][0] == 4


def latest(record: list[Json], analyte: str) -> float | None:
    taken = [
        (r["effectiveDateTime"], value)
        for r in record
        if r["resourceType"] == "Observation" and r["status"] in GOOD
        for name, value, _ in quantities(r)
        if name == analyte
    ]
    return max(taken)[1] if taken else None


def has(record: list[Json], icd10: str) -> bool:
    return any(
        r["resourceType"] == "Condition"
        and r["code"]["coding"][0]["code"].startswith(icd10)
        and r["verificationStatus"]["coding"][0]["code"] != "entered-in-error"
        and r["category"][0]["coding"][0]["code"] == "problem-list-item"
        for r in record
    )


@pytest.mark.parametrize(
    ("icd10", "analyte", "factor"),
    [("N18", "creatinine", 1.3), ("N18", "urea", 1.3), ("E11", "hba1c", 1.15)],
)
def test_what_a_patient_has_moves_the_values_that_it_should(icd10: str, analyte: str, factor: float) -> None:
    people = by_patient_of_many()
    with_it = [v for r in people if has(r, icd10) and (v := latest(r, analyte)) is not None]
    without = [v for r in people if not has(r, icd10) and (v := latest(r, analyte)) is not None]
    ratio = np.median(with_it) / np.median(without)
    assert min(len(with_it), len(without)) >= 3
    assert ratio > factor


@pytest.mark.parametrize("row", [row for row in tables().long_term.values() if row.moves], ids=lambda row: row.id)
def test_a_condition_moves_usual_values_from_its_onset_to_its_end_and_no_others(row: LongTerm) -> None:
    end = seconds(NOW)
    person = draw_person(tables(), 3, 1, stream(3, 1), first=end - 1, end=end)
    problem = Problem(row, onset=end - 1_000, severity=1.0, ended=end + 1_000)
    ill, well = (Body(person, problems, lambda _: [], stream(3, 2)) for problems in ([problem], []))
    moved = ill.usual(end) - well.usual(end)
    assert {axes().names[i] for i in np.flatnonzero(moved)} == set(row.moves)
    for analyte, move in row.moves.items():
        assert np.sign(moved[axes().column[analyte]]) == np.sign(move)
    for outside in (end - 1_001, end + 1_000):
        assert (ill.usual(outside) == well.usual(outside)).all()


@cache
def by_patient_of_many() -> list[list[Json]]:
    """A second, larger population, of which only what these laws need is kept."""
    records: dict[str, list[Json]] = defaultdict(list)
    for r in generate(90, 21, years=2):
        if r["resourceType"] in ("Observation", "Condition") and r.get("category", [{}])[0] != VITAL:
            records[r["subject"]["reference"]].append(r)
    return list(records.values())


VITAL = {
    "coding": [
        {
            "system": "http://terminology.hl7.org/CodeSystem/observation-category",
            "code": "vital-signs",
            "display": "Vital Signs",
        }
    ]
}


def test_warfarin_shows_in_the_inr() -> None:
    inr = [
        value
        for record in by_patient().values()
        if any(r.get("medicationCodeableConcept", {}).get("text") == "Warfarin" for r in record)
        for r in record
        if r["resourceType"] == "Observation" and r["status"] in GOOD
        for name, value, _ in quantities(r)
        if name == "inr"
    ]
    assert inr
    assert 1.8 < np.median(inr) < 3.8


def test_nobody_is_given_a_drug_of_a_class_they_are_allergic_to() -> None:
    groups_of = {row.name: set(row.groups) for row in tables().medications.allergies}
    group_of = {row.name: row.group for row in tables().medications.drugs.values()}
    allergic = 0
    for record in by_patient().values():
        ruled_out = {
            group
            for r in record
            if r["resourceType"] == "AllergyIntolerance" and r["verificationStatus"]["coding"][0]["code"] == "confirmed"
            for group in groups_of.get(r["code"]["text"], ())
        }
        allergic += bool(ruled_out)
        given = {r["medicationCodeableConcept"]["text"] for r in record if "medicationCodeableConcept" in r}
        assert not ruled_out & {group_of[name] for name in given}
    assert allergic > 3


def test_a_dose_belongs_to_a_request_of_the_same_drug_and_lies_after_it() -> None:
    requests = {f"MedicationRequest/{r['id']}": r for r in of_type("MedicationRequest")}
    doses = list(of_type("MedicationAdministration"))
    assert len(doses) > 1_000
    for dose in doses:
        request = requests[dose["request"]["reference"]]
        assert moment(dose["effectiveDateTime"]) >= moment(request["authoredOn"])
        if "medicationCodeableConcept" in dose:
            assert dose["medicationCodeableConcept"] == request["medicationCodeableConcept"]


def test_reports_hold_results_of_their_own_time_and_encounter() -> None:
    observations = {f"Observation/{o['id']}": o for o in of_type("Observation")}
    results = 0
    for report in of_type("DiagnosticReport"):
        for reference in report.get("result", ()):
            observation = observations[reference["reference"]]
            assert observation["effectiveDateTime"] == report["effectiveDateTime"]
            assert observation["encounter"] == report["encounter"]
            assert observation["status"] != "entered-in-error"
            results += 1
    assert results > 5_000


def test_a_report_fulfils_an_order_that_was_not_revoked() -> None:
    orders = {f"ServiceRequest/{r['id']}": r for r in of_type("ServiceRequest")}
    fulfilled = {b["reference"] for r in of_type("DiagnosticReport") for b in r.get("basedOn", ())}
    assert all(orders[name]["status"] in ("completed", "active") for name in fulfilled)
    revoked = [name for name, order in orders.items() if order["status"] == "revoked"]
    assert revoked
    assert not fulfilled & set(revoked)


def test_a_stay_never_overlaps_another_encounter_of_its_patient() -> None:
    for record in by_patient().values():
        spans = sorted(
            (moment(e["period"]["start"]), moment(e["period"].get("end", NOW.isoformat())))
            for e in record
            if e["resourceType"] == "Encounter" and e["class"]["code"] in ("IMP", "EMER")
        )
        assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_records_hold_every_type_that_is_served() -> None:
    kinds = {r["resourceType"] for r in population()} | {r["resourceType"] for r in generate(40, 8)}
    assert kinds == {
        "Patient", "Practitioner", "PractitionerRole", "Organization", "Location", "Encounter", "Condition",
        "Observation", "DiagnosticReport", "MedicationRequest", "MedicationAdministration", "MedicationStatement",
        "Medication", "Procedure", "ServiceRequest", "AllergyIntolerance", "Immunization", "ImagingStudy",
        "DocumentReference", "CarePlan", "ClinicalImpression", "RiskAssessment", "Provenance", "AuditEvent", "Task",
        "Communication", "Appointment",
    }  # fmt: skip


def test_a_record_has_about_a_thousand_resources_on_average_and_some_have_few() -> None:
    sizes = [len(record) for record in by_patient().values()]
    assert 600 < np.mean(sizes) < 1_900
    assert min(sizes) < 300 < 2_000 < max(sizes)


def share_is(count: int, of: int, share: float) -> bool:
    """Whether a count is what a share gives, within four standard deviations."""
    return abs(count - share * of) <= 4 * np.sqrt(share * (1 - share) * of) + 1


def test_untidy_results_are_as_common_as_their_shares_say() -> None:
    stays = {f"Encounter/{e['id']}" for e in of_type("Encounter") if e["class"]["code"] != "EMER"}
    results = [
        o
        for o in of_type("Observation")
        if o["category"][0]["coding"][0]["code"] == "laboratory"
        and o["code"]["text"] != "Capillary glucose"
        and o["encounter"]["reference"] in stays
        and NOW - moment(o["effectiveDateTime"]) > timedelta(hours=3)
    ]
    found = Counter(o["status"] for o in results)
    for status, share in (
        ("entered-in-error", shares.ENTERED_IN_ERROR), ("corrected", shares.CORRECTED),
        ("amended", shares.AMENDED), ("preliminary", shares.PRELIMINARY),
    ):  # fmt: skip
        assert share_is(found[status], len(results), share), status
    assert share_is(sum("dataAbsentReason" in o for o in results), len(results), shares.NO_VALUE)


def test_some_results_come_in_another_unit_with_the_code_that_goes_with_it() -> None:
    units = {
        o["valueQuantity"]["unit"]
        for o in of_type("Observation")
        if o["code"]["text"] == "Creatinine" and "valueQuantity" in o
    }
    codes = {
        (o["code"]["coding"][0]["code"], o["valueQuantity"]["unit"])
        for o in of_type("Observation")
        if o["code"]["text"] == "Creatinine" and "valueQuantity" in o
    }
    assert units == {"umol/L", "mg/dL"}
    assert codes == {("14682-9", "umol/L"), ("2160-0", "mg/dL")}


def test_who_lies_in_hospital_and_who_has_died_is_as_common_as_the_shares_say() -> None:
    people = [r for r in generate(250, 31, years=0.05) if r["resourceType"] in ("Patient", "Encounter")]
    dead = sum("deceasedDateTime" in r for r in people)
    lying = sum(r.get("status") == "in-progress" for r in people)
    assert share_is(dead, 250, shares.DECEASED)
    assert share_is(lying, 250 - dead, shares.INPATIENT_NOW)


def test_ages_and_sexes_are_as_the_table_has_them() -> None:
    end = seconds(NOW)
    people = [draw_person(tables(), 3, i, stream(3, i), first=int(end - 5 * YEAR), end=end) for i in range(1_500)]
    ages = np.array([person.age(end) for person in people])
    weights = tables().people.ages
    assert share_is(int((ages >= 60).sum()), len(people), sum(w for start, w in weights.items() if start >= 60))
    assert share_is(int((ages < 18).sum()), len(people), sum(w for start, w in weights.items() if start < 18))
    women = sum(person.sex == "female" for person in people)
    assert share_is(women, len(people), tables().people.female)


CONDITIONS = sorted(KB.conditions)


@settings(max_examples=60, deadline=None)
@given(
    condition=st.sampled_from(CONDITIONS),
    age=st.floats(0.2, 92),
    seed=st.integers(0, 10_000),
)
def test_values_lie_on_the_side_of_each_limit_where_the_drawn_findings_put_them(
    condition: str, age: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    end = seconds(NOW)
    drawn = draw_person(tables(), seed, 1, rng, first=end - 1, end=end)
    at = drawn.birth + age * YEAR
    body = Body(drawn, [], lambda _: [], rng)
    illness = draw_illness(tables(), condition, drawn, at, set(), rng)
    onset = fall_ill(body, at, illness.present, illness.chances, rng)
    row = dict(enumerate(body.measure(onset.u[None, :], at, onset.exact)[0].tolist()))
    found = findings_of(scale_of(drawn, at), row)
    white = {"wbc", "neutrophils", "lymphocytes", "eosinophils"}
    usual = findings_of(scale_of(drawn, at), dict(enumerate(body.measure(body.usual(at)[None, :], at)[0].tolist())))
    for code, is_present in found.items():
        entry = KB.findings[code]
        if entry.analyte in white or entry.analyte == "bmi":
            continue
        rivals = [other for other in found if KB.findings[other].analyte == entry.analyte and other != code]
        if code in illness.present and not illness.present.intersection(rivals):
            assert is_present, code
        if code not in illness.present and not illness.present.intersection(rivals) and not usual[code]:
            assert not is_present, code


@given(seed=st.integers(0, 1_000), hours=st.floats(1.0, 100.0))
@settings(max_examples=20, deadline=None)
def test_values_that_wander_start_where_they_are_and_keep_their_spread(seed: int, hours: float) -> None:
    times = np.arange(0, 400) * hours * 3600.0 * 5
    path = wander(np.random.default_rng(seed), times.tolist(), hours)
    assert not path[0].any()
    moving = axes().within > 0
    spread = path[1:, moving].std(axis=0) / axes().within[moving]
    assert spread.mean() == pytest.approx(1.0, abs=0.05)


def test_consecutive_values_of_a_stay_are_alike() -> None:
    steps, scatter = [], []
    for record in by_patient().values():
        stays = {f"Encounter/{r['id']}" for r in record if r.get("class", {}).get("code") == "IMP"}
        for stay in stays:
            series = sorted(
                (r["effectiveDateTime"], value)
                for r in record
                if r["resourceType"] == "Observation" and r["status"] in GOOD and r["encounter"]["reference"] == stay
                for name, value, _ in quantities(r)
                if name == "hemoglobin"
            )
            found = [value for _, value in series]
            steps += [abs(b - a) for a, b in pairwise(found)]
            scatter += found
    assert len(steps) > 50
    assert np.mean(steps) < 0.35 * np.std(scatter)


def test_the_filtration_rate_follows_its_formula() -> None:
    # 142 * (1.0/0.9)^-1.2 * 0.9938^50 and 142 * (0.8/0.7)^-1.2 * 0.9938^50 * 1.012, by hand
    assert ckd_epi_2021(np.array([88.42]), 50.0, "male").tolist() == [92.0]
    assert ckd_epi_2021(np.array([0.8 * 88.42]), 50.0, "female").tolist() == [90.0]


def test_every_finding_of_a_study_has_one_study_that_shows_it() -> None:
    for code, entry in KB.findings.items():
        if entry.kind in ("imaging", "ecg"):
            studies = [s.id for s in tables().studies if any(fnmatchcase(code, pattern) for pattern in s.findings)]
            assert len(studies) == 1, code


def test_drugs_have_codes_of_the_atc_form_and_there_are_more_than_eighty() -> None:
    codes = {drug.atc for drug in tables().medications.drugs.values()}
    assert len(codes) >= 80
    assert all(re.fullmatch(r"[A-Z]\d\d[A-Z]{2}\d\d", code) for code in codes)
