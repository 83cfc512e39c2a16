"""The frame of the dashboard: who may ask, what a browser may do, the list, the search, and what people say of runs."""

import html
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.testclient import TestClient

import wardround as wr
from wardround.dashboard.app import create_app
from wardround.dashboard.guarding import FORM_WORD, HEADERS
from wardround.dashboard.keeping import MOST, Kept
from wardround.dashboard.showing import editable
from wardround.trace.events import ModelAnswered, ModelAsked, Origin, ToolCalled, ToolReturned
from wardround.trace.rows import COSTS
from wardround.trace.store import RunStore
from wardround.trace.views import evidence_graph

HERE = "http://127.0.0.1:8765"
CASES = {
    "belly": "24-year-old man. Pain moved to the right lower abdomen. Guarding. Temperature 38.1 C. WBC 15.2 x10^9/L.",
    "bladder": "30-year-old woman. Dysuria and urinary frequency for 2 days. No fever. Nitrites in the urine.",
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frame")
    ward = wr.Ward(workspace=folder)
    for name, text in CASES.items():
        ward.consult(wr.Case(id=name, narrative=text))
    asking = wr.Ward(workspace=folder, settings=wr.ConsultSettings(escalate=True))
    asking.consult(wr.Case(id="weary", narrative="Man of 60 with fatigue."))
    asking.consult(wr.Case(id="tired", narrative="Woman of 70 who is tired."))
    return folder


@pytest.fixture
def client(workspace: Path) -> Iterator[TestClient]:
    with TestClient(create_app(workspace), base_url=HERE, follow_redirects=False) as asking:
        yield asking


@pytest.fixture(scope="module")
def ids(workspace: Path) -> dict[str, str]:
    return {row.case: row.id for row in RunStore.existing(workspace).runs()}


def rows(page: Any) -> list[str]:
    assert page.status_code == 200, page.text[:500]
    return re.findall(r'<tr data-run="(run_\w+)"', page.text)


# Who may ask


def test_every_answer_tells_the_browser_to_load_nothing_and_keep_nothing(
    client: TestClient, ids: dict[str, str]
) -> None:
    for path in ("/", "/review", f"/runs/{ids['belly']}", "/nowhere", "/static/list.js", "/live?position=0"):
        headers = client.get(path).headers
        assert {name: headers[name] for name in HEADERS} == dict(HEADERS), path


def test_no_page_holds_script_or_style_of_its_own_or_anything_from_outside(
    client: TestClient, ids: dict[str, str]
) -> None:
    for path in ("/", "/review", *(f"/runs/{ids['belly']}{p}" for p in ("", "/evidence", "/course", "/record"))):
        text = client.get(path).text
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), path
        assert not re.search(r"<style|\son\w+=|style=\"", text), path
        assert not re.search(r"(?:src|href)=\"(?:https?:)?//", text), path


def test_a_name_of_another_host_that_was_pointed_here_is_refused(client: TestClient) -> None:
    assert client.get("/", headers={"host": "evil.example:8765"}).status_code == 421
    assert client.get("/", headers={"host": "localhost:8765"}).status_code == 200
    assert client.get("/", headers={"host": "[::1]:8765"}).status_code == 200


