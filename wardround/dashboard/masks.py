"""Masks on an image of a run, pixel for pixel: read from the files that are kept with the run, checked and coloured.

A source names one as `image:SHA256#mask=SHA256`, the second of them a file kept with the run. It is a PNG file in grey,
of 1 or 8 bits, as large as the image was sent; whatever is not black lies inside. One of another size is refused and
not stretched, since nobody can tell which pixels it meant.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from wardround.core.errors import WardroundError
from wardround.core.extras import require
from wardround.dashboard.images import Image, Region
from wardround.trace.store import RunStore

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Fetch = Callable[[str], bytes | None]
"""Returns a PNG file that is kept with a run, by its SHA-256; nothing where there is none."""

MOST_PIXELS = 20_000_000
"""Of a mask; images are sent with a twentieth of it."""
COLOUR = (255, 216, 77)
"""Red, green and blue of marked regions, as the stylesheet has them in `--region`."""
OPACITY = 0.45
"""Of the inside of a mask; its edge is opaque."""

_HEADER = struct.Struct(">8sI4sIIBB")
_START = (b"\x89PNG\r\n\x1a\n", 13, b"IHDR")
"""Signature, and length and name of the first chunk (W3C PNG, sections 5.2 and 11.2.1)."""
_KINDS = {0: "grey", 2: "colour", 3: "palette", 4: "grey with transparency", 6: "colour with transparency"}


class UnfitMask(WardroundError):
    """A mask that cannot be laid over its image; says why."""


def kept_with(store: RunStore, run: str) -> Fetch:
    """Return what fetches the PNG files that are kept with a run, and no file of another run."""
    named = {artifact.sha256 for artifact in store.artifacts(run) if artifact.media_type == "image/png"}
    return lambda name: store.artifact(name)[0] if name in named else None


def with_masks(images: Iterable[Image], fetch: Fetch) -> tuple[Image, ...]:
    """Return images with their masks looked at: where each begins and how much it covers, or why it is not drawn."""
    return tuple(replace(image, regions=tuple(_looked_at(image, fetch))) for image in images)


def _looked_at(image: Image, fetch: Fetch) -> Iterable[Region]:
    seen: dict[str, Region] = {}
    for region in image.regions:
        if region.mask is not None and region.mask not in seen:
            seen[region.mask] = _measured(region, region.mask, image, fetch)
        yield region if region.mask is None else replace(seen[region.mask], source=region.source, words=region.words)


def _measured(region: Region, name: str, image: Image, fetch: Fetch) -> Region:
    try:
        data = fetch(name)
        if data is None:
            raise UnfitMask("no PNG file of this name is kept with the run")
        inside = _inside(data, (image.width or 0, image.height or 0))
    except WardroundError as error:
        return replace(region, problem=f"its mask {name[:12]} is not drawn: {error}")
    share = 1.0 - inside.histogram()[0] / (inside.width * inside.height)
    around = inside.getbbox()
    if around is None:
        return replace(region, share=0.0)
    top = around[1]
    left, _, right, _ = inside.crop((0, top, inside.width, top + 1)).getbbox() or around
    return replace(region, share=share, corners=(((left + right) / 2 / inside.width, top / inside.height),))


def coloured(data: bytes) -> bytes:
    """Return a mask as a picture to be laid over its image: coloured inside, opaque at the edge, else transparent.

    Args:
        data: A mask as a PNG file, of any size.

    Returns:
        A PNG file of the same size, with a palette of three entries.

    Raises:
        UnfitMask: It is no mask, too large or broken.
        MissingExtra: Pillow is not installed.
    """
    inside = _inside(data)
    from PIL import ImageChops, ImageFilter

    core = inside.filter(ImageFilter.MinFilter(3))
    places = ImageChops.subtract(inside.point([0] + [2] * 255), core.point([0] + [1] * 255))
    places.putpalette([0, 0, 0, *COLOUR, *COLOUR])
    file = io.BytesIO()
    places.save(file, "PNG", bits=2, transparency=bytes((0, round(255 * OPACITY), 255)))
    return file.getvalue()


def _inside(data: bytes, size: tuple[int, int] | None = None) -> Picture:
    """Decode a mask in grey; its declared size and kind are judged before anything is unpacked."""
    require("PIL.Image", extra="images")
    from PIL import Image as Pillow

    _check(data, size)
    try:
        picture = Pillow.open(io.BytesIO(data), formats=("PNG",))
        return picture.convert("L")
    except Exception as error:  # Pillow raises whatever it happens to meet in a broken file
        raise UnfitMask(f"it is broken or cut off ({type(error).__name__})") from error


def _check(data: bytes, size: tuple[int, int] | None) -> None:
    found = _HEADER.unpack_from(data) if len(data) >= _HEADER.size else None
    if found is None or found[:3] != _START:
        raise UnfitMask("it is no PNG file")
    width, height, depth, kind = found[3:]
    if size is not None and (width, height) != size:
        raise UnfitMask(f"it has {width} x {height} pixels and the image {size[0]} x {size[1]}; it is not stretched")
    if not 0 < width * height <= MOST_PIXELS:
        raise UnfitMask(f"{width} x {height} pixels are none, or more than {MOST_PIXELS / 1e6:.0f} million")
    if kind != 0 or depth not in (1, 8):
        raise UnfitMask(f"it is in {_KINDS.get(kind, 'no known kind')}, {depth} bits; save it in grey, 1 or 8 bits")
