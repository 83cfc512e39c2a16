"""What a person says to a record agent that wants to write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from wardround.cli.terminal import print_json, printable

if TYPE_CHECKING:
    from wardround.trace.store import RunStore


def answer_record_agent(
    store: RunStore,
    run: str,
    approve: bool,
    *,
    note: str,
    workspace: Path,
    base_url: str | None,
    token: str | None,
    as_json: bool,
) -> None:
    """Approve or refuse the write for which a run waits, go on with it, and say what came of it.

    Args:
        store: Where the run is kept.
        run: Id of the run.
        approve: Whether the write may be made.
        note: Why, for the log.
        workspace: The folder of the store.
        base_url: Of an OpenAI-compatible server.
        token: Bearer token of the FHIR server.
        as_json: Print one JSON document.
    """
    from wardround.graphs.ehr import WriteAwaitsPerson
    from wardround.graphs.ehr_reopening import answer_write

    try:
        episode = answer_write(
            store, run, approve=approve, note=note, workspace=workspace, base_url=base_url, token=token
        )
    except WriteAwaitsPerson as waiting:
        if as_json:
            print_json({"run": run, "state": "suspended", "waits_for": waiting.proposal})
        else:
            typer.echo(printable(f"{run}: a further write waits: {waiting.proposal['summary']}"))
        return
    if as_json:
        print_json({"run": run, "state": episode.status.value, "result": episode.result, "error": episode.error})
    else:
        said = episode.result if episode.error is None else episode.error
        typer.echo(printable(f"{run}: {episode.status.value}: {said}"))
