"""Cases a second with a model of fixed latency, against the ideal: calls x latency / concurrency.

python benchmarks/throughput.py [--cases 192] [--latency 2.0] [--concurrency 64]
The goal is at least 0.95 of the ideal at 64. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from typing import Any

from noop import CASE, noop_chat

from wardround.core.case import Case
from wardround.graphs.settings import ConsultSettings
from wardround.graphs.ward import Ward
from wardround.models.handle import ModelHandle
from wardround.testing import DelayedChatModel


async def measure(cases: int, latency: float, concurrency: int) -> dict[str, Any]:
    ward = Ward(settings=ConsultSettings(rollouts=3), concurrency=concurrency)
    chat = DelayedChatModel(inner=noop_chat(), seconds=latency)
    ward.model = ModelHandle("delayed", chat, constrained=True, sampled=False)
    calls = 0
    async with ward.session() as session:
        await session.consult(Case(narrative=CASE))
        started = time.perf_counter()
        consults = await asyncio.gather(
            *(session.consult(Case(narrative=f"{CASE} Seen on day {n}.")) for n in range(cases))
        )
        seconds = time.perf_counter() - started
        calls = sum(consult.usage.calls for consult in consults)
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
    parser.add_argument("--cases", type=int, default=192)
    parser.add_argument("--latency", type=float, default=2.0)
    parser.add_argument("--concurrency", type=int, default=64)
    arguments = parser.parse_args()
    result = asyncio.run(measure(arguments.cases, arguments.latency, arguments.concurrency))
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
