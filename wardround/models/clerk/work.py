"""From what a task wants and what was read so far to the next step."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from wardround.models.clerk.answering import Answerer
from wardround.models.clerk.asked import Comparison, Demographic, Level, Listing
from wardround.models.clerk.charts import Resource
from wardround.models.clerk.deciding import Decider
from wardround.models.clerk.doing import Doer
from wardround.models.clerk.found import Found
from wardround.models.clerk.intents import Case, Task, Unclear
from wardround.models.clerk.reading import Reader
from wardround.models.clerk.steps import FinishStep, Kit, Stuck, Work


def work(task: Task | Unclear, kit: Kit) -> Work[None]:
    """Give the steps of a task, the last one a `FinishStep`.

    What was asked and could not be answered, and what was to be done and was not, stands in words among the answers:
    an end never looks as if all had been done when it had not.
    """
    if isinstance(task, Unclear):
        yield FinishStep(
            (f"not understood: {task.why}",), (f"The task is not understood: {task.why}. Nothing was done.",)
        )
        return
    answers: list[Any] = []
    remarks: list[str] = []
    try:
        yield from _worked(task, kit, answers, remarks)
    except Stuck as stuck:
        answers.append(f"not done: {stuck}" if task.acts else f"not answered: {stuck}")
        remarks.append(str(stuck))
    yield FinishStep(tuple(_day(a) if task.wants_days else a for a in answers), tuple(remarks))


def _day(answer: Any) -> Any:
    """The day of a time; anything else as it is."""
    return answer[:10] if isinstance(answer, str) and re.match(r"\d{4}-\d\d-\d\dT", answer) else answer


def _worked(task: Task, kit: Kit, answers: list[Any], remarks: list[str]) -> Work[None]:
    reader = Reader(task, kit)
    patients = yield from reader.patients()
    if len(patients) != 1:
        _no_patient(task, patients, answers, remarks)
        return
    answerer = Answerer(reader, patients[0])
    looked_at: dict[Level, Found] = {}
    absent: list[bool] = []
    for question in task.questions:
        found = yield from answerer.answer(question)
        remarks += [found.remark] if found.remark else []
        is_told = not isinstance(question, Level) or question.is_asked or not found.is_absent
        is_stated = found.is_absent and Case.ABSENT in task.stated
        answers += found.answers if is_told or is_stated else ()
        if isinstance(question, Level):
            looked_at[question] = found
        absent.append(found.is_absent)
    if task.elements is not None and answers and len(answers) != task.elements and not any(absent):
        raise Stuck(f"{task.elements} answers are wanted, and {len(answers)} were understood")
    doer = Doer(Decider(reader, answerer.lister, looked_at), answerer.id, remarks=remarks)
    try:
        for act in task.acts:
            yield from doer.do(act)
        if doer.has_written:
            answers += task.stated.get(Case.DONE, ())
    finally:
        answers += doer.answers


def _no_patient(task: Task, patients: Sequence[Resource], answers: list[Any], remarks: list[str]) -> None:
    """Say that there is no such patient, or more than one."""
    if not patients:
        told = f"no {task.who.words} is in the record"
        stated = task.stated.get(Case.ABSENT) if _is_only_asked(task) else None
        answers += stated if stated is not None else (f"not found: {told}",)
    else:
        missing = "record number" if task.who.born else "date of birth or the record number"
        told = f"{len(patients)} records fit {task.who.words}; give the {missing}"
        answers += task.stated.get(Case.AMBIGUOUS, (f"ambiguous: {told}",))
    remarks.append(told)


def _is_only_asked(task: Task) -> bool:
    """Whether the answer stated for nothing found is also the one for no patient: it is no value of a measurement."""
    return not task.acts and not any(isinstance(q, Level | Comparison | Listing | Demographic) for q in task.questions)
