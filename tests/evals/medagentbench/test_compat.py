"""The published graders, defect by defect."""

from copy import deepcopy
from datetime import date
from typing import Any

import pytest

from wardround.agents.ehr.episode import EpisodeStatus
from wardround.evals.medagentbench.facts import facts_of
from wardround.evals.medagentbench.gold import Gold
from wardround.evals.medagentbench.wanted import wanted
from wardround.evals.records.grading import Reason

DONE = "FINISH([])"
IN_WINDOW, LATER, BEFORE = "2023-11-13T06:00:00+00:00", "2023-11-13T18:00:00+00:00", "2023-11-12T10:14:59+00:00"


def payloads(task: Any, gold: Gold) -> list[dict[str, Any]]:
    """Return what the published grader wants written."""
    return [order.payload("compat") for order in wanted(task, facts_of(task), gold, "compat")[0].orders]


def graded(bench: Any, task: Any, gold: Gold, *posts: dict[str, Any], finish: str = DONE) -> Any:
    said = bench.said(*(bench.post(p) for p in posts), finish, calls=bench.read(task))
    return bench.compat(task, said, gold)


@pytest.mark.parametrize(
    ("answer", "right"),
    [("[2]", True), ("[2.0]", True), ('["2.0"]', False), ("2", False), ("[2, 2]", False), ("[]", False), ("[2", False)],
)
def test_answers_are_compared_as_python_lists(bench: Any, answer: str, right: bool) -> None:
    grade = graded(bench, bench.task(4), bench.gold((IN_WINDOW, 2.0)), finish=f"FINISH({answer})")
    assert grade.correct is right


def test_the_stored_answer_is_that_of_a_look_up(bench: Any) -> None:
    for task, answer in (
        (bench.task(1), f'["{bench.task(1).mrn}"]'),
        (bench.task(1, absent=True), '["No such patient"]'),
    ):
        assert graded(bench, task, Gold(), finish=f"FINISH({answer})").correct
        assert not graded(bench, task, Gold(), finish='FINISH(["S9999999"])').correct


def test_the_age_is_that_of_the_day_of_the_task(bench: Any) -> None:
    for born, age in ((date(1960, 11, 13), 63), (date(1960, 11, 14), 62)):
        task, gold = bench.task(2), Gold(birth_date=born)
        assert graded(bench, task, gold, finish=f"FINISH([{age}])").correct
        assert not graded(bench, task, gold, finish=f"FINISH([{age + 1}])").correct


def test_the_latest_value_is_the_first_of_several_at_one_time(bench: Any) -> None:
    gold = bench.gold(("2023-11-01T00:00:00+00:00", 90), (IN_WINDOW, 118), (IN_WINDOW, 150))
    assert graded(bench, bench.task(7), gold, finish="FINISH([118])").correct
    assert not graded(bench, bench.task(7), gold, finish="FINISH([150])").correct


def test_the_window_begins_at_its_bound_and_never_ends(bench: Any) -> None:
    at_bound = bench.gold(("2023-11-12T10:15:00+00:00", 1.7))
    assert graded(bench, bench.task(4), at_bound, finish="FINISH([1.7])").correct
    assert graded(bench, bench.task(4), bench.gold((BEFORE, 1.7)), finish="FINISH([-1])").correct
    after = bench.gold((IN_WINDOW, 1.7), (LATER, 2.2))
    assert graded(bench, bench.task(4), after, finish="FINISH([2.2])").correct


@pytest.mark.parametrize(
    ("answer", "right"), [("[110]", True), ("[110.09]", True), ("[110.11]", False), ('["110"]', False), ("[[]]", False)]
)
def test_a_mean_may_be_a_tenth_off(bench: Any, answer: str, right: bool) -> None:
    gold = bench.gold((BEFORE, 300), (IN_WINDOW, 100), (bench.now, 120))
    assert graded(bench, bench.task(6), gold, finish=f"FINISH({answer})").correct is right


