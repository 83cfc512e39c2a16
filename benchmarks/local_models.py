"""How fast a model of transformers in this process writes, one request at a time and several at once.

    python benchmarks/local_models.py [--family llama gemma3]
    python benchmarks/local_models.py --model PATH --device cuda --dtype bfloat16

Without `--model` tiny models with random weights are built: what is measured then is the engine around the model, not
a model's arithmetic. The prompts are those of a consult's specialists. For each size of batch as many requests are
under way as fit one, with and without a JSON schema; the sizes take turns within a round, so that a load that comes
and goes meets all, and ratios are taken within a round. Peak memory is torch's on CUDA, and the process's resident
set elsewhere. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.messages import BaseMessage
from noop import CASE

from wardround.agents import prompts
from wardround.core.answers import SpecialistAnswer
from wardround.core.case import Case
from wardround.core.errors import WardroundError
from wardround.graphs.intake import chart_of, take_in
from wardround.knowledge.clinician import reference_clinician
from wardround.models.asking import response_format
from wardround.models.local.chat import LocalChatModel, local_chat
from wardround.models.local.settings import LocalSettings

SIZES = (1, 4, 16)
RESAMPLES = 4000


def conversations(count: int) -> list[list[BaseMessage]]:
    """What a specialist is asked in a consult, about as many patients."""
    clinician = reference_clinician()
    asked = []
    for n in range(count):
        case = Case(narrative=f"{CASE} Seen on day {n}.")
        sources = take_in(case, clinician, chart_of(case, clinician)).sources
        role = "You are a specialist."
        asked.append(prompts.messages(role, "what is it?", SpecialistAnswer, case=case, sources=sources))
    return asked


async def rate(chat: LocalChatModel, asked: Sequence[list[BaseMessage]], options: dict[str, Any], seed: int) -> float:
    """Tokens written in a second by requests that are made at once."""

    async def one(n: int) -> int:
        result = await chat.agenerate([asked[n]], seed=seed + n, **options)
        written: Any = result.generations[0][0]
        return int(written.message.usage_metadata["output_tokens"])

    started = time.perf_counter()
    tokens = sum(await asyncio.gather(*map(one, range(len(asked)))))
    return tokens / (time.perf_counter() - started)


def summary(rates: Sequence[float], singles: Sequence[float]) -> dict[str, Any]:
    ratios = np.asarray(rates) / np.asarray(singles)
    drawn = np.median(np.random.default_rng(0).choice(ratios, size=(RESAMPLES, len(ratios))), axis=1)
    return {
        "tokens_per_second_median": round(statistics.median(rates), 1),
        "tokens_per_second_quartiles": [round(q, 1) for q in statistics.quantiles(rates, n=4)],
        "of_one_by_one_median": round(float(np.median(ratios)), 2),
        "of_one_by_one_interval_95": [round(float(q), 2) for q in np.quantile(drawn, (0.025, 0.975))],
    }


async def speeds(chat: LocalChatModel, *, rounds: int, tokens: int) -> dict[str, Any]:
    """Rates for each size of batch, free and under a schema; one by one is the first size."""
    asked = conversations(max(SIZES))
    free = {"temperature": 0.7, "max_tokens": tokens}
    kinds: dict[str, dict[str, Any]] = {
        "free": free,
        "json_schema": {**free, "response_format": response_format(SpecialistAnswer)},
    }
    rates: dict[tuple[str, int], list[float]] = {(kind, size): [] for kind in kinds for size in SIZES}
    order = list(rates)
    for n in range(-1, rounds):
        for kind, size in order if n % 2 else reversed(order):
            measured = await rate(chat, asked[:size], kinds[kind], seed=1000 * (n + 1))
            if n >= 0:
                rates[kind, size].append(measured)
    shown = {kind: {f"batch_{size}": summary(rates[kind, size], rates[kind, 1]) for size in SIZES} for kind in kinds}
    under = [c / f for size in SIZES for c, f in zip(rates["json_schema", size], rates["free", size], strict=True)]
    shown["json_schema_over_free"] = {
        "ratio_median": round(statistics.median(under), 3),
        "ratio_quartiles": [round(q, 3) for q in statistics.quantiles(under, n=4)],
    }
    return shown


def peak_mib(device: str) -> dict[str, float]:
    """Most memory of this process so far, what came before the model included, in MiB."""
    import torch

    # kilobytes, but bytes on macOS
    unit = 1 if sys.platform == "darwin" else 1024
    peak = {"resident": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    if device.startswith("cuda"):
        peak["cuda_allocated"] = torch.cuda.max_memory_allocated(device)
    return {name: round(held / 2**20, 1) for name, held in peak.items()}


def machine(device: str) -> dict[str, Any]:
    import torch
    import transformers

    gpu = {"gpu": torch.cuda.get_device_name(device)} if device.startswith("cuda") else {}
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        **gpu,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def _processor() -> str:
    listed = Path("/proc/cpuinfo")
    if listed.is_file():
        for line in listed.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def measure(path: str, device: str, arguments: argparse.Namespace) -> dict[str, Any]:
    settings = LocalSettings(device=device, dtype=arguments.dtype, batch=max(SIZES))
    started = time.perf_counter()
    with local_chat(path, settings=settings) as chat:
        loaded = time.perf_counter() - started
        before = os.getloadavg()[0]
        result = asyncio.run(speeds(chat, rounds=arguments.rounds, tokens=arguments.tokens))
        return {
            "load_seconds": round(loaded, 2),
            "load_average_before_and_after": [round(before, 1), round(os.getloadavg()[0], 1)],
            "peak_mib": peak_mib(device),
            **result,
        }


def mend_torchvision_if_broken() -> None:
    """A torchvision that does not go with this torch would stop the models from loading."""
    try:
        import torchvision  # noqa: F401
    except ModuleNotFoundError:
        return
    except (ImportError, OSError, RuntimeError) as error:
        from wardround.testing.tiny import mend_torchvision

        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        mend_torchvision()
        print(f"torchvision is broken ({error}) and mended for this process", file=sys.stderr)


def report(arguments: argparse.Namespace) -> dict[str, Any]:
    from wardround.models.local.devices import pick_device

    mend_torchvision_if_broken()
    device = str(pick_device(arguments.device))
    models: dict[str, Any] = {}
    if arguments.model is not None:
        models[arguments.model] = measure(arguments.model, device, arguments)
    else:
        from wardround.testing.tiny import build

        with tempfile.TemporaryDirectory() as folder:
            for family in arguments.family:
                built = build(family, Path(folder) / family)
                models[f"tiny {family}"] = measure(str(built), device, arguments)
    return {
        "what": "tokens a second of hf: models in this process, batches against one by one, in the same rounds",
        "rounds": arguments.rounds,
        "tokens_of_an_answer_at_most": arguments.tokens,
        "device": device,
        "dtype": arguments.dtype,
        "machine": machine(device),
        "models": models,
        "goal": "none: stated as measured",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="folder or hub id; tiny models are built unless given")
    parser.add_argument("--family", nargs="+", default=["llama", "gemma3"], help="of tiny models (default: both)")
    parser.add_argument("--device", default="auto", help="as torch names it (default: %(default)s)")
    parser.add_argument("--dtype", default="auto", choices=("auto", "float32", "bfloat16", "float16"))
    parser.add_argument("--rounds", type=int, default=5, help="that all sizes take part in (default: %(default)s)")
    parser.add_argument("--tokens", type=int, default=64, help="of an answer at most (default: %(default)s)")
    try:
        print(json.dumps(report(parser.parse_args()), indent=2))
    except WardroundError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
