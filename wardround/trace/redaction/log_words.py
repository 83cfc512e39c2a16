"""The texts of one log: identifiers out, and all that is named after its content under new names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import quote, unquote

from wardround.trace.redaction.edits import Edit, Report, applied, counted
from wardround.trace.redaction.resources import HOST
from wardround.trace.redaction.structured import StructuredRedactor

_CONTENT_ID = re.compile(
    r"\b(?P<kind>run|case|evt|call|spn|src|clm|fnd|shown|question|draw|tool|act|evidence|answer)"
    r"_(?P<hex>[0-9a-f]{12})\b"
)
"""Names made from content that may be about the patient: an unkeyed digest of it could be tried out."""
_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
_FIELDS = ("complaint", "note", "coded")
"""What documents of a case are called before a colon and the id of the case."""
_SERVER = re.compile(r"https?://[^/\s]+")


class LogWords:
    """Redacts the texts of one log; the same text always becomes the same."""

    def __init__(self, redactor: StructuredRedactor) -> None:
        """Take the redactor of the patient's record."""
        self._redactor = redactor
        self._shift = redactor.shift
        self._edits: dict[str, list[Edit]] = {}
        self._names: Mapping[str, str] = {}
        self._cases: list[tuple[re.Pattern[str], str]] = []

    def begin(self, names: Mapping[str, str], cases: Mapping[str, str]) -> None:
        """Take the new names of the evidence and of the cases of a log; the former may still be filling."""
        self._names = names
        fields = "|".join(_FIELDS)
        self._cases = [(re.compile(rf"\b({fields}):{re.escape(old)}(?![\w-])"), new) for old, new in cases.items()]

    def edits(self, text: str) -> list[Edit]:
        """Return the settled edits of a text."""
        if text not in self._edits:
            self._edits[text] = self._redactor.edits(text)
        return self._edits[text]

    def searched(self, text: str, report: Report) -> str:
        """Return a text without identifiers, and add to the report."""
        text = self._of_new_cases(text)
        edits = self.edits(text)
        report.replaced.update(counted(edits).replaced)
        report.spared.update(counted(edits).spared)
        return self.renamed(applied(text, edits))

    named = searched

    def renamed(self, text: str) -> str:
        """Lead the names of sources, claims, runs, cases and images to their new ones."""
        text = self._of_new_cases(text)
        if "_" in text:
            text = _CONTENT_ID.sub(self._content_id, text)
        return _DIGEST.sub(lambda m: self._redactor.names.hexadecimal(m[0]), text) if len(text) >= 64 else text

    def case_id(self, name: str) -> str:
        """Rename a case: whoever named it may have named the patient."""
        is_digest = _CONTENT_ID.fullmatch(name) is not None
        return self.renamed(name) if is_digest else self._redactor.names.id(name)

    def moved(self, moment: datetime | None) -> datetime | None:
        """Return a moment moved by the patient's days."""
        return None if moment is None else moment + timedelta(days=self._shift.days)

    def url(self, url: str, report: Report) -> str:
        """Redact an address: its host names the institution, its query the patient."""
        rest = _SERVER.sub(HOST, url, count=1)
        plain = unquote(rest)
        done = self.searched(plain, report)
        return rest if done == plain else quote(done, safe=":/?&=,|$-._~[]#+")

    def _of_new_cases(self, text: str) -> str:
        """Rename the documents of cases, before a name in the id of a case is taken for a name in a text."""
        for pattern, new in self._cases:
            text = pattern.sub(rf"\1:{new}", text)
        return text

    def _content_id(self, match: re.Match[str]) -> str:
        known = self._names.get(match[0])
        return known if known else f"{match['kind']}_{self._redactor.names.hexadecimal(match[0])[:12]}"