@pytest.mark.parametrize("category", [1, 2, 4, 6, 7])
def test_a_query_fails_if_post_stands_in_any_agent_turn(bench: Any, category: int) -> None:
    task, gold = bench.task(category), Gold((), date(1960, 1, 1))
    answer = {1: f'["{task.mrn}"]', 2: "[63]"}.get(category, "[-1]")
    assert bench.compat(task, bench.said(f"FINISH({answer})", calls=bench.read(task)), gold).correct
    grade = bench.compat(task, bench.said("GET x?note=POST", f"FINISH({answer})", calls=bench.read(task)), gold)
    assert (grade.correct, grade.reason) == (False, Reason.FORMAT)
    assert grade.codes == ("readonly_violation",)


def test_a_write_in_a_query_is_a_wrong_write(bench: Any) -> None:
    task, gold = bench.task(4), bench.gold((IN_WINDOW, 2.0))
    grade = graded(bench, task, gold, payloads(bench.task(8), Gold())[0], finish="FINISH([2.0])")
    assert grade.reason is Reason.WRONG_PATIENT
    own = payloads(bench.task(8, mrn=task.mrn), Gold())[0]
    grade = graded(bench, task, gold, own, finish="FINISH([2.0])")
    assert (grade.reason, grade.codes) == (Reason.WRONG_WRITE, ("readonly_violation", "unneeded_write"))


@pytest.mark.parametrize("category", [3, 8])
def test_a_write_is_right_whatever_the_answer(bench: Any, category: int) -> None:
    task = bench.task(category)
    for finish in (DONE, "FINISH(nonsense)", 'FINISH(["done"]) and more'):
        assert graded(bench, task, Gold(), *payloads(task, Gold()), finish=finish).correct
    nothing = graded(bench, task, Gold())
    assert nothing.reason is Reason.WRONG_WRITE
    assert nothing.codes == ("wrong_post_count", "missing_write")


@pytest.mark.parametrize(("value", "dose"), [(0.9, 4), (1.0, 2), (1.4, 2), (1.5, 1), (1.9, 1)])
def test_low_magnesium_wants_the_dose_of_the_rule(bench: Any, value: float, dose: int) -> None:
    task, gold = bench.task(5), bench.gold((IN_WINDOW, value))
    resource = {
        "resourceType": "MedicationRequest",
        "medicationCodeableConcept": {
            "coding": [{"system": "http://hl7.org/fhir/sid/ndc", "code": "0338-1715-40", "display": "any"}]
        },
        "authoredOn": "2023-11-13T10:15:00Z",
        "dosageInstruction": [
            {
                "route": "IV",
                "doseAndRate": [
                    {"doseQuantity": {"value": dose, "unit": "g"}, "rateQuantity": {"value": dose, "unit": "h"}}
                ],
            }
        ],
        "status": "active",
        "intent": "order",
        "subject": {"reference": f"Patient/{task.mrn}"},
    }
    for finish in (DONE, f"FINISH([{value}])"):
        assert graded(bench, task, gold, resource, finish=finish).correct
    assert not graded(bench, task, gold, resource, finish="FINISH([7])").correct
    assert not graded(bench, task, gold).correct
    wrong = deepcopy(resource)
    wrong["dosageInstruction"][0]["doseAndRate"][0]["doseQuantity"]["value"] = 3
    assert "wrong_dose_value" in graded(bench, task, gold, wrong).codes


def test_without_magnesium_in_the_window_anything_but_a_write_is_right(bench: Any) -> None:
    task, gold = bench.task(5), bench.gold((BEFORE, 1.1))
    for finish in (DONE, "FINISH([1.1])", "FINISH(nonsense)"):
        assert graded(bench, task, gold, finish=finish).correct
    assert not bench.compat(task, bench.said("FINISH([POST])"), gold).correct


def test_a_crash_is_right_where_the_answer_is_not_looked_at(bench: Any) -> None:
    crashed = bench.said("GET x?y=1", status=EpisodeStatus.ERROR)
    none = bench.compat(bench.task(5), crashed, bench.gold((BEFORE, 1.1)))
    assert none.correct
    assert none.codes == ("system_error",)
    normal = bench.compat(bench.task(5), crashed, bench.gold((IN_WINDOW, 2.1)))
    assert (normal.correct, normal.reason) == (False, Reason.ERROR)
    task = bench.task(3)
    written = bench.said(bench.post(payloads(task, Gold())[0]), status=EpisodeStatus.ERROR)
    assert bench.compat(task, written).correct


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (EpisodeStatus.LIMIT, Reason.LIMIT),
        (EpisodeStatus.CONTEXT, Reason.LIMIT),
        (EpisodeStatus.INVALID, Reason.FORMAT),
    ],
)
def test_an_episode_that_did_not_finish_is_wrong(bench: Any, status: EpisodeStatus, reason: Reason) -> None:
    task = bench.task(3)
    said = bench.said(bench.post(payloads(task, Gold())[0]), status=status)
    grade = bench.compat(task, said)
    assert (grade.correct, grade.reason) == (False, reason)


