"""From a task's words to what it wants: questions, acts, rules and stated answers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from wardround.models.clerk.acts import acts_of
from wardround.models.clerk.asked import Comparison, FindPatient, Level, ListForm, Listing, Measured, Question, Window
from wardround.models.clerk.background import Background
from wardround.models.clerk.clauses import before_acts, begins_with_act, clauses_of
from wardround.models.clerk.conditions import DUPLICATE
from wardround.models.clerk.doses import DosingRule, Table, rule_of
from wardround.models.clerk.glossary import DRUGS, Code, codes_of, fitting
from wardround.models.clerk.intents import Case, Puzzled, Task, Unclear, WhoIsMeant
from wardround.models.clerk.measuring import QUERIED, measured_in, residue, rounding_in, with_name
from wardround.models.clerk.people import who_of, without_patient
from wardround.models.clerk.questions import asks_for_codes, is_asking, questions_in
from wardround.models.clerk.stated import stated_of
from wardround.models.clerk.times import now_of
from wardround.models.clerk.units import factors_of
from wardround.models.clerk.wanted import Act, Kind, Listed, Missing, Order, Overdue, Within
from wardround.models.clerk.windows import windows_of, without
from wardround.models.clerk.wording import Sentence, Wording, telling

_IF_SENTENCE = re.compile(r"\b(?:if|when)\b", re.IGNORECASE)


def understand(text: str) -> Task | Unclear:
    """Return what a task wants, or why that is not clear.

    Args:
        text: Instruction and context, in any order.
    """
    try:
        return _understood(Wording.of(text))
    except Puzzled as puzzled:
        return Unclear(str(puzzled))


def _understood(wording: Wording) -> Task | Unclear:
    codes = codes_of(wording)
    who = who_of(wording, codes)
    now = now_of(wording.text)
    rule, places = _rule(wording)
    stated, sentences = stated_of(wording)
    unread = next(
        (s for s in sentences if _ANSWERS.search(s.text) and not _PLAIN_ANSWERS.issuperset(_quoted(s, wording))), None
    )
    if unread is not None:
        return Unclear(f"when to answer {' or '.join(map(repr, _quoted(unread, wording)))}")
    plain = [_plain(sentence, who) for sentence in sentences]
    free = [s for n, s in enumerate(plain) if n not in places and s.text]
    questions = _questions(free, who, codes, wording)
    time = now.time if now is not None else None
    performer = _PERFORMER.search(wording.text)
    background = Background(
        wording,
        tuple(plain),
        codes,
        who,
        time,
        _looked_at(questions),
        _asked(questions),
        frozenset(stated),
        rule is not None,
        _priority(wording.text),
        (performer["system"], performer["code"]) if performer is not None else None,
    )
    acts = list(acts_of(background, free).settled)
    if places and not any(isinstance(act, Order) and act.kind is Kind.DRUG for act in acts):
        ruled = [s for n, s in enumerate(plain) if n in places and s.text and _IF_SENTENCE.search(s.text)]
        given = [*_ruled(acts_of(background, ruled).own), *_by_rule(wording, codes)][:1]
        acts = [*given, *(acts_of(background, free, given).settled if given else acts)]
    if not questions and not acts:
        return Unclear("what is asked for")
    if rule is None and _DOSING.search(wording.text) and any(isinstance(a, Order) and a.follows_rule for a in acts):
        return Unclear("the dosing rule")
    questions = _told(_with_deciding(_settled(questions, acts), acts, codes, wording), wording)
    if _needs_value(acts) and not any(isinstance(q, Level) for q in questions):
        return Unclear("which value decides whether something is to be ordered")
    return Task(
        who=who,
        now=now,
        questions=tuple(questions),
        acts=tuple(acts),
        rule=rule,
        stated=_cases(stated, questions),
        rounding=rounding_in(wording.text),
        factors=factors_of(wording.text),
        counted=_counted(wording.text),
        elements=_elements(wording.text),
        finished_stays=re.search(
            r"\bstatus finished\b|\bfinished (?:admission|stay|encounter|visit)", wording.text, re.I
        )
        is not None,
        wants_days=_DAYS.search(wording.text) is not None,
    )


_COUNTED = re.compile(
    r"\bstatus(?:es)? (?:is|are|must be|has to be) (?P<listed>[a-z-]+(?:, [a-z-]+)*,? (?:or|and) [a-z-]+)",
    re.IGNORECASE,
)
_STATUSES = frozenset({"registered", "preliminary", "final", "amended", "corrected"})
_DAYS = re.compile(r"\b(?:as|form|format)\s+YYYY-MM-DD\b")


_PERFORMER = re.compile(r"\bperformerType\s*\(code (?P<code>[\w.-]+), system (?P<system>https?://[^\s)]+)\)")


def _priority(text: str) -> str | None:
    """The priority of orders for which none is asked."""
    found = re.search(r"\b(?P<priority>stat|asap|urgent|routine) (?:where|if|when|unless)\b", text, re.IGNORECASE)
    return found["priority"].lower() if found is not None else None


_ELEMENTS = re.compile(r"\banswer with (?P<count>two|three|four|[2-9]) elements\b", re.IGNORECASE)


def _elements(text: str) -> int | None:
    """How many answers are wanted, where the task says so."""
    found = _ELEMENTS.search(text)
    return _COUNTS.get(found["count"].lower()) or int(found["count"]) if found is not None else None


_COUNTS = {"two": 2, "three": 3, "four": 4}


def _counted(text: str) -> frozenset[str]:
    """The statuses of results that count, where the task lists them."""
    found = _COUNTED.search(text)
    words = re.split(r",?\s+(?:or|and)\s+|,\s*", found["listed"].lower()) if found is not None else []
    return frozenset(words) if _STATUSES.issuperset(words) else frozenset()


_ANSWERS = re.compile(r"\banswer\b[^.;]*⟦\d+⟧", re.IGNORECASE)
_PLAIN_ANSWERS = frozenset({"yes", "no", "true", "false"})


def _quoted(sentence: Sentence, wording: Wording) -> list[str]:
    return [quote.lower() for quote in wording.quoted(sentence.text)]


_ADDRESS = re.compile(r"^(?:(?:for|of)\s+)?(?:the patient|he|she)\s*[:,–-]\s*", re.IGNORECASE)


def _plain(sentence: Sentence, who: WhoIsMeant) -> Sentence:
    """A sentence with `the patient` for the patient's number or name, and without an address at its beginning."""
    return replace(sentence, text=_ADDRESS.sub("", without_patient(sentence.text, who)))


