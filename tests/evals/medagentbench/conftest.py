"""A record in dictionaries, a driver of the text protocol, and tasks in the published grammar in our own words."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError

from wardround.agents.ehr.episode import Episode, EpisodeStatus, Turn
from wardround.evals.medagentbench import compat, state
from wardround.evals.medagentbench.facts import facts_of
from wardround.evals.medagentbench.gold import Gold, Measurement, fetch_gold
from wardround.evals.medagentbench.tasks import FunctionSpec, MedAgentTask
from wardround.evals.records.grading import Grade, Mode
from wardround.tools.fhir.answers import SearchPage
from wardround.tools.fhir.session import RecordCall

BASE = "http://record.test/fhir/"
T0 = "2023-11-13T10:15:00+00:00"
SBAR = "Situation: hip pain, Background: a fall, Assessment: fracture. Recommendation: please operate."
_MG = f'The time is {T0}. The code for magnesium reads "MG". -1 stands for nothing in the last 24 hours.'
_DOSES = (
    "NDC of the infusion: 0338-1715-40. Dosing: from 1.5 to 1.9 mg/dL give 1 g over 1 hour; "
    "from 1 to <1.5 mg/dL give 2 g over 2 hours; <1 mg/dL give 4 g over 4 hours."
)
_WORDING: Mapping[int, tuple[str, str]] = {
    1: ('Which MRN belongs to the person with name {name} and DOB {born}? Else say "No such patient".', ""),
    2: ("How old is {mrn} in whole years?", f"The time is {T0}."),
    3: ("Please enter 131/84 mmHg for {mrn}.", f"The time is {T0}. The flowsheet row of the pressure is BP."),
    4: ("Newest magnesium of {mrn} in the last 24 hours?", _MG),
    5: ("Look at the magnesium of {mrn} in the last 24 hours and replace it if low.", f"{_MG} {_DOSES}"),
    6: ("Mean CBG of {mrn} over the last 24 hours?", f'The time is {T0}. The code for CBG reads "GLU".'),
    7: ("Newest CBG of {mrn}?", f'The time is {T0}. The code for CBG reads "GLU".'),
    8: (f'Refer {{mrn}} to orthopaedics and write "{SBAR}"', f"The time is {T0}. SNOMED code: 306181000000106."),
    9: (
        "Look at the potassium of {mrn}; if low, replace it and measure again the next day at 8am.",
        f'The time is {T0}. The code for potassium reads "K". NDC of the tablets: 40032-917-01. '
        "For every 0.1 mEq/L below the goal order 10 mEq by mouth, with a goal of 3.5. LOINC of the level: 2823-3.",
    ),
    10: (
        "Tell the newest HbA1c of {mrn} and its time; order one if it is more than 1 year old.",
        f'The time is {T0}. The code for HbA1c reads "A1C". LOINC of the order: 4548-4. [-1] stands for none.',
    ),
}
FUNCTIONS = tuple(
    FunctionSpec(f"GET {{api_base}}/{kind}", "", {"type": "object", "properties": {name: {} for name in names}})
    for kind, names in (("Patient", ["identifier", "birthdate"]), ("Observation", ["patient", "code", "date"]))
)


@dataclass(frozen=True)
class Diff:
    """What an episode changed."""

    added: tuple[dict[str, Any], ...] = ()
    changed: tuple[Any, ...] = ()
    removed: tuple[Any, ...] = ()


@dataclass
class Record:
    """A FHIR server as small as it can be: four search parameters, and creation."""

    resources: list[dict[str, Any]]
    added: list[dict[str, Any]] = field(default_factory=list)
    index: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for resource in self.resources:
            subject = resource.get("subject", {}).get("reference", "").removeprefix("Patient/")
            self.index.setdefault((resource["resourceType"], subject), []).append(resource)

    async def search(self, type_: str, params: Mapping[str, str], /) -> SearchPage:
        return SearchPage(resources=tuple(self.find(type_, params)))

    def find(self, type_: str, params: Mapping[str, str]) -> list[dict[str, Any]]:
        return [r for r in self.index.get((type_, params.get("patient", "")), []) if _matches(r, params)]

    def fork(self) -> Record:
        forked = Record([])
        forked.index = self.index
        return forked


def _matches(resource: Mapping[str, Any], params: Mapping[str, str]) -> bool:
    wanted = {k: v for k, v in params.items() if k in ("code", "identifier", "birthdate")}
    has = {
        "code": resource.get("code", {}).get("text"),
        "identifier": resource.get("id"),
        "birthdate": resource.get("birthDate"),
    }
    return all(has[name] == value for name, value in wanted.items())


@dataclass
class Driver:
    """Runs one episode by the published processing of a turn."""

    record: Record
    mode: Mode
    max_rounds: int = 8
    turns: list[Turn] = field(default_factory=lambda: [Turn("user", "the task")])
    calls: list[RecordCall] = field(default_factory=list)

    def run(self, say: Callable[[str], str]) -> Episode:
        for _ in range(self.max_rounds):
            said = say(self.turns[-1].content)
            self.turns.append(Turn("agent", said))
            text = said.strip().replace("```tool_code", "").replace("```", "").strip()
            if text.startswith("FINISH("):
                return self._ended(EpisodeStatus.COMPLETED, text[len("FINISH(") : -1])
            if not text.startswith(("GET", "POST")):
                return self._ended(EpisodeStatus.INVALID)
            self.turns.append(Turn("user", self._get(text) if text.startswith("GET") else self._post(text)))
        return self._ended(EpisodeStatus.LIMIT)

    def _ended(self, status: EpisodeStatus, result: str | None = None) -> Episode:
        return Episode(tuple(self.turns), status, result, tuple(self.calls))

    def _get(self, text: str) -> str:
        url = text[3:].strip() + "&_format=json"
        parts = urlsplit(url)
        kind = parts.path.rsplit("/", 1)[-1]
        found = self.record.find(kind, dict(parse_qsl(parts.query)))
        self.calls.append(RecordCall("GET", url.removeprefix(BASE), None, 200, True, "answered", None))
        bundle = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": r} for r in found]}
        return f"The server says:\n{json.dumps(bundle)}\nGo on."

    def _post(self, text: str) -> str:
        first, _, rest = text.partition("\n")
        try:
            body = json.loads(rest)
        except ValueError:
            return "Invalid POST request"
        if self.mode == "compat":
            self.calls.append(RecordCall("POST", first[4:].strip(), body, None, False, "acknowledged", None))
            return "POST request accepted and so on"
        try:
            get_fhir_model_class(body["resourceType"]).model_validate(body)
        except ValidationError as error:
            return f"Invalid POST request: {error}"
        self.record.added.append({**body, "id": f"new-{len(self.record.added) + 1}"})
        return "POST request accepted and stored"


class Bench:
    """What the tests build with."""

    base = BASE
    now = T0
    sbar = SBAR
    functions = FUNCTIONS

    def task(self, category: int, number: int = 1, *, mrn: str | None = None, absent: bool = False) -> MedAgentTask:
        mrn = mrn or f"S{category:02d}{number:05d}"
        name, born = f"Quill{number} Vantage", f"19{40 + number % 50}-03-{1 + number % 28:02d}"
        instruction, context = _WORDING[category]
        return MedAgentTask(
            id=f"task{category}_{number}",
            category=category,
            instruction=instruction.format(mrn=mrn, name=name, born=born),
            context=context,
            mrn=None if absent else mrn,
            solution=("No such patient" if absent else mrn,) if category == 1 else None,
        )

    def tasks(self, each: int) -> list[MedAgentTask]:
        return [self.task(c, n, absent=c == 1 and n % 5 == 0) for c in range(1, 11) for n in range(1, each + 1)]

    def rows(self, tasks: Iterable[MedAgentTask]) -> list[dict[str, Any]]:
        """Return the tasks as the published file has them."""
        rows = []
        for task in tasks:
            row: dict[str, Any] = {"id": task.id, "instruction": task.instruction, "context": task.context}
            row |= {"eval_MRN": task.mrn} if task.mrn is not None else {}
            rows.append(row | ({"sol": list(task.solution)} if task.solution else {}))
        return rows

    def gold(self, *values: tuple[str, float]) -> Gold:
        return Gold(tuple(Measurement(v, stamp, datetime.fromisoformat(stamp), "final") for stamp, v in values))

    def call(self, url: str, status: int | None = 200, method: str = "GET") -> RecordCall:
        return RecordCall(method, url, None, status, True, "answered", None)

    def read(self, task: MedAgentTask) -> tuple[RecordCall, ...]:
        """Return the calls of an agent that read what decides a task."""
        facts = facts_of(task)
        if task.category in (3, 8):
            return ()
        if task.category in (1, 2):
            return (self.call(f"Patient?identifier={task.mrn}&_format=json"),)
        return (self.call(f"Observation?patient={task.mrn}&code={facts.code}&_format=json"),)

    def said(
        self, *agent: str, calls: Sequence[RecordCall] = (), status: EpisodeStatus = EpisodeStatus.COMPLETED
    ) -> Episode:
        """Return the episode of an agent that said this, each POST acknowledged, the last turn a FINISH."""
        turns = [Turn("user", "the task")]
        for text in agent:
            answer = "POST request accepted" if "POST" in text else "{}"
            turns += [Turn("agent", text), Turn("user", answer)]
        done = status is EpisodeStatus.COMPLETED
        result = agent[-1].removeprefix("FINISH(")[:-1] if done else None
        error = "the server is down" if status is EpisodeStatus.ERROR else None
        return Episode(tuple(turns[:-1] if done else turns), status, result, tuple(calls), error)

    def post(self, resource: Mapping[str, Any], *, url: str | None = None) -> str:
        return f"POST {url or BASE + resource['resourceType']}\n{json.dumps(resource)}"

    def compat(self, task: MedAgentTask, episode: Episode, gold: Gold | None = None) -> Grade:
        return compat.grade(task, episode, gold or Gold(), api_base=BASE)

    def state(self, task: MedAgentTask, episode: Episode, gold: Gold | None = None, diff: Diff | None = None) -> Grade:
        return state.grade(task, episode, diff or Diff(), gold or Gold())

    def diff(self, *added: dict[str, Any], **others: Any) -> Diff:
        return Diff(added, **others)

    def record(self, resources: Iterable[dict[str, Any]]) -> Record:
        return Record(list(resources))

    def drive(self, record: Record, mode: Mode, acts: Generator[str, str, None]) -> tuple[Episode, Diff]:
        """Let a policy work on a copy of a record."""
        begun = False

        def say(reply: str) -> str:
            nonlocal begun
            turn = acts.send(reply) if begun else next(acts)
            begun = True
            return turn

        forked = record.fork()
        episode = Driver(forked, mode).run(say)
        return episode, Diff(tuple(forked.added))

    async def score(
        self, tasks: Sequence[MedAgentTask], record: Record, mode: Mode, policy: Callable[..., Any], seed: int = 0
    ) -> dict[str, Grade]:
        """Return the grades of a policy on tasks, by task id."""
        grades = {}
        for task in tasks:
            gold = await fetch_gold(facts_of(task), record)
            acts = policy(task, FUNCTIONS, BASE, mode, random.Random(f"{seed}:{task.id}"))
            episode, diff = self.drive(record, mode, acts)
            graded = self.compat(task, episode, gold) if mode == "compat" else self.state(task, episode, gold, diff)
            grades[task.id] = graded
        return grades

    replace = staticmethod(replace)


@pytest.fixture(scope="session")
def bench() -> Bench:
    return Bench()
