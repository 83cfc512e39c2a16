"""Images of a run: which there are, what was marked on them, and their pixels, which no event holds.

The pixels are read anew from where the case says they are, and shown only where they are the very bytes that the log
names. A region is a place on an image that a source names in the manner of W3C Media Fragments: its document is
`image:SHA256#xywh=percent:x,y,w,h`, or `#xywh=x,y,w,h` in pixels, or `#polygon=x,y,x,y,...` in pixels. One that is a
mask, `#mask=SHA256`, is only named here; what it covers is read by `wardround.dashboard.masks`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from wardround.core.case import Case
from wardround.core.errors import WardroundError
from wardround.core.evidence.lettering import harmless
from wardround.core.graph import EvidenceGraph
from wardround.core.source import Source
from wardround.dashboard.showing import visible
from wardround.trace.events import Event, ImageRead, RunStarted

_DOCUMENT = re.compile(r"image:([0-9a-f]{64})(?:#(.*))?", re.DOTALL)
_NUMBER = r"\d{1,9}(?:\.\d{1,9})?"
_BOX = re.compile(rf"xywh=(percent:|pixel:)?({_NUMBER}),({_NUMBER}),({_NUMBER}),({_NUMBER})")
_POLYGON = re.compile(rf"polygon=({_NUMBER}(?:,{_NUMBER}){{5,399}})")
_MASK = re.compile(r"mask=([0-9a-f]{64})")
Corners = tuple[tuple[float, float], ...]
SIDE = 1024
"""Pixels of the longer side where the run does not say."""


@dataclass(frozen=True)
class Region:
    """A place on an image."""

    source: str
    """Id of the source that names it."""
    words: str
    kind: str
    """box, outline or mask."""
    corners: Corners = ()
    """As shares of width and height in [0, 1]; of a mask its uppermost pixel, once it is read."""
    mask: str | None = None
    """SHA-256 of the file of a mask."""
    share: float | None = None
    """Of the image that it covers, in [0, 1]; of an outline, and of a mask that is not read, unknown."""
    problem: str = ""
    """Why it is not drawn."""

    @property
    def is_drawn(self) -> bool:
        """Whether it can be laid over its image."""
        return bool(self.corners) and not self.problem


@dataclass(frozen=True)
class Image:
    """One image of a case as a page shows it."""

    name: str
    """SHA-256 of the bytes that were sent; of an image that no model was shown its number, from 1."""
    uri: str
    heading: str
    width: int | None = None
    height: int | None = None
    changes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    regions: tuple[Region, ...] = ()

    @property
    def is_read(self) -> bool:
        """Whether a model was shown it."""
        return self.width is not None


def images_of(events: Sequence[Event], case: Case, graph: EvidenceGraph) -> tuple[Image, ...]:
    """Return the images of a run in the order of the case, with the regions that its sources name."""
    read = [event for event in events if isinstance(event, ImageRead)]
    unique = list({event.sha256: event for event in read}.values())
    if unique:
        return tuple(_image(event, n, case, graph.sources.values()) for n, event in enumerate(unique, start=1))
    return tuple(
        Image(name=str(n), uri=ref.uri[:200], heading=_heading(case, n)) for n, ref in enumerate(case.images, start=1)
    )


def _image(event: ImageRead, n: int, case: Case, sources: Iterable[Source]) -> Image:
    bare = Image(
        name=event.sha256,
        uri=event.uri,
        heading=_heading(case, n),
        width=event.width,
        height=event.height,
        changes=event.changes,
        problems=event.problems,
    )
    return replace(bare, regions=tuple(found for source in sources if (found := region_of(source, bare)) is not None))


def _heading(case: Case, n: int) -> str:
    ref = case.images[n - 1] if n <= len(case.images) else None
    what = ", ".join(part for part in (ref.modality, ref.body_part) if part) if ref is not None else ""
    return f"image {n}{f': {what}' if what else ''}"


def image_of(source: Source) -> str | None:
    """Return the SHA-256 of the image that a source speaks of."""
    found = _DOCUMENT.fullmatch(source.document)
    return found[1] if found is not None else None


def region_of(source: Source, image: Image) -> Region | None:
    """Return the place on an image that a source names; nothing where it names none, or none that lies on it."""
    found = _DOCUMENT.fullmatch(source.document)
    if found is None or found[1] != image.name or found[2] is None or not image.width or not image.height:
        return None
    place, width, height = found[2], float(image.width), float(image.height)
    if (mask := _MASK.fullmatch(place)) is not None:
        return Region(source=source.id, words=source.text, kind="mask", mask=mask[1])
    share: float | None = None
    if (box := _BOX.fullmatch(place)) is not None:
        x, y, w, h = (float(value) for value in box.groups()[1:])
        across, down = (100.0, 100.0) if box[1] == "percent:" else (width, height)
        corners = tuple((a / across, b / down) for a, b in ((x, y), (x + w, y), (x + w, y + h), (x, y + h)))
        kind, share = "box", w * h / (across * down)
    elif (outline := _POLYGON.fullmatch(place)) is not None:
        values = [float(value) for value in outline[1].split(",")]
        pairs = zip(values[::2], values[1::2], strict=False)
        corners, kind = tuple((x / width, y / height) for x, y in pairs), "outline"
    else:
        return None
    if not all(math.isfinite(v) and 0.0 <= v <= 1.0 for pair in corners for v in pair):
        return None
    return Region(source=source.id, words=source.text, kind=kind, corners=corners, share=share)


def overlay(image: Image, chosen: str | None = None, address: Callable[[str], str | None] | None = None) -> Markup:
    """Draw the regions of an image, to be laid over it; empty where there is none.

    Args:
        image: Read by a model.
        chosen: Id of the source whose region stands out; all do where not given.
        address: Where the coloured picture of a mask is, by the mask's name; without it no mask is drawn.
    """
    if not image.regions or not image.width or not image.height:
        return Markup("")
    parts = []
    for n, region in enumerate(image.regions, start=1):
        shape = _shape(region, image.width, image.height, address) if region.is_drawn else ""
        if shape:
            faint = "" if chosen in (None, region.source) else " im-faint"
            words = f"<title>{harmless(visible(region.words[:300]))}</title>"
            label = _label(n, region, image.width, image.height)
            parts.append(f'<g class="im-region im-n{n}{faint}">{words}{shape}{label}</g>')
    box = f'viewBox="0 0 {image.width} {image.height}"'
    return Markup(f'<svg class="im-overlay" {box} role="img" aria-label="marked regions">{"".join(parts)}</svg>')


def _shape(region: Region, width: int, height: int, address: Callable[[str], str | None] | None) -> str:
    if region.mask is None:
        points = " ".join(f"{x * width:.1f},{y * height:.1f}" for x, y in region.corners)
        return f'<polygon class="im-{region.kind}" points="{points}"/>'
    where = address(region.mask) if address is not None else None
    size = f'width="{width}" height="{height}" preserveAspectRatio="none"'
    return f'<image class="im-mask" href="{harmless(where)}" {size}/>' if where else ""


def _label(n: int, region: Region, width: int, height: int) -> str:
    size = max(12.0, max(width, height) / 40)
    x, y = region.corners[0]
    place = f'x="{x * width + 3:.1f}" y="{max(size, y * height - 4):.1f}" font-size="{size:.1f}"'
    return f'<text class="im-label" {place}>{n}</text>'


def pixels(events: Sequence[Event], case: Case, name: str) -> bytes:
    """Return an image of the case as a PNG file.

    Args:
        events: Of the run, which say how large it was sent.
        case: Says where it is.
        name: As `Image.name` has it.

    Raises:
        WardroundError: There is no such image, it cannot be read any more, or it is not what the run was shown.
    """
    from wardround.models.images import read_picture  # needs Pillow, which not every run does

    started = next((event for event in events if isinstance(event, RunStarted)), None)
    side = started.settings.get("image_side", SIDE) if started is not None else SIDE
    if name.isdecimal():
        n = int(name) if len(name) < 6 else 0
        if not 1 <= n <= len(case.images):
            raise WardroundError(f"the case has {len(case.images)} images and none of number {name[:10]}")
        return read_picture(case.images[n - 1], max_side=side).data
    shown = next((event.uri for event in events if isinstance(event, ImageRead) and event.sha256 == name), None)
    if shown is None:
        raise WardroundError("the run was shown no such image; its page lists those that it was")
    refs = sorted(case.images, key=lambda ref: ref.uri[:20] != shown[:20])
    faults = []
    for ref in refs:
        try:
            picture = read_picture(ref, max_side=side)
        except WardroundError as error:
            faults.append(str(error))
            continue
        if picture.sha256 == name:
            return picture.data
    why = faults[0] if faults else "the file has changed since"
    raise WardroundError(f"the image cannot be shown as the run was shown it: {why}")
