"""What of a span may leave the process: everything that is not named here as harmless is content.

Content is off unless it is asked for. Where it is on, the switches of OpenInference hide parts of it again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from wardround.trace.otel.names import GenAi, OpenInference, Ours
from wardround.trace.otel.values import Attributes, SpanValue, Value

REDACTED = "__REDACTED__"
"""Stands for hidden content, so that it can be told from content that is not there."""
PREFIX = "OPENINFERENCE_HIDE_"
_NO = frozenset(("", "0", "false", "no", "off"))


class Hide(StrEnum):
    """The switches that concern what is sent here, each an environment variable behind `OPENINFERENCE_HIDE_`.

    Those for tool definitions, embeddings and the texts of completion models have nothing to hide: no such thing is
    sent. `PROMPTS` and `CHOICES` are read as hiding what a model is told and what it answers all the same.
    """

    INPUTS = "INPUTS"
    OUTPUTS = "OUTPUTS"
    INPUT_MESSAGES = "INPUT_MESSAGES"
    OUTPUT_MESSAGES = "OUTPUT_MESSAGES"
    INPUT_IMAGES = "INPUT_IMAGES"
    INPUT_TEXT = "INPUT_TEXT"
    OUTPUT_TEXT = "OUTPUT_TEXT"
    PROMPTS = "PROMPTS"
    CHOICES = "CHOICES"
    RETRIEVAL_DOCUMENTS = "RETRIEVAL_DOCUMENTS"
    LLM_INVOCATION_PARAMETERS = "LLM_INVOCATION_PARAMETERS"


_IN_MESSAGES = frozenset((Hide.INPUTS, Hide.INPUT_MESSAGES, Hide.PROMPTS))
_OUT_MESSAGES = frozenset((Hide.OUTPUTS, Hide.OUTPUT_MESSAGES, Hide.CHOICES))
IN_TEXT = _IN_MESSAGES | {Hide.INPUT_TEXT}
OUT_TEXT = _OUT_MESSAGES | {Hide.OUTPUT_TEXT}
"""Any of these hides the text of messages to a model, or of its answers."""
IN_IMAGES = _IN_MESSAGES | {Hide.INPUT_IMAGES}

_INVOCATION = frozenset(
    (
        OpenInference.INVOCATION,
        GenAi.REQUEST_TEMPERATURE,
        GenAi.REQUEST_TOP_P,
        GenAi.REQUEST_TOP_K,
        GenAi.REQUEST_MAX_TOKENS,
        GenAi.REQUEST_FREQUENCY_PENALTY,
        GenAi.REQUEST_PRESENCE_PENALTY,
        GenAi.REQUEST_STOP,
        GenAi.REQUEST_SEED,
        GenAi.REQUEST_CHOICES,
    )
)
_CONTENT = frozenset(
    (
        GenAi.SYSTEM_INSTRUCTIONS,
        GenAi.INPUT_MESSAGES,
        GenAi.OUTPUT_MESSAGES,
        GenAi.TOOL_ARGUMENTS,
        GenAi.TOOL_RESULT,
        GenAi.QUERY,
        GenAi.EVALUATION_EXPLANATION,
        GenAi.REQUEST_STOP,
    )
)
_HARMLESS = (
    (frozenset(GenAi) - _CONTENT)
    | frozenset(Ours)
    | {
        OpenInference.KIND,
        OpenInference.SESSION,
        OpenInference.AGENT_NAME,
        OpenInference.NODE_ID,
        OpenInference.NODE_NAME,
        OpenInference.NODE_PARENT,
        OpenInference.METADATA,
        OpenInference.TAGS,
        OpenInference.PROVIDER,
        OpenInference.SYSTEM,
        OpenInference.MODEL,
        OpenInference.REQUEST_MODEL,
        OpenInference.RESPONSE_MODEL,
        OpenInference.INVOCATION,
        OpenInference.FINISH_REASON,
        OpenInference.PROMPT_TOKENS,
        OpenInference.COMPLETION_TOKENS,
        OpenInference.TOTAL_TOKENS,
        OpenInference.TOOL_NAME,
        OpenInference.TOOL_ID,
    }
)
_OF_INPUT = frozenset((OpenInference.INPUT, GenAi.TOOL_ARGUMENTS, GenAi.QUERY))
_MESSAGES = (OpenInference.INPUT_MESSAGES, OpenInference.OUTPUT_MESSAGES, GenAi.INPUT_MESSAGES, GenAi.OUTPUT_MESSAGES)
_OF_KEY: dict[str, frozenset[Hide]] = {
    GenAi.SYSTEM_INSTRUCTIONS: IN_TEXT,
    GenAi.REQUEST_STOP: IN_TEXT,
    OpenInference.INPUT_TYPE: frozenset(),
    OpenInference.OUTPUT_TYPE: frozenset(),
}
_HARMLESS_PATTERN = re.compile(
    r"(trace\.)?(evaluations|annotations)\.\d+\.(evaluation|annotation)\.(name|score|label|annotator_kind|identifier)"
    r"|retrieval\.documents\.\d+\.document\.id"
    r"|wardround\.(uncertainty|verdicts|record\.used|record\.skipped)\.\w+"
)


@dataclass(frozen=True)
class Privacy:
    """What may be sent.

    >>> Privacy().masked({"gen_ai.operation.name": "chat", "input.value": "a headache"})
    {'gen_ai.operation.name': 'chat'}
    """

    content: bool = False
    """Whether messages, arguments, results, documents and explanations are sent at all."""
    hidden: frozenset[Hide] = frozenset()
    """What of them is replaced by `__REDACTED__`."""

    @classmethod
    def from_environment(cls, *, content: bool, environment: Mapping[str, str] | None = None) -> Privacy:
        """Read the switches; one that is set to anything but a plain no hides."""
        given = os.environ if environment is None else environment
        hidden = frozenset(s for s in Hide if given.get(f"{PREFIX}{s.value}", "").strip().lower() not in _NO)
        return cls(content=content, hidden=hidden)

    @property
    def policy(self) -> str:
        """Name of what is held back, for the reader of a trace."""
        base = "content" if self.content else "no-content"
        return "+".join([base, *sorted(f"hide-{s.value.lower()}" for s in self.hidden)])

    def hides(self, switches: frozenset[Hide]) -> bool:
        """Whether any of these switches is set."""
        return bool(self.hidden & switches)

    def masked(self, attributes: Attributes) -> dict[str, Value]:
        """Return the attributes that may be sent, as they may be sent."""
        shown = ((str(key), self._masked(key, value)) for key, value in attributes.items())
        return {key: value for key, value in shown if value is not None}

    def apply(self, span: SpanValue) -> SpanValue:
        """Return a span as it may be sent."""
        return replace(
            span,
            attributes=self.masked(span.attributes),
            events=tuple(replace(event, attributes=self.masked(event.attributes)) for event in span.events),
            message=(REDACTED if Hide.OUTPUTS in self.hidden else span.message) if self.content else "",
        )

    def _masked(self, key: str, value: Value) -> Value | None:
        if key in _INVOCATION and Hide.LLM_INVOCATION_PARAMETERS in self.hidden:
            return REDACTED if key == OpenInference.INVOCATION else None  # the others are numbers
        if key in _HARMLESS or _HARMLESS_PATTERN.fullmatch(key):
            return value
        if not self.content:
            return None
        return REDACTED if self.hides(_switches(key)) else value


def _switches(key: str) -> frozenset[Hide]:
    """Return what hides an attribute as a whole; messages have had their texts hidden one by one before."""
    if key.startswith(f"{OpenInference.DOCUMENTS}."):
        return frozenset((Hide.OUTPUTS, Hide.RETRIEVAL_DOCUMENTS))
    if key in _OF_INPUT:
        return frozenset((Hide.INPUTS,))
    if key.startswith(_MESSAGES):
        return frozenset()
    return _OF_KEY.get(key, frozenset((Hide.OUTPUTS,)))
