"""The evaluation over judged runs: figures that can be counted by hand, and links to the runs behind each."""

import datetime as dt
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

import wardround as wr
from wardround.dashboard.app import create_app
from wardround.dashboard.measuring import CELLS, Judged, Share, bins, by, figures, place_of, risk_coverage
from wardround.evals.statistics import proportion
from wardround.trace.annotating import Annotation
from wardround.trace.rows import RunRow
from wardround.trace.store import RunStore

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
HERE = "http://127.0.0.1:8765"


def judged(probability: float | None, right: bool, status: str = "final", case: str = "c") -> Judged:
    reasons = () if status == "final" else ("conflict", "vacuity")
    figures = {"calls": 1, "tokens": 1, "seconds": None, "money": None, "urgency": None, "specialty": None}
    row = RunRow("run_1", case, "consult", None, "m", NOON, "done", status, "flu", probability, reasons, **figures)  # type: ignore[arg-type]
    return Judged(row, right, "pulmonology", "cardiology", "pulmonology", False, None)


JUDGED = st.builds(
    judged, st.floats(0, 1) | st.none(), st.booleans(), st.sampled_from(["final", "abstained"]), st.sampled_from("abc")
)


@given(st.lists(st.booleans()))
def test_intervals_are_those_of_the_evaluation_suites(hits: list[bool]) -> None:
    ours, theirs = Share(sum(hits), len(hits)), proportion(hits)
    assert ours.value == theirs.value
    if hits:
        assert ours.interval == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@given(st.lists(JUDGED))
def test_every_run_with_a_probability_is_in_one_bin(runs: list[Judged]) -> None:
    known = [run for run in runs if run.row.probability is not None]
    found = bins(runs)
    assert sum(b.count for b in found) == len(known)
    assert [place_of(b.confidence) for b in found] == sorted({place_of(r.row.probability) for r in known})  # type: ignore[arg-type]
    assert all(b.low <= b.accuracy <= b.high for b in found)  # type: ignore[operator]


@given(st.lists(JUDGED))
def test_the_curve_ends_with_all_runs_and_the_share_that_is_wrong(runs: list[Judged]) -> None:
    known = [run for run in runs if run.row.probability is not None]
    points = risk_coverage(runs)
    assert len(points) == len({run.row.probability for run in known})
    if known:
        assert points[-1] == (1.0, sum(not r.right for r in known) / len(known))
        assert [c for c, _ in points] == sorted(c for c, _ in points)


@given(st.lists(JUDGED))
def test_tables_count_every_run_once(runs: list[Judged]) -> None:
    counted = by(runs, lambda run: (run.specialty,))
    assert sum(sum(cells.values()) for cells in counted.values()) == len(runs)
    made = figures(runs)
    assert made.answered.hits == sum(c["answered-right"] + c["answered-wrong"] for c in counted.values())
    assert made.right_when_answered.n == made.answered.hits


def test_figures_are_what_one_counts_by_hand() -> None:
    made = figures([judged(0.9, True), judged(0.8, False, case="d"), judged(0.5, False, "abstained")])
    assert (made.leading_right.hits, made.answered.hits, made.wrong_withheld.hits, made.wrong_withheld.n) == (
        1,
        2,
        1,
        2,
    )
    assert made.brier == pytest.approx((0.01 + 0.64 + 0.25) / 3)
    assert made.cases == 2
    assert figures([]).brier is None


# The page


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluation")
    ward = wr.Ward(workspace=folder, settings=wr.ConsultSettings(rollouts=1, rounds=0, tool_steps=0))
    told = {
        "belly": "24-year-old man. Pain moved to the right lower abdomen. Guarding. WBC 15.2 x10^9/L.",
        "bladder": "30-year-old woman. Dysuria and urinary frequency for 2 days. No fever. Nitrites in the urine.",
        "weary": "Man of 60 with fatigue.",
        "cough": "Woman of 40 with cough and fever.",
    }
    for name, text in told.items():
        ward.consult(wr.Case(id=name, narrative=text))
    return folder


@pytest.fixture
def client(workspace: Path) -> Iterator[TestClient]:
    with TestClient(create_app(workspace), base_url=HERE) as asking:
        yield asking


def test_without_labels_the_page_says_how_to_get_them(client: TestClient) -> None:
    assert "No run is judged yet" in client.get("/evaluation").text


def test_every_figure_leads_to_its_runs(workspace: Path, client: TestClient) -> None:
    store = RunStore(workspace)
    ids = {row.case: row.id for row in store.runs()}

    def say(case: str, label: str, who: str) -> None:
        store.annotate(Annotation(ids[case], "run", ids[case], label, "", who, NOON))  # type: ignore[arg-type]

    said = (
        "belly right a, bladder wrong a, bladder right a, weary wrong a, cough wrong a, cough right b, belly unsure b"
    )
    for words in said.split(", "):  # of one person the later word stands
        say(*words.split())
    page = client.get("/evaluation").text
    assert "1 runs are left out, since people disagree" in page
    assert "<svg" in page
    links = {unescape(link) for link in re.findall(r'href="(/evaluation\?[^"]+)"', page)}
    counted = {}
    for link in links:
        part = client.get(link.partition("#")[0]).text.partition('id="runs"')[2]
        counted[link] = set(re.findall(r'href="/runs/(run_\w+)"', part))
    assert all(counted.values())
    assert set.union(*counted.values()) == {ids["belly"], ids["bladder"], ids["weary"]}
    wrong = next(found for link, found in counted.items() if "cell=withheld-wrong" in link)
    assert wrong == {ids["weary"]}
    assert all(cell in CELLS for link in links for cell in re.findall(r"cell=([\w-]+)", link))
    assert client.get("/evaluation?bin=zzz&cell=%3Cscript%3E&specialty=%E2%80%AE").status_code == 200
