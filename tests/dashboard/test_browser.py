"""The dashboard as people use it: in a real browser, over real consults, from the list to an overridden escalation."""

import datetime as dt
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

import wardround as wr
from wardround.dashboard.app import create_app
from wardround.dashboard.links import mark_of
from wardround.trace.annotating import Annotation
from wardround.trace.events import ModelAnswered, ModelAsked, RunStarted, Suspended
from wardround.trace.store import RunStore
from wardround.trace.views import evidence_graph

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).parents[2] / "examples" / "cases"
HOSTILE = (
    "<script>window.broken=1</script><img src=x onerror=window.broken=1>\"'><svg onload=window.broken=1>"
    "</title></style>{{ 7*7 }}\u202eevil\u202c\u200b\x07"
)
NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
BAD = "run_badbadbadbad"
Readable = Callable[[Any], list[str]]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Consults of examples, one of them twice under other settings, one that waits, and one made of hostile words."""
    folder = tmp_path_factory.mktemp("browser")
    ward = wr.Ward(workspace=folder)
    for name in ("chest_pain.json", "sudden_headache.json"):
        ward.consult(wr.Case.from_file(EXAMPLES / name))
    short = wr.Ward(workspace=folder, settings=wr.ConsultSettings(rollouts=1, rounds=0, tool_steps=0))
    short.consult(wr.Case.from_file(EXAMPLES / "sudden_headache.json"))
    asking = wr.Ward(workspace=folder, settings=wr.ConsultSettings(escalate=True))
    for name, text in {"weary": "Man of 60 with fatigue.", "tired": "Woman of 70 who is tired."}.items():
        asking.consult(wr.Case(id=name, narrative=text))
    keep_hostile(RunStore(folder))
    return folder


def keep_hostile(store: RunStore) -> None:
    """Keep a run of which every word was written by somebody who means ill, one of them of 5 MB."""
    common: dict[str, Any] = {"run": BAD, "time": NOON, "span": ""}
    started = RunStarted(**common, seq=0, case=HOSTILE, model=HOSTILE, settings={"suite": HOSTILE, "x": HOSTILE})
    store.begin(started)
    store.keep_case(BAD, wr.Case(id=HOSTILE, narrative=HOSTILE).model_dump_json())
    asked = {"role": "user", "content": HOSTILE}
    question = {
        "reasons": [{"code": "conflict", "detail": HOSTILE}],
        "differential": [{"name": HOSTILE, "probability": 0.5}],
        "missing": [{"name": HOSTILE}],
    }
    store.append(
        BAD,
        [
            started,
            ModelAsked(
                **common, seq=1, call="c", agent=HOSTILE, model=HOSTILE, answer="A", rollout=0, attempt=0,
                messages=(asked,),
            ),
            ModelAnswered(**common, seq=2, call="c", text=HOSTILE + "x" * 5_000_000, seconds=1.0),
            Suspended(**common, seq=3, question=question),
        ],
    )  # fmt: skip
    store.annotate(Annotation(BAD, "run", BAD, "wrong", HOSTILE, HOSTILE, NOON))


@pytest.fixture(scope="module")
def ids(workspace: Path) -> dict[str, str]:
    """The latest run of each case."""
    return {row.case: row.id for row in reversed(RunStore.existing(workspace).runs())}


@pytest.fixture(scope="module")
def pages(workspace: Path) -> Starlette:
    """The dashboard of the workspace."""
    return create_app(workspace)


def pages_of(ids: dict[str, str], case: str = "sudden-headache") -> list[str]:
    run = ids[case]
    shell = ["/", "/evaluation", "/review", f"/compare?run={run}&run={ids['weary']}"]
    return shell + [f"/runs/{run}{page}" for page in ("", "/evidence", "/course", "/record")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_and_can_be_read_in_light_and_dark(
    tab: Any, address: str, ids: dict[str, str], hard_to_read: Readable, scheme: str
) -> None:
    tab.emulate_media(color_scheme=scheme)
    for path in pages_of(ids):
        tab.goto(address + path)
        assert tab.evaluate("document.documentElement.scrollWidth") <= 1280, path
        assert hard_to_read(tab) == [], path


def test_light_and_dark_can_be_chosen_and_are_remembered(tab: Any, address: str) -> None:
    tab.emulate_media(color_scheme="light")
    tab.goto(address)
    before = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    tab.get_by_role("button", name="Change between light and dark").click()
    tab.goto(f"{address}/review")
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") != before


def test_print_leaves_out_what_cannot_be_pressed_on_paper(
    tab: Any, address: str, ids: dict[str, str], hard_to_read: Readable
) -> None:
    tab.goto(f"{address}/runs/{ids['sudden-headache']}")
    tab.emulate_media(media="print", color_scheme="dark")
    for hidden in ("header.frame nav", ".theme", ".annotate"):
        assert tab.locator(hidden).first.is_hidden(), hidden
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert hard_to_read(tab) == []


def test_every_link_of_every_page_leads_somewhere(tab: Any, address: str, ids: dict[str, str]) -> None:
    links: dict[str, str] = {}
    for path in pages_of(ids):
        tab.goto(address + path)
        for link in tab.eval_on_selector_all("a[href]", "all => all.map((a) => a.getAttribute('href'))"):
            if link.startswith("#"):
                assert tab.locator(f'[id="{link[1:]}"]').count() == 1, (path, link)
            else:
                links.setdefault(link.partition("#")[0], path)
    seen: list[str] = []
    for link, path in links.items():
        kind = re.sub(r"(run|src|ev|clm)_\w+|\d+", "*", link)
        if kind not in seen or link.count("?") == 0:
            seen.append(kind)
            assert tab.request.get(address + link).ok, (path, link)
    assert len(links) > 30


def test_every_sentence_leads_to_the_words_it_rests_on(
    tab: Any, address: str, ids: dict[str, str], workspace: Path
) -> None:
    run = ids["sudden-headache"]
    graph = evidence_graph(RunStore.existing(workspace).events(run))
    claims = [claim for claim in graph.claims.values() if claim.agent == "attending" and claim.cites]
    assert claims
    tab.goto(f"{address}/runs/{run}")
    for claim in claims:
        tab.locator("a.sentence", has_text=claim.text).first.click()
        detail = tab.locator(".detail:visible")
        for source in claim.cites:
            assert detail.locator(f'[data-source="{source}"]').count() == 1
            assert graph.sources[source].text[:40] in detail.inner_text()


def test_a_run_that_begins_arrives_while_the_list_is_looked_at(tab: Any, address: str, workspace: Path) -> None:
    tab.goto(f"{address}/?sort=case")
    had = tab.locator("tr[data-run]").count()
    tab.locator('input[name="run"]').first.check()
    chosen = tab.locator('input[name="run"]:checked').get_attribute("value")
    ward = wr.Ward(workspace=workspace, settings=wr.ConsultSettings(rollouts=1, rounds=0, tool_steps=0))
    run = ward.consult(wr.Case(id="arrived", narrative="Cough and fever for 3 days.")).run
    tab.locator(f'tr[data-run="{run}"] .badge-final, tr[data-run="{run}"] .badge-abstained').first.wait_for()
    assert tab.locator("tr[data-run]").count() == had + 1
    assert tab.locator('input[name="run"]:checked').get_attribute("value") == chosen


def test_words_are_searched_with_the_keyboard_and_never_stand_in_the_address(
    tab: Any, address: str, ids: dict[str, str]
) -> None:
    tab.goto(address)
    tab.keyboard.press("/")
    tab.keyboard.type("thunderclap headache")
    with tab.expect_navigation():
        tab.keyboard.press("Enter")
    assert "headache" not in tab.url
    assert tab.locator("tr[data-run]").count() >= 1
    assert tab.locator(f'tr[data-run="{ids["weary"]}"]').count() == 0
    with tab.expect_navigation():
        tab.get_by_role("link", name="clear").click()
    assert tab.locator(f'tr[data-run="{ids["weary"]}"]').count() == 1
    tab.keyboard.press("g")
    with tab.expect_navigation():
        tab.keyboard.press("v")
    assert tab.url.endswith("/review")


def test_facets_choose_runs(tab: Any, address: str, ids: dict[str, str]) -> None:
    tab.goto(address)
    with tab.expect_navigation():
        tab.locator(".facets section", has_text="State").get_by_role("link", name="suspended").click()
    shown = tab.locator("tr[data-run]").evaluate_all("all => all.map((row) => row.dataset.run)")
    assert {ids["weary"], ids["tired"]} & set(shown)
    assert ids["sudden-headache"] not in shown
    with tab.expect_navigation():
        tab.locator(".facets a.chosen").click()
    assert tab.locator(f'tr[data-run="{ids["sudden-headache"]}"]').count() == 1


def test_runs_of_one_case_are_compared(tab: Any, address: str, workspace: Path) -> None:
    runs = [row.id for row in RunStore.existing(workspace).runs() if row.case == "sudden-headache"]
    assert len(runs) == 2
    tab.goto(address)
    compare = tab.get_by_role("button", name="Compare chosen")
    assert compare.is_disabled()
    for run in runs:
        tab.locator(f'input[name="run"][value="{run}"]').check()
    with tab.expect_navigation():
        compare.click()
    assert tab.locator("tr", has=tab.locator("th", has_text="tool_steps")).locator("td").all_inner_texts() in (
        ["0", "3"],
        ["3", "0"],
    )
    assert "One case, 2 runs" in tab.locator("main").inner_text()


def test_evidence_is_switched_off_and_weighed_again(
    tab: Any, address: str, ids: dict[str, str], workspace: Path
) -> None:
    run = ids["chest-pain"]
    graph = evidence_graph(RunStore.existing(workspace).events(run))
    top = graph.differential.top
    assert top is not None
    documents = {source.document for source in graph.sources.values()}
    document = min(documents, key=lambda name: graph.without([name]).find(top.id).probability)
    tab.goto(f"{address}/runs/{run}/evidence")
    with tab.expect_navigation():
        tab.locator(f'#what-if-form input[value="{mark_of(document)}"]').check()
    figures = tab.locator("#what-if tbody tr").first.locator("td.num").all_inner_texts()
    assert figures[0] != figures[1]


def test_a_run_is_done_over_with_an_edited_answer_and_from_a_checkpoint(
    tab: Any, address: str, ids: dict[str, str], workspace: Path
) -> None:
    run = ids["chest-pain"]
    tab.goto(f"{address}/runs/{run}/course")
    call = tab.locator("details.call", has_text="AttendingAnswer").last
    call.locator("summary").first.click()
    call.locator("#call-messages").wait_for()
    call.locator("details.fork summary").click()
    call.get_by_label("In place of it").fill('{"diagnosis": null, "argument": []}')
    with tab.expect_navigation(timeout=60_000):
        call.get_by_role("button", name="Do it over").click()
    assert "another answer to call_" in tab.locator("main").inner_text()
    edited = RunStore.existing(workspace).find(tab.url.rpartition("/")[2])
    assert (edited.status, edited.id != run) == ("abstained", True)
    tab.goto(f"{address}/runs/{run}/course")
    tab.locator('form.fork input[value="attending"]').check()
    with tab.expect_navigation(timeout=60_000):
        tab.get_by_role("button", name="Do it over from there").click()
    assert "all asked anew from attending on" in tab.locator("main").inner_text()


def test_a_claim_is_judged_where_it_is_shown_and_appears_in_the_review(
    tab: Any, address: str, ids: dict[str, str], workspace: Path
) -> None:
    run = ids["sudden-headache"]
    tab.goto(f"{address}/runs/{run}")
    form = tab.locator(".annotate:visible", has=tab.locator('input[name="target"][value="claim"]')).first
    form.locator("summary").click()
    form.get_by_label("Why").fill("it was <b>mild</b>")
    form.get_by_label("Your name").fill("Dr Grün")
    with tab.expect_navigation():
        form.get_by_role("button", name="wrong").click()
    (kept,) = [a for a in RunStore.existing(workspace).annotations(run) if a.target == "claim"]
    assert (kept.label, kept.why, kept.who) == ("wrong", "it was <b>mild</b>", "Dr Grün")
    tab.goto(f"{address}/review")
    assert "it was <b>mild</b>" in tab.locator("main").inner_text()
    with tab.expect_download() as saved:
        tab.get_by_role("link", name="All judgements as JSON lines").click()
    assert kept.id in Path(saved.value.path()).read_text("utf-8")


def test_an_escalation_is_overridden_and_the_run_ends(
    tab: Any, address: str, ids: dict[str, str], workspace: Path
) -> None:
    run = ids["weary"]
    tab.goto(f"{address}/review")
    card = tab.locator("article.card", has=tab.locator(f'a[href="/runs/{run}"]'))
    card.get_by_label("Diagnosis").fill("influenza")
    card.get_by_label("Why, for the log").fill("seen at the bedside")
    with tab.expect_navigation(timeout=60_000):
        card.get_by_role("button", name="Answer").click()
    assert tab.url.endswith(f"/runs/{run}")
    row = RunStore.existing(workspace).find(run)
    assert (row.state, row.status, row.diagnosis) == ("done", "final", "influenza")
    assert tab.locator(".badge-final").count() >= 1


def test_further_information_is_given_where_the_run_is_shown(
    tab: Any, address: str, ids: dict[str, str], workspace: Path
) -> None:
    run = ids["tired"]
    tab.goto(f"{address}/runs/{run}")
    assert tab.locator(f'form[action="/runs/{run}/answer"]').count() == 1
    tab.get_by_label("Information").fill("Hemoglobin 6.9 g/dL. Melena for a week.")
    with tab.expect_navigation(timeout=60_000):
        tab.get_by_role("button", name="Answer").click()
    sources = evidence_graph(RunStore.existing(workspace).events(run)).sources.values()
    assert any("Melena" in source.text for source in sources)


def test_figures_of_the_evaluation_lead_to_the_runs(
    tab: Any, address: str, ids: dict[str, str], workspace: Path
) -> None:
    run = ids["sudden-headache"]
    RunStore.existing(workspace).annotate(Annotation(run, "run", run, "right", "known", "answers", NOON))
    tab.goto(f"{address}/evaluation")
    assert tab.locator("svg.pl").count() >= 2
    with tab.expect_navigation():
        tab.locator("table", has_text="Specialty").first.locator("a").first.click()
    with tab.expect_navigation():
        tab.locator(f'#runs a[href="/runs/{run}"]').click()
    assert tab.url.endswith(run)


@pytest.mark.parametrize("path", ["/", "/review", "/evaluation", f"/runs/{BAD}", f"/runs/{BAD}/course", "/compare"])
def test_hostile_words_stay_words(tab: Any, address: str, ids: dict[str, str], path: str) -> None:
    query = f"?run={BAD}&run={ids['sudden-headache']}" if path == "/compare" else ""
    tab.goto(address + path + query)
    tab.wait_for_timeout(200)
    assert tab.evaluate("window.broken") is None
    assert tab.locator('img[src="x"], svg[onload], main script').count() == 0
    text = tab.content()
    assert not re.search("[\u202a-\u202e\u200b\x07]", text)
    assert len(text) < 1_500_000
    assert tab.evaluate("document.documentElement.scrollWidth") <= 1280
