"""`wardround runs export`: a run for other programs, for readers without one, and for trace tools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wardround.cli.consult import Workspace
from wardround.cli.terminal import check_target, printable, write_file
from wardround.core.errors import UsageError

if TYPE_CHECKING:
    from wardround.core.case import Case
    from wardround.trace.annotating import Annotation
    from wardround.trace.events import Event
    from wardround.trace.redaction import RedactedRun
    from wardround.trace.store import RunStore

_RANDOM = 32
"""Bytes of a key that is made for one export."""
_BY_FORM = "names behind a title, dates, numbers and addresses by their form"


@dataclass(frozen=True)
class _Given:
    """What is given out of a run."""

    store: RunStore
    run: str
    """Id in the store."""
    events: Sequence[Event]
    case: Case | None
    """Where a page shows it, or identifiers are learnt from it."""
    labels: Sequence[Annotation] | None
    """Where they are sent as well."""


def export(
    run: Annotated[str, typer.Argument(help="Id of the run or its beginning, or the id of its case.")],
    workspace: Workspace = Path(".wardround"),
    out: Annotated[Path | None, typer.Option(help="File; standard output without it.")] = None,
    otlp: Annotated[
        str | None, typer.Option(metavar="URL", help="Send it as OpenTelemetry spans to this address instead.")
    ] = None,
    content: Annotated[
        bool, typer.Option("--content", help="With --otlp: send what was said of the patient too.")
    ] = False,
    labels: Annotated[
        bool,
        typer.Option(
            "--labels",
            help="With --otlp: send what people called right or wrong too, each as a span after the run that links to "
            "what it judges; who and why are content.",
        ),
    ] = False,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write it as one HTML file that needs no other instead.")
    ] = None,
    redact: Annotated[
        bool,
        typer.Option(
            "--redact",
            help="Take out who the patient is, as the record of the case knows; without one, what shows by its form.",
        ),
    ] = False,
    key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="With --redact: a secret of 16 bytes or more, so that the same names are made each time. Whoever has "
            "it can try names out.",
        ),
    ] = None,
) -> None:
    """Write a run's events as JSON lines, or its pages as one file, or send it to a trace tool."""
    if ((content or labels) and otlp is None) or sum(target is not None for target in (out, otlp, html)) > 1:
        raise UsageError("give one of --out, --otlp and --html; --content and --labels go with --otlp")
    if key_file is not None and not redact:
        raise UsageError("--key-file goes with --redact")
    for path, option in ((out, "--out"), (html, "--html")):
        if path is not None:
            check_target(path, option)
    key = _key(key_file) if redact else None
    given = _read(workspace, run, with_case=html is not None or redact, with_labels=labels)
    if key is not None:
        given = _redacted(given, key, is_lasting=key_file is not None, with_case=html is not None)
    if html is not None:
        write_file(html, _as_html(given, None if redact else workspace), "--html")
    elif otlp is not None:
        from wardround.cli.telemetry import send_run

        typer.echo(send_run(given.events, otlp, content=content, labels=given.labels))
    else:
        _write_lines(given.events, out)


def _read(workspace: Path | str, run: str, *, with_case: bool, with_labels: bool) -> _Given:
    from wardround.core.case import Case
    from wardround.trace.store import RunStore

    store = RunStore.existing(workspace)
    row = store.find(run)
    events = store.events(row.id)
    case = Case.model_validate_json(store.case(row.id)) if with_case else None
    return _Given(store, row.id, events, case, _labels(store, row.id, events) if with_labels else None)


def _labels(store: RunStore, run: str, events: Sequence[Event]) -> list[Annotation]:
    """Return the judgements of what the log holds, and say which are of something else."""
    from wardround.trace.otel.labels import held

    there, lacking = held(events, store.annotations(run))
    for label in lacking:
        what = f"a label of the {label.target} {printable(label.id)!r}"
        typer.echo(f"not sent: {what}, which the run does not hold", err=True)
    return there


def _key(path: Path | None) -> bytes:
    import secrets

    from wardround.trace.redaction import Pseudonyms

    if path is None:
        return secrets.token_bytes(_RANDOM)
    try:
        key = path.read_bytes()
        Pseudonyms(key)
    except OSError as error:
        what = f"--key-file {path}: cannot be read ({error.strerror})"
        raise UsageError(f"{what}; give a file with a secret of 16 bytes or more") from error
    except UsageError as error:
        raise UsageError(f"--key-file {path}: {error}") from error
    return key


def _redacted(given: _Given, key: bytes, *, is_lasting: bool, with_case: bool) -> _Given:
    """Return what is given out without identifiers, and say what was done."""
    from wardround.trace.redaction import redact_run

    assert given.case is not None
    done = redact_run(given.events, given.case, key=key, judgements=given.labels or ())
    for line in _told(done, is_lasting=is_lasting, with_case=with_case):
        typer.echo(line, err=True)
    labels = done.judgements if given.labels is not None else None
    return replace(given, events=done.events, case=done.case, labels=labels)


def _told(done: RedactedRun, *, is_lasting: bool, with_case: bool) -> list[str]:
    report = done.log_report + done.case_report if with_case else done.log_report
    lines = []
    if not done.knows_names:
        what = "no name is known to look for, since neither a record nor a server names anybody"
        lines.append(f"{what}; looked for were {_BY_FORM}, and ids; read it before you give it away")
    if done.patients > 1:
        lines.append(f"{done.patients} patients are known; dates of texts move by the days of the first")
    if not is_lasting:
        lines.append("without --key-file the key is made for this export alone; another one will have other names")
    told = [f"{n} {kind.replace('_', ' ')}" for kind, n in sorted(report.replaced.items())]
    left = f"; left as words that can be names: {sum(report.spared.values())}" if report.spared else ""
    gone = f"; elements removed: {sum(report.removed.values())}" if report.removed else ""
    note = "it is another log, which `runs verify` says nothing of, and no proof of anonymity"
    return [*lines, f"replaced: {', '.join(told) or 'nothing'}{left}{gone}; {note}"]


def _as_html(given: _Given, workspace: Path | str | None) -> str:
    """Return the pages of a run as one file, with the images that are kept with it where a workspace is given."""
    from wardround.core.extras import require

    require("jinja2", extra="dashboard")
    from wardround.dashboard.exporting import export_html
    from wardround.dashboard.masks import kept_with
    from wardround.trace.store import RunStore

    assert given.case is not None
    if workspace is None:
        return export_html(given.events, given.case, with_images=False)
    return export_html(given.events, given.case, fetch=kept_with(RunStore.existing(workspace), given.events[0].run))


def _write_lines(events: Sequence[Event], out: Path | None) -> None:
    from wardround.trace.store import export_lines

    lines = export_lines(events)
    if out is None:
        typer.echo(lines, nl=False)
    else:
        write_file(out, lines, "--out")
