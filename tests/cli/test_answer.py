"""A record agent that waits is answered from the command line, against a sandbox on a port."""

import asyncio
import html
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import wardround as wr
from wardround.agents.ehr.acting import ask_later
from wardround.agents.ehr.text_protocol import TextProtocol
from wardround.dashboard.app import create_app
from wardround.dashboard.guarding import FORM_WORD
from wardround.dashboard.showing import pretty
from wardround.environments.fhir.sandbox import Sandbox
from wardround.graphs.ehr import EhrAgent, WriteAwaitsPerson
from wardround.graphs.replaying import replay
from wardround.testing import serving
from wardround.testing.clock import FixedClock
from wardround.tools.fhir.client import FhirClient
from wardround.tools.fhir.session import RecordSession, WritePolicy
from wardround.trace.store import RunStore

TOKEN = "s3cret-of-the-ward"
PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [{"system": "urn:mrn", "value": "W1"}],
    "name": [{"family": "Okafor", "given": ["Ada"]}],
    "birthDate": "1950-03-02",
    "gender": "female",
}
TASK = "It is 2023-11-13T10:15:00+00:00 now. Record a potassium of 4.1 mmol/L for patient W1, taken now."


@dataclass
class Served:
    """A sandbox that can be reached until it is stopped."""

    sandbox: Sandbox
    base: str
    stop: Callable[[], None]

    def written(self) -> int:
        async def count() -> int:
            async with FhirClient(self.base, token=TOKEN, transport=self.sandbox.transport()) as client:
                return len((await client.search_all("Observation", limit=100))[0])

        return asyncio.run(count())


@pytest.fixture
def served() -> Iterator[Served]:
    sandbox = Sandbox(token=TOKEN, clock=FixedClock(datetime(2023, 11, 13, 10, 15, tzinfo=UTC)))
    sandbox.load([PATIENT])
    with sandbox, ExitStack() as up:
        address = up.enter_context(serving.served(sandbox.app))
        yield Served(sandbox, f"{address}/fhir/R4", up.close)


@pytest.fixture
def waiting(served: Served, tmp_path: Path) -> str:
    async def begin() -> str:
        agent = EhrAgent("reference", TextProtocol(), workspace=tmp_path / ".wardround")
        async with FhirClient(served.base, token=TOKEN) as client:
            session = RecordSession(client, policy=WritePolicy.CONFIRM, person=ask_later)
            with pytest.raises(WriteAwaitsPerson) as asked:
                await agent.run(TASK, session)
        return asked.value.run

    return asyncio.run(begin())


def state(folder: Path, run: str) -> str:
    return str(RunStore.existing(folder / ".wardround").find(run).state)


@pytest.mark.parametrize(("flag", "more"), [("--approve", 1), ("--refuse", 0)])
def test_a_write_is_approved_or_refused_and_the_run_goes_on(
    flag: str, more: int, wardround: Callable[..., Any], served: Served, waiting: str, tmp_path: Path
) -> None:
    before = served.written()
    arguments = ("runs", "answer", waiting, flag, "--note", "seen", "--json")
    done = wardround(tmp_path, *arguments, WARDROUND_FHIR_TOKEN=TOKEN).json
    assert done["run"] == waiting
    assert done["state"] != "suspended"
    assert served.written() - before == more
    store = RunStore.existing(tmp_path / ".wardround")
    assert replay(store, waiting).is_equal
    assert TOKEN not in json.dumps([event.model_dump(mode="json") for event in store.events(waiting)])


def test_without_its_server_or_token_the_run_still_waits(
    wardround: Callable[..., Any], served: Served, waiting: str, tmp_path: Path
) -> None:
    before = len(RunStore.existing(tmp_path / ".wardround").events(waiting))
    strange = wardround(tmp_path, "runs", "answer", waiting, "--approve", "--token", "wrong")
    served.stop()
    gone = wardround(tmp_path, "runs", "answer", waiting, "--approve", "--token", TOKEN)
    for ran, word in ((strange, "token"), (gone, "reached")):
        assert ran.code != 0
        assert served.base in ran.err.replace("\n", "")
        assert word in ran.err
    assert state(tmp_path, waiting) == "suspended"
    assert len(RunStore.existing(tmp_path / ".wardround").events(waiting)) == before


def test_the_words_for_the_other_kind_of_run_are_refused(
    wardround: Callable[..., Any], waiting: str, tmp_path: Path
) -> None:
    wrong = wardround(tmp_path, "runs", "answer", waiting, "--diagnosis", "influenza")
    assert wrong.code != 0
    assert "--approve" in wrong.err
    asking = wr.Ward(workspace=tmp_path / ".wardround", settings=wr.ConsultSettings(escalate=True))
    consult = asking.consult(wr.Case(id="weary", narrative="Man of 60 with fatigue."))
    refused = wardround(tmp_path, "runs", "answer", consult.run, "--approve")
    assert refused.code != 0
    assert "is a consult" in refused.err
    assert wardround(tmp_path, "runs", "answer", waiting, "--approve", "--diagnosis", "flu").code != 0


def test_a_write_is_approved_from_the_page(
    served: Served, waiting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARDROUND_FHIR_TOKEN", TOKEN)
    before = served.written()
    question = RunStore.existing(tmp_path / ".wardround").events(waiting)[-1].model_dump()["question"]
    app = create_app(tmp_path / ".wardround")
    with TestClient(app, base_url="http://127.0.0.1:8765", follow_redirects=False) as client:
        for path in ("/review", f"/runs/{waiting}"):
            page = client.get(path).text
            assert 'value="approve"' in page
            assert 'value="refuse"' in page
            assert pretty(question["body"]) in html.unescape(page)  # all of what is approved
        odd = client.post(f"/runs/{waiting}/answer", data={"form": FORM_WORD, "write": "perhaps"})
        wrong = client.post(f"/runs/{waiting}/answer", data={"form": FORM_WORD, "diagnosis": "influenza"})
        assert (odd.status_code, wrong.status_code) == (400, 409)
        done = client.post(f"/runs/{waiting}/answer", data={"form": FORM_WORD, "write": "approve"})
        assert done.status_code == 303, done.text
    assert served.written() - before == 1
    assert state(tmp_path, waiting) == "done"


def test_the_leading_diagnosis_of_a_consult_is_accepted_as_it_stands(tmp_path: Path) -> None:
    ward = wr.Ward(workspace=tmp_path, settings=wr.ConsultSettings(escalate=True))
    run = ward.consult(wr.Case(id="weary", narrative="Man of 60 with fatigue.")).run
    question = RunStore.existing(tmp_path).events(run)[-1].model_dump()["question"]
    leading = question["differential"][0]
    with TestClient(create_app(tmp_path), base_url="http://127.0.0.1:8765", follow_redirects=False) as client:
        for path in ("/review", f"/runs/{run}"):
            button = re.search(r'name="accept" value="([^"]+)">(.*?)</button>', client.get(path).text)
            assert button is not None
            assert html.unescape(button[1]) == leading["name"]
            assert leading["name"] in html.unescape(button[2])
        sent = {"form": FORM_WORD, "accept": leading["name"], "diagnosis": "", "information": ""}
        both = client.post(f"/runs/{run}/answer", data={**sent, "diagnosis": "influenza"})
        assert both.status_code == 400
        assert client.post(f"/runs/{run}/answer", data=sent).status_code == 303
    row = RunStore.existing(tmp_path).find(run)
    assert (row.state, row.status, row.diagnosis) == ("done", "final", leading["name"])
