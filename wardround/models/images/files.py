"""From the reference of an image to an open file: paths, `file:` and `data:` URIs."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import os
import re
import stat
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, unquote_to_bytes
from urllib.request import url2pathname

from wardround.models.images.picture import UnfitImage

MAX_BYTES = 512_000_000
"""A file above this is not one image of at most `MAX_PIXELS`."""
MAX_DATA_URI = 32_000_000
"""Characters; an image in a text is held in memory several times over."""

_PATH = "give the path of an image file"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_BLOCK = 1 << 20


def shown(uri: str) -> str:
    """Return a reference as it can stand in a message: printable, and of a `data:` URI only the beginning."""
    if uri[:5].lower() == "data:":
        return f"{_printable(uri[:30].partition(',')[0])},... ({len(uri)} characters)"
    return _printable(uri if len(uri) <= 200 else f"{uri[:100]}...{uri[-90:]}")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def open_image(uri: str, *, within: Path | None) -> BinaryIO:
    """Open what a reference names.

    Args:
        uri: A path, a `file:` or a `data:` URI.
        within: Folder that relative paths start from and that no path may leave; without one relative paths
            start from the working directory.

    Raises:
        UnfitImage: It names nothing that can be read, or an address in a network.
    """
    if uri[:5].lower() == "data:":
        return io.BytesIO(_inline(uri))
    where = shown(uri)
    scheme = _SCHEME.match(uri)
    if scheme is not None and scheme[1].lower() != "file":
        raise UnfitImage(
            f"{scheme[1].lower()} addresses are not fetched, since nothing about a patient is to leave this machine",
            where=where,
            mend="save the image as a file and give its path",
        )
    path = _local(uri, where=where) if uri[:5].lower() == "file:" else uri
    if not path.strip():
        raise UnfitImage("it names no file", where="image", mend=_PATH)
    return _opened(_placed(path, within, where=where), where=where)


def _local(uri: str, *, where: str) -> str:
    """Return the path of a `file:` URI (RFC 8089)."""
    rest = uri[5:]
    if not rest.startswith("//"):
        return unquote(rest, errors="surrogateescape")
    host, slash, path = rest[2:].partition("/")
    if host.lower() not in ("", "localhost"):
        raise UnfitImage("it names a file on another machine", where=where, mend=f"{_PATH} on this one")
    return url2pathname(slash + path) if os.name == "nt" else unquote(slash + path, errors="surrogateescape")


def _placed(path: str, within: Path | None, *, where: str) -> str:
    if within is None:
        return path
    folder = os.path.abspath(within)
    # The written path is judged and opened, not where links in it lead: who put a link there wanted it followed.
    placed = os.path.abspath(os.path.join(folder, path))
    if os.path.commonpath([folder, placed]) != folder:
        raise UnfitImage(f"it lies outside {_printable(folder)}", where=where, mend="move the image into that folder")
    return placed


def _opened(path: str, *, where: str) -> BinaryIO:
    try:
        status = os.stat(path)
        fault = _not_readable(status)
        if fault is not None:
            raise UnfitImage(fault, where=where, mend=_PATH)
        return open(path, "rb")
    except OSError as error:
        raise UnfitImage(f"cannot be read ({error.strerror})", where=where, mend=_PATH) from error
    except ValueError as error:
        raise UnfitImage("it holds characters that no path has", where=where, mend=_PATH) from error


def _not_readable(status: os.stat_result) -> str | None:
    """Say why a file is not read; a pipe or a device is told before it is opened, since opening one may wait."""
    if stat.S_ISDIR(status.st_mode):
        return "is a folder"
    if not stat.S_ISREG(status.st_mode):
        return "is a device, a pipe or a socket, not a file"
    if status.st_size == 0:
        return "the file is empty"
    if status.st_size > MAX_BYTES:
        return f"{status.st_size / 1e6:.0f} MB is more than the {MAX_BYTES / 1e6:.0f} MB that one image may have"
    return None


def _inline(uri: str) -> bytes:
    """Return the bytes of a `data:` URI (RFC 2397)."""
    where = shown(uri)
    if len(uri) > MAX_DATA_URI:
        what = f"{len(uri) / 1e6:.0f} million characters are more than the {MAX_DATA_URI / 1e6:.0f} million allowed"
        raise UnfitImage(what, where=where, mend="save the image as a file and give its path")
    head, comma, body = uri[5:].partition(",")
    mend = "write data:image/png;base64, and the base64 of a file, or give its path"
    if not comma:
        raise UnfitImage("it has no comma before its data", where=where, mend=mend)
    try:
        data = unquote_to_bytes(body)
        if head.lower().replace(" ", "").endswith(";base64"):
            data = base64.b64decode(b"".join(data.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnfitImage("its data are not base64", where=where, mend=mend) from error
    if not data:
        raise UnfitImage("it holds no data", where=where, mend=mend)
    return data


def sha256_of(file: BinaryIO, *, where: str) -> str:
    """Return the SHA-256 of an open file, from its beginning, and go back there.

    Raises:
        UnfitImage: The disk or the network share fails.
    """
    digest = hashlib.sha256()
    try:
        while block := file.read(_BLOCK):
            digest.update(block)
        file.seek(0)
    except OSError as error:
        raise UnfitImage(f"cannot be read ({error.strerror})", where=where, mend=_PATH) from error
    return digest.hexdigest()
