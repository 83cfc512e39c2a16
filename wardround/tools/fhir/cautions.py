"""What a clinician wants to know before a write: it may be there already, or the patient may be allergic to it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from wardround.core.errors import ToolError
from wardround.knowledge.text import tokens
from wardround.tools.fhir.access import code, concept, mapping, objects, string
from wardround.tools.fhir.client import FhirClient
from wardround.tools.fhir.wording import is_void

LOOKED_THROUGH = 500
"""How many resources are looked through for a duplicate or an allergy."""

DRUG_CLASSES: Mapping[str, tuple[str, str]] = {
    "penicillin": (r"penicillins?|beta[- ]?lactams?", r"\w*cillin"),
    "cephalosporin": (r"cephalosporins?|beta[- ]?lactams?", r"cef\w+|ceph\w+"),
    "carbapenem": (r"carbapenems?|beta[- ]?lactams?", r"\w+penem"),
    "sulfonamide antibiotic": (
        r"sul(?:f|ph)a|sul(?:f|ph)onamides?|sulfa drugs?",
        r"sul(?:f|ph)a\w+zole|sul(?:f|ph)adiazine|co-?trimoxazole",
    ),
    "macrolide": (r"macrolides?", r"\w*thromycin"),
    "fluoroquinolone": (r"(?:fluoro)?quinolones?", r"\w+floxacin"),
    "tetracycline": (r"tetracyclines?", r"\w*cycline"),
    "aminoglycoside": (r"aminoglycosides?", r"gentamicin|tobramycin|amikacin|streptomycin|neomycin"),
    "non-steroidal anti-inflammatory drug": (
        r"nsaids?|non-?steroidal\S*|salicylates?",
        r"ibuprofen|naproxen|diclofenac|ketorolac|indomet[h]?acin|aspirin|acetylsalicylic|meloxicam|\w*coxib|ketoprofen",
    ),
    "opioid": (
        r"opioids?|opiates?",
        r"morphine|codeine|oxycodone|hydrocodone|hydromorphone|tramadol|methadone|buprenorphine|\w*fentan[iy]l\w*",
    ),
    "ACE inhibitor": (r"ace[- ]inhibitors?", r"\w+pril"),
    "statin": (r"statins?", r"\w+vastatin"),
    "local anaesthetic": (r"local an(?:a)?esthetics?", r"\w+caine"),
    "iodinated contrast": (
        r"iodinated contrast\w*|contrast (?:media|medium|dye)|iodine contrast|radiocontrast",
        r"io(?:hexol|pamidol|dixanol|versol|promide|meprol)",
    ),
    "heparin": (r"heparins?", r"\w*parin"),
}
"""Class -> how allergies name it, and how its members are called.

Members by the stems of their names: WHO, The use of stems in the selection of international nonproprietary
names (INN) for pharmaceutical substances, 2018; those without a stem are listed. Not complete.
"""

_ACTIVE: Mapping[str, Mapping[str, str]] = {
    "MedicationRequest": {"status": "active"},
    "ServiceRequest": {"status": "active"},
    "Condition": {"clinical-status": "active"},
    "AllergyIntolerance": {},
}
"""Types that can be there already, and how those still in force are searched."""

_FORM_WORDS = """
    mg mcg g ml meq unit units tablet tablets capsule capsules oral injection injectable solution infusion
    intravenous iv po daily dose drug product extended release suspension per and with in of for the
"""
_FORMS = frozenset(_FORM_WORDS.split())
"""Words of a drug's name that do not tell which substance it is."""


async def cautions(
    client: FhirClient, patient: str, resource: Mapping[str, Any], *, replaces: str | None = None
) -> tuple[str, ...]:
    """Return warnings about a resource that is to be written; what could not be looked up is one.

    Args:
        client: Asks the record.
        patient: Such as `Patient/1`.
        resource: What is to be written.
        replaces: Id of the one that it takes the place of, which is no duplicate of it.
    """
    found: list[str] = []
    kind = string(resource.get("resourceType"))
    found += await _told(_duplicates(client, patient, resource, replaces), f"whether this {kind} is there already")
    if kind in ("MedicationRequest", "MedicationAdministration"):
        found += await _told(_allergies(client, patient, resource), "allergies")
    return tuple(found)


async def _told(lookup: Any, what: str) -> list[str]:
    """A check that fails is told; silence would read as all clear."""
    try:
        result: list[str] = await lookup
    except ToolError as error:
        return [f"could not check {what}: {error}"]
    return result


async def _duplicates(client: FhirClient, patient: str, resource: Mapping[str, Any], replaces: str | None) -> list[str]:
    kind = string(resource.get("resourceType"))
    params = {"patient": patient, "_count": "100"}
    if kind == "Observation" and string(resource.get("effectiveDateTime")):
        params["date"] = resource["effectiveDateTime"]
    elif kind in _ACTIVE:
        params |= _ACTIVE[kind]
    else:
        return []
    known, truncated = await client.search_all(kind, params, limit=LOOKED_THROUGH)
    others = [other for other in known if not is_void(other) and other.get("id") != replaces]
    same = [other for other in others if _is_same(resource, other)]
    found = [f"possible duplicate of {kind}/{other.get('id')}: {_described(other)}" for other in same[:5]]
    if truncated:
        found.append(f"only {LOOKED_THROUGH} of the {kind}s were looked through for a duplicate")
    return found


