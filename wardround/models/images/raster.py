"""Images in the common formats, through Pillow.

Only formats whose decoders are written in C and read no other file are let in: PostScript would start a program.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from wardround.models.images.bounded import Bounded, Excessive
from wardround.models.images.picture import UnfitImage
from wardround.models.images.pixels import TURNED, Decoded, check_size, grey_of, value_range

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "JPEG2000")

_COUNTED_BY_READING = ("GIF", "TIFF")
_HUNGRY = ("WEBP", "JPEG2000")
_MAX_HUNGRY = 25_000_000
"""Pixels; these decoders were measured to take 15 and 19 bytes for each, others 5."""
_READS, _VOLUME = 10_000, 16_000_000
"""Calls and bytes that metadata may take; files of scanners and cameras stay below a tenth."""
_PIXEL_READS = 300_000
_MAX_TILES = 100_000
_MAX_EXIF = 65_536
"""Bytes; what a JPEG segment holds at most."""
_MAX_SCANNED = 1_000_000_000
"""Pixels times scans of a progressive JPEG, each of which goes over the whole image; 10 scans are usual."""
_START_OF_SCAN = b"\xff\xda"
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How the pixels of each EXIF orientation (CIPA DC-008, section 4.6.4) come upright; 1 is upright."""
_WIDE = {"I": "32-bit grey values", "F": "floating-point grey values"}
_AS_PNG = "save it as PNG"

Rows = Callable[[int, int], Image.Image]


def decode(file: Bounded, *, max_side: int, where: str) -> Decoded:
    """Decode the first frame of an image.

    Args:
        file: From its beginning.
        max_side: What will be sent at most; a JPEG is decoded no larger than it needs.
        where: Named in errors.

    Raises:
        UnfitImage: Too small, too large, or of a kind that is not read.
        Excessive: It asks for more reading than an image needs.
        Exception: Whatever Pillow raises at a broken file.
    """
    file.allow(reads=_READS, volume=_VOLUME)
    image = Image.open(file, formats=FORMATS)  # type: ignore[arg-type]
    check_size(*image.size, where=where)
    _check_effort(image, file, where=where)
    lost = _lost(image)
    turned = _orientation(image)[0] in _TURNS if image.format == "TIFF" else False
    stored = image.size
    if image.format in ("JPEG", "MPO"):
        scale = 2 * max_side / max(stored)
        image.draft(None, (max(1, int(stored[0] * scale)), max(1, int(stored[1] * scale))))
    file.allow(reads=_PIXEL_READS, volume=_VOLUME + 9 * stored[0] * stored[1])
    image.load()
    if image.format == "TIFF":  # Pillow turns these as it loads them
        stored = image.size
    rows, converted = _eight_bit(image, where=where)
    orientation, problems = _orientation(image)
    changes = ([TURNED] if turned else []) + lost + converted + _frames(image, file)
    return Decoded(image.size, stored, rows, tuple(changes), problems, turn=_TURNS.get(orientation))


def _check_effort(image: ImageFile.ImageFile, file: Bounded, *, where: str) -> None:
    """Refuse what is cheap to write and dear to decode."""
    if image.format in _HUNGRY and image.width * image.height > _MAX_HUNGRY:
        what = f"{image.width} x {image.height} pixels are too many for {image.format}, whose decoder copies them"
        raise UnfitImage(what, where=where, mend="save it as PNG or JPEG, or scale it down")
    if len(image.tile) > _MAX_TILES:
        raise UnfitImage(f"it is cut into {len(image.tile)} pieces", where=where, mend=_AS_PNG)
    if any(tile.codec_name == "bmp_rle" for tile in image.tile):
        raise UnfitImage("run-length coded BMP is not read", where=where, mend=_AS_PNG)
    if image.info.get("progressive"):
        scans = _count(file, _START_OF_SCAN)
        if scans * image.width * image.height > _MAX_SCANNED:
            raise UnfitImage(f"a JPEG of {scans} scans takes too long to decode", where=where, mend=_AS_PNG)


