"""The record of a case: timeline, measurements with ranges, and what was written to it."""

import json
from typing import Any

import pytest

from wardround.core.case import Case, Record
from wardround.dashboard.record import known_ranges, record_page, series_of
from wardround.dashboard.writes import writes_of
from wardround.trace.events import ToolCalled, ToolReturned


def measured(value: Any, time: str, **more: Any) -> dict[str, Any]:
    code = {"text": "Potassium", "coding": [{"system": "http://loinc.org", "code": "2823-3"}]}
    quantity = {"value": value, "unit": "mmol/L"}
    return {"resourceType": "Observation", "code": code, "effectiveDateTime": time, "valueQuantity": quantity, **more}


def series(*resources: dict[str, Any], ranges: Any = None) -> Any:
    return series_of([(f"r{n}", r) for n, r in enumerate(resources)], ranges)


def test_measurements_of_one_kind_and_unit_are_one_series_in_order_of_time() -> None:
    (found,) = series(measured(5.0, "2024-02-01"), measured(4.0, "2024-01-01"))
    assert [(p.value, p.anchor) for p in found.points] == [(4.0, "r1"), (5.0, "r0")]
    assert found.limits is None


def test_the_range_is_the_one_the_record_states_and_else_that_of_the_knowledge() -> None:
    stated = measured(5.0, "2024-02-01", referenceRange=[{"low": {"value": 3.3}, "high": {"value": 5.2}}])
    ranges = known_ranges(60, "male")
    assert [(s.limits, s.limits_from) for s in series(stated, ranges=ranges)] == [((3.3, 5.2), "record")]
    (own,) = series(measured(5.0, "2024-02-01"), ranges=ranges)
    assert own.limits_from == "knowledge"
    assert own.limits is not None
    assert own.limits[0] < own.limits[1]


def test_a_range_in_another_unit_is_not_drawn() -> None:
    other = measured(5000.0, "2024-02-01")
    other["valueQuantity"]["unit"] = "umol/L"
    (found,) = series(other, ranges=known_ranges(60, "male"))
    assert found.limits is None


def test_values_outside_the_range_are_marked() -> None:
    high = measured(9.0, "2024-02-01", referenceRange=[{"low": {"value": 3.3}, "high": {"value": 5.2}}])
    (found,) = series(high, measured(4.0, "2024-01-01"))
    assert found.plot.count("pl-outside") == 1


@pytest.mark.parametrize(
    "odd",
    [
        {"resourceType": "Observation"},
        {"resourceType": 3, "id": []},
        {},
        measured("many", "2024-01-01"),
        measured(float("inf"), "2024-01-01"),
        measured(1, "yesterday"),
        measured(1, "0001-01-01"),
        measured(1e308, "9999-12-31T23:59:59Z"),
        {"resourceType": "Encounter", "period": {"start": "2024-01-01", "end": "2023-01-01"}},
        {"resourceType": "Patient", "name": "Ann", "birthDate": 1},
        {"resourceType": "MedicationRequest", "dosageInstruction": "daily", "dosage": [3]},
    ],
)
def test_resources_of_odd_shapes_break_nothing(odd: dict[str, Any]) -> None:
    case = Case(id="c", record=Record(resources=(odd, measured(4.0, "2024-01-01")), origin="here"))
    assert record_page([], case)["entries"]


def test_everything_in_the_record_is_on_the_page(runs: dict[str, Any]) -> None:
    run = runs["bundle"]
    shown = record_page(run.events, run.case)
    assert run.case.record is not None
    assert sum(len(rows) + more for rows, more in shown["entries"].values()) == len(run.case.record.resources)
    assert sum(shown["counts"].values()) == len(run.case.record.resources)
    anchors = {entry.anchor for rows, _ in shown["entries"].values() for entry in rows}
    assert len(anchors) == len(run.case.record.resources)
    assert {p.anchor for s in shown["series"] for p in s.points} <= anchors
    assert {drug.anchor for drug in shown["drugs"]} <= anchors


def test_what_was_withdrawn_is_not_measured_and_is_marked() -> None:
    wrong = measured(4.0, "2024-01-01", status="entered-in-error")
    shown = record_page([], Case(id="c", record=Record(resources=(wrong,))))
    assert shown["series"] == []
    assert shown["entries"]["Observation"][0][0].is_void


def test_a_write_that_was_made_is_shown_as_what_came(runs: dict[str, Any]) -> None:
    (write,) = writes_of(runs["written"].events)
    assert (write.method, write.state, write.is_known) == ("POST", "done", True)
    assert {row.sign for row in write.lines} == {"+"}
    assert any('"value": 71' in row.text for row in write.lines)


def test_a_write_that_waits_shows_what_would_come_and_its_summary(runs: dict[str, Any]) -> None:
    (write,) = writes_of(runs["proposed"].events)
    assert write.state == "waiting"
    assert "body weight" in write.told.text
    assert any('"value": 71' in row.text for row in write.lines)


def _use(
    run: Any, seq: int, tool: str, arguments: dict[str, Any], text: str = "", error: str | None = None
) -> list[Any]:
    start = run.events[0]
    made = {"run": start.run, "time": start.time, "span": "", "call": f"tool_{seq}"}
    called = ToolCalled(seq=seq, agent="record agent", tool=tool, arguments=arguments, **made)
    return [called, ToolReturned(seq=seq + 1, text=text, error=error, **made)]


def test_an_update_is_shown_against_what_was_read_before(runs: dict[str, Any]) -> None:
    run = runs["written"]
    before = {"resourceType": "Observation", "id": "w", "status": "preliminary", "valueQuantity": {"value": 70}}
    after = {**before, "status": "final", "valueQuantity": {"value": 71}}
    again = {**after, "valueQuantity": {"value": 72}}
    events = [
        run.events[0],
        *_use(run, 1, "read_resource", {"reference": "Observation/w"}, json.dumps(before)),
        *_use(run, 3, "update_resource", {"resource": after, "version": "1"}, "PUT Observation/w: done"),
        *_use(run, 5, "PUT", {"url": "http://x/fhir/Observation/w", "body": again}, error="the server answered 409"),
    ]
    first, second = writes_of(events)
    changed = [(row.sign, row.text.strip()) for row in first.lines if row.sign != " "]
    assert changed == [
        ("-", '"status": "preliminary",'),
        ("+", '"status": "final",'),
        ("-", '"value": 70'),
        ("+", '"value": 71'),
    ]
    assert second.state == "refused"
    assert [row.text.strip() for row in second.lines if row.sign == "-"] == ['"value": 71']


def test_an_update_of_what_nobody_read_says_that_it_is_not_known(runs: dict[str, Any]) -> None:
    run = runs["written"]
    arguments = {"resource": {"resourceType": "Task", "id": "t"}, "version": "1"}
    (write,) = writes_of([run.events[0], *_use(run, 1, "update_resource", arguments, "done")])
    assert not write.is_known


def test_a_search_result_teaches_what_was_there(runs: dict[str, Any]) -> None:
    run = runs["written"]
    old = {"resourceType": "Task", "id": "t", "status": "ready"}
    bundle = {"resourceType": "Bundle", "entry": [{"resource": old}]}
    events = [
        run.events[0],
        *_use(run, 1, "GET", {"url": "Task"}, json.dumps(bundle)),
        *_use(run, 3, "DELETE", {"url": "Task/t", "body": None}, "gone"),
    ]
    (write,) = writes_of(events)
    assert {row.sign for row in write.lines} == {"-"}
