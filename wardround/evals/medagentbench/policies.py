"""Agents that follow a rule instead of thinking: the reference, the one that does nothing, and one that guesses.

They speak the text protocol of GET, POST and FINISH, and stand beside every score: what the reference does not get
right is a fault of the task, the record or the grader; what the others get right is no achievement.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import date
from typing import Any
from urllib.parse import urlencode

from wardround.core.errors import ModelError
from wardround.evals.medagentbench.facts import Age, LookUp, Recording, Referral, facts_of
from wardround.evals.medagentbench.gold import COUNT, Gold, measurements_of
from wardround.evals.medagentbench.orders import LOINC, SNOMED, DrugOrder, Order, ReadingEntry, ServiceOrder, type_of
from wardround.evals.medagentbench.tasks import FunctionSpec, MedAgentTask
from wardround.evals.medagentbench.wanted import wanted
from wardround.evals.records.grading import Mode
from wardround.evals.records.policy_model import Acts
from wardround.tools.fhir.access import mapping, objects, string

Policy = Callable[[MedAgentTask, Sequence[FunctionSpec], str, Mode, random.Random], Acts]
"""Takes a task, the functions, the base address of the server, the mode and a source of chance."""


def oracle(
    task: MedAgentTask, functions: Sequence[FunctionSpec], api_base: str, mode: Mode, rng: random.Random
) -> Acts:
    """Read what decides the task, write what is wanted in the form of the mode, and answer.

    It knows the facts of the task and the rules of the graders, never the stored answer: what it answers it has read.

    Raises:
        ModelError: A reply does not hold what was read.
        UsageError: The task's wording is not the published one.
    """
    facts, base = facts_of(task), api_base.rstrip("/")
    if isinstance(facts, LookUp):
        found = yield from _read(f"{base}/Patient", {"birthdate": facts.birth_date.isoformat(), "_count": str(COUNT)})
        numbers = [string(p.get("id")) for p in found if facts.name in _names(p)]
        yield _finish(numbers or [facts.absent])
        return
    match facts:
        case Age():
            patients = yield from _read(f"{base}/Patient", {"identifier": facts.mrn})
            gold = Gold(birth_date=_birth_date(patients))
        case Recording() | Referral():
            gold = Gold()
        case _:
            params = {"patient": facts.mrn, "code": facts.code, "_count": str(COUNT)}
            gold = Gold(measurements_of((yield from _read(f"{base}/Observation", params))))
    right = wanted(task, facts, gold, mode)[0]
    for order in right.orders:
        yield _post(base, order, mode)
    yield _finish([item.raw for item in right.answer or ()])


def null(task: MedAgentTask, functions: Sequence[FunctionSpec], api_base: str, mode: Mode, rng: random.Random) -> Acts:
    """Finish at once with an empty answer."""
    yield _finish([])


def guess(task: MedAgentTask, functions: Sequence[FunctionSpec], api_base: str, mode: Mode, rng: random.Random) -> Acts:
    """Do something that the protocol has, by chance: read about the patient, write an order, finish with numbers."""
    base, mrn = api_base.rstrip("/"), task.mrn or f"S{rng.randrange(10**7):07d}"
    reads = [f for f in functions if f.method == "GET"]
    while (draw := rng.random()) > 0.25:
        if reads and draw > 0.45:
            function = rng.choice(reads)
            yield f"GET {base}/{function.resource_type}?{urlencode(_guessed_params(function, mrn, rng))}"
        else:
            yield _post(base, _guessed_order(mrn, rng), mode)
    yield _finish([_guessed_number(rng) for _ in range(rng.randint(0, 2))])


POLICIES: Mapping[str, Policy] = {"oracle": oracle, "null": null, "random": guess}


def _read(url: str, params: Mapping[str, str]) -> Generator[str, str, list[Mapping[str, Any]]]:
    """Read all pages of a search."""
    resources: list[Mapping[str, Any]] = []
    address: str | None = f"{url}?{urlencode(params)}"
    while address is not None:
        bundle = _bundle((yield f"GET {address}"))
        resources += [mapping(entry.get("resource")) for entry in objects(bundle.get("entry"))]
        links = {string(link.get("relation")): string(link.get("url")) for link in objects(bundle.get("link"))}
        address = links.get("next")
    return resources


def _bundle(reply: str) -> Mapping[str, Any]:
    """Return the Bundle in a reply, whatever words stand around it."""
    start = max(reply.find("{"), 0)
    try:
        bundle, _ = json.JSONDecoder().raw_decode(reply, start)
    except ValueError as error:
        raise ModelError("oracle", f"the reply holds no JSON ({error}): {reply[:200]!r}") from error
    if mapping(bundle).get("resourceType") != "Bundle":
        raise ModelError("oracle", f"the reply holds no Bundle: {reply[:200]!r}")
    return mapping(bundle)


def _names(patient: Mapping[str, Any]) -> list[str]:
    names = objects(patient.get("name"))
    return [" ".join(filter(None, (*map(string, n.get("given") or ()), string(n.get("family"))))) for n in names]


def _birth_date(patients: Sequence[Mapping[str, Any]]) -> date:
    written = string(patients[0].get("birthDate")) if patients else ""
    try:
        return date.fromisoformat(written)
    except ValueError as error:
        raise ModelError("oracle", f"{len(patients)} patients were found, birthDate {written!r}") from error


def _post(base: str, order: Order, mode: Mode) -> str:
    return f"POST {base}/{type_of(order)}\n{json.dumps(order.payload(mode))}"


def _finish(answer: Sequence[object]) -> str:
    return f"FINISH({json.dumps(list(answer))})"


_GUESSES: Mapping[str, tuple[str, ...]] = {
    "code": ("MG", "K", "GLU", "A1C", "BP"),
    "category": ("vital-signs", "laboratory"),
    "date": ("ge2023-11-12", "le2023-11-13T10:15:00+00:00", "2023-11-13"),
    "gender": ("female", "male"),
    "birthdate": ("1950-06-15", "1975-01-31"),
}
_NOW = "2023-11-13T10:15:00+00:00"


def _guessed_params(function: FunctionSpec, mrn: str, rng: random.Random) -> dict[str, str]:
    params = {"patient": mrn} if "patient" in function.parameters["properties"] else {"identifier": mrn}
    required = function.parameters.get("required", ())
    for name in function.parameters["properties"]:
        if name in _GUESSES and (name in required or rng.random() < 0.3):
            params[name] = rng.choice(_GUESSES[name])
    return params


def _guessed_order(mrn: str, rng: random.Random) -> Order:
    orders: list[Order] = [
        ReadingEntry(mrn, _NOW, "BP", f"{rng.randint(90, 180)}/{rng.randint(50, 100)} mmHg"),
        DrugOrder(mrn, _NOW, "0338-1715-40", "IV", *rng.choice([(1, "g", 1), (2, "g", 2), (4, "g", 4)])),
        DrugOrder(mrn, _NOW, "40032-917-01", "oral", 10 * rng.randint(1, 6), "mEq"),
        ServiceOrder(mrn, _NOW, LOINC, rng.choice(["2823-3", "4548-4"])),
        ServiceOrder(mrn, _NOW, SNOMED, "306181000000106", note="please see"),
    ]
    return rng.choice(orders)


def _guessed_number(rng: random.Random) -> float:
    return rng.choice([-1, round(rng.uniform(0.5, 9.0), 1), rng.randint(18, 95), rng.randint(60, 300)])
