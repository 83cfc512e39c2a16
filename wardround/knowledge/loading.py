"""Reading the knowledge files and checking them against their schema and one another."""

from __future__ import annotations

from collections import Counter
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from wardround.core.errors import KnowledgeError
from wardround.knowledge.base import KnowledgeBase, probability
from wardround.knowledge.schema import (
    GRADED,
    ConditionEntry,
    FindingEntry,
    FindingFile,
    Likelihood,
    PresentationFile,
    SourceEntry,
)

_F = TypeVar("_F", FindingFile, PresentationFile)


@cache
def embedded() -> KnowledgeBase:
    """Return the knowledge that ships with Wardround, read once per process."""
    return load(resources.files("wardround.knowledge") / "data")


def load(folder: Traversable) -> KnowledgeBase:
    """Read a folder with `findings/*.yaml` and `presentations/*.yaml`.

    Raises:
        KnowledgeError: Lists every fault: schema, unknown or doubled ids, impossible figures.
    """
    faults: list[str] = []
    finding_files = _files(folder / "findings", FindingFile, faults)
    presentation_files = _files(folder / "presentations", PresentationFile, faults)
    if faults:
        raise KnowledgeError(faults)
    files: list[FindingFile | PresentationFile] = [*finding_files.values(), *presentation_files.values()]
    findings = [entry for file in files for entry in file.findings]
    analytes = [analyte for file in finding_files.values() for analyte in file.analytes]
    conditions = [entry for file in presentation_files.values() for entry in file.conditions]
    passages = [passage for file in presentation_files.values() for passage in file.passages]
    sources: dict[str, SourceEntry] = {}
    for file in files:
        for key, entry in file.sources.items():
            if sources.setdefault(key, entry).year != entry.year:
                faults.append(f"source {key} means publications of {sources[key].year} and of {entry.year}")
    for name, entries in (
        ("finding", [e.id for e in findings]),
        ("analyte", [e.id for e in analytes]),
        ("condition", [e.id for e in conditions]),
        ("passage", [e.id for e in passages]),
        ("presentation", [f.presentation.id for f in presentation_files.values()]),
    ):
        faults += [f"{name} {key} is defined {n} times" for key, n in Counter(entries).items() if n > 1]
    base = KnowledgeBase(
        findings={e.id: e for e in findings},
        analytes={e.id: e for e in analytes},
        conditions={e.id: e for e in conditions},
        presentations={f.presentation.id: f.presentation for f in presentation_files.values()},
        passages={p.id: p for p in passages},
        sources=sources,
        presentation_conditions={
            f.presentation.id: tuple(c.id for c in f.conditions) for f in presentation_files.values()
        },
    )
    faults += [
        f"{name}: analyte {analyte.id} has no declared source {analyte.source}"
        for name, file in finding_files.items()
        for analyte in file.analytes
        if analyte.source not in {*file.sources, GRADED}
    ]
    faults += _faults(base, presentation_files)
    if faults:
        raise KnowledgeError(faults)
    return base


def _files(folder: Traversable, kind: type[_F], faults: list[str]) -> dict[str, _F]:
    if not folder.is_dir():
        faults.append(f"{folder.name}: there is no such folder")
        return {}
    loader = _strict_loader()
    read: dict[str, _F] = {}
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".yaml"):
            continue
        try:
            read[file.name] = kind.model_validate(yaml.load(file.read_text("utf-8"), loader))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            faults.append(f"{file.name}: {error}")
        except ValidationError as error:
            faults += [
                f"{file.name}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}"
                for fault in error.errors(include_url=False)
            ]
    return read


@cache
def _strict_loader() -> Any:
    """A safe loader that refuses a key given twice, of which YAML would keep the last."""
    loader: Any = type("StrictLoader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {})
    loader.add_constructor("tag:yaml.org,2002:map", _mapping)
    return loader


def _mapping(loader: Any, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"{key} is given twice", key_node.start_mark)
        seen.add(key)
    mapping: dict[Any, Any] = loader.construct_mapping(node, deep=True)
    return mapping


def _faults(base: KnowledgeBase, files: dict[str, PresentationFile]) -> list[str]:
    faults = [fault for entry in base.findings.values() for fault in _finding_faults(entry, base)]
    for name, file in files.items():
        declared = set(file.sources) | {GRADED}
        for code in (*file.presentation.complaints, *file.presentation.red_flags):
            if code not in base.findings:
                faults.append(f"{name}: presentation names unknown finding {code}")
        for condition in file.conditions:
            faults += [f"{name}: {f}" for f in _condition_faults(condition, base, declared)]
        for passage in file.passages:
            faults += [
                f"{name}: passage {passage.id} is about unknown condition {code}"
                for code in passage.about
                if code not in base.conditions
            ]
            if passage.source not in file.sources:
                faults.append(f"{name}: passage {passage.id} has no declared source {passage.source}")
    return faults


def _finding_faults(entry: FindingEntry, base: KnowledgeBase) -> list[str]:
    faults = [f"finding {entry.id} implies unknown {code}" for code in entry.implies if code not in base.findings]
    faults += [
        f"finding {entry.id} is commoner than {code}, which it implies"
        for code in entry.implies
        if code in base.findings and entry.background > base.findings[code].background
    ]
    if not faults and entry.id in _reached(entry.id, base):
        faults.append(f"finding {entry.id} implies itself")
    if entry.analyte is not None and entry.analyte not in base.analytes:
        faults.append(f"finding {entry.id} needs unknown analyte {entry.analyte}")
    return faults


def _reached(code: str, base: KnowledgeBase) -> set[str]:
    reached: set[str] = set()
    queue = list(base.findings[code].implies)
    while queue:
        broad = queue.pop()
        if broad in base.findings and broad not in reached:
            reached.add(broad)
            queue.extend(base.findings[broad].implies)
    return reached


def _condition_faults(condition: ConditionEntry, base: KnowledgeBase, declared: set[str]) -> list[str]:
    faults = []
    if condition.criteria_source not in declared:
        faults.append(f"{condition.id}: undeclared criteria source {condition.criteria_source}")
    for code, value in condition.findings.items():
        if code not in base.findings:
            faults.append(f"{condition.id}: unknown finding {code}")
            continue
        if isinstance(value, Likelihood) and value.source not in declared:
            faults.append(f"{condition.id}.{code}: undeclared source {value.source}")
        faults += [
            f"{condition.id}: {code} is likelier than {broader}, which it implies"
            for broader in base.findings[code].implies
            if broader in base.findings and probability(value) > _likelihood(condition, broader, base) + 1e-9
        ]
    return faults


def _likelihood(condition: ConditionEntry, code: str, base: KnowledgeBase) -> float:
    listed = condition.findings.get(code)
    return probability(listed) if listed is not None else base.findings[code].background
