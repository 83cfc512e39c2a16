r"""Texts inside texts: JSON, addresses and markup write a name in other letters than a note does.

In `"seen by\nGarc\u00eda"` no word is the name that is looked for, so that what is searched is read as well.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from wardround.core.errors import UsageError
from wardround.trace.redaction.folding import Folded

MOST_LAYERS = 50
"""Texts that are escaped more often in themselves were made to be slow: each layer is searched."""

_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|\\u[0-9a-fA-F]{4}"
    r"|\\[\"\\/bfnrt]"
    r"|(?:%[0-9a-fA-F]{2})+"
    r"|&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,31}\d?);"
)
"""Escapes of JSON strings (RFC 8259, 7), of addresses (RFC 3986, 2.1) and of HTML."""


def layers(text: str) -> list[Folded]:
    """Return what a text says once its escapes are read, and what that says, until none are left.

    Returns:
        Each layer with the way back to the one before; the first leads to the text itself.

    Raises:
        UsageError: There are more than `MOST_LAYERS`.
    """
    found: list[Folded] = []
    while (plain := unescaped(found[-1].text if found else text)) is not None:
        if len(found) == MOST_LAYERS:
            what = f"a text is escaped in itself more than {MOST_LAYERS} times, so that it cannot be searched for names"
            raise UsageError(f"{what}; leave it out")
        found.append(plain)
    return found


def unescaped(text: str) -> Folded | None:
    """Return a text with its escapes read, one layer of them, and where each character came from; nothing without any.

    >>> unescaped("no escapes here, 93 %") is None
    True
    >>> unescaped("Garc%C3%ADa").text
    'García'
    """
    characters: list[str] = []
    at: list[int] = []
    end = 0
    for match in _ESCAPE.finditer(text):
        for place, read in _read(match):
            kept = range(end, match.start())
            characters += [text[i] for i in kept]
            at += kept
            end = match.end()
            characters += read
            at += [place] * len(read)
    if end == 0:
        return None
    characters += text[end:]
    return Folded("".join(characters), (*at, *range(end, len(text) + 1)))


def _read(match: re.Match[str]) -> Iterator[tuple[int, str]]:
    """Yield what an escape stands for, each character with its place; nothing where it stands for none."""
    found, start = match[0], match.start()
    match found[0]:
        case "\\":
            read = json.loads(f'"{found}"')
            yield start, read if not "\ud800" <= read <= "\udfff" else "\ufffd"
        case "&":
            read = html.unescape(found)
            if read != found:
                yield start, read
        case _:
            for character in unquote_to_bytes(found).decode("utf-8", "surrogateescape"):
                is_byte = "\udc80" <= character <= "\udcff"
                yield start, character if not is_byte else "\ufffd"
                start += 3 if is_byte else 3 * len(character.encode())