def potassium(bench: Any, value: float = 3.2) -> tuple[Any, Gold, list[dict[str, Any]]]:
    task, gold = bench.task(9), bench.gold((IN_WINDOW, value))
    return task, gold, payloads(task, gold)


def test_low_potassium_wants_two_orders_in_order(bench: Any) -> None:
    task, gold, (drug, level) = potassium(bench)
    assert drug["dosageInstruction"][0]["doseAndRate"][0]["doseQuantity"] == {"value": 30, "unit": "mEq"}
    assert level["occurrenceDateTime"] == "2023-11-14T08:00:00+00:00"
    assert graded(bench, task, gold, drug, level, finish="FINISH([3.2])").correct
    swapped = graded(bench, task, gold, level, drug)
    assert (swapped.correct, swapped.reason) == (False, Reason.FORMAT)
    assert graded(bench, task, gold, drug).codes == ("wrong_post_count", "missing_write")


def test_the_route_by_mouth_may_differ_in_case_and_the_dose_by_a_tenth(bench: Any) -> None:
    task, gold, (drug, level) = potassium(bench)
    drug["dosageInstruction"][0]["route"] = " Oral "
    drug["dosageInstruction"][0]["doseAndRate"][0]["doseQuantity"] = {"value": 30.05, "unit": "mEq", "code": "meq"}
    level["occurrenceDateTime"] = "2023-11-14T08:59:00Z"
    assert graded(bench, task, gold, drug, level).correct
    drug["dosageInstruction"][0]["doseAndRate"][0]["doseQuantity"]["value"] = 29.8
    assert graded(bench, task, gold, drug, level).codes == ("wrong_dose_value",)


@pytest.mark.parametrize(("value", "finish", "right"), [
    (3.5, "[3.5]", True), (3.5, "[]", True), (3.5, "[-1]", False), (None, "[-1]", True), (None, "[]", True),
])  # fmt: skip
def test_potassium_that_is_not_low_wants_no_write(bench: Any, value: float | None, finish: str, right: bool) -> None:
    gold = bench.gold() if value is None else bench.gold((BEFORE, value))
    assert graded(bench, bench.task(9), gold, finish=f"FINISH({finish})").correct is right


OLD, BOUND = "2022-11-13T10:14:59+00:00", "2022-11-13T10:15:00+00:00"


def test_hba1c_is_ordered_where_it_is_old_or_missing(bench: Any) -> None:
    task = bench.task(10)
    for gold, answer in ((bench.gold((OLD, 6.1)), f'[6.1, "{OLD}"]'), (bench.gold(), "[-1]")):
        (order,) = payloads(task, gold)
        assert graded(bench, task, gold, order, finish=f"FINISH({answer})").correct
        assert graded(bench, task, gold, order).correct
        assert not graded(bench, task, gold, finish=f"FINISH({answer})").correct
    assert graded(bench, task, bench.gold((BOUND, 6.1))).correct


def test_the_time_of_hba1c_must_be_written_as_stored(bench: Any) -> None:
    task, gold = bench.task(10), bench.gold((BOUND, 6.1))
    zulu = graded(bench, task, gold, finish='FINISH([6.1, "2022-11-13T10:15:00Z"])')
    assert (zulu.correct, zulu.reason) == (False, Reason.FORMAT)
    assert bench.state(task, bench.said('FINISH([6.1, "2022-11-13T10:15:00Z"])', calls=bench.read(task)), gold).correct


