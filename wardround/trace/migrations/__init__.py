"""Older databases are brought to the tables of this version, step by step, by Alembic."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

FIRST = "0001"
"""The tables as they were before they had a number."""


def migrate(connection: sa.Connection, revision: str | None) -> None:
    """Bring a database to the newest tables, within the transaction of the connection.

    Args:
        connection: In a transaction that writes.
        revision: Of its tables now; nothing where they have no number yet.
    """
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    if revision is None:
        command.stamp(config, FIRST)
    command.upgrade(config, "head")
