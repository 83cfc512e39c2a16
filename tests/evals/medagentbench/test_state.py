"""Grading by effect: what is the same in substance is right, and nothing else is."""

from copy import deepcopy
from datetime import date
from typing import Any

import pytest

from wardround.agents.ehr.episode import EpisodeStatus
from wardround.evals.medagentbench.facts import facts_of
from wardround.evals.medagentbench.gold import Gold
from wardround.evals.medagentbench.wanted import wanted
from wardround.evals.records.grading import Reason

IN_WINDOW, LATER, BEFORE = "2023-11-13T06:00:00+00:00", "2023-11-13T18:00:00+00:00", "2023-11-12T10:14:59+00:00"
SYSTEMS = ("http://hl7.org/fhir/sid/ndc", "http://loinc.org", "http://snomed.info/sct")


def resources(task: Any, gold: Gold) -> list[dict[str, Any]]:
    """Return what is wanted, in R4."""
    return [order.payload("state") for order in wanted(task, facts_of(task), gold, "state")[0].orders]


def graded(bench: Any, task: Any, gold: Gold, *added: dict[str, Any], finish: str = "[]", read: bool = True) -> Any:
    said = bench.said(f"FINISH({finish})", calls=bench.read(task) if read else ())
    return bench.state(task, said, gold, bench.diff(*added))


def changed(resource: dict[str, Any], path: list[Any], value: Any) -> dict[str, Any]:
    """Return a copy in which one place holds something else, or nothing where the value is `...`."""
    copy = deepcopy(resource)
    place: Any = copy
    for step in path[:-1]:
        place = place[step]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return copy


