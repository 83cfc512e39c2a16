"""Results of many consults, and what their cases turned out to be."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from wardround.core.calibration.sets import UNSORTED
from wardround.core.decision import GateReason
from wardround.core.differential import Differential, Hypothesis
from wardround.core.errors import UsageError
from wardround.core.uncertainty import Part
from wardround.knowledge.base import KnowledgeBase

OF_PROBABILITY = frozenset({GateReason.LOW_PROBABILITY.value, GateReason.NOT_CERTIFIED.value})
"""Reasons of the gate in whose place a certificate stands."""
_SHOWN = 5
_ICD10 = re.compile(r"[A-Z]\d[0-9A-Z](\.?[0-9A-Z]{1,4})?")


@dataclass(frozen=True)
class Vote:
    """What one rollout of one specialist held for the diagnosis."""

    agent: str
    rollout: int
    answer: str | None
    """Condition id, or the words where the knowledge has none; nothing for no opinion."""


@dataclass(frozen=True)
class Result:
    """What one consult said."""

    key: str
    """Name of the case within its batch."""
    case: str
    """Id of the case."""
    run: str
    model: str
    settings: dict[str, Any] | None
    """Nothing where the results do not hold them."""
    stratum: str
    """Leading specialty."""
    answer: Hypothesis
    """The diagnosis, or the leading hypothesis where there is none, with its probability."""
    differential: Differential
    parts: dict[Part, float]
    """Of the uncertainty; none where it was not measured."""
    votes: tuple[Vote, ...] = ()
    can_be_given: bool = True
    """Whether there is a diagnosis that nothing but its probability held back."""
    favoured: str | None = None
    """Condition id of the answer that the parts of the uncertainty are of; of older results the answer."""


@dataclass(frozen=True)
class Results:
    """All results of a file."""

    results: tuple[Result, ...]
    failed: int
    """Cases that could not be read or consulted."""
    silent: int
    """Consults without any hypothesis, which state no probability to calibrate."""
    unanswered: frozenset[str]
    """Keys and ids of these, and of those that a person helped with."""
    helped: int = 0
    """Consults that a person answered or told more, whose answers are not the model's alone."""


@dataclass(frozen=True)
class Labelled:
    """A consult and the right answer of its case."""

    result: Result
    right: frozenset[str]
    """Condition ids that are right; none where the diagnosis is not in the knowledge."""
    severity: float
    """Cost of omitting it from the differential, the highest being 1."""

    def with_parts(self, parts: Mapping[Part, float]) -> Labelled:
        """Return the same with further parts of the uncertainty."""
        return replace(self, result=replace(self.result, parts={**self.result.parts, **parts}))

    @property
    def favoured_outcome(self) -> float:
        """1 where the answer is right that the parts of the uncertainty are of."""
        return float((self.result.favoured or self.result.answer.id) in self.right)

    @property
    def outcome(self) -> float:
        """1 where the answer is right, else 0."""
        return float(self.result.answer.id in self.right)


def read_results(path: Path) -> Results:
    """Read the file that `wardround consult DIR --out FILE.jsonl` writes.

    Raises:
        UsageError: It cannot be read, or a line is no result of a consult.
    """
    found: list[Result] = []
    failed = silent = helped = 0
    unanswered: set[str] = set()
    for n, row in _json_lines(path):
        try:
            if _was_helped(row):
                helped += 1
                unanswered |= {str(row[name]) for name in ("key", "case") if name in row}
                continue
            if "error" in row or not row["decision"]["differential"]:
                failed, silent = failed + ("error" in row), silent + ("error" not in row)
                unanswered |= {str(row[name]) for name in ("key", "case") if name in row}
                continue
            found.append(_result(row))
        except (KeyError, TypeError, ValueError, AttributeError, ValidationError) as error:
            what = f"misses {error}" if isinstance(error, KeyError) else str(error).splitlines()[0]
            mend = "give the file that `wardround consult DIR --out FILE.jsonl` writes"
            raise UsageError(f"{path}, line {n}: is no result of a consult ({what}); {mend}") from error
    runs = [r.run for r in found]
    if len(set(runs)) < len(runs):
        doubled = next(run for run in runs if runs.count(run) > 1)
        raise UsageError(f"{path}: run {doubled} is there twice; leave one of them out")
    return Results(tuple(found), failed, silent, frozenset(unanswered), helped)


def _was_helped(row: Mapping[str, Any]) -> bool:
    """Whether a person answered for a consult, or told it more."""
    decision = row.get("decision") or {}
    codes = {reason.get("code") for reason in decision.get("reasons", [])}
    return GateReason.CLINICIAN.value in codes or any(
        source.get("title") == "answer of a clinician" for source in row.get("evidence", [])
    )


def _json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for n, line in enumerate(_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UsageError(f"{path}, line {n}: is not JSON ({error}); give JSON lines") from error
        if not isinstance(row, dict):
            raise UsageError(f"{path}, line {n}: is no JSON object; give one on each line")
        yield n, row


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); check the path") from error


