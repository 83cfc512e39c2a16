"""Reading an image: from where a case says it is to what a model is sent."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from wardround.core.case import ImageRef
from wardround.core.errors import UsageError, WardroundError
from wardround.core.extras import require
from wardround.models.images.bounded import Bounded, Excessive
from wardround.models.images.files import open_image, sha256_of, shown
from wardround.models.images.gate import gate
from wardround.models.images.kinds import HEAD, named
from wardround.models.images.picture import Picture, UnfitImage

if TYPE_CHECKING:
    from PIL.Image import Image

    from wardround.models.images.pixels import Decoded

_FRESH = "copy or export it anew"

_ONE_AT_A_TIME = threading.RLock()
"""Held while an image is decoded: it keeps the memory to that of one, and guards the process-wide settings below."""


def read_picture(ref: ImageRef, *, max_side: int = 1024, within: Path | None = None) -> Picture:
    """Read an image and bring it into the form in which models are sent one.

    PNG, JPEG, TIFF, BMP, GIF, WebP, JPEG 2000 and DICOM are told by their content, whatever the file is called.
    The result is a PNG file without metadata, the same for the same file and version of Pillow. Threads take turns.

    Args:
        ref: Names it by a path, a `file:` or a `data:` URI; nothing is fetched from a network.
        max_side: Pixels that the longer side is scaled down to; at least 32.
        within: Folder that relative paths start from and that no path may leave; without one relative paths start
            from the working directory.

    Raises:
        UnfitImage: It cannot be read, or has too few or too many pixels.
        MissingExtra: Pillow, or for a DICOM file pydicom, is not installed.
        UsageError: `max_side` is too small.
    """
    require("PIL.Image", extra="images")
    from wardround.models.images.pixels import MIN_SIDE, png

    if max_side < MIN_SIDE:
        raise UsageError(f"max_side {max_side} leaves nothing to see; use {MIN_SIDE} or more")
    where = shown(ref.uri)
    with open_image(ref.uri, within=within) as file, _strict():
        original = sha256_of(file, where=where)
        image, changes, decoded = _processed(file, max_side, where=where)
        data, sha256 = png(image)
        problems = (*decoded.problems, *gate(image))
    return Picture(
        uri=where,
        sha256=sha256,
        mime_type="image/png",
        width=image.width,
        height=image.height,
        data=data,
        original=original,
        changes=changes,
        problems=problems,
        facts=decoded.facts,
    )


@contextmanager
def _strict() -> Iterator[None]:
    """Decode alone in the process, and by its strict settings whatever other code has set."""
    from PIL import Image, ImageFile

    with _ONE_AT_A_TIME, warnings.catch_warnings(), _silent("PIL", "pydicom"):
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        lenient, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
        try:
            yield
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = lenient


@contextmanager
def _silent(*names: str) -> Iterator[None]:
    """Keep loggers from writing, since both libraries quote metadata, in which names may stand."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _processed(file: BinaryIO, max_side: int, *, where: str) -> tuple[Image, tuple[str, ...], Decoded]:
    """Decode by content and bring it to what is sent.

    Decoders raise whatever they happen to meet in a broken file, and values in a header are met late; hence all
    of it is caught.
    """
    from PIL import UnidentifiedImageError
    from PIL.Image import DecompressionBombError, DecompressionBombWarning

    from wardround.models.images import dicom, raster
    from wardround.models.images.pixels import as_sent

    head = file.read(HEAD)
    file.seek(0)
    is_dicom = dicom.is_dicom(head)
    bounded = Bounded(file)
    try:
        if is_dicom:
            decoded = dicom.decode(bounded, where=where)
        else:
            decoded = raster.decode(bounded, max_side=max_side, where=where)
        return *as_sent(decoded, max_side), decoded
    except WardroundError:
        raise
    except Excessive as error:
        what = "its parts ask for more reading than an image needs"
        raise UnfitImage(what, where=where, mend="save the image alone, as PNG") from error
    except UnidentifiedImageError as error:
        what, mend = named(head)
        raise UnfitImage(what, where=where, mend=mend) from error
    except (DecompressionBombError, DecompressionBombWarning) as error:
        what = "it unfolds into more pixels than are decoded"
        raise UnfitImage(what, where=where, mend="cut out the region in question, or scale it down") from error
    except Exception as error:
        what = f"it is broken or cut off ({type(error).__name__})"
        # What pydicom says may quote the header, names included, so the cause is not kept.
        raise UnfitImage(what, where=where, mend=_FRESH) from (None if is_dicom else error)
