"""An application on a socket, by uvicorn."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from wardround.core.errors import UsageError

Started = Callable[[str], None]


def serve(app: ASGIApp, *, host: str, port: int, path: str, started: Started) -> None:
    """Serve until the process is told to stop.

    Args:
        app: What to serve.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        path: Where the application begins, such as `/fhir/R4`, for `started`.
        started: Called with the whole address once requests are taken.

    Raises:
        UsageError: The address cannot be listened on.
    """
    with _listening(host, port) as listening:
        config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, timeout_keep_alive=75)
        asyncio.run(_Server(config, path, started).serve(sockets=[listening]))


class _Server(uvicorn.Server):
    """A server that says when it takes requests."""

    def __init__(self, config: uvicorn.Config, path: str, started: Started) -> None:
        super().__init__(config)
        self._path, self._started = path, started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            host, port = sockets[0].getsockname()[:2]
            self._started(f"http://{f'[{host}]' if ':' in host else host}:{port}{self._path}")


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise UsageError(f"{host}:{port} cannot be listened on ({error.strerror}); choose another port") from error
    return listening
