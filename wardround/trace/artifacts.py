"""Files of runs, such as images and reports, by the SHA-256 of their content; each is kept once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import sqlalchemy as sa

from wardround.core.errors import UsageError
from wardround.trace.schema import ARTIFACT_USES, ARTIFACTS
from wardround.trace.texts import unless_there


@dataclass(frozen=True)
class Artifact:
    """A file of a run."""

    sha256: str
    """Its name: of the content, 64 hexadecimal digits."""
    media_type: str
    """Such as `image/png`."""
    size: int
    """In bytes."""


def artifact_of(content: bytes, media_type: str) -> Artifact:
    """Name content without keeping it."""
    return Artifact(hashlib.sha256(content).hexdigest(), media_type, len(content))


def put(connection: sa.Connection, run: int, content: bytes, media_type: str) -> Artifact:
    """Keep content for a run; where it is kept already, the media type that was given first stands."""
    artifact = artifact_of(content, media_type)
    row = {"sha256": artifact.sha256, "media_type": media_type, "size": artifact.size, "content": content}
    connection.execute(unless_there(connection, ARTIFACTS), row)
    connection.execute(unless_there(connection, ARTIFACT_USES), {"run": run, "sha256": artifact.sha256})
    query = sa.select(ARTIFACTS.c.media_type).where(ARTIFACTS.c.sha256 == artifact.sha256)
    return Artifact(artifact.sha256, str(connection.execute(query).scalar_one()), artifact.size)


def read(connection: sa.Connection, sha256: str) -> tuple[bytes, str]:
    """Return content and media type.

    Raises:
        UsageError: Nothing of this name is kept.
    """
    query = sa.select(ARTIFACTS.c.content, ARTIFACTS.c.media_type).where(ARTIFACTS.c.sha256 == sha256)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise UsageError(f"no artifact {sha256!r} is kept")
    return bytes(row.content), row.media_type


def of_run(connection: sa.Connection, run: int) -> list[Artifact]:
    """Return what is kept for a run, by name."""
    columns = (ARTIFACTS.c.sha256, ARTIFACTS.c.media_type, ARTIFACTS.c.size)
    query = sa.select(*columns).join(ARTIFACT_USES, ARTIFACT_USES.c.sha256 == ARTIFACTS.c.sha256)
    query = query.where(ARTIFACT_USES.c.run == run).order_by(ARTIFACTS.c.sha256)
    return [Artifact(*row) for row in connection.execute(query)]