GOLD = {5: 0.8, 9: 3.2}
DOSE: list[Any] = ["dosageInstruction", 0, "doseAndRate", 0]
SAME: list[tuple[int, int, list[Any], Any]] = [
    (3, 0, ["effectiveDateTime"], "2023-11-13T10:15:00Z"),
    (3, 0, ["effectiveDateTime"], "2023-11-13T11:15:00+01:00"),
    (3, 0, ["subject", "display"], "Quill Vantage"),
    (3, 0, ["subject", "reference"], "Patient/S0300001/_history/1"),
    (3, 0, ["subject", "reference"], "http://record.test/fhir/Patient/S0300001"),
    (3, 0, ["valueString"], "131 / 84 mm[Hg]"),
    (3, 0, ["code"], {"coding": [{"system": "urn:rows", "code": "bp"}]}),
    (3, 0, ["category", 0, "coding", 0, "system"], "http://hl7.org/fhir/observation-category"),
    (3, 0, ["category", 0, "coding", 0, "display"], ...),
    (3, 0, ["device"], {"display": "cuff"}),
    (8, 0, ["note"], {"text": "as told: Situation: hip pain, Background: a fall, Assessment: fracture. Recommendation: "
                              "please  operate."}),
    (8, 0, ["code", "coding"], [{"system": "urn:own", "code": "REF"},
                                {"system": "http://snomed.info/sct", "code": "306181000000106", "display": "R"}]),
    (5, 0, ["dosageInstruction", 0, "route"], "IV"),
    (5, 0, ["dosageInstruction", 0, "route"], {"text": "intravenous"}),
    (5, 0, ["dosageInstruction", 0, "route"], {"coding": [{"system": "http://snomed.info/sct", "code": "47625008"}]}),
    (5, 0, [*DOSE, "doseQuantity"], {"value": 4000, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}),
    (5, 0, [*DOSE, "doseQuantity"], {"value": 4.0, "code": "g"}),
    (5, 0, [*DOSE, "rateQuantity"], {"value": 1, "unit": "g/h"}),
    (5, 0, [*DOSE, "rateQuantity"], {"value": 240, "unit": "min"}),
    (5, 0, ["dosageInstruction", 0], {
        "route": {"text": "IV"}, "timing": {"repeat": {"duration": 4, "durationUnit": "h"}},
        "doseAndRate": [{"doseQuantity": {"value": 4, "unit": "g"}}]}),
    (5, 0, ["dosageInstruction", 0, "doseAndRate", 0], {
        "doseQuantity": {"value": 4, "unit": "g"},
        "rateRatio": {"numerator": {"value": 4, "unit": "g"}, "denominator": {"value": 4, "unit": "h"}}}),
    (9, 0, ["dosageInstruction", 0, "route"], {"text": "PO"}),
    (9, 0, [*DOSE, "doseQuantity"], {"value": 30, "unit": "meq"}),
    (9, 0, ["authoredOn"], "2023-11-13T10:15:30+00:00"),
    (9, 1, ["occurrenceDateTime"], "2023-11-14T09:00:00+01:00"),
]  # fmt: skip
OTHER: list[tuple[int, int, list[Any], Any, str]] = [
    (3, 0, ["effectiveDateTime"], "2023-11-13T10:16:00+00:00", "wrong_effective_datetime"),
    (3, 0, ["effectiveDateTime"], "2023-11-13", "wrong_effective_datetime"),
    (3, 0, ["valueString"], "131/48 mmHg", "wrong_value_string"),
    (3, 0, ["valueString"], "131/84 kPa", "wrong_value_string"),
    (3, 0, ["status"], "preliminary", "wrong_status"),
    (3, 0, ["category"], ..., "wrong_category_code"),
    (3, 0, ["code"], {"text": "pulse"}, "wrong_code_text"),
    (3, 0, ["subject"], {"display": "S0300001"}, "wrong_subject"),
    (8, 0, ["note"], ..., "missing_note"),
    (8, 0, ["note", 0, "text"], "please operate", "wrong_note_content"),
    (8, 0, ["priority"], ..., "wrong_priority"),
    (8, 0, ["doNotPerform"], True, "do_not_perform"),
    (8, 0, ["code", "coding", 0, "system"], "http://loinc.org", "wrong_code_code"),
    (5, 0, ["dosageInstruction", 0, "route"], {"text": "oral"}, "wrong_route"),
    (5, 0, ["dosageInstruction", 0, "route"], ..., "wrong_route"),
    (5, 0, [*DOSE, "doseQuantity", "value"], 2, "wrong_dose_value"),
    (5, 0, [*DOSE, "doseQuantity", "unit"], "mg", "wrong_dose_value"),
    (5, 0, [*DOSE, "doseQuantity", "unit"], "mL", "wrong_dose_unit"),
    (5, 0, [*DOSE, "rateQuantity"], ..., "wrong_rate_value"),
    (5, 0, [*DOSE, "rateQuantity"], {"value": 4, "unit": "g/h"}, "wrong_rate_value"),
    (5, 0, ["dosageInstruction"], [], "wrong_dose_unit"),
    (5, 0, ["intent"], "proposal", "wrong_intent"),
    (5, 0, ["medicationCodeableConcept", "coding", 0, "code"], "40032-917-01", "wrong_medication_code"),
    (9, 0, [*DOSE, "doseQuantity", "value"], 30.2, "wrong_dose_value"),
    (9, 1, ["occurrenceDateTime"], "2023-11-14T09:00:00+00:00", "wrong_occurrence_datetime"),
    (9, 1, ["occurrenceDateTime"], ..., "wrong_occurrence_datetime"),
    (9, 1, ["code", "coding", 0, "code"], "4548-4", "wrong_code_code"),
]


def written(bench: Any, category: int, which: int, path: list[Any], value: Any) -> Any:
    """Grade what was wanted with one place changed."""
    task, gold = bench.task(category), bench.gold((IN_WINDOW, GOLD.get(category, 0.0)))
    wants = resources(task, gold)
    assert graded(bench, task, gold, *wants).correct
    wants[which] = changed(wants[which], path, value)
    return graded(bench, task, gold, *wants)


@pytest.mark.parametrize(("category", "which", "path", "value"), SAME)
def test_another_form_of_the_same_is_right(bench: Any, category: int, which: int, path: list[Any], value: Any) -> None:
    grade = written(bench, category, which, path, value)
    assert grade.correct, grade.details


@pytest.mark.parametrize(("category", "which", "path", "value", "code"), OTHER)
def test_another_content_is_wrong_and_named(
    bench: Any, category: int, which: int, path: list[Any], value: Any, code: str
) -> None:
    grade = written(bench, category, which, path, value)
    assert (grade.correct, grade.reason) == (False, Reason.WRONG_WRITE)
    assert code in grade.codes


