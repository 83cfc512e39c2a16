"""Sentences taken apart: under which condition, to do what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from wardround.models.clerk.wording import POLITE

_VERBS: tuple[tuple[str, str], ...] = (
    (
        "record",
        r"record|document|enter|chart|log|write down|note down|put (?=.*\b(?:in|into|on) the (?:chart|record|"
        r"flowsheet|file))|add (?=.*\bto (?:the |his |her |their )?(?:chart|"
        r"flowsheet|record))",
    ),
    ("mark", r"mark|flag|void|strike|invalidate"),
    ("correct", r"correct|fix|amend|rectify|change|update|edit"),
    ("cancel", r"cancel|revoke|withdraw"),
    ("stop", r"stop|discontinue|take (?=.*\boff\b)"),
    ("refer", r"refer|consult|send (?=(?:the patient|him|her)\b.*\bto\b)"),
    ("replace", r"replace|replete|supplement|substitute"),
    (
        "give",
        r"prescribe|start|write up|give(?!\s+(?:me|us)\b)(?=.*\b(?:\d+(?:\.\d+)?\s*(?:mg|mcg|g|mEq|mmol|"
        r"units?|mL|tablets?)\b|"
        r"replacement|repletion|supplement|medication|infusion|tablets?|doses?|IV|PO|orally|by mouth)\b)|"
        r"administer|initiate|dispense",
    ),
    (
        "repeat",
        r"recheck|re-check|repeat|remeasure|re-measure|redraw|measure|check (?:it )?again|draw|obtain|"
        r"get (?=.*\b(?:level|lab|test)\b)",
    ),
    (
        "beyond",
        r"delete|remove|erase|call|phone|notify|inform|alert|page|fax|e-?mail|message|transfer|admit|discharge|sign|approve|merge|print|upload",
    ),
    ("pair", r"pair|accompany|combine"),
    (
        "order",
        r"order|reorder|write (?=.*\b(?:referral|order|prescription|request)\b)|request|place|put in|create|"
        r"submit|arrange|schedule|book|send|make (?=.*\b(?:referral|"
        r"order|request)\b)",
    ),
)
_VERB = "|".join(said for _, said in _VERBS)
_NOT = r"(?P<not>(?:do not|don't|never|no need to|should not|must not|not|refrain from|avoid)\s+)?"
_ACT = re.compile(rf"^{POLITE}{_NOT}(?P<verb>{_VERB})\b\s*(?P<rest>.*)$", re.IGNORECASE | re.DOTALL)
_DONE = {
    "ordered": "order", "requested": "order", "placed": "order", "scheduled": "order", "prescribed": "give",
    "given": "give", "started": "give", "administered": "give", "replaced": "replace", "repleted": "replace",
    "supplemented": "replace",
    "recorded": "record", "documented": "record", "entered": "record", "referred": "refer", "repeated": "repeat",
    "rechecked": "repeat", "cancelled": "cancel", "canceled": "cancel", "stopped": "stop", "discontinued": "stop",
    "corrected": "correct", "amended": "correct", "changed": "correct", "marked": "mark",
}  # fmt: skip
_PASSIVE = re.compile(
    rf"^(?P<object>.+?)\s+(?:should|must|needs? to|has to|have to|is to|are to|shall|"
    rf"ought to)\s+(?P<not>not\s+)?be\s+(?P<done>{'|'.join(_DONE)})\b(?P<rest>.*)$",
    re.IGNORECASE,
)
_NEEDS = re.compile(
    r"^(?:(?:the|this|my) patient|he|she|they)\s+(?:needs?|requires?|should (?:get|receive|"
    r"have))\s+(?P<rest>(?!to\b).+)$",
    re.IGNORECASE,
)
_STOPS = re.compile(
    r"^(?:the patient|he|she|they)\s+(?:should|must|is to|has to)\s+(?:not (?:go on with|continue|take|have)|"
    r"stop|come off)\s+"
    r"(?P<rest>.+)$",
    re.IGNORECASE,
)
_LIKES = re.compile(
    r"^(?:i|we)(?:'d| would)?\s+(?:want|like|need)\s+(?:to have\s+)?(?P<rest>(?:an?|another|one)\s+.+)$", re.IGNORECASE
)
_WANTS_SEEN = re.compile(
    r"^(?:i|we)(?:'d| would)?\s+(?:want|like|need)\s+(?P<who>.+?)\s+to\s+(?:see|review|assess|"
    r"take over)\s+(?P<rest>.+)$",
    re.IGNORECASE,
)
_IF = (
    r"(?:only\s+)?(?P<if>if and only if|if|when(?!\s+(?:was|were|did|(?:it|they|this|that)\s+(?:was|were)))|"
    r"whenever|in case|provided that|provided|unless|where(?=\s+(?:needed|necessary|required|indicated|it is)))\b"
)
_STARTS_ACT = (
    rf"{POLITE}(?:(?:do not|don't|never|no need to)\s+)?(?:{_VERB}|do nothing|answer|return|report|say|finish|"
    rf"respond|reply)\b"
)
_NO_NOUN = "".join(
    rf"(?<!\b{word})" for word in ("the", "a", "an", "this", "his", "her", "no", "new", "last", "intent", "any")
)
"""Behind these `order` and `record` are nouns."""
_FIRST_IF = _IF.replace("unless", "unless|should")
_LEADING = re.compile(
    rf"^(?:and\s+|but\s+|so\s+|also[,\s]+|then\s+|otherwise[,\s]+)?{_FIRST_IF},?\s+(?P<condition>.+?)"
    rf"(?:\s*,\s*(?:then\s+)?|\s+then[,\s]+|\s*:\s*|{_NO_NOUN}\s+(?={_STARTS_ACT}))(?P<act>.+)$",
    re.IGNORECASE,
)
_TRAILING = re.compile(rf"^(?P<act>.+?)\s*,?\s*\b{_IF}\s+(?P<condition>.+)$", re.IGNORECASE)
_MIDDLE = re.compile(rf"^(?P<before>.+?)(?:,|\s*[-–:])?\s+(?:and|but|then)?,?\s*(?P<tail>{_IF}.*)$", re.IGNORECASE)
_AND = re.compile(
    rf"\s*,?\s*\b(?:and|then|as well as)\b\s*,?\s*(?=(?:also\s+|then\s+)?(?:{_VERB})\b)|\s*,\s*(?=(?:{_VERB})\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Clause:
    """Something to do, and when."""

    verb: str
    """Its group, such as `order`; `beyond` for what is no act on a record, `otherwise` for the other case."""
    said: str
    """The verb itself."""
    object: str
    """What is to be done something with, and all that is said of it."""
    condition: str | None = None
    is_unless: bool = False
    is_negated: bool = False
    """Whether it is not to be done."""
    refers_back: bool = False
    """Whether it is to be done in the case that was spoken of before."""
    goes_with: bool = False
    """Whether it is to be done together with what was spoken of before."""


def clauses_of(sentence: str) -> Iterator[Clause]:
    """Give what a sentence says is to be done; nothing for one that says no such thing.

    >>> [(c.verb, c.object, c.condition) for c in clauses_of("If low, replace it and measure again the next day")]
    [('replace', 'it', 'low'), ('repeat', 'again the next day', 'low')]
    """
    text = _HEADING.sub("", sentence.strip(" ,."))
    joined = _WITH.match(text)
    if joined is not None:
        for clause in _clauses(text[joined.end() :], None, False, 0):
            yield replace(clause, goes_with=True)
        return
    back = _BACK.match(text)
    kept, *others = _ELSE.split(text, maxsplit=1)
    for clause in _clauses(kept if back is None else text[back.end() :], None, False, 0):
        yield replace(clause, refers_back=back is not None)
    for other in others:
        yield from (replace(clause, verb="otherwise") for clause in _clauses(other.strip(" ,."), None, False, 0))


_HEADING = re.compile(r"^(?:rule|scheme|protocol|policy)\b[^:.]{0,80}:\s*", re.IGNORECASE)
_WITH = re.compile(r"^(?:together |along )?with (?:it|this|that)\b[,\s]*", re.IGNORECASE)
_BACK = re.compile(r"^(?:in (?:that|this|such a) case|then)\b[,\s]*", re.IGNORECASE)
_ELSE = re.compile(r"(?:^|[,;\s])(?:otherwise|or else|else|if not(?=\s*[,:]))\b[,\s]*", re.IGNORECASE)


def _clauses(text: str, condition: str | None, is_unless: bool, depth: int) -> Iterator[Clause]:
    if depth > 3 or not text:
        return
    leading = _LEADING.match(text)
    if leading is not None:
        said = _both(condition, leading["condition"])
        yield from _clauses(leading["act"], said, leading["if"].lower() == "unless", depth + 1)
        return
    if condition is None:
        trailing = _TRAILING.match(text)
        if trailing is not None and _is_act(trailing["act"]) and not _STARTS.search(trailing["condition"]):
            yield from _clauses(trailing["act"], trailing["condition"], trailing["if"].lower() == "unless", depth + 1)
            return
        middle = _MIDDLE.match(text)
        if middle is not None:
            yield from _clauses(middle["before"], None, False, depth + 1)
            yield from _clauses(middle["tail"], None, False, depth + 1)
            return
    for part in _AND.split(text):
        clause = _clause(part.strip(" ,."), condition, is_unless)
        if clause is not None:
            yield clause


_STARTS = re.compile(rf",\s*(?:then\s+)?{_STARTS_ACT}|\bthen\s+{_STARTS_ACT}", re.IGNORECASE)


def begins_with_act(sentence: str) -> bool:
    """Whether a sentence says at its beginning what is to be done.

    >>> begins_with_act("Give the patient 2 g IV"), begins_with_act("Give the age"), begins_with_act("Check it and order one")
    (True, False, False)
    """
    return _clause(_AND.split(sentence.strip(" ,."))[0], None, False) is not None


def before_acts(sentence: str) -> str:
    """Return the part of a sentence that stands before the first condition or act behind its beginning.

    >>> before_acts("Look at the potassium and replace it if low")
    'Look at the potassium'
    """
    ends = [m.start() for m in _AND.finditer(sentence)]
    ends += [
        m.start("if") for m in re.finditer(rf"(?<=[\s,]){_IF}", sentence, re.IGNORECASE) if m["if"].lower() != "when"
    ]
    cut = sentence[: min(ends, default=len(sentence))]
    return re.sub(r"(?:[,\s]|\b(?:and|but|then|only|or)\b)+$", "", cut)


def _both(one: str | None, other: str) -> str:
    return other if one is None else f"{one} and {other}"


def _is_act(text: str) -> bool:
    return any(_clause(part.strip(), None, False) is not None for part in _AND.split(text))


def _clause(text: str, condition: str | None, is_unless: bool) -> Clause | None:
    act = _ACT.match(text)
    if act is not None:
        if (
            not act["rest"].strip()
            and act["not"] is None
            and not act["verb"].lower().startswith(("recheck", "repeat", "remeasure"))
        ):
            return None
        here = text[act.start("verb") :]
        verb = next(name for name, said in _VERBS if re.match(rf"(?:{said})\b", here, re.IGNORECASE))
        is_negated = act["not"] is not None or re.match(r"(?:nothing|none)\b", act["rest"], re.I) is not None
        return Clause(verb, act["verb"].lower(), act["rest"].strip(), condition, is_unless, is_negated)
    passive = _PASSIVE.match(text)
    if passive is not None:
        done = passive["done"].lower()
        rest = f"{passive['object']}{passive['rest']}"
        return Clause(_DONE[done], done, rest.strip(), condition, is_unless, passive["not"] is not None)
    wants = _WANTS_SEEN.match(text)
    if wants is not None:
        return Clause("refer", "want", f"{wants['rest']} to {wants['who']}", condition, is_unless)
    stops = _STOPS.match(text)
    if stops is not None:
        return Clause("stop", "stop", stops["rest"], condition, is_unless)
    likes = _LIKES.match(text)
    if likes is not None:
        return Clause("order", "would like", likes["rest"], condition, is_unless)
    needs = _NEEDS.match(text)
    if needs is not None:
        return Clause("order", "needs", needs["rest"], condition, is_unless)
    return None
