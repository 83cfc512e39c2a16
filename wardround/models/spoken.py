"""What a model says in an answer: its objects and its prose, without its thinking and without what tools told it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from wardround.trace.events import AnswerFault

MAX_OBJECTS = 1000
"""How many objects of an answer are looked at, those in thinking included; one with more is a runaway."""

MAX_DEPTH = 100
"""How deep an object may be nested."""

_TAGS = (
    "think",
    "thinking",
    "thought",
    "thoughts",
    "reasoning",
    "reflection",
    "scratchpad",
    "seed:think",
    # What a tool is made to say is not the model's own word.
    "tool_response",
    "tool_result",
    "function_response",
    "function_results",
)


class _Aside(NamedTuple):
    """How a stretch that is not the answer begins and ends, as regular expressions."""

    opens: str
    closes: str
    ends_alone: str
    """A close that may stand without its opening, which was then part of the prompt."""


_ASIDES = (
    *(_Aside(rf"(?i:<{tag}(?:\s[^<>]{{0,100}})?>)", *[rf"(?i:</{tag}\s{{0,9}}>)"] * 2) for tag in _TAGS),
    # Kimi: ◁think▷ ... ◁/think▷
    _Aside("◁think▷", "◁/think▷", "◁/think▷"),
    # Magistral: [THINK] ... [/THINK]
    _Aside(r"\[THINK\]", r"\[/THINK\]", r"\[/THINK\]"),
    # MedGemma 1.5: <unused94>thought ... <unused95>
    _Aside("<unused94>", "<unused95>", "<unused95>"),
    # Gemma 4: <|channel>thought ... <channel|>
    _Aside(r"<\|channel>", r"<channel\|>", r"<channel\|>"),
    # OpenThinker: <|begin_of_thought|> ... <|end_of_thought|>
    _Aside(r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>", r"<\|end_of_thought\|>"),
    # Command A Reasoning: <|START_THINKING|> ... <|END_THINKING|>
    _Aside(r"<\|START_THINKING\|>", r"<\|END_THINKING\|>", r"<\|END_THINKING\|>"),
    # gpt-oss: <|channel|>analysis<|message|> ... <|end|> ... <|channel|>final<|message|>
    _Aside(
        r"<\|channel\|>\s*(?:analysis|commentary)",
        r"<\|end\|>|<\|call\|>|<\|channel\|>\s*final\s*<\|message\|>",
        r"<\|channel\|>\s*final\s*<\|message\|>",
    ),
    # The same where the server leaves out the special tokens: analysisWe need ... assistantfinal
    _Aside(r"\Aanalysis(?=[A-Z])", "assistantfinal", "assistantfinal"),
)

_LABEL = r"^[ \t>#*_]{0,12}"
_LABEL_END = r"(?:[*_ \t]{0,6}[:：][*_]{0,3}|[*_ \t]{0,6}$)"
# "Reasoning:" ... "Answer:"; HuatuoGPT-o1: ## Thinking ... ## Final Response; Granite: Here is my thought process: ...
_REASONS = (
    rf"(?im:{_LABEL}(?:reasoning|thinking|(?:here is my )?thought process|chain of thought|analysis){_LABEL_END})"
)
_LABELLED = re.compile(_REASONS)
_ANSWERS = re.compile(
    rf"{_LABEL}(?:(?:here is )?(?:my |the )?(?:final )?(?:answer|response|output)|json){_LABEL_END}",
    re.IGNORECASE | re.MULTILINE,
)

_MARK = re.compile(
    r"(?P<brace>[{｛])"
    + "".join(f"|(?P<opens{i}>{aside.opens})" for i, aside in enumerate(_ASIDES))
    + "|(?P<ends>"
    + "|".join(aside.ends_alone for aside in _ASIDES)
    + f")|(?P<reasons>{_REASONS})"
)
_CLOSES = tuple(re.compile(aside.closes) for aside in _ASIDES)

_MARKS_BEGIN = re.compile(r"\{(?!\{)|｛|◁|\[|<(?=[/|\w])")
"""How marks begin, except those made of words. A text is gone through faster by these."""

_OBJECT = re.compile(r"\{\s*[\"}]")
_ATTEMPT = re.compile(r"[{｛]\s*(?:`(?!``)|[\"'“”„‘’«\\]|//|/\*|#|&quot;|&#|[\w-]{1,60}\s*[:：]|\Z)")
"""A brace that opens an object, well written or not. Any other is prose."""
_GOES_ON = re.compile(
    r"[\s}\]]{0,200}(?:,\s{0,200})?[\"'][^\"'\n]{0,80}[\"']\s{0,20}:"
    r"|[^\n{]*?\"\s{0,20}:"
)
"""More keys, or the rest of one, behind the closing brace of an object, which was closed too early."""
_CONTROL_TOKEN = re.compile(r"<[/|｜]?[^<>\s]{1,40}>")
"""A tag, or a token such as `<|im_end|>` that a server should have taken off."""
_WRAPPING_UP = re.compile(r"[\s`~]*(?:</?[^<>\s]{1,40}>[\s`~]*){0,5}\Z")


class Fault(NamedTuple):
    """What is wrong with an answer."""

    kind: AnswerFault
    what: str
    """In a sentence that can be shown to the model."""


@dataclass(frozen=True)
class Spoken:
    """What a text says outside of thinking."""

    objects: tuple[dict[str, Any], ...]
    """The complete JSON objects, outermost only, in their order."""
    prose: str
    """What stands around them, tags left out."""
    broken: Fault | None
    """What is wrong with the first object that is no JSON; what stands behind it is not looked for."""
    is_thinking: bool
    """Whether there was thinking."""


@dataclass
class _Heard:
    objects: list[dict[str, Any]] = field(default_factory=list)
    prose: list[str] = field(default_factory=list)
    broken: Fault | None = None
    begun: int = 0
    is_thinking: bool = False
    is_past_answers: bool = False

    def forget(self) -> None:
        """Take what was heard so far for thinking."""
        self.objects, self.prose, self.broken, self.is_thinking = [], [], None, True


class _GivenTwice(ValueError):
    """A key with two values."""


def listen(text: str) -> Spoken:
    """Return the objects and the prose of a text, each where it stands outside of thinking.

    A mark of thinking inside a string of an object is a part of that string. Thinking that is not closed
    goes on to the end. A close without its opening makes thinking of all that stands before it. The time
    is linear in the length of the text.
    """
    heard = _Heard()
    find = _MARK.search if _has_worded_marks(text) else _mark_of_a_sign
    at = 0
    while (mark := find(text, at)) is not None:
        heard.prose.append(text[at : mark.start()])
        at = _after(text, mark, heard)
    heard.prose.append(text[at:])
    prose = _CONTROL_TOKEN.sub(" ", " ".join(heard.prose))
    return Spoken(tuple(heard.objects), prose, heard.broken, heard.is_thinking)


def _has_worded_marks(text: str) -> bool:
    return "assistantfinal" in text or text.startswith("analysis") or _LABELLED.search(text) is not None


def _mark_of_a_sign(text: str, at: int) -> re.Match[str] | None:
    while (begin := _MARKS_BEGIN.search(text, at)) is not None:
        mark = _MARK.match(text, begin.start())
        if mark is not None:
            return mark
        at = begin.end()
    return None


def _after(text: str, mark: re.Match[str], heard: _Heard) -> int:
    """Take in what begins at a mark, and return where it ends."""
    match mark.lastgroup:
        case "brace":
            return _take_object(text, mark.start(), heard)
        case "ends":
            heard.forget()
            return mark.end()
        case "reasons":
            return _past_reasoning(text, mark, heard)
        case name:
            heard.is_thinking = True
            end = _CLOSES[int(str(name).removeprefix("opens"))].search(text, mark.end())
            return len(text) if end is None else end.end()


def _past_reasoning(text: str, mark: re.Match[str], heard: _Heard) -> int:
    """Pass over labelled reasoning where a labelled answer follows; otherwise the label is prose."""
    answers = None if heard.is_past_answers else _ANSWERS.search(text, mark.end())
    if answers is None:
        heard.is_past_answers = True
        heard.prose.append(mark[0])
        return mark.end()
    heard.is_thinking = True
    return answers.end()


def _take_object(text: str, at: int, heard: _Heard) -> int:
    """Take in the object at a brace, and return where it ends; a brace that opens none is prose."""
    if heard.broken is not None or not (_OBJECT.match(text, at) or _ATTEMPT.match(text, at)):
        return at + 1
    heard.begun += 1
    if heard.begun > MAX_OBJECTS:
        what = f"the answer has more than {MAX_OBJECTS} objects; give one"
        heard.broken = Fault(AnswerFault.TOO_LONG, what)
        return at + 1
    try:
        value, end = _DECODER.raw_decode(text, at)
    except RecursionError:
        heard.broken = _TOO_DEEP
        return at + 1
    except ValueError as error:
        heard.broken = _syntax(error, text)
        return at + 1
    if _is_deep(value):
        heard.broken = _TOO_DEEP
    elif _GOES_ON.match(text, end):
        heard.broken = Fault(AnswerFault.NOT_JSON, "the object is not JSON: more of it stands behind its closing brace")
    else:
        heard.objects.append(value)
    return end


def _syntax(error: ValueError, text: str) -> Fault:
    if isinstance(error, _GivenTwice):
        return Fault(AnswerFault.CONTRADICTORY, f"the object is not JSON: {error}")
    if not isinstance(error, json.JSONDecodeError):
        return Fault(AnswerFault.NOT_JSON, f"the object is not JSON: {error}")
    if error.msg.startswith("Unterminated string") or _WRAPPING_UP.match(text, error.pos):
        return Fault(AnswerFault.CUT_OFF, "the answer holds a JSON object that does not end: it was cut off")
    what = f"the object is not JSON: {error.msg} at {text[error.pos : error.pos + 20]!r}"
    return Fault(AnswerFault.NOT_JSON, what)


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def _one_value_a_key(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, given in pairs:
        # as JSON, because 1 and true are equal in Python
        if key in value and json.dumps(value[key]) != json.dumps(given):
            raise _GivenTwice(f"{key[:40]!r} is given twice")
        value[key] = given
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_TOO_DEEP = Fault(AnswerFault.TOO_DEEP, "the object is nested too deep")
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_one_value_a_key)
