"""The evaluation of a suite of tasks, and of consults whose true diagnosis is known."""

import datetime as dt
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from html import unescape
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import wardround as wr
from wardround.dashboard.app import create_app
from wardround.dashboard.judged import judgements
from wardround.evals.labelling import label_runs
from wardround.knowledge.loading import embedded
from wardround.trace.annotating import Annotation
from wardround.trace.events import TriageGiven
from wardround.trace.store import RunStore

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
HERE = "http://127.0.0.1:8765"
TOLD = {
    "belly": "24-year-old man. Pain moved to the right lower abdomen. Guarding. WBC 15.2 x10^9/L.",
    "cough": "Woman of 40 with cough and fever.",
    "throat": "Man of 33 with sore throat and fever.",
    "weary": "Man of 60 with fatigue.",
    "bladder": "30-year-old woman. Dysuria and urinary frequency for 2 days. No fever. Nitrites in the urine.",
}
Ask = Callable[[str], str]


def asking(folder: Path) -> Iterator[Ask]:
    """Ask for pages without tags."""
    with TestClient(create_app(folder), base_url=HERE) as client:

        def page(address: str) -> str:
            found = client.get(address)
            assert found.status_code == 200, found.text
            return found.text

        yield page


def words(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def runs_of(page: str) -> set[str]:
    """The runs that a page lists at its end."""
    return set(re.findall(r'href="/runs/(run_\w+)"', page.partition('id="runs"')[2]))


def links(page: str) -> dict[str, int]:
    """Counts that lead somewhere, by where they lead to."""
    found = re.findall(r'href="(/evaluation\?[^"]+)#runs">(\d+)</a>', page)
    return {unescape(link): int(count) for link, count in found}


# Tasks in records


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which a suite was run from the command line."""
    folder = tmp_path_factory.mktemp("suite")
    command = [sys.executable, "-m", "wardround", "eval", "run", "record-tasks", "--agent", "reference"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("WARDROUND_")}
    asked = [*command, "--limit", "3", "--workspace", str(folder)]
    done = subprocess.run(asked, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def tasks(played: Path) -> Iterator[Ask]:
    yield from asking(played)


def test_a_suite_is_shown_with_intervals_beside_the_agent_that_does_nothing(played: Path, tasks: Ask) -> None:
    with closing(RunStore.existing(played)) as store:
        right = Counter((judged.row.model, judged.right) for judged in judgements(store).runs)
    assert right == {("reference", True): 3, ("policy:null", False): 3}
    shown = words(tasks("/evaluation"))
    assert "record-tasks reference 100 % [44 %, 100 %], n = 3" in shown
    assert "record-tasks policy:null 0 % [0 %, 56 %], n = 3" in shown
    assert "Brier" not in shown  # there is no consult
    assert "No run states a probability" not in shown


def test_failures_are_counted_by_reason_and_lead_to_their_runs(played: Path, tasks: Ask) -> None:
    with closing(RunStore.existing(played)) as store:
        failed = {judged.row.id for judged in judgements(store).runs if not judged.right}
    counts = links(tasks("/evaluation"))
    assert sum(counts.values()) == len(failed) == 3
    assert {run for link in counts for run in runs_of(tasks(link))} == failed
    assert all(len(runs_of(tasks(link))) == count for link, count in counts.items())
    assert runs_of(tasks("/evaluation?failure=nothing")) == set()
    assert runs_of(tasks("/evaluation?cell=answered-right")) == set()


def test_runs_of_a_suite_are_found_in_the_list(tasks: Ask) -> None:
    assert re.search(r"Suite record-tasks 6 ", words(tasks("/")))
    assert "6 runs" in words(tasks("/?suite=record-tasks"))


def test_a_task_that_people_judge_otherwise_is_left_out_and_one_that_failed_by_itself_too(played: Path) -> None:
    with closing(RunStore.existing(played)) as store:
        first, second = (row.id for row in store.runs(limit=2))
        before = len(judgements(store).runs)
        for run, label in ((first, "right"), (second, "unsure")):
            said = Annotation(run, "run", run, label, "", "a reader", NOON)  # type: ignore[arg-type]
            store.annotate(said)
        found = judgements(store)
        assert (len(found.runs), found.disputed, found.unsure) == (before - 1, 1, 0)
        store.annotate(Annotation(first, "run", first, "unsure", "", "a reader", NOON))
        store.annotate(Annotation(second, "run", second, "unsure", "", "wardround eval", NOON, reason="error"))
        found = judgements(store)
        assert (len(found.runs), found.disputed, found.unsure) == (before - 1, 0, 1)
    with TestClient(create_app(played), base_url=HERE) as client:
        assert "1 runs are left out, since whoever judged them is not sure" in client.get("/evaluation").text


# Consults


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with consults of which one is judged by a person who gives no diagnosis."""
    folder = tmp_path_factory.mktemp("consults")
    ward = wr.Ward(workspace=folder, suite="mixed", settings=wr.ConsultSettings(rollouts=1, rounds=0, tool_steps=0))
    for case, text in TOLD.items():
        ward.consult(wr.Case(id=case, narrative=text))
    known = {"belly": "appendicitis", "cough": "pneumonia", "throat": "a disease of no book", "weary": "hypothyroidism"}
    with closing(RunStore.existing(folder)) as store:
        label_runs(store, known, embedded(), now=NOON)
        run = store.find("bladder").id
        store.annotate(Annotation(run, "run", run, "wrong", "", "a reader", NOON))
    return folder


@pytest.fixture
def consults(labelled: Path) -> Iterator[Ask]:
    yield from asking(labelled)


def test_the_true_specialty_is_set_against_the_leading_one_of_triage(labelled: Path) -> None:
    with closing(RunStore.existing(labelled)) as store:
        found = {judged.row.case: judged for judged in judgements(store).runs}
        for judged in found.values():
            (given,) = (e for e in store.events(judged.row.id) if isinstance(e, TriageGiven))
            assert judged.asked == given.triage.specialties[0]
    assert {case: judged.truth for case, judged in found.items()} == {
        "belly": "surgery",
        "cough": "pulmonology",
        "throat": "outside the knowledge",
        "weary": "endocrinology",
        "bladder": "not labelled",
    }
    assert {case: judged.fits for case, judged in found.items()} == {
        "belly": True,
        "cough": False,
        "throat": None,
        "weary": True,  # not the first specialty of the diagnosis, and yet one of them
        "bladder": None,
    }


def test_every_count_of_the_confusion_leads_to_its_runs(labelled: Path, consults: Ask) -> None:
    with closing(RunStore.existing(labelled)) as store:
        found = judgements(store).runs
    page = consults("/evaluation")
    part = page.partition('id="confusion"')[2].partition("</section>")[0]
    counts = links(part)
    assert sum(counts.values()) == len(found) == len(TOLD)
    for link, count in counts.items():
        runs = runs_of(consults(link))
        assert len(runs) == count
        assert {(j.truth, j.asked) for j in found if j.row.id in runs} == {
            (re.findall(r"truth=([\w+]+)", link)[0].replace("+", " "), re.findall(r"asked=([\w+]+)", link)[0])
        }
    rows = [words(row) for row in re.findall(r"<tr>(.*?)</tr>", part, re.DOTALL)]
    assert [row.split(" ")[0] for row in rows] == [
        "True", "endocrinology", "pulmonology", "surgery", "outside", "not", "all",
    ]  # fmt: skip
    assert rows[-1].startswith("all with a true specialty 67 % [")
    assert "n = 3" in rows[-1]
    assert "%" not in rows[-2]  # not labelled is neither right nor wrong


def test_labels_that_contradict_each_other_name_no_specialty(labelled: Path) -> None:
    with closing(RunStore.existing(labelled)) as store:
        run = store.find("belly").id
        said = Annotation(run, "run", run, "right", "", "another", NOON, truth=("acute_cystitis",))
        store.annotate(said)
        (judged,) = (judged for judged in judgements(store).runs if judged.row.id == run)
        assert (judged.truth, judged.fits) == ("labels disagree", None)
        for truth, name in (
            (("acute_appendicitis", "perforated_appendicitis"), "labels disagree"),
            (("acute_appendicitis",), "surgery"),
        ):
            store.annotate(Annotation(run, "run", run, "right", "", "another", NOON, truth=truth))
            (judged,) = (judged for judged in judgements(store).runs if judged.row.id == run)
            assert judged.truth == name


def test_a_label_that_names_conditions_of_several_specialties_says_so(labelled: Path) -> None:
    with closing(RunStore.existing(labelled)) as store:
        run = store.find("bladder").id
        several = ("acute_cystitis", "acute_appendicitis")
        store.annotate(Annotation(run, "run", run, "wrong", "", "a reader", NOON, truth=several))
        (judged,) = (judged for judged in judgements(store).runs if judged.row.id == run)
        assert judged.truth == "several specialties"
        store.annotate(Annotation(run, "run", run, "wrong", "", "a reader", NOON))
        (judged,) = (judged for judged in judgements(store).runs if judged.row.id == run)
        assert (judged.truth, judged.failure) == ("not labelled", "not said")
