"""Judgements may name a class of failure, and what would have been right."""

from __future__ import annotations

from typing import Literal

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns; what was judged before names neither."""
    name = sa.String().with_variant(sa.String(collation="C"), "postgresql")
    # SQLite would put columns added later behind the keys of the table, so that it were made unlike a new one.
    how: Literal["always", "never"] = "always" if op.get_bind().dialect.name == "sqlite" else "never"
    with op.batch_alter_table("annotations", recreate=how) as table:
        table.add_column(sa.Column("reason", name))
        table.add_column(sa.Column("truth", name))
