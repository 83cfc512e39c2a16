"""A real vLLM server on this machine's CPU, for tests: started, waited for, and stopped without remains.

vLLM lives in an environment of its own, since its requirements clash with others; `scripts/vllm_cpu.sh FOLDER` makes
one. With a model of `wardround.testing.tiny` the server is ready within a minute and takes 3 GB of memory:

    with VllmServer(folder) as server:
        model = chat_model(f"vllm:{server.name}", base_url=server.base_url)
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from wardround.core.errors import ModelUnavailable, UsageError

ENVIRONMENT = "WARDROUND_VLLM"
"""Variable that names the folder of the environment with vLLM."""
START = 300.0
"""Seconds that a server gets to start; on two idle cores it takes about 50."""
_GRACE = 20.0
"""Seconds that a server gets to end when it is told to."""
_SHOWN = 25
"""Lines of the log in the message about a server that did not start."""
_FLAGS = ("--dtype", "float32", "--enforce-eager", "--max-num-seqs", "8")
_VARIABLES = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    # with two threads that spin on shared cores a tiny model is ten times slower
    "OMP_NUM_THREADS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
}
_NOT_PASSED_ON = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
# The server's processes outlive even a test run that is killed outright, so a guard of their own watches its standard
# input: when whoever started it is gone, the input ends, and the guard kills the group.
_GUARD = """
import os, signal, subprocess, sys, threading
server = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=sys.stderr, start_new_session=True)
print(server.pid, flush=True)
def kill_group():
    try:
        os.killpg(server.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
def end(*_):
    kill_group()
    os._exit(143)
signal.signal(signal.SIGTERM, end)
def watch():
    while sys.stdin.buffer.raw.read(1):
        pass
    kill_group()
threading.Thread(target=watch, daemon=True).start()
status = server.wait()
kill_group()
os._exit(status if status >= 0 else 128 - status)
"""


class VllmServer:
    """Serves one folder with a model through `vllm serve`; a context manager."""

    def __init__(
        self,
        folder: Path,
        *,
        name: str = "tiny",
        environment: Path | None = None,
        flags: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        """Find the environment; nothing is started yet.

        Args:
            folder: Of the model.
            name: Under which it is served.
            environment: Folder of the environment with vLLM; named by the variable `WARDROUND_VLLM` unless given.
            flags: Further ones of `vllm serve`, such as `--enable-auto-tool-choice`.
            variables: Further ones of the server's process environment.
            log: File that the server's output is added to; a temporary one that is kept, unless given.

        Raises:
            UsageError: No environment is named, or there is no vLLM in it, or no model in the folder.
        """
        self.folder, self.name = folder, name
        self._python = _find_python(environment)
        if not (folder / "config.json").is_file():
            raise UsageError(f"{folder}: holds no config.json, so there is no model to serve")
        self._flags, self._variables = tuple(flags), dict(variables or {})
        self.log = log or Path(tempfile.mkstemp(prefix="wardround-vllm-", suffix=".log")[1])
        """What the server printed."""
        self.port = _free_port()
        self._guard: subprocess.Popen[bytes] | None = None
        self.process_group = 0
        """Of the server's processes, once started; its id is that of the server."""

    @property
    def base_url(self) -> str:
        """Where OpenAI's protocol is spoken."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def is_running(self) -> bool:
        """Whether the server's process is there, ready or not."""
        return self._guard is not None and self._guard.poll() is None

    def __enter__(self) -> VllmServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, limit: float = START) -> None:
        """Start the server and wait until it answers; after `stop` or `kill` it comes back at the same port.

        Args:
            limit: Seconds that it gets.

        Raises:
            ModelUnavailable: It ended, or was not ready in time and is killed; the message ends with its log.
        """
        if self.is_running:
            return
        self._launch()
        began = time.monotonic()
        try:
            while not self._is_healthy():
                if self._has_ended():
                    raise ModelUnavailable(
                        self.name, f"vLLM ended before it was ready, {self._end()}.{self._log_end()}"
                    )
                if time.monotonic() - began > limit:
                    raise ModelUnavailable(self.name, f"vLLM was not ready after {limit:g} s.{self._log_end()}")
                time.sleep(0.25)
        except BaseException:
            self.kill()
            raise

    def _has_ended(self) -> bool:
        return not self.is_running

    def stop(self) -> None:
        """Ask the server to end, as an operator would; kill it if it does not."""
        if self._guard is None:
            return
        if self.is_running:
            with suppress(ProcessLookupError):
                os.kill(self.process_group, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._guard.wait(_GRACE)
        self.kill()

    def kill(self) -> None:
        """Kill all processes of the server at once, as a machine that fails does."""
        guard, self._guard = self._guard, None
        if guard is None:
            return
        with guard:  # its standard input ends, on which it kills the group
            pass
        if guard.returncode < 0:  # the guard itself was killed before it could
            with suppress(ProcessLookupError):
                os.killpg(self.process_group, signal.SIGKILL)

    def _launch(self) -> None:
        serve = ("serve", str(self.folder), "--served-model-name", self.name)
        command = (str(self._python), "-m", "vllm.entrypoints.cli.main", *serve, *self._address(), *_FLAGS)
        inherited = {key: value for key, value in os.environ.items() if key not in _NOT_PASSED_ON}
        with self.log.open("ab") as log:
            self._guard = subprocess.Popen(
                [sys.executable, "-c", _GUARD, *command, *self._flags],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=inherited | _VARIABLES | self._variables,
                start_new_session=True,
            )
        assert self._guard.stdout is not None
        self.process_group = int(self._guard.stdout.readline())

    def _address(self) -> tuple[str, ...]:
        return ("--host", "127.0.0.1", "--port", str(self.port))

    def _is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _end(self) -> str:
        status = self._guard.returncode if self._guard is not None else 0
        return f"killed by signal {status - 128}" if status > 128 else f"with exit status {status}"

    def _log_end(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join([f" The last lines of {self.log}:", *lines[-_SHOWN:]])


def _find_python(environment: Path | None) -> Path:
    named = environment or (Path(os.environ[ENVIRONMENT]) if os.environ.get(ENVIRONMENT) else None)
    if named is None:
        raise UsageError(
            "no environment with vLLM is named; make one with Wardround's scripts/vllm_cpu.sh FOLDER and set "
            f"{ENVIRONMENT}=FOLDER"
        )
    python = named / "bin" / "python"
    if not python.exists() or not (named / "bin" / "vllm").exists():
        raise UsageError(f"{named}: there is no vLLM in this environment; make one with scripts/vllm_cpu.sh FOLDER")
    return python.absolute()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
