"""Runs as they come to be: consults of the example cases, one with an image, one that waits, and record agents."""

import asyncio
import hashlib
import json
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from wardround import Case, Ward
from wardround.agents.ehr.acting import ask_later
from wardround.agents.ehr.text_protocol import TextProtocol
from wardround.core.case import ImageRef
from wardround.core.claim import Claim, ClaimKind, Severity, Verdict, VerdictLabel
from wardround.core.items import ClaimItem, SourceItem, VerdictItem
from wardround.core.source import Source, SourceKind
from wardround.dashboard.app import create_app
from wardround.graphs.ehr import EhrAgent, WriteAwaitsPerson
from wardround.graphs.settings import ConsultSettings
from wardround.knowledge.clinician import reference_clinician
from wardround.models.budget import Prices
from wardround.models.handle import ModelHandle
from wardround.models.reference import ReferenceChatModel
from wardround.testing import ScriptedAnswer, ScriptedChatModel
from wardround.tools.fhir.client import FhirClient
from wardround.tools.fhir.session import RecordSession, WritePolicy
from wardround.trace.events import EVENT, DecisionMade, Event, EvidenceAdded, RunStarted
from wardround.trace.store import RunStore

CASES = Path(__file__).parents[3] / "examples" / "cases"
BASE = "http://record.test/fhir"
HOSTILE = (
    "<script>window.broken=1</script><img src=x onerror=window.broken=1>\"'><svg onload=window.broken=1>"
    "{{ 7*7 }}</style></title>\u202eevil\u202c\u200b\x07"
)


@dataclass(frozen=True)
class Run:
    """A run with its log and its case."""

    id: str
    events: list[Event]
    case: Case


class Seeing(BaseChatModel):
    """The reference model for one that takes images: it is shown them and does not look."""

    inner: BaseChatModel

    @property
    def _llm_type(self) -> str:
        return "seeing"

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **options: Any
    ) -> ChatResult:
        return self.inner._generate([_words(message) for message in messages], stop, run_manager, **options)


def _words(message: BaseMessage) -> BaseMessage:
    if isinstance(message.content, str):
        return message
    texts = [block.get("text", "") for block in message.content if isinstance(block, dict)]
    return message.model_copy(update={"content": "\n".join(text for text in texts if text)})