SPOILED: list[tuple[int, int, list[str | int], Any, str]] = [
    (3, 0, ["category", 0, "coding", 0, "system"], "http://hl7.org", "wrong_category_system"),
    (3, 0, ["category", 0, "coding", 0, "userSelected"], True, "wrong_category_extra"),
    (3, 0, ["category"], [], "wrong_category_count"),
    (3, 0, ["code", "coding"], [], "wrong_code_text"),
    (3, 0, ["effectiveDateTime"], "2023-11-13T10:15:00Z", "wrong_effective_datetime"),
    (3, 0, ["valueString"], "131/84", "wrong_value_string"),
    (3, 0, ["subject", "display"], "Quill", "wrong_subject"),
    (8, 0, ["note"], [{"text": "the text"}], "wrong_note_content"),
    (8, 0, ["note"], None, "wrong_note_content"),
    (8, 0, ["authoredOn"], "2023-11-13T10:15:00Z", "wrong_authored_on"),
    (8, 0, ["priority"], "routine", "wrong_priority"),
    (8, 0, ["code", "coding", 0, "code"], "0", "wrong_code_code"),
    (8, 0, ["code", "coding", 0, "system"], "sct", "wrong_code_system"),
    (9, 0, ["dosageInstruction", 0, "route"], {"text": "oral"}, "wrong_route"),
    (9, 0, ["dosageInstruction", 0, "doseAndRate", 0, "doseQuantity", "value"], "30", "wrong_dose_value"),
    (9, 0, ["dosageInstruction", 0, "doseAndRate", 0, "doseQuantity", "unit"], "meq", "wrong_dose_unit"),
    (9, 0, ["medicationCodeableConcept", "coding", 0, "code"], "40032-917", "wrong_medication_code"),
    (9, 0, ["authoredOn"], "2023-11-13", "wrong_authored_on"),
    (9, 0, ["status"], "draft", "wrong_status"),
    (9, 1, ["intent"], "plan", "wrong_intent"),
    (9, 1, ["occurrenceDateTime"], "2023-11-14T09:00:00+00:00", "wrong_occurrence_datetime"),
    (9, 1, ["resourceType"], "Observation", "wrong_resource_type"),
]


@pytest.mark.parametrize(("category", "which", "path", "value", "code"), SPOILED)
def test_each_demand_on_a_write_is_checked(
    bench: Any, category: int, which: int, path: list[Any], value: Any, code: str
) -> None:
    task, gold = bench.task(category), bench.gold((IN_WINDOW, 3.2))
    posts = payloads(task, gold)
    assert graded(bench, task, gold, *posts).correct
    spoiled = deepcopy(posts)
    place = spoiled[which]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    said = bench.said(
        *(bench.post(p, url=bench.base + posts[i]["resourceType"]) for i, p in enumerate(spoiled)),
        DONE,
        calls=bench.read(task),
    )
    grade = bench.compat(task, said, gold)
    assert not grade.correct
    assert code in grade.codes


def test_a_missing_note_is_named(bench: Any) -> None:
    task = bench.task(8)
    (referral,) = payloads(task, Gold())
    del referral["note"]
    assert graded(bench, task, Gold(), referral).codes == ("missing_note",)


def test_all_faults_of_a_write_are_reported(bench: Any) -> None:
    task, gold = bench.task(5), bench.gold((IN_WINDOW, 0.8))
    grade = graded(bench, task, gold, {"resourceType": "MedicationRequest"})
    assert set(grade.codes) >= {
        "wrong_subject", "wrong_status", "wrong_intent", "wrong_medication_code", "wrong_authored_on", "wrong_route",
        "wrong_dose_value", "wrong_dose_unit", "wrong_rate_value", "wrong_rate_unit",
    }  # fmt: skip


def test_an_agent_that_obeys_the_published_schema_cannot_order_a_dose(bench: Any) -> None:
    task, gold = bench.task(5), bench.gold((IN_WINDOW, 0.8))
    (drug,) = payloads(task, gold)
    drug["dosageInstruction"][0]["route"] = {"text": "IV"}
    grade = graded(bench, task, gold, drug)
    assert (grade.correct, grade.reason, grade.codes) == (False, Reason.FORMAT, ("wrong_route",))
    diff = bench.diff(drug)
    assert bench.state(task, bench.said(DONE, calls=bench.read(task)), gold, diff).correct


