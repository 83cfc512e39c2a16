"""How runs did of which somebody has said whether they are right: by suite and model, with the runs behind each figure.

Labels are the judgements on whole runs in the store, made in the review or put there by whoever knows the answers, such
as a suite of tasks that grades its runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from wardround.dashboard import plots
from wardround.dashboard.judged import NO_SPECIALTIES, judgements
from wardround.dashboard.measuring import (
    CELLS,
    Judged,
    bins,
    by,
    cell_of,
    crossed,
    figures,
    place_of,
    risk_coverage,
    share,
)
from wardround.trace.store import RunStore

Render = Callable[[Request, str, Mapping[str, Any]], Response]

NO_SUITE = "no suite"
SHOWN = 100
"""Runs that a page lists."""


@dataclass(frozen=True)
class Chosen:
    """Which of the judged runs are looked at: codes alone, as they stand in the address."""

    suite: str | None = None
    model: str | None = None
    specialty: str | None = None
    truth: str | None = None
    asked: str | None = None
    reason: str | None = None
    cell: str | None = None
    bin: str | None = None
    failure: str | None = None

    @classmethod
    def of(cls, given: QueryParams) -> Chosen:
        """Read an address."""
        return cls(**{name: given.get(name) or None for name in cls.__dataclass_fields__})

    def address(self, **changes: str | None) -> str:
        """Return the address of this choice with other values."""
        values = {name: value for name, value in vars(replace(self, **changes)).items() if value}
        return "/evaluation" + (f"?{urlencode(values)}" if values else "")

    @property
    def group(self) -> Chosen:
        """The suite and the model of this choice, without what was drilled down to."""
        return Chosen(suite=self.suite, model=self.model)

    def groups(self, run: Judged) -> bool:
        """Whether a run is of the suite and the model."""
        return self.suite in (None, suite_of(run)) and self.model in (None, run.row.model)

    def picks(self, run: Judged) -> bool:
        """Whether a run is among those that were drilled down to."""
        found = _features(run)
        return all(value in found.get(name, ()) for name, value in vars(self).items() if name in _DRILLED and value)


_DRILLED = ("specialty", "truth", "asked", "reason", "cell", "bin", "failure")


def _features(run: Judged) -> Mapping[str, Collection[str]]:
    if run.is_task:
        return {"failure": (run.failure,) if run.failure is not None else ()}
    return {
        "specialty": (run.specialty,),
        "truth": (run.truth,),
        "asked": (run.asked,),
        "reason": run.row.reasons,
        "cell": (cell_of(run),),
        "bin": () if run.row.probability is None else (str(place_of(run.row.probability)),),
    }


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
        found = judgements(store)
        page = evaluation_page(found.runs, Chosen.of(request.query_params))
        return render(request, "evaluation.html", {**page, "disputed": found.disputed, "unsure": found.unsure})

    return [Route("/evaluation", evaluation, name="evaluation")]


def evaluation_page(judged: Sequence[Judged], chosen: Chosen) -> dict[str, Any]:
    """Return what the page shows.

    Args:
        judged: All runs that are judged.
        chosen: Which of them.
    """
    runs = [run for run in judged if chosen.groups(run)]
    picked = sorted((run for run in runs if chosen.picks(run)), key=lambda run: run.row.started, reverse=True)
    return {
        "chosen": chosen,
        "total": len(judged),
        "runs": runs,
        "cases": len({run.row.case for run in runs}),
        "suites": _suites([run for run in judged if not run.is_task], chosen),
        "task_suites": _suites([run for run in judged if run.is_task], chosen),
        **_of_consults([run for run in runs if not run.is_task], chosen),
        "failures": _failures([run for run in runs if run.is_task]),
        "picked": [run for run in picked if not run.is_task][:SHOWN],
        "picked_tasks": [run for run in picked if run.is_task][:SHOWN],
        "picked_total": len(picked),
        "is_drilled": len(picked) != len(runs),
    }


def _of_consults(runs: Sequence[Judged], chosen: Chosen) -> dict[str, Any]:
    bars = bins(runs)
    return {
        "consults": len(runs),
        "reliability": plots.reliability_diagram(bars) if bars else None,
        "bins": [(b, chosen.address(bin=str(place_of(b.confidence)))) for b in bars],
        "risk_coverage": plots.risk_coverage(points) if (points := risk_coverage(runs)) else None,
        "cells": CELLS,
        "confusion": _confusion(runs, chosen),
        "specialties": _table(by(runs, lambda run: (run.specialty,)), "specialty", chosen),
        "reasons": _table(by(runs, lambda run: run.row.reasons or ("none",)), "reason", chosen),
    }


def _confusion(runs: Sequence[Judged], chosen: Chosen) -> dict[str, Any]:
    counts = crossed(runs, lambda run: run.truth, lambda run: run.asked)
    columns = _named_first(next(iter(counts.values()), {}))
    rows = []
    for truth in _named_first(counts):
        fits = share([run for run in runs if run.truth == truth and run.fits is not None], lambda run: bool(run.fits))
        cells = [
            {
                "count": counts[truth][asked],
                "address": chosen.group.address(truth=truth, asked=asked),
                "is_same": truth == asked,
            }
            for asked in columns
        ]
        rows.append({"name": truth, "cells": cells, "fits": fits})
    known = share([run for run in runs if run.fits is not None], lambda run: bool(run.fits))
    return {"columns": columns, "rows": rows, "fits": known}


def _named_first(names: Collection[str]) -> list[str]:
    """Return names in their order, what stands in place of a specialty last."""
    return [n for n in names if n not in NO_SPECIALTIES] + [n for n in NO_SPECIALTIES if n in names]


def _failures(runs: Sequence[Judged]) -> dict[str, Any]:
    """Return why tasks failed, each suite and model in a column of its own."""
    groups = sorted({(suite_of(run), run.row.model) for run in runs})
    counts = Counter((run.failure, suite_of(run), run.row.model) for run in runs if run.failure is not None)
    totals = Counter(run.failure for run in runs if run.failure is not None)
    rows = []
    for failure in sorted(totals, key=lambda name: (-totals[name], name)):
        cells = [(counts[failure, *group], Chosen(*group).address(failure=failure)) for group in groups]
        rows.append({"name": failure, "cells": cells})
    return {"groups": groups, "rows": rows}


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
            "right": share(runs, lambda run: run.right),
            "address": Chosen(suite=suite, model=model).address(),
            "is_chosen": (chosen.suite, chosen.model) == (suite, model),
        }
        for (suite, model), runs in sorted(groups.items())
    ]


def _table(counts: Mapping[str, Mapping[str, int]], name: str, chosen: Chosen) -> list[dict[str, Any]]:
    rows = []
    for group, cells in counts.items():
        linked = {} if group == "none" else {name: group}
        addresses = {cell: chosen.group.address(cell=cell, **linked) if linked else None for cell in CELLS}
        rows.append({"name": group, "cells": [(cells[cell], addresses[cell]) for cell in CELLS]})
    return rows
