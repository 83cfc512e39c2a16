"""Grading: the answer, the state that is left, and whether what decides was really read."""

from __future__ import annotations

from collections.abc import Sequence

from wardround.agents.ehr.episode import Episode
from wardround.evals.medagentbench.answers import parsed
from wardround.evals.records.grading import Grade, Reason, StateDiff, first_reason, unfinished
from wardround.evals.recordtasks.answers import holds, plain, same
from wardround.evals.recordtasks.effects import is_for_stranger, write_faults
from wardround.evals.recordtasks.evidence import ProbeRecord, unread
from wardround.evals.recordtasks.outcome import Outcome
from wardround.tools.fhir.client import FhirClient


async def grade(
    outcome: Outcome, episode: Episode, diff: StateDiff, patient: str | None, before: FhirClient, probes: ProbeRecord
) -> Grade:
    """Grade an episode whose writes were really applied.

    Right is an episode in which the agent finished, read the data that decide the task, answered rightly, and left
    exactly what was wanted and no other change. Forms do not matter: see `matching.differences` and `answers.same`. An
    agent that does nothing is never right, since every task needs a read or a write.

    Args:
        outcome: What the task comes to in the record.
        episode: What was said and done.
        diff: What became of the record.
        patient: Id of the task's patient; none where finding the patient is the task.
        before: The record as it was before the episode.
        probes: Where what is missing is put, to see which reads would have found it.
    """
    stopped, given = unfinished(episode), parsed(episode.result)
    if stopped is None and given is None and outcome.answers:
        stopped = Grade(False, Reason.FORMAT, ("invalid_json_result",))
    not_read = await unread(outcome.evidence, episode.calls, patient, before, probes)
    writes = write_faults(outcome.writes, diff, patient)
    answer = None if stopped else _answer_fault(outcome, given or [])
    is_form = answer is not None and answer[0] is Reason.FORMAT
    reason = first_reason(
        stopped.reason if stopped else None,
        Reason.WRONG_PATIENT if is_for_stranger(diff, patient) else None,
        not_read,
        answer[0] if answer is not None and not is_form else None,
        Reason.WRONG_WRITE if writes else None,
    ) or (Reason.FORMAT if is_form else None)
    details = [
        *(stopped.details if stopped else ()),
        *(["deciding_data_not_read"] if not_read else []),
        *([answer[1]] if answer else []),
        *writes,
    ]
    return Grade(reason is None, reason, tuple(details))


def _answer_fault(outcome: Outcome, given: Sequence[object]) -> tuple[Reason, str] | None:
    """Return the class of a wrong answer and what was wrong with it; None where it is right or not graded."""
    if not outcome.answers or any(same(answer, given, is_set=outcome.is_set) for answer in outcome.answers):
        return None
    wanted = plain(outcome.answers[0])
    if any(holds(answer, given) for answer in outcome.answers):
        return Reason.FORMAT, f"answer_length_mismatch: {wanted} wanted"
    for misread in outcome.misreads:
        if same(misread.answer, given, is_set=outcome.is_set):
            return misread.reason, f"{misread.code}: {wanted} wanted"
    code = "answer_value_mismatch" if len(given) == len(wanted) else "answer_length_mismatch"
    return Reason.WRONG_VALUE, f"{code}: {wanted} wanted"
