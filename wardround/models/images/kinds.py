"""What a file is that is not an image of a known format, so that an error can name it."""

from __future__ import annotations

HEAD = 512
"""Bytes that tell the kind."""
_HEIF = (b"heic", b"heix", b"mif1", b"msf1", b"avif")
_BEGINNINGS = (
    ((b"%PDF",), "a PDF document; export its page as PNG"),
    ((b"%!PS",), "PostScript; export it as PNG"),
    ((b"\x1f\x8b", b"PK\x03\x04"), "an archive; unpack it and give the path of the image"),
    ((b"<",), "a drawing or a page (SVG, HTML); export it as PNG"),
)


def named(head: bytes) -> tuple[str, str]:
    """Return what a file that no decoder knows is, and what to do about it.

    Args:
        head: Its first `HEAD` bytes.
    """
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for beginnings, words in _BEGINNINGS:
        if text.startswith(beginnings):
            what, _, mend = words.partition("; ")
            return f"it is {what}", mend
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF:
        return "it is HEIF", "export it as PNG or JPEG"
    if head[344:348] in (b"n+1\0", b"ni1\0"):
        return "it is a NIfTI volume", "export the slice in question as PNG"
    return "it is no image of a known format", "give a PNG, JPEG, TIFF, BMP, GIF, WebP, JPEG 2000 or DICOM file"