def _result(row: Mapping[str, Any]) -> Result:
    decision = row["decision"]
    hypotheses = tuple(Hypothesis.model_validate(h) for h in decision["differential"])
    differential = Differential(hypotheses=hypotheses, other=decision["other"])
    given = decision["diagnosis"]
    answer = hypotheses[0]
    if given is not None:
        stated = decision.get("posterior", decision["probability"])  # older results have the posterior as probability
        answer = Hypothesis(id=given["id"], name=given["name"], icd10=given["icd10"], probability=stated)
    specialties = (row["triage"] or {}).get("specialties") or [UNSORTED]
    against = {reason["code"] for reason in decision.get("reasons", [])}
    measured = row["uncertainty"] or {"parts": {}}
    return Result(
        key=str(row.get("key", row["case"])),
        case=str(row["case"]),
        run=str(row["run"]),
        model=str(row["model"]),
        settings=row.get("settings"),
        stratum=str(specialties[0]),
        answer=answer,
        differential=differential,
        parts={Part(name): float(value) for name, value in measured["parts"].items()},
        votes=tuple(Vote(v["agent"], v["rollout"], v["diagnosis"]) for v in row.get("opinions", [])),
        can_be_given=given is not None and against <= OF_PROBABILITY,
        favoured=measured.get("answer"),
    )


def read_labels(path: Path) -> dict[str, str]:
    """Read what cases turned out to be, by case id or batch key: JSON lines, or CSV with a header.

    Raises:
        UsageError: It cannot be read, misses a column, or gives one case two diagnoses.
    """
    is_csv = path.suffix.lower() == ".csv"
    rows: Iterable[tuple[int, Mapping[str, Any]]] = _csv_rows(path) if is_csv else _json_lines(path)
    labels: dict[str, str] = {}
    for n, row in rows:
        name, diagnosis = row.get("case") or row.get("key"), row.get("diagnosis")
        if not isinstance(name, str) or not isinstance(diagnosis, str) or not diagnosis.strip():
            mend = "write `case` (or `key`) and `diagnosis` (name, id or ICD-10 code) as text"
            raise UsageError(f"{path}, line {n}: names no case with its diagnosis; {mend}")
        if labels.setdefault(name.strip(), diagnosis.strip()) != diagnosis.strip():
            raise UsageError(f"{path}, line {n}: case {name} already is {labels[name.strip()]}; give it one diagnosis")
    if not labels:
        raise UsageError(f"{path}: holds no label; write one line for each case: case, diagnosis")
    return labels


def _csv_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(_text(path).splitlines(), skipinitialspace=True)
    columns = reader.fieldnames or []
    if "diagnosis" not in columns or not {"case", "key"} & set(columns):
        found = ", ".join(columns) or "nothing"
        raise UsageError(f"{path}: its header is {found}; it needs the columns case (or key) and diagnosis")
    for row in reader:
        yield reader.line_num, row


def known_as(kb: KnowledgeBase, diagnosis: str) -> frozenset[str]:
    """Return the conditions of the knowledge that a label names; none where it names none.

    A name, synonym or id names one condition, an ICD-10 code every condition whose code is the same, within it, or
    its category.
    """
    coded: set[str] = set()
    if _ICD10.fullmatch(diagnosis.strip().upper()):
        code = diagnosis.strip().upper().replace(".", "")
        theirs = {c.id: c.icd10.replace(".", "") for c in kb.conditions.values()}
        coded = {name for name, own in theirs.items() if own.startswith(code) or code.startswith(own)}
    entry = kb.find_condition(diagnosis)
    return frozenset(coded or ({entry.id} if entry is not None else ()))


def join(results: Results, labels: Mapping[str, str], kb: KnowledgeBase) -> tuple[list[Labelled], list[str]]:
    """Put results and labels together; returns them with the labels that name nothing in the knowledge.

    Raises:
        UsageError: A label is of no case in the results, or no result has a label.
    """
    known = {name for r in results.results for name in (r.key, r.case)} | results.unanswered
    strange = sorted(labels.keys() - known)
    if strange and len(strange) == len(labels):
        raise UsageError(
            f"no label is of a case in the results: labels name {_few(strange)}, results "
            f"{_few(sorted({r.case for r in results.results}))}; use the same `case` ids or `key`s"
        )
    if strange:
        raise UsageError(
            f"labels of no case in the results: {_few(strange)}; take them out, or give the results of these too"
        )
    found = []
    outside = set()
    for result in results.results:
        diagnosis = labels.get(result.key, labels.get(result.case))
        if diagnosis is None:
            continue
        right = known_as(kb, diagnosis)
        if not right:
            outside.add(diagnosis)
        found.append(Labelled(result, right, severity(kb, right)))
    if not found:
        raise UsageError("every labelled case failed or named no hypothesis, so that there is nothing to calibrate")
    return found, sorted(outside)


SEVERITY_OTHER = 0.1
"""Cost of omitting a diagnosis that is not dangerous, where a dangerous one costs 1. Our own choice."""


def severity(kb: KnowledgeBase, right: frozenset[str]) -> float:
    """Return the cost of omitting a diagnosis; one outside the knowledge is taken for not dangerous."""
    return 1.0 if any(kb.conditions[c].must_not_miss for c in right) else SEVERITY_OTHER


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
