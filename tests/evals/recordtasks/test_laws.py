"""Laws of answers, matching, corrections, shares and splits."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from wardround.evals.records.ground import Changes
from wardround.evals.recordtasks.answers import Answer, Day, Number, Text, holds, plain, same
from wardround.evals.recordtasks.building import quotas
from wardround.evals.recordtasks.catalogue import CATEGORIES
from wardround.evals.recordtasks.effects import write_faults
from wardround.evals.recordtasks.evidence import reads_of
from wardround.evals.recordtasks.matching import differences, miscorrections, per_day
from wardround.evals.recordtasks.orders import Correction, DrugOrder, Order, ServiceOrder, VitalEntry, pressure
from wardround.evals.recordtasks.wording import split_of
from wardround.tools.fhir.session import RecordCall

NOW = datetime(2023, 11, 13, 10, 15, tzinfo=UTC)
words = st.sampled_from(["no", "none", "ordered", "not found", "W1047291", "C09AA05"])
numbers = st.floats(-500, 5000, allow_nan=False).map(lambda v: round(v, 2))
items = st.one_of(numbers.map(Number), words.map(Text), st.dates(date(1950, 1, 1), date(2030, 1, 1)).map(Day))
answers = st.lists(items, min_size=1, max_size=3).map(tuple)
drugs = st.builds(
    DrugOrder,
    patient=st.just("p1"),
    authored=st.just(NOW),
    atc=st.sampled_from(["A12BA01", "A10BA02"]),
    name=st.just("a drug"),
    route=st.sampled_from(["oral", "intravenous", "subcutaneous"]),
    dose=st.integers(1, 4000).map(float),
    unit=st.sampled_from(["mg", "g", "mmol"]),
    per_day=st.sampled_from([None, 1, 2, 3, 4]),
)
infusions = st.builds(replace, drugs, per_day=st.none(), hours=st.sampled_from([1.0, 2.0, 6.0]))
tests = st.builds(
    ServiceOrder,
    patient=st.just("p1"),
    authored=st.just(NOW),
    system=st.just("http://loinc.org"),
    code=st.sampled_from(["2823-3", "4548-4"]),
    name=st.just("a test"),
    priority=st.sampled_from(["routine", "urgent", "stat"]),
    due=st.one_of(st.none(), st.integers(1, 48).map(lambda h: NOW + timedelta(hours=h))),
    note=st.one_of(st.none(), st.just("Please see soon.")),
)
vitals = st.one_of(
    st.builds(lambda v: VitalEntry("p1", "8867-4", "Heart rate", NOW, v, "/min"), st.integers(30, 200)),
    st.builds(lambda a, b: pressure("p1", NOW, a, b), st.integers(90, 200), st.integers(40, 89)),
)
orders: st.SearchStrategy[Order] = st.one_of(drugs, infusions, tests, vitals)


@given(answers)
def test_an_answer_in_its_plainest_form_is_right(answer: Answer) -> None:
    assert same(answer, plain(answer))
    assert same(answer, plain(answer), is_set=True)


@given(answers, st.lists(st.integers(), min_size=1, max_size=2))
def test_a_longer_list_is_never_the_answer_but_holds_it(answer: Answer, more: list[int]) -> None:
    longer = [*plain(answer), *more]
    assert not same(answer, longer)
    assert holds(answer, longer)


@given(numbers, st.floats(0.01, 100))
def test_a_number_that_is_further_off_than_allowed_is_wrong(value: float, off: float) -> None:
    allowed = 0.005
    assert Number(value, allowed).fits(value + allowed / 2)
    assert not Number(value, allowed).fits(value + allowed + off)


@given(numbers)
def test_a_number_may_be_text_with_its_own_unit_and_no_other(value: float) -> None:
    number = Number(value, units=frozenset({"mmol/l"}))
    assert number.fits(f"{value:g} mmol/L") == number.fits(f"{value:g}")
    assert not number.fits(f"{value:g} mg/dL")


@pytest.mark.parametrize("given_", [True, None, [], {}, "5 ", "five", float("nan"), "nan"])
def test_what_is_no_number_is_not_taken_for_one(given_: object) -> None:
    assert Number(5.0).fits(given_) == (given_ == "5 ")
    assert not Number(1.0).fits(given_)


def test_a_day_may_be_a_point_in_time_on_it() -> None:
    day = Day(date(2023, 5, 6))
    assert day.fits("2023-05-06")
    assert day.fits("2023-05-06T11:00:00+00:00")
    assert day.fits("2023-05-07T01:00:00+02:00")
    assert not day.fits("2023-05-07")
    assert not day.fits("May 6")


@given(st.lists(words, min_size=1, max_size=4, unique=True), st.randoms())
def test_a_set_may_come_in_any_order(codes: list[str], rng: Any) -> None:
    answer = tuple(map(Text, codes))
    shuffled = rng.sample(codes, len(codes))
    assert same(answer, shuffled, is_set=True)
    assert not same(answer, [*codes[:-1], codes[0]], is_set=True) or len(codes) == 1


@given(orders)
def test_what_is_written_as_the_oracle_writes_it_has_no_differences(order: Order) -> None:
    assert differences(order, order.payload()) == ()
    assert write_faults((order,), Changes((order.payload(),)), "p1") == ()


@given(orders, orders)
def test_two_orders_are_the_same_only_if_they_are_equal(one: Order, other: Order) -> None:
    assume(one.type == other.type)
    is_same = differences(one, other.payload()) == ()
    assert is_same or one != other
    # less may be asked for than is written: a note or a time that no one wanted does no harm
    loose = isinstance(one, ServiceOrder) and (one.note is None or one.due is None)
    equal_dose = isinstance(one, DrugOrder) and isinstance(other, DrugOrder) and grams(one) == grams(other)
    assert not is_same or one == other or loose or equal_dose


def grams(order: DrugOrder) -> tuple[float, bool]:
    return order.dose * {"g": 1000, "mg": 1, "mmol": 1}[order.unit], order.unit == "mmol"


@given(orders)
def test_another_patient_is_always_a_difference(order: Order) -> None:
    payload = {**order.payload(), "subject": {"reference": "Patient/p2"}}
    assert any(code.startswith("wrong_subject") for code in differences(order, payload))
    assert "other_patient_write" in write_faults((order,), Changes((payload,)), "p1")


@given(orders)
def test_a_second_one_is_a_duplicate_and_none_is_missing(order: Order) -> None:
    twice = Changes((order.payload(), copy.deepcopy(order.payload())))
    assert write_faults((order,), twice, "p1")[0].startswith("duplicate_write")
    assert write_faults((order,), Changes(), "p1") == (f"missing_write: {order.type}",)
    assert write_faults((), Changes((order.payload(),)), "p1")[0].startswith("unneeded_write")


@given(drugs)
def test_a_dose_may_be_in_another_unit_and_form(order: DrugOrder) -> None:
    payload = order.payload()
    dosage = payload["dosageInstruction"][0]
    dosage["route"] = {"text": {"oral": "PO", "intravenous": "iv", "subcutaneous": "s.c."}[order.route]}
    if order.unit == "g":
        dosage["doseAndRate"][0]["doseQuantity"] = {"value": order.dose * 1000, "unit": "mg"}
    if order.unit == "mmol":
        dosage["doseAndRate"][0]["doseQuantity"] = {"value": order.dose, "unit": "mEq"}
    assert differences(order, payload) == ()


@given(drugs, st.floats(0.1, 0.95) | st.floats(1.05, 10))
def test_another_dose_is_a_difference_and_a_larger_one_does_harm(order: DrugOrder, factor: float) -> None:
    payload = replace(order, dose=order.dose * factor).payload()
    assert any(code.startswith("wrong_dose_value") for code in differences(order, payload))
    faults = write_faults((order,), Changes((payload,)), "p1")
    assert any(code.startswith("harmful_write") for code in faults) == (factor > 1)


@pytest.mark.parametrize(
    ("timing", "often"),
    [
        ({"repeat": {"frequency": 2, "period": 1, "periodUnit": "d"}}, 2),
        ({"repeat": {"period": 12, "periodUnit": "h"}}, 2),
        ({"repeat": {"frequency": 1, "period": 1, "periodUnit": "wk"}}, 1 / 7),
        ({"code": {"coding": [{"code": "TID"}]}}, 3),
        ({"code": {"text": "bid"}}, 2),
        ({"repeat": {"count": 1, "frequency": 1, "period": 1, "periodUnit": "d"}}, None),
        ({"repeat": {"frequency": 2, "period": 0, "periodUnit": "d"}}, None),
        ({}, None),
    ],
)
def test_how_often_a_day_is_read_from_every_structure(timing: dict[str, Any], often: float | None) -> None:
    found = per_day({"dosageInstruction": [{"timing": timing}]})
    assert found == (None if often is None else pytest.approx(often))


def test_an_infusion_may_be_given_by_its_rate() -> None:
    order = DrugOrder("p1", NOW, "B05XA05", "Magnesium sulfate", "intravenous", 4, "g", hours=4.0)
    payload = order.payload()
    dosage = payload["dosageInstruction"][0]
    del dosage["timing"]
    assert any(code.startswith("wrong_rate_value") for code in differences(order, payload))
    dosage["doseAndRate"][0]["rateQuantity"] = {"value": 1, "unit": "g/h"}
    assert differences(order, payload) == ()


WEIGHT = {
    "resourceType": "Observation",
    "id": "p1-obs-0001",
    "meta": {"versionId": "1"},
    "status": "final",
    "code": {"text": "Body weight"},
    "subject": {"reference": "Patient/p1"},
    "effectiveDateTime": "2023-11-10T08:00:00+00:00",
    "valueQuantity": {"value": 714, "unit": "kg"},
}


@pytest.mark.parametrize("correction", [Correction(WEIGHT, "entered-in-error"), Correction(WEIGHT, "corrected", 71.4)])
def test_a_correction_may_be_explained_and_must_leave_the_rest(correction: Correction) -> None:
    after = {**correction.after(), "meta": {"versionId": "2"}, "note": [{"text": "slip of the pen"}]}
    assert miscorrections(correction, after) == ()
    assert write_faults((correction,), Changes(changed=((WEIGHT, after),)), "p1") == ()
    for name in ("code", "subject", "effectiveDateTime"):
        gone = {k: v for k, v in after.items() if k != name}
        assert miscorrections(correction, gone) == (f"changed_member: {name}",)
    assert miscorrections(correction, {**after, "status": "final"})[0].startswith("wrong_status")
    assert miscorrections(correction, {**after, "valueQuantity": {"value": 70, "unit": "kg"}})[0].startswith(
        "wrong_value"
    )


def test_a_deleted_resource_is_never_wanted() -> None:
    correction = Correction(WEIGHT, "entered-in-error")
    faults = write_faults((correction,), Changes(removed=(WEIGHT,)), "p1")
    assert faults == ("missing_write: change of Observation/p1-obs-0001", "removed_resource: Observation/p1-obs-0001")


@given(st.sampled_from(CATEGORIES), st.integers(0, 400))
def test_shares_are_kept_to_the_task(category: Any, total: int) -> None:
    counts = quotas(category.branches, total)
    assert sum(counts.values()) == total
    assert all(abs(counts[name] - share * total) < 1 for name, share in category.branches.items())


@given(st.lists(st.text(min_size=1), min_size=2, max_size=9, unique=True), st.integers(0, 50))
def test_the_halves_of_a_split_have_nothing_in_common(wordings: list[str], seed: int) -> None:
    dev, test = split_of(wordings, "dev", seed, "a"), split_of(wordings, "test", seed, "a")
    assert sorted([*dev, *test]) == sorted(wordings)
    assert 0 <= len(dev) - len(test) <= 1


def call(url: str, status: int | None = 200, method: str = "GET") -> RecordCall:
    return RecordCall(method, url, None, status, True, "", None)


def test_pages_of_one_search_are_one_read_and_repetitions_are_no_pages() -> None:
    first = "Observation?patient=p1&_count=2"
    calls = [call(first), call(first), call(first + "&_cursor=a"), call(first + "&_cursor=b&_format=json")]
    reads = reads_of([*calls, call("Observation", 400), call("Observation", None), call("Observation", 201, "POST")])
    assert [(read.url, read.pages) for read in reads] == [(first, 3)]


def test_a_time_with_a_zone_is_read_as_it_was_sent() -> None:
    (read,) = reads_of([call("Observation?date=ge2023-11-12T10:15:00%2B00:00&_format=json")])
    assert read.params == (("date", "ge2023-11-12T10:15:00+00:00"),)
