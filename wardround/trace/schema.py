"""The tables of the trace store, the same in SQLite and PostgreSQL."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TSVECTOR

REVISION = "0002"
"""Of the tables below: that of the newest file in `migrations/versions`."""

METADATA = sa.MetaData()

# PostgreSQL sorts by the rules of some language unless told otherwise, and then no index serves for beginnings.
Name = sa.String().with_variant(sa.String(collation="C"), "postgresql")
# SQLite numbers rows by itself only where the type is called INTEGER.
Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Tokens = sa.Text().with_variant(TSVECTOR(), "postgresql")


def _of_run(**options: Any) -> sa.Column[Any]:
    return sa.Column("run", Key, sa.ForeignKey("runs.key", ondelete="CASCADE"), **options)


RUNS = sa.Table(
    "runs",
    METADATA,
    sa.Column("key", Key, primary_key=True),
    sa.Column("id", Name, nullable=False, unique=True),
    sa.Column("case_id", Name, nullable=False),
    sa.Column("kind", Name, nullable=False),
    sa.Column("suite", Name),
    sa.Column("model", Name, nullable=False),
    sa.Column("started", Name, nullable=False),
    sa.Column("state", Name, nullable=False),
    sa.Column("status", Name),
    sa.Column("diagnosis", Name),
    sa.Column("probability", sa.Double),
    sa.Column("reasons", Name, nullable=False),
    sa.Column("urgency", Name),
    sa.Column("specialty", Name),
    sa.Column("calls", sa.Integer, nullable=False),
    sa.Column("tokens", sa.BigInteger, nullable=False),
    sa.Column("seconds", sa.Double),
    sa.Column("money", sa.Double),
    sa.Column("price_in", sa.Double),
    sa.Column("price_out", sa.Double),
    sa.Column("length", sa.Integer, nullable=False),
    sa.Column("indexed", sa.Integer, nullable=False),
    sa.Column("head", sa.LargeBinary, nullable=False),
    sa.Column("changed", sa.BigInteger, nullable=False),
    sa.Column("made_from", Name, index=True),
    sa.Column("case_text", Key, sa.ForeignKey("texts.id")),
    sqlite_autoincrement=True,  # the number of a run that is gone is never given again
)
"""One row for each run, kept in step with its events; `length` counts them, `head` ends their chain, and `made_from`
is the run that this one is a fork or a replay of."""

EVENTS = sa.Table(
    "events",
    METADATA,
    _of_run(primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("event", Name, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("head", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
"""The log; a body holds what no other column does, its long parts by reference to `texts`."""

TEXTS = sa.Table(
    "texts",
    METADATA,
    sa.Column("id", Key, primary_key=True),
    sa.Column("sha", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("form", Name, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)
"""What is long in events and cases, each once in the store."""

USES = sa.Table(
    "uses",
    METADATA,
    _of_run(primary_key=True),
    sa.Column("text", Key, sa.ForeignKey("texts.id"), primary_key=True),
    sa.Index("ix_uses_text", "text"),
    sqlite_with_rowid=False,
)
"""Which texts a run needs, those within other texts included."""

WORDS = sa.Table(
    "words",
    METADATA,
    _of_run(primary_key=True),
    sa.Column("lines", sa.Text, nullable=False),
    sa.Column("tokens", Tokens),
)
"""The words of a run for searching, each once: the first line has those of the case, line n + 2 those that event n
adds. PostgreSQL searches `tokens`, which is the same; SQLite its index of `lines`."""

ARTIFACTS = sa.Table(
    "artifacts",
    METADATA,
    sa.Column("sha256", Name, primary_key=True),
    sa.Column("media_type", Name, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
)
ARTIFACT_USES = sa.Table(
    "artifact_uses",
    METADATA,
    _of_run(primary_key=True),
    sa.Column("sha256", Name, sa.ForeignKey("artifacts.sha256"), primary_key=True),
    sa.Index("ix_artifact_uses_sha256", "sha256"),
    sqlite_with_rowid=False,
)

ANNOTATIONS = sa.Table(
    "annotations",
    METADATA,
    sa.Column("number", Key, primary_key=True),
    sa.Column("run", Name, nullable=False, index=True),
    sa.Column("target", Name, nullable=False),
    sa.Column("item", Name, nullable=False),
    sa.Column("label", Name, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("who", Name, nullable=False),
    sa.Column("time", Name, nullable=False),
    sa.Column("reason", Name),
    sa.Column("truth", Name),
)
"""By the run's id, so that they outlive a run that is begun again. `truth` holds ids of conditions with blanks between
them: none of them is something else than no value, which says that the truth is not known."""

TOMBSTONES = sa.Table(
    "tombstones",
    METADATA,
    sa.Column("number", Key, primary_key=True),
    sa.Column("run", Name, nullable=False),
    sa.Column("time", Name, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
)
"""What is left of a run that was removed."""

COUNTER = sa.Table("counter", METADATA, sa.Column("changes", sa.BigInteger, nullable=False))
"""One row: how often any run changed."""

SORTS: dict[str, sa.ColumnElement[Any]] = {
    "started": RUNS.c.started,
    "case": RUNS.c.case_id,
    "model": RUNS.c.model,
    "diagnosis": sa.func.coalesce(RUNS.c.diagnosis, sa.literal_column("''")),
    "probability": sa.func.coalesce(RUNS.c.probability, sa.literal_column("-1.0")),
    "tokens": RUNS.c.tokens,
    "seconds": sa.func.coalesce(RUNS.c.seconds, sa.literal_column("-1.0")),
}
"""What runs can be sorted by; each has an index, and no value sorts below all values."""
for _name, _by in SORTS.items():
    sa.Index(f"ix_runs_by_{_name}", _by, RUNS.c.key)
sa.Index("ix_runs_changed", RUNS.c.changed)
FACETS = ("state", "status", "model", "suite", "kind", "reasons", "tokens")
"""Columns that runs are counted by, from the index alone."""
sa.Index("ix_runs_facets", *(RUNS.c[name] for name in FACETS))
sa.Index(
    "ix_runs_unindexed",
    RUNS.c.key,
    sqlite_where=RUNS.c.indexed < RUNS.c.length,
    postgresql_where=RUNS.c.indexed < RUNS.c.length,
)

SQLITE_SEARCH = (
    "CREATE VIRTUAL TABLE words_index USING fts5"
    "(lines, content='words', content_rowid='run', detail=none, columnsize=0, tokenize='ascii')",
    "CREATE TRIGGER words_added AFTER INSERT ON words BEGIN "
    "INSERT INTO words_index(rowid, lines) VALUES (new.run, new.lines); END",
    "CREATE TRIGGER words_removed AFTER DELETE ON words BEGIN "
    "INSERT INTO words_index(words_index, rowid, lines) VALUES ('delete', old.run, old.lines); END",
)
"""The index of `words`, kept in step by triggers; tokens come folded, so that only ASCII blanks part them."""
POSTGRESQL_SEARCH = ("CREATE INDEX ix_words_tokens ON words USING gin (tokens)",)


def create_tables(connection: sa.Connection) -> None:
    """Make all tables, their indexes and the counter in an empty database."""
    METADATA.create_all(connection, checkfirst=False)
    for statement in SQLITE_SEARCH if connection.dialect.name == "sqlite" else POSTGRESQL_SEARCH:
        connection.execute(sa.text(statement))
    connection.execute(sa.insert(COUNTER).values(changes=0))
