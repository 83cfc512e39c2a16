"""The pages of one run over HTTP: each is its view of the log in a template, and takes nothing but ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from wardround.core.case import Case
from wardround.core.errors import UsageError, WardroundError
from wardround.dashboard.course import course_page, passes_of, span_kinds
from wardround.dashboard.evidence import evidence_page
from wardround.dashboard.exchanges import calls_of
from wardround.dashboard.exporting import export_html
from wardround.dashboard.heading import head_of
from wardround.dashboard.images import images_of, pixels
from wardround.dashboard.links import RunLinks, mark_of
from wardround.dashboard.masks import Fetch, coloured, kept_with, with_masks
from wardround.dashboard.record import known_ranges, record_page
from wardround.dashboard.rendering import page_context
from wardround.dashboard.report import report_page
from wardround.dashboard.showing import pretty
from wardround.trace import views
from wardround.trace.events import EVENT, Event
from wardround.trace.store import RunStore

Render = Callable[[Request, str, Mapping[str, Any]], Response]
"""Puts a context into a template and answers a request with it."""

MOST_WITHOUT = 200
"""Sources that one address may switch off."""
MOST_SWITCHED = 24
"""Regions of an image with a switch of their own, for each of which the stylesheet has a rule."""


@dataclass(frozen=True)
class Loaded:
    """A run as it is read from the store for one request."""

    run: str
    events: Sequence[Event]
    case: Case


def load(store: RunStore, run: str) -> Loaded:
    """Read a run.

    Raises:
        HTTPException: 404, there is none of this id.
    """
    try:
        row = store.find(run)
    except UsageError as error:
        raise HTTPException(404, "there is no such run") from error
    try:
        case = _case(store.case(row.id))
    except UsageError:  # a run of which no content is kept has no case either
        case = Case(id=row.case)
    return Loaded(row.id, store.events(row.id), case)


@lru_cache(maxsize=4)
def _case(text: str) -> Case:
    """A case is read once for the pages that are looked at one after the other; a large record takes a while."""
    return Case.model_validate_json(text)


def routes(store: RunStore, render: Render) -> list[Route]:
    """Return the routes of a run's pages.

    Args:
        store: Where the runs are.
        render: Answers with a template; it knows the frame of all pages.
    """
    pages = _Pages(store, render)
    return [
        Route("/runs/{run}", pages.report, name="run"),
        Route("/runs/{run}/evidence", pages.evidence, name="run-evidence"),
        Route("/runs/{run}/course", pages.course, name="run-course"),
        Route("/runs/{run}/record", pages.record, name="run-record"),
        Route("/runs/{run}/call/{seq:int}", pages.call, name="run-call"),
        Route("/runs/{run}/image/{name}.png", pages.pixels, name="run-pixels"),
        Route("/runs/{run}/image/{name}", pages.image, name="run-image"),
        Route("/runs/{run}/mask/{name}.png", pages.mask, name="run-mask"),
        Route("/runs/{run}/event/{seq:int}", pages.event, name="run-event"),
        Route("/runs/{run}/case", pages.whole_case, name="run-case"),
        Route("/runs/{run}/export", pages.export, name="run-export"),
    ]


class _Pages:
    """Answers requests; plain functions, so that Starlette gives each a thread."""

    def __init__(self, store: RunStore, render: Render) -> None:
        self._store, self._render = store, render

    def _load(self, request: Request) -> Loaded:
        return load(self._store, request.path_params["run"])

    def _page(self, request: Request, loaded: Loaded, name: str, values: Mapping[str, Any]) -> Response:
        head = {"head": head_of(loaded.events, loaded.case)}
        return self._render(request, f"run_{name}.html", page_context(RunLinks(loaded.run), name, {**head, **values}))

    def report(self, request: Request) -> Response:
        """Answer with what a clinician sees first."""
        loaded = self._load(request)
        values = report_page(loaded.events, loaded.case)
        return self._page(
            request, loaded, "report", {**values, "images": with_masks(values["images"], self._kept(loaded))}
        )

    def evidence(self, request: Request) -> Response:
        """Answer with the evidence, something highlighted or switched off as the address says."""
        loaded = self._load(request)
        query = request.query_params
        return self._page(
            request, loaded, "evidence", evidence_values(loaded, query.getlist("without"), query.get("highlight"))
        )

    def course(self, request: Request) -> Response:
        """Answer with how the run went."""
        loaded = self._load(request)
        return self._page(request, loaded, "course", course_values(loaded))

    def record(self, request: Request) -> Response:
        """Answer with the record of the case and what was written to it."""
        loaded = self._load(request)
        ranges = known_ranges(loaded.case.age, loaded.case.sex.value if loaded.case.sex else None)
        return self._page(request, loaded, "record", record_page(loaded.events, loaded.case, ranges=ranges))

    def call(self, request: Request) -> Response:
        """Answer with one question to a model, as it was sent and answered."""
        loaded = self._load(request)
        found = next((c for c in calls_of(loaded.events) if c.seq == request.path_params["seq"]), None)
        if found is None:
            raise HTTPException(404, "the run asked no model at this place of its log")
        return self._page(request, loaded, "call", {"call": found})

    def image(self, request: Request) -> Response:
        """Answer with a page on which one image can be looked at."""
        loaded = self._load(request)
        graph = views.evidence_graph(loaded.events)
        name = request.path_params["name"]
        named = [i for i in images_of(loaded.events, loaded.case, graph) if i.name == name]
        if not named:
            raise HTTPException(404, "the run has no such image")
        (found,) = with_masks(named[:1], self._kept(loaded))
        chosen = request.query_params.get("source")
        known = chosen if any(region.source == chosen for region in found.regions) else None
        return self._page(request, loaded, "image", {"image": found, "chosen": known, "most_switched": MOST_SWITCHED})

    def pixels(self, request: Request) -> Response:
        """Answer with an image as a PNG file."""
        loaded, name = self._load(request), request.path_params["name"]
        data = self._kept(loaded)(name)
        try:
            data = data if data is not None else pixels(loaded.events, loaded.case, name)
        except WardroundError as error:
            raise HTTPException(404, "the image cannot be shown as the run was shown it") from error
        return Response(data, media_type="image/png")

    def mask(self, request: Request) -> Response:
        """Answer with a mask that is kept with the run, coloured to be laid over its image."""
        data = self._kept(self._load(request))(request.path_params["name"])
        if data is None:
            raise HTTPException(404, "no such mask is kept with the run")
        try:
            return Response(coloured(data), media_type="image/png")
        except WardroundError as error:
            raise HTTPException(404, f"the mask cannot be shown: {error}") from error

    def _kept(self, loaded: Loaded) -> Fetch:
        """What fetches the images of a run from the store, so that the files they were read from are not needed."""
        return kept_with(self._store, loaded.run)

    def event(self, request: Request) -> Response:
        """Answer with an event of the log as a text file."""
        loaded = self._load(request)
        seq = request.path_params["seq"]
        found = next((event for event in loaded.events if event.seq == seq), None)
        if found is None:
            raise HTTPException(404, "the log has no event at this place")
        return _file(pretty(EVENT.dump_python(found, mode="json")), f"{loaded.run}-{seq}.txt")

    def whole_case(self, request: Request) -> Response:
        """Answer with the case as a text file."""
        loaded = self._load(request)
        return _file(pretty(loaded.case.model_dump(mode="json")), f"{loaded.run}-case.txt")

    def export(self, request: Request) -> Response:
        """Answer with the whole run as one HTML file to be saved."""
        loaded = self._load(request)
        text = export_html(loaded.events, loaded.case, fetch=self._kept(loaded))
        return _saved(text, "text/html", f"{loaded.run}.html")


def evidence_values(loaded: Loaded, without: Sequence[str], highlight: str | None) -> dict[str, Any]:
    """Return what the evidence page shows, and the marks of what is switched off."""
    given = [name for name in without if name][:MOST_WITHOUT]
    page = evidence_page(loaded.events, loaded.case, without=given, highlight=highlight or None)
    graph = views.evidence_graph(loaded.events)
    ids = [s.id for s in graph.sources.values() if {s.id, s.document} & set(page["without"])]
    return {**page, "without_marks": [mark_of(name) for name in page["without"]], "without_ids": ids[:20]}


def course_values(loaded: Loaded) -> dict[str, Any]:
    """Return what the page of the course shows, and what its template needs beside."""
    page = course_page(loaded.events, loaded.case)
    return {
        **page,
        "kinds": span_kinds(),
        "shown_ids": {span.id for span in page["spans"]},
        "passes": passes_of(loaded.events),
    }


def _file(text: str, name: str) -> Response:
    """Text to be saved and never shown, since others wrote it."""
    return _saved(text, "text/plain", name)


def _saved(text: str, kind: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
    return Response(text.encode("utf-8", "replace"), media_type=f"{kind}; charset=utf-8", headers=headers)