def png(grey: Callable[[int, int], int], width: int = 160, height: int = 120) -> bytes:
    """A grey picture as a PNG file, written without Pillow."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes(grey(x, y) for x in range(width)) for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def is_spot(x: int, y: int) -> bool:
    """Whether a pixel lies in the bright spot of the picture."""
    return (x - 100) ** 2 + (y - 50) ** 2 < 400


MASK = png(lambda x, y: 255 if is_spot(x, y) else 0)
"""Of the bright spot, which covers 1,245 of 19,200 pixels."""


def image_case(folder: Path) -> Case:
    """A case with an image in a file."""
    path = folder / "chest.png"
    path.write_bytes(png(lambda x, y: 230 if is_spot(x, y) else (x + y) % 90 + 20))
    told = "64-year-old man. Cough with yellow sputum and fever of 38.9 degrees for three days. Breathless on stairs."
    return Case(id="with-image", narrative=told, images=(ImageRef(uri=str(path), modality="DX", body_part="CHEST"),))


def seeing() -> ModelHandle:
    """A model that takes images."""
    chat = Seeing(inner=ReferenceChatModel(clinician=reference_clinician()))
    return ModelHandle("given:seeing", chat, constrained=True, sampled=True, images=True)


def read(store: RunStore, run: str) -> Run:
    """Read a run back from a store."""
    return Run(run, store.events(run), Case.model_validate_json(store.case(run)))


def with_region(run: Run) -> Run:
    """The run as if an agent had marked a region of its image and claimed something of it."""
    sha256 = next(event.sha256 for event in run.events if event.event == "image_read")
    spot = Source(
        kind=SourceKind.IMAGE,
        text="rounded opacity in the left upper zone",
        document=f"image:{sha256}#xywh=percent:50,25,25,33",
        title="image 1, region 1",
    )
    outline = Source(
        kind=SourceKind.IMAGE,
        text="the outline of the opacity",
        document=f"image:{sha256}#polygon=80,50,100,30,120,50,100,70",
        title="image 1, region 2",
    )
    mask = Source(
        kind=SourceKind.IMAGE,
        text="every pixel of the opacity",
        document=f"image:{sha256}#mask={hashlib.sha256(MASK).hexdigest()}",
        title="image 1, region 3",
    )
    sources = (spot, outline, mask)
    cites = tuple(source.id for source in sources)
    claim = Claim(agent="attending", text="There is an opacity.", kind=ClaimKind.FINDING, cites=cites)
    verdict = Verdict(
        claim=claim.id, label=VerdictLabel.NOT_ADDRESSED, severity=Severity.UNSCORED, reason="nobody can check it"
    )
    items = [*(SourceItem(source=source) for source in sources), ClaimItem(claim=claim), VerdictItem(verdict=verdict)]
    return inserted(run, items, "There is an opacity.")


def inserted(run: Run, items: Sequence[Any], sentence: str) -> Run:
    """The run with items that were added just before its decision, and a sentence before its report."""
    events: list[Event] = []
    for event in run.events:
        if isinstance(event, DecisionMade):
            decided = event.decision.model_copy(update={"summary": f"{sentence} {event.decision.summary}"})
            new = [EvidenceAdded(run=run.id, seq=0, time=event.time, span=event.span, item=item) for item in items]
            events += [*new, event.model_copy(update={"decision": decided})]
        else:
            events.append(event)
    return Run(run.id, [event.model_copy(update={"seq": n}) for n, event in enumerate(events)], run.case)


class Hospital:
    """A small FHIR server that keeps what it is sent."""

    def __init__(self, *resources: dict[str, Any]) -> None:
        self.resources = {f"{r['resourceType']}/{r['id']}": r for r in resources}
        self.app = Starlette(routes=[Route("/fhir/{path:path}", self._answer, methods=["GET", "POST", "PUT"])])

    def session(self, policy: WritePolicy = WritePolicy.ALLOW) -> RecordSession:
        client = FhirClient(BASE, transport=httpx.ASGITransport(app=self.app))
        return RecordSession(client, policy=policy, person=ask_later if policy is WritePolicy.CONFIRM else None)

    async def _answer(self, request: Request) -> JSONResponse:
        path = str(request.path_params["path"])
        if request.method == "GET":
            if path in self.resources:
                return JSONResponse(self.resources[path])
            found = [{"resource": r} for name, r in self.resources.items() if name.startswith(f"{path}/")]
            return JSONResponse({"resourceType": "Bundle", "type": "searchset", "total": len(found), "entry": found})
        resource = json.loads(await request.body())
        stored = {**resource, "id": resource.get("id", f"n{len(self.resources)}")}
        self.resources[f"{stored['resourceType']}/{stored['id']}"] = stored
        return JSONResponse(stored, status_code=201)


WEIGHT = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"text": "body weight"},
    "subject": {"reference": "Patient/p1"},
    "effectiveDateTime": "2023-11-13T10:15:00+00:00",
    "valueQuantity": {"value": 71, "unit": "kg"},
}
PATIENT = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Doe", "given": ["Ann"]}]}


def record_agent(workspace: Path) -> EhrAgent:
    """An agent that looks a patient up and writes a weight."""
    said = (f"GET {BASE}/Patient?name=Ann", f"POST {BASE}/Observation\n{json.dumps(WEIGHT)}", 'FINISH(["done"])')
    script = tuple(ScriptedAnswer(answer="*", says=turn) for turn in said)
    return EhrAgent(ScriptedChatModel(script=script), TextProtocol(), workspace=workspace)


def fill(workspace: Path) -> dict[str, str]:
    """Consult into a workspace; returns ids of runs by what they show."""
    found = {}
    ward = Ward("reference", workspace=workspace, prices=Prices(input=0.5, output=1.5))
    for name, file in (
        ("coded", "chest_pain.json"),
        ("bundle", "central_chest_pressure_bundle.json"),
        ("contested", "tired_with_conflicting_results.json"),
    ):
        found[name] = ward.consult(Case.from_file(CASES / file)).run
    found["image"] = Ward(seeing(), workspace=workspace).consult(image_case(workspace)).run
    asking = Ward("reference", workspace=workspace, settings=ConsultSettings(escalate=True))
    found["waiting"] = asking.consult(Case.from_file(CASES / "not_feeling_right.txt")).run

    async def write() -> str:
        agent = record_agent(workspace)
        await agent.run("Record Ann's weight of 71 kg.", Hospital(PATIENT).session(), case="weigh-ann")
        return ""

    async def propose() -> str:
        try:
            session = Hospital(PATIENT).session(WritePolicy.CONFIRM)
            await record_agent(workspace).run("Record her weight, if I agree.", session, case="ask-first")
        except WriteAwaitsPerson as waiting:
            return waiting.run
        raise AssertionError("nobody was asked")

    asyncio.run(write())
    found["proposed"] = asyncio.run(propose())
    store = RunStore(workspace)
    found["written"] = next(row.id for row in store.runs() if row.case == "weigh-ann")
    store.close()
    return found


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with runs of all kinds."""
    return tmp_path_factory.mktemp("ward")


