"""`wardround runs`: what was consulted before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wardround.cli.asking import BaseUrl
from wardround.cli.consult import WORKSPACE
from wardround.cli.terminal import check_target, print_json, printable, write_file
from wardround.core.errors import UsageError

if TYPE_CHECKING:
    from wardround.graphs.consult import Consult
    from wardround.graphs.ward import Ward
    from wardround.trace.store import RunRow, RunStore

runs = typer.Typer(help="Runs that are kept in the workspace.", no_args_is_help=True)

Run = Annotated[str, typer.Argument(help="Id of the run or its beginning, or the id of its case.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Folder = Annotated[Path, WORKSPACE]


@runs.command("list")
def list_runs(
    workspace: Folder = Path(".wardround"),
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many, the latest first.")] = 30,
    as_json: Json = False,
) -> None:
    """List runs, the latest first."""
    rows = _store(workspace).runs(limit=limit)
    if as_json:
        print_json(
            [
                {
                    "run": row.id,
                    "case": row.case,
                    "model": row.model,
                    "started": row.started.isoformat(),
                    "state": row.state,
                    "status": row.status,
                    "diagnosis": row.diagnosis,
                    "probability": row.probability,
                }
                for row in rows
            ]
        )
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    for name in ("run", "started", "case", "model", "state", "decision", "leading diagnosis", "p"):
        table.add_column(name, no_wrap=name in ("run", "started", "state", "p"), overflow="fold")
    for row in rows:
        table.add_row(
            row.id,
            row.started.strftime("%Y-%m-%d %H:%M"),
            escape(printable(row.case)),
            escape(printable(row.model)),
            row.state,
            row.status or "",
            escape(row.diagnosis or ""),
            f"{row.probability:.0%}" if row.probability is not None else "",
        )
    Console().print(table)


@runs.command()
def show(run: Run, workspace: Folder = Path(".wardround"), as_json: Json = False) -> None:
    """Show one run: its result and how it came about."""
    store = _store(workspace)
    row = store.find(run)
    events = store.events(row.id)
    from wardround.core.case import Case
    from wardround.graphs.consult import Consult
    from wardround.trace.views import decision, timeline

    consult = Consult.from_events(Case.model_validate_json(store.case(row.id)), events)
    decided = decision(events) is not None
    if as_json:
        result = consult.to_json() if decided else {"run": row.id, "case": row.case, "state": row.state}
        print_json(result)
        return
    from rich.console import Console

    console = Console(highlight=False)
    if decided:
        from wardround.cli.show import show_consult

        show_consult(consult, console)
    console.print()
    console.print("How it went", style="bold")
    console.print(printable(timeline(events)), markup=False)


@runs.command()
def export(
    run: Run,
    workspace: Folder = Path(".wardround"),
    out: Annotated[Path | None, typer.Option(help="File; standard output without it.")] = None,
) -> None:
    """Write a run's events as JSON lines."""
    from wardround.trace.store import export_lines

    if out is not None:
        check_target(out, "--out")
    store = _store(workspace)
    lines = export_lines(store.events(store.find(run).id))
    if out is None:
        typer.echo(lines, nl=False)
    else:
        write_file(out, lines, "--out")


@runs.command()
def answer(
    run: Run,
    diagnosis: Annotated[str | None, typer.Option(help="Ends the run with your diagnosis.")] = None,
    information: Annotated[str | None, typer.Option(help="Further findings in words, to be weighed.")] = None,
    note: Annotated[str, typer.Option(help="Why, for the log.")] = "",
    workspace: Folder = Path(".wardround"),
    base_url: BaseUrl = None,
    as_json: Json = False,
) -> None:
    """Answer for a run that waits for a person."""
    if (diagnosis is None) == (information is None):
        raise UsageError("give either --diagnosis or --information")
    if not (diagnosis or information or "").strip():
        raise UsageError(f"{'--information' if diagnosis is None else '--diagnosis'} is empty; say it in words")
    ward, row = _ward_of(run, workspace, base_url)
    _show(ward.resume(row.id, diagnosis=diagnosis, information=information, note=note), as_json=as_json)


@runs.command()
def resume(
    run: Run,
    workspace: Folder = Path(".wardround"),
    base_url: BaseUrl = None,
    as_json: Json = False,
) -> None:
    """Go on with a run that broke off; what was answered already is taken from its log."""
    ward, row = _ward_of(run, workspace, base_url)
    _show(ward.resume(row.id), as_json=as_json)


def _ward_of(run: str, workspace: Path, base_url: str | None) -> tuple[Ward, RunRow]:
    """Return a ward with the settings of a run."""
    from wardround.core.calibration.card import Card
    from wardround.graphs.settings import ConsultSettings
    from wardround.graphs.ward import Ward
    from wardround.models.budget import Prices
    from wardround.models.local.settings import LocalSettings
    from wardround.trace.events import CardNamed, RunStarted

    store = _store(workspace)
    row = store.find(run)
    events = store.events(row.id)
    started = events[0]
    if not isinstance(started, RunStarted):
        raise UsageError(f"run {row.id} has no beginning in the log; it cannot be resumed")
    settings = dict(started.settings)
    if settings.get("agent") == "ehr":
        raise UsageError(f"run {row.id} is a record agent's; go on with it from Python, by EhrAgent.resume")
    local, prices, _ = settings.pop("local", None), settings.pop("prices", None), settings.pop("card", None)
    card = next((event.card for event in events if isinstance(event, CardNamed)), None)
    ward = Ward(
        started.model,
        settings=ConsultSettings.model_validate(settings),
        workspace=workspace,
        base_url=base_url,
        local=LocalSettings.model_validate(local) if local is not None else None,
        prices=Prices.model_validate(prices) if prices is not None else None,
        card=Card.from_json(card) if card is not None else None,
    )
    return ward, row


def _show(result: Consult, *, as_json: bool) -> None:
    if as_json:
        print_json(result.to_json())
        return
    from rich.console import Console

    from wardround.cli.show import show_consult

    show_consult(result, Console(highlight=False))


def _store(workspace: Path) -> RunStore:
    from wardround.trace.store import RunStore

    return RunStore.existing(workspace)
