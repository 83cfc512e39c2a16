"""Where answers of models are kept, and taken from in place of asking again."""

from __future__ import annotations

import difflib
import json
import os
import sqlite3
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import ValidationError

from wardround.core.errors import NotRecorded, StoreError, UsageError
from wardround.models.requests import Reply, Request
from wardround.trace.events import Event, ModelAnswered, ModelAsked, Origin

Replies = tuple[Reply, ...]
MASK = "***"


class Calls(Protocol):
    """Answers by the key of what was sent."""

    @property
    def origin(self) -> Origin:
        """What an answer from here is called in a log."""
        ...

    def find(self, request: Request, /) -> Replies | None:
        """Return the answers to a request, one for each of its rollouts; nothing where it was not kept.

        Raises:
            NotRecorded: It must not be asked anew.
        """
        ...

    def keep(self, request: Request, replies: Replies, /) -> None:
        """Keep what a model answered just now."""
        ...


class LoggedCalls:
    """The answers in the log of a run."""

    def __init__(self, events: Iterable[Event], *, run: str, origin: Origin) -> None:
        """Read a log.

        Args:
            events: The log.
            run: Its name, for errors.
            origin: `replay` answers from here alone; `log` leaves the rest to the model.
        """
        self.origin = origin
        self._run = run
        answers = {}
        asked: dict[str, dict[int, str]] = {}
        self._questions: list[ModelAsked] = []
        for event in events:
            if isinstance(event, ModelAnswered):
                answers[event.call] = _reply(event)
            elif isinstance(event, ModelAsked) and event.request is not None:
                asked.setdefault(event.request, {})[event.rollout] = event.call
                self._questions.append(event)
        self._calls = {
            key: tuple(call for _, call in sorted(calls.items()))
            for key, calls in asked.items()
            if all(call in answers for call in calls.values())
        }
        self._replies = {key: tuple(answers[call] for call in calls) for key, calls in self._calls.items()}

    def find(self, request: Request, /) -> Replies | None:
        """Return the recorded answers.

        Raises:
            NotRecorded: There are none and the log is replayed; says how the nearest question differs.
        """
        found = self._replies.get(request.key)
        if found is None and self.origin is Origin.REPLAY:
            raise NotRecorded(f"replay:{self._run}", self._missing(request))
        return found

    def keep(self, request: Request, replies: Replies, /) -> None:
        """Do nothing: the log is written by the recorder."""

    def recorded(self, request: Request) -> Replies | None:
        """Return the recorded answers, or nothing."""
        return self._replies.get(request.key)

    def edited(self, texts: Mapping[str, str]) -> dict[str, Replies]:
        """Return the answers to those requests in which some have another text.

        Args:
            texts: By the id of the call.

        Raises:
            UsageError: The log has no such call.
        """
        calls = {call: (key, place) for key, calls in self._calls.items() for place, call in enumerate(calls)}
        found: dict[str, list[Reply]] = {}
        for call, text in texts.items():
            if call not in calls:
                near = difflib.get_close_matches(call, calls, n=3, cutoff=0.0)
                raise UsageError(f"run {self._run} has no answered call {call!r}; it has {', '.join(near) or 'none'}")
            key, place = calls[call]
            found.setdefault(key, list(self._replies[key]))[place] = Reply(text=text)
        return {key: tuple(replies) for key, replies in found.items()}

    def _missing(self, request: Request) -> str:
        what = f"the run holds no answer to request {request.key}"
        if not self._questions:
            return f"{what}, nor to any other; its model calls were recorded by a version without keys"
        same = [q for q in self._questions if q.messages == request.messages]
        if same:
            differing = sorted(_differing(same[0].options or {}, request.options)) or ["rollouts"]
            return f"{what}: the same was asked with other {', '.join(differing)}; use the settings of the run"
        return f"{what}: nothing with these words was asked in it; use its case, settings and version"


def _reply(event: ModelAnswered) -> Reply:
    return Reply(
        text=event.text,
        tool_calls=event.tool_calls,
        invalid_tool_calls=event.invalid_tool_calls,
        finish=event.finish,
        refusal=event.refusal,
        served_by=event.served_by,
        input_tokens=event.input_tokens,
        output_tokens=event.output_tokens,
        logprobs=event.logprobs,
    )