def _rule(wording: Wording) -> tuple[DosingRule | None, frozenset[int]]:
    """The dosing rule of a task; a single range with its dose is one only where it is not itself what is to be done."""
    rule, places = rule_of(wording)
    if isinstance(rule, Table) and len(rule.rows) == 1:
        stating = [s for n, s in enumerate(wording.sentences) if n in places]
        if any(s.is_question or any(True for _ in clauses_of(s.text)) for s in stating):
            return None, frozenset()
    return rule, places


_WITH_DATE = re.compile(r"\banswer with\b[^.]*\b(?:result|value)\b[^.]*\b(?:and|its)\b[^.]*\bdate\b", re.IGNORECASE)


def _told(questions: list[Question], wording: Wording) -> list[Question]:
    """The questions, with the date of a value where the answer is to hold it."""
    context = wording.text[wording.context_from :]
    if re.search(r"\banswer with (?:the|its) (?:date|day)\b", context, re.IGNORECASE):
        return [replace(q, form=ListForm.LAST_TIME) if isinstance(q, Listing) else q for q in questions]
    if not _WITH_DATE.search(context):
        return questions
    return [replace(q, is_asked=True, with_time=True) if isinstance(q, Level) else q for q in questions]


_DOSING = re.compile(r"\bdos(?:e|es|ing)\b|\bsliding scale\b|\bprotocol\b", re.IGNORECASE)


def _ruled(acts: Sequence[Act]) -> list[Act]:
    """Acts out of the sentences of a rule: drugs by the rule's doses, and each of them once."""
    kept: list[Act] = []
    for act in acts:
        if isinstance(act, Order) and act.kind is Kind.DRUG:
            act = replace(
                act,
                instructions="",
                dose=None,
                follows_rule=True,
                condition=None if isinstance(act.condition, Within) else act.condition,
            )
            if any(isinstance(other, Order) and other.kind is Kind.DRUG for other in kept):
                continue
        kept.append(act)
    return kept


_TREATS = re.compile(
    r"\b(?:dose|dosing|repla\w+|replet\w+|rule|scheme|protocol|orders?|prescrib\w+|treat\w*|needs?|due)\b",
    re.IGNORECASE,
)


def _by_rule(wording: Wording, codes: Sequence[Code]) -> list[Act]:
    """The drug of a rule, where what is to be done goes by the rule and names no drug itself."""
    drugs = [code for code in codes if code.system in DRUGS]
    if len({code.code for code in drugs}) != 1 or not _TREATS.search(wording.instruction):
        return []
    return [Order(Kind.DRUG, drugs[0].name, drugs[0], follows_rule=True)]


def _with_deciding(
    questions: list[Question], acts: Sequence[Act], codes: Sequence[Code], wording: Wording
) -> list[Question]:
    """Add a look at what decides about an act and is not looked at already."""
    found = list(questions)
    for act in acts:
        measured = act.decided_by
        if measured is None and isinstance(act, Order) and isinstance(act.condition, Overdue | Missing):
            fits = fitting(with_name(codes), wording.instruction, QUERIED)
            named = [code for code in fits if act.code is None or code.code != act.code.code] or fits
            code = named[0] if named else None
            measured = Measured(named[0].name, named[0]) if named else None
        if measured is None and isinstance(act, Order) and isinstance(act.condition, Overdue | Missing):
            code = act.code if act.code is not None and act.code.system == "loinc" else None
            measured = Measured(act.words, code) if act.kind is Kind.LAB else None
        levels = [q for q in found if isinstance(q, Level)]
        is_known = measured is not None and any(telling(q.of.words) & telling(measured.words) for q in levels)
        if measured is not None and not is_known and (act.decided_by is not None or not levels):
            found.append(Level(measured, is_asked=False))
    return found


