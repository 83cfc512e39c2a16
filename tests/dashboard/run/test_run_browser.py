"""The pages of a run in a real browser: with scripts and without, and with words that want to act."""

import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from wardround.dashboard.exporting import STYLES, _static, export_html
from wardround.dashboard.masks import kept_with
from wardround.dashboard.plots import Bar, Bin, Point, line_plot, reliability_diagram, risk_coverage, signed_bars
from wardround.trace import views
from wardround.trace.store import RunStore

pytestmark = pytest.mark.slow
BARE = "run_fedcba987654"
"""The marked run, of which no test keeps a file."""
MARKED, HOSTILE = "run_0123456789ab", "run_badbadbadbad"


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


def yellow(element: Any) -> int:
    """Pixels of an element that are coloured as regions are; the image itself is grey."""
    with Pillow.open(io.BytesIO(element.screenshot())) as opened:
        blue = opened.convert("RGB").split()[2]
        red = opened.convert("RGB").split()[0]
    return sum(r > b + 40 for r, b in zip(red.tobytes(), blue.tobytes(), strict=True))


@pytest.mark.parametrize("scripts", [True, False])
def test_masks_are_switched_off_one_by_one_and_all_at_once(
    browser: Any, address: str, marked: Any, scripts: bool
) -> None:
    sha = next(e.sha256 for e in marked.events if e.event == "image_read")
    page = browser.new_page(java_script_enabled=scripts)
    page.goto(f"{address}/runs/{MARKED}/image/{sha}")
    frame, mask = page.locator(".stage .frame"), page.locator("image.im-mask")
    for n in (1, 2):
        page.locator(f"#region-{n}").uncheck()
    assert [page.locator(f".im-n{n}").is_visible() for n in (1, 2, 3)] == [False, False, True]
    assert yellow(frame) > 1000
    page.locator("#window-inverse").check()
    assert yellow(frame) > 1000
    page.locator("#window-plain").check()
    page.locator("#mask").uncheck()
    assert mask.is_hidden()
    assert yellow(frame) == 0
    page.locator("#mask").check()
    page.locator("#region-3").uncheck()
    assert mask.is_hidden()
    assert yellow(frame) == 0
    page.locator("#region-3").check()
    page.locator("#zoom-200").check()
    image = frame.locator("img")
    assert mask.bounding_box() == pytest.approx(image.bounding_box(), abs=2)
    page.close()


def test_a_mask_is_drawn_in_the_exported_file(
    tab: Any, marked: Any, pages: Any, workspace: Path, tmp_path: Path
) -> None:
    store, file = RunStore(workspace), tmp_path / "run.html"
    file.write_text(export_html(marked.events, marked.case, fetch=kept_with(store, MARKED)), "utf-8")
    store.close()
    tab.goto(file.as_uri())
    frame = tab.locator(".frame:visible").first
    frame.scroll_into_view_if_needed()
    assert yellow(frame) > 800


def test_an_image_that_is_gone_says_so(
    browser: Any, address: str, marked: Any, workspace: Path, tmp_path: Path
) -> None:
    sha = next(e.sha256 for e in marked.events if e.event == "image_read")
    picture = workspace / "chest.png"
    away = picture.rename(tmp_path / "away.png")
    try:
        page = browser.new_page()
        with page.expect_response("**/image/*.png") as answer:
            page.goto(f"{address}/runs/{BARE}/image/{sha}")
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
def test_words_stand_out_from_their_ground(
    tab: Any, address: str, ids: dict[str, str], hard_to_read: Callable[[Any], list[str]], scheme: str
) -> None:
    tab.emulate_media(color_scheme=scheme)
    for path in ("", "/evidence", "/course", "/record"):
        tab.goto(f"{address}/runs/{ids['contested']}{path}")
        assert hard_to_read(tab) == []


OVERLAPS = """() => {
  const box = (e) => e.getBoundingClientRect();
  const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  const found = [];
  const note = (text, other) => found.push(`${text.textContent} / ${other.textContent || other.outerHTML}`);
  const holds = (a, b) => a.left <= b.left && b.right <= a.right && a.top <= b.top && b.bottom <= a.bottom;
  for (const svg of document.querySelectorAll("svg")) {
    const texts = [...svg.querySelectorAll("text")].filter((e) => e.textContent);
    const marks = [...svg.querySelectorAll("circle, rect.pl-for, rect.pl-against, .pl-line, .pl-interval, .pl-limit")];
    for (const text of texts) {
      if (!holds(box(svg), box(text))) note(text, svg);
      for (const other of [...marks, ...texts]) if (other !== text && meet(box(text), box(other))) note(text, other);
    }
  }
  return found;
}"""
"""Words of a plot that lie under a mark, on other words or beyond the picture."""


@pytest.mark.parametrize("width", [220, 340, 640])
def test_words_of_a_plot_lie_beside_its_marks_at_every_size(tab: Any, width: int) -> None:
    corners = [Bin(x, y, 9, max(0.0, y - 0.2), min(1.0, y + 0.2)) for x in (0.0, 0.5, 1.0) for y in (0.0, 0.5, 1.0)]
    at = [datetime(2024, month, 1, tzinfo=UTC) for month in range(1, 8)]
    values = (-1000.0, 1.5, 2.25, 1000.0, 3.0, -7.0, 1000.0)
    plots = [
        reliability_diagram(corners, width=width),
        risk_coverage([(0.0, 1.0), (0.1, 0.0), (1.0, 1.0)], target=0.9, width=width),
        risk_coverage([(0.0, 0.0), (1.0, 0.02)], width=width),
        line_plot([Point(time, value) for time, value in zip(at, values, strict=True)], title="t", width=width),
        line_plot([Point(at[0], 0.001)], title="t", low=0.0, high=0.002, width=width),
        signed_bars([Bar("a long name " * 9, 12.5), Bar("b", -12.5), Bar("c", 0.0)], title="t", width=640),
    ]
    sheets = "".join(f"<style>{_static((name,))}</style>" for name in STYLES)
    tab.set_content(f'{sheets}<main class="run">{"".join(plots)}</main>')
    assert tab.locator("svg.pl").count() == len(plots)
    assert tab.evaluate(OVERLAPS) == []
