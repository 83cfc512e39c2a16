"""Resources in files: NDJSON in and out, Bundles in."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from wardround.core.errors import UsageError
from wardround.environments.fhir.codec import dump, parse
from wardround.environments.fhir.outcome import FhirError
from wardround.environments.fhir.state import State
from wardround.environments.fhir.validation.validator import validate

SUFFIXES = (".ndjson", ".ndjson.gz", ".json")


def read_resources(path: Path, *, validated: bool = True, profile: str = "r4") -> Iterator[dict[str, Any]]:
    """Return the resources of an NDJSON file, of a JSON file with a Bundle or a resource, or of a folder of such.

    Args:
        path: The file or folder; `.gz` is unpacked.
        validated: Check each resource; otherwise they are trusted to be valid, which is faster.
        profile: What to check against.

    Raises:
        UsageError: Something is no resource, or not a valid one; says in which file and line.
    """
    for file in _files(path):
        for where, resource in _content(file):
            yield _sound(resource, where, validated=validated, profile=profile)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.name.endswith(SUFFIXES))
    if not files:
        raise UsageError(f"{path}: holds no {', '.join(SUFFIXES)} file; give a file or folder with FHIR resources")
    return files


def _content(file: Path) -> Iterator[tuple[str, Any]]:
    if not file.is_file():
        raise UsageError(f"{file}: no such file; give an NDJSON file, a Bundle, or a folder of them")
    if file.suffix == ".json":
        yield from _of_json(file)
        return
    with _opened(file) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                where = f"{file}, line {number}"
                yield where, _parsed(line, where)


def _opened(file: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(file, "rb")) if file.suffix == ".gz" else file.open("rb")


def _of_json(file: Path) -> Iterator[tuple[str, Any]]:
    value = _parsed(file.read_bytes(), str(file))
    if not isinstance(value, dict) or value.get("resourceType") != "Bundle":
        yield str(file), value
        return
    for i, entry in enumerate(value.get("entry") or ()):
        yield f"{file}, entry {i + 1}", entry.get("resource") if isinstance(entry, dict) else None


def _parsed(text: bytes, where: str) -> Any:
    try:
        return parse(text)
    except FhirError as error:
        raise UsageError(f"{where}: {error}; mend it or leave it out") from None


def _sound(resource: Any, where: str, *, validated: bool, profile: str) -> dict[str, Any]:
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        raise UsageError(f"{where}: is no FHIR resource; every line or entry needs a resourceType")
    if not isinstance(resource.get("id"), str):
        raise UsageError(f"{where}: the {resource['resourceType']} has no id; give it one")
    if validated:
        faults = [i for i in validate(resource, profile=profile) if i.severity in ("error", "fatal")]
        if faults:
            place = ", ".join(faults[0].expression)
            more = f" (+{len(faults) - 1} more)" if len(faults) > 1 else ""
            raise UsageError(f"{where}: {place}: {faults[0].diagnostics}{more}; mend it or leave it out")
    return resource


def write_ndjson(state: State, path: Path) -> int:
    """Write every resource of a state, one a line; the file is there whole or not at all.

    Returns:
        How many.
    """
    return _write(path, state.texts())


def write_resources(path: Path, resources: Iterable[dict[str, Any]]) -> int:
    """Write resources, one a line; the file is there whole or not at all.

    Returns:
        How many.
    """
    return _write(path, map(dump, resources))


def _write(path: Path, texts: Iterable[str]) -> int:
    part = path.with_name(path.name + ".part")
    count = 0
    try:
        with part.open("w", encoding="utf-8") as file:
            for text in texts:
                file.write(text + "\n")
                count += 1
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return count