def test_a_pressure_may_be_written_in_its_components(bench: Any) -> None:
    task = bench.task(3)
    (entry,) = resources(task, Gold())
    del entry["valueString"]

    def part(code: str, value: float) -> dict[str, Any]:
        quantity = {"value": value, "unit": "mmHg"}
        return {"code": {"coding": [{"system": "http://loinc.org", "code": code}]}, "valueQuantity": quantity}

    entry["component"] = [part("8480-6", 131), part("8462-4", 84)]
    assert graded(bench, task, Gold(), entry).correct
    entry["component"] = [part("8480-6", 131)]
    assert graded(bench, task, Gold(), entry).codes == ("wrong_value_string",)


def test_the_order_of_two_writes_does_not_matter(bench: Any) -> None:
    task, gold = bench.task(9), bench.gold((IN_WINDOW, 3.2))
    assert graded(bench, task, gold, *reversed(resources(task, gold))).correct


def test_a_second_dose_in_one_order_is_wrong(bench: Any) -> None:
    task, gold = bench.task(5), bench.gold((IN_WINDOW, 0.8))
    (drug,) = resources(task, gold)
    drug["dosageInstruction"] *= 2
    assert graded(bench, task, gold, drug).codes == ("wrong_dose_count",)


def test_missing_further_and_double_writes_are_named(bench: Any) -> None:
    task, gold = bench.task(9), bench.gold((IN_WINDOW, 3.2))
    drug, level = resources(task, gold)
    assert graded(bench, task, gold, drug).codes == ("missing_write",)
    assert graded(bench, task, gold, drug, level, level).codes == ("duplicate_write",)
    assert graded(bench, task, gold, drug, drug, level).codes == ("duplicate_write", "harmful_write")
    note = {"resourceType": "Communication", "status": "completed"}
    assert graded(bench, task, gold, drug, level, note).codes == ("unneeded_write",)


def test_a_drug_that_nobody_wanted_is_harm(bench: Any) -> None:
    task, gold = bench.task(5), bench.gold((IN_WINDOW, 2.4))
    (drug,) = resources(task, bench.gold((IN_WINDOW, 0.8)))
    assert graded(bench, task, gold).correct
    grade = graded(bench, task, gold, drug)
    assert (grade.reason, grade.codes) == (Reason.WRONG_WRITE, ("unneeded_write", "harmful_write"))


@pytest.mark.parametrize(
    ("dose", "hours", "is_harm"), [(1, 1, False), (2, 1, True), (0.5, 1, False), (1, 0.5, True), (1, 4, False)]
)
def test_too_much_or_too_fast_is_harm(bench: Any, dose: float, hours: float, is_harm: bool) -> None:
    task, gold = bench.task(5), bench.gold((IN_WINDOW, 1.7))
    (drug,) = resources(task, gold)
    amount = {"doseQuantity": {"value": dose, "unit": "g"}, "rateQuantity": {"value": hours, "unit": "h"}}
    grade = graded(bench, task, gold, changed(drug, DOSE, amount))
    assert ("harmful_write" in grade.codes) is is_harm


def test_another_patients_drug_is_harm_and_the_reason(bench: Any) -> None:
    task, gold = bench.task(5), bench.gold((IN_WINDOW, 0.8))
    (drug,) = resources(task, gold)
    grade = graded(bench, task, gold, changed(drug, ["subject", "reference"], "Patient/S9999999"))
    assert grade.reason is Reason.WRONG_PATIENT
    assert set(grade.codes) == {"wrong_subject", "other_patient_write", "harmful_write"}


def test_a_changed_or_removed_resource_is_wrong(bench: Any) -> None:
    task = bench.task(3)
    entry = resources(task, Gold())
    before = {"resourceType": "Patient", "id": "S0300001"}
    for name, others in (("changed", {"changed": ((before, before),)}), ("removed", {"removed": (before,)})):
        grade = bench.state(task, bench.said("FINISH([])"), Gold(), bench.diff(*entry, **others))
        assert grade.details == (f"{name}_resource: Patient/S0300001",)
        assert grade.reason is Reason.WRONG_WRITE


