"""Pixels on their way from a decoder to what is sent: eight bits, no larger than wanted, upright.

Large images are converted and shrunk strip by strip, so that no second copy of one in full size is made.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wardround.models.images.picture import UnfitImage

MIN_SIDE = 32
"""Pixels; below this nothing clinical can be seen."""
MAX_PIXELS = 80_000_000
"""Above this an image is a whole slide or an attack; the largest mammograms and radiographs stay below 30 million."""

TURNED = "turned as its EXIF orientation says"

_STRIP = 1 << 20
"""Pixels that are converted at a time."""
_REDUCING_GAP = 2
"""Shrinking by averaging stops at this multiple of the final size; Pillow's filter, which is finer, does the rest."""


@dataclass(frozen=True)
class Decoded:
    """An image as a decoder gives it."""

    size: tuple[int, int]
    """Width and height of what `rows` gives."""
    stored: tuple[int, int]
    """Width and height in the file; larger where the decoder has shrunk it already."""
    rows: Callable[[int, int], Image.Image]
    """Rows from a first one up to a second one, in mode `L` or `RGB`."""
    changes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    turn: Image.Transpose | None = None
    """What brings it upright."""


def check_size(width: int, height: int, *, where: str) -> None:
    """Refuse an image by its declared size, before it is decoded.

    Raises:
        UnfitImage: A side is shorter than `MIN_SIDE`, or there are more than `MAX_PIXELS`.
    """
    if min(width, height) < MIN_SIDE:
        what = f"{width} x {height} pixels are too few to see anything; {MIN_SIDE} on each side are needed"
        raise UnfitImage(what, where=where, mend="give the image in its full size")
    if width * height > MAX_PIXELS:
        what = f"{width} x {height} pixels are more than the {MAX_PIXELS / 1e6:.0f} million that are decoded"
        raise UnfitImage(what, where=where, mend="cut out the region in question, or scale it down")


def as_sent(decoded: Decoded, max_side: int) -> tuple[Image.Image, tuple[str, ...]]:
    """Return an image as it is sent, and what was done to it.

    Args:
        decoded: What a decoder gave.
        max_side: Pixels that the longer side has at most.
    """
    changes = list(decoded.changes)
    longest = max(decoded.size)
    image = _reduced(decoded, max(1, longest // (_REDUCING_GAP * max_side)))
    width, height = decoded.stored
    if max(width, height) > max_side:
        scale = max_side / max(width, height)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        image = image.resize(size, Image.Resampling.LANCZOS)
        changes.append(f"scaled from {width} x {height}")
    if decoded.turn is not None:
        image = image.transpose(decoded.turn)
        changes.append(TURNED)
    return image, tuple(changes)


def _reduced(decoded: Decoded, factor: int) -> Image.Image:
    """Put the strips together, each shrunk by a whole factor."""
    width, height = decoded.size
    rows = factor * max(1, _STRIP // (width * factor))
    whole: Image.Image | None = None
    for top in range(0, height, rows):
        strip = decoded.rows(top, min(top + rows, height)).reduce(factor)
        if whole is None:
            whole = Image.new(strip.mode, (strip.width, -(-height // factor)))
        whole.paste(strip, (0, top // factor))
    assert whole is not None  # the size was checked
    return whole


def grey_of(values: NDArray[Any], low: float, high: float) -> Image.Image:
    """Map values to 8 bits: what is not above `low` to black, `high` and above to white, linear between.

    Args:
        values: Rows x columns.
        low: Value that becomes 0.
        high: Value that becomes 255; not below `low`.
    """
    span = high - low
    exact: type[np.floating[Any]] = np.float32 if values.dtype.itemsize <= 2 else np.float64
    share: NDArray[Any] = np.subtract(values, low, dtype=exact) / span if span > 0 else (values > low).astype(exact)
    share = np.nan_to_num(share, copy=False, nan=0.0, posinf=1.0, neginf=0.0)
    return Image.fromarray(np.rint(share.clip(0.0, 1.0) * 255).astype(np.uint8))


def value_range(strips: Callable[[int, int], NDArray[Any]], size: tuple[int, int]) -> tuple[float, float] | None:
    """Return the lowest and the highest finite value, or nothing where no value is finite."""
    width, height = size
    rows = max(1, _STRIP // width)
    low, high = float("inf"), float("-inf")
    for top in range(0, height, rows):
        values = strips(top, min(top + rows, height))
        finite = values if values.dtype.kind in "iub" else values[np.isfinite(values)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return (low, high) if low <= high else None


def png(image: Image.Image) -> tuple[bytes, str]:
    """Return an image as a PNG file without metadata, and its SHA-256."""
    file = io.BytesIO()
    image.save(file, "PNG")
    data = file.getvalue()
    return data, hashlib.sha256(data).hexdigest()
