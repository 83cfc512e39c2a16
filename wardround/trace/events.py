"""What happened in a run, one past-tense event per act."""

from __future__ import annotations

from collections.abc import Set
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, TypeAdapter

from wardround.core.decision import Decision, Triage
from wardround.core.frozen import Frozen, content_id
from wardround.core.items import Item
from wardround.core.uncertainty import Uncertainty

SCHEMA_VERSION = 1


class SpanKind(StrEnum):
    """What a span is about."""

    RUN = "run"
    NODE = "node"
    AGENT = "agent"
    MODEL = "model"
    TOOL = "tool"


class Outcome(StrEnum):
    """How a span ended."""

    DONE = "done"
    FAILED = "failed"
    SUSPENDED = "suspended"


class AnswerFault(StrEnum):
    """Why an answer is no opinion."""

    REFUSAL = "refusal"
    """The model declines to answer."""
    EMPTY = "empty"
    """Nothing was said."""
    THINKING = "thinking"
    """It was thought about, but nothing was answered."""
    TOOL_CALL = "tool_call"
    """A tool is called in text, and the object asked for is not given."""
    NO_OBJECT = "no_object"
    """Words, but no JSON object."""
    CUT_OFF = "cut_off"
    """The object does not come to its end."""
    NOT_JSON = "not_json"
    """The object is damaged, or in another notation than JSON."""
    UNFIT = "unfit"
    """The object is JSON of another shape."""
    CONTRADICTORY = "contradictory"
    """Several things are stated where one was asked for: objects that differ, or one key with two values."""
    BAD_TEXT = "bad_text"
    """A text of the object holds what is no character."""
    TOO_LONG = "too_long"
    """More than is read."""
    TOO_DEEP = "too_deep"
    """Nested deeper than is read."""


class _Event(Frozen):
    unnamed: ClassVar[Set[str]] = frozenset(("seq", "time", "seconds"))
    """Fields that are not part of what happened, and so not of its name."""

    run: str
    """Id of the run."""
    seq: int
    """Place in the run's log; order is by this, never by the clock."""
    time: datetime
    span: str
    """Id of the span it happened in."""

    @property
    def id(self) -> str:
        """Name made from what happened, so that a repeat after a resume has the same name."""
        return content_id("evt", self.model_dump(mode="json", exclude=set(self.unnamed)))


class RunStarted(_Event):
    """A consult began."""

    event: Literal["run_started"] = "run_started"
    schema_version: int = SCHEMA_VERSION
    case: str
    """Id of the case."""
    model: str
    """Spec of the model that was asked for."""
    settings: dict[str, Any]
    """All that changes the outcome."""


class CardNamed(_Event):
    """A consult was begun with a calibration card."""

    event: Literal["card_named"] = "card_named"
    card: dict[str, Any]
    """The whole card, so that the run can be read and resumed without its file."""


class Resumed(_Event):
    """A suspended or broken run went on."""

    event: Literal["resumed"] = "resumed"
    answer: dict[str, Any] | None = None
    """What a person answered, where one was asked."""


class SpanStarted(_Event):
    """A stretch of work began; its id is in `opened`."""

    event: Literal["span_started"] = "span_started"
    opened: str
    name: str
    kind: SpanKind


class SpanEnded(_Event):
    """A stretch of work ended."""

    event: Literal["span_ended"] = "span_ended"
    closed: str
    outcome: Outcome
    seconds: float
    error: str | None = None


class RecordRead(_Event):
    """A patient's record was gone through."""

    event: Literal["record_read"] = "record_read"
    used: dict[str, int]
    """Resources that became evidence, by type."""
    skipped: dict[str, int]
    """Resources that say nothing to a diagnosis, by type."""
    problems: tuple[str, ...] = ()


class EvidenceAdded(_Event):
    """Something entered the evidence graph."""

    event: Literal["evidence_added"] = "evidence_added"
    item: Item


class Origin(StrEnum):
    """Where an answer came from."""

    LIVE = "live"
    """From the model, now."""
    LOG = "log"
    """From the log of the same run, before it was resumed."""
    REPLAY = "replay"
    """From the log of another run."""
    EDIT = "edit"
    """From whoever forked the run."""
    CACHE = "cache"
    CASSETTE = "cassette"


class ModelReached(_Event):
    """It was found out what a model is and can do."""

    event: Literal["model_reached"] = "model_reached"
    model: str
    constrained: bool
    sampled: bool
    several: bool
    choosing: bool
    bounded: bool
    served: tuple[str, ...] | None = None
    """What its server says it serves; nothing where it does not say, or there is none."""
    context: int | None = None
    """Tokens that it reads and writes at most, where the server says so."""
    tools: bool | None = None
    """Whether it calls tools natively; nothing where that was not asked."""
    images: bool | None = None
    """Whether it looks at images; nothing where that was not asked."""


class ImageRead(_Event):
    """An image of the case was read and brought into the form that is sent."""

    event: Literal["image_read"] = "image_read"
    uri: str
    sha256: str
    """Of the bytes that are sent."""
    original: str
    """SHA-256 of the file as it was."""
    width: int
    height: int
    changes: tuple[str, ...]
    """What was done to it, in words."""
    problems: tuple[str, ...]


