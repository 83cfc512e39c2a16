"""`wardround runs`: what was consulted before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wardround.cli.asking import BaseUrl
from wardround.cli.consult import Workspace
from wardround.cli.exports import export
from wardround.cli.forgetting import expire, forget
from wardround.cli.terminal import print_json, printable
from wardround.core.errors import UsageError

if TYPE_CHECKING:
    from wardround.graphs.consult import Consult
    from wardround.graphs.ward import Ward
    from wardround.trace.store import RunRow, RunStore

_DIFFERENCES = 20
"""How many are shown."""

runs = typer.Typer(help="Runs that are kept in the workspace.", no_args_is_help=True)

Run = Annotated[str, typer.Argument(help="Id of the run or its beginning, or the id of its case.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@runs.command("list")
def list_runs(
    workspace: Workspace = Path(".wardround"),
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
def show(run: Run, workspace: Workspace = Path(".wardround"), as_json: Json = False) -> None:
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


runs.command()(export)


@runs.command()
def answer(
    run: Run,
    diagnosis: Annotated[str | None, typer.Option(help="Ends a consult with your diagnosis.")] = None,
    information: Annotated[str | None, typer.Option(help="Further findings in words, to be weighed.")] = None,
    approve: Annotated[
        bool | None, typer.Option("--approve/--refuse", help="Whether a record agent may make its write.")
    ] = None,
    note: Annotated[str, typer.Option(help="Why, for the log.")] = "",
    workspace: Workspace = Path(".wardround"),
    base_url: BaseUrl = None,
    token: Annotated[
        str | None, typer.Option(help="Bearer token of the record agent's FHIR server.", envvar="WARDROUND_FHIR_TOKEN")
    ] = None,
    as_json: Json = False,
) -> None:
    """Answer for a run that waits for a person."""
    if sum(given is not None for given in (diagnosis, information, approve)) != 1:
        raise UsageError("give either --diagnosis or --information, or for a record agent --approve or --refuse")
    if approve is not None:
        from wardround.cli.answering import answer_record_agent

        store = _store(workspace)
        row = store.find(run)
        answer_record_agent(
            store, row.id, approve, note=note, workspace=workspace, base_url=base_url, token=token, as_json=as_json
        )
        return
    if not (diagnosis or information or "").strip():
        raise UsageError(f"{'--information' if diagnosis is None else '--diagnosis'} is empty; say it in words")
    ward, row = _ward_of(run, workspace, base_url)
    _show(ward.resume(row.id, diagnosis=diagnosis, information=information, note=note), as_json=as_json)


@runs.command()
def resume(
    run: Run,
    workspace: Workspace = Path(".wardround"),
    base_url: BaseUrl = None,
    as_json: Json = False,
) -> None:
    """Go on with a run that broke off; what was answered already is taken from its log."""
    ward, row = _ward_of(run, workspace, base_url)
    _show(ward.resume(row.id), as_json=as_json)


@runs.command()
def replay(run: Run, workspace: Workspace = Path(".wardround"), as_json: Json = False) -> None:
    """Do a run over from its log, without any model or server, and compare every act."""
    from wardround.graphs.replaying import replay as replayed

    done = replayed(_store(workspace), run)
    found = [str(difference) for difference in done.differences]
    if as_json:
        print_json({"run": done.run, "events": len(done.recorded), "equal": done.is_equal, "differences": found})
    elif done.is_equal:
        typer.echo(f"{done.run}: equal in all {len(done.recorded)} events")
    else:
        typer.echo(f"{done.run}: {len(found)} of {len(done.recorded)} events differ")
        for line in found[:_DIFFERENCES]:
            typer.echo(f"  - {printable(line)}")
    if not done.is_equal:
        raise typer.Exit(1)


@runs.command()
def fork(
    run: Run,
    without: Annotated[
        list[str] | None, typer.Option(help="Evidence to leave out: id of a source or finding, a document, a code.")
    ] = None,
    answer: Annotated[
        list[str] | None, typer.Option(metavar="CALL=FILE", help="Text in place of a model's answer.")
    ] = None,
    tool: Annotated[
        list[str] | None, typer.Option(metavar="CALL=FILE", help="Text in place of what a tool returned.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Another model.")] = None,
    agent: Annotated[list[str] | None, typer.Option(help="Who asks the other model; everybody unless given.")] = None,
    step: Annotated[
        str | None,
        typer.Option("--from", metavar="STEP", help="From which step on: the other model is asked, or all anew."),
    ] = None,
    workspace: Workspace = Path(".wardround"),
    base_url: BaseUrl = None,
    as_json: Json = False,
) -> None:
    """Repeat a run with a change, doing anew only what depends on it."""
    from wardround.graphs.edits import Edits

    edits = Edits(
        without=tuple(without or ()),
        answers=_texts(answer or [], "--answer"),
        tools=_texts(tool or [], "--tool"),
        model=model,
        agents=tuple(agent or ()),
        model_from=step if model is not None else None,
        anew_from=step if model is None else None,
    )
    ward, row = _ward_of(run, workspace, base_url)
    _show(ward.fork(row.id, edits), as_json=as_json)


@runs.command()
def label(
    labels: Annotated[Path, typer.Argument(help="JSON lines or CSV: case, diagnosis as name, id or ICD-10 code.")],
    workspace: Workspace = Path(".wardround"),
    as_json: Json = False,
) -> None:
    """Call the consults of labelled cases right or wrong, for the evaluation page."""
    from dataclasses import asdict
    from datetime import UTC, datetime

    from wardround.evals.calibrating.reading import read_labels
    from wardround.evals.labelling import label_runs
    from wardround.knowledge.loading import embedded

    done = label_runs(_store(workspace), read_labels(labels), embedded(), now=datetime.now(UTC))
    if as_json:
        print_json(asdict(done))
    else:
        typer.echo(
            f"{done.right} right, {done.wrong} wrong, {done.undecided} without a diagnosis; "
            f"{done.unlabelled} runs of cases without a label"
        )


@runs.command()
def verify(run: Run, workspace: Workspace = Path(".wardround"), as_json: Json = False) -> None:
    """Check that a run's log is what was written."""
    store = _store(workspace)
    row = store.find(run)
    store.verify(row.id)
    if as_json:
        print_json({"run": row.id, "head": store.head(row.id)})
    else:
        typer.echo(f"{row.id}: its log is what was written; it ends with {store.head(row.id)}")


