"""Kills writers of a store at random moments and reports what each had been told was written; run as a script.

Everything is imported once and each writer is forked, so that two hundred of them take seconds.
"""

import json
import os
import random
import select
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from wardround.trace.events import Event, ModelAsked, RunStarted
from wardround.trace.store import RunStore

START = datetime(2026, 1, 1, tzinfo=UTC)
LONGEST = 40
"""Events of a run; then the next one is begun."""


def event(run: str, seq: int) -> Event:
    """Return the event that belongs in a place, always the same one."""
    common = {"run": run, "seq": seq, "time": START, "span": ""}
    if seq == 0:
        return RunStarted(**common, case="case", model="m", settings={})
    content = "\n".join(f"line {n} of event {seq} of {run}, made long enough to be kept by reference" for n in range(6))
    call = {"call": "c", "agent": "a", "model": "m", "answer": "A", "rollout": 0, "attempt": 0}
    return ModelAsked(**common, **call, messages=({"role": "user", "content": content},))


def write(folder: Path, told: int) -> None:
    """Go on with the last run and write until killed; each line says which event is in the log."""
    store = RunStore(folder)
    rows = store.runs(limit=1)
    run = rows[0].id if rows else ""
    length = len(store.events(run)) if run else LONGEST
    while True:
        if length >= LONGEST:
            run, length = f"run_{time.time_ns():x}", 0
            first = event(run, 0)
            assert isinstance(first, RunStarted)
            store.begin(first)
        some = [event(run, seq) for seq in range(max(0, length - 1), length + random.randint(1, 5))]
        store.append(run, some)
        length = some[-1].seq + 1
        os.write(told, f"{run} {length - 1}\n".encode())


def kill_one(folder: Path, delay: float) -> dict[str, int]:
    """Fork a writer, kill it, and return the last event of each run that it was told of."""
    ear, mouth = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ear)
        write(folder, mouth)
    os.close(mouth)
    said = b""
    while b"\n" not in said:  # let it come to work, whatever the machine has to do besides
        select.select([ear], [], [], 30)
        said += os.read(ear, 1 << 16)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while more := os.read(ear, 1 << 16):
        said += more
    os.close(ear)
    lines = (line.split() for line in said.decode().rpartition("\n")[0].split("\n"))
    return {run: int(seq) for run, seq in lines}


def main() -> None:
    """Kill as many writers as asked for."""
    folder, times, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    draw = random.Random(seed)
    told: dict[str, int] = {}
    for _ in range(times):
        told |= kill_one(folder, draw.uniform(0.0, 0.03))
    print(json.dumps(told))


if __name__ == "__main__":
    main()
