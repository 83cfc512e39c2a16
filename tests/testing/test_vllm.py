"""The server that tests start: that it answers, and that nothing of it is left."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from wardround.core.errors import ModelUnavailable, UsageError
from wardround.testing.tiny import build
from wardround.testing.vllm import ENVIRONMENT, VllmServer

pytest.importorskip("transformers", reason="transformers is not installed: pip install 'wardround[local]'")
needs_vllm = pytest.mark.skipif(
    not os.environ.get(ENVIRONMENT), reason=f"{ENVIRONMENT} names no environment; scripts/vllm_cpu.sh FOLDER makes one"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("llama", tmp_path_factory.mktemp("served") / "llama", context=2048)


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[VllmServer]:
    with VllmServer(folder, name="small", log=folder.parent / "vllm.log") as started:
        yield started


def processes_of(server: VllmServer) -> list[str]:
    """Command lines of the live processes whose group is the server's."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = status.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(after_name[2]) == server.process_group and after_name[0] != "Z":
            found.append(status.parent.name)
    return found


def all_ended(server: VllmServer, within: float = 10.0) -> bool:
    """Whether all processes of a server end in time; one that nobody has reaped has ended."""
    until = time.monotonic() + within
    while processes_of(server) and time.monotonic() < until:
        time.sleep(0.05)
    return processes_of(server) == []


def fake_environment(tmp_path: Path, script: str) -> Path:
    """An environment whose `python` does what a script of the shell says."""
    folder = tmp_path / "environment" / "bin"
    folder.mkdir(parents=True)
    for name in ("python", "vllm"):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return folder.parent


def test_without_an_environment_the_mend_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    with pytest.raises(UsageError, match=r"scripts/vllm_cpu\.sh FOLDER and set WARDROUND_VLLM=FOLDER"):
        VllmServer(folder)


def test_an_environment_without_vllm_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no vLLM in this environment"):
        VllmServer(folder, environment=tmp_path)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no config\.json"):
        VllmServer(tmp_path, environment=fake_environment(tmp_path, "exit 0"))


def test_a_server_that_ends_says_why(folder: Path, tmp_path: Path) -> None:
    environment = fake_environment(tmp_path, "echo no such architecture >&2; exit 3")
    server = VllmServer(folder, environment=environment, log=tmp_path / "log")
    with pytest.raises(
        ModelUnavailable, match=r"ended before it was ready, with exit status 3(.|\n)*no such architecture"
    ):
        server.start()
    assert not server.is_running


def test_a_server_that_takes_too_long_is_killed(folder: Path, tmp_path: Path) -> None:
    environment = fake_environment(tmp_path, "echo loading; sleep 600 & sleep 600")
    server = VllmServer(folder, environment=environment, log=tmp_path / "log")
    with pytest.raises(ModelUnavailable, match=r"not ready after 1 s(.|\n)*loading"):
        server.start(limit=1.0)
    assert processes_of(server) == []


def test_a_server_dies_with_the_process_that_started_it(folder: Path, tmp_path: Path) -> None:
    environment = fake_environment(tmp_path, "sleep 600 & sleep 600")
    script = f"""
import threading
from pathlib import Path
from wardround.testing.vllm import VllmServer
server = VllmServer(Path({str(folder)!r}), environment=Path({str(environment)!r}), log=Path({str(tmp_path / "log")!r}))
threading.Timer(1.0, lambda: print(server.process_group, flush=True)).start()
server.start()
"""
    starter = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    with starter:
        assert starter.stdout is not None
        group = int(starter.stdout.readline())
        os.killpg(group, 0)
        os.kill(starter.pid, signal.SIGKILL)
    assert gone(group)


def test_a_server_whose_guard_was_killed_is_killed_with_the_rest(folder: Path, tmp_path: Path) -> None:
    environment = fake_environment(tmp_path, "sleep 600 & sleep 600")
    server = VllmServer(folder, environment=environment, log=tmp_path / "log")

    def kill_guard() -> None:
        guard = int(Path(f"/proc/{server.process_group}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(guard, signal.SIGKILL)

    timer = threading.Timer(1.0, kill_guard)
    timer.start()
    with pytest.raises(ModelUnavailable, match="ended before it was ready, with exit status -9"):
        server.start()
    timer.join()
    assert gone(server.process_group)


def gone(group: int, within: float = 10.0) -> bool:
    """Whether a process group ends in time."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


@needs_vllm
def test_a_served_model_answers_under_its_name(server: VllmServer) -> None:
    (served,) = httpx.get(f"{server.base_url}/models").json()["data"]
    assert (served["id"], served["max_model_len"]) == ("small", 2048)
    question = {"model": "small", "messages": [{"role": "user", "content": "Well?"}], "max_tokens": 5}
    answer = httpx.post(f"{server.base_url}/chat/completions", json=question, timeout=120).json()
    assert answer["usage"]["completion_tokens"] in range(1, 6)


@needs_vllm
def test_a_killed_server_leaves_no_process_and_comes_back_at_its_address(server: VllmServer) -> None:
    address = server.base_url
    assert len(processes_of(server)) >= 3, "the server, its engine and a worker"
    server.kill()
    assert all_ended(server)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address}/models")
    server.start()
    assert server.base_url == address
    assert httpx.get(f"{address}/models").status_code == 200
    server.stop()
    assert all_ended(server)
