"""What goes out: JSON that any stream can carry, text that cannot steer a terminal, files that can be written."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import typer

from wardround.core.errors import UsageError

_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but tab and line feed, marks that turn the order of letters, halves of characters."""


def print_json(value: Any) -> None:
    """Print one JSON document; characters that the stream cannot carry are escaped."""
    narrow = "utf" not in (sys.stdout.encoding or "").lower()
    typer.echo(json.dumps(value, ensure_ascii=narrow, allow_nan=False))


def printable(text: str) -> str:
    r"""Replace what could steer a terminal or turn the order of its letters.

    >>> printable("a\x1b[2Jb")
    'a\ufffd[2Jb'
    """
    return _STEERING.sub("\ufffd", text)


def folded(text: str) -> str:
    """Return a text in one printable line."""
    return printable(" ".join(text.split()))


def lenient_streams() -> None:
    """Let a stream of a narrow encoding show a question mark, rather than fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def check_target(path: Path, option: str) -> None:
    """Refuse a file that cannot come to be, before any work is done for it.

    Raises:
        UsageError: It is a folder, or its folder is not there.
    """
    if path.is_dir():
        raise UsageError(f"{option} {path}: is a folder; give a file")
    if not path.parent.is_dir():
        raise UsageError(f"{option} {path}: there is no folder {path.parent}; make it first")


def write_file(path: Path, text: str, option: str) -> None:
    """Write a file that an option names.

    Raises:
        UsageError: It cannot be written.
    """
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        what = f"{option} {path}: cannot be written ({error.strerror})"
        raise UsageError(f"{what}; give a file that can") from error
