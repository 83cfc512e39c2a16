"""From words to codes: what the knowledge calls something, and what this record in fact calls it; never just one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wardround.tools.fhir.access import concept, mapping, objects, string
from wardround.tools.fhir.answers import FhirRequestError
from wardround.tools.fhir.columns import values_at
from wardround.tools.fhir.session import RecordSession
from wardround.tools.fhir.units import LOINC, Analytes, folded

ICD10 = "http://hl7.org/fhir/sid/icd-10-cm"

CODED: Mapping[str, tuple[str, ...]] = {
    "Observation": ("code", "component.code"),
    "Condition": ("code",),
    "MedicationRequest": ("medicationCodeableConcept",),
    "MedicationAdministration": ("medicationCodeableConcept",),
    "MedicationStatement": ("medicationCodeableConcept",),
    "Procedure": ("code",),
    "ServiceRequest": ("code",),
    "DiagnosticReport": ("code",),
    "AllergyIntolerance": ("code",),
    "Immunization": ("vaccineCode",),
}
"""Types whose codes are collected, and where these stand."""

LOOKED_THROUGH = 20_000
"""How many resources of one type are gone through for their codes."""
CANDIDATES = 15
"""How many candidates a look-up returns at most."""

_PAGE = "1000"
_FILLERS = frozenset(
    word
    for phrase in ("serum plasma level levels value values result results test tests latest last recent most current",)
    for word in folded(phrase)
)
"""Words of a question that do not say what is measured."""


@dataclass(frozen=True)
class RecordCode:
    """A code that a record uses."""

    type: str
    """Resource type that bears it."""
    system: str
    code: str
    """Empty where something is named in words alone."""
    display: str
    """Its display, or the text beside it."""
    count: int
    """How many resources bear it."""
    panel: tuple[str, ...] = ()
    """Where it is the code of a component: the codes of the Observations that have it, empty for one without."""

    @property
    def as_part(self) -> dict[str, Any]:
        """The code as it stands in a resource."""
        return {"code": {"text": self.display, "coding": [{"system": self.system, "code": self.code}]}}


@dataclass(frozen=True)
class Inventory:
    """The codes of one patient's record."""

    patient: str
    codes: tuple[RecordCode, ...]
    """Most frequent first."""
    gaps: tuple[str, ...] = ()
    """What was not gone through, and why."""


@dataclass(frozen=True)
class CodeCandidate:
    """A code that words may mean."""

    system: str
    code: str
    display: str
    source: str
    """`record` where the patient's record uses it, `knowledge` where only the embedded knowledge names it."""
    count: int | None
    """How often the record has it; nothing where no record was looked at."""
    fit: str
    """How it was found: `name`, `all words` or `some words`."""
    type: str
    """Resource type that bears it."""


_FITS = ("name", "all words", "some words")


async def inventory(session: RecordSession, patient: str, types: Sequence[str] = tuple(CODED)) -> Inventory:
    """Return the codes that a patient's record uses; a type that could not be read is a gap that is named.

    Args:
        session: Reads the record.
        patient: Such as `Patient/1`.
        types: Resource types gone through.

    Raises:
        ToolRefused: The session is held to another patient.
    """
    found: list[Inventory] = []
    for kind in types:
        try:
            found.append(await inventory_of(session, patient, kind))
        except FhirRequestError as error:
            found.append(Inventory(patient, (), (f"{kind}: {error}",)))
    codes = sorted((code for part in found for code in part.codes), key=lambda c: (-c.count, c.type, c.code))
    return Inventory(patient, tuple(codes), tuple(gap for part in found for gap in part.gaps))


async def inventory_of(session: RecordSession, patient: str, kind: str) -> Inventory:
    """Return the codes that a patient's record uses in resources of one type.

    Raises:
        ToolRefused: The session is held to another patient.
        FhirRequestError: The server refused.
    """
    params = {"patient": patient, "_count": _PAGE}
    resources, is_cut = await session.search_all(kind, params, limit=LOOKED_THROUGH)
    codes = sorted(_codes_of(kind, resources), key=lambda c: (-c.count, c.code))
    gaps = (f"{kind}: only the first {LOOKED_THROUGH} were gone through",) if is_cut else ()
    return Inventory(patient, tuple(codes), gaps)


@dataclass(frozen=True)
class _Key:
    system: str
    code: str
    text: str = ""
    """What tells it from others where there is no code."""


