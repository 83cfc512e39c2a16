"""A file that a decoder may read only so much of, so that no file can keep it busy or fill the memory.

Decoders read metadata in as many and as large parts as a file declares. A few kilobytes can declare parts that
overlap, repeat or never end; what a decoder reads is therefore counted, whatever the format.
"""

from __future__ import annotations

from typing import BinaryIO

_EXIF = b"Exif\0\0"


class Excessive(Exception):
    """More was read than what is decoded can need."""


class Bounded:
    """The part of a file object's interface that decoders use, counted."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._reads = self._volume = 0
        self._exif_parts = 0

    def allow(self, *, reads: int, volume: int) -> None:
        """Set what may be read from now on.

        Args:
            reads: Calls.
            volume: Bytes, counted again when they are read again.
        """
        self._reads, self._volume, self._exif_parts = reads, volume, 0

    def read(self, size: int = -1, /) -> bytes:
        """Read as a file does.

        Raises:
            Excessive: Too often, too much, or more than one EXIF part; Pillow joins those, and goes through the
                whole for each of up to 65535 entries.
        """
        data = self._file.read(self._volume + 1 if size is None or size < 0 else min(size, self._volume + 1))
        self._reads -= 1
        self._volume -= len(data)
        self._exif_parts += data.startswith(_EXIF)
        if self._reads < 0 or self._volume < 0 or self._exif_parts > 1:
            raise Excessive
        return data

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move as in a file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    def fileno(self) -> int:
        """Return the descriptor, from which libtiff reads strip by strip."""
        return self._file.fileno()
