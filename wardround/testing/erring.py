"""A chat model that answers as another does, but errs at known rates: wrong diagnoses, hallucinated claims.

With it can be measured what the rest of a ward makes of specialists who err. How it errs is drawn from a seed and from
what was asked: the same question at temperature 0 meets the same error, and so does a drawn answer of the same seed.
The errors are written by rule and milder or coarser than those of a language model may be.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal, TypeVar

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from wardround.core.answers import AttendingAnswer, SpecialistAnswer, StatedClaim, WeightedDiagnosis
from wardround.core.differential import Hypothesis
from wardround.core.finding import Assertion, Finding
from wardround.core.frozen import Frozen, content_id
from wardround.core.source import LITERATURE, RELIABILITY, SourceKind
from wardround.knowledge.clinician import KnowledgeClinician
from wardround.models.handle import ModelHandle
from wardround.models.parsing import Unreadable, parse_answer

PLAUSIBLE = 5
"""A wrong diagnosis is drawn among so many that the evidence makes most probable, the first left out."""
ARGUED = 2
"""Invented findings with which a specialist argues for a wrong diagnosis, at most."""
_MOST_CLAIMS = 25
_FACTORS = (0.6, 0.75, 1.3, 1.6)
"""By one of these a measured value is falsified."""

_PATIENT = re.compile(r"^Patient: (?:age (?P<age>[\d.]+) years|age unknown), (?P<sex>female|male|sex unknown)", re.M)
_COMPLAINT = re.compile(r"^Complaint: .*$", re.M)
_FENCED = re.compile(r"^<<(evidence_\w+)>>\n(.*?)^<<end \1>>", re.DOTALL | re.M)
_LINE = re.compile(r"^\[(?P<id>src_\w+)\] \((?P<kind>\w+); (?P<title>.*?)\) (?P<text>.*)$", re.M)
_SPECIALIST = re.compile(r"^You are the specialist for .*? \((?P<id>\w+)\)\.", re.M)
_SHAPE = re.compile(r"of the shape (\w+),")
_SIDE = re.compile(r"\b(left|right)\b", re.IGNORECASE)
_OTHER_SIDE = {"left": "right", "right": "left", "Left": "Right", "Right": "Left", "LEFT": "RIGHT", "RIGHT": "LEFT"}

A = TypeVar("A", bound=BaseModel)


class Errors(Frozen):
    """How often a model errs, and how far its errors go together."""

    wrong: float = Field(default=0.0, ge=0.0, le=1.0)
    """Share of the specialists' opinions that name a wrong leading diagnosis."""
    drawn: Literal["case", "agent", "rollout"] = "rollout"
    """For what a wrong diagnosis is drawn: once for a case, so that all specialists err in the same way; for each
    specialist; or for each opinion."""
    hallucinated: float = Field(default=0.0, ge=0.0, le=1.0)
    """Probability that a hallucinated claim follows a claim of a specialist."""
    attending_hallucinates: bool = False
    """Whether hallucinated claims follow those of the attending as well."""
    attending_errs: bool = False
    """Whether the attending names a wrong diagnosis as often; drawn for the case, so where specialists err together it
    is the same one."""
    told: bool = False
    """Whether specialists who do not err name the right diagnosis, whatever they would have said."""
    seed: int = 0


class Injected(Frozen):
    """A hallucinated claim that was put into an answer."""

    agent: str
    text: str
    evidence: tuple[str, ...]
    """Ids of the evidence lines that it cites: they are real, and do not say it."""
    kind: Literal["value", "negation", "side", "invention", "argument"]
    """What is wrong with it: another value, the opposite, the other side, a finding that nobody mentioned, or one that
    would speak for a wrong diagnosis."""


