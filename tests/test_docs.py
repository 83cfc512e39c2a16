"""Everything that the documentation shows is run."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```(?P<kind>\w+)\n(?P<body>.*?)^```", re.DOTALL | re.MULTILINE)


def blocks(kind: str) -> list[tuple[str, str]]:
    return [
        (f"{page.name}:{page.read_text('utf-8')[: match.start()].count(chr(10)) + 1}", match["body"])
        for page in PAGES
        for match in _BLOCK.finditer(page.read_text("utf-8"))
        if match["kind"] == kind
    ]


PYTHON = blocks("python")
SHELL = [
    (place, body) for place, body in blocks("bash") if re.search(r"^(?:\.venv/bin/)?wardround ", body, re.MULTILINE)
]


@pytest.mark.parametrize("code", [body for _, body in PYTHON], ids=[place for place, _ in PYTHON])
def test_python_in_the_documentation_runs(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    exec(compile(code, "documentation", "exec"), {})


@pytest.mark.slow
@pytest.mark.parametrize("script", [body for _, body in SHELL], ids=[place for place, _ in SHELL])
def test_commands_in_the_documentation_run(script: str, tmp_path: Path) -> None:
    environment = {**os.environ, "WARDROUND_WORKSPACE": str(tmp_path / "runs")}
    setup = [sys.executable, "-m", "wardround", "consult", "examples/cases/chest_pain.json"]
    subprocess.run(setup, check=True, cwd=ROOT, env=environment, capture_output=True)
    for line in script.splitlines():
        words = shlex.split(line, comments=True)
        if not words or not words[0].endswith("wardround"):
            continue
        arguments = [str(tmp_path / word) if word == "results.jsonl" else word for word in words[1:]]
        done = subprocess.run(
            [sys.executable, "-m", "wardround", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        assert done.stdout


def test_every_link_of_the_documentation_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
