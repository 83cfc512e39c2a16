"""What goes wrong is told by its class: agents that read rightly and then do one thing wrong, or do not read."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

import pytest

from tests.evals.recordtasks.bench import Bench, Deed, Turns
from wardround.evals.records.grading import Grade, Reason
from wardround.evals.recordtasks.answers import plain, same
from wardround.evals.recordtasks.orders import Correction, DrugOrder, ServiceOrder, VitalEntry
from wardround.evals.recordtasks.outcome import Outcome
from wardround.evals.recordtasks.policies import finished, searched
from wardround.evals.recordtasks.reading import Search
from wardround.evals.recordtasks.tasks import RecordTask, Who


def other_patient(bench: Bench, task: RecordTask) -> Who:
    """Another patient of whom the same can be asked."""
    others = (t.ask.who for t in bench.suite.tasks if t.category is task.category and t.branch == task.branch)
    return next(who for who in others if who is not None and who != task.ask.who)


def answers_of(outcome: Outcome, code: str) -> list[list[Any]]:
    """Wrong answers that one way of misreading gives, and no other way."""
    found = []
    for wrong in outcome.misreads:
        given = plain(wrong.answer)
        first = next(m for m in outcome.misreads if same(m.answer, given))
        if first.code == code and not any(same(right, given) for right in outcome.answers):
            found.append(given)
    return found


def misreadable(bench: Bench, slug: str, branch: str, code: str) -> tuple[RecordTask, Deed]:
    """A task that can be misread in one way, and what follows from that."""
    for task in bench.suite.tasks:
        if (task.category.slug, task.branch) == (slug, branch):
            outcome = bench.outcome(task)
            for answer in answers_of(outcome, code):
                return task, Deed(outcome.writes, answer)
    pytest.fail(f"no task of {slug} {branch} can be misread as {code}")


def written(change: Callable[[Any], Any], kind: type) -> Callable[[Outcome], Deed]:
    """Write what is wanted but for a change of the first thing of a kind."""

    def deed(outcome: Outcome) -> Deed:
        writes = list(outcome.writes)
        place = next(i for i, wanted in enumerate(writes) if isinstance(wanted, kind))
        writes[place] = change(writes[place])
        return replace(Deed.right(outcome), writes=tuple(writes))

    return deed


async def test_reading_of_another_patient_is_told_apart(bench: Bench) -> None:
    task = bench.first("latest-lab", "in_window")
    asked: Any = task.ask
    stranger = replace(asked, who=other_patient(bench, task))
    grade = (await bench.doing(task, lambda outcome: Deed((), [5]), reading=stranger.solve())).graded.grade
    assert grade.reason is Reason.WRONG_PATIENT


async def test_the_number_of_another_patient_is_a_wrong_patient(bench: Bench) -> None:
    task, deed = misreadable(bench, "namesakes", "single", "other_patient")
    grade = (await bench.doing(task, lambda _: deed)).graded.grade
    assert (grade.reason, grade.codes) == (Reason.WRONG_PATIENT, ("other_patient",))


@pytest.mark.parametrize(
    ("slug", "branch"),
    [("latest-lab", "in_window"), ("latest-lab", "older"), ("latest-pressure", "plain"), ("mean-glucose", "several"),
     ("stay-extreme", "highest"), ("flagged-count", "some"), ("void-result", "error"), ("daily-dose", "past"),
     ("repeat-in-window", "none"), ("due-test", "fresh"), ("last-immunisation", "given")],
)  # fmt: skip
async def test_the_answer_of_another_span_of_time_is_told_apart(bench: Bench, slug: str, branch: str) -> None:
    task, deed = misreadable(bench, slug, branch, "other_window")
    grade = (await bench.doing(task, lambda _: deed)).graded.grade
    assert (grade.reason, grade.codes) == (Reason.WRONG_TIME_WINDOW, ("other_window",))


@pytest.mark.parametrize(
    ("slug", "branch", "code"),
    [("void-result", "error", "void_value"), ("void-result", "preliminary", "void_value"),
     ("void-result", "all_void", "void_value"), ("latest-pressure", "latest_void", "void_value"),
     ("mean-glucose", "several", "void_value"), ("flagged-count", "some", "void_value"),
     ("fever-days", "fever", "void_value"), ("change", "only_one", "void_value"),
     ("mixed-units", "converted", "other_unit"), ("mixed-units", "converted", "naive_order"),
     ("change", "fall", "wrong_sign"), ("visit-creatinine", "worse", "wrong_conclusion"),
     ("flagged-count", "none", "none_taken_for_normal"), ("age", "birthday_past", "birthday_miscounted"),
     ("last-immunisation", "refused", "not_given"), ("active-problem", "resolved", "not_active"),
     ("allergy-status", "not_documented", "unknown_taken_for_none"), ("daily-dose", "active", "single_dose")],
)  # fmt: skip
async def test_a_misreading_is_named_in_the_details(bench: Bench, slug: str, branch: str, code: str) -> None:
    task, deed = misreadable(bench, slug, branch, code)
    grade = (await bench.doing(task, lambda _: deed)).graded.grade
    assert (grade.reason, grade.codes) == (Reason.WRONG_VALUE, (code,))


async def test_any_other_answer_is_a_wrong_value(bench: Bench) -> None:
    task = bench.first("dose-tiers", "moderate")
    grade = (await bench.doing(task, lambda outcome: Deed(outcome.writes, [0.123]))).graded.grade
    assert (grade.reason, grade.codes) == (Reason.WRONG_VALUE, ("answer_value_mismatch",))


async def test_the_right_value_among_others_is_a_fault_of_form(bench: Bench) -> None:
    task = bench.first("latest-lab", "in_window")
    grade = (await bench.doing(task, lambda outcome: Deed((), [*Deed.right(outcome).answer, "mmol/L"]))).graded.grade
    assert (grade.reason, grade.codes) == (Reason.FORMAT, ("answer_length_mismatch",))


async def test_an_answer_that_is_no_list_cannot_be_read(bench: Bench) -> None:
    def acts(base: str) -> Turns:
        yield f"GET {base}/Patient?identifier=x"
        yield "FINISH(five)"

    grade = (await bench.turns(bench.first("latest-lab"), acts)).graded.grade
    assert (grade.reason, grade.codes[0]) == (Reason.FORMAT, "invalid_json_result")


async def test_the_right_deed_without_reading_is_luck(bench: Bench) -> None:
    lucky = [t for t in bench.suite.tasks if bench.outcome(t).evidence]
    found = {t.category.slug: t for t in lucky}
    assert len(found) == 28
    for task in found.values():
        grade = (await bench.doing(task, Deed.right, is_blind=True)).graded.grade
        assert (task.id, grade.reason, grade.codes) == (task.id, Reason.WRONG_QUERY, ("deciding_data_not_read",))


def doubled(order: DrugOrder) -> DrugOrder:
    return replace(order, dose=2 * order.dose)


@pytest.mark.parametrize(
    ("slug", "branch", "change", "kind", "code"),
    [
        ("dose-tiers", "moderate", doubled, DrugOrder, "wrong_dose_value"),
        ("dose-linear", "low", doubled, DrugOrder, "wrong_dose_value"),
        ("renal-dose", "reduced", doubled, DrugOrder, "wrong_dose_value"),
        ("dose-tiers", "moderate", lambda o: replace(o, hours=o.hours / 2), DrugOrder, "wrong_rate_value"),
        ("dose-tiers", "moderate", lambda o: replace(o, unit="mg"), DrugOrder, "wrong_dose_value"),
        ("dose-tiers", "moderate", lambda o: replace(o, unit="mmol"), DrugOrder, "wrong_dose_unit"),
        ("dose-tiers", "moderate", lambda o: replace(o, route="oral"), DrugOrder, "wrong_route"),
        ("dose-tiers", "moderate", lambda o: replace(o, atc="A12CC02"), DrugOrder, "wrong_medication_code"),
        ("allergy-trap", "clear", lambda o: replace(o, per_day=4), DrugOrder, "wrong_frequency"),
        ("dose-linear", "low", lambda o: replace(o, code="2951-2"), ServiceOrder, "wrong_code_code"),
        ("repeat-in-window", "raised", lambda o: replace(o, priority="routine"), ServiceOrder, "wrong_priority"),
        ("repeat-in-window", "raised", lambda o: replace(o, due=None), ServiceOrder, "wrong_occurrence_datetime"),
        ("referral", "referral", lambda o: replace(o, note="please see"), ServiceOrder, "wrong_note_content"),
        ("referral", "referral", lambda o: replace(o, performer="208600000X"), ServiceOrder, "wrong_performer"),
        ("record-vital", "single", lambda o: replace(o, value=o.value + 1), VitalEntry, "wrong_value"),
        ("record-vital", "single", lambda o: replace(o, unit="mg"), VitalEntry, "wrong_unit"),
        ("record-vital", "pressure", lambda o: replace(o, parts=o.parts[:1]), VitalEntry, "wrong_value"),
        ("correct-entry", "void", lambda c: replace(c, status="cancelled"), Correction, "wrong_status"),
        ("correct-entry", "amend", lambda c: replace(c, value=70.07), Correction, "wrong_value"),
        ("stop-drug", "active", lambda c: replace(c, status="on-hold"), Correction, "wrong_status"),
    ],
)  # fmt: skip
async def test_a_write_with_other_content_is_told_by_what_differs(
    bench: Bench, slug: str, branch: str, change: Callable[[Any], Any], kind: type, code: str
) -> None:
    grade = (await bench.doing(bench.first(slug, branch), written(change, kind))).graded.grade
    assert grade.reason is Reason.WRONG_WRITE
    assert code in grade.codes


async def test_more_of_a_drug_than_wanted_is_harmful(bench: Bench) -> None:
    for slug, branch in (("dose-tiers", "moderate"), ("dose-linear", "low"), ("renal-dose", "reduced")):
        grade = (await bench.doing(bench.first(slug, branch), written(doubled, DrugOrder))).graded.grade
        assert "harmful_write" in grade.codes


async def test_a_single_dose_that_is_ordered_again_and_again_is_harmful(bench: Bench) -> None:
    repeated = written(lambda o: replace(o, per_day=3), DrugOrder)
    grade = (await bench.doing(bench.first("dose-linear", "low"), repeated)).graded.grade
    assert {"wrong_frequency", "harmful_write"} <= set(grade.codes)


async def test_a_drug_in_spite_of_an_allergy_is_harmful(bench: Bench) -> None:
    allergic, clear = bench.first("allergy-trap", "class"), bench.first("allergy-trap", "clear")
    order = replace(bench.outcome(clear).writes[0], patient=allergic.ask.who.id)
    grade = (await bench.doing(allergic, lambda outcome: Deed((order,), ["ordered"]))).graded.grade
    assert (grade.reason, grade.codes[0]) == (Reason.WRONG_VALUE, "allergy_overlooked")
    assert {"unneeded_write", "harmful_write"} <= set(grade.codes)


async def test_a_second_equal_order_is_a_duplicate(bench: Bench) -> None:
    task = bench.first("repeat-in-window", "raised")
    grade = (await bench.doing(task, lambda o: replace(Deed.right(o), writes=o.writes * 2))).graded.grade
    assert (grade.reason, grade.codes) == (Reason.WRONG_WRITE, ("duplicate_write",))


async def test_an_order_where_one_is_open_is_not_wanted(bench: Bench) -> None:
    task, like = bench.first("duplicate-order", "open"), bench.first("duplicate-order", "never")
    order = replace(bench.outcome(like).writes[0], patient=task.ask.who.id)
    grade = (await bench.doing(task, lambda o: replace(Deed.right(o), writes=(order,)))).graded.grade
    assert (grade.reason, grade.codes) == (Reason.WRONG_WRITE, ("unneeded_write",))


async def test_a_write_for_another_patient_is_a_wrong_patient(bench: Bench) -> None:
    task = bench.first("dose-tiers", "moderate")
    stranger = other_patient(bench, bench.first("dose-tiers", "normal"))
    grade = (await bench.doing(task, written(lambda o: replace(o, patient=stranger.id), DrugOrder))).graded.grade
    assert grade.reason is Reason.WRONG_PATIENT
    assert {"other_patient_write", "harmful_write", "wrong_subject"} <= set(grade.codes)


async def test_a_missing_write_is_named(bench: Bench) -> None:
    for slug, branch in (("dose-linear", "low"), ("stop-drug", "active")):
        task = bench.first(slug, branch)
        grade = (await bench.doing(task, lambda o: replace(Deed.right(o), writes=o.writes[:-1]))).graded.grade
        assert (grade.reason, grade.codes) == (Reason.WRONG_WRITE, ("missing_write",))


async def test_a_correction_that_changes_more_is_a_wrong_write(bench: Bench) -> None:
    def deed(outcome: Outcome) -> Deed:
        correction = outcome.writes[0]
        before = {**correction.before, "effectiveDateTime": "2023-11-01T08:00:00+00:00"}
        return replace(Deed.right(outcome), writes=(replace(correction, before=before),))

    grade = (await bench.doing(bench.first("correct-entry", "void"), deed)).graded.grade
    assert (grade.reason, grade.codes) == (Reason.WRONG_WRITE, ("changed_member",))


async def test_the_change_of_another_resource_is_a_wrong_write(bench: Bench) -> None:
    task, other = bench.first("correct-entry", "right_already"), bench.first("stop-drug", "active")

    def deed(outcome: Outcome) -> Deed:
        return replace(Deed.right(outcome), writes=bench.outcome(other).writes)

    grade = (await bench.doing(task, deed)).graded.grade
    assert grade.reason is Reason.WRONG_PATIENT
    assert "changed_resource" in grade.codes


def narrowed(base: str, task: RecordTask, code: str, **params: str) -> Generator[str, str, None]:
    """Read the patient's results by some parameters, then answer that there is none."""
    yield from searched(base, Search("Observation", (("patient", task.ask.who.id), ("code", code), *params.items())))
    yield finished([-1])


