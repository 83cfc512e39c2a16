"""A real PostgreSQL server for tests: a cluster of its own in a temporary folder, reached by a socket, gone afterwards.

    with PostgresServer() as server:
        store = RunStore(server.database())

The server starts in about a second. Nothing listens on the network.
"""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from wardround.core.errors import StoreError, UsageError

_OWNERS = ("postgres", "nobody")
"""Users that the server may run as where the tests run as root, which it refuses."""
_OWN = "wardround"
_START = 30.0
"""Seconds that the server gets to start."""
# The server must end even when the test run is killed outright: its guard's standard input ends then.
_GUARD = """
import json, signal, subprocess, sys
options = json.loads(sys.argv[1])
server = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, start_new_session=True, **options)
sys.stdin.buffer.read()
server.send_signal(signal.SIGQUIT)
sys.exit(server.wait())
"""


def programs() -> Path:
    """Return the folder with PostgreSQL's programs.

    Raises:
        UsageError: There is none, or nobody but root that the server could run as.
    """
    named = shutil.which("initdb")
    folders = [Path(named).resolve().parent] if named is not None else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = next((f for f in folders if (f / "initdb").is_file() and (f / "postgres").is_file()), None)
    if found is None:
        raise UsageError("PostgreSQL's programs initdb and postgres are not installed; install a PostgreSQL server")
    _owner()
    return found


class PostgresServer:
    """A throwaway server; a context manager."""

    def __init__(self) -> None:
        """Find the programs; nothing is started yet.

        Raises:
            UsageError: There are none, or nobody but root that the server could run as.
        """
        self._programs, self._owner = programs(), _owner()
        self.folder = Path()
        self._guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> PostgresServer:
        """Make the cluster and start the server.

        Raises:
            StoreError: It does not start.
        """
        self.folder = Path(tempfile.mkdtemp(prefix="wardround-pg-"))  # short, since a socket's path must be
        if self._owner is not None:
            shutil.chown(self.folder, self._owner)
        try:
            self._make_cluster()
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server and remove its folder."""
        self._end()

    @property
    def url(self) -> str:
        """Of the server's own database."""
        return f"postgresql://{_OWN}@/postgres?host={self.folder}"

    def database(self) -> str:
        """Return the URL of an empty database: in truth a schema of its own, which is made and removed faster."""
        import psycopg

        name = f"test_{secrets.token_hex(6)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'CREATE SCHEMA "{name}"'.encode())
        return f"{self.url}&options=-csearch_path%3D{name}"

    def _make_cluster(self) -> None:
        flags = ["-U", _OWN, "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
        made = subprocess.run(
            [self._programs / "initdb", "-D", self.folder / "data", *flags],
            **self._as_owner(),
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            raise StoreError(f"no PostgreSQL cluster could be made: {made.stderr.strip()[-500:]}")

    def _start(self) -> None:
        settings = {"listen_addresses": "", "unix_socket_directories": str(self.folder), "fsync": "off"}
        settings |= {"synchronous_commit": "off", "full_page_writes": "off", "max_connections": "50"}
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [self._programs / "postgres", "-D", self.folder / "data", *flags]
        log = (self.folder / "log").open("wb")
        with log:
            self._guard = subprocess.Popen(
                [sys.executable, "-c", _GUARD, json.dumps(self._as_owner()), *map(str, command)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + _START
        while not self._answers():
            if self._guard.poll() is not None or time.monotonic() > end:
                said = (self.folder / "log").read_text("utf-8", errors="replace")
                raise StoreError(f"PostgreSQL does not start: {said.strip()[-500:]}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url).close()
        except psycopg.OperationalError:
            return False
        return True

    def _as_owner(self) -> dict[str, Any]:
        if self._owner is None:
            return {}
        entry = pwd.getpwnam(self._owner)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [], "cwd": "/"}

    def _end(self) -> None:
        if self._guard is not None:
            self._guard.communicate()  # ends its standard input
            self._guard = None
        shutil.rmtree(self.folder, ignore_errors=True)


def _owner() -> str | None:
    """Return the user that the server has to run as; nothing where it is the one who runs the tests."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    found = next((name for name in _OWNERS if name in known), None)
    if found is None:
        raise UsageError("PostgreSQL does not run as root, and there is no user postgres or nobody")
    return found