def _is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    if _codings(_named(one)) & _codings(_named(other)):
        return True
    mine, theirs = _substances(concept(_named(one))), _substances(concept(_named(other)))
    is_drug = one.get("resourceType") == "MedicationRequest"
    return bool(mine) and (mine[:1] == theirs[:1] if is_drug else mine == theirs)


def _named(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in ("medicationCodeableConcept", "code"):
        if resource.get(name) is not None:
            return mapping(resource[name])
    reference = mapping(resource.get("medicationReference"))
    return {"text": string(reference.get("display"))}


def _codings(named: Mapping[str, Any]) -> set[tuple[str, str]]:
    return {(string(c.get("system")), string(c.get("code"))) for c in objects(named.get("coding")) if c.get("code")}


def _substances(name: str) -> list[str]:
    """Words of a name that tell what it is; numbers and forms do not."""
    return [token.word for token in tokens(name) if not token.raw[0].isdigit() and token.raw.lower() not in _FORMS]


def _described(resource: Mapping[str, Any]) -> str:
    when = next(
        (string(resource.get(n)) for n in ("authoredOn", "effectiveDateTime", "recordedDate") if resource.get(n)), ""
    )
    state = string(resource.get("status")) or code(resource, "clinicalStatus") or ""
    return ", ".join(part for part in (concept(_named(resource)) or code(resource, "code"), state, when) if part)


async def _allergies(client: FhirClient, patient: str, resource: Mapping[str, Any]) -> list[str]:
    params = {"patient": patient, "_count": "100"}
    listed, truncated = await client.search_all("AllergyIntolerance", params, limit=LOOKED_THROUGH)
    drug = " ".join((concept(_named(resource)), *_displays(_named(resource)))).strip()
    if not drug:
        return ["the drug has no name, only a code: allergies could not be checked"]
    in_force = [allergy for allergy in listed if _is_in_force(allergy)]
    found = [
        f"documented allergy: {_allergen(allergy)} (AllergyIntolerance/{allergy.get('id')}{_grade(allergy)}); {why}"
        for allergy in in_force
        if (why := clash(drug, _allergen(allergy))) is not None
    ]
    if truncated:
        found.append(f"only {LOOKED_THROUGH} allergies were looked through")
    if not listed:
        found.append("no allergies are recorded, which does not mean that there are none")
    return found


def _is_in_force(allergy: Mapping[str, Any]) -> bool:
    is_refuted = code(allergy, "verificationStatus") in ("refuted", "entered-in-error")
    return not is_refuted and code(allergy, "clinicalStatus") not in ("inactive", "resolved")


def _allergen(allergy: Mapping[str, Any]) -> str:
    named = [allergy.get("code"), *(mapping(r).get("substance") for r in objects(allergy.get("reaction")))]
    return ", ".join(dict.fromkeys(filter(None, (concept(name) for name in named)))) or "unnamed substance"


def _grade(allergy: Mapping[str, Any]) -> str:
    grade = string(allergy.get("criticality"))
    return f", criticality {grade}" if grade else ""


def _displays(named: Mapping[str, Any]) -> Iterator[str]:
    yield from (string(c.get("display")) for c in objects(named.get("coding")) if c.get("display"))


def clash(drug: str, allergen: str) -> str | None:
    """Return why a drug may be one that a patient is allergic to, by words alone; nothing where no word says so.

    >>> clash("amoxicillin 500 mg capsule", "Penicillin V")
    'amoxicillin is a penicillin'
    >>> clash("paracetamol", "Penicillin V") is None
    True
    """
    mine, theirs = _substances(drug), _substances(allergen)
    shared = {word for word in set(mine) & set(theirs) if len(word) > 3 and word not in _SALTS} | (
        {*mine[:1]} & {*theirs[:1]}
    )
    if shared:
        raw = next(token.raw for token in tokens(drug) if token.word in shared)
        return f"{raw} is named in it"
    for name, (called, members) in DRUG_CLASSES.items():
        member = re.search(rf"\b(?:{members})\b", drug, re.IGNORECASE)
        if member and re.search(rf"\b(?:{called}|{members})\b", allergen, re.IGNORECASE):
            article = "an" if name[0] in "aeiouA" else "a"
            return f"{member.group()} is {article} {name}"
    return None


_SALT_WORDS = """
    sodium potassium calcium magnesium chloride hydrochloride sulfate sulphate phosphate acetate maleate tartrate acid
"""
_SALTS = frozenset(token.word for token in tokens(_SALT_WORDS))
"""A shared salt says nothing of a shared substance, unless both names begin with it."""
