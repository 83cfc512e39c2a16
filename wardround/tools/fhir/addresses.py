"""Addresses below the base of one server; nothing else is ever asked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlencode, urlsplit

from wardround.core.errors import ToolRefused, UsageError
from wardround.tools.fhir.access import unicode

Params = Mapping[str, str] | Sequence[tuple[str, str]]

_ZONE_PLUS = re.compile(r"(T\d\d(?::|%3A)\d\d(?:(?::|%3A)\d\d(?:\.\d+)?)?)\+(?=\d\d)", re.IGNORECASE)


@dataclass(frozen=True)
class BaseAddress:
    """Where a server's FHIR interface begins."""

    url: str
    """Without a slash at its end."""

    @classmethod
    def of(cls, url: str) -> BaseAddress:
        """Check a base address.

        Raises:
            UsageError: It is none.
        """
        base = url.rstrip("/")
        parts = urlsplit(base)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
            raise UsageError(f"{url!r} is no base address; give one such as http://127.0.0.1:8080/fhir/R4")
        return cls(base)

    def join(self, path: str, params: Params = ()) -> str:
        """Return the whole address of a path below the base, with its query.

        A `+` before a zone offset is sent as `%2B`: as it stands a server would read a space.

        Args:
            path: `Patient/1`, `Observation?code=x`, or a whole address below the base.
            params: Added to the query.

        Raises:
            ToolRefused: It leads out of the base.
        """
        given = unicode(path).strip()
        below = self.relative(given) if "://" in given.partition("?")[0] else given.lstrip("/")
        if below is None:
            raise ToolRefused("fhir", f"{given[:200]} is on another server; only what is below {self.url} is asked")
        route, _, query = below.partition("?")
        if any(_leads_elsewhere(unquote(part)) for part in route.split("/")):
            raise ToolRefused("fhir", f"{given[:200]} leads out of {self.url}; give a path such as Patient/1")
        pairs = [(unicode(n), unicode(v)) for n, v in (params.items() if isinstance(params, Mapping) else params)]
        queries = [part for part in (_ZONE_PLUS.sub(r"\1%2B", query), urlencode(pairs, safe="/:,")) if part]
        address = "/".join(part for part in (self.url, route.strip("/")) if part)
        return (address + ("?" + "&".join(queries) if queries else "")).replace("#", "%23")

    def relative(self, url: str) -> str | None:
        """Return the part of an address behind the base, or nothing where it is not below the base."""
        if not url.startswith(self.url) or url[len(self.url) :][:1] not in ("", "/", "?"):
            return None
        return url.removeprefix(self.url).lstrip("/")

    def check_origin(self, link: str) -> None:
        """Refuse a link to another server: the token would go there too.

        Raises:
            ToolRefused: Scheme, host or port differ from the base.
        """
        if _origin(link) != _origin(self.url):
            what = f"the server's link {link[:200]} leads to another server than {self.url}; it is not followed"
            raise ToolRefused("fhir", what)


def _leads_elsewhere(part: str) -> bool:
    """Whether a part of a path, as the server will read it, is more than a name."""
    return part in (".", "..") or "/" in part or "\\" in part


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname or "", parts.port or default