class ModelAsked(_Event):
    """A model was sent messages."""

    event: Literal["model_asked"] = "model_asked"
    call: str
    agent: str
    model: str
    answer: str
    """Name of the schema asked for."""
    rollout: int
    attempt: int
    messages: tuple[dict[str, Any], ...]
    request: str | None = None
    """Key of the request; rollouts that were asked for in one have the same."""
    options: dict[str, Any] | None = None
    """What shapes the answer; schemas and tools by the name of their content."""


class ModelAnswered(_Event):
    """A model answered."""

    event: Literal["model_answered"] = "model_answered"
    call: str
    text: str
    served_by: str | None = None
    """What the server says it served."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    seconds: float
    origin: Origin = Origin.LIVE
    finish: str | None = None
    """Why the answer ended, as the server says it."""
    refusal: str | None = None
    """What the server declares to be a refusal."""
    tool_calls: tuple[dict[str, Any], ...] = ()
    invalid_tool_calls: tuple[dict[str, Any], ...] = ()
    logprobs: tuple[tuple[str, float], ...] | None = None
    """Each token of the answer with its natural log probability, where asked for."""


class AnswerRefused(_Event):
    """An answer was not taken: it did not fit its schema, or the model declined to give one."""

    unnamed: ClassVar[Set[str]] = _Event.unnamed | {"kind", "quote"}
    """Both follow from the answer, and logs written before they were kept have the same names."""

    event: Literal["answer_refused"] = "answer_refused"
    call: str
    agent: str
    fault: str
    final: bool
    """Whether no further repair was asked for, so that it counts as no opinion."""
    kind: AnswerFault | None = None
    """The fault in one word; nothing where it was not sorted."""
    quote: str | None = None
    """How a refusal by the model begins."""


class ToolCalled(_Event):
    """An agent used a tool."""

    event: Literal["tool_called"] = "tool_called"
    call: str
    agent: str
    tool: str
    arguments: dict[str, Any]


class ToolReturned(_Event):
    """A tool answered, or said why not."""

    event: Literal["tool_returned"] = "tool_returned"
    call: str
    text: str
    sources: tuple[str, ...] = ()
    """Ids of the sources it brought."""
    error: str | None = None


class FhirExchanged(_Event):
    """A FHIR server was sent a request, all attempts taken together, and answered or did not."""

    event: Literal["fhir_exchanged"] = "fhir_exchanged"
    method: str
    url: str
    body: str | None
    """As it was sent."""
    status: int | None
    headers: dict[str, str]
    """Those of the answer that say something about a resource."""
    answer: str | None
    """Body of the answer as JSON."""
    fault: str | None = None
    """Why there was no answer that could be used."""
    may_be_done: bool = False
    """A write of which nobody knows whether the server has done it."""


class TriageGiven(_Event):
    """The case was sorted."""

    event: Literal["triage_given"] = "triage_given"
    triage: Triage
    routed: tuple[str, ...]
    """Specialties that will be asked, after the routing policy."""


class PlanMade(_Event):
    """It was decided what to establish."""

    event: Literal["plan_made"] = "plan_made"
    indicators: tuple[dict[str, Any], ...]


class OpinionGiven(_Event):
    """An agent gave an opinion, or none that could be read."""

    event: Literal["opinion_given"] = "opinion_given"
    agent: str
    rollout: int
    opinion: dict[str, Any] | None
    cluster: str | None = None
    """What its leading diagnosis means: id of the condition, or the words where the knowledge has none."""
    tokens: tuple[float, ...] | None = None
    """Natural log probabilities of the tokens that name the diagnosis, where asked for."""


class RolloutsEnded(_Event):
    """An agent was asked for no more opinions."""

    event: Literal["rollouts_ended"] = "rollouts_ended"
    agent: str
    asked: int
    because: str
    """`settled`, `decided`, `maximum`, or why there could be no more."""
    holds: float
    """Probability that the leading answer would lead after all that could have been asked."""


class GatheringChosen(_Event):
    """The case was not settled and more was looked for."""

    event: Literal["gathering_chosen"] = "gathering_chosen"
    round: int
    because: str
    action: str
    found: int
    """New sources that it brought."""


class UncertaintyMeasured(_Event):
    """The parts of the uncertainty were computed."""

    event: Literal["uncertainty_measured"] = "uncertainty_measured"
    answer: str | None
    uncertainty: Uncertainty


class Suspended(_Event):
    """A person was asked."""

    event: Literal["suspended"] = "suspended"
    question: dict[str, Any]


class DecisionMade(_Event):
    """The consult came to an end."""

    event: Literal["decision_made"] = "decision_made"
    decision: Decision


class RunEnded(_Event):
    """The run is over."""

    event: Literal["run_ended"] = "run_ended"
    outcome: Outcome
    error: str | None = None


Event = Annotated[
    RunStarted
    | CardNamed
    | Resumed
    | SpanStarted
    | SpanEnded
    | RecordRead
    | EvidenceAdded
    | ModelReached
    | ImageRead
    | ModelAsked
    | ModelAnswered
    | AnswerRefused
    | ToolCalled
    | ToolReturned
    | FhirExchanged
    | TriageGiven
    | PlanMade
    | OpinionGiven
    | RolloutsEnded
    | GatheringChosen
    | UncertaintyMeasured
    | Suspended
    | DecisionMade
    | RunEnded,
    Field(discriminator="event"),
]
EVENT: TypeAdapter[Event] = TypeAdapter(Event)
"""Validates an event from JSON or a mapping."""
