"""The dashboard as an application: which page answers to which address, and the frame they share."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from wardround.core.errors import WardroundError
from wardround.dashboard import comparing, evaluating, forking, listing, pages, reviewing
from wardround.dashboard.guarding import FORM_WORD, LOGIN, Guard, admitted, is_token
from wardround.dashboard.keeping import Kept
from wardround.dashboard.rendering import FUNCTIONS, environment
from wardround.trace.store import RunStore

NAVIGATION = (("list", "/", "Runs"), ("evaluation", "/evaluation", "Evaluation"), ("review", "/review", "Review"))


def create_app(workspace: Path | str, *, token: str | None = None, base_url: str | None = None) -> Starlette:
    """Return the dashboard of a workspace.

    Args:
        workspace: Folder, or address of a database, where runs are kept.
        token: What whoever asks must know; without one only this machine may ask.
        base_url: Of an OpenAI-compatible server, for runs that go on after a person has answered.

    Raises:
        StoreError: The workspace cannot be used.
    """
    store = RunStore(workspace)
    frame = _Frame(token)
    static = StaticFiles(directory=str(resources.files("wardround.dashboard") / "static"))
    routes = [
        *listing.routes(store, frame.render, Kept()),
        *reviewing.routes(store, workspace, frame.render, base_url=base_url),
        *comparing.routes(store, frame.render),
        *evaluating.routes(store, frame.render),
        *forking.routes(store, workspace, base_url=base_url),
        *pages.routes(store, frame.render),
        Route(LOGIN, frame.login, methods=["GET", "POST"], name="login"),
        Mount("/static", static, name="static"),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={HTTPException: frame.refused, WardroundError: frame.failed, Exception: frame.broken},
    )
    app.add_middleware(Guard, token=token)
    return app


class _Frame:
    """Puts pages into the frame that all share."""

    def __init__(self, token: str | None) -> None:
        self._token = token
        self._templates = environment()

    def render(self, request: Request, name: str, context: Mapping[str, Any], status: int = 200) -> Response:
        shared = {
            **FUNCTIONS,
            "navigation": NAVIGATION,
            "path": request.url.path,
            "form_word": FORM_WORD,
            "annotating": True,
            "who": _who(request),
        }
        return HTMLResponse(self._templates.get_template(name).render({**shared, **context}), status)

    async def login(self, request: Request) -> Response:
        """Ask for the token, and let in whoever gives it."""
        if self._token is None:
            return RedirectResponse("/", 303)
        if request.method == "POST":
            async with request.form() as form:
                if is_token(form.get("token"), self._token):
                    return admitted(request, self._token)
            return self.render(request, "login.html", {"wrong": True}, 401)
        return self.render(request, "login.html", {"wrong": False})

    async def refused(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        detail = error.detail if isinstance(error, HTTPException) else str(error)
        return self.render(request, "error.html", {"status": status, "detail": detail}, status)

    async def failed(self, request: Request, error: Exception) -> Response:
        return self.render(request, "error.html", {"status": 500, "detail": str(error)}, 500)

    async def broken(self, request: Request, error: Exception) -> Response:
        """Say that something is wrong with the program; what it was is for its log, since it may hold patient words."""
        detail = f"the dashboard failed ({type(error).__name__}); its log says where"
        return self.render(request, "error.html", {"status": 500, "detail": detail}, 500)


def _who(request: Request) -> str:
    """The name under which whoever asks judged last."""
    return request.cookies.get(reviewing.WHO, "").encode("ascii", "ignore").decode("unicode_escape", "replace")[:200]
