"""What people say of runs: judgements on a run, a claim or a span, and answers to runs that wait for a person."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from wardround.core.errors import UsageError, WardroundError
from wardround.dashboard.guarding import is_ours
from wardround.dashboard.links import PAGES
from wardround.graphs.reopening import reopened
from wardround.trace.annotating import Annotation
from wardround.trace.events import Suspended
from wardround.trace.rows import RunQuery
from wardround.trace.store import RunStore

Render = Callable[[Request, str, Mapping[str, Any]], Response]

WHO = "wardround-who"
"""Cookie with the name under which a person judged last."""
TOKEN = "WARDROUND_FHIR_TOKEN"
"""Environment variable with the bearer token of the FHIR servers of record agents; it is not kept."""
WAITING_SHOWN = 50
JUDGED_SHOWN = 100
_MOST_WORDS = 4000


def routes(store: RunStore, workspace: Path | str, render: Render, *, base_url: str | None = None) -> list[Route]:
    """Return the routes of the review.

    Args:
        store: Where the runs are.
        workspace: The same, for going on with a run.
        render: Answers with a template.
        base_url: Of an OpenAI-compatible server, for going on with a run.
    """
    review = _Review(store, workspace, render, base_url)
    return [
        Route("/review", review.page, name="review"),
        Route("/review/labels.jsonl", review.labels, name="labels"),
        Route("/runs/{run}/annotate", review.annotate, methods=["POST"], name="annotate"),
        Route("/runs/{run}/answer", review.answer, methods=["POST"], name="answer"),
    ]


class _Review:
    def __init__(self, store: RunStore, workspace: Path | str, render: Render, base_url: str | None) -> None:
        self._store, self._workspace, self._render, self._base_url = store, workspace, render, base_url
        self._under_way: set[str] = set()

    def page(self, request: Request) -> Response:
        """Answer with what waits for a person and what was judged last."""
        waiting = self._store.page(RunQuery(states=("suspended",), limit=WAITING_SHOWN))
        labelled = list(self._store.labelled())
        return self._render(
            request,
            "review.html",
            {
                "waiting": [{"row": row, "question": question_of(self._store, row.id)} for row in waiting.rows],
                "waiting_total": waiting.total,
                "judged": labelled[-JUDGED_SHOWN:][::-1],
                "judged_total": len(labelled),
            },
        )

    def labels(self, request: Request) -> Response:
        """Answer with all judgements that stand as a file of JSON lines."""
        headers = {"Content-Disposition": 'attachment; filename="labels.jsonl"'}
        return StreamingResponse(_lines(self._store), media_type="application/x-ndjson", headers=headers)

    async def annotate(self, request: Request) -> Response:
        """Keep a judgement and go back to where it was made."""
        async with request.form() as form:
            _require_ours(form)
            run = request.path_params["run"]
            who = _words(form, "who", 200)
            target: Any = _words(form, "target", 20)
            label: Any = _words(form, "label", 20)
            annotation = Annotation(
                run=run,
                target=target,
                id=_words(form, "id", 200),
                label=label,
                why=_words(form, "why", _MOST_WORDS),
                who=who,
                time=datetime.now(UTC),
            )
            page = _words(form, "page", 20)
        try:
            await run_in_threadpool(self._store.annotate, annotation)
        except UsageError as error:
            raise HTTPException(400, str(error)) from error
        response = RedirectResponse(_page_of(run, page), 303)
        response.set_cookie(WHO, who.encode("unicode_escape").decode("ascii"), httponly=True, samesite="strict")
        return response

    async def answer(self, request: Request) -> Response:
        """Answer for a run that waits, which goes on with it."""
        async with request.form() as form:
            _require_ours(form)
            diagnosis, information = _words(form, "diagnosis", 200), _words(form, "information", _MOST_WORDS)
            accepted = _words(form, "accept", 200)
            note, write = _words(form, "note", _MOST_WORDS), _words(form, "write", 20)
        run = request.path_params["run"]
        if sum(map(bool, (diagnosis, accepted, information, write))) != 1 or write not in ("", "approve", "refuse"):
            raise HTTPException(400, "give one of a diagnosis, further information, and a word on a write")
        if run in self._under_way:
            raise HTTPException(409, "somebody has just answered for this run")
        self._under_way.add(run)
        try:
            if write:
                await asyncio.to_thread(self._answer_write, run, write == "approve", note)
            else:
                await asyncio.to_thread(self._resume, run, diagnosis or accepted or None, information or None, note)
        except UsageError as error:
            raise HTTPException(409, str(error)) from error
        except WardroundError as error:
            raise HTTPException(502, f"the run could not go on: {error}") from error
        finally:
            self._under_way.discard(run)
        return RedirectResponse(_page_of(run, "report"), 303)

    def _resume(self, run: str, diagnosis: str | None, information: str | None, note: str) -> None:
        ward = reopened(self._store.events(run), workspace=self._workspace, base_url=self._base_url)
        ward.resume(run, diagnosis=diagnosis, information=information, note=note)

    def _answer_write(self, run: str, approve: bool, note: str) -> None:
        from wardround.graphs.ehr import WriteAwaitsPerson
        from wardround.graphs.ehr_reopening import answer_write

        with contextlib.suppress(WriteAwaitsPerson):  # the page shows the further write
            answer_write(
                self._store,
                run,
                approve=approve,
                workspace=self._workspace,
                note=note,
                base_url=self._base_url,
                token=os.environ.get(TOKEN),
            )


def question_of(store: RunStore, run: str) -> dict[str, Any] | None:
    """Return what a person is asked of a run that waits: a consult's reasons or a record agent's write."""
    events = store.events(run)
    asked = [event.question for event in events if isinstance(event, Suspended)]
    return asked[-1] if asked else None


def _lines(store: RunStore) -> Iterator[str]:
    for annotation in store.labelled():
        yield json.dumps({**asdict(annotation), "time": annotation.time.isoformat()}, ensure_ascii=False) + "\n"


def _require_ours(form: FormData) -> None:
    if not is_ours(form.get("form")):
        raise HTTPException(403, "the form is not of this dashboard, or it was started anew; load the page again")


def _words(form: FormData, name: str, most: int) -> str:
    return str(form.get(name) or "").strip()[:most]


def _page_of(run: str, page: str) -> str:
    return f"/runs/{run}" + (f"/{page}" if page in PAGES[1:] else "")
