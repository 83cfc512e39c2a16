"""What a task wants done, clause by clause, each act under its condition."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from wardround.models.clerk.asked import Measured, Window
from wardround.models.clerk.background import Background
from wardround.models.clerk.clauses import Clause, clauses_of
from wardround.models.clerk.conditions import ALLERGY, DUPLICATE, condition_of, is_fine
from wardround.models.clerk.entries import cancellation_in, correction_in, recordings_in
from wardround.models.clerk.intents import Case, Puzzled
from wardround.models.clerk.measuring import measured_in
from wardround.models.clerk.orders import PRONOUN, orders_in
from wardround.models.clerk.people import without_patient
from wardround.models.clerk.spans import spans_of
from wardround.models.clerk.times import COUNT
from wardround.models.clerk.times import UNIT as TIME_UNIT
from wardround.models.clerk.wanted import Act, Cancellation, Condition, Listed, Order, Overdue
from wardround.models.clerk.windows import windows_of, without
from wardround.models.clerk.wording import Sentence


@dataclass(frozen=True)
class Found:
    """What a task wants done: said outright, and by the rules of its context."""

    own: tuple[Act, ...]
    house: tuple[Act, ...]

    @property
    def settled(self) -> tuple[Act, ...]:
        """All acts; of a kind of order for which there is a rule the rule's alone.

        Raises:
            Puzzled: Something is to be done as a rule says, and there is none.
        """
        kinds = {act.kind for act in self.house if isinstance(act, Order)}
        own = [act for act in self.own if not (isinstance(act, Order) and act.kind in kinds)]
        deciding = next((act.decided_by for act in self.own if act.decided_by is not None), None)
        house = [replace(act, decided_by=act.decided_by or deciding) for act in self.house]
        for act in own:
            if isinstance(act, Order) and act.as_rule_says and not act.follows_rule:
                raise Puzzled(f"in which case {act.words!r} is to be ordered")
        return tuple(_once([*house, *own]))


def acts_of(background: Background, sentences: Iterable[Sentence], known: Sequence[Act] = ()) -> Found:
    """Return what sentences want done, in order.

    Args:
        background: The task.
        sentences: Of the task, those of its context behind the others.
        known: What is to be done first and is known already; it is not returned.

    Of the context only what is to be done in a certain case counts; the rest of it says how things are done.

    Raises:
        Puzzled: Something that is to be done, or its condition, is not understood.
    """
    acts: list[tuple[Act, bool]] = [(act, True) for act in known]
    guards = _Guards(Case.DUPLICATE in background.stated, Case.ALLERGY in background.stated)
    before = ""
    for sentence in sentences:
        for clause in _to_do(sentence, before):
            if guards.takes(clause) or _is_other_case(clause) or (sentence.is_context and not _is_rule(clause, acts)):
                continue
            acts = _taken(clause, sentence, background, acts)
        before = sentence.text
    final = [(guards.applied(act, _Guards()), is_house) for act, is_house in acts[len(known) :]]
    return Found(tuple(a for a, is_house in final if not is_house), tuple(a for a, is_house in final if is_house))


def _once(acts: Sequence[Act]) -> Iterator[Act]:
    """Acts without orders that only say another time what was ordered: of the same thing, in the same case."""
    kept: dict[tuple[object, ...], Order] = {}
    order: list[Act | tuple[object, ...]] = []
    for act in acts:
        if not isinstance(act, Order) or act.code is None:
            order.append(act)
            continue
        key = (act.kind, act.code.code, act.condition)
        first = kept.get(key)
        if first is None:
            order.append(key)
        kept[key] = act if first is None else _merged(first, act)
    yield from (kept[item] if isinstance(item, tuple) else item for item in order)


def _merged(one: Order, other: Order) -> Order:
    """One order of what two say.

    Raises:
        Puzzled: They say different things.
    """
    told: dict[str, Any] = {}
    for name in ("note", "due", "dose", "schedule", "priority"):
        values = [value for value in (getattr(one, name), getattr(other, name)) if value is not None]
        if len(values) == 2 and values[0] != values[1] and name != "priority":
            raise Puzzled(f"whether {one.words!r} is to be ordered once or twice")
        told[name] = values[0] if values else None
    told["follows_rule"] = one.follows_rule and other.follows_rule
    guards = {name: getattr(one, name) or getattr(other, name) for name in ("spares_duplicates", "spares_allergic")}
    return replace(one, **told, **guards)


_Acts = list[tuple[Act, bool]]
"""Acts, each with whether a rule of the context has it done."""


def _taken(clause: Clause, sentence: Sentence, background: Background, acts: _Acts) -> _Acts:
    condition, own = _condition(clause, background)
    if clause.is_negated:
        return [(_without(act, clause), is_house) for act, is_house in acts]
    if PRONOUN.match(clause.object) and condition is None and _is_repeated(clause, acts):
        return [(own.applied(act, own), is_house) for act, is_house in acts]
    decided_by = _decided_by(clause, condition, background)
    meant = background if decided_by is None else replace(background, measured=decided_by.words)
    found: _Acts = []
    for act in _acts(clause, sentence, meant):
        act = own.applied(_under(replace(act, decided_by=decided_by), condition, [a for a, _ in acts], clause), own)
        if isinstance(act, Order) and _is_by_rule(clause, background):
            act = replace(act, as_rule_says=True)
        found.append((act, sentence.is_context))
    return [*acts, *found]


def _is_by_rule(clause: Clause, background: Background) -> bool:
    """Whether a clause leaves it to a rule when something is to be done."""
    if clause.condition is None:
        return False
    is_so = background.asked is None and _SO.fullmatch(clause.condition.strip()) is not None
    return is_so or _BY_RULE.search(clause.condition) is not None


def _is_repeated(clause: Clause, acts: _Acts) -> bool:
    """Whether `order it` or `take it off` only says again what was said before."""
    kinds: Mapping[str, type[Act]] = {"order": Order, "give": Order, "stop": Cancellation, "cancel": Cancellation}
    kind = kinds.get(clause.verb)
    return kind is not None and any(isinstance(act, kind) for act, _ in acts)


def _is_other_case(clause: Clause) -> bool:
    """Whether a clause says no more than that otherwise nothing, or what was asked, is to be done."""
    return clause.verb == "otherwise" and (clause.is_negated or PRONOUN.match(clause.object) is not None)


def _is_rule(clause: Clause, acts: _Acts) -> bool:
    return (
        clause.is_negated or clause.condition is not None or ((clause.goes_with or clause.refers_back) and bool(acts))
    )


_BY_RULE = re.compile(
    r"\b(?:needed|required|necessary|indicated|due|(?:the )?(?:rule|scheme|protocol|policy)\b.*\b(?:asks?|says?|"
    r"requires?|calls?)|out of date|overdue)\b",
    re.IGNORECASE,
)
"""Conditions that refer to a rule."""


_PREDICATE = re.compile(r"\bif\s+(?P<condition>.+)$", re.IGNORECASE)


def _to_do(sentence: Sentence, before: str) -> Iterator[Clause]:
    """The clauses of a sentence; one that refers back has the condition of the sentence before, where that only names it."""
    for clause in _clauses(sentence):
        named = _PREDICATE.search(before) if clause.refers_back else None
        if named is not None and not any(True for _ in clauses_of(before)):
            yield replace(clause, condition=named["condition"], refers_back=False)
        else:
            yield clause


def _clauses(sentence: Sentence) -> Iterator[Clause]:
    is_request = re.match(r"(?:can|could|would|will) you\b", sentence.text, re.IGNORECASE)
    if not sentence.is_question or is_request or re.search(r"[,;]\s*(?:and\s+)?if\b", sentence.text, re.IGNORECASE):
        yield from clauses_of(sentence.text)


@dataclass
class _Guards:
    """What makes an order needless or wrong, as the task says it."""

    duplicates: bool = False
    allergies: bool = False

    def takes(self, clause: Clause) -> bool:
        """Take a clause that says nothing but when not to order."""
        text = clause.condition or ""
        is_guard = clause.is_negated and (ALLERGY.search(text) or DUPLICATE.search(text))
        if is_guard:
            self.duplicates |= bool(DUPLICATE.search(text))
            self.allergies |= bool(ALLERGY.search(text))
        return bool(is_guard)

    def applied(self, act: Act, other: _Guards) -> Act:
        """Return an act that minds these and others."""
        if not isinstance(act, Order):
            return act
        duplicates = act.spares_duplicates or self.duplicates or other.duplicates
        allergies = act.spares_allergic or self.allergies or other.allergies
        return replace(act, spares_duplicates=duplicates, spares_allergic=allergies)


def _condition(clause: Clause, background: Background) -> tuple[Condition | None, _Guards]:
    """The condition of a clause; those that only spare duplicates and the allergic come as guards."""
    if clause.condition is None:
        return None, _Guards()
    if _is_by_rule(clause, background):
        return None, _Guards()
    if background.asked is not None and _SO.fullmatch(clause.condition.strip()):
        return background.asked, _Guards()
    if re.fullmatch(r"not(?: yet)?", clause.condition.strip(), re.IGNORECASE) and DUPLICATE.search(
        background.wording.text
    ):
        return None, _Guards(duplicates=True)
    if clause.is_negated and (is_fine(clause.condition) or not _is_read(clause)):
        return None, _Guards()
    guards = _Guards()
    left: list[str] = []
    for part in re.split(r"\s+and\s+(?!if\b)|,\s+(?=only\b)", without_patient(clause.condition, background.who)):
        is_negative = clause.is_unless or re.search(r"\b(?:no|not|none|n't|without)\b|n't\b", part, re.I) is not None
        if is_negative and ALLERGY.search(part):
            guards.allergies = True
        elif is_negative and DUPLICATE.search(part):
            guards.duplicates = True
        else:
            left.append(part)
    kept = " and ".join(left).strip()
    if not kept or (guards.duplicates and PRONOUN.match(kept)):
        return None, guards
    return condition_of(background.wording.restored(kept), is_unless=clause.is_unless), guards


_SO = re.compile(r"so|yes|it is|it does|that is (?:so|the case)|this is the case", re.IGNORECASE)
_CONDITION_WORDS = re.compile(
    r"\b(?:older|old|than|missing|less|more|greater|below|under|above|over|low|lower|high|higher|normal|abnormal|exceeds?|at|least|most|"
    r"equal|no|none|not|never|decreased|elevated|raised|deficient|below|becomes?|drops?|falls?|still|only|result's|age|one|anything|nothing|"
    r"mild|moderate|severe|then|was|ago|found|there|case|all|out|date|of|into|count\w*|needed|up)\b",
    re.IGNORECASE,
)


def _decided_by(clause: Clause, condition: Condition | None, background: Background) -> Measured | None:
    """What a condition of a value is about, where it names it."""
    if clause.condition is None or condition in (None, background.asked) or isinstance(condition, Listed):
        return None
    found = windows_of(clause.condition)
    text = without(clause.condition, found)
    for span in sorted(spans_of(text), key=lambda span: -span.start):
        text = f"{text[: span.start]} {text[span.end :]}"
    text = without_patient(text, background.who)
    text = re.sub(rf"\b(?:{COUNT})[\s-]*(?:{TIME_UNIT})\b", " ", text, flags=re.IGNORECASE)
    named = measured_in(_CONDITION_WORDS.sub(" ", text), background.codes)
    if len(named) > 1:
        raise Puzzled(f"which of {', '.join(m.words for m in named)} decides in {text[:120]!r}")
    if named and named[0].code is None and any(len(word) < 3 for word in named[0].words.split()):
        return None
    window = found[0][0] if found and not isinstance(condition, Overdue) else Window()
    return replace(named[0], window=window) if len(named) == 1 else None


def _is_read(clause: Clause) -> bool:
    try:
        condition_of(clause.condition or "", is_unless=clause.is_unless)
    except Puzzled:
        return False
    return True


def _without(act: Act, clause: Clause) -> Act:
    """Take account of what is not to be done: an overdue test that is missing is then not to be ordered."""
    is_missing = clause.condition is not None and re.search(
        r"\b(?:no|none|not|missing|never)\b", clause.condition, re.I
    )
    if is_missing and isinstance(act, Order) and isinstance(act.condition, Overdue):
        return replace(act, condition=replace(act.condition, counts_missing=False))
    return act


def _under(act: Act, condition: Condition | None, before: Sequence[Act], clause: Clause) -> Act:
    """Put an act under its condition, or under the one of the act that it goes with."""
    if clause.refers_back:
        if not before or before[-1].condition is None or condition is not None:
            raise Puzzled(f"in which case to {clause.said} {clause.object[:80]!r}")
        condition = before[-1].condition
    goes_with = clause.goes_with or clause.verb == "pair" or _GOES_WITH.search(clause.object) is not None
    is_follow_up = bool(before) and (goes_with or (isinstance(act, Order) and clause.verb == "repeat"))
    if isinstance(act, Order):
        act = replace(act, goes_with=is_follow_up)
    return replace(act, condition=before[-1].condition if condition is None and is_follow_up else condition)


_GOES_WITH = re.compile(r"\bthis order\b|\bfollow-?up\b|\bafterwards\b|\bthereafter\b", re.IGNORECASE)


def _acts(clause: Clause, sentence: Sentence, background: Background) -> Iterator[Act]:
    match clause.verb:
        case "record":
            yield from recordings_in(clause, background)
        case "correct" | "mark":
            yield correction_in(clause, background)
        case "cancel" | "stop":
            yield cancellation_in(clause, background)
        case "beyond":
            raise Puzzled(
                f"how to {clause.said} {' '.join(clause.object.split())[:80]!r}, which is no entry and no order"
            )
        case "otherwise":
            raise Puzzled(f"that otherwise something else is to be done: {clause.said} {clause.object[:80]!r}")
        case _:
            yield from orders_in(clause, sentence, background)
