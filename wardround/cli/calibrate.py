"""`wardround calibrate`: a calibration card from consults whose cases' outcome is known."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wardround.cli.terminal import check_target, print_json, printable, write_file

if TYPE_CHECKING:
    from rich.table import Table

    from wardround.core.calibration.card import Card, Figure
    from wardround.evals.calibrating.reading import Results

_HEADLINE = {
    "brier": "Brier score",
    "slope": "calibration slope",
    "intercept": "calibration in the large",
    "nll": "negative log likelihood",
    "adaptive_ece": "adaptive ECE",
    "auroc": "AUROC",
    "e_aurc": "E-AURC",
    "coverage_at_risk_0.10": "coverage at 10 % risk",
}


def calibrate(
    runs: Annotated[Path, typer.Argument(help="Results of `wardround consult DIR --out FILE.jsonl`.")],
    labels: Annotated[
        Path,
        typer.Option(help="JSON lines or CSV: case (or key), diagnosis as name, id or ICD-10 code."),
    ],
    out: Annotated[Path, typer.Option(help="File for the calibration card.")],
    alpha: Annotated[float, typer.Option(min=0.001, max=0.5, help="Share of wrong answers that is tolerated.")] = 0.10,
    delta: Annotated[float, typer.Option(min=0.001, max=0.5, help="Probability of a broken promise.")] = 0.10,
    seed: Annotated[int, typer.Option(help="Of the division of the cases.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the card as one JSON document.")] = False,
) -> None:
    """Fit probabilities, sets and the threshold for answering to known outcomes; say what cannot be promised."""
    check_target(out, "--out")
    from rich.console import Console

    from wardround.evals.calibrating.building import Plan, build_card
    from wardround.evals.calibrating.reading import join, read_labels, read_results
    from wardround.knowledge.loading import embedded

    kb = embedded()
    results = read_results(runs)
    labelled, outside = join(results, read_labels(labels), kb)
    with Console(stderr=True).status(f"calibrating on {len(labelled)} consults ..."):
        card = build_card(
            labelled,
            date=dt.datetime.now(dt.UTC).date(),
            plan=Plan(alpha=alpha, delta=delta, seed=seed),
            dangerous=frozenset(c.id for c in kb.conditions.values() if c.must_not_miss),
            options=len(kb.conditions) + 1,
            warnings=_warnings(len(results.results) - len(labelled), results, outside),
        )
    write_file(out, json.dumps(card.to_json(), indent=2, allow_nan=False) + "\n", "--out")
    if as_json:
        print_json(card.to_json())
    else:
        _show(card, out)


def _warnings(unlabelled: int, results: Results, outside: list[str]) -> list[str]:
    failed, silent = results.failed, results.silent
    said = []
    if results.helped:
        said.append(f"{results.helped} consults that a person answered or told more were left out")
    if unlabelled:
        said.append(f"{unlabelled} consults have no label and were left out")
    if failed or silent:
        said.append(f"{failed} cases failed and {silent} named no hypothesis; they state no probability to calibrate")
    if outside:
        named = ", ".join(outside[:10]) + (f" and {len(outside) - 10} more" if len(outside) > 10 else "")
        said.append(f"diagnoses that are not in the knowledge count as `other`: {named}")
    return said


def _show(card: Card, out: Path) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    fitted = card.fitted_on
    console.print(f"[bold]{card.id}[/]: model {printable(fitted.model)}, {fitted.n} consults of {fitted.cases} cases")
    uses = ", ".join(f"{count} for the {name}" for name, count in fitted.splits.items())
    console.print(f"No case serves twice: {uses}.")
    methods = ", ".join(f"{printable(name)}: {c.method}" for name, c in card.calibrators.items()) or "none"
    console.print(f"Calibrator: {methods}")
    console.print(_metrics(card))
    console.print(_reliability(card))
    console.print(_strata(card))
    for line in _promises(card):
        console.print(line, markup=False)
    for warning in card.warnings:
        console.print(f"warning: {printable(warning)}", markup=False)
    console.print("All of it holds for cases drawn like these, asked of this model in this way, and for no others.")
    console.print(f"Card: {printable(str(out))}", markup=False)


def _table(*columns: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for i, name in enumerate(columns):
        table.add_column(name, justify="left" if i == 0 else "right")
    return table


def _metrics(card: Card) -> Table:
    table = _table("metric", "as stated", "calibrated (cross-fitted)", "no skill")
    for name, shown in _HEADLINE.items():
        measured = card.metrics[name]
        none = "" if measured.baseline is None else f"{measured.baseline:.3f}"
        table.add_row(shown, _text(measured.before), _text(measured.after), none)
    return table


def _reliability(card: Card) -> Table:
    table = _table("stated on average", "came true", "n")
    for row in card.reliability:
        table.add_row(f"{row.stated:.3f}", _text(row.right), str(row.n))
    return table


def _strata(card: Card) -> Table:
    table = _table("leading specialty", "right", "stated", "calibrated", "n")
    for name, row in card.fitted_on.strata.items():
        table.add_row(printable(name), _text(row.right), f"{row.stated:.3f}", f"{row.calibrated:.3f}", str(row.n))
    return table


def _promises(card: Card) -> list[str]:
    sets = card.sets
    said = [f"Answering: {card.threshold}"]
    if sets is not None:
        said.append(
            f"Sets at {1 - card.conformal.alpha:.0%}: right diagnosis kept in {_text(sets.coverage)} of the "
            f"{sets.coverage.n} cases they were not fitted on, {sets.size:.1f} kept on average; the leading "
            f"diagnosis alone: {_text(sets.leading_alone)}"
        )
    everything = [name for name, least in card.conformal.thresholds.items() if least == 0.0]
    if everything or not card.conformal.thresholds:
        named = ", ".join(everything) or "any specialty"
        said.append(f"Too few cases to leave any diagnosis out of the set: {printable(named)}")
    return said


def _text(figure: Figure) -> str:
    if figure.value is None:
        return "-"
    if figure.low is None or figure.high is None:
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"
