"""Agents that follow a rule through these tasks: the oracle, and one that guesses; the one that does nothing is shared.

They speak the text protocol of GET, POST and FINISH and are played as `records.policy_model.PolicyChatModel`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from wardround.core.errors import ModelError
from wardround.environments.fhir.population import NOW
from wardround.environments.fhir.population.resources import LOINC, SNOMED
from wardround.evals.records.policy_model import Acts
from wardround.evals.recordtasks.answers import plain
from wardround.evals.recordtasks.functions import FUNCTIONS
from wardround.evals.recordtasks.orders import DrugOrder, Order, ServiceOrder, Wanted, pressure, url_of
from wardround.evals.recordtasks.outcome import Outcome
from wardround.evals.recordtasks.reading import PAGE, Resource, Search, Solving
from wardround.tools.fhir.access import mapping, objects, string


def oracle(solving: Solving, api_base: str) -> Acts:
    """Work through the record by the steps of the task, write what is wanted, and answer.

    It knows the rules of the graders, never a stored answer: what it answers it has read.

    Raises:
        ModelError: A reply does not hold what was read.
    """
    base = api_base.rstrip("/")
    outcome = yield from worked(solving, base)
    for wanted in outcome.writes:
        yield posted(base, wanted)
    yield finished(plain(outcome.answers[0]) if outcome.answers else [])


def null() -> Acts:
    """Finish at once with an empty answer."""
    yield finished([])


def guess(mrn: str | None, ids: Sequence[str], api_base: str, rng: random.Random) -> Acts:
    """Do something that the protocol has, by chance: read, write an order, finish with what tasks ask for.

    Args:
        mrn: Record number of the task's patient, if it is about one.
        ids: Ids of patients, to guess from.
        api_base: Base URL.
        rng: Decides.
    """
    base = api_base.rstrip("/")
    reads = [f["name"].rsplit("/", 1)[1] for f in FUNCTIONS if f["name"].startswith("GET")]
    while (draw := rng.random()) > 0.25:
        if draw > 0.45:
            kind = rng.choice(reads)
            params = {
                "identifier" if kind == "Patient" else "patient.identifier": mrn or f"W{rng.randrange(10**7):07d}"
            }
            yield f"GET {base}/{kind}?{urlencode(params)}"
        else:
            yield posted(base, _guessed_order(rng.choice(ids), rng))
    yield finished([_guessed(rng) for _ in range(rng.randint(0, 2))])


def posted(base: str, wanted: Wanted) -> str:
    """Return the turn that writes something."""
    return f"POST {'/'.join(filter(None, (base, url_of(wanted))))}\n{json.dumps(wanted.payload())}"


def finished(answer: Iterable[object]) -> str:
    """Return the turn that ends an episode."""
    return f"FINISH({json.dumps(list(answer))})"


def searched(base: str, search: Search) -> Generator[str, str, list[Resource]]:
    """Read all pages of a search."""
    resources: list[Resource] = []
    address: str | None = f"{base}/{search.type}?{urlencode([*search.params, ('_count', str(PAGE))])}"
    while address is not None:
        bundle = _bundle((yield f"GET {address}"))
        resources += [mapping(entry.get("resource")) for entry in objects(bundle.get("entry"))]
        links = {string(link.get("relation")): string(link.get("url")) for link in objects(bundle.get("link"))}
        address = links.get("next")
    return resources


def worked(solving: Solving, base: str) -> Generator[str, str, Outcome]:
    """Work through the record by the steps of a task, turn by turn, and return what it comes to.

    Raises:
        ModelError: A reply does not hold what was read.
    """
    try:
        search = next(solving)
        while True:
            search = solving.send((yield from searched(base, search)))
    except StopIteration as done:
        outcome: Outcome = done.value
        return outcome


def _bundle(reply: str) -> Mapping[str, Any]:
    """Return the Bundle in a reply, whatever words stand around it."""
    try:
        bundle, _ = json.JSONDecoder().raw_decode(reply, max(reply.find("{"), 0))
    except ValueError as error:
        raise ModelError("oracle", f"the reply holds no JSON ({error}): {reply[:200]!r}") from error
    if mapping(bundle).get("resourceType") != "Bundle":
        raise ModelError("oracle", f"the reply holds no Bundle: {reply[:200]!r}")
    return mapping(bundle)


def _guessed_order(patient: str, rng: random.Random) -> Order:
    test = rng.choice(["2823-3", "4548-4", "2524-7", "58410-2", "24331-1", "36643-5"])
    orders: list[Order] = [
        pressure(patient, NOW, rng.randint(90, 180), rng.randint(50, 100)),
        DrugOrder(patient, NOW, "B05XA05", "Magnesium sulfate", "intravenous", *rng.choice([(2, "g"), (4, "g")])),
        DrugOrder(patient, NOW, "A12BA01", "Potassium chloride", "oral", 10 * rng.randint(1, 4), "mmol"),
        DrugOrder(patient, NOW, "A10BA02", "Metformin", "oral", 500, "mg", 2),
        ServiceOrder(patient, NOW, LOINC, test, "a test", rng.choice(["routine", "urgent"])),
        ServiceOrder(patient, NOW, SNOMED, "3457005", "Patient referral", note="please see"),
    ]
    return rng.choice(orders)


def _guessed(rng: random.Random) -> object:
    words = ["no", "none", "never", "ordered", "duplicate", "allergy", "not found", "ambiguous", "not active"]
    numbers = [-1, 0, rng.randint(1, 7), rng.randint(18, 95), round(rng.uniform(0.5, 9.0), 1), rng.randint(60, 300)]
    return rng.choice([*words, *numbers])