runs.command()(forget)
runs.command()(expire)


@runs.command()
def diff(
    run: Annotated[list[str], typer.Argument(help="Two or more runs, by id or the beginning of it.")],
    workspace: Workspace = Path(".wardround"),
    as_json: Json = False,
) -> None:
    """Say in what runs differ: settings, decision, evidence, uncertainty, path, cost."""
    from dataclasses import asdict

    from wardround.trace.differing import compared

    if len(run) < 2:
        raise UsageError("one run differs from nothing; give two or more")
    store = _store(workspace)
    rows = [store.find(name) for name in run]
    found = compared([store.events(row.id) for row in rows])
    if as_json:
        print_json({"runs": [row.id for row in rows], "differences": found.differences, **asdict(found)})
        return
    for part, lines in asdict(found).items():
        for line in lines:
            values = line["values"]
            if any(value != values[0] for value in values):
                said = " | ".join("none" if value is None else str(value) for value in values)
                typer.echo(printable(f"{part}: {line['name'].strip()}: {said}"))


def _texts(given: list[str], option: str) -> dict[str, str]:
    found = {}
    for pair in given:
        call, _, file = pair.partition("=")
        if not file:
            raise UsageError(f"{option} {pair}: give CALL=FILE, the id of the call and a file with the text")
        try:
            found[call] = Path(file).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{option} {pair}: cannot be read ({error}); give a text file in UTF-8") from error
    return found


def _ward_of(run: str, workspace: Path | str, base_url: str | None) -> tuple[Ward, RunRow]:
    """Return a ward with the settings of a run."""
    from wardround.graphs.reopening import reopened

    store = _store(workspace)
    row = store.find(run)
    return reopened(store.events(row.id), workspace=workspace, base_url=base_url), row


def _show(result: Consult, *, as_json: bool) -> None:
    if as_json:
        print_json(result.to_json())
        return
    from rich.console import Console

    from wardround.cli.show import show_consult

    show_consult(result, Console(highlight=False))


def _store(workspace: Path | str) -> RunStore:
    from wardround.trace.store import RunStore

    return RunStore.existing(workspace)
