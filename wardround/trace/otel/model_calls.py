"""The span of a model call: what was asked for, of what, and what came back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from wardround.trace.events import ModelAnswered, ModelAsked, Origin
from wardround.trace.otel.messages import answered, as_gen_ai, as_openinference, asked, hidden_input, hidden_output
from wardround.trace.otel.names import GenAi, OpenInference, Ours
from wardround.trace.otel.privacy import Privacy
from wardround.trace.otel.stretches import Log, Stretch
from wardround.trace.otel.values import Side, Value

_SERVED = frozenset(("vllm", "openai"))
"""Kinds of model that are reached over the network."""
_PROVIDERS = {"reference": "wardround", "hf": "huggingface", "scripted": "wardround", "replay": "wardround"}
_RECORDED = frozenset(("scripted", "replay"))
_PRICED = 1_000_000
"""Tokens that a price is for."""
_REQUEST: Mapping[str, GenAi] = {
    "temperature": GenAi.REQUEST_TEMPERATURE,
    "top_p": GenAi.REQUEST_TOP_P,
    "top_k": GenAi.REQUEST_TOP_K,
    "max_tokens": GenAi.REQUEST_MAX_TOKENS,
    "frequency_penalty": GenAi.REQUEST_FREQUENCY_PENALTY,
    "presence_penalty": GenAi.REQUEST_PRESENCE_PENALTY,
    "stop": GenAi.REQUEST_STOP,
    "seed": GenAi.REQUEST_SEED,
}
"""Options of a call that have a standard name."""


def provider_of(spec: str) -> str:
    """Return who provides the model that a spec names.

    >>> provider_of("vllm:google/medgemma-27b-it"), provider_of("reference")
    ('vllm', 'wardround')
    """
    kind = spec.partition(":")[0]
    return _PROVIDERS.get(kind, kind)


def model_of(spec: str) -> str:
    """Return the name of the model that a spec names; of a path on this machine, the last part alone.

    A script and a replayed run are named by what may tell of a patient, and are no models.

    >>> model_of("vllm:google/medgemma-27b-it"), model_of("hf:/home/me/medgemma-4b"), model_of("replay:mrs-smith")
    ('google/medgemma-27b-it', 'medgemma-4b', 'replay')
    """
    kind, _, name = spec.partition(":")
    if not name or kind in _RECORDED:
        return kind
    is_path = name.startswith(("/", "~", ".")) or "\\" in name
    return PurePath(name.replace("\\", "/")).name if is_path else name


def requested_model(log: Log, stretch: Stretch) -> str:
    """Return the name of the model that a call was for."""
    return model_of(next((event.model for event in stretch.of(ModelAsked)), log.started.model))


def cost(log: Log, stretch: Stretch) -> dict[str, Value]:
    """Return what a call cost by the prices of the run, in their currency; nothing where either is not known."""
    prices, tokens = log.started.settings.get("prices"), _tokens(stretch.of(ModelAnswered))
    read, written = tokens.get(GenAi.INPUT_TOKENS), tokens.get(GenAi.OUTPUT_TOKENS)
    if not isinstance(prices, Mapping) or not isinstance(read, int) or not isinstance(written, int):
        return {}
    return {Ours.COST: (prices["input"] * read + prices["output"] * written) / _PRICED}


def side_of(stretch: Stretch) -> Side:
    """Return whether a call went to another process; what a log or a cache answered went nowhere."""
    asked_of = stretch.of(ModelAsked)
    is_served = bool(asked_of) and asked_of[0].model.partition(":")[0] in _SERVED
    origins = {event.origin for event in stretch.of(ModelAnswered)}
    return Side.CLIENT if is_served and origins <= {Origin.LIVE} else Side.INTERNAL


def call_attributes(stretch: Stretch, privacy: Privacy) -> dict[str, Value]:
    """Return what is to be said of a model call that several rollouts may share."""
    questions, answers = stretch.of(ModelAsked), stretch.of(ModelAnswered)
    if not questions:
        return {}
    first = questions[0]
    return {
        **_asked(questions, first),
        **_options(first.options or {}, len(questions)),
        **_answered(answers),
        **_tokens(answers),
        **_words(first, answers, privacy),
    }


def _asked(questions: Sequence[ModelAsked], first: ModelAsked) -> dict[str, Value]:
    provider, model = provider_of(first.model), model_of(first.model)
    return {
        GenAi.PROVIDER: provider,
        GenAi.REQUEST_MODEL: model,
        GenAi.AGENT_NAME: first.agent,
        OpenInference.PROVIDER: provider,
        OpenInference.SYSTEM: provider,
        OpenInference.MODEL: model,
        OpenInference.REQUEST_MODEL: model,
        Ours.MODEL_KIND: first.model.partition(":")[0],
        Ours.CALLS: [question.call for question in questions],
        Ours.SCHEMA: first.answer,
        Ours.ROLLOUTS: [question.rollout for question in questions],
        Ours.ATTEMPT: first.attempt,
    }


def _options(options: Mapping[str, Any], choices: int) -> dict[str, Value]:
    named: dict[str, Value] = {}
    for option, value in options.items():
        name = _REQUEST.get(option)
        if name is GenAi.REQUEST_STOP:
            named[name] = [value] if isinstance(value, str) else [str(v) for v in value]
        elif name is not None and isinstance(value, int | float):
            named[name] = value
    if choices > 1:
        named[GenAi.REQUEST_CHOICES] = choices
    if "response_format" in options or "structured_outputs" in options:
        named[GenAi.OUTPUT_TYPE] = "json"
    told = {option: value for option, value in options.items() if option != "stop"}  # words, which are content
    return {**named, OpenInference.INVOCATION: json.dumps(told, sort_keys=True, default=str)}


def _answered(answers: Sequence[ModelAnswered]) -> dict[str, Value]:
    told: dict[str, Value] = {}
    served = [answer.served_by for answer in answers if answer.served_by is not None]
    if served:
        told |= {GenAi.RESPONSE_MODEL: served[0], OpenInference.RESPONSE_MODEL: served[0]}
    reasons = [answer.finish for answer in answers if answer.finish is not None]
    if reasons and len(reasons) == len(answers):
        told |= {GenAi.FINISH_REASONS: reasons, OpenInference.FINISH_REASON: reasons[0]}
    if answers:
        told[Ours.ORIGIN] = answers[0].origin.value
    return told


def _tokens(answers: Sequence[ModelAnswered]) -> dict[str, Value]:
    """Return what a call used; what was answered from the log of the same run had been used before."""
    counted = [answer for answer in answers if answer.origin is not Origin.LOG]
    read = _sum(answer.input_tokens for answer in counted)
    written = _sum(answer.output_tokens for answer in counted)
    told: dict[str, Value] = {}
    if read is not None:
        told |= {GenAi.INPUT_TOKENS: read, OpenInference.PROMPT_TOKENS: read}
    if written is not None:
        told |= {GenAi.OUTPUT_TOKENS: written, OpenInference.COMPLETION_TOKENS: written}
    if read is not None and written is not None:
        told[OpenInference.TOTAL_TOKENS] = read + written
    return told


def _sum(counts: Iterable[int | None]) -> int | None:
    """Return a sum, or nothing where nobody counted: unknown is not none."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _words(first: ModelAsked, answers: Sequence[ModelAnswered], privacy: Privacy) -> dict[str, Value]:
    said = hidden_input(asked(first.messages), privacy)
    heard = hidden_output(answered(answers), privacy)
    told: dict[str, Value] = {
        GenAi.INPUT_MESSAGES: as_gen_ai(said),
        **as_openinference(OpenInference.INPUT_MESSAGES, said),
    }
    if heard:
        told |= {
            GenAi.OUTPUT_MESSAGES: as_gen_ai(heard),
            **as_openinference(OpenInference.OUTPUT_MESSAGES, heard),
        }
    return told
