"""`wardround consult`: one case, or many."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wardround.core.errors import UsageError

if TYPE_CHECKING:
    from wardround.core.case import Case
    from wardround.graphs.batch import Progress
    from wardround.graphs.ward import Ward

WORKSPACE = typer.Option(
    "--workspace", envvar="WARDROUND_WORKSPACE", help="Folder where runs are kept.", show_default=True
)


def consult(
    case: Annotated[
        str,
        typer.Argument(help="A note (.txt), a JSON case, a FHIR Bundle, `-`; or a folder or .jsonl of them."),
    ],
    model: Annotated[str, typer.Option(help="reference, vllm:NAME, openai:NAME or scripted:FILE.")] = "reference",
    base_url: Annotated[str | None, typer.Option(help="Of an OpenAI-compatible server.")] = None,
    workspace: Annotated[Path, WORKSPACE] = Path(".wardround"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    out: Annotated[Path | None, typer.Option(help="Many cases: file for the results, JSON lines.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Model calls at once.")] = 16,
    resume: Annotated[bool, typer.Option("--resume", help="Many cases: go on with --out.")] = False,
    rollouts: Annotated[int, typer.Option(min=1, max=50, help="Opinions asked of each specialist.")] = 3,
    seed: Annotated[int, typer.Option(help="The same case, model and seed give the same run.")] = 0,
    calls: Annotated[int, typer.Option(min=1, help="Model calls that a case may use.")] = 200,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for one model call.")] = 120.0,
    escalate: Annotated[bool, typer.Option("--escalate", help="Ask a person where the gate stays closed.")] = False,
    fhir: Annotated[Path | None, typer.Option(help="Write the result as a FHIR Bundle here as well.")] = None,
) -> None:
    """Consult a case: triage, specialists, verification, attending, decision."""
    path = Path(case)
    many = case != "-" and (path.is_dir() or path.suffix.lower() == ".jsonl")
    if many and out is None:
        raise UsageError(f"{case} holds many cases; give --out FILE.jsonl for the results")
    if not many and (out is not None or resume):
        raise UsageError("--out and --resume are for many cases; give a folder or a .jsonl file")
    loaded = None if many else _load(case)

    from wardround.graphs.settings import ConsultSettings
    from wardround.graphs.ward import Ward
    from wardround.models.budget import Budget

    settings = ConsultSettings(
        rollouts=rollouts, seed=seed, timeout=timeout, escalate=escalate, budget=Budget(calls=calls)
    )
    ward = Ward(model, settings=settings, workspace=workspace, base_url=base_url, concurrency=concurrency)
    if loaded is None:
        _many(ward, path, out or path, resume=resume, as_json=as_json)
    else:
        _one(ward, loaded, as_json=as_json, fhir=fhir)


def _load(case: str) -> Case:
    from wardround.core.case import Case

    if case == "-":
        return Case.from_text(sys.stdin.read(), where="standard input")
    return Case.from_file(case)


def _one(ward: Ward, case: Case, *, as_json: bool, fhir: Path | None) -> None:
    from rich.console import Console

    errors = Console(stderr=True)
    with errors.status("consulting ..."):
        result = ward.consult(case)
    if fhir is not None:
        fhir.write_text(json.dumps(result.to_fhir(), indent=2) + "\n", "utf-8")
    if as_json:
        typer.echo(json.dumps(result.to_json(), ensure_ascii=False))
        return
    from wardround.cli.show import show_consult

    show_consult(result, Console(highlight=False))


def _many(ward: Ward, source: Path, out: Path, *, resume: bool, as_json: bool) -> None:
    import asyncio

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from wardround.graphs.batch import ResultFile, consult_many, entries

    batch = entries(source)
    results = ResultFile(out, resume=resume)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Bar(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("cases", total=len(batch), completed=len(results.keys))

            def told(progress: Progress) -> None:
                bar.update(task, completed=progress.done, description=progress.key[:30])

            asyncio.run(consult_many(ward, batch, results, told=told))
    finally:
        results.close()
    summary = _summary(out)
    if as_json:
        typer.echo(json.dumps({"out": str(out), **summary}))
    else:
        typer.echo(f"{out}: " + ", ".join(f"{n} {name}" for name, n in summary.items()))


def _summary(out: Path) -> dict[str, int]:
    counts: dict[str, int] = {}
    with out.open(encoding="utf-8") as lines:
        for line in lines:
            result = json.loads(line)
            name = "failed" if "error" in result else result["decision"]["status"]
            counts[name] = counts.get(name, 0) + 1
    return {"cases": sum(counts.values()), **counts}
