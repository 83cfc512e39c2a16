"""Run by Alembic: migrates on the connection that it is handed."""

from __future__ import annotations

from alembic import context

from wardround.trace.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
