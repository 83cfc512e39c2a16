"""A suite as a task of Inspect AI, which runs the samples, keeps the log and can be looked at with its viewer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inspect_ai import Task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessage, ChatMessageAssistant, ChatMessageUser, ModelOutput
from inspect_ai.scorer import Score, Scorer, Target, accuracy, scorer, stderr
from inspect_ai.solver import Generate, Solver, TaskState, solver

from wardround.agents.ehr.episode import Turn
from wardround.evals.records.grading import Mode
from wardround.evals.records.ground import RemoteGround, SandboxGround
from wardround.evals.records.play import Played, Playing, play
from wardround.evals.records.suite import RecordSample, RecordSuite

PLAYED = "wardround"
"""Key under which a sample's metadata hold what came of it."""


def record_task(
    suite: RecordSuite,
    samples: Sequence[RecordSample],
    ground: SandboxGround | RemoteGround,
    mode: Mode,
    playing: Playing,
) -> Task:
    """Return a suite as an Inspect task.

    Args:
        suite: The suite.
        samples: Those of its samples that are to be played.
        ground: Where.
        mode: How.
        playing: By whom.
    """
    by_id = {sample.id: sample for sample in samples}
    dataset = MemoryDataset([_sample(s) for s in samples], name=suite.name)
    return Task(
        name=f"{suite.name}-{mode}-{playing.agent}",
        dataset=dataset,
        solver=_played(suite, by_id, ground, mode, playing),
        scorer=_graded(),
        metadata={"mode": mode, "agent": playing.agent, "ground": ground.about, "seed": playing.seed},
    )


def _sample(sample: RecordSample) -> Sample:
    metadata = {"group": sample.group, "patient": sample.patient}
    return Sample(id=sample.id, input=sample.prompt, target="done", metadata=metadata)


@solver
def _played(
    suite: RecordSuite,
    samples: dict[str, RecordSample],
    ground: SandboxGround | RemoteGround,
    mode: Mode,
    playing: Playing,
) -> Solver:
    async def solve(state: TaskState, generate: Generate) -> TaskState:
        played = await play(suite, samples[str(state.sample_id)], ground, mode, playing)
        state.messages = [_message(turn) for turn in played.episode.turns]
        state.output = ModelOutput.from_content(playing.agent, played.episode.result or "")
        state.metadata[PLAYED] = _record(played)
        state.completed = True
        return state

    return solve


def _message(turn: Turn) -> ChatMessage:
    return ChatMessageUser(content=turn.content) if turn.role == "user" else ChatMessageAssistant(content=turn.content)


def _record(played: Played) -> dict[str, Any]:
    grade, episode = played.graded.grade, played.episode
    return {
        "run": played.run,
        "correct": grade.correct,
        "reason": grade.reason.value if grade.reason is not None else None,
        "details": list(grade.details),
        "branch": played.graded.branch,
        "must_write": played.graded.must_write,
        "status": episode.status.value,
        "rounds": sum(turn.role == "agent" for turn in episode.turns),
        "reads": sum(not call.is_write for call in episode.calls),
        "writes": sum(call.is_write for call in episode.calls),
        "error": episode.error,
    }


@scorer(metrics=[accuracy(), stderr()])
def _graded() -> Scorer:
    async def score(state: TaskState, target: Target) -> Score:
        played = state.metadata[PLAYED]
        explanation = "; ".join([played["reason"] or "done", *played["details"]])
        return Score(value=float(played["correct"]), answer=state.output.completion, explanation=explanation)

    return score
