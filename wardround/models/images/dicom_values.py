"""From the values that a DICOM file stores to the grey or colour that a viewer shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wardround.models.images.pixels import grey_of, value_range

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Rows = Callable[[int, int], Image.Image]
"""Gives rows from a first one up to a second one, in 8 bits."""
Values = Callable[[int, int], NDArray[Any]]
"""Likewise, as values."""


def shown_colour(pixels: NDArray[Any], bits: int) -> tuple[Rows, list[str]]:
    """Return red, green and blue in 8 bits, and what is done to them.

    Args:
        pixels: Rows x columns x channels, as pydicom has converted them.
        bits: Of each channel.
    """
    shift = max(0, bits - 8)
    words = [f"{bits}-bit channels cut to their upper 8 bits"] if shift else []
    return (lambda a, b: Image.fromarray((pixels[a:b, :, :3] >> shift).astype(np.uint8))), words


def shown_grey(header: Dataset, pixels: NDArray[Any]) -> tuple[Rows, list[str]]:
    """Return grey values as a viewer shows them, and what is done to them.

    They go through the modality's table or line, then the window or table of the values of interest (PS3.4, N.2).

    Args:
        header: With group 0028.
        pixels: Rows x columns, as stored.
    """
    from pydicom.pixels.processing import apply_color_lut, apply_modality_lut

    photometric = str(header.PhotometricInterpretation)
    if photometric == "PALETTE COLOR":
        bits = int(header.RedPaletteColorLookupTableDescriptor[2])
        return shown_colour(apply_color_lut(pixels, header), bits)

    def values(top: int, bottom: int) -> NDArray[Any]:
        return apply_modality_lut(pixels[top:bottom], header)

    by_table = bool(header.get("VOILUTSequence"))
    show, words = _by_table(header, values) if by_table else _windowed(header, pixels, values)
    if photometric != "MONOCHROME1":
        return show, [words]
    return (lambda a, b: show(a, b).point(lambda value: 255 - value)), [words, "inverted, since low values are white"]


def _by_table(header: Dataset, values: Values) -> tuple[Rows, str]:
    from pydicom.pixels.processing import apply_voi

    full = 2 ** int(header.VOILUTSequence[0].LUTDescriptor[2]) - 1

    def show(top: int, bottom: int) -> Image.Image:
        return grey_of(apply_voi(values(top, bottom).astype(np.int64), header), 0, full)

    return show, "grey values mapped by the file's VOI table"


def _windowed(header: Dataset, pixels: NDArray[Any], values: Values) -> tuple[Rows, str]:
    centre, width = _first(header.get("WindowCenter")), _first(header.get("WindowWidth"))
    form = str(header.get("VOILUTFunction") or "LINEAR")
    if centre is not None and width is not None and _is_window(width, form):
        words = f"grey values windowed to 8 bits, centre {centre:.10g}, width {width:.10g}, as the file says"
        if form == "SIGMOID":
            return (lambda a, b: grey_of(_sigmoid(values(a, b), centre, width), 0, 1)), f"{words} (sigmoid)"
        low, high = _limits(centre, width, form)
    elif _is_plain(header, pixels):
        low, high = 0.0, float(2 ** int(header.BitsStored) - 1)
        words = f"grey values mapped to 8 bits, window {low:.10g} to {high:.10g}"
    else:
        low, high = _full_range(header, pixels, values)
        words = f"grey values mapped to 8 bits, window {low:.10g} to {high:.10g}, since the file names none"
    return (lambda a, b: grey_of(values(a, b), low, high)), words


def _first(given: Any) -> float | None:
    """The first of one or several numbers."""
    if given is None or given == "":
        return None
    number = float(given[0] if isinstance(given, (list, tuple)) or hasattr(given, "append") else given)
    return number if np.isfinite(number) else None


def _is_window(width: float, form: str) -> bool:
    return width >= 1 if form == "LINEAR" else width > 0


def _limits(centre: float, width: float, form: str) -> tuple[float, float]:
    """Values that become black and white (PS3.3, sections C.11.2.1.2.1 and C.11.2.1.3.2)."""
    if form == "LINEAR":
        centre, width = centre - 0.5, width - 1
    return centre - width / 2, centre + width / 2


def _sigmoid(values: NDArray[Any], centre: float, width: float) -> NDArray[Any]:
    """PS3.3, section C.11.2.1.3.1, onto 0 to 1."""
    return 1 / (1 + np.exp(-4 * (values.astype(np.float64) - centre) / width))


def _is_plain(header: Dataset, pixels: NDArray[Any]) -> bool:
    """Whether values are 8 bits or fewer as they stand, which are shown so, and not stretched."""
    rescaled = header.get("ModalityLUTSequence") or (
        header.get("RescaleSlope"),
        header.get("RescaleIntercept"),
    ) not in (
        (None, None),
        (1, 0),
    )
    return pixels.dtype.kind == "u" and int(header.get("BitsStored") or 99) <= 8 and not rescaled


def _full_range(header: Dataset, pixels: NDArray[Any], values: Values) -> tuple[float, float]:
    """Lowest and highest value, without the one that fills where nothing was measured."""
    padding = header.get("PixelPaddingValue")

    def measured(top: int, bottom: int) -> NDArray[Any]:
        strip = values(top, bottom)
        return strip if padding is None else strip[pixels[top:bottom] != padding]

    height, width = pixels.shape
    found = value_range(measured, (width, height))
    return found if found is not None else (0.0, 0.0)
