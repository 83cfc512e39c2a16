"""What the suite takes for right, against a plain reading of the resources that shares no code with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tests.evals.recordtasks.bench import Bench
from wardround.core.errors import UsageError
from wardround.evals.recordtasks import vocabulary
from wardround.evals.recordtasks.answers import plain
from wardround.evals.recordtasks.reading import newest, results_in
from wardround.evals.recordtasks.suite import RecordTasks
from wardround.evals.recordtasks.tasks import RecordTask
from wardround.evals.recordtasks.vocabulary import POTASSIUM, Analyte
from wardround.knowledge.clinician import reference_clinician
from wardround.knowledge.quantities import convert

NOW = datetime(2023, 11, 13, 10, 15, tzinfo=UTC)
FACTORS = {
    "creatinine": {"mg/dL": 88.42}, "glucose": {"mg/dL": 0.0555}, "haemoglobin": {"g/L": 0.1}, "crp": {"mg/dL": 10},
    "albumin": {"g/dL": 10}, "calcium": {"mg/dL": 0.2495}, "phosphate": {"mg/dL": 0.3229},
    "magnesium": {"mg/dL": 0.4114}, "cholesterol": {"mg/dL": 0.02586},
}  # fmt: skip


class Plain:
    """The record of the default suite as a list, and one way to look at it."""

    def __init__(self, suite: RecordTasks) -> None:
        self.suite = suite
        self.of: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.people: dict[str, dict[str, Any]] = {}
        for resource in suite.resources():
            if resource["resourceType"] == "Patient":
                self.people[resource["identifier"][0]["value"]] = resource
            else:
                owner = resource.get("subject") or resource.get("patient") or {}
                self.of[owner.get("reference", "")].append(resource)
        self.outcomes = Bench.record_of(suite)

    def tasks(self, slug: str) -> list[RecordTask]:
        return [t for t in self.suite.tasks if t.category.slug == slug]

    def gold(self, task: RecordTask) -> list[Any]:
        return plain(self.outcomes.solved(task.ask.solve()).answers[0])

    def mine(self, task: RecordTask, kind: str) -> list[dict[str, Any]]:
        person = self.people[str(task.ask.mrn)]
        return [r for r in self.of[f"Patient/{person['id']}"] if r["resourceType"] == kind]

    def values(self, task: RecordTask, analyte: Analyte) -> list[tuple[datetime, float, Mapping[str, Any]]]:
        """Time, value in the wanted unit and resource of all results that count, the oldest first."""
        found = []
        for o in self.mine(task, "Observation"):
            codes = {c["code"] for c in o["code"]["coding"]}
            if codes & set(analyte.codes) and o["status"] in ("final", "amended", "corrected") and "valueQuantity" in o:
                quantity = o["valueQuantity"]
                factor = FACTORS.get(analyte.topic, {}).get(quantity["unit"], 1.0)
                found.append((datetime.fromisoformat(o["effectiveDateTime"]), quantity["value"] * factor, o))
        return sorted(found, key=lambda f: f[0])


@pytest.fixture(scope="module")
def ward(full: RecordTasks) -> Plain:
    return Plain(full)


def test_ages(ward: Plain) -> None:
    for task in ward.tasks("age"):
        born = date.fromisoformat(ward.people[str(task.ask.mrn)]["birthDate"])
        years = sum(date(year, born.month, min(born.day, 28)) <= NOW.date() for year in range(born.year + 1, 2024))
        assert ward.gold(task) == [years]


@pytest.mark.parametrize("slug", ["latest-lab", "void-result"])
def test_the_latest_in_a_window(ward: Plain, slug: str) -> None:
    for task in ward.tasks(slug):
        ask: Any = task.ask
        inside = [v for t, v, _ in ward.values(task, ask.analyte) if t >= NOW - timedelta(hours=ask.count)]
        assert ward.gold(task) == [pytest.approx(inside[-1] if inside else -1)]


def test_windows_are_tried_at_their_very_beginning(ward: Plain) -> None:
    edges = set()
    for task in ward.tasks("latest-lab"):
        ask: Any = task.ask
        start = NOW - timedelta(hours=ask.count)
        edges |= {(t - start).total_seconds() for t, _, _ in ward.values(task, ask.analyte)} & {-1.0, 0.0}
    assert edges == {-1.0, 0.0}


def test_means(ward: Plain) -> None:
    for task in ward.tasks("mean-glucose"):
        ask: Any = task.ask
        inside = [v for t, v, _ in ward.values(task, ask.analyte) if t >= NOW - timedelta(hours=ask.count)]
        assert ward.gold(task) == [pytest.approx(sum(inside) / len(inside) if inside else -1)]


def test_highest_over_units(ward: Plain) -> None:
    for task in ward.tasks("mixed-units"):
        ask: Any = task.ask
        inside = [v for t, v, _ in ward.values(task, ask.analyte) if t >= NOW - timedelta(hours=ask.count)]
        assert ward.gold(task) == [pytest.approx(max(inside))]


def test_extremes_of_stays(ward: Plain) -> None:
    for task in ward.tasks("stay-extreme"):
        ask: Any = task.ask
        stays = [e for e in ward.mine(task, "Encounter") if (e["class"]["code"], e["status"]) == ("IMP", "finished")]
        expected = -1.0
        if stays:
            last = max(stays, key=lambda e: e["period"]["start"])
            inside = [
                v for _, v, o in ward.values(task, ask.analyte)
                if o["encounter"]["reference"] == f"Encounter/{last['id']}"
            ]  # fmt: skip
            expected = max(inside) if ask.is_highest else min(inside)
        assert ward.gold(task) == [pytest.approx(expected)]


def test_changes(ward: Plain) -> None:
    for task in ward.tasks("change"):
        ask: Any = task.ask
        values = [v for _, v, _ in ward.values(task, ask.analyte)]
        expected = ["not comparable"] if len(values) < 2 else [pytest.approx(values[-1] - values[-2], abs=1e-5)]
        assert ward.gold(task) == expected


def test_days_with_fever(ward: Plain) -> None:
    for task in ward.tasks("fever-days"):
        week = [(t.date(), v) for t, v, _ in ward.values(task, vocabulary.TEMPERATURE) if t.date() >= date(2023, 11, 7)]
        assert ward.gold(task) == [len({d for d, v in week if v >= 38}) if week else -1]


def test_medication_lists(ward: Plain) -> None:
    for task in ward.tasks("medication-list"):
        codes = {
            r["medicationCodeableConcept"]["coding"][0]["code"]
            for r in ward.mine(task, "MedicationRequest")
            if r["status"] == "active" and r["intent"] == "order"
        }
        assert ward.gold(task) == (sorted(codes) or ["none"])


def test_patients_by_name_and_date_of_birth(ward: Plain) -> None:
    for task in ward.tasks("find-patient"):
        ask: Any = task.ask
        fits = [
            number for number, person in ward.people.items()
            if person["name"][0]["text"] == ask.name and person["birthDate"] == ask.born.isoformat()
        ]  # fmt: skip
        assert ward.gold(task) == (fits or ["not found"])


def test_doses_by_rule(ward: Plain) -> None:
    """Grams and hours of magnesium, millimoles of potassium, milligrams by kidney function, from the rules' words."""

    def magnesium(v: float) -> float | None:
        return 6 if v < 0.4 else 4 if v < 0.6 else 2 if v < 0.7 else None

    def potassium(v: float) -> float | None:
        return min(40, round((3.5 - v) / 0.1) * 10) if v < 3.5 else None

    steps = {"A10BA02": ((45, 1000), (30, 500)), "B01AB05": ((30, 40), (15, 20))}
    for slug, rule in (("dose-tiers", magnesium), ("dose-linear", potassium)):
        for task in ward.tasks(slug):
            ask: Any = task.ask
            inside = [v for t, v, _ in ward.values(task, ask.analyte) if t >= NOW - timedelta(hours=24)]
            doses = [w.dose for w in ward.outcomes.solved(ask.solve()).writes if hasattr(w, "dose")]
            wanted = rule(inside[-1]) if inside else None
            assert doses == ([] if wanted is None else [wanted])
            assert ward.gold(task) == [pytest.approx(inside[-1] if inside else -1)]
    for task in ward.tasks("renal-dose"):
        ask = task.ask
        recent = [v for t, v, _ in ward.values(task, ask.analyte) if t >= NOW - timedelta(days=90)]
        wanted = next((d for bound, d in steps[ask.by.drug.atc] if recent and recent[-1] >= bound), None)
        doses = [getattr(w, "dose", None) for w in ward.outcomes.solved(ask.solve()).writes]
        assert doses == ([] if wanted is None else [wanted])