@pytest.mark.parametrize("headers", [{"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}])
def test_a_form_of_another_site_is_refused(client: TestClient, headers: dict[str, str]) -> None:
    sent = {"form": FORM_WORD, "text": "pain"}
    assert client.post("/search", data=sent, headers=headers).status_code == 403


def test_a_form_without_the_word_of_this_dashboard_does_nothing(client: TestClient, ids: dict[str, str]) -> None:
    sent = {"target": "run", "id": ids["belly"], "label": "right", "who": "me", "why": ""}
    assert client.post(f"/runs/{ids['belly']}/annotate", data=sent).status_code == 403
    assert client.post(f"/runs/{ids['weary']}/answer", data={"diagnosis": "influenza"}).status_code == 403


def test_with_a_token_nothing_is_shown_to_who_does_not_know_it(workspace: Path, ids: dict[str, str]) -> None:
    app = create_app(workspace, token="open sesame")
    with TestClient(app, base_url="http://ward.example:8765", follow_redirects=False) as outsider:
        page = outsider.get("/", headers={"accept": "text/html"})
        assert (page.status_code, page.headers["location"]) == (303, "/login")
        assert outsider.get("/live?position=0").status_code == 401
        assert outsider.get(f"/runs/{ids['belly']}/case").status_code == 401
        assert outsider.post("/login", data={"token": "guess"}).status_code == 401
        assert outsider.get("/", headers={"authorization": "Bearer guess"}).status_code == 401
        assert outsider.get("/live?position=0", headers={"authorization": "Bearer open sesame"}).status_code == 200
        let_in = outsider.post("/login", data={"token": "open sesame"})
        assert (let_in.status_code, let_in.headers["location"]) == (303, "/")
        cookie = let_in.headers["set-cookie"]
        assert "open sesame" not in cookie
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert rows(outsider.get("/"))


# The list


def test_all_runs_are_listed_the_latest_first(client: TestClient, ids: dict[str, str]) -> None:
    assert rows(client.get("/")) == [ids[name] for name in ("tired", "weary", "bladder", "belly")]


def test_runs_are_chosen_by_facets_and_bounds_and_sorted(client: TestClient, ids: dict[str, str]) -> None:
    assert set(rows(client.get("/?state=suspended"))) == {ids["tired"], ids["weary"]}
    assert set(rows(client.get("/?status=final&status=abstained"))) <= {ids["belly"], ids["bladder"]}
    assert rows(client.get("/?least_probability=0.999999&most_tokens=3")) == []
    falling = rows(client.get("/?sort=probability"))
    assert rows(client.get("/?sort=probability&rising=1")) == falling[::-1]
    assert rows(client.get("/?sort=nonsense&least_tokens=many&state=")) != []


def test_words_that_are_searched_for_stand_in_no_address(client: TestClient, ids: dict[str, str]) -> None:
    found = client.post("/search", data={"form": FORM_WORD, "text": "urinary frequency"})
    address = found.headers["location"]
    assert found.status_code == 303
    assert "urinary" not in address
    page = client.get(address)
    assert rows(page) == [ids["bladder"]]
    for link in re.findall(r'href="(/[^"]*)"', page.text):
        assert "urinary" not in link
    assert client.get("/?words=unknown").status_code == 200


def test_words_that_cannot_be_searched_for_say_so(client: TestClient) -> None:
    address = client.post("/search", data={"form": FORM_WORD, "text": "***"}).headers["location"]
    page = client.get(address)
    assert 'role="alert"' in page.text
    assert rows(page)


def test_a_long_list_comes_in_pages_whose_addresses_hold_nothing(tmp_path: Path) -> None:
    ward = wr.Ward(workspace=tmp_path, settings=wr.ConsultSettings(rollouts=1, rounds=0, tool_steps=0))
    run = ward.consult(wr.Case(id="first", narrative=CASES["bladder"])).run
    store = RunStore.existing(tmp_path)
    (started, *_) = store.events(run)
    for n in range(60):
        store.begin(started.model_copy(update={"run": f"run_{n:012x}", "case": f"Mrs Secret {n}"}))  # type: ignore[arg-type]
    with TestClient(create_app(tmp_path), base_url=HERE) as client:
        first = client.get("/?sort=case&rising=1")
        following = re.search(r'rel="next" href="([^"]+)"', first.text)
        assert following is not None
        assert "ecret" not in following[1]
        second = client.get(following[1].replace("&amp;", "&"))
        assert len(rows(first)) == 50
        assert len(rows(second)) == 11
        assert not set(rows(first)) & set(rows(second))


def test_what_changed_since_is_told(workspace: Path, client: TestClient) -> None:
    start = int(re.search(r'data-position="(\d+)"', client.get("/").text)[1])  # type: ignore[index]
    assert client.get(f"/live?position={start}").json()["changed"] == []
    run = wr.Ward(workspace=workspace).consult(wr.Case(id="later", narrative="Cough and fever for 3 days.")).run
    told = client.get(f"/live?position={start}").json()
    assert {row["run"] for row in told["changed"]} == {run}
    assert told["position"] > start
    assert client.get("/live?position=abc").json()["changed"] == []


def test_an_empty_workspace_says_how_to_fill_it(tmp_path: Path) -> None:
    with TestClient(create_app(tmp_path), base_url=HERE) as client:
        assert "No runs here yet" in client.get("/").text
        assert client.get("/review").status_code == 200


# Judgements and answers


def test_a_judgement_is_kept_and_exported(client: TestClient, workspace: Path, ids: dict[str, str]) -> None:
    run = ids["belly"]
    sent = {"form": FORM_WORD, "target": "run", "id": run, "label": "wrong", "why": "no scan <b>", "who": "Dr Grün"}
    done = client.post(f"/runs/{run}/annotate", data={**sent, "page": "evidence"})
    assert (done.status_code, done.headers["location"]) == (303, f"/runs/{run}/evidence")
    (kept,) = RunStore.existing(workspace).annotations(run)
    assert (kept.label, kept.why, kept.who) == ("wrong", "no scan <b>", "Dr Grün")
    lines = [json.loads(line) for line in client.get("/review/labels.jsonl").text.splitlines()]
    assert {"run": run, "label": "wrong", "who": "Dr Grün"}.items() <= lines[-1].items()
    review = client.get("/review").text
    assert "no scan &lt;b&gt;" in review
    assert "Dr Grün" in client.get(f"/runs/{run}").text  # the name is offered again


@pytest.mark.parametrize("change", [{"target": "moon"}, {"label": "great"}, {"who": " "}])
def test_a_judgement_that_cannot_be_is_refused(client: TestClient, ids: dict[str, str], change: dict[str, str]) -> None:
    sent = {"form": FORM_WORD, "target": "run", "id": ids["belly"], "label": "right", "why": "", "who": "me", **change}
    assert client.post(f"/runs/{ids['belly']}/annotate", data=sent).status_code == 400


def test_an_escalation_is_overridden_and_the_run_goes_on(
    client: TestClient, workspace: Path, ids: dict[str, str]
) -> None:
    run = ids["weary"]
    assert run in client.get("/review").text
    done = client.post(
        f"/runs/{run}/answer", data={"form": FORM_WORD, "diagnosis": "influenza", "note": "seen at the bedside"}
    )
    assert (done.status_code, urlsplit(done.headers["location"]).path) == (303, f"/runs/{run}")
    row = RunStore.existing(workspace).find(run)
    assert (row.state, row.status, row.diagnosis) == ("done", "final", "influenza")
    again = client.post(f"/runs/{run}/answer", data={"form": FORM_WORD, "diagnosis": "influenza"})
    assert again.status_code == 409


def test_further_information_is_weighed_and_the_run_asks_again_or_ends(
    client: TestClient, workspace: Path, ids: dict[str, str]
) -> None:
    run = ids["tired"]
    before = len(RunStore.existing(workspace).events(run))
    sent = {"form": FORM_WORD, "information": "Hemoglobin 6.9 g/dL. Melena for a week."}
    assert client.post(f"/runs/{run}/answer", data=sent).status_code == 303
    events = RunStore.existing(workspace).events(run)
    assert len(events) > before
    assert any(s.title == "answer of a clinician" for s in evidence_graph(events).sources.values())


@pytest.mark.parametrize("sent", [{}, {"diagnosis": "a", "information": "b"}])
def test_an_answer_is_one_thing(client: TestClient, ids: dict[str, str], sent: dict[str, str]) -> None:
    assert client.post(f"/runs/{ids['tired']}/answer", data={"form": FORM_WORD, **sent}).status_code == 400


def test_a_run_that_is_not_there_is_said_plainly(client: TestClient) -> None:
    assert client.get("/runs/run_nowhere").status_code == 404
    missing = client.post("/runs/run_nowhere/answer", data={"form": FORM_WORD, "diagnosis": "x"})
    assert missing.status_code in (404, 409)


# Words that are kept apart


def test_words_have_one_name_and_the_oldest_are_forgotten() -> None:
    kept = Kept()
    name = kept.put("pain")
    assert kept.put("pain") == name
    assert kept.get(name) == "pain"
    assert kept.get(None) is None
    for n in range(MOST):
        kept.put(str(n))
    assert kept.get(name) is None


# Comparison


def test_runs_stand_side_by_side_and_of_two_the_difference(client: TestClient, ids: dict[str, str]) -> None:
    page = client.get(f"/compare?run={ids['belly']}&run={ids['bladder']}")
    assert page.status_code == 200
    for words in (
        "What differs",
        "acute appendicitis",
        "acute cystitis",
        "not there",
        "Runs of different cases",
    ):
        assert words in page.text
    three = client.get("/compare?" + "&".join(f"run={ids[name]}" for name in ("belly", "bladder", "weary")))
    assert three.status_code == 200
    assert three.text.count(ids["weary"]) > 2
    same = client.get(f"/compare?run={ids['belly']}&run={ids['belly']}")
    assert same.status_code == 400
    assert client.get(f"/compare?run={ids['belly']}&run=run_nowhere").status_code == 404


# Cost


def test_classes_of_cost_are_counted_in_their_order_and_chosen(client: TestClient, workspace: Path) -> None:
    rows = RunStore.existing(workspace).runs()
    page = client.get("/").text
    section = page[page.index("<h2>Cost</h2>") :].partition("</section>")[0]
    shown = re.findall(r"<span>([^<]+)</span><span class=\"num\">(\d+)</span>", section)
    assert {name: int(n) for name, n in shown} == Counter(row.cost for row in rows)
    assert [name for name, _ in shown] == [name for name in COSTS if name in dict(shown)]
    name = shown[-1][0]
    chosen = client.get("/", params={"cost": name}).text
    assert set(re.findall(r'data-run="(run_\w+)"', chosen)) == {row.id for row in rows if row.cost == name}


# Forks


def test_a_run_is_done_over_without_a_source_from_its_evidence_page(
    client: TestClient, workspace: Path, ids: dict[str, str]
) -> None:
    run = ids["belly"]
    store = RunStore.existing(workspace)
    source = next(s.id for s in evidence_graph(store.events(run)).sources.values() if "Guarding" in s.text)
    page = client.get(f"/runs/{run}/evidence?without={source}")
    assert "Do the run over without these" in page.text
    assert client.post(f"/runs/{run}/fork", data={"without": source}).status_code == 403
    done = client.post(f"/runs/{run}/fork", data={"form": FORM_WORD, "without": source})
    assert done.status_code == 303
    made = done.headers["location"].removeprefix("/runs/")
    assert made != run
    assert source not in evidence_graph(store.events(made)).sources
    assert f'Forked from <a class="mono" href="/runs/{run}"' in client.get(f"/runs/{made}").text
    assert client.post(f"/runs/{run}/fork", data={"form": FORM_WORD, "without": "src_none"}).status_code == 400


def forked(client: TestClient, run: str, **fields: str) -> str:
    """Do a run over as a form says, and return the id of the new one."""
    done = client.post(f"/runs/{run}/fork", data={"form": FORM_WORD, **fields})
    assert done.status_code == 303, done.text
    return done.headers["location"].removeprefix("/runs/")


def test_a_run_is_done_over_with_another_answer_from_the_page_of_the_call(
    client: TestClient, workspace: Path, ids: dict[str, str]
) -> None:
    run, store = ids["belly"], RunStore.existing(workspace)
    asked = [e for e in store.events(run) if isinstance(e, ModelAsked) and e.agent == "attending"][-1]
    answered = next(e for e in store.events(run) if isinstance(e, ModelAnswered) and e.call == asked.call)
    page = client.get(f"/runs/{run}/call/{asked.seq}").text
    held = html.unescape(page[page.index("<textarea") :].partition(">\n")[2].partition("</textarea>")[0])
    assert held == answered.text
    made = forked(client, run, answer=asked.call, text='{"diagnosis": null,\r\n"argument": []}')
    edited = next(e for e in store.events(made) if isinstance(e, ModelAnswered) and e.call == asked.call)
    assert (edited.origin, edited.text) == (Origin.EDIT, '{"diagnosis": null,\n"argument": []}')
    assert f"another answer to {asked.call}" in client.get(f"/runs/{made}").text


def test_a_run_is_done_over_with_another_result_of_a_tool(
    client: TestClient, workspace: Path, ids: dict[str, str]
) -> None:
    run, store = ids["belly"], RunStore.existing(workspace)
    used = next(e for e in store.events(run) if isinstance(e, ToolCalled))
    assert f'name="tool" value="{used.call}"' in client.get(f"/runs/{run}/course").text
    made = forked(client, run, tool=used.call, text="Nothing was found.")
    returned = {e.call: e.text for e in store.events(made) if isinstance(e, ToolReturned)}
    assert returned[used.call] == "Nothing was found."


def test_a_run_is_done_over_from_a_step_with_the_same_model_or_another(
    client: TestClient, workspace: Path, ids: dict[str, str], tmp_path: Path
) -> None:
    run, store = ids["belly"], RunStore.existing(workspace)
    assert 'name="from" value="attending"' in client.get(f"/runs/{run}/course").text
    anew = forked(client, run, **{"from": "attending", "model": ""})
    answers = [e for e in store.events(anew) if isinstance(e, ModelAnswered)]
    assert [e.origin for e in answers].count(Origin.LIVE) == 1
    assert "all asked anew from attending on" in client.get(f"/runs/{anew}").text
    script = tmp_path / "script.json"
    script.write_text('[{"answer": "AttendingAnswer", "says": {"diagnosis": null, "argument": []}}]', "utf-8")
    other = forked(client, run, **{"from": "attending", "model": f"scripted:{script}"})
    assert "everybody asked scripted:" in client.get(f"/runs/{other}").text
    refused = client.post(f"/runs/{run}/fork", data={"form": FORM_WORD, "from": "<b>nap</b>"})
    assert refused.status_code == 400
    assert "cannot be forked from" in refused.text
    assert "<b>nap</b>" not in refused.text


def test_a_text_that_a_field_cannot_hold_is_edited_from_a_file() -> None:
    assert editable("a\nb") == "a\nb"
    assert editable("a" * 50_001) is None
    assert editable("a\u202eb") is None
