"""A suite run from beginning to end: the agent asked for, and the trivial ones beside it, in one go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wardround.core.errors import WardroundError
from wardround.evals.records.grading import Mode
from wardround.evals.records.ground import RemoteGround, SandboxGround
from wardround.evals.records.inspecting import PLAYED, record_task
from wardround.evals.records.play import AgentName, Playing
from wardround.evals.records.report import Result, from_metadata, grouped, scored
from wardround.evals.records.suite import RecordSample, RecordSuite

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog

BASELINES: tuple[AgentName, ...] = ("null",)
"""Agents whose score stands beside every other."""


class EvalFailed(WardroundError):
    """A suite could not be run to its end."""


@dataclass(frozen=True)
class Plan:
    """What is to be run."""

    suite: RecordSuite
    ground: SandboxGround | RemoteGround
    modes: Sequence[Mode]
    playing: Playing
    limit: int | None = None
    logs: Path = Path("logs")
    concurrency: int = 16
    baselines: Sequence[AgentName] = BASELINES

    @property
    def samples(self) -> Sequence[RecordSample]:
        """The samples to be played: with a limit, the first of each category in turn."""
        if self.limit is None:
            return self.suite.samples
        return _in_turn(self.suite.samples)[: self.limit]


def _in_turn(samples: Sequence[RecordSample]) -> list[RecordSample]:
    places: dict[str, int] = {}
    order: list[tuple[int, int]] = []
    for sample in samples:
        places[sample.group] = places.get(sample.group, 0) + 1
        order.append((places[sample.group], len(order)))
    return [samples[i] for _, i in sorted(order)]


def run(plan: Plan) -> dict[str, Any]:
    """Play a suite and return the report.

    Raises:
        EvalFailed: A sample could not be played to its end for a reason that is not the agent's.
    """
    import inspect_ai

    agents = [plan.playing.agent, *(name for name in plan.baselines if name != plan.playing.agent)]
    wanted = [(mode, agent) for mode in plan.modes for agent in agents]
    tasks = [
        record_task(plan.suite, plan.samples, plan.ground, mode, replace(plan.playing, agent=agent))
        for mode, agent in wanted
    ]
    logs = inspect_ai.eval(
        tasks,
        model=None,
        log_dir=str(plan.logs),
        display="none",
        max_samples=plan.concurrency,
        max_tasks=1,
        score_display=False,
        log_realtime=False,
        fail_on_error=True,
    )
    results = {key: list(_results(log)) for key, log in zip(wanted, logs, strict=True)}
    return _report(plan, results, logs)


def _results(log: EvalLog) -> Iterator[Result]:
    if log.status != "success" or log.samples is None:
        message = log.error.message if log.error is not None else log.status
        raise EvalFailed(f"{log.eval.task}: {message}; the log is {log.location}")
    for sample in log.samples:
        yield from_metadata(str(sample.id), sample.metadata, sample.metadata[PLAYED])


def _report(plan: Plan, results: dict[tuple[Mode, AgentName], list[Result]], logs: Sequence[EvalLog]) -> dict[str, Any]:
    agent = plan.playing.agent
    modes = {mode: _of_mode(results[mode, agent]) for mode in plan.modes}
    first = plan.modes[0]
    return {
        "suite": plan.suite.name,
        "agent": agent,
        "model": _spec(plan.playing),
        "mode": first,
        "ground": plan.ground.about,
        **modes[first],
        "modes": {mode: {k: modes[mode][k] for k in ("n", "score", "interval")} for mode in plan.modes},
        "baselines": {name: {mode: scored(results[mode, name]) for mode in plan.modes} for name in plan.baselines},
        "log": str(logs[0].location),
        "logs": [str(log.location) for log in logs],
    }


def _of_mode(results: Sequence[Result]) -> dict[str, Any]:
    return {
        **scored(results),
        "groups": grouped(results, lambda r: r.group),
        "branches": grouped(results, lambda r: f"{r.group}: {r.branch}"),
        "failures": [
            {"id": r.id, "group": r.group, "branch": r.branch, "reason": r.reason, "run": r.run}
            for r in results
            if not r.correct
        ],
    }


def _spec(playing: Playing) -> str:
    if playing.agent == "model":
        return playing.model if isinstance(playing.model, str) else type(playing.model).__name__
    return "reference" if playing.agent == "reference" else f"policy:{playing.agent}"
