"""What is ordered: which kind of thing, by which code, how much, when, and with which text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from wardround.models.clerk.background import Background
from wardround.models.clerk.clauses import Clause
from wardround.models.clerk.doses import Dose, doses_of
from wardround.models.clerk.glossary import DRUGS, GENERIC, LOCAL, SERVICES, Code, fitting
from wardround.models.clerk.intents import Puzzled
from wardround.models.clerk.people import without_patient
from wardround.models.clerk.times import COUNT, due_of, period
from wardround.models.clerk.units import routes_of
from wardround.models.clerk.wanted import Kind, Order, Schedule
from wardround.models.clerk.wording import MARK, Sentence, telling

KINDS: tuple[tuple[Kind, str], ...] = (
    (Kind.REFERRAL, r"referral|referred|consult(?:ation)?"),
    (
        Kind.IMAGING,
        r"x-?ray|radiograph|CT|MRI|ultrasound|sonogra\w+|echo(?:cardiogra\w+)?|imaging|scan|mammogra\w+|DEXA",
    ),
    (
        Kind.DRUG,
        r"replacement|repletion|supplement\w*|medications?|medicine|tablets?|capsules?|infusion|antibiotics?|doses?|drug|"
        r"prescription|injection",
    ),
    (
        Kind.LAB,
        r"levels?|control|repeat|labs?|laboratory|tests?|panel|culture|blood work|assay|urinalysis|CBC|BMP|CMP|serum|plasma|"
        r"troponin|HbA1c|"
        r"A1c|INR|lipids?",
    ),
    (
        Kind.PROCEDURE,
        r"procedure|colonoscopy|endoscopy|ECG|EKG|electrocardiogram|spirometry|biopsy|physiotherapy|"
        r"physical therapy|vaccin\w+",
    ),
)
"""What kind of thing a word of an order names; the first that fits counts."""
PRONOUN = re.compile(r"^(?:it|one|this|that|another|a new one|them|the same|new one)\b", re.IGNORECASE)
"""A word for what was spoken of before."""
_DRUG_VERBS = frozenset({"replace", "give"})
_NEXT = re.compile(r"\s*,\s*(?:and\s+)?|\s+and\s+(?:also\s+)?", re.IGNORECASE)


def orders_in(clause: Clause, sentence: Sentence, background: Background) -> Iterator[Order]:
    """Give what a clause orders: one thing, or several that it lists.

    Raises:
        Puzzled: What kind of thing it is, which code or which dose is meant.
    """
    whole = without_patient(clause.object, background.who)
    said = re.split(r"\bwith\b", whole, maxsplit=1)[-1] if clause.verb == "pair" else whole
    for part in _listed(said, background):
        yield _order(clause, part, sentence, background)


def _listed(said: str, background: Background) -> list[str]:
    """The things that an order lists, each with what is said of all of them; one where it lists none."""
    head = object_of(said, background, keeps_doses=True)
    parts = [part for part in _NEXT.split(head) if part.strip()]
    whole = fitting(background.codes, head, (*DRUGS, *SERVICES))
    is_one = len(parts) < 2 or any(telling(code.name) >= telling(head) for code in whole)
    if is_one or not all(_is_thing(part, background) for part in parts):
        return [said]
    rest = said[said.find(parts[-1]) + len(parts[-1]) :] if parts[-1] in said else ""
    return [f"{part} {rest}" for part in parts]


def _is_thing(text: str, background: Background) -> bool:
    without_dose = text
    for _, start, end in sorted(doses_of(text), key=lambda item: -item[1]):
        without_dose = f"{without_dose[:start]} {without_dose[end:]}"
    if not telling(_DETAIL.sub("", without_dose)):
        return False
    if any(True for _ in doses_of(text)) or fitting(background.codes, text, (*DRUGS, *SERVICES)):
        return True
    return any(re.search(rf"\b(?:{form})\b", text, re.IGNORECASE) for _, form in KINDS)


def _order(clause: Clause, said: str, sentence: Sentence, background: Background) -> Order:
    if not any(True for _ in doses_of(said)):
        said = f"{said} {_dose_line(sentence, background)}".strip()
    stated = [dose for dose, _, _ in doses_of(said)]
    kind = _kind(clause, said, bool(stated), background)
    name = object_of(said, background)
    dose = _dose(said, stated) if kind is Kind.DRUG else None
    return Order(
        kind=kind,
        words=name,
        code=_code(name, kind, background),
        note=_note(sentence, background) if kind is not Kind.DRUG else None,
        priority=_priority(sentence, kind, background),
        due=due_of(said, background.now),
        dose=dose,
        instructions=_instructions(said, name) if dose is not None else "",
        schedule=schedule_of(said) if kind is Kind.DRUG else None,
        follows_rule=kind is Kind.DRUG and dose is None,
        performer=background.performer if kind is Kind.REFERRAL else None,
    )


_DOSE_LINE = re.compile(r"^(?:dose|dosage|sig|directions)\s*:\s*(?P<dose>.+)$", re.IGNORECASE)


def _dose_line(sentence: Sentence, background: Background) -> str:
    """The dose that stands in one of the next sentences: `Dose: 500 mg by mouth`."""
    place = next(
        (n for n, s in enumerate(background.sentences) if s.start == sentence.start), len(background.sentences)
    )
    for near in background.sentences[place + 1 : place + 3]:
        line = _DOSE_LINE.match(near.text)
        if line is not None:
            return line["dose"]
    return ""


def _priority(sentence: Sentence, kind: Kind, background: Background) -> str | None:
    stated = next((p for p, form in _PRIORITY if re.search(form, sentence.text, re.IGNORECASE)), None)
    return stated or (background.priority if kind is not Kind.DRUG else None)


def _instructions(said: str, name: str) -> str:
    """What is said of how a drug is taken."""
    whom = _WHOM.sub(" ", said)
    return " ".join(re.sub(re.escape(name), " ", whom, flags=re.IGNORECASE).split()).strip(" ,.")


def _code(name: str, kind: Kind, background: Background) -> Code | None:
    """The code that the task gives for what is ordered; the hospital's own for a test only where it gives no other."""
    fits = fitting(background.codes, name, DRUGS if kind is Kind.DRUG else SERVICES)
    if not fits and kind is Kind.DRUG and background.has_rule and not telling(name) - GENERIC:
        fits = [code for code in background.codes if code.system in DRUGS]
    if not fits and kind is Kind.LAB:
        fits = fitting(background.codes, name, (LOCAL,))
    if len({code.code for code in fits if code.system == fits[0].system}) > 1:
        raise Puzzled(f"which of the codes {', '.join(code.code for code in fits)} is meant by {name!r}")
    return fits[0] if fits else None