def _count(file: Bounded, mark: bytes) -> int:
    """Count a mark in the whole file, and go back to where it was."""
    place, found, last = file.tell(), 0, b""
    file.seek(0)
    file.allow(reads=_PIXEL_READS, volume=1 << 40)
    while block := file.read(1 << 20):
        block = last + block
        found += block.count(mark)
        last = block[-1:]
    file.seek(place)
    return found


def _orientation(image: Image.Image) -> tuple[int, tuple[str, ...]]:
    """Return the EXIF orientation, 1 where there is none, and why it could not be read."""
    unread = ("its EXIF data cannot be read; it may lie on its side",)
    if len(image.info.get("exif") or b"") > _MAX_EXIF:
        return 1, unread
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except Excessive:
        raise
    except Exception:  # Pillow raises what it happens to meet; the pixels may be sound
        return 1, unread
    return (orientation, ()) if isinstance(orientation, int) else (1, unread)


def _lost(image: ImageFile.ImageFile) -> list[str]:
    """What is lost because Pillow or the form that is sent cannot hold it."""
    changes = []
    if image.mode in ("RGB", "RGBA", "LA") and any("16" in str(tile.args) for tile in image.tile):
        changes.append("16-bit channels cut to their upper 8 bits")
    if image.info.get("icc_profile"):
        changes.append("colour profile dropped, values kept")
    return changes


def _frames(image: ImageFile.ImageFile, file: Bounded) -> list[str]:
    """Say how many frames there are where that is told with little reading."""
    try:
        frames = _counted(file) if image.format in _COUNTED_BY_READING else getattr(image, "n_frames", 1)
    except Exception:  # further frames are not shown, so that they are broken or endless is no fault of this one
        return ["frame 1, others not looked for"]
    return [f"frame 1 of {frames}"] if frames > 1 else []


def _counted(file: Bounded) -> int:
    """Count with another reader, since one that is stopped on the way would go on with the frame it stands at."""
    file.seek(0)
    file.allow(reads=_READS, volume=_VOLUME)
    return int(getattr(Image.open(file, formats=_COUNTED_BY_READING), "n_frames", 1))  # type: ignore[arg-type]


def _eight_bit(image: Image.Image, *, where: str) -> tuple[Rows, list[str]]:
    """Return what gives rows in 8 bits, and what is done to them."""
    if image.mode.startswith("I;16") or image.mode in _WIDE:
        return _wide_grey(image, where=where)
    if image.has_transparency_data:
        return (lambda a, b: _on_black(_cut(image, a, b))), ["transparent parts laid on black"]
    if image.mode in ("L", "RGB"):
        return (lambda a, b: _cut(image, a, b)), []
    if image.mode in ("1", "LA", "La"):
        return (lambda a, b: _cut(image, a, b).convert("L")), []
    note = [] if image.mode in ("P", "YCbCr", "RGBA", "RGBX") else [f"converted from {image.mode} to RGB"]
    return (lambda a, b: _cut(image, a, b).convert("RGB")), note


def _cut(image: Image.Image, top: int, bottom: int) -> Image.Image:
    return image.crop((0, top, image.width, bottom))


def _on_black(strip: Image.Image) -> Image.Image:
    """Lay a strip on black, which is to multiply its colours by their opacity."""
    if strip.mode in ("LA", "La"):
        return strip.convert("La").getchannel(0)
    painted = strip if strip.mode == "RGBa" else strip.convert("RGBA").convert("RGBa")
    red, green, blue, _ = painted.split()
    return red if strip.mode == "L" else Image.merge("RGB", (red, green, blue))


def _wide_grey(image: Image.Image, *, where: str) -> tuple[Rows, list[str]]:
    def values(top: int, bottom: int) -> NDArray[Any]:
        return np.asarray(_cut(image, top, bottom))

    found = value_range(values, image.size)
    if found is None:
        raise UnfitImage("not one of its values is a number", where=where, mend="check how it was written")
    low, high = found
    kind = _WIDE.get(image.mode, "16-bit grey values")
    words = f"{kind} mapped to 8 bits, window {low:.10g} to {high:.10g}"
    return (lambda a, b: grey_of(values(a, b), low, high)), [words]
