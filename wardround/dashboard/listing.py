"""The list of runs: filters, facets, sorting, pages, and what has happened since."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from wardround.core.errors import UsageError
from wardround.dashboard.guarding import is_ours
from wardround.dashboard.keeping import Kept
from wardround.trace.rows import COSTS, RunQuery, Sort
from wardround.trace.store import RunStore

Render = Callable[[Request, str, Mapping[str, Any]], Response]

FACETS = {
    "status": ("statuses", "Decision"),
    "reason": ("reasons", "Gate"),
    "state": ("states", "State"),
    "model": ("models", "Model"),
    "suite": ("suites", "Suite"),
    "kind": ("kinds", "Kind"),
    "cost": ("costs", "Cost"),
}
"""Parameter of an address, field of a query, and heading."""
BOUNDS = {
    "least_probability": "probability from",
    "most_probability": "to",
    "least_tokens": "tokens from",
    "most_tokens": "to",
}
SORTS: dict[str, str] = {
    "case": "case",
    "started": "started",
    "model": "model",
    "diagnosis": "leading diagnosis",
    "probability": "probability",
    "tokens": "tokens",
    "seconds": "seconds",
}
LIMIT = 50


@dataclass(frozen=True)
class View:
    """What an address asks for; its words are kept apart."""

    query: RunQuery
    words: str | None
    """Name of the words that are searched for."""

    def address(self, **changes: Any) -> str:
        """Return the address of this view with other values; the page begins anew unless it is given."""
        query = self.query
        values: list[tuple[str, str]] = []
        for name, (field, _) in FACETS.items():
            values += [(name, value) for value in changes.get(name, getattr(query, field))]
        for name in BOUNDS:
            bound = getattr(query, name)
            values += [(name, f"{bound:g}")] if bound is not None else []
        sort, falling = changes.get("sort", query.sort), changes.get("descending", query.descending)
        values += [("sort", sort)] if sort != "started" else []
        values += [("rising", "1")] if not falling else []
        words = changes.get("words", self.words)
        values += [("words", words)] if words else []
        values += [("page", changes["page"])] if changes.get("page") else []
        return "/" + (f"?{urlencode(values)}" if values else "")

    def toggled(self, facet: str, value: str) -> str:
        """Return the address of this view with a value of a facet chosen, or no longer so."""
        chosen = getattr(self.query, FACETS[facet][0])
        return self.address(**{facet: tuple(v for v in chosen if v != value) if value in chosen else (*chosen, value)})

    def sorted_by(self, name: str) -> str:
        """Return the address of this view sorted by something, the other way round where it is already."""
        falls = not self.query.descending if self.query.sort == name else name not in ("case", "model", "diagnosis")
        return self.address(sort=name, descending=falls)


def view_of(given: QueryParams, kept: Kept) -> View:
    """Read an address; what is no value of a parameter is left out.

    Args:
        given: Parameters of the address.
        kept: Where words and ends of pages are.
    """
    chosen: dict[str, Any] = {
        field: tuple(dict.fromkeys(v for v in given.getlist(name) if v))[:20] for name, (field, _) in FACETS.items()
    }
    bounds = {name: _number(given.get(name), whole="tokens" in name) for name in BOUNDS}
    sort: Any = given.get("sort", "started")
    words = given.get("words")
    text = kept.get(words)
    query = RunQuery(
        text=text,
        **chosen,
        **bounds,
        sort=sort if sort in get_args(Sort) else "started",
        descending=given.get("rising") != "1",
        limit=LIMIT,
        after=kept.get(given.get("page")),
    )
    return View(query, words if text is not None else None)


def _number(given: str | None, *, whole: bool) -> Any:
    try:
        value = float(given or "")
    except ValueError:
        return None
    if not 0.0 <= value < 1e15:
        return None
    return int(value) if whole else min(value, 1.0)


def list_page(store: RunStore, view: View, kept: Kept) -> dict[str, Any]:
    """Return what the list shows."""
    error = None
    try:
        page, counts = store.page(view.query), store.facets(view.query)
    except UsageError as wrong:
        error = str(wrong)
        view = View(replace(view.query, text=None, after=None), None)
        page, counts = store.page(view.query), store.facets(view.query)
    following = view.address(page=kept.put(page.next)) if page.next is not None else None
    return {
        "view": view,
        "rows": page.rows,
        "has_money": any(row.money is not None for row in page.rows),
        "total": page.total,
        "next": following,
        "is_first": view.query.after is None,
        "facets": [_facet(name, counts.get(name, {}), view) for name in FACETS],
        "bounds": [(name, label, getattr(view.query, name)) for name, label in BOUNDS.items()],
        "hidden": _hidden(view),
        "sorts": SORTS,
        "text": view.query.text or "",
        "error": error,
        "position": store.position,
    }


def _facet(name: str, counts: Mapping[str, int], view: View) -> dict[str, Any]:
    field, heading = FACETS[name]
    chosen = getattr(view.query, field)
    values = {**dict.fromkeys(chosen, 0), **counts}
    rows = [
        {"value": value, "count": count, "chosen": value in chosen, "address": view.toggled(name, value)}
        for value, count in sorted(values.items(), key=lambda pair: (*_place(name, pair), pair[0]))
    ]
    return {"name": name, "heading": heading, "rows": rows}


def _place(facet: str, counted: tuple[str, int]) -> tuple[float, ...]:
    """Classes of cost stand in their order, all else by its number."""
    value, count = counted
    return (float([*COSTS].index(value)) if value in COSTS else -1.0,) if facet == "cost" else (-float(count),)


def _hidden(view: View) -> list[tuple[str, str]]:
    """What the form of the bounds has to send along."""
    values = [(name, value) for name, (field, _) in FACETS.items() for value in getattr(view.query, field)]
    values += [("words", view.words)] if view.words else []
    values += [("sort", view.query.sort)] if view.query.sort != "started" else []
    return [*values, *([("rising", "1")] if not view.query.descending else [])]


def routes(store: RunStore, render: Render, kept: Kept) -> list[Route]:
    """Return the routes of the list.

    Args:
        store: Where the runs are.
        render: Answers with a template.
        kept: Where words and ends of pages are.
    """

    def listed(request: Request) -> Response:
        view = view_of(request.query_params, kept)
        return render(request, "list.html", list_page(store, view, kept))

    async def search(request: Request) -> Response:
        async with request.form() as form:
            if not is_ours(form.get("form")):
                return RedirectResponse("/", 303)
            words = str(form.get("text") or "").strip()[:500]
            view = view_of(QueryParams([(k, str(v)) for k, v in form.multi_items() if k in FACETS]), kept)
        return RedirectResponse(view.address(words=kept.put(words) if words else None), 303)

    def live(request: Request) -> Response:
        """How many runs changed after a position, and the position to ask from next."""
        try:
            position = max(0, int(request.query_params.get("position", "")))
        except ValueError:
            position = -1
        rows, reached = store.since(max(position, 0), limit=200)
        changed = [{"run": row.id, "state": row.state, "status": row.status} for row in rows]
        return JSONResponse({"position": reached, "changed": changed if position >= 0 else []})

    return [
        Route("/", listed, name="list"),
        Route("/search", search, methods=["POST"], name="search"),
        Route("/live", live, name="live"),
    ]
