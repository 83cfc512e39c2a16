"""Grading by what an episode left behind: the final state of the record, the answer, and what was really read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from wardround.agents.ehr.episode import Episode
from wardround.evals.medagentbench.answers import fault, parsed, units_of
from wardround.evals.medagentbench.facts import LookUp, Recording, Referral, facts_of
from wardround.evals.medagentbench.gold import Gold
from wardround.evals.medagentbench.reads import unread
from wardround.evals.medagentbench.tasks import MedAgentTask
from wardround.evals.medagentbench.wanted import Answer, Wanted, misread, wanted
from wardround.evals.medagentbench.writes import is_for_stranger, write_faults
from wardround.evals.records.grading import Grade, Reason, StateDiff, first_reason, unfinished


def grade(task: MedAgentTask, episode: Episode, diff: StateDiff, gold: Gold) -> Grade:
    """Grade an episode whose writes were really applied.

    Right is an episode in which the agent finished, read the data that decide the task, answered them, and left
    exactly the wanted new resources and no other change. Forms do not matter: see `matching.differences` for writes and
    `answers.same` for answers. Values after the time of the task do not count. `[]` is right where the task asks for
    an act and not for an answer (categories 5 and 9); -1 stands for no value. In categories 3 and 8 the answer is not
    graded. Where several values share the latest point in time, each of them is a right reading of the record.

    An agent that does nothing is never right, since all tasks need a read or a write.

    Raises:
        UsageError: The task's wording is not the published one.
    """
    facts = facts_of(task)
    mrn = task.mrn if isinstance(facts, LookUp) else facts.mrn
    given, units, others = parsed(episode.result), units_of(facts), misread(facts, gold)
    stopped, not_read = unfinished(episode), unread(facts, gold, episode.calls)
    if stopped is None and given is None and not isinstance(facts, Recording | Referral):
        stopped = Grade(False, Reason.FORMAT, ("invalid_json_result",))
    grades = [
        _grade(
            stopped,
            not_read,
            None if stopped else _answer_fault(right, others, given or [], units),
            (*write_faults(right.orders, diff.added, mrn), *_other_changes(diff)),
            is_stranger=is_for_stranger(diff.added, mrn),
        )
        for right in wanted(task, facts, gold, "state")
    ]
    return next((g for g in grades if g.correct), grades[0])


def _answer_fault(
    right: Wanted, others: Iterable[Answer], given: Sequence[object], units: frozenset[str]
) -> tuple[Reason, str] | None:
    reason = fault(right, others, given, units)
    if reason is None or right.answer is None:
        return None
    code = "answer_length_mismatch" if len(given) != len(right.answer) else "answer_value_mismatch"
    return reason, f"{code}: {[item.raw for item in right.answer]} wanted"


def _grade(
    stopped: Grade | None,
    not_read: Reason | None,
    answer: tuple[Reason, str] | None,
    writes: tuple[str, ...],
    *,
    is_stranger: bool,
) -> Grade:
    form, substance = (answer[0], None) if answer and answer[0] is Reason.FORMAT else (None, answer and answer[0])
    reason = first_reason(
        stopped.reason if stopped else None,
        Reason.WRONG_PATIENT if is_stranger else None,
        not_read,
        substance,
        Reason.WRONG_WRITE if writes else None,
    )
    details = [*(stopped.details if stopped else ()), *(["deciding_data_not_read"] if not_read else [])]
    final = reason or form
    return Grade(final is None, final, (*details, *([answer[1]] if answer else []), *writes))


def _other_changes(diff: StateDiff) -> Iterator[str]:
    yield from (f"changed_resource: {_name(entry)}" for entry in diff.changed)
    yield from (f"removed_resource: {_name(entry)}" for entry in diff.removed)


def _name(entry: object) -> str:
    """Say which resource it is; a changed one may come as it was before and after."""
    resource = entry[-1] if isinstance(entry, tuple | list) and entry else entry
    if isinstance(resource, Mapping):
        return f"{resource.get('resourceType')}/{resource.get('id')}"
    return str(resource)
