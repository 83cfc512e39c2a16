"""The trace store with 100,000 runs: how long lists, counts, searches and single runs take, and in how much memory.

Prints one JSON document, for SQLite and, where its programs are installed, for PostgreSQL. Runs are made up: twelve
events each, words drawn so that some are in nearly every run and others in a few. One consult of the reference
clinician in full, recorded by the store itself, gives the time for the page of a run and the bytes that it takes.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from wardround.core.case import Case
from wardround.core.errors import UsageError
from wardround.graphs.settings import ConsultSettings
from wardround.graphs.ward import Ward
from wardround.testing.postgres import PostgresServer
from wardround.trace import chain, connecting, reading, searching
from wardround.trace.rows import RunQuery, begun, updated
from wardround.trace.schema import EVENTS, RUNS, WORDS
from wardround.trace.store import RunStore
from wardround.trace.texts import dumped, quoted

CASES = Path(__file__).parents[1] / "examples" / "cases"
START = datetime(2026, 1, 1, tzinfo=UTC)
COMMON = ("fever", "cough", "pain", "patient", "denies")
RARE = tuple(f"sign{n}" for n in range(2000))
DIAGNOSES = ("influenza", "asthma", "pulmonary embolism", "acute cystitis", "migraine", "gout", "sepsis", "angina")
TOGETHER = 500
REPEATS = 9


def made_up(n: int, draw: random.Random) -> list[dict[str, Any]]:
    """Return the events of a run as JSON has them."""
    run, at = f"run_{n:012x}", START + timedelta(minutes=n)
    words = " ".join([*draw.sample(COMMON, 4), *draw.sample(RARE, 8), f"unique{n}"])
    chance = draw.random()
    leading = {"id": "x", "name": draw.choice(DIAGNOSES), "icd10": "J11", "probability": chance}
    status = draw.choice(("final", "final", "abstained", "escalated"))
    reasons = [{"code": c, "detail": "d"} for c in ("vacuity", "conflict", "fragile")[: 0 if status == "final" else 2]]
    differential = {"hypotheses": [leading], "other": 1 - chance}
    decision = {"status": status, "diagnosis": leading, "differential": differential, "reasons": reasons}
    source = {"kind": "clinician_note", "text": words, "document": f"note:{n}"}
    asked = {"call": "c", "agent": "a", "model": "m", "answer": "A", "rollout": 0, "attempt": 0}
    messages = [{"role": "user", "content": f"{words}\nSay what it is and why, and cite what you rest on."}]
    acts: list[tuple[str, dict[str, Any]]] = [
        ("run_started", {"case": f"case_{n % 20000}", "model": draw.choice(("m1", "m2", "m3")), "settings": {}}),
        *(("span_started", {"opened": f"spn_{k}", "name": "node", "kind": "node"}) for k in range(3)),
        ("evidence_added", {"item": {"item": "source", "source": source}}),
        ("triage_given", {"triage": {"urgency": "urgent"}, "routed": []}),
        ("model_asked", {**asked, "messages": messages}),
        ("model_answered", {"call": "c", "text": words, "seconds": 1.0, "input_tokens": n % 5000, "output_tokens": 9}),
        *(("span_ended", {"closed": f"spn_{k}", "outcome": "done", "seconds": 1.0}) for k in range(2)),
        ("decision_made", {"decision": decision}),
        ("run_ended", {"outcome": "done" if n % 50 else "failed"}),
    ]
    common = {"run": run, "span": ""}
    return [
        {"event": kind, **common, "seq": seq, "time": (at + timedelta(seconds=seq)).isoformat(), **fields}
        for seq, (kind, fields) in enumerate(acts)
    ]


def fill(store: RunStore, runs: int) -> float:
    """Write made-up runs straight into the tables, many in one transaction; return the seconds that it took."""
    draw, begun_at = random.Random(5), time.perf_counter()
    for first in range(0, runs, TOGETHER):
        with connecting.writing(store._engine) as connection:
            top = connection.execute(sa.select(sa.func.coalesce(sa.func.max(RUNS.c.key), 0))).scalar_one()
            rows: dict[sa.Table, list[dict[str, Any]]] = {RUNS: [], EVENTS: [], WORDS: []}
            for n in range(first, min(runs, first + TOGETHER)):
                _add(rows, top + 1 + n - first, made_up(n, draw), is_postgresql=store.folder is None)
            for table, values in rows.items():
                connection.execute(sa.insert(table), values)
    if store.folder is None:  # keys were given, so the database has to be told where to go on
        with connecting.writing(store._engine) as connection:
            connection.execute(sa.text("SELECT setval('runs_key_seq', (SELECT max(key) FROM runs))"))
    return time.perf_counter() - begun_at


def _add(
    rows: dict[sa.Table, list[dict[str, Any]]], key: int, values: list[dict[str, Any]], *, is_postgresql: bool
) -> None:
    heads = chain.heads(values)
    row = updated(begun(values[0]), values) | {"key": key, "changed": key, "length": len(values)}
    rows[RUNS].append(row | {"indexed": len(values), "head": heads[-1]})
    for value, head in zip(values, heads, strict=True):
        body = dumped({name: quoted(field) for name, field in value.items() if name not in reading.COLUMNS})
        rows[EVENTS].append({"run": key, "seq": value["seq"], "event": value["event"], "body": body, "head": head})
    text = values[4]["item"]["source"]["text"]
    lines = ["run " + values[0]["run"][4:], "", "", "", "", " ".join(searching.tokens(text))]
    words = {"run": key, "lines": "\n".join(lines)}
    rows[WORDS].append(words | ({"tokens": " ".join(lines)} if is_postgresql else {}))


def median_ms(act: Callable[[], object]) -> dict[str, float]:
    """Return milliseconds of the first and of the median of further repetitions."""
    spent = []
    for _ in range(1 + REPEATS):
        begun_at = time.perf_counter()
        act()
        spent.append((time.perf_counter() - begun_at) * 1000)
    return {"first": round(spent[0], 1), "median": round(statistics.median(spent[1:]), 1)}


def measure(store: RunStore, runs: int, full: str) -> dict[str, Any]:
    """Time what pages ask for."""
    middle = f"run_{runs // 2:012x}"
    page = store.page(RunQuery())
    asked: dict[str, Callable[[], object]] = {
        "list, latest first": lambda: store.page(RunQuery()),
        "list, next page": lambda: store.page(RunQuery(after=page.next)),
        "list by probability": lambda: store.page(RunQuery(sort="probability")),
        "list by diagnosis": lambda: store.page(RunQuery(sort="diagnosis", descending=False)),
        "list of escalated": lambda: store.page(RunQuery(statuses=("escalated",), reasons=("conflict",))),
        "list of failed by tokens": lambda: store.page(RunQuery(states=("failed",), sort="tokens")),
        "list with a frequent word": lambda: store.page(RunQuery(text="fever")),
        "list with a rare word": lambda: store.page(RunQuery(text="sign7 cough")),
        "facets": lambda: store.facets(RunQuery()),
        "facets with a frequent word": lambda: store.facets(RunQuery(text="fever")),
        "search, frequent words": lambda: store.search("fever cough"),
        "search, rare word": lambda: store.search("sign7"),
        "search, one run": lambda: store.search(f"unique{runs // 2}"),
        "search, beginning": lambda: store.search("sign77*"),
        "changes since": lambda: store.since(runs - 100),
        "find by beginning": lambda: store.find(middle[:-1] + "0"),
        "events of a made-up run": lambda: store.events(middle),
        "events of a full consult": lambda: store.events(full),
        "verify a full consult": lambda: store.verify(full),
    }
    return {name: median_ms(act) for name, act in asked.items()}


def consults(store: RunStore) -> tuple[str, dict[str, Any]]:
    """Record consults of the shipped cases, each with two seeds, and weigh them against their logs as plain JSON."""
    report: dict[str, Any] = {}
    full = ""
    for what, seed in (("new cases", 0), ("the same cases with another seed", 1)):
        ward = Ward("reference", settings=ConsultSettings(seed=seed))
        before, raw, spent, paths = size(store), 0, 0.0, sorted(CASES.glob("*.json"))
        for path in paths:
            result = ward.consult(Case.from_file(path))
            begun_at = time.process_time()
            store.begin(result.events[0])  # type: ignore[arg-type]
            for start in range(0, len(result.events), 10):
                store.append(result.run, result.events[start : start + 10])
            spent += time.process_time() - begun_at
            raw += sum(len(json.dumps(chain.json_value(e), ensure_ascii=False).encode()) for e in result.events)
            full = result.run
        bytes_each = {"bytes_as_json": raw // len(paths), "bytes_in_store": (size(store) - before) // len(paths)}
        report[what] = {"runs": len(paths), **bytes_each, "cpu_ms_to_write": round(spent / len(paths) * 1000)}
    return full, report


def size(store: RunStore) -> int:
    """Return the bytes that the database takes."""
    with store._reading() as connection:
        if store.folder is not None:
            pages = connection.exec_driver_sql("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
            return int(pages.scalar_one())
        return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())


def bench(place: Path | str, runs: int) -> dict[str, Any]:
    """Fill a store and measure it, reading in a process of its own so that its memory is that of reading."""
    store = RunStore(place)
    full, written = consults(store)
    seconds = fill(store, runs)
    if store.folder is None:
        with store._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE")
    filled = {"seconds": round(seconds, 1), "bytes": size(store)}
    store.close()
    read = subprocess.run(
        [sys.executable, __file__, "--measure", str(place), "--full", full, "--runs", str(runs)],
        capture_output=True,
        text=True,
        check=True,
    )
    return {"full_consults": written, "filled": filled, **json.loads(read.stdout)}


def places() -> Iterator[tuple[str, Path | str]]:
    with tempfile.TemporaryDirectory() as folder:
        yield "sqlite", Path(folder)
    try:
        server = PostgresServer()
    except UsageError as error:
        print(error, file=sys.stderr)
        return
    with server:
        yield "postgresql", server.database()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--full", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure is not None:
        start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        store = RunStore(given.measure)
        times = measure(store, given.runs, given.full)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start) // 1024
        print(json.dumps({"ms": times, "memory_mb": {"imports": start // 1024, "reading": grown}}))
        return
    report = {name: bench(place, given.runs) for name, place in places()}
    print(json.dumps({"runs": given.runs, **report}, indent=2))


if __name__ == "__main__":
    main()
