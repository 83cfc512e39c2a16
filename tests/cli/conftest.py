"""The command as a user runs it: another process, its own folder, its streams caught."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
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
