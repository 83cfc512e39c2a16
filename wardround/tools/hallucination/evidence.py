"""The evidence of a case, read once and indexed by what it speaks of."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar, cast

from wardround.core.source import Source, SourceKind
from wardround.knowledge.demographics import demographics
from wardround.knowledge.expressions import Expression
from wardround.knowledge.text import fold, sentences, tokens
from wardround.tools.hallucination.hygiene import Clean, cleaned
from wardround.tools.hallucination.statements import Link, Reading, Said, StatementReader

ABOUT_THE_PATIENT = frozenset(
    (
        SourceKind.LAB,
        SourceKind.IMAGING_REPORT,
        SourceKind.CLINICIAN_NOTE,
        SourceKind.STRUCTURED_RECORD,
        SourceKind.PATIENT,
    )
)
_NUMBER = Expression(
    r"\b(?:mrn|nhs (?:no|number)|patient (?:id|no|number)|hospital (?:no|number))\W{0,3}(?P<id>\w*\d[\w-]*)", re.I
)
_NAME = Expression(r"\b(?:patient(?: name)?|name)\s*:\s*(?P<name>[A-Z][\w'-]+(?:,? [A-Z][\w'-]+)+)")
_OTHER_PERSON = Expression(
    r"\b(?:roommate|room-mate|(?:another|other|different|previous|wrong) patient"
    r"|(?:next|adjacent|neighbou?ring|other) bed"
    r"|misfiled|filed in error|entered in error|index case)\b",
    re.IGNORECASE,
)
_STATED_AGE = Expression(r"\d[\s-]?(?:year|yr|yo\b|y/o|month)|\baged? \d|\b\d{1,3}\s?[MF]\b", re.IGNORECASE)
NUMBER_WITH_UNIT = Expression(
    r"(?P<number>\d+(?:[.,]\d+)?)\s?"
    r"(?:[^\s(),;]*[/\[%][^\s(),;]*|(?:°?[cfk]|cel|mm ?hg|bpm|fl|kpa|sec?|[mk]?g)\b)?",
    re.IGNORECASE,
)
NUMBER_WORDS = {
    fold(word): float(n)
    for n, word in enumerate(("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"), start=1)
}
_UNITS_OF_TIME = (1 / 1440, 1 / 24, 1.0, 7.0, 30.4, 365.25)
"""Minutes to years, in days."""
T = TypeVar("T")
_AGE_SLACK = 2.0
"""Years by which the age in a text may differ from the patient's, since texts are of different times."""


@dataclass(frozen=True)
class Entry:
    """One source as it may be read."""

    source: Source
    clean: Clean
    reading: Reading
    identity: str | None
    """Number or name of the patient that it names."""
    stranger: str | None
    """Why it is about someone else, where its own words say so."""

    @cached_property
    def words(self) -> frozenset[str]:
        """The stems of its words."""
        return frozenset(token.word for token in tokens(self.clean.text))

    @cached_property
    def numbers(self) -> tuple[float, ...]:
        """Its numbers: in digits and words, measured values in the analyte's unit, durations in any unit of time."""
        findings = [said.finding for said in self.reading.said]
        return (
            *(plain_number(m) for m in NUMBER_WITH_UNIT.finditer(self.clean.text)),
            *(f.value for f in findings if f.value is not None),
            *(f.days / unit for f in findings if f.days is not None for unit in _UNITS_OF_TIME),
            *(n for word, n in NUMBER_WORDS.items() if word in self.words),
        )