def _kind(clause: Clause, said: str, has_dose: bool, background: Background) -> Kind:
    if clause.verb == "refer":
        return Kind.REFERRAL
    if clause.verb in _DRUG_VERBS:
        return Kind.DRUG
    if background.has_rule and _BY_RULE.search(said):
        return Kind.DRUG
    head = re.split(r"\b(?:for|according|because|due to|to be|with the)\b", re.sub(MARK, " ", said))[0]
    if routes_of(head):
        return Kind.DRUG
    named = next((kind for kind, form in KINDS if re.search(rf"\b(?:{form})\b", head, re.IGNORECASE)), None)
    if named is not None:
        return named
    if clause.verb == "repeat":
        return Kind.LAB
    if has_dose:
        return Kind.DRUG
    name = object_of(said, background)
    fits = fitting(background.codes, name, (*DRUGS, *SERVICES))
    if fits:
        return Kind.DRUG if fits[0].system in DRUGS else Kind.LAB if fits[0].system == "loinc" else Kind.PROCEDURE
    if clause.verb == "pair" or PRONOUN.match(said.strip()) or telling(name) & telling(background.measured):
        return Kind.LAB
    raise Puzzled(f"what kind of order {name!r} is")


_BY_RULE = re.compile(r"\b(?:rule|scheme|protocol|dosing|sliding scale)\b", re.IGNORECASE)
_DETAIL = re.compile(
    r"\b(?:according to|(?:as|by|per) the (?:rule|scheme|protocol)|as below|adjusted to|as per|per the|based on|to be (?:completed|done|drawn|collected|performed|taken)|because|"
    r"due to|in order to|"
    r"with (?:the |an? )?(?:occurrence\w*|priority|note|comment|reason|free text|text|message|following)|and (?:write|specify|include|"
    r"state|note)|"
    r"specifying|stating|saying|in (?:the|a) (?:note|free text)|"
    r"(?:by|at|on|before|for|in)\s+(?:the\s+)?(?:tomorrow|next|following|\d\S*|noon|midday)|tomorrow|"
    r"(?:the )?(?:next|following) (?:day|morning)|over \d|every \d|once|twice|three times|daily|bid|tid|qid|PO|"
    r"orally|intravenously|"
    r"subcutaneously|by mouth|but)\b.*$",
    re.IGNORECASE | re.DOTALL,
)
_URGENCY = re.compile(
    r"\b(?:urgent(?:ly)?|stat|asap|as soon as possible|immediately|at once|routine(?:ly)?|again|instead)\b",
    re.IGNORECASE,
)
_LEADING = re.compile(
    r"^(?:(?:an?|the|new|another|one|some|morning|follow-?up|repeat|order for|referral order for|of|to|on)\s+)+",
    re.IGNORECASE,
)
_WHOM = re.compile(
    r"\b(?:for|of|on|to)\s+(?:the|this|my|her|his)\s+patient\b|\b(?:him|her|them|the patient)\b", re.IGNORECASE
)
_ROUTE_BEHIND = re.compile(r"\b(?:IV|PO|orally|intravenously|by mouth|oral|subcutaneously)$", re.IGNORECASE)