def _differing(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


class ForkedCalls:
    """What a run was answered, for another run that differs from it: what it was not asked is left to the model."""

    origin = Origin.REPLAY

    def __init__(self, log: LoggedCalls) -> None:
        """Take the answers of a log."""
        self._log = log

    def find(self, request: Request, /) -> Replies | None:
        """Return the recorded answers, or nothing."""
        return self._log.recorded(request)

    def keep(self, request: Request, replies: Replies, /) -> None:
        """Do nothing: the log of the new run is written by its recorder."""


class EditedCalls:
    """Answers that were put in the place of recorded ones."""

    origin = Origin.EDIT

    def __init__(self, log: LoggedCalls, texts: Mapping[str, str]) -> None:
        """Take the answers of a log with other texts.

        Args:
            log: The answers as they were.
            texts: By the id of the call.

        Raises:
            UsageError: The log has no such call.
        """
        self._replies = log.edited(texts)

    def find(self, request: Request, /) -> Replies | None:
        """Return the edited answers, or nothing."""
        return self._replies.get(request.key)

    def keep(self, request: Request, replies: Replies, /) -> None:
        """Do nothing: the log of the new run is written by its recorder."""

    @property
    def keys(self) -> set[str]:
        """Keys of the requests that are answered so."""
        return set(self._replies)


class CallCache:
    """Answers in an SQLite file, for as long as the user keeps it."""

    origin = Origin.CACHE

    def __init__(self, path: Path) -> None:
        """Open the file, making it if there is none.

        Raises:
            StoreError: It cannot be made or is something else.
        """
        self._path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._connection = sqlite3.connect(path, timeout=30, check_same_thread=False, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS calls (key TEXT PRIMARY KEY, model TEXT NOT NULL, replies TEXT NOT NULL)"
            )
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{path} cannot be used as a cache ({error}); give another file") from error

    def find(self, request: Request, /) -> Replies | None:
        """Return what was answered before, or nothing."""
        with self._lock, closing(self._executed("SELECT replies FROM calls WHERE key = ?", request.key)) as rows:
            row = rows.fetchone()
        if row is None:
            return None
        try:
            return tuple(Reply.model_validate(reply) for reply in json.loads(row[0]))
        except ValueError as error:
            what = f"{self._path} holds answers that this version cannot read"
            raise StoreError(f"{what}; take the file away, or give another") from error

    def keep(self, request: Request, replies: Replies, /) -> None:
        """Keep the answers, unless there are some already."""
        body = json.dumps([reply.model_dump(mode="json") for reply in replies])
        with self._lock:
            self._executed("INSERT OR IGNORE INTO calls VALUES (?, ?, ?)", request.key, request.model, body).close()

    def forget(self, keys: Collection[str], /) -> int:
        """Remove the answers to requests by their keys for good, and return how many there were."""
        with self._lock:
            self._executed("PRAGMA secure_delete = ON").close()
            gone = sum(self._executed("DELETE FROM calls WHERE key = ?", key).rowcount for key in keys)
            self._executed("VACUUM").close()
            self._executed("PRAGMA wal_checkpoint(TRUNCATE)").close()
        return gone

    def _executed(self, statement: str, *values: str) -> sqlite3.Cursor:
        try:
            return self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise StoreError(f"{self._path} cannot be used as a cache ({error}); give another file") from error

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


class Cassette:
    """Answers in a file of JSON lines that can be read, committed and reviewed: for tests of workflows.

    Each line holds the key, what was sent (so that a reviewer sees it) and what was answered. Secrets are
    masked in what was sent; the key is that of the real request.
    """

    origin = Origin.CASSETTE

    def __init__(
        self, path: Path, *, mode: Literal["once", "replay", "new"] = "replay", secrets: Sequence[str] = ()
    ) -> None:
        """Open a cassette.

        Args:
            path: The file.
            mode: `replay` answers from the file alone and fails on anything else; `new` begins the file anew
                and asks the model; `once` is `replay` where the file is there and `new` where it is not.
            secrets: Texts of what is sent that must not stand in the file, beside the values of environment
                variables whose names end in KEY, TOKEN, SECRET or PASSWORD. Answers are kept as they are.

        Raises:
            UsageError: There is no such file to be replayed, it is no cassette, or a secret is empty.
        """
        if not all(secret.strip() for secret in secrets):
            raise UsageError("a secret is empty, and would mask everything; leave it out")
        self._path = path
        self._records = mode == "new" or (mode == "once" and not path.exists())
        self._secrets = (*secrets, *_environment_secrets())
        self._lock = threading.Lock()
        self._kept: dict[str, Replies] = {}
        if self._records:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("", encoding="utf-8")
        else:
            self._kept = _read_cassette(path)

    def find(self, request: Request, /) -> Replies | None:
        """Return the answers.

        Raises:
            NotRecorded: The cassette does not hold them, and does not record.
        """
        found = self._kept.get(request.key)
        if found is None and not self._records:
            what = f"{self._path} holds no answer to request {request.key}; record it anew with mode='new'"
            raise NotRecorded(request.model, what)
        return found

    def keep(self, request: Request, replies: Replies, /) -> None:
        """Write what was answered."""
        line = {
            "key": request.key,
            "request": self._masked(request.model_dump(mode="json")),
            "replies": [reply.model_dump(mode="json", exclude_defaults=True) for reply in replies],
        }
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False, sort_keys=True) + "\n")
            self._kept[request.key] = replies

    def _masked(self, value: Any) -> Any:
        if isinstance(value, str):
            for secret in self._secrets:
                value = value.replace(secret, MASK)
        elif isinstance(value, dict):
            return {key: self._masked(inner) for key, inner in value.items()}
        elif isinstance(value, list):
            return [self._masked(inner) for inner in value]
        return value


_SHORTEST_SECRET = 8
"""A shorter value, such as a placeholder, would mask ordinary words."""


def _environment_secrets() -> tuple[str, ...]:
    endings = ("KEY", "TOKEN", "SECRET", "PASSWORD")
    values = (value for name, value in os.environ.items() if name.upper().endswith(endings))
    return tuple(value for value in values if len(value) >= _SHORTEST_SECRET)


def _read_cassette(path: Path) -> dict[str, Replies]:
    try:
        lines = path.read_text("utf-8").removesuffix("\n").split("\n")  # JSON may hold other line breaks
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: no cassette can be read ({error}); record one with mode='new'") from error
    kept: dict[str, Replies] = {}
    for n, line in enumerate(lines if lines != [""] else [], start=1):
        try:
            entry = json.loads(line)
            kept[entry["key"]] = tuple(Reply.model_validate(reply) for reply in entry["replies"])
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            raise UsageError(f"{path}, line {n}: no call of a cassette; record it anew with mode='new'") from error
    return kept
