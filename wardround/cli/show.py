"""A consult as a person reads it: the decision first, what carries it, what is missing, the cost last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from wardround.cli.terminal import folded, printable
from wardround.core.decision import Decision, DecisionStatus
from wardround.core.finding import Presence
from wardround.graphs.consult import NOTICE, Consult

if TYPE_CHECKING:
    from wardround.core.graph import Weight

_STYLE = {
    DecisionStatus.FINAL: "bold green",
    DecisionStatus.ABSTAINED: "bold yellow",
    DecisionStatus.ESCALATED: "bold magenta",
}
_WEIGHTS = 7
_TELLING = 0.1
"""A log likelihood ratio smaller than this is not worth a reader's time."""
_QUOTED = 120
_BITS = 0.01
"""A finding that is expected to tell less than this many bits is not called missing."""
_DIAGNOSES = 5


def show_consult(consult: Consult, console: Console) -> None:
    """Print a consult."""
    decision = consult.decision
    console.print(_headline(decision))
    if decision.certificate is not None:
        console.print(f"  {decision.certificate}", style="dim", markup=False)
    for reason in decision.reasons:
        code = reason.code.value.replace("_", " ")
        console.print(f"  [yellow]-[/] {code}: {escape(printable(reason.detail))}")
    if decision.red_flags:
        _section(console, "Red flags")
        for flag in decision.red_flags[:8]:
            console.print(f"  [red]![/] {escape(flag.name)} [dim]({escape(flag.detail)})[/]")
    _section(console, "Differential")
    console.print(Padding(_differential(consult), (0, 0, 0, 2)))
    _evidence(consult, console)
    if consult.contested:
        _section(console, "Contested: said to be there in one place and not in another")
        for name in consult.contested:
            console.print(f"  - {escape(name)}")
    telling = [missing for missing in decision.missing if missing.gain >= _BITS]
    if telling:
        _section(console, "Missing, most telling for its cost first")
        for missing in telling:
            console.print(f"  - {escape(missing.name)} [dim]({missing.how}, {missing.gain:.2f} bits)[/]")
    _not_taken_in(consult, console)
    if decision.status is DecisionStatus.ESCALATED:
        _section(console, "Waits for a person")
        answer = f"wardround runs answer {consult.run} --information TEXT (or --diagnosis NAME)"
        console.print(f"  {answer}", soft_wrap=True)
    console.print()
    console.print(_cost(consult), style="dim", markup=False)
    console.print(NOTICE, style="dim")


def _headline(decision: Decision) -> Text:
    text = Text()
    text.append(decision.status.value.upper(), style=_STYLE[decision.status])
    shown = decision.diagnosis or decision.differential.top
    if shown is None:
        return text.append("  no hypothesis")
    label = "  " if decision.status is DecisionStatus.FINAL else "  leading: "
    text.append(label).append(shown.name, style="bold")
    if shown.icd10:
        text.append(f" ({shown.icd10})")
    if decision.probability is not None:
        text.append(f"  {_percent(decision.probability)}")
    if decision.interval is not None:
        low, high = decision.interval
        text.append(f"  [{_percent(low)} to {_percent(high)}]", style="dim")
    return text.append(f"  {decision.calibration}", style="dim")


def _differential(consult: Consult) -> Table:
    table = Table.grid(padding=(0, 2))
    for hypothesis in consult.decision.differential.hypotheses[:_DIAGNOSES]:
        bar = "█" * max(1, round(hypothesis.probability * 20)) if hypothesis.probability >= 0.005 else ""
        table.add_row(_percent(hypothesis.probability), escape(hypothesis.name), hypothesis.icd10 or "", bar)
    rest = 1.0 - sum(h.probability for h in consult.decision.differential.hypotheses[:_DIAGNOSES])
    table.add_row(_percent(max(0.0, rest)), "[dim]anything else[/]", "", "")
    return table


def _evidence(consult: Consult, console: Console) -> None:
    shown = consult.decision.diagnosis or consult.decision.differential.top
    if shown is None:
        return
    explanation = consult.evidence.why(shown.id)
    for heading, weights in (("For", explanation.supporting), ("Against", explanation.opposing)):
        telling = [weight for weight in weights if abs(weight.llr) >= _TELLING]
        if not telling:
            continue
        _section(console, f"{heading} {shown.name}")
        for weight in telling[:_WEIGHTS]:
            _show_weight(weight, console)
        if len(weights) > len(telling[:_WEIGHTS]):
            console.print(f"  [dim](+{len(weights) - len(telling[:_WEIGHTS])} that weigh less)[/]")


def _show_weight(weight: Weight, console: Console) -> None:
    negated = "no " if weight.presence is Presence.ABSENT else ""
    console.print(f"  {weight.llr:+.1f}  {negated}{escape(printable(weight.name))}")
    lines = [
        Text.assemble((f'"{_short(source.text)}" ', "italic dim"), (f"[{folded(source.title)}]", "cyan dim"))
        for source in weight.sources[:2]
    ]
    if weight.citation:
        lines.append(Text(f"likelihood from {weight.citation}", style="dim"))
    for line in lines:
        console.print(Padding(line, (0, 0, 0, 8)))


def _short(text: str) -> str:
    line = folded(text)
    return line if len(line) <= _QUOTED else line[: _QUOTED - 3] + "..."


def _not_taken_in(consult: Consult, console: Console) -> None:
    if not (consult.skipped or consult.problems):
        return
    _section(console, "Not taken in")
    if consult.skipped:
        named = ", ".join(f"{n} {kind}" for kind, n in sorted(consult.skipped.items()))
        console.print(f"  - resources that say nothing to a diagnosis: {escape(printable(named))}")
    for problem in consult.problems:
        console.print(f"  - {escape(printable(problem))}")


def _cost(consult: Consult) -> str:
    usage = consult.usage
    counted = f"{usage.tokens} tokens" if usage.tokens else "tokens not counted"
    parts = [f"{usage.seconds:.1f} s", f"{usage.calls} model calls", counted, f"{usage.tools} tool calls"]
    urgency = f"urgency {consult.triage.urgency.value}; " if consult.triage else ""
    combined = f"combined uncertainty {consult.uncertainty.combined:.2f}; " if consult.uncertainty else ""
    return f"{urgency}{combined}{', '.join(parts)}; model {printable(consult.model)}; run {consult.run}"


def _section(console: Console, title: str) -> None:
    console.print()
    console.print(title, style="bold")


def _percent(p: float) -> str:
    return f"{p:.1%}" if 0.0005 <= p < 0.9995 else "<0.1%" if p < 0.5 else ">99.9%"
