"""The pages of a run over HTTP: every page of every run, nothing of a patient in an address, hostile words inert."""

import hashlib
import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from jinja2 import ChoiceLoader, DictLoader
from starlette.testclient import TestClient

from wardround.core.case import Case
from wardround.core.items import SourceItem
from wardround.core.source import Source, SourceKind
from wardround.dashboard.exporting import export_html
from wardround.dashboard.heading import head_of
from wardround.dashboard.links import RunLinks
from wardround.dashboard.plots import Bar, Bin, Point, probability_bar, reliability_diagram, risk_coverage, signed_bars
from wardround.dashboard.rendering import environment, page_context
from wardround.dashboard.report import report_page
from wardround.trace import views
from wardround.trace.capture import without_content
from wardround.trace.store import RunStore

ALL = ["coded", "bundle", "contested", "image", "waiting", "written", "proposed"]
PAGES = ["", "/evidence", "/course", "/record"]
MARKED, HOSTILE = "run_0123456789ab", "run_badbadbadbad"
VOID = {"area", "br", "col", "hr", "img", "input", "link", "meta", "path", "rect", "circle", "polygon", "source"}


class Page(HTMLParser):
    """What a browser would find: ids, links, whether tags close, and anything that could act."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.ids: list[str] = []
        self.links: list[str] = []
        self.scripts: list[dict[str, str | None]] = []
        self.acting: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("id"):
            self.ids.append(str(given["id"]))
        named = ("href", "src") if given.get("method") == "post" else ("href", "src", "action")
        self.links += [str(given[name]) for name in named if given.get(name)]
        self.acting += [f"{tag} {name}" for name in given if name.startswith("on") or name == "style"]
        if tag in ("iframe", "object", "embed", "base", "style", "foreignobject"):
            self.acting.append(tag)
        if tag == "script":
            self.scripts.append(given)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


def got(client: TestClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text[:500]
    assert "style-src 'self'" in answer.headers["content-security-policy"]
    return answer.text


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_whole_and_acts_only_through_the_scripts_of_the_dashboard(
    client: TestClient, ids: dict[str, str], name: str, path: str
) -> None:
    page = Page(got(client, f"/runs/{ids[name]}{path}"))
    assert page.open == []
    assert page.acting == []
    assert {script.get("src") for script in page.scripts} == {"/static/frame.js", "/static/run.js"}
    assert len(page.ids) == len(set(page.ids)), [i for i in page.ids if page.ids.count(i) > 1][:5]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("path", PAGES)
def test_every_link_within_a_page_leads_to_something_on_it(
    client: TestClient, ids: dict[str, str], name: str, path: str
) -> None:
    page = Page(got(client, f"/runs/{ids[name]}{path}"))
    assert [link for link in page.links if link.startswith("#") and link[1:] not in page.ids] == []


@pytest.mark.parametrize("name", ["coded", "bundle", "image", "written"])
def test_every_link_to_another_page_is_answered(client: TestClient, ids: dict[str, str], name: str) -> None:
    links = {link for path in PAGES for link in Page(got(client, f"/runs/{ids[name]}{path}")).links}
    own = sorted(link.partition("#")[0] for link in links if link.startswith("/runs/"))
    for link in dict.fromkeys(own):
        assert client.get(link).status_code == 200, link


def test_every_sentence_leads_to_its_source(client: TestClient, ids: dict[str, str], runs: dict[str, Any]) -> None:
    text = got(client, f"/runs/{ids['bundle']}")
    graph = views.evidence_graph(runs["bundle"].events)
    for claim in (c for c in graph.claims.values() if c.agent == "attending"):
        anchor = re.search(rf'href="#(sentence-\d+)"[^>]*>{re.escape(html.escape(claim.text))}<', text)
        assert anchor is not None
        detail = text[text.index(f'id="{anchor[1]}"') :]
        assert all(f'data-source="{source}"' in detail for source in claim.cites)


def test_addresses_tell_nothing_of_the_patient(client: TestClient, ids: dict[str, str], runs: dict[str, Any]) -> None:
    run = runs["bundle"]
    graph = views.evidence_graph(run.events)
    words = {c.id for c in graph.candidates} | set(graph.readings) | {run.case.id}
    words |= {s.document for s in graph.sources.values()}
    for path in PAGES:
        for link in Page(got(client, f"/runs/{run.id}{path}")).links:
            assert not [word for word in words if word in link], link
            assert re.fullmatch(r"[\w/?=&.#:,\-]*", link), link


def test_a_source_is_switched_off_by_its_address(client: TestClient, runs: dict[str, Any]) -> None:
    run = runs["bundle"]
    source = next(iter(views.evidence_graph(run.events).sources))
    assert "Without what is switched off" in got(client, f"/runs/{run.id}/evidence?without={source}")
    assert "Nothing here is called nonsense" in got(client, f"/runs/{run.id}/evidence?without=nonsense")


def test_messages_are_shown_as_sent_and_received(client: TestClient, runs: dict[str, Any]) -> None:
    run = runs["coded"]
    asked = next(e for e in run.events if e.event == "model_asked")
    text = html.unescape(got(client, f"/runs/{run.id}/call/{asked.seq}"))
    assert all(message["content"].strip()[:3000] in text for message in asked.messages)


@pytest.mark.parametrize(
    "path",
    ["/runs/none", "/runs/{}/call/999999", "/runs/{}/image/1", "/runs/{}/image/1.png", "/runs/{}/event/999999"],
)
def test_what_is_not_there_is_not_found(client: TestClient, ids: dict[str, str], path: str) -> None:
    assert client.get(path.format(ids["bundle"])).status_code == 404


def test_an_event_and_a_case_are_files_and_never_pages(client: TestClient, runs: dict[str, Any]) -> None:
    run = runs["bundle"]
    for path in ("event/4", "case"):
        answer = client.get(f"/runs/{run.id}/{path}")
        assert answer.headers["content-disposition"].startswith("attachment")
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert Case.model_validate(json.loads(client.get(f"/runs/{run.id}/case").text)) == run.case


def test_an_image_is_sent_as_it_was_shown_and_its_regions_are_drawn(client: TestClient, marked: Any) -> None:
    sha = next(e.sha256 for e in marked.events if e.event == "image_read")
    assert client.get(f"/runs/{MARKED}/image/{sha}.png").headers["content-type"] == "image/png"
    text = got(client, f"/runs/{MARKED}/image/{sha}")
    assert text.count("<polygon") == 2
    spot = next(s.id for s in views.evidence_graph(marked.events).sources.values() if "xywh" in s.document)
    assert "im-faint" in got(client, f"/runs/{MARKED}/image/{sha}?source={spot}")
    assert "im-faint" not in got(client, f"/runs/{MARKED}/image/{sha}?source=src_none")


def test_an_image_that_is_kept_with_its_run_needs_no_file(
    client: TestClient, marked: Any, workspace: Path, tmp_path: Path
) -> None:
    sha = next(e.sha256 for e in marked.events if e.event == "image_read")
    path = f"/runs/{MARKED}/image/{sha}.png"
    data = client.get(path).content
    store = RunStore(workspace)
    assert store.put(data, "image/png", run=MARKED).sha256 == sha
    store.put(b"<script>", "text/html", run=MARKED)
    store.close()
    away = (workspace / "chest.png").rename(tmp_path / "away.png")
    try:
        assert client.get(path).content == data
    finally:
        away.rename(workspace / "chest.png")
    assert client.get(f"/runs/{MARKED}/image/{hashlib.sha256(b'<script>').hexdigest()}.png").status_code == 404


@pytest.mark.parametrize("name", ["bundle", "contested", "image", "waiting"])
def test_a_run_without_content_is_shown_and_says_so(
    client: TestClient, runs: dict[str, Any], workspace: Path, name: str
) -> None:
    run, bare = runs[name], f"run_00000000{len(name):04d}"
    store = RunStore(workspace)
    events = [without_content(event).model_copy(update={"run": bare}) for event in run.events]
    store.begin(events[0])
    store.append(bare, events)
    store.close()
    for path in PAGES:
        assert "was not kept" in got(client, f"/runs/{bare}{path}")
    assert client.get(f"/runs/{bare}/export").status_code == 200


# hostile content


@pytest.mark.parametrize("path", PAGES)
def test_hostile_words_are_shown_and_do_nothing(client: TestClient, path: str) -> None:
    text = got(client, f"/runs/{HOSTILE}{path}")
    page = Page(text)
    assert page.acting == []
    assert {script.get("src") for script in page.scripts} == {"/static/frame.js", "/static/run.js"}
    assert "&lt;script&gt;window.broken=1" in text
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\x07]", text)
    assert "49" not in re.findall(r"\{\{.{0,9}", text)
    assert all("javascript" not in link and "broken" not in link for link in page.links)


def long_run(run: Any) -> Any:
    """The run with a source, a claim's answer and a narrative of five million characters each."""
    text = "<b>long " * 625_000
    events = []
    for event in run.events:
        if event.event == "model_answered":
            event = event.model_copy(update={"text": text})
        if event.event == "evidence_added" and event.item.item == "source" and event.item.source.kind is SourceKind.LAB:
            source = Source(kind=SourceKind.LAB, text=text, document=event.item.source.document, title=text)
            event = event.model_copy(update={"item": SourceItem(source=source)})
        events.append(event)
    return events, run.case.model_copy(update={"narrative": text, "complaint": text})


