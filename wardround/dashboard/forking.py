"""Doing a run over with a change, from the page that shows what would change."""

from __future__ import annotations

import asyncio
from pathlib import Path

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
            names = [str(name) for name in form.getlist("without")][:MOST]
        try:
            run = await asyncio.to_thread(forked, store, workspace, request.path_params["run"], names, base_url)
        except UsageError as error:
            raise HTTPException(400, str(error)) from error
        except WardroundError as error:
            raise HTTPException(502, f"the run could not be done over: {error}") from error
        return RedirectResponse(f"/runs/{run}", 303)

    return [Route("/runs/{run}/fork", fork, methods=["POST"], name="fork")]


def forked(store: RunStore, workspace: Path | str, run: str, without: list[str], base_url: str | None) -> str:
    """Do a run over without some of its evidence, and return the id of the new run."""
    row = store.find(run)
    ward = reopened(store.events(row.id), workspace=workspace, base_url=base_url)
    return ward.fork(row.id, Edits(without=tuple(without))).run
