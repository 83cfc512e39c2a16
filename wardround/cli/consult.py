"""`wardround consult`: one case, or many."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer

from wardround.cli.asking import MODEL_HELP, BaseUrl, Device, Dtype, Quantisation, local_settings
from wardround.cli.terminal import check_target, print_json, write_file
from wardround.core.errors import CaseError, UsageError
from wardround.trace.workspaces import workspace_of

if TYPE_CHECKING:
    from rich.console import Console

    from wardround.core.case import Case
    from wardround.graphs.batch import Entry, Progress, ResultFile
    from wardround.graphs.consult import Consult
    from wardround.graphs.settings import Difference
    from wardround.graphs.ward import Ward
    from wardround.models.budget import Prices

MANY, LIMITS, ASKING = "Many cases", "Limits", "Asking the model"

Workspace = Annotated[
    Any,
    typer.Option(
        "--workspace",
        envvar="WARDROUND_WORKSPACE",
        help="Folder where runs are kept, or postgresql://... of a database.",
        parser=workspace_of,
        metavar="DIR",
    ),
]
"""A folder as a path, or the address of a database as text."""


def consult(
    case: Annotated[
        str,
        typer.Argument(help="A note (.txt), a JSON case, a FHIR Bundle, `-`; or a folder or .jsonl of them."),
    ],
    model: Annotated[str, typer.Option(help=MODEL_HELP)] = "reference",
    base_url: BaseUrl = None,
    workspace: Workspace = Path(".wardround"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    fhir: Annotated[Path | None, typer.Option(help="Write the result as a FHIR Bundle here as well.")] = None,
    rollouts: Annotated[int, typer.Option(min=1, max=50, help="Opinions asked of each specialist at most.")] = 3,
    least_rollouts: Annotated[
        int | None, typer.Option(min=1, max=50, help="Enough where they settle the answer.  [default: 2]")
    ] = None,
    rollouts_differ_by: Annotated[
        str, typer.Option(help="Any of role, order, temperature, evidence; or nothing.")
    ] = "order,temperature",
    card: Annotated[
        Path | None, typer.Option(help="Calibration card, made by `wardround calibrate` for this model.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same case, model and seed give the same run.")] = 0,
    escalate: Annotated[bool, typer.Option("--escalate", help="Ask a person where the gate stays closed.")] = False,
    out: Annotated[Path | None, typer.Option(help="File for the results, JSON lines.", rich_help_panel=MANY)] = None,
    suite: Annotated[
        str | None, typer.Option(help="Name of the tasks that the cases belong to.", rich_help_panel=MANY)
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with --out.", rich_help_panel=MANY)] = False,
    all_calls: Annotated[
        int | None, typer.Option(min=1, help="Model calls of all cases together.", rich_help_panel=MANY)
    ] = None,
    all_tokens: Annotated[
        int | None, typer.Option(min=1, help="Tokens of all cases together.", rich_help_panel=MANY)
    ] = None,
    all_money: Annotated[
        float | None, typer.Option(min=0, help="Money for all cases together.", rich_help_panel=MANY)
    ] = None,
    calls: Annotated[int, typer.Option(min=1, help="Model calls of a case.", rich_help_panel=LIMITS)] = 200,
    tokens: Annotated[int | None, typer.Option(min=1, help="Tokens of a case.", rich_help_panel=LIMITS)] = None,
    money: Annotated[float | None, typer.Option(min=0, help="Money for a case.", rich_help_panel=LIMITS)] = None,
    prices: Annotated[
        str | None, typer.Option(metavar="IN,OUT", help="Of a million tokens.", rich_help_panel=LIMITS)
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Of one answer.", rich_help_panel=LIMITS)] = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, max=86_400, help="Seconds for one model call.", rich_help_panel=LIMITS)
    ] = 120.0,
    concurrency: Annotated[int, typer.Option(min=1, help="Model calls at once.", rich_help_panel=LIMITS)] = 16,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Model calls in a second.", rich_help_panel=LIMITS)
    ] = None,
    tools: Annotated[
        Literal["auto", "native", "json"],
        typer.Option(help="How tools are chosen; auto finds out what the model takes.", rich_help_panel=ASKING),
    ] = "auto",
    logprobs: Annotated[
        bool, typer.Option("--logprobs", help="Keep log probabilities of the answers.", rich_help_panel=ASKING)
    ] = False,
    cache: Annotated[
        bool,
        typer.Option("--cache", help="Keep answers in the workspace, and ask nothing twice.", rich_help_panel=ASKING),
    ] = False,
    device: Device = "auto",
    dtype: Dtype = "auto",
    quantisation: Quantisation = None,
) -> None:
    """Consult a case: triage, specialists, verification, attending, decision."""
    path = Path(case)
    many = case != "-" and (_is_folder(path) or path.suffix.lower() == ".jsonl")
    _check_many(case, many=many, out=out, resume=resume, fhir=fhir)
    loaded = None if many else _load(case)

    from wardround.graphs.settings import ConsultSettings
    from wardround.graphs.ward import Ward
    from wardround.models.budget import Budget
    from wardround.models.keeping import CallCache

    if least_rollouts is not None and least_rollouts > rollouts:
        raise UsageError(
            f"--least-rollouts {least_rollouts} is more than --rollouts {rollouts}; give no more than that"
        )
    least: dict[str, Any] = {"least_rollouts": least_rollouts} if least_rollouts is not None else {}
    settings = ConsultSettings(
        rollouts=rollouts,
        **least,
        rollouts_differ_by=_differences(rollouts_differ_by),
        seed=seed,
        timeout=timeout,
        escalate=escalate,
        budget=Budget(calls=calls, tokens=tokens, money=money),
        max_tokens=max_tokens,
        tools=tools,
        logprobs=logprobs,
    )
    ward = Ward(
        model,
        settings=settings,
        workspace=workspace,
        base_url=base_url,
        concurrency=concurrency,
        rate=rate,
        local=local_settings(model, device=device, dtype=dtype, quantisation=quantisation),
        kept=[CallCache(_folder(workspace, "--cache") / "calls.db")] if cache else [],
        prices=_prices(prices),
        budget=Budget(calls=all_calls, tokens=all_tokens, money=all_money),
        card=card,
        suite=suite,
    )
    if loaded is None:
        _many(ward, path, out or path, resume=resume, as_json=as_json)
    else:
        _one(ward, loaded, as_json=as_json, fhir=fhir)


def _check_many(case: str, *, many: bool, out: Path | None, resume: bool, fhir: Path | None) -> None:
    if many and out is None:
        raise UsageError(f"{case} holds many cases; give --out FILE.jsonl for the results")
    if many and fhir is not None:
        raise UsageError(f"--fhir is for one case, but {case} holds many; take it out")
    if not many and (out is not None or resume):
        raise UsageError("--out and --resume are for many cases; give a folder or a .jsonl file")
    if fhir is not None:
        check_target(fhir, "--fhir")


def _folder(workspace: Path | str, option: str) -> Path:
    if isinstance(workspace, str):
        raise UsageError(f"{option} keeps its answers in a file; give a folder as --workspace")
    return workspace


def _differences(given: str) -> tuple[Difference, ...]:
    from wardround.graphs.settings import Difference

    known: tuple[Difference, ...] = get_args(Difference)
    names = [name.strip() for name in given.split(",") if name.strip()]
    wrong = [name for name in names if name not in known]
    if wrong:
        raise UsageError(
            f"--rollouts-differ-by {', '.join(wrong)}: give any of {', '.join(known)}, separated by commas"
        )
    return tuple(name for name in known if name in names)


def _prices(given: str | None) -> Prices | None:
    from pydantic import ValidationError

    from wardround.models.budget import Prices

    if given is None:
        return None
    try:
        per_input, per_output = (float(part) for part in given.split(","))
        return Prices(input=per_input, output=per_output)
    except (ValueError, ValidationError) as error:
        raise UsageError(f"--prices {given}: give two numbers, such as 0.5,1.5 for a million tokens each") from error


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a name that no file can have; reading it says so
        return False


def _load(case: str) -> Case:
    from wardround.core.case import Case

    if case == "-":
        return Case.from_text(_standard_input(), where="standard input")
    return Case.from_file(case)


def _standard_input() -> str:
    from wardround.core.case_file import MAX_BYTES

    where = "standard input"
    data = sys.stdin.buffer.read()
    most = MAX_BYTES[data.lstrip()[:1] == b"{"]
    if len(data) > most:
        what = f"{len(data) / 1e6:.1f} MB is more than the {most / 1e6:g} MB that a case may have"
        raise CaseError(what, where=where, mend="cut it to the encounter in question")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = f"byte {error.start} is not UTF-8 text"
        raise CaseError(what, where=where, mend="give a note, a JSON case or a FHIR Bundle in UTF-8") from error


def _one(ward: Ward, case: Case, *, as_json: bool, fhir: Path | None) -> None:
    from rich.console import Console

    result = _followed(ward, case, Console(stderr=True))
    if fhir is not None:
        write_file(fhir, json.dumps(result.to_fhir(), indent=2) + "\n", "--fhir")
    if as_json:
        print_json(result.to_json())
        return
    from wardround.cli.show import show_consult

    show_consult(result, Console(highlight=False))


def _followed(ward: Ward, case: Case, errors: Console) -> Consult:
    """Consult a case and name each step on a terminal while it runs."""
    from wardround.graphs.consult import Consult
    from wardround.trace.events import SpanKind, SpanStarted

    events = []
    with errors.status("consulting ...") as status:
        for event in ward.stream(case):
            events.append(event)
            if isinstance(event, SpanStarted) and event.kind in (SpanKind.NODE, SpanKind.AGENT):
                status.update(f"consulting: {event.name.replace('_', ' ')} ...")
    return Consult.from_events(case, events)


def _many(ward: Ward, source: Path, out: Path, *, resume: bool, as_json: bool) -> None:
    import asyncio

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from wardround.graphs.batch import consult_many

    batch = _entries(source)
    fresh = not out.exists()
    results = _result_file(source, out, resume=resume)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        errors = Console(stderr=True)
        with Bar(*columns, console=errors, disable=not errors.is_terminal) as bar:
            task = bar.add_task("cases", total=len(batch), completed=len(results.keys))

            def told(progress: Progress) -> None:
                bar.update(task, completed=progress.done, description=progress.key[:30])

            asyncio.run(consult_many(ward, batch, results, told=told))
    finally:
        results.close()
        if fresh and not results.keys:
            out.unlink()
    summary = _summary(out)
    if as_json:
        print_json({"out": str(out), **summary})
    else:
        typer.echo(f"{out}: " + ", ".join(f"{n} {name}" for name, n in summary.items()))


def _entries(source: Path) -> list[Entry]:
    from wardround.graphs.batch import entries

    if not source.exists():
        raise CaseError("no such file", where=str(source), mend="give a folder or a .jsonl file of cases")
    try:
        return entries(source)
    except UnicodeDecodeError as error:
        raise CaseError("it is not UTF-8 text", where=str(source), mend="write the cases in UTF-8") from error


def _result_file(source: Path, out: Path, *, resume: bool) -> ResultFile:
    from wardround.graphs.batch import ResultFile

    if out.is_dir():
        raise UsageError(f"--out {out}: is a folder; give a .jsonl file")
    if out.exists() and out.samefile(source):
        raise UsageError(f"--out {out}: these are the cases themselves; give another file")
    try:
        return ResultFile(out, resume=resume)
    except OSError as error:
        raise UsageError(f"--out {out}: cannot be written ({error.strerror}); give another file") from error


def _summary(out: Path) -> dict[str, int]:
    counts: dict[str, int] = {}
    with out.open(encoding="utf-8") as lines:
        for line in lines:
            result = json.loads(line)
            name = "failed" if "error" in result else result["decision"]["status"]
            counts[name] = counts.get(name, 0) + 1
    return {"cases": sum(counts.values()), **dict(sorted(counts.items()))}