def test_the_route_into_a_vein_is_compared_with_its_case_and_quantities_to_the_letter(bench: Any) -> None:
    task, gold = bench.task(5), bench.gold((IN_WINDOW, 0.8))
    (drug,) = payloads(task, gold)
    lower, extra = deepcopy(drug), deepcopy(drug)
    lower["dosageInstruction"][0]["route"] = "iv"
    extra["dosageInstruction"][0]["doseAndRate"][0]["doseQuantity"]["code"] = "g"
    assert graded(bench, task, gold, drug).correct
    assert graded(bench, task, gold, lower).codes == ("wrong_route",)
    assert graded(bench, task, gold, extra).codes == ("extra_in_dose",)


@pytest.mark.parametrize(
    "url", ["http://record.test/fhir//ServiceRequest", "http://record.test/fhir/ServiceRequest?x=1", "ServiceRequest"]
)
def test_the_address_of_a_write_is_compared_to_the_letter(bench: Any, url: str) -> None:
    task = bench.task(8)
    (referral,) = payloads(task, Gold())
    grade = bench.compat(task, bench.said(bench.post(referral, url=url), DONE))
    assert (grade.correct, grade.reason, grade.codes) == (False, Reason.FORMAT, ("wrong_endpoint",))


@pytest.mark.parametrize("frame", ["```\n{}\n```", "```tool_code\n{}\n```", "\n{}", "{}\n```"])
def test_a_write_in_a_fence_is_acknowledged_and_lost(bench: Any, frame: str) -> None:
    task = bench.task(3)
    post = bench.post(payloads(task, Gold())[0])
    assert bench.compat(task, bench.said(post, DONE)).correct
    grade = bench.compat(task, bench.said(frame.format(post), DONE))
    assert (grade.correct, grade.reason, grade.codes) == (False, Reason.FORMAT, ("lost_post", "wrong_post_count"))


def test_post_in_the_last_turn_breaks_the_grader(bench: Any) -> None:
    task = bench.task(3)
    grade = bench.compat(task, bench.said(bench.post(payloads(task, Gold())[0]), 'FINISH(["POST done"])'))
    assert (grade.correct, grade.reason, grade.codes) == (False, Reason.FORMAT, ("post_in_last_turn",))


def test_a_refused_write_does_not_count(bench: Any) -> None:
    task = bench.task(3)
    said = bench.said("POST nonsense", bench.post(payloads(task, Gold())[0]), DONE)
    refused = bench.replace(said.turns[2], content="Invalid POST request")
    assert bench.compat(task, bench.replace(said, turns=(*said.turns[:2], refused, *said.turns[3:]))).correct


def test_a_duplicate_and_another_patients_drug_are_told_apart(bench: Any) -> None:
    task, gold = bench.task(5), bench.gold((IN_WINDOW, 0.8))
    (drug,) = payloads(task, gold)
    twice = graded(bench, task, gold, drug, drug)
    assert twice.reason is Reason.WRONG_WRITE
    assert twice.codes == ("wrong_post_count", "duplicate_write", "harmful_write")
    other = {**drug, "subject": {"reference": "Patient/S9999999"}}
    stranger = graded(bench, task, gold, other)
    assert stranger.reason is Reason.WRONG_PATIENT
    assert stranger.codes == ("wrong_subject", "other_patient_write", "harmful_write")


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("FINISH([2.4])", Reason.WRONG_TIME_WINDOW),
        ("FINISH([-1])", Reason.WRONG_TIME_WINDOW),
        ("FINISH([9.9])", Reason.WRONG_VALUE),
        ('FINISH(["1.7"])', Reason.FORMAT),
        ("FINISH(1.7)", Reason.FORMAT),
        ('FINISH([1.7, "mg/dL"])', Reason.FORMAT),
    ],
)
def test_wrong_answers_fall_into_classes(bench: Any, finish: str, reason: Reason) -> None:
    gold = bench.gold((BEFORE, 2.4), (IN_WINDOW, 1.7))
    assert graded(bench, bench.task(4), gold, finish=finish).reason is reason


def test_an_unread_record_is_the_reason_before_the_answer(bench: Any) -> None:
    gold = bench.gold((IN_WINDOW, 1.7))
    assert bench.compat(bench.task(4), bench.said("FINISH([2.4])"), gold).reason is Reason.WRONG_QUERY
