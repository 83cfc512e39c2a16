"""An application behind a real socket of this machine."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wardround.core.extras import require

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_LONGEST = 30.0
"""Seconds to start in, and to stop in."""


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """Serve an application on a free port, in a thread; yields its address without a path.

    Args:
        app: Any ASGI application; it is told nothing of a lifespan.

    Raises:
        MissingExtra: Uvicorn is not installed.
        TimeoutError: The server does not start, or does not stop.
    """
    uvicorn = require("uvicorn", extra="dashboard")
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        config = uvicorn.Config(app, log_level="critical", lifespan="off", ws="none", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            until = time.monotonic() + _LONGEST
            while not server.started:
                if time.monotonic() > until:
                    raise TimeoutError(f"the server does not start within {_LONGEST:g} s")
                time.sleep(0.005)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(_LONGEST)
        if thread.is_alive():
            raise TimeoutError(f"the server does not stop within {_LONGEST:g} s")
