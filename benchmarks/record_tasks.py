"""Scores of the agents without weights on our own record tasks, and how long 300 tasks take the oracle.

With `--tasks` and `--functions`, the published files, also on MedAgentBench.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from wardround.evals.medagentbench.suite import MedAgentBench
from wardround.evals.records.ground import SandboxGround
from wardround.evals.records.play import Playing
from wardround.evals.records.running import Plan, run
from wardround.evals.records.suite import RecordSuite
from wardround.evals.recordtasks.suite import RecordTasks

TIMED = 300


def scores(suite: RecordSuite, ground: SandboxGround, logs: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for agent in ("oracle", "random", "reference"):
        report = run(Plan(suite, ground, suite.modes, Playing(agent), logs=logs))
        found[agent] = {k: report[k] for k in ("modes", "balanced_accuracy", "interval_by_patient", "reasons")}
        if agent == "oracle":
            found["null"] = report["baselines"]["null"]
        else:
            found[agent]["groups"] = report["groups"]
    return found


def timed(suite: RecordSuite, ground: SandboxGround, logs: Path) -> dict[str, Any]:
    warm = Plan(suite, ground, suite.modes[:1], Playing("oracle"), limit=10, logs=logs, baselines=())
    run(warm)
    started, busy = time.perf_counter(), time.process_time()
    plan = Plan(suite, ground, suite.modes[:1], Playing("oracle"), limit=TIMED, logs=logs, baselines=())
    report = run(plan)
    return {
        "tasks": report["n"],
        "seconds": round(time.perf_counter() - started, 2),
        "cpu_seconds": round(time.process_time() - busy, 2),
        "score": report["score"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=Path)
    parser.add_argument("--functions", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        logs = Path(folder)
        own = RecordTasks(seed=arguments.seed)
        ground = SandboxGround(own)
        result["oracle_300_tasks"] = timed(own, ground, logs)
        result["record-tasks"] = scores(own, ground, logs)
        if arguments.tasks is not None:
            published = MedAgentBench(arguments.tasks, arguments.functions, seed=arguments.seed)
            result["medagentbench"] = scores(published, SandboxGround(published), logs)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