def object_of(said: str, background: Background, *, keeps_doses: bool = False) -> str:
    """Return what an act is about, without whom it is for, when, how much and why; for `it` what was looked at.

    Args:
        said: What follows the verb.
        background: The task.
        keeps_doses: Whether amounts stay in it.
    """
    text = _WHOM.sub(" ", without_patient(re.sub(MARK, " ", said), background.who))
    text = re.sub(r"\([^)]*\)", " ", text)
    text = re.split(r":\s|\b(?:for (?:every|each)|per \d)", text, maxsplit=1, flags=re.IGNORECASE)[0]
    text = _DETAIL.sub("", _URGENCY.sub(" ", text))
    for _, start, end in sorted(doses_of(text), key=lambda item: -item[1]) if not keeps_doses else ():
        text = f"{text[:start]} {text[end:]}"
    text = _LEADING.sub("", " ".join(text.split()).strip(" ,.;:-"))
    text = _LEADING.sub("", _ROUTE_BEHIND.sub("", text).strip(" ,"))
    is_pronoun = not text or PRONOUN.match(text) is not None or not telling(text) - {"it"}
    if is_pronoun and not background.measured and not keeps_doses:
        raise Puzzled(f"what {' '.join(said.split())[:80]!r} is")
    return background.measured or text if is_pronoun else text


def _dose(said: str, stated: Sequence[Dose]) -> Dose | None:
    if not stated:
        return None
    routes = routes_of(said)
    is_timed = re.search(r"\bover\s+(?:\d|an?\b|one\b|two\b)", said, re.IGNORECASE) is not None
    if len({(dose.value, dose.unit) for dose in stated}) > 1 or (is_timed and stated[0].hours is None):
        raise Puzzled(f"which dose is meant in {' '.join(said.split())[:120]!r}")
    return replace(stated[0], route=routes[0] if len(routes) == 1 else stated[0].route)


_FREQUENCY = re.compile(
    r"\b(?:every|each|q)\s?(?P<count>\d+)?\s*(?P<unit>h|hours?|hrs?|days?|d)\b"
    r"|\b(?P<times>once|twice|(?:three|four|\d) times)\s+(?:a|per|each|daily)?\s*(?:day|daily)?"
    r"|\b(?P<latin>qd|od|bid|tid|qid)\b|\b(?P<daily>daily)\b",
    re.IGNORECASE,
)
_TIMES = {"once": 1, "twice": 2, "three times": 3, "four times": 4, "qd": 1, "od": 1, "bid": 2, "tid": 3, "qid": 4}


_FOR_LONG = re.compile(rf"\bfor\s+(?P<count>{COUNT})[\s-]*(?P<unit>days?|weeks?|months?)\b", re.IGNORECASE)
_AS_NEEDED = re.compile(r"\b(?:as needed|when needed|PRN)\b", re.IGNORECASE)
_DAYS = {"day": 1, "week": 7, "month": 30}


def schedule_of(said: str) -> Schedule | None:
    """Return how often and for how long a drug is given, where it is said."""
    often, lasts = _FREQUENCY.search(said), _FOR_LONG.search(said)
    length = period(lasts["count"], lasts["unit"]) if lasts is not None else None
    frequency, every, unit = _often(often) if often is not None else (None, 1.0, "d")
    days = length.count * _DAYS[length.unit] if length is not None else None
    found = Schedule(frequency, every, unit, days, _AS_NEEDED.search(said) is not None)
    return found if found != Schedule() else None


def _often(match: re.Match[str]) -> tuple[int, float, str]:
    if match["unit"]:
        return 1, float(match["count"] or 1), match["unit"][0].lower()
    times = " ".join((match["times"] or match["latin"] or "once").lower().split())
    return _TIMES.get(times) or int(times.split()[0]), 1.0, "d"


_PRIORITY = (
    ("stat", r"\bstat\b|\bimmediately\b|\bat once\b"),
    ("asap", r"\basap\b|\bas soon as possible\b"),
    ("urgent", r"\burgent(?:ly)?\b"),
    ("routine", r"\broutine(?:ly)?\b"),
)
_NOTE_WORDS = re.compile(
    r"free[- ]?text|\bnotes?\b|comment|reason|specify|SBAR|\bwrite\b|\bstate\b|include|message|\bsay\b|\bquestion\b|\btext\b|"
    r"indication|saying",
    re.I,
)
_UNQUOTED_NOTE = re.compile(
    r"(?:\bfree[- ]?text|\bnotes?|\bcomment|\breason|\bindication|\bSBAR)\b[^:.\n]{0,40}:\s*(?P<note>\S.*)$",
    re.IGNORECASE | re.DOTALL,
)


def _note(sentence: Sentence, background: Background) -> str | None:
    """The text that goes with an order: quoted in its sentence or in one of the next that speak of it."""
    place = next((n for n, s in enumerate(background.sentences) if s.start == sentence.start), None)
    if place is None:
        return None
    for number, near in enumerate(background.sentences[place : place + 3]):
        quotes = background.wording.quoted(near.text)
        if quotes and (number == 0 or _NOTE_WORDS.search(near.text)) and not re.search(r"\bcode\b", near.text, re.I):
            return max(quotes, key=len)
    paragraph = background.wording.text[sentence.start :].split("\n\n")[0]
    match = _UNQUOTED_NOTE.search(paragraph)
    return background.wording.restored(" ".join(match["note"].split())) if match is not None else None
