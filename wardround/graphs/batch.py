"""Many cases, each exactly once: results are appended as JSON lines and a broken run goes on where it stopped."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wardround.core.case import Case
from wardround.core.errors import CaseError, UsageError
from wardround.graphs.session import Session
from wardround.graphs.ward import Ward

CASES_FOR_A_CALL = 2
"""Cases under way for each model call that may be: most of a case's calls wait for one another."""
SUFFIXES = (".json", ".txt")


@dataclass(frozen=True)
class Entry:
    """One case of a batch, not yet read."""

    key: str
    """File name, or id or line number within a JSON-lines file."""
    load: Callable[[], Case]


def entries(source: Path) -> list[Entry]:
    """Return the cases of a folder (`.json` and `.txt`, in order of name) or of a JSON-lines file.

    Raises:
        UsageError: There is nothing there, or two cases have one key.
    """
    found = list(_of_folder(source) if source.is_dir() else _of_lines(source))
    if not found:
        raise UsageError(f"{source} holds no case; give a folder of .txt and .json files, or JSON lines")
    keys = [entry.key for entry in found]
    doubled = sorted({key for key in keys if keys.count(key) > 1}) if len(set(keys)) < len(keys) else []
    if doubled:
        raise UsageError(f"{source}: several cases are called {', '.join(doubled[:5])}; give each its own id")
    return found


def _of_folder(folder: Path) -> Iterator[Entry]:
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            yield Entry(path.name, lambda path=path: Case.from_file(path))  # type: ignore[misc]


def _of_lines(path: Path) -> Iterator[Entry]:
    with path.open(encoding="utf-8") as lines:
        for n, line in enumerate(lines, start=1):
            if line.strip():
                where = f"{path}, line {n}"
                yield Entry(
                    _key(line, n),
                    lambda line=line, where=where: Case.from_text(line, where=where),  # type: ignore[misc]
                )


def _key(line: str, n: int) -> str:
    try:
        value = json.loads(line)
    except ValueError:
        return f"line {n}"
    given = value.get("id") if isinstance(value, dict) else None
    return str(given) if given else f"line {n}"


@dataclass(frozen=True)
class Progress:
    """How far a batch is."""

    done: int
    total: int
    key: str
    """The case that has just ended."""
    result: dict[str, Any]


_BEGINNING = b'{"key": '
"""How every line of a result file begins; only such a line is taken for a torn one."""


class ResultFile:
    """Results as JSON lines, written so that a kill at any moment loses no whole line."""

    def __init__(self, path: Path, *, resume: bool) -> None:
        """Open a new file, or one to go on with.

        Raises:
            UsageError: The file is there already and is not to be resumed, or holds something else.
        """
        self._path = path
        self.keys: set[str] = set()
        if path.exists():
            if not resume:
                raise UsageError(f"{path} is there already; give --resume to go on, or another --out")
            self._recover()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")

    def _recover(self) -> None:
        """Read the keys that are there and cut off a line that was torn."""
        whole = 0
        with self._path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n") and line.startswith(_BEGINNING[: len(line)]):
                    break
                try:
                    self.keys.add(json.loads(line)["key"])
                except (ValueError, KeyError, TypeError) as error:
                    what = f"{self._path} holds a line that is no result of a batch"
                    raise UsageError(f"{what}; give another --out") from error
                whole += len(line)
        os.truncate(self._path, whole)

    def append(self, key: str, result: dict[str, Any]) -> None:
        """Write one result and see it onto the disk."""
        self._file.write(json.dumps({"key": key, **result}, ensure_ascii=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.keys.add(key)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


async def consult_many(
    ward: Ward,
    batch: list[Entry],
    results: ResultFile,
    *,
    told: Callable[[Progress], None] = lambda progress: None,
) -> None:
    """Consult every case that has no result yet, enough at once to keep the ward's model calls busy.

    A case that cannot be read becomes a result with an `error`; a model that cannot be reached ends the
    batch, since every further case would fail the same way.

    Args:
        ward: Who consults.
        batch: The cases.
        results: Where results go; what it holds already is not done again.
        told: Told after each case.

    Raises:
        ModelUnavailable: The model could not be reached; results so far are kept.
    """
    waiting = [entry for entry in batch if entry.key not in results.keys]
    done = len(batch) - len(waiting)
    queue = iter(waiting)

    async def worker(session: Session) -> None:
        nonlocal done
        for entry in queue:
            result = await _result(session, entry)
            results.append(entry.key, result)
            done += 1
            told(Progress(done, len(batch), entry.key, result))

    async with ward.session() as session, asyncio.TaskGroup() as group:
        for _ in range(min(CASES_FOR_A_CALL * ward.concurrency, len(waiting))):
            group.create_task(worker(session))


async def _result(session: Session, entry: Entry) -> dict[str, Any]:
    try:
        return (await session.consult(entry.load())).to_json()
    except CaseError as error:
        return {"error": {"kind": "case", "message": str(error)}}
