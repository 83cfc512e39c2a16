"""Who may ask the dashboard for something, and what a browser may do with the answer.

Patient data stays on the machine: pages are told to load nothing from elsewhere, to be kept nowhere, and to send no
address on. A page of another site cannot ask in the user's name, since it has neither the cookie nor the word that
forms carry, and names of other hosts that were pointed at this machine are refused.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset(("127.0.0.1", "localhost", "::1"))
COOKIE = "wardround-token"
LOGIN = "/login"
MOST_BODY = 1_000_000
"""Bytes of a form."""

_DIRECTIVES = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "; ".join(_DIRECTIVES),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Guard:
    """Lets through who may ask, and puts the headers on every answer."""

    def __init__(self, app: ASGIApp, *, token: str | None = None) -> None:
        """Guard an application.

        Args:
            app: What is guarded.
            token: What whoever asks must know; without one only this machine may ask.
        """
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        answer = refusal if refusal is not None else self._app
        await answer(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if self._token is None and _host(headers) not in LOOPBACK:
            return PlainTextResponse("this dashboard answers to 127.0.0.1 and localhost alone", 421)
        if scope["method"] not in ("GET", "HEAD") and not _same_origin(headers):
            return PlainTextResponse("the form was sent from another site", 403)
        if int(headers.get("content-length") or 0) > MOST_BODY:
            return PlainTextResponse("that is more than a form may hold", 413)
        if self._token is None or scope["path"] == LOGIN or scope["path"].startswith("/static/"):
            return None
        if _knows(headers, self._token):
            return None
        if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            return RedirectResponse(LOGIN, 303)
        return PlainTextResponse("the token is missing or wrong", 401)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return sending


def _host(headers: Headers) -> str:
    """The name that the browser asked for, without its port; this is what a foreign name pointed here differs in."""
    try:
        return urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""


def _same_origin(headers: Headers) -> bool:
    site = headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin in (None, "null") or urlsplit(origin or "").netloc == headers.get("host")


def _knows(headers: Headers, token: str) -> bool:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and _equal(given.strip(), token):
        return True
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return False
    return cookie is not None and _equal(cookie.value, seal(token))


def seal(token: str) -> str:
    """Return what a browser keeps in place of the token, so that the token itself stands in no cookie."""
    return hmac.new(_SECRET, token.encode(), "sha256").hexdigest()


_SECRET = secrets.token_bytes(32)
"""Of this process: cookies and forms of an earlier one are not taken."""
FORM_WORD = hmac.new(_SECRET, b"form", "sha256").hexdigest()
"""Stands in every form of the dashboard, and in none of another site."""


def is_ours(word: object) -> bool:
    """Return whether a form bears the word that the dashboard's forms do."""
    return isinstance(word, str) and _equal(word, FORM_WORD)


def _equal(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def admitted(request: Request, token: str) -> Response:
    """Return the way in for whoever gave the right token."""
    response = RedirectResponse("/", 303)
    response.set_cookie(
        COOKIE, seal(token), httponly=True, samesite="strict", secure=request.url.scheme == "https", path="/"
    )
    return response


def is_token(given: object, token: str) -> bool:
    """Return whether a token is the right one, taking the same time for every wrong one."""
    return isinstance(given, str) and _equal(given, token)