def _questions(
    sentences: Sequence[Sentence], who: WhoIsMeant, codes: Sequence[Code], wording: Wording
) -> list[Question]:
    found: list[Question] = []
    for sentence in sentences:
        text = _asking_part(sentence)
        asked = replace(sentence, text=text)
        if sentence.is_context or not text or not is_asking(asked) or _is_order(asked):
            continue
        is_check_first = re.search(r"\bwhether\b", text, re.IGNORECASE) and DUPLICATE.search(text)
        if (found and asks_for_codes(text)) or is_check_first:
            continue
        own = questions_in(asked, who, codes, wording)
        if not own and not residue(without_patient(text, who)):
            continue  # it only points elsewhere, as in `please look into it`
        if not own and (sentence.is_question or not _ABOUT_FORM.search(text)):
            raise Puzzled(f"what {text[:120]!r} asks for")
        found += [q for q in own if q not in found]
    return found or _looked_at_by_rule(sentences, codes)


def _asking_part(sentence: Sentence) -> str:
    """A sentence up to where it goes on to what is to be done; nothing where it begins with a condition."""
    has_acts = not sentence.is_question and any(True for _ in clauses_of(sentence.text))
    text = before_acts(sentence.text) if has_acts or "if" in sentence.text.lower().split() else sentence.text
    return "" if _begins_with_condition(text) or (has_acts and begins_with_act(sentence.text)) else text


_GO_BY = re.compile(
    r"\b(?:by|using|based on|depending on|according to)\s+(?P<what>the (?:latest|last|most recent|newest) .+)",
    re.IGNORECASE,
)


_NAMED_LAST = re.compile(
    r"\b(?P<what>(?:latest|last|most recent|newest) .+?)(?:,?\s+and\s+(?:an?\s+)?orders?\b.*)?$", re.IGNORECASE
)


def _looked_at_by_rule(sentences: Sequence[Sentence], codes: Sequence[Code]) -> list[Question]:
    """What is to be looked at where nothing is asked: what is said to be gone by, or a latest value that is named."""
    for sentence in sentences:
        said = _GO_BY.search(sentence.text) or (None if sentence.is_context else _NAMED_LAST.search(sentence.text))
        if said is None:
            continue
        windows = windows_of(said["what"])
        for measured in measured_in(without(said["what"], windows), codes, is_loose=True):
            if measured.code is not None:
                return [Level(replace(measured, window=windows[0][0] if windows else Window()), is_asked=False)]
    return []


_ABOUT_FORM = re.compile(
    r"\b(?:answer|number|list|format|digits?|decimals?|only|json|text|reply|word)\b", re.IGNORECASE
)
"""Words of a sentence that says how to answer."""


def _begins_with_condition(text: str) -> bool:
    return re.match(r"(?:and\s+|but\s+|only\s+)?(?:if|unless|in case|provided)\b", text, re.IGNORECASE) is not None


def _is_order(sentence: Sentence) -> bool:
    """Whether a question is a polite order, such as `Could you order a CBC?`."""
    is_polite = re.match(r"(?:can|could|would|will) you\b", sentence.text, re.IGNORECASE)
    return bool(is_polite) and any(True for _ in clauses_of(sentence.text))


def _looked_at(questions: Sequence[Question]) -> str:
    levels = [q.of.words for q in questions if isinstance(q, Level | Comparison)]
    return levels[0] if levels else ""


def _asked(questions: Sequence[Question]) -> Within | None:
    spans = [q.asks_within for q in questions if isinstance(q, Level) and q.asks_within is not None]
    return Within(spans[0]) if len(spans) == 1 else None


def _settled(questions: Sequence[Question], acts: Sequence[Act]) -> list[Question]:
    """Where nothing is to be done, what is to be looked at is to be told; the lists that conditions ask are not."""
    if not acts:
        return [replace(q, is_asked=True) if isinstance(q, Level) else q for q in questions]
    conditions = [act.condition for act in acts]
    looked = {kind for c in conditions if isinstance(c, Listed) for kind in c.listing.types}
    guarded = any(isinstance(act, Order) and (act.spares_duplicates or act.spares_allergic) for act in acts)
    return [q for q in questions if not isinstance(q, Listing) or not (looked & {*q.types} or guarded)]


def _needs_value(acts: Sequence[Act]) -> bool:
    return any(
        (act.condition is not None and not isinstance(act.condition, Listed))
        or (isinstance(act, Order) and act.follows_rule and act.condition is not None)
        for act in acts
    )


def _cases(stated: Mapping[Case, tuple[Any, ...]], questions: Sequence[Question]) -> dict[Case, tuple[Any, ...]]:
    """Of a patient looked for, `else` means that there is none."""
    cases = dict(stated)
    if Case.ABSENT not in cases and Case.OTHERWISE in cases and any(isinstance(q, FindPatient) for q in questions):
        cases[Case.ABSENT] = cases.pop(Case.OTHERWISE)
    return cases
