"""What calling a served model through `wardround` costs, against OpenAI's own client with the same requests.

Three comparisons in one run, each interleaved and in pairs, so that a load that comes and goes meets both sides:

throughput   the prompts of many cases at a fixed concurrency, `Caller.call` under `Slots` against a bare
             `openai.AsyncOpenAI` under a semaphore; the goal is at least 0.97 of the bare client's requests a second
rollouts     several rollouts of one question as one request with `n`, against as many requests side by side
overhead     one call at a time: against the bare client over the same server, and over a model that answers at once

    python benchmarks/model_calls.py --base-url http://127.0.0.1:8000/v1 --name NAME
    WARDROUND_VLLM=FOLDER python benchmarks/model_calls.py

The second starts vLLM on this machine's CPU with a tiny model of random weights; `scripts/vllm_cpu.sh FOLDER` makes
its environment. Client and server then share the processor, so a millisecond of the client's is one that the server
lacks: the hardest place for a client. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import openai
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from noop import CASE

from wardround.agents import prompts
from wardround.core.answers import SpecialistAnswer
from wardround.core.case import Case
from wardround.core.errors import WardroundError
from wardround.graphs.intake import chart_of, take_in
from wardround.knowledge.clinician import reference_clinician
from wardround.models.budget import Budget, Meter
from wardround.models.calling import Caller
from wardround.models.handle import ModelHandle
from wardround.models.requests import Options
from wardround.models.resolve import resolve
from wardround.models.slots import Slots
from wardround.testing.vllm import VllmServer
from wardround.trace.recorder import Recorder, SystemClock

ANSWER = "SpecialistAnswer"
MAX_TOKENS = 64
GREEDY = {"temperature": 0.0, "max_tokens": MAX_TOKENS}
SAMPLED = {"temperature": 0.7, "max_tokens": MAX_TOKENS}
"""Without a seed: on a CPU vLLM 0.32 dies of a seeded request that samples and whose prompt is read in pieces, since
torch's generator has no offset there to set back (`CPU Generator does not use offset`)."""
TIMEOUT = 300.0
"""Seconds for one call; a loaded machine must not fail one side."""
GOAL = 0.97
RESAMPLES = 4000


