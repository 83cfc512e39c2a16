"""Consults of all patients in all arms, each asked by the same erring model, and the card of one of them."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from wardround.core.calibration.card import Card
from wardround.evals.ablation.arms import Part, settings_of
from wardround.evals.ablation.patients import CorruptedPatient
from wardround.evals.calibrating.building import Plan, build_card
from wardround.evals.calibrating.reading import join, read_labels, read_results
from wardround.graphs.consult import Consult
from wardround.graphs.session import Session
from wardround.graphs.ward import Ward
from wardround.knowledge.base import KnowledgeBase
from wardround.models.handle import ModelHandle
from wardround.models.keeping import Replies
from wardround.models.requests import Request
from wardround.trace.events import Origin

T = TypeVar("T")


class SharedAnswers:
    """Answers that the arms share: what is asked in one to the letter as in another is answered the same.

    So the arms differ by what is switched off alone, and a model that draws its answers is not drawn from anew. Each
    arm counts what it asked, whether it was answered from here or not.
    """

    origin = Origin.CACHE

    def __init__(self) -> None:
        self._held: dict[str, Replies] = {}

    def find(self, request: Request, /) -> Replies | None:
        """Return what was answered before, or nothing."""
        return self._held.get(request.key)

    def keep(self, request: Request, replies: Replies, /) -> None:
        """Keep what a model answered just now."""
        self._held[request.key] = replies


@dataclass(frozen=True)
class Round:
    """Who is asked, and how."""

    model: ModelHandle
    seed: int
    concurrency: int
    answers: SharedAnswers = field(default_factory=SharedAnswers)

    def consult(
        self,
        patients: Sequence[CorruptedPatient],
        without: Part | None,
        card: Card | None,
        take: Callable[[CorruptedPatient, Consult], T],
    ) -> list[T]:
        """Consult patients in one arm, and return what is taken of each consult, in their order.

        Raises:
            ModelUnavailable: The model could not be reached.
        """
        ward = Ward(
            self.model,
            settings=settings_of(without, seed=self.seed),
            concurrency=self.concurrency,
            kept=(self.answers,),
            card=card,
        )
        return asyncio.run(_consulted(ward, patients, self.concurrency, take))


async def _consulted(
    ward: Ward,
    patients: Sequence[CorruptedPatient],
    concurrency: int,
    take: Callable[[CorruptedPatient, Consult], T],
) -> list[T]:
    found: dict[int, T] = {}
    queue = iter(enumerate(patients))

    async def work(session: Session) -> None:
        for place, patient in queue:
            found[place] = take(patient, await session.consult(patient.sample.case))

    async with ward.session() as session, asyncio.TaskGroup() as group:
        for _ in range(min(concurrency, len(patients))):
            group.create_task(work(session))
    return [found[place] for place in range(len(patients))]


def fitted_card(
    rows: Sequence[Mapping[str, Any]], patients: Sequence[CorruptedPatient], kb: KnowledgeBase, *, seed: int
) -> Card:
    """Return the calibration card of consults, made the way that `wardround calibrate` makes one.

    Args:
        rows: Results of the consults as JSON, in the order of the patients.
        patients: None of them may be among those that the card is tried on.
        kb: The knowledge.
        seed: Of the division of the patients.

    Raises:
        UsageError: They are too few.
    """
    with tempfile.TemporaryDirectory() as folder:
        results, labels = Path(folder, "results.jsonl"), Path(folder, "labels.jsonl")
        results.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        truth = [{"case": p.sample.case.id, "diagnosis": p.sample.gold.conditions[0]} for p in patients]
        labels.write_text("".join(json.dumps(row) + "\n" for row in truth), "utf-8")
        labelled, _ = join(read_results(results), read_labels(labels), kb)
    return build_card(
        labelled,
        date=dt.datetime.now(dt.UTC).date(),
        plan=Plan(seed=seed),
        dangerous=frozenset(c.id for c in kb.conditions.values() if c.must_not_miss),
        options=len(kb.conditions) + 1,
    )
