"""Chosen runs beside each other: what each decided, believed, read and did, with what differs told apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from wardround.core.decision import Decision
from wardround.core.errors import UsageError
from wardround.trace import views
from wardround.trace.differing import Comparison, Row, compared
from wardround.trace.events import Event
from wardround.trace.rows import RunRow
from wardround.trace.store import RunStore

Render = Callable[[Request, str, Mapping[str, Any]], Response]

MOST_RUNS = 6
"""Runs on one page."""
SHOWN = 60
"""Rows of one part that differ."""
PARTS = (
    ("settings", "Settings"),
    ("gate", "Why the gate stayed closed"),
    ("hypotheses", "Posterior"),
    ("opinions", "What the specialists held"),
    ("observations", "Findings"),
    ("sources", "Sources"),
    ("claims", "Claims and verdicts"),
    ("path", "Path"),
    ("cost", "Cost"),
)
"""Parts of a comparison of which only what differs is shown, with their headings."""


def routes(store: RunStore, render: Render) -> list[Route]:
    """Return the route of the comparison.

    Args:
        store: Where the runs are.
        render: Answers with a template.
    """

    def compare(request: Request) -> Response:
        chosen = list(dict.fromkeys(request.query_params.getlist("run")))
        if not 2 <= len(chosen) <= MOST_RUNS:
            raise HTTPException(400, f"choose two to {MOST_RUNS} runs in the list; {len(chosen)} were chosen")
        try:
            rows = [store.find(run) for run in chosen]
        except UsageError as error:
            raise HTTPException(404, "one of the runs is not here") from error
        return render(request, "compare.html", compare_page(rows, [store.events(row.id) for row in rows]))

    return [Route("/compare", compare, name="compare")]


def compare_page(rows: Sequence[RunRow], logs: Sequence[Sequence[Event]]) -> dict[str, Any]:
    """Return what the page shows: a column for each run, and what differs between them."""
    columns = [{"row": row, "decision": views.decision(log)} for row, log in zip(rows, logs, strict=True)]
    found = compared(logs)
    return {
        "columns": columns,
        "uncertainty": found.uncertainty,
        "one_case": len({row.case for row in rows}) == 1,
        "answers": sorted({_answer(views.decision(log)) for log in logs}),
        "sections": list(_sections(found)),
        "differences": found.differences,
    }


def _sections(found: Comparison) -> Iterator[dict[str, Any]]:
    for name, heading in PARTS:
        rows: list[Row] = [row for row in getattr(found, name) if row.differs]
        if rows:
            yield {"name": name, "heading": heading, "rows": rows[:SHOWN], "more": len(rows) - len(rows[:SHOWN])}


def _answer(decision: Decision | None) -> str:
    shown = (decision.diagnosis or decision.differential.top) if decision is not None else None
    return shown.name if shown is not None else "none"
