"""The pages of a run in a real browser: with scripts and without, and with words that want to act."""

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette

from wardround.dashboard.exporting import export_html
from wardround.trace import views

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine"),
    pytest.mark.slow,
]
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MARKED, HOSTILE = "run_0123456789ab", "run_badbadbadbad"


@pytest.fixture(scope="module")
def address(pages: Starlette) -> Iterator[str]:
    """Where the pages are served."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(pages, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < until, "the server does not start"
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, without a window."""
    with sync_api.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield opened
        opened.close()


@pytest.fixture
def tab(browser: Any) -> Iterator[Any]:
    """A page of 1280 pixels, on which nothing may go wrong."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    yield page
    context.close()
    assert wrong == []


def test_a_sentence_opens_what_it_rests_on_beside_it(tab: Any, address: str, ids: dict[str, str]) -> None:
    tab.goto(f"{address}/runs/{ids['bundle']}")
    assert tab.locator(".detail:visible").count() == 1
    tab.get_by_role("link", name="There is raised troponin").click()
    assert tab.locator(".detail:visible h3").inner_text().startswith("There is raised troponin")
    assert tab.locator(".detail:visible .place mark").first.inner_text() == "Troponin I 148 ng/L"
    left, right = tab.locator(".sentences").bounding_box(), tab.locator(".detail:visible").bounding_box()
    assert left["x"] + left["width"] <= right["x"]
    tab.keyboard.press("Shift+Tab")
    tab.get_by_role("link", name="There is raised troponin").focus()
    tab.keyboard.press("ArrowDown")
    assert not tab.locator(".detail:visible h3").inner_text().startswith("There is raised troponin")


def test_without_scripts_every_sentence_still_leads_to_its_source(
    browser: Any, address: str, ids: dict[str, str], runs: dict[str, Any]
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/runs/{ids['bundle']}")
    claims = [c for c in views.evidence_graph(runs["bundle"].events).claims.values() if c.agent == "attending"]
    assert page.locator(".detail:visible").count() == page.locator("a.sentence").count() == len(claims)
    for claim in claims:
        page.locator("a.sentence", has_text=claim.text).first.click()
        detail = page.locator(page.url[page.url.index("#") :])
        assert detail.is_visible()
        assert all(detail.locator(f'[data-source="{source}"]').count() == 1 for source in claim.cites)
    page.goto(f"{address}/runs/{ids['bundle']}/course")
    assert page.locator("#span-search").is_hidden()
    assert page.locator("li.span").count() > 10
    context.close()


@pytest.mark.parametrize("path", ["", "/evidence", "/course", "/record"])
@pytest.mark.parametrize("name", ["bundle", "contested", "written", "waiting"])
def test_a_page_fits_into_1280_pixels_and_loads_nothing_from_outside(
    tab: Any, address: str, ids: dict[str, str], name: str, path: str
) -> None:
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(f"{address}/runs/{ids[name]}{path}")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 1280
    assert all(url.startswith((address, "data:")) for url in asked)


def test_a_source_that_is_switched_off_is_weighed_at_once(tab: Any, address: str, ids: dict[str, str]) -> None:
    tab.goto(f"{address}/runs/{ids['bundle']}/evidence")
    with tab.expect_navigation():
        tab.locator("#what-if-form").get_by_label("DocumentReference/chest-pressure-note-1").first.check()
    assert "without=ev_" in tab.url
    rows = tab.locator("#what-if tbody tr")
    assert rows.count() > 0
    before, after = rows.first.locator("td.num").nth(0).inner_text(), rows.first.locator("td.num").nth(1).inner_text()
    assert before != after
    with tab.expect_navigation():
        tab.get_by_role("link", name="Switch everything on again").click()
    assert tab.locator("#what-if").count() == 0


def test_an_element_of_the_graph_shows_what_it_is_linked_to(tab: Any, address: str, ids: dict[str, str]) -> None:
    tab.goto(f"{address}/runs/{ids['bundle']}/evidence")
    assert tab.locator(".graph .node.dim").count() == 0
    tab.locator(".graph .node.observation").nth(3).click()
    assert tab.locator(".graph .node.picked").count() == 1
    assert tab.locator(".graph .node.dim").count() > 10
    tab.locator(".graph .node.picked").press("Enter")
    assert tab.locator(".graph .node.dim").count() == 0


def test_the_tree_of_spans_is_searched_by_words_and_kind(tab: Any, address: str, ids: dict[str, str]) -> None:
    tab.goto(f"{address}/runs/{ids['bundle']}/course")
    everything = tab.locator("li.span:visible").count()
    tab.fill("#span-query", "guideline")
    assert tab.locator("li.span.hit").count() == 2
    assert tab.locator("li.span:visible").count() < everything
    tab.fill("#span-query", "")
    tab.locator(".span-kind[value=model]").uncheck()
    assert tab.locator("li.span-model:visible").count() == 0


def test_messages_are_fetched_when_they_are_opened(tab: Any, address: str, ids: dict[str, str]) -> None:
    tab.goto(f"{address}/runs/{ids['bundle']}/course")
    call = tab.locator("details.call").first
    call.locator("summary").first.click()
    call.locator("#call-messages").wait_for()
    assert "triage doctor" in call.locator("#call-messages .role-system").inner_text()
    use = tab.locator("details.use").nth(2)
    use.locator("summary").first.click()
    use.locator(".as-table").wait_for()
    use.locator("label", has_text="raw").click()
    use.locator(".as-raw").wait_for()
    use.locator(".as-table").wait_for(state="hidden")


def test_regions_window_and_zoom_of_an_image(tab: Any, address: str, marked: Any) -> None:
    sha = next(e.sha256 for e in marked.events if e.event == "image_read")
    tab.goto(f"{address}/runs/{MARKED}/image/{sha}")
    image, overlay = tab.locator(".frame img"), tab.locator(".im-overlay")
    assert image.evaluate("i => i.naturalWidth") == 160
    assert overlay.bounding_box() == pytest.approx(image.bounding_box(), abs=1)
    tab.locator("#mask").uncheck()
    assert overlay.is_hidden()
    tab.locator("#mask").check()
    width = image.bounding_box()["width"]
    tab.locator("#zoom-200").check()
    assert image.bounding_box()["width"] == pytest.approx(2 * width, rel=0.05)
    assert overlay.bounding_box() == pytest.approx(image.bounding_box(), abs=2)
    tab.locator("#window-inverse").check()
    assert "invert" in image.evaluate("i => getComputedStyle(i).filter")
    tab.locator("#level-width").evaluate("e => { e.value = 100; e.dispatchEvent(new Event('input')); }")
    assert "levels-filter" in image.evaluate("i => getComputedStyle(i).filter")


def test_an_image_that_is_gone_says_so(
    browser: Any, address: str, marked: Any, workspace: Path, tmp_path: Path
) -> None:
    sha = next(e.sha256 for e in marked.events if e.event == "image_read")
    picture = workspace / "chest.png"
    away = picture.rename(tmp_path / "away.png")
    try:
        page = browser.new_page()
        with page.expect_response("**/*.png") as answer:
            page.goto(f"{address}/runs/{MARKED}/image/{sha}")
        assert answer.value.status == 404
        page.locator(".is-broken").wait_for()
        assert page.locator(".im-overlay").count() == 0
        page.close()
    finally:
        away.rename(picture)


@pytest.mark.parametrize("path", ["", "/evidence", "/course", "/record"])
def test_hostile_words_do_nothing_in_a_browser(tab: Any, address: str, path: str) -> None:
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(f"{address}/runs/{HOSTILE}{path}")
    tab.evaluate("document.querySelectorAll('details').forEach((folded) => { folded.open = true; })")
    tab.wait_for_load_state("networkidle")
    assert tab.evaluate("window.broken") is None
    assert tab.evaluate("document.documentElement.scrollWidth") <= 1280
    assert not [url for url in asked if url.endswith("/x")]


def test_a_run_in_one_file_shows_its_parts_and_asks_for_nothing(
    tab: Any, runs: dict[str, Any], hostile: Any, tmp_path: Path
) -> None:
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    for run in (runs["bundle"], hostile):
        file = tmp_path / f"{run.id}.html"
        file.write_text(export_html(run.events, run.case), "utf-8")
        tab.goto(file.as_uri())
        assert tab.locator(".part:visible").count() == 1
        tab.locator(".tabs a", has_text="How it went").click()
        tab.locator("#course").wait_for()
        assert tab.locator("#course svg.sm").is_visible()
        assert tab.evaluate("window.broken") is None
        assert tab.evaluate("getComputedStyle(document.querySelector('.card')).borderRadius") == "8px"
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_ground(browser: Any, address: str, ids: dict[str, str], scheme: str) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    for path in ("", "/evidence", "/course", "/record"):
        page.goto(f"{address}/runs/{ids['contested']}{path}")
        assert page.evaluate(CONTRAST) == []
    context.close()


CONTRAST = """() => {
  const parts = (c) => (c.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const found = [];
  for (const node of document.querySelectorAll('.run .card *, .run table.data td, .run .badge')) {
    if (node.closest('svg') || !node.checkVisibility()) continue;
    if (![...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim())) continue;
    let ground = null;
    for (let at = node; at && !ground; at = at.parentElement) {
      const colour = parts(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) ground = colour;
    }
    if (!ground) continue;
    const [a, b] = [light(parts(getComputedStyle(node).color)), light(ground)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const said = `${node.tagName}.${node.className} ${ratio.toFixed(2)} ${node.textContent.slice(0, 30)}`;
    if (ratio < 4.5) found.push(said);
  }
  return [...new Set(found)].slice(0, 10);
}"""
