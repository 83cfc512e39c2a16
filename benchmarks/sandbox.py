"""Speed of the FHIR sandbox over HTTP: search, reset, fork and loading, at several sizes.

Each patient has 100 Observations over 20 codes, 5 Conditions, 5 MedicationRequests, 2 Procedures and a
ServiceRequest. The server runs in a process of its own and is asked over one kept connection. Beside each search
stands a bare Starlette answering the same bytes in the same process: what HTTP alone costs.

    python benchmarks/sandbox.py --observations 10000 100000 1000000
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import random
import statistics
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

PER_PATIENT = 100
CODES = 20
REPEATS = 300


def resources(patients: int, seed: int) -> Iterator[dict[str, Any]]:
    rng = random.Random(seed)
    for i in range(patients):
        subject = {"reference": f"Patient/p{i}"}
        yield {
            "resourceType": "Patient",
            "id": f"p{i}",
            "identifier": [{"system": "urn:mrn", "value": f"M{i:07d}"}],
            "name": [{"family": f"Family{i % 997}", "given": [f"Given{i % 89}"]}],
            "birthDate": f"{1930 + i % 80}-0{1 + i % 9}-1{i % 10}",
        }
        for o in range(PER_PATIENT):
            yield observation(f"p{i}-o{o}", subject, o % CODES, rng)
        for kind, count in (("Condition", 5), ("MedicationRequest", 5), ("Procedure", 2), ("ServiceRequest", 1)):
            for n in range(count):
                yield other(kind, f"p{i}-{kind[:2].lower()}{n}", subject, n)


def observation(id_: str, subject: dict[str, str], code: int, rng: random.Random) -> dict[str, Any]:
    day = f"2023-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                        "code": "laboratory",
                    }
                ]
            }
        ],
        "code": {
            "coding": [
                {"system": "http://loinc.org", "code": f"{1000 + code}-{code % 10}"},
                {"system": "urn:local", "code": f"C{code}"},
            ],
            "text": f"Analyte {code}",
        },
        "subject": subject,
        "effectiveDateTime": f"{day}T{rng.randint(0, 23):02d}:15:00+00:00",
        "valueQuantity": {
            "value": round(rng.uniform(1, 9), 1),
            "unit": "mg/dL",
            "system": "http://unitsofmeasure.org",
            "code": "mg/dL",
        },
    }


def other(kind: str, id_: str, subject: dict[str, str], n: int) -> dict[str, Any]:
    concept = {"coding": [{"system": "urn:local", "code": f"{kind[:2]}{n}"}]}
    fields: dict[str, dict[str, Any]] = {
        "Condition": {"code": concept, "recordedDate": "2022-05-01"},
        "MedicationRequest": {"status": "active", "intent": "order", "medicationCodeableConcept": concept},
        "Procedure": {"status": "completed", "code": concept, "performedDateTime": "2022-05-01"},
        "ServiceRequest": {"status": "active", "intent": "order", "code": concept},
    }
    return {"resourceType": kind, "id": id_, "subject": subject, **fields[kind]}


def server(patients: int, seed: int, pipe: Connection) -> None:
    import asyncio
    import resource
    import socket

    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Mount, Route

    from wardround.environments.fhir.sandbox import Sandbox

    sandbox = Sandbox()
    started = time.perf_counter()
    count = sandbox.load(resources(patients, seed))
    seconds = time.perf_counter() - started
    kept: dict[str, bytes] = {}

    async def bare(request: Request) -> Response:
        name = request.query_params["name"]
        if request.method == "PUT":
            kept[name] = await request.body()
        return Response(kept[name], media_type="application/fhir+json")

    app = Starlette(routes=[Route("/bare", bare, methods=["GET", "PUT"]), Mount("/", sandbox.app)])
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    pipe.send((listening.getsockname()[1], count, seconds, memory))
    asyncio.run(uvicorn.Server(uvicorn.Config(app, log_level="error")).serve(sockets=[listening]))


class Client:
    """One kept connection."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)

    def ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Return the body of an answer."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        self.connection.request(method, path, body, headers)
        response = self.connection.getresponse()
        text = response.read()
        if response.status >= 400:
            raise RuntimeError(f"{method} {path}: {response.status} {text[:300]!r}")
        return text


def milliseconds(times: list[float]) -> dict[str, float]:
    cut = statistics.quantiles(times, n=20)
    return {
        "p50": round(1e3 * statistics.median(times), 3),
        "p95": round(1e3 * cut[18], 3),
        "n": len(times),
    }


def measure(port: int, patients: int, seed: int) -> dict[str, Any]:
    client, rng = Client(port), random.Random(seed + 1)

    def searches() -> dict[str, str]:
        i, code = rng.randrange(patients), rng.randrange(CODES)
        return {
            "patient_code_date": f"Observation?patient=p{i}&code=C{code}&date=ge2023-03-01",
            "patient_code_newest": f"Observation?patient=p{i}&code=C{code}&_sort=-date&_count=1",
            "identifier": f"Patient?identifier=urn:mrn|M{i:07d}",
            "read": f"Patient/p{i}",
            "code_page": f"Observation?code=C{code}&_count=20",
        }

    timed: dict[str, list[float]] = {}
    bare: dict[str, list[float]] = {}
    for name, path in searches().items():
        client.ask("PUT", f"/bare?name={name}", client.ask("GET", f"/fhir/R4/{path}"))
    for _ in range(REPEATS):
        for name, path in searches().items():
            timed.setdefault(name, []).append(clocked(client, "GET", f"/fhir/R4/{path}"))
            bare.setdefault(name, []).append(clocked(client, "GET", f"/bare?name={name}"))
    result: dict[str, Any] = {}
    for name in timed:
        ratio = statistics.median(timed[name]) / statistics.median(bare[name])
        result[name] = {**milliseconds(timed[name]), "ratio_to_bare_starlette": round(ratio, 2)}
    return result | states(client)


def clocked(client: Client, method: str, path: str, body: bytes | None = None) -> float:
    started = time.perf_counter()
    client.ask(method, path, body)
    return time.perf_counter() - started


def states(client: Client) -> dict[str, Any]:
    reset, fork, write, close = [], [], [], []
    body = json.dumps(observation("new", {"reference": "Patient/p1"}, 3, random.Random(5))).encode()
    for n in range(50):
        for _ in range(5):
            write.append(clocked(client, "POST", "/fhir/R4/Observation", body))
        reset.append(clocked(client, "POST", "/sandbox/reset"))
        fork.append(clocked(client, "POST", "/sandbox/forks", json.dumps({"name": f"f{n}"}).encode()))
        client.ask("POST", f"/forks/f{n}/fhir/R4/Observation", body)
        close.append(clocked(client, "DELETE", f"/sandbox/forks/f{n}"))
    return {
        "create": milliseconds(write),
        "reset_after_5_writes": milliseconds(reset),
        "fork": milliseconds(fork),
        "close_fork": milliseconds(close),
    }


def run(observations: int, seed: int) -> dict[str, Any]:
    patients = max(observations // PER_PATIENT, 1)
    mine, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=server, args=(patients, seed, theirs), daemon=True)
    process.start()
    port, count, seconds, memory = mine.recv()
    time.sleep(1.0)
    try:
        result = measure(port, patients, seed)
    finally:
        process.terminate()
        process.join()
    return {
        "observations": patients * PER_PATIENT,
        "resources": count,
        "load_per_second": round(count / seconds),
        "peak_memory_mb": round(memory),
        "milliseconds": result,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--observations", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    print(json.dumps([run(n, arguments.seed) for n in arguments.observations], indent=2))


if __name__ == "__main__":
    main()