@pytest.fixture(scope="session")
def ids(workspace: Path) -> dict[str, str]:
    """Ids of the runs by what they show: coded, bundle, contested, image, waiting, proposed, written."""
    return fill(workspace)


@pytest.fixture(scope="session")
def runs(workspace: Path, ids: dict[str, str]) -> dict[str, Run]:
    """The runs by what they show."""
    store = RunStore(workspace)
    found = {name: read(store, run) for name, run in ids.items()}
    store.close()
    return found


@pytest.fixture(scope="session")
def marked(runs: dict[str, Run]) -> Run:
    """The run with an image, with regions marked on it."""
    return with_region(runs["image"])


@pytest.fixture(scope="session")
def hostile(runs: dict[str, Run]) -> Run:
    """A run with hostile words in all that others write: case, sources, claims, answers, errors."""
    return hostile_run(runs["bundle"])


def hostile_run(run: Run) -> Run:
    """Put the hostile words into every text of a run's log and case that is not an id or a word of the vocabulary."""
    case = json.loads(run.case.model_dump_json())
    case["record"] = _spoilt(case["record"])
    case |= {"narrative": HOSTILE, "complaint": HOSTILE, "id": f"case {HOSTILE}"}
    events = [EVENT.validate_python(_spoilt(EVENT.dump_python(event, mode="json"))) for event in run.events]
    return Run(
        "run_badbadbadbad",
        [e.model_copy(update={"run": "run_badbadbadbad"}) for e in events],
        Case.model_validate(case),
    )


_WORDS = re.compile(
    "text|display|name|detail|title|summary|agent|reason|fault|error|citation|content|argument|indicator|why|leading|"
    "diagnosis|conclusion|family|document|tool|answer|served_by|finish|model|how|action|because|unit|certificate"
)


def _spoilt(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        kept = {"span_started"} if value.get("event") == "span_started" else set()
        return {
            k: v if (k in ("event", "item") and isinstance(v, str)) or k in kept else _spoilt(v, k)
            for k, v in value.items()
        }
    if isinstance(value, list):
        return [_spoilt(inner, key) for inner in value]
    if isinstance(value, str) and _WORDS.fullmatch(key):
        return f"{value} {HOSTILE}"
    return value


@pytest.fixture(scope="session")
def pages(workspace: Path, marked: Run, hostile: Run) -> Starlette:
    """The pages of the runs of the workspace, and of one with regions, the same that keeps no file, a hostile one."""
    store = RunStore(workspace)
    for run, name in ((marked, "run_0123456789ab"), (marked, "run_fedcba987654"), (hostile, hostile.id)):
        keep(store, run, name)
    store.put(MASK, "image/png", run="run_0123456789ab")
    store.close()
    return create_app(workspace)


@pytest.fixture(scope="session")
def client(pages: Starlette) -> Iterator[TestClient]:
    """Asks the pages."""
    with TestClient(pages, base_url="http://127.0.0.1") as asking:
        yield asking


def keep(store: RunStore, run: Run, name: str) -> None:
    """Write a run into a store under a name."""
    events = [event.model_copy(update={"run": name}) for event in run.events]
    first = events[0]
    assert isinstance(first, RunStarted)
    store.begin(first)
    store.keep_case(name, run.case.model_dump_json())
    store.append(name, events)
