"""The dashboard on one run, opened from Python: served by a process of its own that ends with this one."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
import threading
import webbrowser
from pathlib import Path

from wardround.core.errors import UsageError

_SERVERS: dict[str, tuple[subprocess.Popen[str], str]] = {}
"""By workspace: the process, and where it listens."""
_LOCK = threading.Lock()
_TO_START, _TO_STOP = 60.0, 5.0
"""Seconds that a dashboard is given."""


def open_run(run: str, workspace: Path | str) -> str:
    """Show a run in the browser of this machine, and return its address; where there is no browser, that is all.

    Args:
        run: Its id.
        workspace: Where it is kept.

    Raises:
        UsageError: The dashboard does not start; says why.
    """
    with _LOCK:
        address = f"{_served(str(workspace))}runs/{run}"
    webbrowser.open(address)
    return address


def _served(workspace: str) -> str:
    """Return where the dashboard of a workspace listens, starting it where it does not run yet."""
    running = _SERVERS.get(workspace)
    if running is not None and running[0].poll() is None:
        return running[1]
    # A process and not a thread: a notebook's event loop is not ours, and the pages belong to a layer above. The
    # workspace goes by the environment, since an address may hold a password and arguments are seen by everybody.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "wardround", "dashboard", "--port", "0", "--json"],
            env={**os.environ, "WARDROUND_WORKSPACE": workspace},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            start_new_session=True,
        )
        late = threading.Timer(_TO_START, process.kill)
        late.start()
        line = process.stdout.readline() if process.stdout is not None else ""
        late.cancel()
        if not line:
            process.communicate()
            said.seek(0)
            why = said.read().strip() or f"it ended with {process.returncode}"
            raise UsageError(f"the dashboard does not start: {why}")
    atexit.register(_stop, process)
    address = str(json.loads(line)["address"])
    _SERVERS[workspace] = (process, address)
    return address


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_TO_STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
