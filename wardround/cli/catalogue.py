"""The catalogue as a person reads it: what is sure stands plain, what is likely has a mark, what is unknown says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from wardround.cli.terminal import folded
from wardround.models.catalogue.facts import Catalogue, CatalogueModel, Fact, Selection
from wardround.models.catalogue.schema import Source
from wardround.models.catalogue.serving import consult_command, memory, serve_command
from wardround.models.catalogue.vocabulary import Sureness

if TYPE_CHECKING:
    from wardround.models.catalogue.check import Checked

LEGEND = "~ likely, ? unknown, otherwise stated by a source; nobody ran the weights to check any of it"

_COLUMNS = {"parameters": "10⁹ par.", "modalities": "beside text", "licence": "licence", "vllm": "vLLM"}
_WIDTHS = {"parameters": 8, "modalities": 16, "licence": 17, "vllm": 12}
"""In characters; the id has what is left."""
_PADDING = 2
_SHORTEST_ID = 16
_FIELDS = {
    "family": "architecture",
    "base": "built on",
    "parameters": "parameters, 10⁹",
    "weights": "weights",
    "licence": "licence",
    "gated": "terms to accept",
    "research_only": "for research alone",
    "modalities": "takes and gives",
    "image_types": "images",
    "languages": "languages",
    "context": "context, tokens",
    "transformers_class": "class",
    "remote_code": "runs its own code",
    "vllm": "vLLM",
    "serve_flags": "flags for vLLM",
    "dtype": "number format",
    "tool_calls": "tool calls, parser",
    "constrained": "held to a schema",
    "logprobs": "log-probabilities",
    "reasoning": "thinking",
    "system_prompt": "system prompt",
    "image_placement": "place of images",
    "image_token": "image in a raw prompt",
    "coordinates": "boxes",
}
_FOUND = {
    "held": "right at once",
    "repaired": "right after it was told what was wrong",
    "failed": "never right",
    "called": "called the tool it was offered",
    "not called": "did not call the tool it was offered",
    "refused": "the server refused the tool",
    "not taken": "cannot be given tools",
}


_ABLE = {"yes": "yes", "no": "no", "not taken": "not asked of such a model"}


def show_list(selection: Selection, console: Console) -> None:
    """Print the models of a selection, and how many were left out for want of knowledge."""
    table = Table(box=None, header_style="bold", padding=(0, _PADDING, 0, 0))
    left = console.width - sum(_WIDTHS.values()) - _PADDING * (len(_WIDTHS) + 1)
    table.add_column("model", overflow="fold", width=max(_SHORTEST_ID, left))
    for field, heading in _COLUMNS.items():
        folds = field == "modalities"
        justify: Literal["left", "right"] = "right" if field == "parameters" else "left"
        overflow: Literal["fold", "ellipsis"] = "fold" if folds else "ellipsis"
        table.add_column(heading, justify=justify, overflow=overflow, no_wrap=not folds, width=_WIDTHS[field])
    for model in selection.models:
        table.add_row(escape(model.id), *(_marked(field, model.facts[field]) for field in _COLUMNS))
    console.print(table)
    console.print()
    console.print(f"{_counted(len(selection.models), 'model')}. {LEGEND}.", style="dim", markup=False)
    if selection.undecided:
        out = f"{_counted(selection.undecided, 'more model')} left out: what is asked for is not known of them."
        console.print(out, style="dim", markup=False)


def show_model(model: CatalogueModel, catalogue: Catalogue, console: Console) -> None:
    """Print one model: facts, notes, memory, commands, sources."""
    console.print(f"{model.name}  ({model.id})", style="bold", markup=False)
    console.print(f"{model.organisation}; series {model.series}", markup=False)
    console.print()
    console.print(_facts(model))
    family = catalogue.families.get(model.facts["family"].value)
    for note in (*model.notes, *((f"{family.name}: {family.note}",) if family and family.note else ())):
        console.print()
        console.print(Padding(escape(note), (0, 0, 0, 2)))
    _section(console, "Memory of the weights alone, computed as parameters x bytes for each / 2^30")
    for entry in memory(model):
        console.print(f"  {entry.dtype:5} {entry.gib:7.1f} GiB = {entry.formula}", markup=False)
    if not memory(model):
        console.print("  unknown, since the number of parameters is")
    _section(console, "To serve it and to ask it")
    serve = serve_command(model) or "not on vLLM's list; run it with the code of its authors, behind a server"
    console.print(f"  {serve}", markup=False, soft_wrap=True)
    console.print(f"  {consult_command(model)}", markup=False, soft_wrap=True)
    if model.sources:
        _section(console, "Sources")
    for key, source in model.sources.items():
        console.print(Padding(escape(f"{key}: {_cited(source)}"), (0, 0, 0, 2)))
    console.print()
    console.print("Not checked: nobody ran these weights to see whether it is all so.", style="dim")


def show_check(result: Checked, console: Console) -> None:
    """Print what a check found."""
    table = Table.grid(padding=(0, 2))
    table.add_row("model", escape(folded(result.spec)))
    if result.served is not None:
        table.add_row("server", escape(folded(f"{result.base_url} serves {', '.join(result.served)}")))
    elif result.base_url is not None:
        table.add_row("server", escape(folded(f"{result.base_url} does not say what it serves")))
    if result.context is not None:
        table.add_row("context", f"{result.context} tokens")
    if result.served_by:
        table.add_row("answered by", escape(folded(result.served_by)))
    sent = "schema sent along" if result.constrained else "no schema sent, the shape stands in no prompt"
    table.add_row("answer of a shape", f"{_FOUND[result.structured]} [dim]({sent})[/]")
    if result.fault:
        table.add_row("fault", escape(folded(result.fault)))
    said = f" [dim]({escape(folded(result.tools_said))})[/]" if result.tools_said else ""
    table.add_row("tools", f"{_FOUND[result.tools]}{said}")
    table.add_row("images", {True: "looks at images", False: "takes no images", None: "not tried"}[result.images])
    table.add_row("one of several texts", _ABLE[result.choice])
    table.add_row("log probabilities", _ABLE[result.logprobs])
    table.add_row("several answers at once", _ABLE[result.several])
    table.add_row("same seed, same answer", "yes" if result.repeats else "no, or it could not be tried")
    counted = f"{result.input_tokens} tokens in, {result.output_tokens} out" if result.input_tokens is not None else ""
    table.add_row("took", ", ".join(part for part in (f"{result.seconds:.2f} s", counted) if part))
    console.print(table)


def _facts(model: CatalogueModel) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(style="dim", overflow="fold")
    for field, label in _FIELDS.items():
        fact = model.facts[field]
        table.add_row(f"  {label}", escape(_value(fact)) if fact.known else "?", escape(_why(fact)))
    return table


def _marked(field: str, fact: Fact) -> str:
    if not fact.known:
        return "?"
    mark = "~" if fact.sure is Sureness.LIKELY else ""
    value = ", ".join(each for each in fact.value if each != "text") if field == "modalities" else _value(fact)
    return mark + escape(value) if value else ""


def _value(fact: Fact) -> str:
    value = fact.value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _why(fact: Fact) -> str:
    if not fact.known:
        return "unknown"
    if fact.sure is Sureness.LIKELY:
        return f"likely: {fact.source}"
    return f"{fact.sure.value}: {fact.source}"


def _cited(source: Source) -> str:
    how = "read" if source.read else "recalled, not read again"
    return f"{source.title} ({source.year}; {how})"


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _section(console: Console, title: str) -> None:
    console.print()
    console.print(title, style="bold")
