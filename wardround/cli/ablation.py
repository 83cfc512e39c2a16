"""`wardround eval ablate`: what each safeguard is worth, on simulated patients with corrupted evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wardround.cli.asking import MODEL_HELP, BaseUrl
from wardround.cli.terminal import print_json

if TYPE_CHECKING:
    from rich.table import Table

_SHOWN = {
    "right": "right",
    "wrong": "wrong",
    "abstained": "abstain",
    "error_when_answered": "error",
    "leading_right": "leading",
    "brier": "Brier",
    "uncertainty_auroc": "AUROC",
    "hallucinations_unmarked": "unmarked",
    "reports_unmarked": "argued",
    "calls": "calls",
}
_BASELINES = {"most_probable_beforehand": "prior alone", "always_abstains": "never answers"}
_LEGEND = (
    "right, wrong, abstain: share of the patients. error: share of wrong ones among answers. leading: share of the "
    "patients whose most probable hypothesis is right. Brier: of the stated probability. AUROC: of the combined "
    "uncertainty, for the specialists' answer being wrong. unmarked: share of the hallucinated claims that no verdict "
    "marks. argued: share of the patients whose final decision is argued with such a claim. prior alone: always the "
    "commonest condition at that age and sex."
)


def ablate(
    patients: Annotated[int, typer.Option(help="Simulated patients, consulted in every arm.", min=1)] = 100,
    calibrating: Annotated[
        int, typer.Option(help="Labelled patients for the calibration card; 0 for no card.", min=0)
    ] = 400,
    seed: Annotated[int, typer.Option(help="Of patients, errors and consults.", min=0)] = 0,
    wrong_readings: Annotated[
        float, typer.Option(help="Share of an earlier note's findings that are wrong.", min=0.0, max=1.0)
    ] = 0.1,
    copied_errors: Annotated[
        float, typer.Option(help="Share of patients whose earlier note is copied forward.", min=0.0, max=1.0)
    ] = 0.5,
    hallucinations: Annotated[
        float, typer.Option(help="Hallucinated claims for each claim of an agent.", min=0.0, max=1.0)
    ] = 0.1,
    erring: Annotated[
        float, typer.Option(help="Share of specialists' opinions that are made wrong.", min=0.0, max=1.0)
    ] = 0.3,
    model: Annotated[str, typer.Option(help=MODEL_HELP)] = "reference",
    base_url: BaseUrl = None,
    concurrency: Annotated[int, typer.Option(help="Model calls under way at once.", min=1)] = 16,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Consult simulated patients with corrupted evidence, each safeguard on and off, at equal model calls."""
    from rich.console import Console
    from rich.progress import Progress

    from wardround.evals.ablation.patients import Corruption
    from wardround.evals.ablation.running import Ablation, run
    from wardround.knowledge.clinician import reference_clinician
    from wardround.models.resolve import resolve

    clinician = reference_clinician()
    ablation = Ablation(
        model=resolve(model, clinician=clinician, base_url=base_url),
        patients=patients,
        calibrating=calibrating,
        seed=seed,
        corruption=Corruption(
            wrong_readings=wrong_readings, copied_errors=copied_errors, hallucinations=hallucinations, erring=erring
        ),
        concurrency=concurrency,
    )
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("drawing patients")
        report = run(
            ablation,
            clinician,
            told=lambda what, done, total: progress.update(task, description=what, completed=done, total=total),
        )
    found = report.to_json()
    if as_json:
        print_json(found)
    else:
        _show(found)


def _show(found: Mapping[str, Any]) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    corruption, corrupted = found["corruption"], found["corrupted"]
    console.print(f"[bold]ablation[/]: model {found['model']}, {found['n']} simulated patients, seed {found['seed']}")
    console.print(
        f"{corrupted['wrong_readings']} wrong readings in the notes of {corrupted['patients_with_wrong_readings']} "
        f"patients, copied forward in {corrupted['patients_with_copied_errors']}; "
        f"{corrupted['hallucinated_claims']} hallucinated claims; {corruption['erring']:.0%} of the opinions made wrong"
    )
    console.print(_arms(found))
    console.print(_calls(found), markup=False)
    console.print("\nWith the part, less without it (patients resampled in pairs; a figure that stays is left out):")
    console.print(_differences(found))
    if found["card"] is not None:
        console.print(f"\nCard of {found['card']['cases']} other patients: {found['card']['promise']}", markup=False)
    console.print(f"\n{_LEGEND} Without skill the Brier score is {found['brier_without_skill']:.3f}.", markup=False)
    console.print(found["notice"], markup=False)


def _arms(found: Mapping[str, Any]) -> Table:
    from rich.table import Table

    shown = [name for name in _SHOWN if name != "calls"]
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("arm", *(_SHOWN[name] for name in shown)):
        table.add_column(heading, justify="left" if heading == "arm" else "right", no_wrap=True)
    for name, arm in found["arms"].items():
        label = f"no {name}" if name in found["differences"] else name
        table.add_row(label, *(_figure(arm[key]) for key in shown))
    for name, arm in found["baselines"].items():
        table.add_row(_BASELINES[name], *(_figure(arm.get(key)) for key in shown), style="dim")
    return table


def _calls(found: Mapping[str, Any]) -> str:
    """The calls of each arm; one figure where all ask equally often."""
    calls = {name: arm["calls"]["value"] for name, arm in found["arms"].items()}
    if len(set(calls.values())) == 1:
        return f"Calls of the model for each patient: {next(iter(calls.values())):.1f} in every arm."
    return f"Calls of the model for each patient: {', '.join(f'{name} {n:.1f}' for name, n in calls.items())}."


def _differences(found: Mapping[str, Any]) -> Table:
    """One row for each figure that a part changes; what it leaves as it is takes no room."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("part", "figure", "with", "without", "difference", "95 % interval"):
        table.add_column(heading, justify="left" if heading in ("part", "figure") else "right")
    for part, row in found["differences"].items():
        changed = [name for name in _SHOWN if _is_changed(row[name])]
        for name in changed:
            with_it, without = (_figure(found["arms"][row[arm]][name]) for arm in ("with", "without"))
            table.add_row(part, _SHOWN[name], with_it, without, *_signed(row[name]))
        if not changed:
            table.add_row(part, "nothing changes", "", "", "", "")
    return table


def _is_changed(figure: Mapping[str, Any]) -> bool:
    return any(figure[end] not in (None, 0.0) for end in ("value", "low", "high"))


def _figure(figure: Mapping[str, Any] | None) -> str:
    return "-" if figure is None or figure["value"] is None else f"{figure['value']:.3f}"


def _signed(figure: Mapping[str, Any]) -> tuple[str, str]:
    if figure["value"] is None or figure["low"] is None:
        return "-", "-"
    return f"{figure['value']:+.3f}", f"[{figure['low']:+.3f}, {figure['high']:+.3f}]"
