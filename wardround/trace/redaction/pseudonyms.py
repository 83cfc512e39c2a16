"""Keyed names in the place of identifiers: the same identifier has the same name wherever it occurs.

HMAC-SHA-256 (RFC 2104) with the caller's key. Without the key nobody can try out whether a record number leads to a
name, which a plain hash would allow: record numbers are few. Who has the key can; keep it apart, or throw it away.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid

from wardround.core.errors import UsageError

SHORTEST_KEY = 16
"""Bytes."""
LARGEST_SHIFT = 364
"""Days by which dates are moved back at most. Our own choice: bare years stay right to within one."""
_CONSONANTS = "BCDFGHJKLMNPQRSTVWXZ"


class Pseudonyms:
    """Names made with one key.

    >>> names = Pseudonyms(b"a key of 16 bytes or more")
    >>> names.id("p000123") == names.id("p000123") != names.id("p000124")
    True
    """

    def __init__(self, key: bytes) -> None:
        """Take the key.

        Raises:
            UsageError: It is shorter than 16 bytes, so that it could be guessed.
        """
        if len(key) < SHORTEST_KEY:
            mend = f"give {SHORTEST_KEY} or more, such as secrets.token_bytes(32)"
            raise UsageError(f"a key of {len(key)} bytes can be guessed; {mend}")
        self._key = key

    def _mac(self, purpose: str, value: str) -> bytes:
        return hmac.new(self._key, f"{purpose}\0{value}".encode("utf-8", "surrogatepass"), hashlib.sha256).digest()

    def id(self, value: str) -> str:
        """Name an id, record number or the like: a FHIR id of letters, so that nobody reads it as a number."""
        return "x" + "".join(chr(97 + nibble) for byte in self._mac("id", value)[:8] for nibble in divmod(byte, 16))

    def mark(self, value: str) -> str:
        """Return four consonants that tell persons and places apart."""
        return "".join(_CONSONANTS[byte % len(_CONSONANTS)] for byte in self._mac("mark", value)[:4])

    def hexadecimal(self, value: str) -> str:
        """Name a hexadecimal digest by one of the same length."""
        digest = self._mac("hex", value).hex()
        return (digest * (len(value) // len(digest) + 1))[: len(value)]

    def uuid(self, value: str) -> str:
        """Name a UUID by another."""
        return str(uuid.UUID(bytes=self._mac("uuid", value.lower())[:16], version=4))

    def uid(self, value: str) -> str:
        """Name a DICOM UID by one under 2.25 (DICOM PS3.5 B.2)."""
        return f"2.25.{int.from_bytes(self._mac('uid', value)[:15], 'big')}"

    def days(self, patient: str) -> int:
        """Return by how many days a patient's dates are moved: 1 to 364 back."""
        return -1 - int.from_bytes(self._mac("days", patient)[:8], "big") % LARGEST_SHIFT