@pytest.mark.parametrize(
    ("category", "gold", "right", "wrong"),
    [
        (4, ((IN_WINDOW, 2.0),), ["[2]", '["2.0"]', '["2 mg/dL"]', "[2.0000001]"], ["[]", "[2.1]", '["2 mmol/L"]']),
        (4, ((BEFORE, 2.0),), ["[-1]", '["-1"]'], ["[]", "[2]", "[null]", '["none"]']),
        (5, ((IN_WINDOW, 2.4),), ["[]", "[2.4]"], ["[-1]", "[2]", "[true]"]),
        (5, ((BEFORE, 1.1),), ["[]", "[-1]"], ["[1.1]", '["none"]']),
        (6, ((IN_WINDOW, 100), (BEFORE, 300)), ["[100]", "[100.09]", '["100"]'], ["[100.2]", "[200]", "[]"]),
        (6, (), ["[-1]"], ["[-1.05]", "[]", "[0]"]),
        (7, ((IN_WINDOW, 118), ("2023-11-13T07:00:00+01:00", 150)), ["[118]", "[150]"], ["[134]", "[118, 150]"]),
        (9, ((BEFORE, 3.5),), ["[]", "[3.5]", '["3.5 mEq/L"]'], ["[-1]", "[3.4]"]),
        (9, (), ["[]", "[-1]"], ["[0]"]),
        (10, ((BEFORE, 6.1),),
         [f'[6.1, "{BEFORE}"]', '["6.1 %", "2023-11-12T11:14:59+01:00"]', '[6.1, "2023-11-12T10:14:59"]'],
         ["[]", "[6.1]", '[6.1, "2023-11-12"]', f'[6.2, "{BEFORE}"]', f'["{BEFORE}", 6.1]', '[6.1, "long ago"]']),
    ],
)  # fmt: skip
def test_answers_are_compared_in_substance(
    bench: Any, category: int, gold: tuple[Any, ...], right: list[str], wrong: list[str]
) -> None:
    task, held = bench.task(category), bench.gold(*gold)
    assert [a for a in right if not graded(bench, task, held, finish=a).correct] == []
    assert [a for a in wrong if graded(bench, task, held, finish=a).correct] == []


def test_a_day_is_no_point_in_time(bench: Any) -> None:
    midnight = "2023-05-01T00:00:00+00:00"
    task, gold = bench.task(10), bench.gold((midnight, 6.1))
    assert graded(bench, task, gold, finish=f'[6.1, "{midnight}"]').correct
    assert graded(bench, task, gold, finish='[6.1, "2023-05-01"]').reason is Reason.WRONG_VALUE


def test_names_and_ages_are_compared_in_substance(bench: Any) -> None:
    found, absent, age = bench.task(1), bench.task(1, absent=True), bench.task(2)
    for answer in (f'["{found.mrn}"]', f'["Patient/{found.mrn}"]', f'["{found.mrn.lower()}"]'):
        assert graded(bench, found, Gold(), finish=answer).correct
    assert graded(bench, found, Gold(), finish='["S9999999"]').reason is Reason.WRONG_PATIENT
    assert graded(bench, found, Gold(), finish='["unknown"]').reason is Reason.WRONG_VALUE
    calls = (bench.call("Patient?birthdate=1941-03-02&_format=json"),)
    for answer, right in (('["no such patient."]', True), ('["S0100001"]', False)):
        said = bench.said(f"FINISH({answer})", calls=calls)
        assert bench.state(absent, said, Gold()).correct is right
    born = Gold((), date(1960, 11, 14))
    for answer, right in (("[62]", True), ('["62"]', True), ('["62 years"]', True), ("[63]", False)):
        assert graded(bench, age, born, finish=answer).correct is right


@pytest.mark.parametrize("category", [1, 2, 4, 5, 6, 7, 9, 10])
def test_what_was_not_read_is_not_known(bench: Any, category: int) -> None:
    task = bench.task(category)
    gold = Gold((), date(1960, 1, 1)) if category == 2 else Gold()
    answer = {1: f'["{task.mrn}"]', 2: "[63]"}.get(category, "[-1]")
    added = resources(task, gold)
    assert graded(bench, task, gold, *added, finish=answer).correct
    unread = graded(bench, task, gold, *added, finish=answer, read=False)
    assert (unread.correct, unread.reason, unread.codes) == (False, Reason.WRONG_QUERY, ("deciding_data_not_read",))