class Evidence:
    """All sources of a case, indexed."""

    def __init__(self, entries: Iterable[Entry], *, patient: str | None, subjects: Mapping[str, str]) -> None:
        self.entries = {entry.source.id: entry for entry in entries}
        self._patient = patient or _commonest(e.identity for e in self.entries.values())
        self._subjects = subjects
        self._kept: dict[str, object] = {}
        self.strangers = {i: why for i, e in self.entries.items() if (why := self._stranger(i, e)) is not None}
        self.about = [
            e for i, e in self.entries.items() if e.source.kind in ABOUT_THE_PATIENT and i not in self.strangers
        ]
        self.about_by_id = {e.source.id: e for e in self.about}
        self.by_code: dict[str, list[tuple[Said, Source]]] = defaultdict(list)
        self._by_kind: dict[str, list[str]] = defaultdict(list)
        self._elsewhere: dict[str, list[str]] = defaultdict(list)
        self.links: list[tuple[Link, Source]] = []
        for entry in self.about:
            for said in entry.reading.said:
                self.by_code[said.code].append((said, entry.source))
            self.links += [(link, entry.source) for link in entry.reading.links]
        for code in self.by_code:
            self._by_kind[code.partition(":")[0]].append(code)
        for name in self.strangers:
            for code in dict.fromkeys(said.code for said in self.entries[name].reading.said):
                self._elsewhere[code].append(name)

    def kept(self, name: str, made: Callable[[Evidence], T]) -> T:
        """Return what a check makes of the whole evidence, made once."""
        if name not in self._kept:
            self._kept[name] = made(self)
        return cast(T, self._kept[name])

    def speaks_of(self, code: str) -> list[tuple[Said, Source]]:
        """Return what is said of something about this patient."""
        return self.by_code.get(code, [])

    def elsewhere(self, code: str) -> list[str]:
        """Return sources about someone else that speak of something."""
        return self._elsewhere.get(code, [])

    def of_kind(self, *kinds: str) -> Iterator[tuple[str, list[tuple[Said, Source]]]]:
        """Iterate over what is said of this patient's drugs, allergies, organisms: code and all that speak of it."""
        for kind in kinds:
            for code in self._by_kind.get(kind, ()):
                yield code, self.by_code[code]

    def _stranger(self, name: str, entry: Entry) -> str | None:
        subject = self._subjects.get(name)
        if subject is not None and self._patient is not None and subject != self._patient:
            return f"it is of {subject}, not of {self._patient}"
        if subject is None and entry.identity is not None and entry.identity != self._patient:
            return f"it is of {entry.identity}, not of {self._patient}"
        return entry.stranger


def _commonest(names: Iterable[str | None]) -> str | None:
    counts = Counter(name for name in names if name is not None)
    return counts.most_common(1)[0][0] if counts else None


def entry_of(source: Source, reader: StatementReader, *, age: float | None, sex: str | None) -> Entry:
    """Read one source; sentences about another person are blanked, a text about another patient is marked."""
    clean = cleaned(source.text)
    text = clean.text
    if _OTHER_PERSON.search(text):
        for sentence in sentences(text):
            if _OTHER_PERSON.search(sentence.text):
                end = sentence.start + len(sentence.text)
                text = text[: sentence.start] + " " * len(sentence.text) + text[end:]
    stranger = None if text.strip() or not clean.text.strip() else "it speaks of another person"
    if stranger is None:
        stranger = _other_demographics(text, age, sex)
    reading = reader.read(clean.text if stranger else text)
    return Entry(source, Clean(text, clean.places, clean.hidden, clean.addressed), reading, _identity(text), stranger)


def plain_number(match: re.Match[str]) -> float:
    """Return the number of a match of NUMBER_WITH_UNIT."""
    return float(match["number"].replace(",", "."))


def _identity(text: str) -> str | None:
    number = _NUMBER.search(text)
    if number is not None:
        return number["id"].lower()
    name = _NAME.search(text)
    return " ".join(sorted(name["name"].lower().replace(",", "").split())) if name is not None else None


def _other_demographics(text: str, age: float | None, sex: str | None) -> str | None:
    if (age is None and sex is None) or not _STATED_AGE.search(text):
        return None
    told = demographics(text)
    if told.age is None:
        return None
    if age is not None and abs(told.age - age) > _AGE_SLACK:
        return f"its patient is {told.age:g} years old, not {age:g}"
    if sex is not None and told.sex is not None and told.sex != sex:
        return f"its patient is {told.sex}, not {sex}"
    return None
