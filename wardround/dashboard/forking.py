"""Doing a run over with a change, from the page that shows what is changed."""

from __future__ import annotations

import asyncio
from pathlib import Path

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from wardround.core.errors import UsageError, WardroundError
from wardround.dashboard.guarding import is_ours
from wardround.graphs.edits import Edits
from wardround.graphs.reopening import reopened
from wardround.trace.store import RunStore

MOST = 200
"""Pieces of evidence that are left out at once."""


def routes(store: RunStore, workspace: Path | str, *, base_url: str | None = None) -> list[Route]:
    """Return the route of a fork.

    Args:
        store: Where the runs are.
        workspace: The same, for the new run.
        base_url: Of an OpenAI-compatible server.
    """

    async def fork(request: Request) -> Response:
        async with request.form() as form:
            if not is_ours(form.get("form")):
                raise HTTPException(
                    403, "the form is not of this dashboard, or it was started anew; load the page again"
                )
            edits = edits_of(form)
        try:
            run = await asyncio.to_thread(forked, store, workspace, request.path_params["run"], edits, base_url)
        except UsageError as error:
            raise HTTPException(400, str(error)) from error
        except WardroundError as error:
            raise HTTPException(502, f"the run could not be done over: {error}") from error
        return RedirectResponse(f"/runs/{run}", 303)

    return [Route("/runs/{run}/fork", fork, methods=["POST"], name="fork")]


def edits_of(form: FormData) -> Edits:
    """Read what a form changes: evidence, the text of an answer or of a tool's result, the model, the step."""

    def given(name: str) -> str | None:
        return str(form.get(name) or "").strip() or None

    text = str(form.get("text") or "").replace("\r\n", "\n")  # as browsers send what stands in a field
    answer, tool, model, step = given("answer"), given("tool"), given("model"), given("from")
    return Edits(
        without=tuple(str(name) for name in form.getlist("without")[:MOST]),
        answers={answer: text} if answer is not None else {},
        tools={tool: text} if tool is not None else {},
        model=model,
        model_from=step if model is not None else None,
        anew_from=step if model is None else None,
    )


def forked(store: RunStore, workspace: Path | str, run: str, edits: Edits, base_url: str | None) -> str:
    """Do a run over with a change, and return the id of the new run."""
    row = store.find(run)
    ward = reopened(store.events(row.id), workspace=workspace, base_url=base_url)
    return ward.fork(row.id, edits).run
