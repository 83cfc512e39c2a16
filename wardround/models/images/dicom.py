"""DICOM images, through pydicom: one frame as a viewer shows it, and four facts of the header.

Names, dates and identifiers stand in a header beside what describes the image. None of it is let out but the four
facts, and those only where they are codes; for the same reason pydicom's own words are kept out of errors.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from wardround.core.extras import require
from wardround.models.images.bounded import Bounded
from wardround.models.images.dicom_values import shown_colour, shown_grey
from wardround.models.images.picture import UnfitImage
from wardround.models.images.pixels import Decoded, check_size

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset
    from pydicom.pixels.decoders.base import Decoder

PREAMBLE = 128
MARK = b"DICM"
"""Stands after the preamble of a DICOM file (PS3.10, section 7.1)."""

_READS, _VOLUME = 500_000, 64_000_000
"""Calls and bytes for the header; one of a thousand frames has some 150,000 values."""
_DEFLATED = "1.2.840.10008.1.2.1.99"
_CODE = re.compile(r"[A-Z0-9_ ]{1,16}")
"""A value of type CS (PS3.5, section 6.2)."""
_FACTS = {
    "Modality": ("Modality",),
    "BodyPartExamined": ("BodyPartExamined",),
    "Laterality": ("Laterality", "ImageLaterality"),
    "ViewPosition": ("ViewPosition",),
}
_WANTED = (
    0x00080060,  # Modality
    0x00180015,  # BodyPartExamined
    0x00200060,  # Laterality
    0x00200062,  # ImageLaterality
    0x00185101,  # ViewPosition
    0x00281050,  # WindowCenter
)
_LAYOUT = (0x00280008, 0x00280010, 0x00280011)
"""NumberOfFrames, Rows, Columns."""
_AS_PNG = "export the image as PNG"


def is_dicom(head: bytes) -> bool:
    """Whether a file that begins so is a DICOM file."""
    return head[PREAMBLE : PREAMBLE + len(MARK)] == MARK


def decode(file: Bounded, *, where: str) -> Decoded:
    """Decode the middle frame of a DICOM file.

    Args:
        file: Of which `is_dicom` is true.
        where: Named in errors.

    Raises:
        MissingExtra: pydicom is not installed.
        UnfitImage: It holds no image, one that is too small or large, or one whose coding needs more packages.
        Excessive: Its header has no end.
        Exception: Whatever pydicom raises at a broken file.
    """
    pydicom = require("pydicom", extra="images")
    require("pydicom.pixels", extra="images")
    file.allow(reads=_READS, volume=_VOLUME)
    decoder = _decoder(pydicom, file, where=where)
    file.seek(0)
    header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(_LAYOUT))
    columns, rows = int(header.get("Columns") or 0), int(header.get("Rows") or 0)
    if not columns or not rows:
        raise UnfitImage("a DICOM file without an image", where=where, mend="give the file of an image")
    check_size(columns, rows, where=where)
    frames = max(1, int(header.get("NumberOfFrames") or 1))
    header, pixels = _frame(pydicom, file, frames // 2, decoder, where=where)
    changes = [f"frame {frames // 2 + 1} of {frames}"] if frames > 1 else []
    show, done = shown_grey(header, pixels) if pixels.ndim == 2 else shown_colour(pixels, int(header.BitsStored))
    return Decoded(
        size=(columns, rows),
        stored=(columns, rows),
        rows=show,
        changes=(*changes, *done),
        problems=_problems(header),
        facts=_facts(header),
    )


def _decoder(pydicom: Any, file: Bounded, *, where: str) -> Decoder:
    """Find what decodes the transfer syntax, or refuse the file by that alone."""
    from pydicom.filereader import read_dataset

    file.seek(PREAMBLE + len(MARK))
    meta = read_dataset(
        file,  # type: ignore[arg-type]
        is_implicit_VR=False,
        is_little_endian=True,
        stop_when=lambda tag, vr, length: tag.group != 2,
    )
    syntax = pydicom.uid.UID(str(meta.get("TransferSyntaxUID", "")))
    if syntax == _DEFLATED:
        raise UnfitImage(
            "deflated DICOM files are not read, since they may unfold without end", where=where, mend=_AS_PNG
        )
    try:
        decoder: Decoder = pydicom.pixels.get_decoder(syntax)
    except NotImplementedError:
        raise UnfitImage("its transfer syntax is not one of images", where=where, mend=_AS_PNG) from None
    if not decoder.is_available:
        raise _undecodable(decoder, f"no decoder for {syntax.name} is installed", where=where)
    return decoder


def _undecodable(decoder: Decoder, what: str, *, where: str) -> UnfitImage:
    missing = "; ".join(decoder.missing_dependencies)
    return UnfitImage(what, where=where, mend=f"install another ({missing}) or {_AS_PNG}" if missing else _AS_PNG)


def _frame(pydicom: Any, file: Bounded, n: int, decoder: Decoder, *, where: str) -> tuple[Dataset, NDArray[Any]]:
    """Return the header, as far as it is wanted, and the pixels of one frame."""
    file.allow(reads=_READS, volume=1 << 40)
    file.seek(0)
    header = pydicom.dataset.Dataset()
    try:
        pixels = pydicom.pixels.pixel_array(file, index=n, ds_out=header, specific_tags=list(_WANTED))
    except RuntimeError:  # what pydicom raises when each of its decoders has failed
        what = f"no installed decoder can read its {decoder.UID.name} pixels"
        raise _undecodable(decoder, what, where=where) from None
    return header, pixels


def _facts(header: Dataset) -> dict[str, str]:
    """The four facts, where they are codes."""
    facts = {}
    for fact, names in _FACTS.items():
        values = [str(header.get(name) or "").strip() for name in names]
        codes = [value for value in values if _CODE.fullmatch(value)]
        if codes:
            facts[fact] = codes[0]
    return facts


def _problems(header: Dataset) -> tuple[str, ...]:
    problems = []
    if header.get("BurnedInAnnotation") == "YES":
        problems.append("text is burned into the pixels, which may name the patient")
    spacing = header.get("PixelAspectRatio") or header.get("PixelSpacing") or (1, 1)
    down, across = (float(part) for part in spacing)
    if min(down, across) > 0 and max(down, across) / min(down, across) > 1.02:
        problems.append("its pixels are not square, so that shapes are distorted")
    return tuple(problems)