def test_texts_of_five_megabytes_are_cut_with_a_way_to_all_of_them(
    client: TestClient, runs: dict[str, Any], workspace: Path
) -> None:
    events, case = long_run(runs["bundle"])
    store = RunStore(workspace)
    events = [event.model_copy(update={"run": "run_105105105105"}) for event in events]
    store.begin(events[0])
    store.keep_case("run_105105105105", case.model_dump_json())
    store.append("run_105105105105", events)
    store.close()
    for path in PAGES:
        text = got(client, f"/runs/run_105105105105{path}")
        assert len(text) < 2_000_000
        assert "<b>" not in text
    assert "characters more" in got(client, "/runs/run_105105105105")
    assert len(client.get("/runs/run_105105105105/case").content) > 10_000_000


def test_the_export_needs_nothing_and_lets_nothing_act(runs: dict[str, Any], hostile: Any) -> None:
    for run in (runs["bundle"], hostile):
        text = export_html(run.events, run.case)
        page = Page(text)
        assert page.open == []
        assert [link for link in page.links if not link.startswith(("#", "data:image/png", "/"))] == []
        assert page.acting == ["style"]
        assert len(page.scripts) == 1
        assert "script-src 'sha256-" in text
        assert [link for link in page.links if link.startswith("#") and link[1:] not in page.ids] == []


