"""Events are chained and refer to texts; lists, search, artifacts, annotations, tombstones and positions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

from wardround.trace.chain import next_head
from wardround.trace.rows import begun, updated
from wardround.trace.texts import dumped, quoted

revision = "0002"
down_revision = "0001"

_Name = sa.String().with_variant(sa.String(collation="C"), "postgresql")
_Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the new tables and move what the old ones hold."""
    connection = op.get_bind()
    for index in ("ix_runs_case_id", "ix_runs_started"):
        op.drop_index(index, "runs")
    op.rename_table("events", "old_events")
    op.rename_table("runs", "old_runs")
    tables = {**_make_runs(), **_make_events()}
    _make_search(connection.dialect.name)
    _make_artifacts()
    _make_notes()
    _move(connection, tables)
    op.drop_table("old_events")
    op.drop_table("old_runs")


def _names(*names: str, **options: Any) -> Iterator[sa.Column[Any]]:
    return (sa.Column(name, _Name, **options) for name in names)


def _run() -> sa.Column[Any]:
    return sa.Column("run", _Key, sa.ForeignKey("runs.key", ondelete="CASCADE"), primary_key=True)


def _make_runs() -> dict[str, sa.Table]:
    texts = op.create_table(
        "texts",
        sa.Column("id", _Key, primary_key=True),
        sa.Column("sha", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("form", _Name, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    runs = op.create_table(
        "runs",
        sa.Column("key", _Key, primary_key=True),
        sa.Column("id", _Name, nullable=False, unique=True),
        *_names("case_id", "kind", nullable=False),
        *_names("suite"),
        *_names("model", "started", "state", nullable=False),
        *_names("status", "diagnosis"),
        sa.Column("probability", sa.Double),
        *_names("reasons", nullable=False),
        *_names("urgency", "specialty"),
        sa.Column("calls", sa.Integer, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Double) for name in ("seconds", "money", "price_in", "price_out")),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("length", "indexed")),
        sa.Column("head", sa.LargeBinary, nullable=False),
        sa.Column("changed", sa.BigInteger, nullable=False),
        sa.Column("made_from", _Name, index=True),
        sa.Column("case_text", _Key, sa.ForeignKey("texts.id")),
        sqlite_autoincrement=True,
    )
    for name, by in _SORTS.items():
        op.create_index(f"ix_runs_by_{name}", "runs", [sa.text(by), "key"])
    op.create_index("ix_runs_changed", "runs", ["changed"])
    op.create_index("ix_runs_facets", "runs", ["state", "status", "model", "suite", "kind", "reasons", "tokens"])
    waits = sa.text("indexed < length")
    op.create_index("ix_runs_unindexed", "runs", ["key"], sqlite_where=waits, postgresql_where=waits)
    return {"texts": texts, "runs": runs}


_SORTS = {
    "started": "started",
    "case": "case_id",
    "model": "model",
    "diagnosis": "coalesce(diagnosis, '')",
    "probability": "coalesce(probability, -1.0)",
    "tokens": "tokens",
    "seconds": "coalesce(seconds, -1.0)",
}


def _make_events() -> dict[str, sa.Table]:
    events = op.create_table(
        "events",
        _run(),
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("event", _Name, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("head", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    uses = op.create_table(
        "uses",
        _run(),
        sa.Column("text", _Key, sa.ForeignKey("texts.id"), primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_uses_text", "uses", ["text"])
    return {"events": events, "uses": uses}


def _make_search(dialect: str) -> None:
    tokens = sa.Text().with_variant(TSVECTOR(), "postgresql")
    lines = sa.Column("lines", sa.Text, nullable=False)
    op.create_table("words", _run(), lines, sa.Column("tokens", tokens))
    if dialect == "postgresql":
        op.execute("CREATE INDEX ix_words_tokens ON words USING gin (tokens)")
        return
    op.execute(
        "CREATE VIRTUAL TABLE words_index USING fts5"
        "(lines, content='words', content_rowid='run', detail=none, columnsize=0, tokenize='ascii')"
    )
    op.execute(
        "CREATE TRIGGER words_added AFTER INSERT ON words BEGIN "
        "INSERT INTO words_index(rowid, lines) VALUES (new.run, new.lines); END"
    )
    op.execute(
        "CREATE TRIGGER words_removed AFTER DELETE ON words BEGIN "
        "INSERT INTO words_index(words_index, rowid, lines) VALUES ('delete', old.run, old.lines); END"
    )


def _make_artifacts() -> None:
    op.create_table(
        "artifacts",
        sa.Column("sha256", _Name, primary_key=True),
        sa.Column("media_type", _Name, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "artifact_uses",
        _run(),
        sa.Column("sha256", _Name, sa.ForeignKey("artifacts.sha256"), primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_artifact_uses_sha256", "artifact_uses", ["sha256"])


def _make_notes() -> None:
    op.create_table(
        "annotations",
        sa.Column("number", _Key, primary_key=True),
        sa.Column("run", _Name, nullable=False, index=True),
        *_names("target", "item", "label", nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        *_names("who", "time", nullable=False),
        *_names("reason", "truth"),
    )
    op.create_table(
        "tombstones",
        sa.Column("number", _Key, primary_key=True),
        *_names("run", "time", nullable=False),
        sa.Column("why", sa.Text, nullable=False),
    )
    counter = op.create_table("counter", sa.Column("changes", sa.BigInteger, nullable=False))
    op.execute(sa.insert(counter).values(changes=0))


def _move(connection: sa.Connection, tables: dict[str, sa.Table]) -> None:
    """Move the runs, the earliest first, so that they are numbered in the order in which they were begun."""
    old = sa.text("SELECT id, case_id, model, started, state, case_json FROM old_runs ORDER BY started, id")
    for position, row in enumerate(connection.execute(old).mappings().all(), start=1):
        _move_run(connection, tables, row, position)
        connection.execute(sa.text("UPDATE counter SET changes = :position"), {"position": position})


def _move_run(connection: sa.Connection, tables: dict[str, sa.Table], old: Any, position: int) -> None:
    bodies = sa.text("SELECT body FROM old_events WHERE run = :run ORDER BY seq")
    values = [json.loads(body) for body in connection.execute(bodies, {"run": old["id"]}).scalars()]
    blank = {"event": "run_started", "seq": 0, "settings": {}, "run": old["id"], "case": old["case_id"]}
    blank |= {"model": old["model"], "time": old["started"]}
    # A log that does not begin with its beginning was not written by us, but what there is of it is kept.
    row = updated(begun(values[0] if values and values[0]["event"] == "run_started" else blank), values)
    row |= {"state": old["state"], "changed": position, "length": len(values)}
    key = connection.execute(sa.insert(tables["runs"]).values(**row)).inserted_primary_key[0]  # type: ignore[index]
    head = b""
    for value in values:
        head = next_head(head, value)
        columns = {"run": key, "seq": value["seq"], "event": value["event"], "head": head}
        body = {name: quoted(inner) for name, inner in value.items() if name not in ("run", "seq", "event")}
        connection.execute(sa.insert(tables["events"]).values(**columns, body=dumped(body)))
    text = _keep_case(connection, tables, key, old["case_json"]) if old["case_json"] is not None else None
    connection.execute(sa.update(tables["runs"]).where(tables["runs"].c.key == key).values(head=head, case_text=text))


def _keep_case(connection: sa.Connection, tables: dict[str, sa.Table], run: int, case: str) -> int:
    texts, body = tables["texts"], dumped(case)
    sha = hashlib.sha256(f"text:{body}".encode()).digest()
    text = connection.execute(sa.select(texts.c.id).where(texts.c.sha == sha)).scalar_one_or_none()
    if text is None:
        row = sa.insert(texts).values(sha=sha, form="text", body=body)
        text = connection.execute(row).inserted_primary_key[0]  # type: ignore[index]
    connection.execute(sa.insert(tables["uses"]).values(run=run, text=text))
    return int(text)
