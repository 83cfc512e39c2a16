"""Malformed answers of every kind, made from a valid one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b

from pydantic import BaseModel

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
from wardround.testing.malformed import damaged, unanswered, wrapped
from wardround.testing.malformed.source import Made, Reading, Source


class Malformation(StrEnum):
    """What is the matter with an answer. Each is made by the function that says more of it."""

    LAYOUT = "layout"
    PROSE = "prose"
    FENCE = "fence"
    END_MARK = "end mark"
    INVISIBLE_MARK = "invisible mark"
    THINKING = "thinking"
    THINKING_ALONE = "thinking alone"
    REPEATED = "repeated"
    CONTRADICTORY = "contradictory"
    NESTED = "nested"
    SCHEMA_ECHO = "schema echo"
    TOOL_CALL = "tool call"
    TRUNCATED = "truncated"
    FUZZED = "fuzzed"
    OTHER_TYPE = "other type"
    MISSING_KEY = "missing key"
    MISWRITTEN_KEY = "miswritten key"
    EXTRA_KEY = "extra key"
    DUPLICATE_KEY = "duplicate key"
    NO_NUMBER = "no number"
    PROBABILITY = "probability in words"
    OTHER_NUMBERS = "sums not 1"
    UNKNOWN_ID = "unknown id"
    NEGATION = "negation"
    NOTATION = "other notation"
    SURROGATE = "lone surrogate"
    CONTROL = "control character"
    DIRECTION = "direction mark"
    NOTHING = "nothing"
    WORDS = "words alone"
    OTHER_LANGUAGE = "other language"
    REFUSAL = "refusal"
    REFUSAL_AROUND = "refusal around an answer"
    REFUSAL_THOUGHT = "refusal in thought"
    ENORMOUS = "enormous"
    DEEP = "deep"


_WAYS: dict[Malformation, Callable[[Source], Iterator[Made]]] = {
    Malformation.LAYOUT: wrapped.layouts,
    Malformation.PROSE: wrapped.prose,
    Malformation.FENCE: wrapped.fences,
    Malformation.END_MARK: wrapped.ends,
    Malformation.INVISIBLE_MARK: wrapped.marks,
    Malformation.THINKING: wrapped.thinking,
    Malformation.THINKING_ALONE: wrapped.thinking_alone,
    Malformation.REPEATED: wrapped.repeated,
    Malformation.CONTRADICTORY: wrapped.contradictory,
    Malformation.NESTED: wrapped.nested,
    Malformation.SCHEMA_ECHO: wrapped.schema_echoes,
    Malformation.TOOL_CALL: wrapped.tool_calls,
    Malformation.TRUNCATED: damaged.truncated,
    Malformation.FUZZED: damaged.fuzzed,
    Malformation.OTHER_TYPE: damaged.other_types,
    Malformation.MISSING_KEY: damaged.missing,
    Malformation.MISWRITTEN_KEY: damaged.miswritten_keys,
    Malformation.EXTRA_KEY: damaged.extra_keys,
    Malformation.DUPLICATE_KEY: damaged.duplicate_keys,
    Malformation.NO_NUMBER: damaged.no_numbers,
    Malformation.PROBABILITY: damaged.probabilities,
    Malformation.OTHER_NUMBERS: damaged.other_numbers,
    Malformation.UNKNOWN_ID: damaged.unknown_ids,
    Malformation.NEGATION: damaged.negations,
    Malformation.NOTATION: damaged.notations,
    Malformation.SURROGATE: damaged.surrogates,
    Malformation.CONTROL: damaged.controls,
    Malformation.DIRECTION: damaged.directions,
    Malformation.NOTHING: unanswered.nothing,
    Malformation.WORDS: unanswered.words,
    Malformation.OTHER_LANGUAGE: unanswered.other_languages,
    Malformation.REFUSAL: unanswered.refusals,
    Malformation.REFUSAL_AROUND: unanswered.refusals_around,
    Malformation.REFUSAL_THOUGHT: unanswered.refusals_thought,
    Malformation.ENORMOUS: unanswered.enormous,
    Malformation.DEEP: unanswered.deep,
}

EXAMPLES: tuple[BaseModel, ...] = (
    TriageAnswer(urgency="urgent", specialties=["cardiology", "surgery"], reasons=["Chest pain for two hours."]),
    PlanAnswer(indicators=[PlannedIndicator(indicator="troponin", why="To tell infarction from angina.")]),
    ToolChoice(tool="guideline", argument="acute appendicitis", why="The criteria are in it."),
    SpecialistAnswer(
        leading="pneumonia",
        confidence=0.7,
        differential=[
            WeightedDiagnosis(diagnosis="pneumonia", probability=0.7),
            WeightedDiagnosis(diagnosis="pulmonary embolism", probability=0.2),
        ],
        claims=[StatedClaim(text="There is a new infiltrate.", evidence=["src_1", "src_2"])],
        missing=["D-dimer"],
    ),
    AttendingAnswer(
        diagnosis="pneumonia",
        argument=[StatedClaim(text="CRP is 160 mg/L.", evidence=["src_3"])],
        overrules=True,
        overrule_reason="The infiltrate is new.",
    ),
)
"""A valid answer of every shape that a consult asks for."""


@dataclass(frozen=True)
class MalformedAnswer:
    """A malformed answer, and what may be made of it."""

    kind: Malformation
    text: str
    reading: Reading
    states: BaseModel | None
    """What is stated; nothing where no answer is."""


def malformed_answers(
    answer: BaseModel, *, kinds: Iterable[Malformation] = tuple(Malformation), seed: int = 0
) -> Iterator[MalformedAnswer]:
    """Yield malformed answers, no two the same: of all kinds together several thousand, kind by kind.

    The enormous ones have ten million characters each; take them one at a time.

    Args:
        answer: A valid one.
        kinds: What is to be the matter with them.
        seed: For the damage that is done by chance; the same seed gives the same answers.

    Raises:
        ValueError: The answer does not survive JSON, or holds nothing that could be another.
    """
    source = Source(answer, seed)
    seen: set[bytes] = set()
    for kind in kinds:
        for made in _WAYS[kind](source):
            name = blake2b(made.text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
            if made.text != source.text and name not in seen:
                seen.add(name)
                yield MalformedAnswer(kind, made.text, made.reading, made.states)


def misreadings(
    read: Callable[[str], BaseModel | None], answer: BaseModel, *, seed: int = 0
) -> Iterator[tuple[MalformedAnswer, BaseModel | None]]:
    """Yield the malformed answers of which a reader makes what they do not state, with what it makes of them.

    Args:
        read: What is tested: returns the answer that a text holds, or nothing for no opinion. What it raises
            is not caught.
        answer: A valid answer of the shape that it reads.
        seed: For the damage that is done by chance.
    """
    for malformed in malformed_answers(answer, seed=seed):
        value = read(malformed.text)
        is_silent = value is None and malformed.reading is not Reading.STATED
        if not is_silent and (value is None or value != malformed.states):
            yield malformed, value
