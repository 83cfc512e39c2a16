"""A real browser for the pages: served on a free port, looked at in Chromium, and asked what nobody could read."""

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.applications import Starlette

from wardround.testing.serving import served

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
CONTRAST = """() => {
  const part = (c) => { c /= 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const numbers = (c) => (c.match(/[\\d.]+/g) || []).map(Number);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = numbers(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || (c.length === 4 && c[3] === 1)) return c.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const e of document.querySelectorAll("body *")) {
    const says = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!says || !e.checkVisibility() || e.closest("svg, .visually-hidden, .skip, :disabled")) continue;
    const style = getComputedStyle(e);
    const [a, b] = [light(numbers(style.color).slice(0, 3)), light(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize);
    const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    const what = `${e.tagName}.${e.className}: ${e.textContent.trim().slice(0, 40)}`;
    if (ratio < least) poor.push(`${ratio.toFixed(2)} ${what}`);
  }
  return poor;
}"""


@pytest.fixture(scope="module")
def address(pages: Starlette) -> Iterator[str]:
    """Where the pages of the module are served."""
    with served(pages) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, without a window.

    It is closed with its module: while it is open, no test that is a coroutine could run.
    """
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no chromium on this machine")
    with sync_api.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=QUIET)
        yield opened
        opened.close()


@pytest.fixture
def tab(browser: Any, address: str) -> Iterator[Any]:
    """A page of 1280 pixels that asks nobody else for anything, and on which nothing goes wrong."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page = context.new_page()
    ours = (address, "data:", "file:")
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("dialog", lambda dialog: wrong.append(f"dialog {dialog.message}"))
    page.on("request", lambda sent: None if sent.url.startswith(ours) else wrong.append(sent.url))
    page.set_default_timeout(15_000)
    yield page
    context.close()
    assert wrong == []


@pytest.fixture(scope="session")
def hard_to_read() -> Callable[[Any], list[str]]:
    """Tells the texts of a page whose contrast is below WCAG 2.2 AA (success criterion 1.4.3)."""
    return lambda page: list(page.evaluate(CONTRAST))
