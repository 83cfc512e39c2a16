"""The sandbox on a socket, by uvicorn."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

import uvicorn

from wardround.core.errors import UsageError

if TYPE_CHECKING:
    from wardround.environments.fhir.sandbox import Sandbox

Started = Callable[[str], None]


def serve(sandbox: Sandbox, *, host: str = "127.0.0.1", port: int = 8080, started: Started) -> None:
    """Serve until the process is told to stop.

    Args:
        sandbox: What to serve.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        started: Called with the base URL once requests are taken.

    Raises:
        UsageError: The address cannot be listened on.
    """
    with _listening(host, port) as listening:
        config = uvicorn.Config(sandbox.app, log_level="warning", access_log=False, timeout_keep_alive=75)
        asyncio.run(_Server(config, started).serve(sockets=[listening]))


class _Server(uvicorn.Server):
    """A server that says when it takes requests."""

    def __init__(self, config: uvicorn.Config, started: Started) -> None:
        super().__init__(config)
        self._started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            host, port = sockets[0].getsockname()[:2]
            self._started(f"http://{f'[{host}]' if ':' in host else host}:{port}/fhir/R4")


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise UsageError(f"{host}:{port} cannot be listened on ({error.strerror}); choose another port") from error
    return listening
