"""Numbers and addresses of known people in free text: record numbers, ids, telephones, streets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from wardround.trace.redaction.classes import Identifier
from wardround.trace.redaction.edits import Edit
from wardround.trace.redaction.folding import folded
from wardround.trace.redaction.pseudonyms import Pseudonyms

_CODE = re.compile(r"[^\W_](?:[\w.-]*[^\W_])?")
"""What may be an id or a record number: longest stretches of letters, digits, hyphens and full stops."""
_TYPED = re.compile(r"(?P<type>[A-Z][A-Za-z]{3,39})/(?P<id>[A-Za-z0-9.-]{1,64})")
_QUERIED = re.compile(r"(?<=[=|])(?P<id>[A-Za-z0-9.-]{1,64})(?=$|[&,\s\"'])")
_DIGITS = re.compile(r"\d")
_POSTAL_CUE = re.compile(r"(?:zip|post(?:al)?(?:\s?code)?|[A-Za-z]{3,},?)\W{0,3}$", re.IGNORECASE)
_FEWEST_DIGITS = 7
"""Of a telephone number that is looked for without its area code."""

_TYPES_WORDS = """
Account AdverseEvent AllergyIntolerance Appointment AuditEvent Basic Binary BodyStructure Bundle CarePlan CareTeam
Claim ClinicalImpression Communication CommunicationRequest Composition Condition Consent Contract Coverage
DetectedIssue Device DeviceRequest DeviceUseStatement DiagnosticReport DocumentManifest DocumentReference Encounter
EpisodeOfCare ExplanationOfBenefit FamilyMemberHistory Flag Goal Group GuidanceResponse HealthcareService ImagingStudy
Immunization InsurancePlan Invoice List Location Media Medication MedicationAdministration MedicationDispense
MedicationRequest MedicationStatement NutritionOrder Observation Organization Patient Person Practitioner
PractitionerRole Procedure Provenance QuestionnaireResponse RelatedPerson RequestGroup RiskAssessment Schedule
ServiceRequest Slot Specimen Substance SupplyDelivery SupplyRequest Task VisionPrescription
"""
TYPES = frozenset(_TYPES_WORDS.split())
"""R4 resources that may lead to a person; references to any of them are renamed."""


@dataclass
class Known:
    """What a record says of numbers and addresses."""

    codes: dict[str, Identifier] = field(default_factory=dict)
    """Identifier values, folded; they are renamed."""
    ids: set[str] = field(default_factory=set)
    """Ids of resources."""
    phones: dict[str, Identifier] = field(default_factory=dict)
    """Digits only."""
    phrases: dict[str, Identifier] = field(default_factory=dict)
    """E-mail and web addresses, streets; as they are written."""
    postal: set[str] = field(default_factory=set)


class Literals:
    """Finds known numbers and addresses; takes time proportional to the length of the text."""

    def __init__(self, known: Known, names: Pseudonyms) -> None:
        self._names = names
        self._codes = {code: kind for code, kind in known.codes.items() if _is_telling(code)}
        self._ids = {name for name in known.ids if _is_telling(name)}
        self._all_ids = frozenset(known.ids)
        self._rest = [
            *_compiled({_phone(number): kind for number, kind in known.phones.items()}),
            *_compiled({_phrase(phrase): kind for phrase, kind in known.phrases.items() if len(phrase.strip()) > 3}),
        ]
        self._postal = known.postal

    def edits(self, text: str) -> list[Edit]:
        """Return the known numbers and addresses of a text, and all references to resources."""
        return [*self._coded(text), *self._referred(text), *self._written(text)]

    def _coded(self, text: str) -> Iterable[Edit]:
        for match in _CODE.finditer(text):
            code = match.group()
            if code in self._ids:
                yield Edit(match.start(), match.end(), Identifier.RECORD_NUMBER, self._names.id(code))
                continue
            kind = self._codes.get(folded(code).text)
            if kind is not None:
                yield Edit(match.start(), match.end(), kind, self._names.id(folded(code).text))
            elif code in self._postal and self._is_postal(text, match):
                yield Edit(match.start(), match.end(), Identifier.PLACE, "[PLACE]")

    def _is_postal(self, text: str, match: re.Match[str]) -> bool:
        """Whether a number is a postal code and no laboratory value: by its letters, zeros or the word before."""
        code = match.group()
        return not code.isdigit() or code.startswith("0") or _POSTAL_CUE.search(text[: match.start()]) is not None

    def _referred(self, text: str) -> Iterable[Edit]:
        for match in _TYPED.finditer(text):
            name = match["id"].rstrip(".-")
            if match["type"] in TYPES and name:
                start = match.start("id")
                yield Edit(start, start + len(name), Identifier.RECORD_NUMBER, self._names.id(name))
        for match in _QUERIED.finditer(text):
            if match["id"] in self._all_ids:
                yield Edit(match.start(), match.end(), Identifier.RECORD_NUMBER, self._names.id(match["id"]))

    def _written(self, text: str) -> Iterable[Edit]:
        plain = folded(text)
        for pattern, kind in self._rest:
            for match in pattern.finditer(plain.text):
                start, end = plain.span(match.start(), match.end())
                yield Edit(start, end, kind, f"[{kind.name}]")


def _is_telling(code: str) -> bool:
    """Whether a code is no word and no plain number, so that it may be looked for without anything around it."""
    digits = len(_DIGITS.findall(code))
    return len(code) >= 4 and digits >= 1 and (digits < len(code) or digits >= 6)


def _phone(digits: str) -> str:
    """A telephone number in any grouping, with or without what stands before its last seven digits."""
    between = r"[\s().\-/]{0,3}"
    local = between.join(digits[-_FEWEST_DIGITS:])
    before = digits[:-_FEWEST_DIGITS]
    area = "".join(f"(?:{d}{between})?" for d in before)
    return rf"(?<![\d.])(?:\+{between})?(?:\(\s?)?{area}{local}(?![\d]|\.\d)"


def _phrase(phrase: str) -> str:
    parts = [re.escape(part) for part in re.split(r"[\s,]+", folded(phrase).text.strip()) if part]
    return r"(?<!\w)" + r"[\s,]+".join(parts) + r"(?!\w)"


def _compiled(patterns: Mapping[str, Identifier]) -> Iterable[tuple[re.Pattern[str], Identifier]]:
    return [(re.compile(pattern), kind) for pattern, kind in patterns.items()]
