"""Runs are counted by what they cost."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Let the index that facets are counted from hold the tokens as well."""
    op.drop_index("ix_runs_facets", "runs")
    op.create_index("ix_runs_facets", "runs", ["state", "status", "model", "suite", "kind", "reasons", "tokens"])
