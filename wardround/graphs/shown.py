"""The images that a run was shown, as they are kept with it: its case names files, which may be gone by now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wardround.core.case import Case
from wardround.models.images import Picture
from wardround.trace.events import Event, ImageRead

if TYPE_CHECKING:
    from wardround.trace.store import RunStore


def shown_in(events: Sequence[Event], case: Case, store: RunStore) -> tuple[Picture, ...]:
    """Return the images of a run in the order of its case; none where the run read none, or one is not kept.

    Args:
        events: The log; a run that was resumed read its images again.
        case: Of the run.
        store: Where the run is kept.
    """
    read = [event for event in events if isinstance(event, ImageRead)][: len(case.images)]
    kept = {artifact.sha256 for artifact in store.artifacts(events[0].run)} if read else set()
    if len(read) < len(case.images) or not all(event.sha256 in kept for event in read):
        return ()
    return tuple(_picture(event, *store.artifact(event.sha256)) for event in read)


def _picture(event: ImageRead, data: bytes, media_type: str) -> Picture:
    return Picture(
        uri=event.uri,
        sha256=event.sha256,
        mime_type=media_type,
        width=event.width,
        height=event.height,
        data=data,
        original=event.original,
        changes=event.changes,
        problems=event.problems,
    )
