"""`wardround check`: a text against the evidence, by the hallucination detector alone."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from wardround.cli.terminal import print_json, printable
from wardround.core.errors import UsageError

if TYPE_CHECKING:
    from wardround.core.source import Source
    from wardround.tools.hallucination.reports import Judged, Report

_KEYS = frozenset(("id", "text", "kind", "time", "reliability", "subject"))


def check(
    text: Annotated[str, typer.Option(help="File with the text to check, or `-` for standard input.")],
    evidence: Annotated[
        str, typer.Option(help='JSON lines {"id", "text", "kind"?, "time"?, "reliability"?}, a FHIR Bundle, or `-`.')
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    age: Annotated[float | None, typer.Option(min=0, max=130, help="Of the patient, in years.")] = None,
    sex: Annotated[Literal["female", "male"] | None, typer.Option(help="Of the patient.")] = None,
    patient: Annotated[str | None, typer.Option(help="Number or name; evidence about another does not count.")] = None,
) -> None:
    """Check a text against evidence: each statement supported, contradicted or not addressed, with the reason."""
    if text == evidence == "-":
        raise UsageError("--text and --evidence: both are `-`; give a file for one of them")
    said = _content(text, "--text")
    if not said.strip():
        raise UsageError(f"--text {text}: is empty; give a text with at least one sentence")
    sources, subjects = _evidence(_content(evidence, "--evidence"), evidence)

    from wardround.knowledge.clinician import reference_clinician
    from wardround.tools.hallucination.detector import RuleDetector
    from wardround.tools.hallucination.reports import check_text

    by_source = {sources[name].id: subject for name, subject in subjects.items()}
    detector = RuleDetector(reference_clinician(), age=age, sex=sex, patient=patient, subjects=by_source)
    report = check_text(said, sources, detector)
    if as_json:
        print_json(as_document(report))
    else:
        _show(report)


def as_document(report: Report) -> dict[str, Any]:
    """Return a report as plain JSON values; spans count characters of the text."""
    return {
        "claims": [_claim(judged, report.names) for judged in report.judged],
        "score": report.score,
        "worst": report.worst.value,
        "unsupported": report.unsupported,
        "omissions": [
            {
                "name": omission.name,
                "severity": omission.severity.value,
                "evidence": [report.names.get(i, i) for i in omission.evidence],
            }
            for omission in report.omissions
        ],
        "citations": {"precision": report.citation_precision, "recall": report.citation_recall},
        "hidden_characters": report.hidden,
    }


def _claim(judged: Judged, names: Mapping[str, str]) -> dict[str, Any]:
    examined = judged.examination
    return {
        "text": judged.clause.text,
        "verdict": examined.verdict.label.value,
        "severity": examined.verdict.severity.value,
        "evidence": [names.get(i, i) for i in examined.verdict.evidence],
        "reason": examined.verdict.reason,
        "type": judged.type.value,
        "span": list(judged.span),
        "correction": examined.correction,
        "unchecked": list(examined.unchecked),
        "cautions": list(examined.cautions),
    }


def _content(name: str, option: str) -> str:
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{option} {name}: is not UTF-8 text (byte {error.start}); save it in UTF-8") from error
    except OSError as error:
        raise UsageError(
            f"{option} {name}: cannot be read ({error.strerror}); check the path and its rights"
        ) from error


def _evidence(content: str, name: str) -> tuple[dict[str, Source], dict[str, str]]:
    """Read evidence as sources by the id they were given, and whom each is about."""
    stripped = content.strip()
    if not stripped:
        raise UsageError(f"--evidence {name}: is empty; give JSON lines or a FHIR Bundle")
    try:
        whole = json.loads(stripped)
    except ValueError:
        return _lines(stripped, name)
    if isinstance(whole, dict) and "resourceType" in whole:
        return _bundle(whole, name)
    return _lines(stripped, name)


def _lines(content: str, name: str) -> tuple[dict[str, Source], dict[str, str]]:
    sources: dict[str, Source] = {}
    subjects: dict[str, str] = {}
    for n, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        where = f"--evidence {name}, line {n}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UsageError(f'{where}: is not JSON ({error}); write {{"id": "n1", "text": "..."}}') from error
        key, source = _source(row, where)
        if key in sources:
            raise UsageError(f"{where}: the id {key!r} is there already; give each line its own")
        sources[key] = source
        if isinstance(row.get("subject"), str):
            subjects[key] = row["subject"]
    return sources, subjects


def _source(row: Any, where: str) -> tuple[str, Source]:
    from pydantic import ValidationError

    from wardround.core.source import Source

    if not isinstance(row, dict) or not isinstance(row.get("text"), str) or not isinstance(row.get("id"), str | int):
        raise UsageError(f'{where}: an object with "id" and "text" is wanted; write {{"id": "n1", "text": "..."}}')
    unknown = sorted(row.keys() - _KEYS)
    if unknown:
        raise UsageError(f"{where}: unknown {', '.join(unknown)}; only {', '.join(sorted(_KEYS))} are read")
    key = str(row["id"])
    given = {k: row[k] for k in ("time", "reliability") if row.get(k) is not None}
    try:
        kind = row.get("kind") or "clinician_note"
        return key, Source.model_validate({"kind": kind, "text": row["text"], "document": key, "title": key, **given})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise UsageError(f"{where}: {field}: {first['msg']}; mend {field}") from error


def _bundle(bundle: Mapping[str, Any], name: str) -> tuple[dict[str, Source], dict[str, str]]:
    from wardround.knowledge.clinician import reference_clinician
    from wardround.tools.fhir.record import read_record

    entries = bundle.get("entry")
    if bundle.get("resourceType") != "Bundle" or not isinstance(entries, list):
        kind = bundle.get("resourceType")
        raise UsageError(f"--evidence {name}: a FHIR {kind} without entries; give a Bundle with resources in `entry`")
    resources = [e["resource"] for e in entries if isinstance(e, dict) and isinstance(e.get("resource"), dict)]
    chart = read_record(resources, reference_clinician(), age=None, sex=None)
    about = dict(_subjects(resources))
    sources = {source.title: source for source in chart.sources}
    subjects = {key: about[s.document] for key, s in sources.items() if s.document in about}
    return sources, subjects


def _subjects(resources: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, str]]:
    for resource in resources:
        for member in ("subject", "patient"):
            reference = resource.get(member)
            if isinstance(reference, dict) and isinstance(reference.get("reference"), str):
                yield f"{resource.get('resourceType')}/{resource.get('id')}", reference["reference"]


def _show(report: Report) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("verdict", "severity", "statement", "reason", "evidence"):
        table.add_column(column)
    for judged in report.judged:
        verdict = judged.examination.verdict
        ids = ", ".join(report.names.get(i, i) for i in verdict.evidence)
        cells = (judged.clause.text, verdict.reason, ids)
        table.add_row(verdict.label.value, verdict.severity.value, *(_plain(cell) for cell in cells))
    console = Console()
    console.print(table)
    for omission in report.omissions:
        ids = ", ".join(report.names.get(i, i) for i in omission.evidence)
        console.print(_plain(f"left out: {omission.name} ({omission.severity.value}; {ids})"))
    score = "none" if report.score is None else f"{report.score:.2f}"
    console.print(
        f"score {score} (MediHall mean, 1 is best), worst {report.worst.value}; rules, not validated for care"
    )


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(printable(text))