class ErringChatModel(BaseChatModel):
    """Answers as another model does, with errors put in; triage, planner and the choice of tools stay as they are."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    inner: BaseChatModel
    errors: Errors
    clinician: Any
    """A `KnowledgeClinician`: says what the evidence makes plausible, so that errors are."""
    right: frozenset[str] = frozenset()
    """Ids of the conditions that are right, and never given in error. Without any, an error is a diagnosis that the
    evidence does not favour, which may happen to be right."""
    _injected: set[Injected] = PrivateAttr(default_factory=set)

    @property
    def injected(self) -> frozenset[Injected]:
        """The hallucinated claims of all answers so far."""
        return frozenset(self._injected)

    def handle(self, base: ModelHandle) -> ModelHandle:
        """Return the handle of this model, able to do what the handle of the inner model says.

        The spec names the errors, so that answers with other errors are not taken from a cache.
        """
        digest = content_id("errors", self.errors.model_dump(mode="json"), sorted(self.right))
        return replace(base, chat=self, spec=f"erring:{digest}:{base.spec}")

    @property
    def _llm_type(self) -> str:
        return f"erring-{self.inner._llm_type}"

    def bind_tools(
        self, tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool], **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return the inner model with tools: calls of tools are left as they are."""
        return self.inner.bind_tools(tools, **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return self._with_errors(self.inner._generate(messages, stop, run_manager, **kwargs), messages, kwargs)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        result = await self.inner._agenerate(messages, stop, run_manager, **kwargs)
        return self._with_errors(result, messages, kwargs)

    def _with_errors(self, result: ChatResult, messages: Sequence[BaseMessage], options: dict[str, Any]) -> ChatResult:
        prompt = "\n".join(message.text for message in messages)
        wanted = (options.get("response_format") or {}).get("json_schema", {}).get("name")
        shape = _SHAPE.search(prompt)
        asked = wanted or (shape[1] if shape is not None else None)
        specialist = _SPECIALIST.search(prompt)
        if asked not in (SpecialistAnswer.__name__, AttendingAnswer.__name__):
            return result
        agent = specialist["id"] if specialist is not None else "attending"
        drawn = options.get("seed", 0) if options.get("temperature") else None
        generations: list[ChatGeneration] = []
        for n, generation in enumerate(result.generations):
            key = content_id("question", agent, prompt, drawn, n)
            generations.append(self._changed(generation, asked, agent, prompt, key))
        return result.model_copy(update={"generations": generations})

    def _changed(self, given: ChatGeneration, asked: str, agent: str, prompt: str, key: str) -> ChatGeneration:
        try:
            text = self._erred(str(given.message.text), asked, agent, _Shown(prompt, self.clinician), key)
        except Unreadable:  # an error of the inner model's own, which stays
            return given
        message = given.message.model_copy(update={"content": text})
        return ChatGeneration(message=message, generation_info=given.generation_info)

    def _erred(self, text: str, asked: str, agent: str, shown: _Shown, key: str) -> str:
        if asked == AttendingAnswer.__name__:
            return self._attending(parse_answer(text, AttendingAnswer), shown).model_dump_json()
        return self._specialist(parse_answer(text, SpecialistAnswer), agent, shown, key).model_dump_json()

    def _specialist(self, answer: SpecialistAnswer, agent: str, shown: _Shown, key: str) -> SpecialistAnswer:
        unit = {"case": shown.case, "agent": f"{shown.case} {agent}", "rollout": key}[self.errors.drawn]
        claims = self._hallucinated(answer.claims, agent, shown, key)
        wrong = self._wrong(unit, shown) if answer.leading is not None else None
        if wrong is None:
            told = min(self.right, default=None) if self.errors.told else None
            held = answer if told is None else _naming(answer, self.clinician.kb.conditions[told].name)
            return held.model_copy(update={"claims": claims})
        argued = self._argued(wrong, agent, shown)
        return _naming(answer, wrong.name).model_copy(update={"claims": [*claims, *argued][:_MOST_CLAIMS]})

    def _attending(self, answer: AttendingAnswer, shown: _Shown) -> AttendingAnswer:
        """Put errors into the attending's answer; drawn for the case, since what he is shown of the claims may vary."""
        changed: dict[str, Any] = {}
        if self.errors.attending_hallucinates:
            changed["argument"] = self._hallucinated(answer.argument, "attending", shown, shown.case)
        wrong = self._wrong(shown.case, shown) if self.errors.attending_errs and answer.diagnosis is not None else None
        if wrong is not None:
            changed |= {"diagnosis": wrong.name, "overrules": True, "overrule_reason": "the specialists hold it"}
        return answer.model_copy(update=changed)

    def _wrong(self, unit: str, shown: _Shown) -> Hypothesis | None:
        """Return the wrong diagnosis of a case, specialist or opinion; nothing where it does not err."""
        if _share(self.errors.seed, "errs", unit) >= self.errors.wrong:
            return None
        others = [h for h in shown.plausible[1:] if h.id not in self.right][:PLAUSIBLE]
        if not others:
            return None
        rng = random.Random(content_id("wrong", self.errors.seed, unit))
        return rng.choices(others, [max(h.probability, 1e-6) for h in others])[0]

    def _argued(self, wrong: Hypothesis, agent: str, shown: _Shown) -> list[StatedClaim]:
        """Return findings that would speak for a wrong diagnosis and that nobody stated, the commonest of it first."""
        kb = self.clinician.kb
        column = kb.condition_index[wrong.id]
        codes = [c for c in kb.conditions[wrong.id].findings if shown.is_new(c, kb.implied(c))]
        codes.sort(key=lambda code: (-kb.likelihood[kb.finding_index[code], column], code))
        rng = random.Random(content_id("argued", self.errors.seed, shown.case, wrong.id))
        cited = [rng.choice(shown.lines)[0] for _ in codes[:ARGUED]] if shown.lines else []
        made = [
            Injected(agent=agent, text=f"There is {kb.findings[code].name}.", evidence=(line,), kind="argument")
            for code, line in zip(codes, cited, strict=False)
        ]
        return self._kept(made)

    def _hallucinated(self, claims: Sequence[StatedClaim], agent: str, shown: _Shown, key: str) -> list[StatedClaim]:
        """Return claims with hallucinated ones after some of them."""
        rng = random.Random(content_id("hallucinated", self.errors.seed, key))
        found: list[StatedClaim] = []
        for claim in claims:
            found.append(claim)
            if rng.random() < self.errors.hallucinated and shown.lines:
                found += self._kept(_invented(agent, shown, rng))
        return found[:_MOST_CLAIMS]

    def _kept(self, made: Sequence[Injected]) -> list[StatedClaim]:
        self._injected.update(made)
        return [StatedClaim(text=one.text, evidence=list(one.evidence)) for one in made]


class _Shown:
    """What a prompt shows of a patient."""

    def __init__(self, prompt: str, clinician: KnowledgeClinician) -> None:
        patient = _PATIENT.search(prompt)
        fenced = _FENCED.search(prompt)
        self._clinician = clinician
        self.age = float(patient["age"]) if patient is not None and patient["age"] else None
        self.sex = patient["sex"] if patient is not None and patient["sex"] != "sex unknown" else None
        own = [m for m in _LINE.finditer(fenced[2] if fenced else "") if _is_about_patient(m["kind"])]
        self.lines = sorted((m["id"], m["text"], m["kind"]) for m in own)
        """Id, words and kind of the lines about this patient, in an order that the prompt's own does not change."""
        complaint = _COMPLAINT.search(prompt)
        first = sorted(m["text"] for m in own if m["title"].endswith(", sentence 1") and "/" not in m["title"])
        self.case = content_id("shown", self.age, self.sex, complaint[0] if complaint is not None else "", first)
        """Names the case: by patient, complaint and how the note begins, which every agent is shown."""

    @cached_property
    def read(self) -> tuple[tuple[Finding, str, str], ...]:
        """Findings, each with id and kind of its line."""
        return tuple(
            (finding, line, kind)
            for line, text, kind in self.lines
            for finding in self._clinician.read(text, age=self.age, sex=self.sex)
        )

    @cached_property
    def stated(self) -> frozenset[tuple[str, Assertion]]:
        """Code and assertion of all that is stated anywhere."""
        return frozenset((finding.code, finding.assertion) for finding, _, _ in self.read)

    @cached_property
    def plausible(self) -> tuple[Hypothesis, ...]:
        """What the evidence makes probable, the most probable first; nothing where it says nothing."""
        if not self.read:
            return ()
        best: dict[tuple[str, Assertion], tuple[Finding, float]] = {}
        for finding, _, kind in self.read:
            held = best.get((finding.code, finding.assertion))
            reliability = RELIABILITY[SourceKind(kind)]
            if held is None or reliability > held[1]:
                best[finding.code, finding.assertion] = (finding, reliability)
        return self._clinician.differential(list(best.values()), age=self.age, sex=self.sex).hypotheses

    def is_new(self, code: str, implied: Sequence[str]) -> bool:
        """Whether nobody spoke of a finding or of a broader one as present, nor of the finding itself at all."""
        codes = {c for c, _ in self.stated}
        return code not in codes and not any((c, Assertion.PRESENT) in self.stated for c in implied)

    def unmentioned(self, rng: random.Random) -> str | None:
        """Draw the name of a finding that nobody spoke of and that the patient's sex can have."""
        kb = self._clinician.kb
        codes = list(kb.findings)
        for _ in range(100):
            code = rng.choice(codes)
            if kb.findings[code].sex in (None, self.sex) and self.is_new(code, tuple(kb.implied(code))):
                return kb.findings[code].name
        return None


def _is_about_patient(kind: str) -> bool:
    return SourceKind(kind) not in LITERATURE and SourceKind(kind) is not SourceKind.SCORE


def _invented(agent: str, shown: _Shown, rng: random.Random) -> list[Injected]:
    """Draw a hallucinated claim on a line of the evidence, of a kind for which the line gives occasion, if any."""
    line, text, _ = rng.choice(shown.lines)
    here = [finding for finding, where, _ in shown.read if where == line]
    opposite = [f for f in here if _can_turn(f, shown)]
    measured = [f for f in here if f.value is not None and f.presence.value != "unknown"]
    kinds: dict[Literal["value", "negation", "side", "invention"], str] = {}
    name = shown.unmentioned(rng)
    if name is not None:
        kinds["invention"] = f"There is {name}."
    if opposite:
        kinds["negation"] = _turned(rng.choice(opposite))
    if measured:
        kinds["value"] = _falsified(rng.choice(measured), rng.choice(_FACTORS))
    if _SIDE.search(text):
        kinds["side"] = _SIDE.sub(lambda m: _OTHER_SIDE.get(m[0], m[0]), text)[:600]
    if not kinds:
        return []
    kind = rng.choice(sorted(kinds))
    return [Injected(agent=agent, text=kinds[kind], evidence=(line,), kind=kind)]


def _can_turn(finding: Finding, shown: _Shown) -> bool:
    """Whether the opposite of a finding is stated nowhere, so that stating it is a hallucination."""
    opposite = {Assertion.PRESENT: Assertion.ABSENT, Assertion.ABSENT: Assertion.PRESENT}.get(finding.assertion)
    return opposite is not None and (finding.code, opposite) not in shown.stated


def _turned(finding: Finding) -> str:
    return f"There is {'no ' if finding.assertion is Assertion.PRESENT else ''}{finding.name}."


def _falsified(finding: Finding, factor: float) -> str:
    value = f"{(finding.value or 0.0) * factor:.3g} {finding.unit or ''}".strip()
    denied = "no " if finding.assertion is Assertion.ABSENT else ""
    return f"There is {denied}{finding.name} ({value})."


def _naming(answer: SpecialistAnswer, named: str) -> SpecialistAnswer:
    """Return an opinion with another diagnosis in the place of the leading one, held as firmly."""
    p = {d.diagnosis: d.probability for d in answer.differential}
    led = answer.leading or named
    p[named], p[led] = p.get(led, answer.confidence), p.get(named, 0.0)
    swapped = [WeightedDiagnosis(diagnosis=name, probability=share) for name, share in p.items()]
    swapped.sort(key=lambda d: (-d.probability, d.diagnosis))
    return answer.model_copy(update={"leading": named, "differential": swapped[:15]})


def _share(*parts: object) -> float:
    """Return a number in [0, 1) that depends on the parts alone."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2.0**64