def test_factors_of_units_are_those_of_the_knowledge_base() -> None:
    kb = reference_clinician().kb
    by_code = {code: analyte for analyte in kb.analytes.values() for code in analyte.loinc}
    for analyte in (a for a in vars(vocabulary).values() if isinstance(a, Analyte)):
        for unit, factor in analyte.factors:
            known = by_code.get(analyte.codes[0])
            if known is None:
                # cholesterol is no analyte of the knowledge base; 386.65 g/mol
                assert (analyte.topic, factor) == ("cholesterol", pytest.approx(10 / 386.65, rel=0.001))
            else:
                assert convert(1.0, unit, known) == pytest.approx(factor, rel=0.01)
                assert known.unit == analyte.unit


def test_a_result_in_an_unknown_unit_and_a_tie_of_two_values_are_errors() -> None:
    observation = {
        "resourceType": "Observation", "id": "x", "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2823-3"}]},
        "effectiveDateTime": "2023-11-13T08:00:00+00:00", "valueQuantity": {"value": 4, "unit": "mg/dL"},
    }  # fmt: skip
    with pytest.raises(UsageError, match=r"Observation/x has serum potassium in .*mg/dL"):
        results_in([observation], POTASSIUM)
    one = {**observation, "valueQuantity": {"value": 4, "unit": "mmol/L"}}
    other = {**one, "id": "y", "valueQuantity": {"value": 5, "unit": "mmol/L"}}
    assert newest(results_in([one, {**one, "id": "y"}], POTASSIUM)) is not None
    with pytest.raises(UsageError, match="shares its time with another value"):
        newest(results_in([one, other], POTASSIUM))
    del observation["valueQuantity"]
    assert results_in([observation], POTASSIUM) == ()
