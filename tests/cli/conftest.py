"""The command as a user runs it: another process, its own folder, its streams caught."""

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Ran:
    """What a run of the command left."""

    code: int
    out: str
    err: str
    folder: Path

    @property
    def json(self) -> Any:
        """The one JSON document on standard output."""
        assert self.code == 0, self.err
        assert self.out.count("\n") == 1
        return json.loads(self.out)


@pytest.fixture(scope="session")
def wardround(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Ran]:
    """Runs the command in a folder, 100 columns wide; further words are its arguments, `stdin` its input."""
    base = {k: v for k, v in os.environ.items() if not k.startswith(("WARDROUND_", "COLUMNS", "PYTHON"))}
    base |= {"COLUMNS": "100", "PYTHONPYCACHEPREFIX": str(tmp_path_factory.getbasetemp() / "compiled")}

    def command(folder: Path, *arguments: str, stdin: str | bytes = b"", **env: str) -> Ran:
        result = subprocess.run(
            [sys.executable, "-m", "wardround", *arguments],
            cwd=folder,
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            env={**base, **env},
        )
        return Ran(result.returncode, result.stdout.decode(), result.stderr.decode(), folder)

    return command


@dataclass
class Receiver:
    """A collector on a socket: it takes what is sent, and keeps it."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A collector that listens."""
    found = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        serving.start()
        found.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield found
        finally:
            server.shutdown()
            serving.join()