def _codes_of(kind: str, resources: Iterable[Mapping[str, Any]]) -> Iterator[RecordCode]:
    counts: Counter[_Key] = Counter()
    displays: dict[_Key, str] = {}
    panels: dict[_Key, dict[str, None]] = {}
    for resource in resources:
        borne: set[_Key] = set()
        for path in CODED[kind]:
            for value in values_at(resource, path):
                for key, display in _named_codes(mapping(value)):
                    borne.add(key)
                    displays[key] = displays.get(key) or display
                    if path.startswith("component"):
                        parents = _named_codes(mapping(resource.get("code")))
                        panels.setdefault(key, {}).update({parent.code: None for parent, _ in parents})
        counts.update(borne)
    for key, count in counts.items():
        yield RecordCode(kind, key.system, key.code, displays[key], count, tuple(panels.get(key, ())))


def _named_codes(value: Mapping[str, Any]) -> Iterator[tuple[_Key, str]]:
    text = concept(value)
    coded = [c for c in objects(value.get("coding")) if string(c.get("code"))]
    for coding in coded:
        yield _Key(string(coding.get("system")), string(coding["code"])), string(coding.get("display")) or text
    if not coded and text:
        yield _Key("", "", text), text


def lookup(words: str, analytes: Analytes, known: Inventory | None = None) -> tuple[CodeCandidate, ...]:
    """Return the codes that words may mean, best first: by fit, then those that the record has, then by frequency.

    Codes that share only some of the words are given where nothing fits better.

    Args:
        words: Such as `serum K` or `blood sugar`; a code finds itself.
        analytes: What the knowledge calls things.
        known: The codes of the patient's record.
    """
    asked = _Asked.of(words, analytes)
    found = [*_in_record(asked, analytes, known), *_in_knowledge(asked, analytes, known)]
    found.sort(key=lambda c: (_FITS.index(c.fit), c.source != "record", -(c.count or 0), c.display, c.code))
    best = [c for c in found if c.fit != _FITS[2]] or found
    return tuple(best[:CANDIDATES])


@dataclass(frozen=True)
class _Asked:
    """Words that were asked for, and other names of what they name."""

    words: str
    phrases: tuple[frozenset[str], ...]
    analytes: frozenset[str]
    """Ids of the analytes that they name exactly."""

    @classmethod
    def of(cls, words: str, analytes: Analytes) -> _Asked:
        solid = tuple(word for word in folded(words) if word not in _FILLERS) or folded(words)
        named = analytes.named(words) or analytes.named(" ".join(solid))
        phrases = [frozenset(solid), *(frozenset(folded(analyte.name)) for analyte in named)]
        kept = tuple(dict.fromkeys(phrase for phrase in phrases if phrase))
        return cls(words, kept, frozenset(analyte.id for analyte in named))

    def fit(self, names: Iterable[str]) -> str | None:
        """How well the best of several names fits."""
        best: int | None = None
        for name in names:
            words = frozenset(folded(name))
            if words and words in self.phrases:
                return _FITS[0]
            if any(phrase <= words for phrase in self.phrases):
                best = 1
            elif best is None and any(len(word) > 3 for word in self.phrases[0] & words if self.phrases):
                best = 2
        return None if best is None else _FITS[best]


def _in_record(asked: _Asked, analytes: Analytes, known: Inventory | None) -> Iterator[CodeCandidate]:
    if not asked.phrases:
        return
    for code in known.codes if known is not None else ():
        analyte = analytes.of(code.as_part)
        is_same = code.code.lower() == asked.words.strip().lower() or (
            analyte is not None and analyte.id in asked.analytes
        )
        fit = _FITS[0] if is_same else asked.fit((code.display, code.code))
        if fit is not None:
            yield CodeCandidate(code.system, code.code, code.display, "record", code.count, fit, code.type)


def _in_knowledge(asked: _Asked, analytes: Analytes, known: Inventory | None) -> Iterator[CodeCandidate]:
    if not asked.phrases:
        return
    used = {(code.system, code.code) for code in known.codes} if known is not None else set()
    kb = analytes.kb
    entries: list[tuple[str, str, str, str, str | None]] = []
    for analyte in kb.analytes.values():
        is_code = asked.words.strip() in analyte.loinc
        fit = _FITS[0] if analyte.id in asked.analytes or is_code else asked.fit((analyte.name, *analyte.synonyms))
        display = f"{analyte.name} ({analyte.unit})"
        entries += [("Observation", LOINC, code, display, fit) for code in analyte.loinc]
    for condition in kb.conditions.values():
        names = (condition.name, *condition.synonyms)
        is_code = asked.words.strip().upper() == condition.icd10
        entries.append(("Condition", ICD10, condition.icd10, condition.name, _FITS[0] if is_code else asked.fit(names)))
    for kind, system, code, display, fit in entries:
        if fit is not None and (system, code) not in used:
            yield CodeCandidate(system, code, display, "knowledge", None if known is None else 0, fit, kind)
