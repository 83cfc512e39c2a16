"""Cases a second with a model of fixed latency, against the ideal: calls x latency / concurrency.

python benchmarks/throughput.py [--cases 512] [--latency 2.0] [--concurrency 64]
The goal is at least 0.95 of the ideal at 64. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from noop import CASE, noop_chat

from wardround.core.case import Case
from wardround.graphs.batch import Entry, Progress, ResultFile, consult_many
from wardround.graphs.settings import ConsultSettings
from wardround.graphs.ward import Ward
from wardround.models.handle import ModelHandle
from wardround.testing import DelayedChatModel


async def measure(cases: int, latency: float, concurrency: int) -> dict[str, Any]:
    chat = DelayedChatModel(inner=noop_chat(), seconds=latency)
    ward = Ward(settings=ConsultSettings(rollouts=3), concurrency=concurrency)
    ward.model = ModelHandle("delayed", chat, constrained=True, sampled=False)
    await ward.aconsult(Case(narrative=CASE))
    batch = [Entry(str(n), partial(Case, narrative=f"{CASE} Seen on day {n}.")) for n in range(cases)]
    calls = 0

    def told(progress: Progress) -> None:
        nonlocal calls
        calls += progress.result["usage"]["calls"]

    with tempfile.TemporaryDirectory() as folder:
        results = ResultFile(Path(folder) / "out.jsonl", resume=False)
        started = time.perf_counter()
        await consult_many(ward, batch, results, told=told)
        seconds = time.perf_counter() - started
        results.close()
    ideal = calls * latency / concurrency
    return {
        "what": "cases a second with a model of fixed latency against calls x latency / concurrency",
        "cases": cases,
        "calls": calls,
        "latency_s": latency,
        "concurrency": concurrency,
        "seconds": round(seconds, 3),
        "ideal_seconds": round(ideal, 3),
        "cases_per_second": round(cases / seconds, 2),
        "of_ideal": round(ideal / seconds, 3),
        "goal": 0.95,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=512)
    parser.add_argument("--latency", type=float, default=2.0)
    parser.add_argument("--concurrency", type=int, default=64)
    arguments = parser.parse_args()
    result = asyncio.run(measure(arguments.cases, arguments.latency, arguments.concurrency))
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
