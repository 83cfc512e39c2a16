"""The report of a suite as a person reads it: score and interval, baselines, categories, why it failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from wardround.evals.records.grading import IN_WORDS, Reason


def show_report(report: Mapping[str, Any]) -> None:
    """Print a report."""
    console = Console()
    console.print(f"[bold]{report['suite']}[/]: agent {report['agent']} ({report['model']}), {report['ground']}")
    console.print(_modes(report))
    console.print(_groups(report["groups"]))
    if report["reasons"]:
        console.print("Why tasks failed:")
        for name, count in report["reasons"].items():
            console.print(f"  {count:4} {name} ({IN_WORDS[Reason(name)]})")
    by_patient = report["interval_by_patient"]
    if by_patient[0] is not None:
        console.print(f"Resampling the {report['patients']} patients: {_interval(by_patient)}")
    if report["balanced_accuracy"] is not None:
        console.print(
            f"Balanced over tasks that ask for a write and those that do not: {report['balanced_accuracy']:.3f}"
        )
    console.print(f"Log: {report['log']} (`inspect view` shows it); every episode is a run: `wardround runs list`")


def _modes(report: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("graded by", "agent", "score", "95 % interval", "n"):
        table.add_column(name, justify="right" if name in ("score", "n") else "left")
    for mode, found in report["modes"].items():
        table.add_row(mode, report["agent"], *_figures(found), style="bold")
        for name, baseline in report["baselines"].items():
            table.add_row(mode, f"{name} (does nothing)", *_figures(baseline[mode]), style="dim")
    return table


def _groups(groups: Mapping[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("category", "score", "95 % interval", "n"):
        table.add_column(name, justify="right" if name in ("score", "n") else "left")
    for name in sorted(groups):
        table.add_row(name, *_figures(groups[name]))
    return table


def _figures(found: Mapping[str, Any]) -> tuple[str, str, str]:
    return f"{found['score']:.3f}", _interval(found["interval"]), str(found["n"])


def _interval(interval: list[float]) -> str:
    return f"[{interval[0]:.3f}, {interval[1]:.3f}]"
