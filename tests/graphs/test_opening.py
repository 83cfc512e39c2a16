"""The dashboard on one run, opened from Python."""

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

import wardround as wr
from wardround.core.errors import UsageError
from wardround.graphs.opening import open_run

SCRIPT = """
import json, sys, webbrowser
import httpx
import wardround as wr

class Seen(webbrowser.BaseBrowser):
    shown = []
    def open(self, url, new=0, autoraise=True):
        self.shown.append(url)
        return True

webbrowser.register("seen", None, Seen("seen"), preferred=True)
consult = wr.Ward(workspace=sys.argv[1]).consult(wr.Case(id="weary", narrative="Man of 60 with fatigue."))
first, again = consult.open(), consult.open()
page = httpx.get(first)
print(json.dumps([consult.run, first, again, Seen.shown, page.status_code, "weary" in page.text]))
"""


def test_a_consult_opens_its_page_on_a_server_that_ends_with_the_program(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, timeout=120, check=True
    )
    run, first, again, shown, status, is_its = json.loads(told.stdout)
    assert first == again
    assert first.endswith(f"/runs/{run}")
    assert shown == [first, first]
    assert (status, is_its) == (200, True)
    with pytest.raises(httpx.ConnectError):
        httpx.get(first)


def test_a_run_that_is_not_kept_cannot_be_opened() -> None:
    consult = wr.Ward().consult(wr.Case(narrative="Man of 60 with fatigue."))
    with pytest.raises(UsageError, match="not kept, so no page can show it"):
        consult.open()


def test_a_dashboard_that_does_not_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("no folder", "utf-8")
    with pytest.raises(UsageError, match=r"the dashboard does not start: (.|\n)*broken"):
        open_run("run_x", tmp_path / "broken")
