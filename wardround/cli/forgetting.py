"""`wardround runs forget` and `expire`: what is removed for good, and the search for what is left of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wardround.cli.consult import Workspace
from wardround.cli.terminal import print_json, printable

if TYPE_CHECKING:
    from wardround.models.keeping import CallCache
    from wardround.trace.store import Forgotten

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

_LONGEST = 36_500
"""Days: a hundred years."""


def forget(
    run: Annotated[list[str] | None, typer.Option("--run", help="Id of a run.")] = None,
    case: Annotated[list[str] | None, typer.Option("--case", help="Id of a case; all its runs go.")] = None,
    patient: Annotated[
        list[str] | None, typer.Option("--patient", help="Id of a patient; all runs go that name it.")
    ] = None,
    why: Annotated[str, typer.Option(help="For the tombstones; must name nobody.")] = "on request",
    workspace: Workspace = Path(".wardround"),
    as_json: Json = False,
) -> None:
    """Remove runs, cases or patients for good, and search for what is left of them."""
    from wardround.trace.store import RunStore

    store = RunStore.existing(workspace)
    done = store.forget(runs=run or (), cases=case or (), patients=patient or (), why=why, caches=_caches(workspace))
    _tell(done, "forgotten", as_json=as_json)


def expire(
    days: Annotated[int, typer.Option(min=1, max=_LONGEST, help="Runs that were started longer ago go.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would go, and remove nothing.")] = False,
    why: Annotated[str, typer.Option(help="For the tombstones; must name nobody.")] = "retention",
    workspace: Workspace = Path(".wardround"),
    as_json: Json = False,
) -> None:
    """Remove old runs for good, waiting ones too, with their forks and replays; search for what is left of them."""
    from wardround.trace.store import RunStore

    store = RunStore.existing(workspace)
    if not dry_run:
        done = store.expire(timedelta(days=days), why=why, caches=_caches(workspace))
        _tell(done, "expired", as_json=as_json)
        return
    found = store.expiring(timedelta(days=days))
    if as_json:
        print_json({"runs": list(found)})
        return
    for run in found:
        typer.echo(run)
    typer.echo(f"{len(found)} runs would expire", err=True)


def _caches(workspace: Path | str) -> list[CallCache]:
    from wardround.models.keeping import CallCache

    cached = workspace / "calls.db" if isinstance(workspace, Path) else None
    return [CallCache(cached)] if cached is not None and cached.is_file() else []


def _tell(done: Forgotten, how: str, *, as_json: bool) -> None:
    """Say what was removed, and fail where something is left of it."""
    if as_json:
        print_json(
            {"runs": list(done.runs), "cached": done.cached, "searched": list(done.searched), "left": list(done.left)}
        )
    else:
        searched = f"searched {len(done.searched)} places"
        typer.echo(f"{len(done.runs)} runs {how}, {done.cached} cached answers; {searched}")
        for place in done.left:
            typer.echo(f"  still in {printable(place)}")
    if not done.is_complete:
        raise typer.Exit(1)
