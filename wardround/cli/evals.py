"""`wardround eval`: suites of tasks, run under Inspect AI."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from wardround.cli.ablation import ablate
from wardround.cli.terminal import print_json
from wardround.core.errors import UsageError
from wardround.core.extras import require

if TYPE_CHECKING:
    from wardround.evals.records.ground import RemoteGround, SandboxGround
    from wardround.evals.records.suite import RecordSuite

evals = typer.Typer(
    help="How well: suites of tasks with known answers, with intervals and baselines.", no_args_is_help=True
)

Mode = Literal["state", "compat", "both"]
Agent = Literal["oracle", "null", "random", "reference", "model"]

SUITES = {
    "record-tasks": "our own tasks in a synthetic record, graded by its final state and the answer",
    "medagentbench": "the published tasks (give --tasks), graded by state and as published",
}


@evals.command("list")
def list_suites(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """List the suites."""
    if as_json:
        print_json([{"suite": name, "about": about} for name, about in SUITES.items()])
        return
    for name, about in SUITES.items():
        typer.echo(f"{name:15} {about}")


@evals.command()
def run(
    suite: Annotated[str, typer.Argument(help="Name of a suite; `wardround eval list` shows them.")],
    tasks: Annotated[Path | None, typer.Option(help="Task file, as MedAgentBench publishes it.")] = None,
    functions: Annotated[Path | None, typer.Option(help="Function file, as MedAgentBench publishes it.")] = None,
    populate: Annotated[
        Path | None, typer.Option(help="Task file whose patients the sandbox is filled with; --tasks by default.")
    ] = None,
    mode: Annotated[Mode | None, typer.Option(help="Real writes and their effect, as published, or both.")] = None,
    base_url: Annotated[str | None, typer.Option(help="FHIR server to run against instead of a sandbox here.")] = None,
    token: Annotated[str | None, typer.Option(help="Its bearer token.", envvar="WARDROUND_FHIR_TOKEN")] = None,
    agent: Annotated[Agent, typer.Option(help="Who works on the tasks.")] = "reference",
    model: Annotated[str | None, typer.Option(help="For --agent model: a spec such as vllm:NAME.")] = None,
    model_url: Annotated[str | None, typer.Option(help="Base URL of an OpenAI-compatible server.")] = None,
    protocol: Annotated[Literal["text", "json", "native"], typer.Option(help="How model and record talk.")] = "text",
    limit: Annotated[
        int | None, typer.Option(help="Only this many tasks, the first of each category in turn.", min=1)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the population and of agents that draw.", min=0)] = 0,
    concurrency: Annotated[int, typer.Option(help="Tasks under way at the same time.", min=1)] = 16,
    workspace: Annotated[
        Path, typer.Option(help="Folder where runs, their grades and logs are kept.", envvar="WARDROUND_WORKSPACE")
    ] = Path(".wardround"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Run a suite; beside its score stand intervals and the agent that does nothing."""
    if suite not in SUITES:
        raise UsageError(f"there is no suite '{suite}'; there are: {', '.join(SUITES)}")
    for module in ("inspect_ai", "starlette", "fhir.resources"):
        require(module, extra="evals")
    from wardround.evals.records.play import Playing
    from wardround.evals.records.running import Plan
    from wardround.evals.records.running import run as play

    chosen = _suite(suite, tasks, functions, populate, seed)
    playing = Playing(agent, model=model, protocol=protocol, base_url=model_url, seed=seed, workspace=workspace)
    plan = Plan(
        chosen,
        _ground(chosen, base_url, token),
        _modes(chosen, mode),
        playing,
        limit=limit,
        logs=workspace / "logs",
        concurrency=concurrency,
    )
    report = play(plan)
    if as_json:
        print_json(report)
    else:
        from wardround.cli.scores import show_report

        show_report(report)


def _suite(name: str, tasks: Path | None, functions: Path | None, populate: Path | None, seed: int) -> RecordSuite:
    if name == "medagentbench":
        from wardround.evals.medagentbench.suite import MedAgentBench

        if tasks is None:
            raise UsageError("medagentbench needs --tasks FILE, the published task file; it is not part of Wardround")
        return MedAgentBench(tasks, functions, populate=populate, seed=seed)
    if (tasks, functions, populate) != (None, None, None):
        raise UsageError(f"{name} makes its own tasks; leave --tasks, --functions and --populate out")
    from wardround.evals.recordtasks.suite import RecordTasks

    return RecordTasks(seed=seed)


def _ground(suite: RecordSuite, base_url: str | None, token: str | None) -> SandboxGround | RemoteGround:
    from wardround.evals.records.ground import RemoteGround, SandboxGround

    return SandboxGround(suite) if base_url is None else RemoteGround(base_url, token=token)


def _modes(suite: RecordSuite, mode: Mode | None) -> tuple[Any, ...]:
    if mode is None or mode == "both":
        return suite.modes
    if mode not in suite.modes:
        raise UsageError(f"{suite.name} has no mode '{mode}'; use {' or '.join(suite.modes)}")
    return (mode,)


evals.command()(ablate)