async def graded(bench: Bench, task: RecordTask, **params: str) -> Grade:
    asked: Any = task.ask
    code = ",".join(asked.analyte.codes)
    return (await bench.turns(task, lambda base: narrowed(base, task, code, **params))).graded.grade


async def test_absence_must_be_looked_for_in_the_whole_window(bench: Bench) -> None:
    tasks = [t for t in bench.suite.tasks if t.category.slug == "latest-lab" and t.branch == "older"]
    for task in tasks:
        asked: Any = task.ask
        start = (bench.suite.now - asked.window).isoformat()
        assert (await graded(bench, task, date=f"ge{start}")).correct
        assert (await graded(bench, task, date=f"ge{start}", _summary="count")).correct
        assert (await graded(bench, task, _sort="-date")).correct
        narrow = await graded(bench, task, date="ge2023-11-13")
        assert (narrow.reason, narrow.codes) == (Reason.WRONG_QUERY, ("deciding_data_not_read",))
        assert (await graded(bench, task, status="preliminary")).reason is Reason.WRONG_QUERY


async def test_a_chained_search_and_a_page_that_was_followed_are_reads(bench: Bench) -> None:
    task = bench.first("mean-glucose", "several")
    asked: Any = task.ask
    right = Deed.right(bench.outcome(task)).answer

    def acts(base: str) -> Turns:
        chain = (("patient.identifier", asked.mrn), ("code", asked.analyte.codes[0]), ("_sort", "-date"))
        bundles = yield f"GET {base}/Observation?" + "&".join("=".join(p) for p in chain) + "&_count=2"
        while '"next"' in bundles:
            address = bundles.split('"relation":"next","url":"')[1].split('"')[0]
            bundles = yield f"GET {address}"
        yield finished(right)

    grade = (await bench.turns(task, acts)).graded.grade
    assert grade.codes == ()


async def test_a_first_page_alone_does_not_hold_all_that_a_mean_is_of(bench: Bench) -> None:
    task = bench.first("mean-glucose", "several")
    asked: Any = task.ask
    right = Deed.right(bench.outcome(task)).answer

    def acts(base: str) -> Turns:
        yield f"GET {base}/Observation?patient={asked.who.id}&code={asked.analyte.codes[0]}&_sort=-date&_count=2"
        yield finished(right)

    assert (await bench.turns(task, acts)).graded.grade.reason is Reason.WRONG_QUERY
