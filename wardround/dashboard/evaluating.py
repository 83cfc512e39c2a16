"""How runs did of which somebody has said whether they are right: by suite and model, with the runs behind each figure.

Labels are the judgements on whole runs in the store, made in the review or put there by whoever knows the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from wardround.core.errors import UsageError
from wardround.dashboard import plots
from wardround.dashboard.measuring import CELLS, Judged, bins, by, cell_of, figures, place_of, risk_coverage
from wardround.knowledge.clinician import reference_clinician
from wardround.trace.store import RunStore

Render = Callable[[Request, str, Mapping[str, Any]], Response]

OUTSIDE = "outside the knowledge"
NO_SUITE = "no suite"
SHOWN = 100
"""Runs that a page lists."""


@dataclass(frozen=True)
class Chosen:
    """Which of the judged runs are looked at: codes alone, as they stand in the address."""

    suite: str | None = None
    model: str | None = None
    specialty: str | None = None
    reason: str | None = None
    cell: str | None = None
    bin: str | None = None

    @classmethod
    def of(cls, given: QueryParams) -> Chosen:
        """Read an address."""
        return cls(**{name: given.get(name) or None for name in cls.__dataclass_fields__})

    def address(self, **changes: str | None) -> str:
        """Return the address of this choice with other values."""
        values = {name: value for name, value in vars(replace(self, **changes)).items() if value}
        return "/evaluation" + (f"?{urlencode(values)}" if values else "")

    def groups(self, run: Judged) -> bool:
        """Whether a run is of the suite and the model."""
        return self.suite in (None, suite_of(run)) and self.model in (None, run.row.model)

    def picks(self, run: Judged) -> bool:
        """Whether a run is among those that were drilled down to."""
        tenth = None if run.row.probability is None else str(place_of(run.row.probability))
        return (
            self.specialty in (None, run.specialty)
            and (self.reason is None or self.reason in run.row.reasons)
            and self.cell in (None, cell_of(run))
            and self.bin in (None, tenth)
        )


def suite_of(run: Judged) -> str:
    """Return the suite of a run by name."""
    return run.row.suite or NO_SUITE


def routes(store: RunStore, render: Render) -> list[Route]:
    """Return the route of the evaluation.

    Args:
        store: Where the runs are.
        render: Answers with a template.
    """

    def evaluation(request: Request) -> Response:
        judged, disputed = judged_runs(store)
        page = evaluation_page(judged, Chosen.of(request.query_params))
        return render(request, "evaluation.html", {**page, "disputed": disputed})

    return [Route("/evaluation", evaluation, name="evaluation")]


def judged_runs(store: RunStore) -> tuple[list[Judged], int]:
    """Return the runs that somebody called right or wrong, and how many others are called both.

    Runs that were forgotten since, or that have no diagnosis at all, are left out.
    """
    said: dict[str, set[str]] = {}
    for annotation in store.labelled():
        if annotation.target == "run" and annotation.label != "unsure":
            said.setdefault(annotation.run, set()).add(annotation.label)
    agreed = {run: labels == {"right"} for run, labels in said.items() if len(labels) == 1}
    return list(_found(store, agreed)), len(said) - len(agreed)


def _found(store: RunStore, labels: Mapping[str, bool]) -> Iterable[Judged]:
    clinician = reference_clinician()
    for run, right in labels.items():
        try:
            row = store.find(run)
        except UsageError:  # forgotten since it was judged
            continue
        if row.status is None:
            continue
        condition = clinician.condition(row.diagnosis) if row.diagnosis else None
        yield Judged(row, right, condition.specialties[0] if condition is not None else OUTSIDE)


def evaluation_page(judged: Sequence[Judged], chosen: Chosen) -> dict[str, Any]:
    """Return what the page shows.

    Args:
        judged: All runs that are judged.
        chosen: Which of them.
    """
    runs = [run for run in judged if chosen.groups(run)]
    picked = sorted((run for run in runs if chosen.picks(run)), key=lambda run: run.row.started, reverse=True)
    bars = bins(runs)
    return {
        "chosen": chosen,
        "total": len(judged),
        "runs": runs,
        "figures": figures(runs),
        "suites": _suites(judged, chosen),
        "reliability": plots.reliability_diagram(bars) if bars else None,
        "bins": [(b, chosen.address(bin=str(place_of(b.confidence)))) for b in bars],
        "risk_coverage": plots.risk_coverage(points) if (points := risk_coverage(runs)) else None,
        "cells": CELLS,
        "specialties": _table(by(runs, lambda run: (run.specialty,)), "specialty", chosen),
        "reasons": _table(by(runs, lambda run: run.row.reasons or ("none",)), "reason", chosen),
        "picked": picked[:SHOWN],
        "picked_total": len(picked),
        "is_drilled": len(picked) != len(runs),
    }


def _suites(judged: Sequence[Judged], chosen: Chosen) -> list[dict[str, Any]]:
    groups: dict[tuple[str, str], list[Judged]] = {}
    for run in judged:
        groups.setdefault((suite_of(run), run.row.model), []).append(run)
    return [
        {
            "suite": suite,
            "model": model,
            "figures": figures(runs),
            "n": len(runs),
            "address": Chosen(suite=suite, model=model).address(),
            "is_chosen": (chosen.suite, chosen.model) == (suite, model),
        }
        for (suite, model), runs in sorted(groups.items())
    ]


def _table(counts: Mapping[str, Mapping[str, int]], name: str, chosen: Chosen) -> list[dict[str, Any]]:
    plain = Chosen(suite=chosen.suite, model=chosen.model)
    rows = []
    for group, cells in counts.items():
        linked = {} if group == "none" else {name: group}
        addresses = {cell: plain.address(cell=cell, **linked) if linked else None for cell in CELLS}
        rows.append({"name": group, "cells": [(cells[cell], addresses[cell]) for cell in CELLS]})
    return rows
