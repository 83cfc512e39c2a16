"""The reference clinician as a chat model: reads the same prompts as any other, needs no weights.

It finds findings in the evidence lines of a prompt, weighs them with the embedded knowledge, and
answers Wardround's schemas. A demonstration and a baseline: not validated for care.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel, ConfigDict

from wardround.core.answers import (
    AttendingAnswer,
    PlanAnswer,
    PlannedIndicator,
    SpecialistAnswer,
    StatedClaim,
    ToolChoice,
    TriageAnswer,
    WeightedDiagnosis,
)
from wardround.core.differential import Differential, Hypothesis
from wardround.core.errors import ModelError
from wardround.core.finding import Assertion, Finding
from wardround.core.frozen import content_id
from wardround.core.ports import Clinician
from wardround.core.source import LITERATURE, RELIABILITY, SourceKind
from wardround.models.clerk.clerk import next_message

NAME = "wardround-reference"
NOTICE = "Reference reasoner over embedded demonstration knowledge; not validated for care."

_EVIDENCE = re.compile(r"^<<(evidence_\w+)>>\n(.*?)^<<end \1>>", re.DOTALL | re.MULTILINE)
_LINE = re.compile(r"^\[(?P<id>src_\w+)\] \((?P<kind>\w+); (?P<title>.*?)\) (?P<text>.*)$", re.MULTILINE)
_AGE = re.compile(r"^Patient: age (?P<age>[\d.]+) years", re.MULTILINE)
_SEX = re.compile(r"^Patient: .*?\b(?P<sex>female|male)\.", re.MULTILINE)
_LISTED = re.compile(r"^- (?P<name>[\w ]+?)(?: '(?P<argument>.*)'|:)", re.MULTILINE)
_ROW = re.compile(r"^- .+ \((?P<id>\w+)\): (?P<p>[\d.]+)$", re.MULTILINE)

_RECORD_TASKS = (None, "Move")
"""Shapes asked for in tasks on a record: none where tools are called or requests written, else one move."""

_CLAIMS = 8
_LISTED_DIAGNOSES = 8
_WORTH_A_SEARCH = 0.05
"""Expected information gain in bits below which a tool call is not worth it."""


@dataclass(frozen=True)
class _Read:
    """One finding, in which line it stands, and how far that is trusted."""

    finding: Finding
    line: str
    reliability: float


class _Chart:
    """What the reference clinician gets out of a prompt."""

    def __init__(self, prompt: str, clinician: Clinician) -> None:
        self.prompt = prompt
        self.clinician = clinician
        age = _AGE.search(prompt)
        sex = _SEX.search(prompt)
        self.age = float(age["age"]) if age else None
        self.sex = sex["sex"] if sex else None

    @cached_property
    def read(self) -> tuple[_Read, ...]:
        """The findings about the patient, the most reliable reading of each."""
        best: dict[tuple[str, Assertion], _Read] = {}
        fenced = _EVIDENCE.search(self.prompt)
        for line in _LINE.finditer(fenced[2] if fenced else ""):
            kind = SourceKind(line["kind"])
            if kind in LITERATURE:
                continue
            for finding in self.clinician.read(line["text"], age=self.age, sex=self.sex):
                key = (finding.code, finding.assertion)
                held = best.get(key)
                if held is None or RELIABILITY[kind] > held.reliability:
                    best[key] = _Read(finding, line["id"], RELIABILITY[kind])
        return tuple(best.values())

    @cached_property
    def weighted(self) -> tuple[tuple[Finding, float], ...]:
        return tuple((r.finding, r.reliability) for r in self.read)

    @cached_property
    def differential(self) -> Differential:
        return self.clinician.differential(self.weighted, age=self.age, sex=self.sex)

    def listed(self, heading: str) -> list[re.Match[str]]:
        """The list under a heading of the prompt."""
        start = self.prompt.find(f"\n{heading}:\n")
        if start < 0:
            return []
        section = self.prompt[start + len(heading) + 3 :]
        lines = []
        for line in section.split("\n"):
            match = _LISTED.match(line)
            if match is None:
                break
            lines.append(match)
        return lines

    def claims(self, condition: str) -> list[StatedClaim]:
        """What speaks for and against a condition, strongest first."""
        bearing = [(self.clinician.bearing(r.finding, condition), r) for r in self.read]
        telling = [(b, r) for b, r in bearing if abs(b) > 0.2]
        telling.sort(key=lambda pair: (-abs(pair[0]), pair[1].finding.code))
        return [StatedClaim(text=_sentence(r.finding), evidence=[r.line]) for _, r in telling[:_CLAIMS]]


class ReferenceChatModel(BaseChatModel):
    """Answers Wardround's schemas by reading the prompt and reasoning with embedded knowledge."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    clinician: Any
    """A `Clinician`."""

    @property
    def _llm_type(self) -> str:
        return NAME

    def bind_tools(
        self, tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool], **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return the model with tools that it may call in a record task; elsewhere it calls none."""
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        prompt = "\n".join(message.text for message in messages)
        wanted = (kwargs.get("response_format") or {}).get("json_schema", {}).get("name")
        message = next_message(NAME, messages, kwargs) if wanted in _RECORD_TASKS else None
        if message is None:
            chart = _Chart(prompt, self.clinician)
            temperature = float(kwargs.get("temperature") or 0.0)
            rng = random.Random(content_id("draw", kwargs.get("seed", 0), prompt))
            message = AIMessage(content=_answer(wanted, chart, temperature, rng))
        said = len(message.text) + sum(len(str(call["args"])) for call in message.tool_calls)
        counted = {"input_tokens": len(prompt) // 4, "output_tokens": said // 4}
        told = message.model_copy(
            update={
                "usage_metadata": {**counted, "total_tokens": sum(counted.values())},
                "response_metadata": {"model_name": NAME, "notice": NOTICE},
            }
        )
        return ChatResult(generations=[ChatGeneration(message=told)])


def _answer(wanted: str | None, chart: _Chart, temperature: float, rng: random.Random) -> str:
    if wanted is None:
        return _prose(chart)
    if wanted == SpecialistAnswer.__name__:
        return _specialist(chart, temperature, rng).model_dump_json()
    answerers: dict[str, Callable[[_Chart], BaseModel]] = {
        TriageAnswer.__name__: _triage,
        PlanAnswer.__name__: _plan,
        ToolChoice.__name__: _tool,
        AttendingAnswer.__name__: _attend,
    }
    if wanted not in answerers:
        known = ", ".join(sorted((*answerers, SpecialistAnswer.__name__)))
        raise ModelError(NAME, f"does not know the shape {wanted}; it answers {known}")
    return answerers[wanted](chart).model_dump_json()


def _triage(chart: _Chart) -> TriageAnswer:
    facts = [(h, chart.clinician.condition(h.id)) for h in chart.differential.hypotheses]
    known = [(h, f) for h, f in facts if f is not None]
    emergent = sum(h.probability for h, f in known if f.urgency == "emergent")
    urgent = sum(h.probability for h, f in known if f.urgency == "urgent")
    danger = [h for h, f in known if f.must_not_miss and h.probability >= 0.05]
    urgency: Literal["emergent", "urgent", "routine"] = (
        "emergent" if emergent >= 0.3 else "urgent" if emergent >= 0.05 or emergent + urgent >= 0.4 else "routine"
    )
    offered = [m["name"] for m in chart.listed("Specialties")]
    mass: dict[str, float] = {}
    for h, f in known:
        for rank, specialty in enumerate(f.specialties):
            if specialty in offered:
                mass[specialty] = mass.get(specialty, 0.0) + h.probability / (1 + rank)
    top = chart.differential.top
    settled = top is not None and top.probability >= 0.9 and urgency == "routine" and not danger
    ranked = sorted(mass, key=lambda s: (-mass[s], s))
    reasons = [f"leading: {h.name} ({h.probability:.0%})" for h in chart.differential.hypotheses[:3]]
    reasons += [f"dangerous and not excluded: {h.name} ({h.probability:.0%})" for h in danger[:3]]
    return TriageAnswer(
        urgency=urgency,
        specialties=[] if settled else [s for s in ranked if mass[s] >= 0.1][:4] or ranked[:1],
        reasons=reasons,
    )


def _plan(chart: _Chart) -> PlanAnswer:
    best = chart.clinician.informative(chart.weighted, age=chart.age, sex=chart.sex, limit=6)
    return PlanAnswer(
        indicators=[PlannedIndicator(indicator=s.name, why=f"{s.gain:.2f} bits expected, by {s.how}") for s in best]
    )


def _tool(chart: _Chart) -> ToolChoice:
    offered = {m["name"] for m in chart.listed("Tools")}
    used = {(m["name"], m["argument"]) for m in chart.listed("Used already")}
    top = chart.differential.top
    if "search_record" in offered:
        best = chart.clinician.informative(chart.weighted, age=chart.age, sex=chart.sex, limit=3)
        for s in best:
            if s.gain >= _WORTH_A_SEARCH and ("search_record", s.name) not in used:
                return ToolChoice(tool="search_record", argument=s.name, why=f"{s.gain:.2f} bits expected")
    for tool in ("guideline", "clinical_score"):
        if tool in offered and top is not None and tool not in {name for name, _ in used}:
            return ToolChoice(tool=tool, argument=top.name, why="bears on the leading hypothesis")
    return ToolChoice(tool=None, why="nothing more would tell enough")


def _specialist(chart: _Chart, temperature: float, rng: random.Random) -> SpecialistAnswer:
    if not chart.read or chart.differential.top is None:
        return SpecialistAnswer(leading=None, confidence=0.0, differential=[], claims=[])
    leading = _pick(chart.differential.hypotheses, temperature, rng)
    missing = chart.clinician.informative(chart.weighted, age=chart.age, sex=chart.sex, limit=5)
    return SpecialistAnswer(
        leading=leading.name,
        confidence=leading.probability,
        differential=[
            WeightedDiagnosis(diagnosis=h.name, probability=round(h.probability, 6))
            for h in chart.differential.hypotheses[:_LISTED_DIAGNOSES]
        ],
        claims=chart.claims(leading.id),
        missing=[s.name for s in missing],
    )


def _pick(hypotheses: Sequence[Hypothesis], temperature: float, rng: random.Random) -> Hypothesis:
    """The first at temperature 0; otherwise drawn with weights p^(1/T), as a sampled model would answer."""
    if temperature <= 0.0:
        return hypotheses[0]
    first = max(hypotheses[0].probability, 1e-12)
    weights = [(h.probability / first) ** (1.0 / temperature) for h in hypotheses]
    return rng.choices(hypotheses, weights)[0]


def _attend(chart: _Chart) -> AttendingAnswer:
    if not chart.read:
        return AttendingAnswer(diagnosis=None, argument=[])
    favoured = _ROW.search(chart.prompt, max(0, chart.prompt.find("Posterior of the evidence graph:")))
    own = chart.differential.top
    graph = chart.clinician.condition(favoured["id"]) if favoured else None
    if own is None:
        return AttendingAnswer(diagnosis=None, argument=[])
    if graph is None or graph.id == own.id:
        return AttendingAnswer(diagnosis=own.name, argument=chart.claims(own.id))
    if own.probability - chart.differential.probability(graph.id) > 0.3:
        reason = f"the evidence as written favours {own.name} over {graph.name}"
        return AttendingAnswer(
            diagnosis=own.name, argument=chart.claims(own.id), overrules=True, overrule_reason=reason
        )
    return AttendingAnswer(diagnosis=graph.name, argument=chart.claims(graph.id))


def _sentence(finding: Finding) -> str:
    value = f" ({finding.value:g} {finding.unit})" if finding.value is not None else ""
    match finding.assertion:
        case Assertion.ABSENT:
            return f"There is no {finding.name}{value}."
        case Assertion.POSSIBLE:
            return f"There is possible {finding.name}{value}."
        case Assertion.FAMILY:
            return f"There is a family history of {finding.name}."
        case Assertion.HISTORICAL:
            return f"There is a history of {finding.name}."
        case Assertion.HYPOTHETICAL:
            return f"The patient is to return if {finding.name} occurs."
        case _:
            return f"There is {finding.name}{value}."


def _prose(chart: _Chart) -> str:
    rows = [f"{h.name}: {h.probability:.0%}" for h in chart.differential.hypotheses[:5]]
    return NOTICE + "\n" + "\n".join(rows)