def test_the_export_holds_the_pixels_of_its_images(marked: Any) -> None:
    assert "data:image/png;base64," in export_html(marked.events, marked.case)
    assert "data:image/png" not in export_html(marked.events, marked.case, with_images=False)


def test_the_frame_of_the_pages_may_offer_a_form_for_every_claim_and_span(runs: dict[str, Any]) -> None:
    env = environment()
    frames = {"base.html": "{% block content %}{% endblock %}", "run_annotate.html": "<i>{{ target }} {{ id }}</i>"}
    env.loader = ChoiceLoader([DictLoader(frames), env.loader or DictLoader({})])
    run = runs["bundle"]
    head = {"head": head_of(run.events, run.case), "annotating": True}
    links = RunLinks(run.id)
    report = env.get_template("run_report.html").render(page_context(links, "report", {**head, **page_of(run)}))
    claims = views.evidence_graph(run.events).claims
    assert {claim for claim in claims if f"<i>claim {claim}</i>" in report} == set(claims)
    assert f"<i>run {run.id}</i>" in report


def page_of(run: Any) -> dict[str, Any]:
    return report_page(run.events, run.case)


# what templates do to whatever they are given


@pytest.mark.parametrize("value", ["<b>", "a\u202eb", "\x00", "\ud800", "x" * 200_000])
def test_a_template_escapes_shows_the_unseen_and_cuts(value: str) -> None:
    text = environment().from_string("{{ value }}").render(value=value)
    assert "<" not in text
    assert not re.search("[\x00\u202e\ud800]", text)
    assert len(text) < 60_000


def test_plots_of_nothing_and_of_odd_values_are_drawn() -> None:
    from datetime import UTC, datetime

    from wardround.dashboard.plots import line_plot

    at = datetime(2024, 1, 1, tzinfo=UTC)
    assert "<svg" in line_plot([Point(at, 0.0)], title="<x>")
    assert "<x>" not in line_plot([Point(at, 1e300), Point(at, -1e300)], title="<x>", low=0.0)
    assert "<svg" in signed_bars([], title="none")
    assert "<b>" not in signed_bars([Bar("<b>", 0.0)], title="t")
    assert "unknown" in probability_bar(None)
    assert reliability_diagram([Bin(0.5, 0.4, 0), Bin(0.9, 0.8, 10, 0.5, 0.95)]).count("<circle") == 1
    assert "<svg" in risk_coverage([])
    assert "<svg" in risk_coverage([(0.5, 0.1), (1.0, 0.2)], target=0.05)