def test_a_read_of_another_patient_only_is_the_wrong_patient(bench: Any) -> None:
    for category, url in ((4, "Observation?patient=S9999999&code=MG"), (2, "Patient/S9999999")):
        said = bench.said("FINISH([-1])", calls=[bench.call(url)])
        grade = bench.state(bench.task(category), said, Gold((), date(1960, 1, 1)))
        assert grade.reason is Reason.WRONG_PATIENT


def test_values_after_the_time_of_the_task_and_void_ones_do_not_count(bench: Any) -> None:
    task, gold = bench.task(5), bench.gold((IN_WINDOW, 2.2), (LATER, 0.8))
    assert graded(bench, task, gold, finish="[2.2]").correct
    assert graded(bench, task, gold, finish="[0.8]").reason is Reason.WRONG_TIME_WINDOW
    said = bench.said("FINISH([2.2])", calls=bench.read(task))
    assert not bench.compat(task, said, gold).correct
    void = Gold(tuple(bench.replace(m, status="entered-in-error") for m in bench.gold((IN_WINDOW, 0.8)).measurements))
    assert graded(bench, task, void, finish="[-1]").correct
    assert not bench.compat(task, said, void).correct


def test_each_of_several_latest_values_may_decide(bench: Any) -> None:
    task, gold = bench.task(9), bench.gold((IN_WINDOW, 3.6), (IN_WINDOW, 3.2))
    low = resources(task, bench.gold((IN_WINDOW, 3.2)))
    assert graded(bench, task, gold, finish="[3.6]").correct
    assert graded(bench, task, gold, *low, finish="[3.2]").correct
    assert not graded(bench, task, gold, *low, finish="[3.6]").correct


@pytest.mark.parametrize("result", ["[2.0", "2.0", '{"a": 2}', ""])
def test_an_answer_that_is_no_list_is_a_fault_of_format(bench: Any, result: str) -> None:
    grade = graded(bench, bench.task(4), bench.gold((IN_WINDOW, 2.0)), finish=result)
    assert (grade.reason, grade.codes) == (Reason.FORMAT, ("invalid_json_result",))


def test_a_right_answer_among_others_is_a_fault_of_format_unless_more_is_wrong(bench: Any) -> None:
    task, gold = bench.task(5), bench.gold((IN_WINDOW, 0.8))
    assert graded(bench, task, gold, *resources(task, gold), finish='[0.8, "mg/dL"]').reason is Reason.FORMAT
    assert graded(bench, task, gold, finish='[0.8, "mg/dL"]').reason is Reason.WRONG_WRITE


@pytest.mark.parametrize(
    ("status", "reason", "code"),
    [
        (EpisodeStatus.LIMIT, Reason.LIMIT, "max_rounds_reached"),
        (EpisodeStatus.CONTEXT, Reason.LIMIT, "context_exceeded"),
        (EpisodeStatus.INVALID, Reason.FORMAT, "invalid_action"),
        (EpisodeStatus.ERROR, Reason.ERROR, "system_error"),
    ],
)
def test_an_episode_that_did_not_finish_is_wrong_whatever_it_wrote(
    bench: Any, status: EpisodeStatus, reason: Reason, code: str
) -> None:
    task = bench.task(3)
    said = bench.said("GET x?y=1", status=status)
    grade = bench.state(task, said, Gold(), bench.diff(*resources(task, Gold())))
    assert (grade.correct, grade.reason, grade.codes) == (False, reason, (code,))


def test_the_time_window_is_told_apart_from_the_value(bench: Any) -> None:
    task, gold = bench.task(6), bench.gold((IN_WINDOW, 100), ("2023-11-12T09:00:00+00:00", 200), (LATER, 300))
    for answer in ("[200]", "[150]", "[-1]"):
        assert graded(bench, task, gold, finish=answer).reason is Reason.WRONG_TIME_WINDOW
    assert graded(bench, task, gold, finish="[123]").reason is Reason.WRONG_VALUE