class AtOnce(BaseChatModel):
    """Answers at once, the same to everybody."""

    @property
    def _llm_type(self) -> str:
        return "at-once"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        message = AIMessage(
            content="acute appendicitis",
            response_metadata={"finish_reason": "stop", "model_name": "at-once"},
            usage_metadata={"input_tokens": 1000, "output_tokens": 64, "total_tokens": 1064},
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        return self._generate(messages)


def conversations(count: int, *, mark: str = "") -> list[list[BaseMessage]]:
    """What a specialist is asked in a consult, about as many patients.

    Args:
        count: Number of conversations.
        mark: Stands at the front, so that no server has the prompt's beginning in its cache; nothing otherwise.
    """
    clinician = reference_clinician()
    asked = []
    for n in range(count):
        case = Case(narrative=f"{CASE} Seen on day {n}.")
        sources = take_in(case, clinician, chart_of(case, clinician)).sources
        role = f"{mark}{n:04d} You are a specialist." if mark else "You are a specialist."
        asked.append(prompts.messages(role, "what is it?", SpecialistAnswer, case=case, sources=sources))
    return asked


def as_openai(messages: Sequence[BaseMessage]) -> list[dict[str, str]]:
    roles = {"system": "system", "human": "user", "ai": "assistant"}
    return [{"role": roles[message.type], "content": str(message.content)} for message in messages]


def caller_of(model: ModelHandle, concurrency: int) -> Caller:
    """A caller with an empty log, as a case has one."""
    clock = SystemClock()
    meter = Meter(Budget(calls=None), clock)
    return Caller(model, Recorder("benchmark", clock=clock), meter, Slots(concurrency), TIMEOUT)


async def by_caller(
    caller: Caller, messages: Sequence[BaseMessage], options: Options, *, rollouts: Sequence[int] = (0,)
) -> int:
    """Call and return the tokens that were written."""
    called = await caller.call("specialist", ANSWER, messages, options, rollouts=rollouts)
    return sum(each.reply.output_tokens or 0 for each in called)


@dataclass(frozen=True)
class Bare:
    """OpenAI's client as its documentation has it, with kept connections and no retries."""

    client: openai.AsyncOpenAI
    name: str

    async def call(self, messages: list[dict[str, str]]) -> int:
        """Call and return the tokens that were written."""
        create: Any = self.client.chat.completions.create
        answer = await create(model=self.name, messages=messages, **GREEDY)
        assert answer.choices[0].message.content is not None
        return int(answer.usage.completion_tokens)


Side = Callable[[], Awaitable[int]]
"""Does its work once and returns the tokens that were written."""


@dataclass(frozen=True)
class Took:
    """What one side took once."""

    seconds: float
    cpu: float
    """Seconds of this process, which does not hold the server; a load from elsewhere hardly touches them."""
    tokens: int


@dataclass(frozen=True)
class Pairs:
    """Two sides, pair by pair."""

    ours: list[Took]
    theirs: list[Took]

    @property
    def our_seconds(self) -> list[float]:
        """Of each pair."""
        return [took.seconds for took in self.ours]

    @property
    def their_seconds(self) -> list[float]:
        """Of each pair."""
        return [took.seconds for took in self.theirs]

    @property
    def tokens(self) -> float:
        """Tokens that ours wrote over those of theirs."""
        return round(sum(took.tokens for took in self.ours) / sum(took.tokens for took in self.theirs), 4)


async def timed(side: Side) -> Took:
    started, cpu = time.perf_counter(), time.process_time()
    tokens = await side()
    return Took(time.perf_counter() - started, time.process_time() - cpu, tokens)


async def in_pairs(sides: Callable[[int], tuple[Side, Side]], pairs: int, *, warm: int = 1) -> Pairs:
    """Run two sides in turn; which goes first alternates, and the first pairs are not counted."""
    kept = Pairs([], [])
    for n in range(-warm, pairs):
        ours, theirs = sides(n)
        if n % 2:
            second, first = await timed(theirs), await timed(ours)
        else:
            first, second = await timed(ours), await timed(theirs)
        if n >= 0:
            kept.ours.append(first)
            kept.theirs.append(second)
    return kept


def quartiles(values: Sequence[float], digits: int = 3) -> list[float]:
    return [round(q, digits) for q in statistics.quantiles(values, n=4)]


def cpu_ms(took: Sequence[Took], requests: int) -> list[float]:
    """Quartiles of the client's processor time for a request, in ms."""
    return quartiles([each.cpu / requests * 1000 for each in took], 2)


def interval(values: Sequence[float]) -> list[float]:
    """95 % bootstrap interval of the median (percentiles of resampled medians; Efron, Annals of Statistics 7, 1979)."""
    drawn = np.random.default_rng(0).choice(np.asarray(values), size=(RESAMPLES, len(values)))
    return [round(float(q), 3) for q in np.quantile(np.median(drawn, axis=1), (0.025, 0.975))]


def ratio(pairs: Pairs) -> dict[str, Any]:
    ratios = [b / a for a, b in zip(pairs.our_seconds, pairs.their_seconds, strict=True)]
    return {
        "ratio_median": round(statistics.median(ratios), 3),
        "ratio_interval_95": interval(ratios),
        "ratio_quartiles": quartiles(ratios),
        "ratio_of_totals": round(sum(pairs.their_seconds) / sum(pairs.our_seconds), 3),
    }


async def throughput(model: ModelHandle, bare: Bare, *, requests: int, concurrency: int, pairs: int) -> dict[str, Any]:
    asked = conversations(requests)
    plain = [as_openai(messages) for messages in asked]

    async def ours() -> int:
        caller = caller_of(model, concurrency)
        return sum(await asyncio.gather(*(by_caller(caller, each, GREEDY) for each in asked)))

    async def theirs() -> int:
        under_way = asyncio.Semaphore(concurrency)

        async def one(messages: list[dict[str, str]]) -> int:
            async with under_way:
                return await bare.call(messages)

        return sum(await asyncio.gather(*map(one, plain)))

    measured = await in_pairs(lambda _: (ours, theirs), pairs)
    return {
        "what": "requests a second through Caller.call under Slots over those of openai.AsyncOpenAI; higher is better",
        "pairs": pairs,
        "requests_a_round": requests,
        "concurrency": concurrency,
        "prompt_characters_median": statistics.median(sum(len(m["content"]) for m in each) for each in plain),
        "wardround_requests_per_second_quartiles": quartiles([requests / s for s in measured.our_seconds], 2),
        "bare_requests_per_second_quartiles": quartiles([requests / s for s in measured.their_seconds], 2),
        "wardround_client_cpu_ms_a_request_quartiles": cpu_ms(measured.ours, requests),
        "bare_client_cpu_ms_a_request_quartiles": cpu_ms(measured.theirs, requests),
        "tokens_written_wardround_over_bare": measured.tokens,
        **ratio(measured),
        "goal": GOAL,
    }


async def rollouts(model: ModelHandle, *, count: int, pairs: int) -> dict[str, Any]:
    """Every question is a new one to the server, as in a consult; both sides ask prompts of the same length."""
    together, apart = (conversations(pairs + 2, mark=mark) for mark in "ab")

    def sides(n: int) -> tuple[Side, Side]:
        async def one_request() -> int:
            return await by_caller(caller_of(model, count), together[n], SAMPLED, rollouts=range(count))

        async def many_requests() -> int:
            caller = caller_of(model, count)
            calls = (by_caller(caller, apart[n], SAMPLED, rollouts=(r,)) for r in range(count))
            return sum(await asyncio.gather(*calls))

        return one_request, many_requests

    measured = await in_pairs(sides, pairs, warm=2)
    return {
        "what": f"{count} rollouts of one question: seconds of as many requests at once over those of one with n",
        "pairs": pairs,
        "one_request_ms_quartiles": quartiles([s * 1000 for s in measured.our_seconds], 1),
        "many_requests_ms_quartiles": quartiles([s * 1000 for s in measured.their_seconds], 1),
        "tokens_written_one_over_many": measured.tokens,
        **ratio(measured),
    }


async def overhead(model: ModelHandle, bare: Bare, *, calls: int) -> dict[str, Any]:
    asked = conversations(16)
    plain = [as_openai(messages) for messages in asked]
    caller = caller_of(model, 1)

    def sides(n: int) -> tuple[Side, Side]:
        return partial(by_caller, caller, asked[n % 16], GREEDY), partial(bare.call, plain[n % 16])

    measured = await in_pairs(sides, calls, warm=16)
    more = [(a - b) * 1000 for a, b in zip(measured.our_seconds, measured.their_seconds, strict=True)]
    return {
        "what": "one call at a time over the server: milliseconds that Caller.call takes more than openai.AsyncOpenAI",
        "calls": calls,
        "wardround_cpu_ms_quartiles": cpu_ms(measured.ours, 1),
        "bare_cpu_ms_quartiles": cpu_ms(measured.theirs, 1),
        "wardround_ms_quartiles": quartiles([s * 1000 for s in measured.our_seconds], 2),
        "bare_ms_quartiles": quartiles([s * 1000 for s in measured.their_seconds], 2),
        "more_ms_median": round(statistics.median(more), 2),
        "more_ms_interval_95": interval(more),
        "more_ms_quartiles": quartiles(more, 2),
    }


async def at_once(*, calls: int) -> dict[str, Any]:
    chat = AtOnce()
    caller = caller_of(ModelHandle("at-once", chat, constrained=True, sampled=True, bounded=True), 1)
    asked = conversations(16)

    def sides(n: int) -> tuple[Side, Side]:
        async def alone() -> int:
            await chat.ainvoke(asked[n % 16])
            return 0

        return partial(by_caller, caller, asked[n % 16], GREEDY), alone

    measured = await in_pairs(sides, calls, warm=16)
    return {
        "what": "a model that answers at once: milliseconds of Caller.call, and of LangChain's ainvoke alone",
        "calls": calls,
        "wardround_cpu_ms_quartiles": cpu_ms(measured.ours, 1),
        "langchain_cpu_ms_quartiles": cpu_ms(measured.theirs, 1),
        "wardround_ms_median": round(statistics.median(measured.our_seconds) * 1000, 3),
        "wardround_ms_quartiles": quartiles([s * 1000 for s in measured.our_seconds]),
        "langchain_ms_median": round(statistics.median(measured.their_seconds) * 1000, 3),
        "langchain_ms_quartiles": quartiles([s * 1000 for s in measured.their_seconds]),
    }


async def compare(base_url: str, name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    model = resolve(f"vllm:{name}", clinician=reference_clinician(), base_url=base_url, timeout=TIMEOUT)
    key = os.environ.get("OPENAI_API_KEY", "none")
    async with openai.AsyncOpenAI(base_url=base_url, api_key=key, max_retries=0, timeout=TIMEOUT) as client:
        bare = Bare(client, name)
        many = {"requests": arguments.requests, "concurrency": arguments.concurrency, "pairs": arguments.pairs}
        load = [os.getloadavg()[0]]
        parts = {}
        parts["throughput"] = await throughput(model, bare, **many)
        load.append(os.getloadavg()[0])
        parts["rollouts"] = await rollouts(model, count=arguments.rollouts, pairs=arguments.pairs)
        load.append(os.getloadavg()[0])
        parts["overhead_served"] = await overhead(model, bare, calls=arguments.calls)
        parts["overhead_alone"] = await at_once(calls=arguments.calls * 5)
        load.append(os.getloadavg()[0])
    return {
        "what": "calls of a served model through wardround against openai.AsyncOpenAI with the same requests",
        "options": GREEDY,
        "options_of_rollouts": SAMPLED,
        "cores": os.cpu_count(),
        "load_average_between_the_parts": [round(each, 1) for each in load],
        "openai": openai.__version__,
        **parts,
    }


@contextmanager
def server(base_url: str | None, name: str, room: int) -> Iterator[str]:
    """The server that is there, or one of our own with a tiny model."""
    if base_url is not None:
        yield base_url
        return
    from wardround.testing.tiny import build

    with tempfile.TemporaryDirectory() as folder:
        own = VllmServer(build("gemma3", Path(folder)), name=name, flags=("--max-num-seqs", str(room)))
        print("starting vLLM, which takes about a minute ...", file=sys.stderr)
        with own:
            yield own.base_url


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base-url", help="of a running vLLM's /v1; one is started unless given")
    parser.add_argument("--name", default="tiny", help="as the server calls its model (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=30, help="of rounds (default: %(default)s)")
    parser.add_argument("--requests", type=int, default=48, help="in a round (default: %(default)s)")
    parser.add_argument("--concurrency", type=int, default=16, help="requests at once (default: %(default)s)")
    parser.add_argument("--rollouts", type=int, default=8, help="of one question (default: %(default)s)")
    parser.add_argument("--calls", type=int, default=200, help="one at a time (default: %(default)s)")
    arguments = parser.parse_args()
    try:
        with server(arguments.base_url, arguments.name, arguments.concurrency) as base_url:
            result = asyncio.run(compare(base_url, arguments.name, arguments))
    except WardroundError as error:
        sys.exit(f"{error}\nWithout a server there is nothing to compare: give --base-url and --name of a running one.")
    except openai.APIError as error:
        sys.exit(f"{type(error).__name__}: {error}\nThe bare client got no answer; is the server still running?")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
