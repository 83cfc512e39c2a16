"""Full-text search: which runs hold words, and where.

A run is found by its words, however they are written: without regard to case and accents. What a model was sent is
not searched, since it repeats what else is in the log together with instructions that stand in every run.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TSQUERY

from wardround.core.errors import UsageError
from wardround.trace.reading import values_of
from wardround.trace.schema import RUNS, TEXTS, WORDS

LONGEST = 64
"""Characters of a word that count."""
MOST = 500_000
"""Characters of all different words of a run that are searched; PostgreSQL takes a million bytes."""
_NOT_WORDS = frozenset(("event", "run", "seq", "time", "span", "opened", "closed", "call", "request", "messages"))
_NOT_WORDS |= {"options", "original", "sha256"}
"""Fields that hold names for machines, or what was sent."""
_KNOWLEDGE = frozenset(("candidates", "bearing", "weight", "provenance"))
"""Evidence items that say nothing of the patient: in every run they name all that is known."""
_WORD = re.compile(r"[^\W_]+")
_AROUND = 60
"""Characters shown on each side of what was found."""


@dataclass(frozen=True)
class Hit:
    """A place in a log where words were found."""

    run: str
    seq: int
    """Of the event; -1 for the case."""
    field: str
    """Path within the event or the case, such as `item.source.text`."""
    snippet: str
    """The words with some of what stands around them. Untrusted."""


def folded(text: str) -> str:
    """Return text without case and accents.

    >>> folded("Fièvre À")
    'fievre a'
    """
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in apart if not unicodedata.combining(c))


def tokens(text: str) -> Iterator[str]:
    """Yield the words of a text as they are compared.

    >>> list(tokens("CRP 68.4 mg/L, Fièvre"))
    ['crp', '68', '4', 'mg', 'l', 'fievre']
    """
    return (match[:LONGEST] for match in _WORD.findall(folded(text)))


def runs_with(connection: sa.Connection, text: str) -> Any:
    """Return a query for the keys of runs that hold all words of a text.

    Raises:
        UsageError: The text has no words.
    """
    asked = _asked(text)
    if connection.dialect.name == "postgresql":
        words = " & ".join(f"'{word}':*" if begins else f"'{word}'" for word, begins in asked)
        return sa.select(WORDS.c.run).where(WORDS.c.tokens.op("@@")(sa.cast(sa.literal(words), TSQUERY)))
    words = " AND ".join(f'"{word}"*' if begins else f'"{word}"' for word, begins in asked)
    matching = sa.text("SELECT rowid FROM words_index WHERE words_index MATCH :words")
    return sa.select(matching.bindparams(words=words).columns(sa.column("rowid", sa.Integer)).subquery().c.rowid)


def unindexed(connection: sa.Connection) -> Sequence[int]:
    """Return keys of runs whose last words are not yet in the index."""
    return connection.execute(sa.select(RUNS.c.key).where(RUNS.c.indexed < RUNS.c.length)).scalars().all()


def index(connection: sa.Connection, run: int) -> None:
    """Bring the index up to date with a run."""
    lines, size, known = [], 0, set[str]()
    for texts in _by_event(connection, run):
        new = dict.fromkeys(word for _, text in texts for word in tokens(text) if word not in known)
        size += sum(len(word.encode()) + 1 for word in new)
        if size > MOST:
            break
        known |= new.keys()
        lines.append(" ".join(new))
    row = {"run": run, "lines": "\n".join(lines)}
    if connection.dialect.name == "postgresql":
        row["tokens"] = " ".join(known)
    connection.execute(sa.delete(WORDS).where(WORDS.c.run == run))
    connection.execute(sa.insert(WORDS).values(**row))
    connection.execute(sa.update(RUNS).where(RUNS.c.key == run).values(indexed=RUNS.c.length))


def search(connection: sa.Connection, text: str, limit: int) -> list[Hit]:
    """Return where the latest runs that hold all words of a text hold most of them, one place for each run.

    Raises:
        UsageError: The text has no words.
    """
    patterns = [re.compile(rf"(?<![^\W_]){word}" + ("" if begins else r"(?![^\W_])")) for word, begins in _asked(text)]
    found = sa.select(RUNS.c.key, RUNS.c.id, WORDS.c.lines).join(WORDS, WORDS.c.run == RUNS.c.key)
    found = found.where(RUNS.c.key.in_(runs_with(connection, text))).order_by(RUNS.c.key.desc()).limit(limit)
    hits = (_place(connection, row.key, row.id, row.lines, patterns) for row in connection.execute(found).all())
    return [hit for hit in hits if hit is not None]


def _asked(text: str) -> list[tuple[str, bool]]:
    found = [(word, end == "*") for word, end in re.findall(r"([^\W_]+)(\*?)", folded(text))]
    if not found:
        raise UsageError(f"there is no word in {text!r} to look for")
    return [(word[:LONGEST], begins) for word, begins in found]


def _by_event(connection: sa.Connection, run: int) -> Iterator[list[tuple[str, str]]]:
    """Yield the texts of a run's case, and then those of each event, with their fields."""
    yield _of_case(connection, run)
    for value in values_of(connection, run):
        yield _of_event(value)


def _of_case(connection: sa.Connection, run: int) -> list[tuple[str, str]]:
    query = sa.select(RUNS.c.id, RUNS.c.case_id, TEXTS.c.body)
    row = connection.execute(query.join_from(RUNS, TEXTS, isouter=True).where(RUNS.c.key == run)).one()
    case = _case(json.loads(row.body)) if row.body is not None else {}
    return [("run", row.id), ("case", row.case_id), *_leaves(case)]


def _of_event(value: Mapping[str, Any]) -> list[tuple[str, str]]:
    if value["event"] == "evidence_added" and value["item"]["item"] in _KNOWLEDGE:
        return []
    return list(_leaves({name: inner for name, inner in value.items() if name not in _NOT_WORDS}))


def _case(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {"case": text}


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from _leaves(inner, f"{path}.{n}")


def _place(
    connection: sa.Connection, key: int, run: str, lines: str, patterns: Sequence[re.Pattern[str]]
) -> Hit | None:
    """Return the text with the most of the words, among the events that first hold one of them."""
    seqs = {lines.count("\n", 0, match.start()) - 1 for p in patterns if (match := p.search(lines))}
    places = [(-1, field, text) for field, text in _of_case(connection, key)] if -1 in seqs else []
    for value in values_of(connection, key, seqs - {-1}):
        places += [(value["seq"], field, text) for field, text in _of_event(value)]
    best, most = None, 0
    for seq, field, text in places:
        found = [match for pattern in patterns if (match := pattern.search(folded(text)))]
        if len(found) > most:
            best, most = Hit(run, seq, field, _snippet(text, found[0].start())), len(found)
    return best


def _snippet(text: str, at: int) -> str:
    start, end = max(0, at - _AROUND), at + 2 * _AROUND  # folding moves places by little
    return ("… " if start else "") + " ".join(text[start:end].split()) + (" …" if end < len(text) else "")
