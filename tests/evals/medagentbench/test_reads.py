"""What counts as having read the data that decide."""

from datetime import date
from typing import Any

import pytest

from wardround.evals.medagentbench.facts import facts_of
from wardround.evals.medagentbench.gold import Gold
from wardround.evals.medagentbench.reads import unread
from wardround.evals.records.grading import Reason

P = "S0500001"
IN_WINDOW = "2023-11-13T06:00:00+00:00"

ALL_TIMES = [
    f"Observation?patient={P}&code=MG&_format=json",
    f"Observation?patient=Patient/{P}&code=MG",
    f"Observation?subject=Patient/{P}&code=https://codes.example|MG",
    f"Observation?subject:Patient={P}&code=K,MG",
    f"Observation?patient.identifier={P}",
    f"/fhir/R4/Observation?patient={P}&_count=5000&_sort=-date",
    f"http://record.test/fhir/Observation?code=MG&patient=http://record.test/fhir/Patient/{P}",
    f"Observation?patient={P}&category=laboratory&status=final",
    f"Observation?patient=S9999999,{P}",
    f"Patient/{P}/Observation?code=MG",
    f"Patient/{P}/$everything",
    f"Patient/{P}/$everything&_format=json",
]
LAST_DAY = [
    f"Observation?patient={P}&code=MG&date=ge2023-11-12T10:15:00+00:00",
    f"Observation?patient={P}&code=MG&date=ge2023-11-12T10:15:00%2B00:00&date=le2023-11-13T10:15:00Z",
    f"Observation?patient={P}&code=MG&date=gt2023-11-12T10:15:00Z",
    f"Observation?patient={P}&code=MG&date=ge2023-11-12",
    f"Observation?patient={P}&code=MG&date=sa2023-11-11&date=lt2023-11-14",
    f"Observation?patient={P}&code=MG&date=2023-11",
    f"Observation?patient={P}&code=MG&date=2023",
]
TOO_LITTLE = [
    "Observation?code=MG",
    f"Observation?patient={P}&code=K",
    f"Observation?patient={P}&code=MG&code=K",
    f"Observation?patient={P}&category=vital-signs",
    f"Observation?patient={P}&code=MG&value-quantity=lt1.9",
    f"Observation?patient={P}&code=MG&_summary=count",
    f"Observation?patient={P}&code=MG&_count=0",
    f"Observation?patient={P}&code=MG&date=ge2023-11-13T10:00:00Z",
    f"Observation?patient={P}&code=MG&date=lt2023-11-12T10:15:00Z",
    f"Observation?patient={P}&code=MG&date=gt2023-11-13",
    f"Observation?patient={P}&code=MG&date=2022",
    f"Observation?patient={P}&code=MG&date=yesterday",
    f"Observation?patient={P}&code=MG&date=2023-13-45",
    f"Observation?patient={P}&code=MG&date=9999",
    f"Condition?patient={P}",
    f"Patient/{P}",
    "http://[",
]


def judged(bench: Any, url: str, gold: Gold, *, category: int = 5, **others: Any) -> Reason | None:
    return unread(facts_of(bench.task(category, mrn=P)), gold, [bench.call(url, **others)])


@pytest.mark.parametrize("url", [*ALL_TIMES, *LAST_DAY])
def test_a_read_of_the_whole_window_decides(bench: Any, url: str) -> None:
    for gold in (Gold(), bench.gold((IN_WINDOW, 1.1))):
        assert judged(bench, url, gold) is None


@pytest.mark.parametrize("url", TOO_LITTLE)
def test_a_narrower_read_does_not(bench: Any, url: str) -> None:
    for gold in (Gold(), bench.gold((IN_WINDOW, 1.1))):
        assert judged(bench, url, gold) is Reason.WRONG_QUERY


def test_a_read_from_the_latest_value_on_is_enough_to_know_it(bench: Any) -> None:
    url = f"Observation?patient={P}&code=MG&date=2023-11-13"
    assert judged(bench, url, bench.gold((IN_WINDOW, 1.1))) is None
    assert judged(bench, url, Gold()) is Reason.WRONG_QUERY


def test_that_there_never_was_a_value_is_known_from_a_read_of_all_times_alone(bench: Any) -> None:
    since = f"Observation?patient={P}&code=A1C&date=ge2020-01-01"
    assert judged(bench, since, bench.gold((IN_WINDOW, 6.0)), category=10) is None
    assert judged(bench, since, Gold(), category=10) is Reason.WRONG_QUERY
    assert judged(bench, f"Observation?patient={P}&code=A1C", Gold(), category=10) is None


def test_a_mean_needs_all_values_of_the_window(bench: Any) -> None:
    gold = bench.gold(("2023-11-12T11:00:00+00:00", 100), (IN_WINDOW, 120))
    url = f"Observation?patient={P}&code=GLU&date="
    assert judged(bench, f"{url}2023-11-13", gold, category=6) is Reason.WRONG_QUERY
    assert judged(bench, f"{url}ge2023-11-12", gold, category=6) is None


@pytest.mark.parametrize("others", [{"status": 400}, {"status": 500}, {"status": None}, {"method": "POST"}])
def test_a_read_that_failed_is_none(bench: Any, others: dict[str, Any]) -> None:
    assert judged(bench, ALL_TIMES[0], Gold(), **others) is Reason.WRONG_QUERY


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (f"Patient/{P}", None),
        (f"Patient?identifier=urn:mrn|{P}", None),
        (f"Patient?_id={P}&_format=json", None),
        (f"Patient/{P}/$everything", None),
        ("Patient?identifier=S9999999", Reason.WRONG_PATIENT),
        ("Patient?gender=male", Reason.WRONG_QUERY),
        (f"Observation?patient={P}", Reason.WRONG_QUERY),
    ],
)
def test_an_age_needs_the_patient(bench: Any, url: str, reason: Reason | None) -> None:
    assert judged(bench, url, Gold((), date(1960, 1, 1)), category=2) is reason


@pytest.mark.parametrize(
    ("url", "reason"), [("Patient?family=Vantage", None), ("Patient", Reason.WRONG_QUERY), ("", Reason.WRONG_QUERY)]
)
def test_a_look_up_needs_a_search_for_patients(bench: Any, url: str, reason: Reason | None) -> None:
    assert judged(bench, url, Gold(), category=1) is reason
