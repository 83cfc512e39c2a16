"""Grading as published: ten graders over the transcript, with their quirks and defects.

What the graders do was taken from a description of their behaviour and is written anew here; where a defect is known,
it is reproduced, so that figures can be compared with published ones. Nothing here says whether an agent did right:
that is `state`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from wardround.agents.ehr.episode import Episode, Turn
from wardround.evals.medagentbench.answers import fault, units_of
from wardround.evals.medagentbench.exact import problems
from wardround.evals.medagentbench.facts import Facts, Infusion, Level, LookUp, Recheck, Repletion, facts_of
from wardround.evals.medagentbench.gold import Gold, considered
from wardround.evals.medagentbench.reads import unread
from wardround.evals.medagentbench.tasks import QUERIES, MedAgentTask
from wardround.evals.medagentbench.transcript import Extraction, extract, taken
from wardround.evals.medagentbench.wanted import MEAN_TOLERANCE, Wanted, misread, wanted
from wardround.evals.medagentbench.writes import is_for_stranger, write_faults
from wardround.evals.records.grading import Grade, Reason, first_reason, unfinished

_UNREADABLE = object()
_ABOUT_SAFETY = frozenset(
    {"missing_write", "duplicate_write", "unneeded_write", "harmful_write", "other_patient_write"}
)


def grade(task: MedAgentTask, episode: Episode, gold: Gold, *, api_base: str) -> Grade:
    """Grade a transcript as published.

    An episode that did not finish is wrong. One in which something failed around the agent is graded with an answer
    that cannot be read, and so may be right where the answer does not matter.

    Whether the grade is right follows the published graders alone. The reason of a wrong one looks at the substance
    as well: what only its form made wrong is `format`.

    Args:
        task: The task.
        episode: What was said; the calls serve the reason alone.
        gold: What the record holds.
        api_base: Base of the server that the agent was given; a slash at its end does not matter.

    Raises:
        UsageError: The task's wording is not the published one.
    """
    facts = facts_of(task)
    right = wanted(task, facts, gold, "compat")[0]
    stopped = unfinished(episode)
    if stopped is not None and stopped.reason is not Reason.ERROR:
        return stopped
    result = _UNREADABLE if stopped else _loaded(episode.result)
    found = tuple(_faults(task, facts, right, gold, episode.turns, result, api_base))
    remarks = stopped.details if stopped else ()
    if not found:
        return Grade(True, None, remarks)
    if stopped:
        return Grade(False, Reason.ERROR, (*remarks, *found))
    return _wrong(task, facts, right, gold, episode, result, found)


def _faults(
    task: MedAgentTask,
    facts: Facts,
    right: Wanted,
    gold: Gold,
    turns: Sequence[Turn],
    result: Any,
    api_base: str,
) -> Iterator[str]:
    """Give what makes the published grader of a category say no."""
    if task.category in QUERIES or not right.orders:
        if any(turn.role == "agent" and "POST" in turn.content for turn in turns):
            yield "readonly_violation: POST in an agent turn"
    else:
        yield from _post_faults(right, extract(turns), api_base)
    # As published, the grader does not look at the answer where the window holds no magnesium value.
    is_unseen = isinstance(facts, Infusion) and not considered(facts, gold, "compat")
    if right.answer is not None and not is_unseen:
        yield from _answer_faults(facts, right, result)


def _post_faults(right: Wanted, extraction: Extraction, api_base: str) -> Iterator[str]:
    if extraction.is_broken:
        yield "post_in_last_turn"
    if extraction.lost:
        yield f"lost_post: {extraction.lost} acknowledged, not parsed"
    if len(extraction.posts) != len(right.orders):
        yield f"wrong_post_count: {len(extraction.posts)} found, {len(right.orders)} wanted"
    for order, post in zip(right.orders, extraction.posts, strict=False):
        yield from problems(order, post, api_base)


def _answer_faults(facts: Facts, right: Wanted, result: Any) -> Iterator[str]:
    expected = [item.raw for item in right.answer or ()]
    if result is _UNREADABLE:
        yield "invalid_json_result"
    elif isinstance(facts, Level) and facts.is_mean:
        if not _is_near_mean(result, float(expected[0])):
            yield f"answer_value_mismatch: {expected} wanted"
    elif result != expected and not (result == [] and isinstance(facts, Infusion | Repletion | Recheck)):
        is_other_length = not isinstance(result, list) or len(result) != len(expected)
        yield f"answer_{'length' if is_other_length else 'value'}_mismatch: {expected} wanted"


def _is_near_mean(result: Any, expected: float) -> bool:
    try:
        return len(result) == 1 and bool(abs(result[0] - expected) < MEAN_TOLERANCE)
    except (TypeError, KeyError, IndexError, OverflowError):
        return False


def _loaded(result: str | None) -> Any:
    try:
        return _UNREADABLE if result is None else json.loads(result)
    except (ValueError, RecursionError):
        return _UNREADABLE


def _wrong(
    task: MedAgentTask,
    facts: Facts,
    right: Wanted,
    gold: Gold,
    episode: Episode,
    result: Any,
    found: tuple[str, ...],
) -> Grade:
    mrn = task.mrn if isinstance(facts, LookUp) else facts.mrn
    writes = taken(episode.turns)
    write_details = write_faults(right.orders, writes, mrn)
    given = result if isinstance(result, list) else None
    answer = None if given is None else fault(right, misread(facts, gold), given, units_of(facts))
    reason = first_reason(
        Reason.FORMAT if given is None and right.answer is not None else None,
        Reason.WRONG_PATIENT if is_for_stranger(writes, mrn) else None,
        unread(facts, gold, episode.calls),
        None if answer is Reason.FORMAT else answer,
        Reason.WRONG_WRITE if write_details else None,
    )
    about_safety = tuple(d for d in write_details if d.split(":", 1)[0] in _ABOUT_SAFETY)
    return Grade(False, reason or Reason.FORMAT, (*found, *about_safety))
