"""Clinical notes in plain words, and the DocumentReferences that hold them.

What a note says is so written that the project's own reader finds it again: one statement for each finding,
numbers with their unit.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wardround.environments.fhir.population.physiology import axes
from wardround.environments.fhir.population.resources import LOCAL, LOINC, Json, Record, concept, instant, to
from wardround.environments.fhir.population.tables import Tables

_TYPES = {
    "emergency": ("34111-5", "Emergency department Note"),
    "clinic": ("34108-1", "Outpatient Note"),
    "progress": ("11506-3", "Progress note"),
    "discharge": ("18842-5", "Discharge summary"),
}
_CATEGORY = [
    {
        "coding": [
            {
                "system": "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category",
                "code": "clinical-note",
            }
        ]
    }
]
_UNITS = {
    "Cel": "°C",
    "mm[Hg]": "mmHg",
    "{score}": "",
    "[pH]": "",
    "1": "",
    "m[IU]/L": "mIU/L",
    "mL/min/{1.73_m2}": "mL/min/1.73 m²",
}


@dataclass(frozen=True)
class Statements:
    """What a note says of findings: codes of the knowledge base."""

    present: tuple[str, ...]
    absent: tuple[str, ...]


def told(tables: Tables, statements: Statements, kinds: Sequence[str]) -> str:
    """Say which findings of some kinds are present and which absent; empty where nothing is said."""
    findings = tables.kb.findings
    present = [findings[code].name for code in statements.present if findings[code].kind in kinds]
    absent = [findings[code].name for code in statements.absent if findings[code].kind in kinds]
    return " ".join([*(f"{_capital(name)}." for name in present), *(f"No {name}." for name in absent)])


def measured(values: Mapping[str, float]) -> str:
    """Say measured values, by analyte, in the analytes' own units."""
    ax = axes()
    said = []
    for name, value in values.items():
        column = ax.column[name]
        digits = ax.behaviours[column].digits
        unit = ax.analytes[column].unit
        said.append(f"{ax.analytes[column].name} {value:.{digits}f} {_UNITS.get(unit, unit)}".strip())
    return ", ".join(said) + "." if said else ""


def file_note(
    record: Record,
    kind: str,
    text: str,
    *,
    at: int,
    author: str,
    encounter: Json,
) -> Json:
    """File a note as a DocumentReference with a plain-text attachment.

    Args:
        record: The patient's record.
        kind: `emergency`, `clinic`, `progress` or `discharge`.
        text: What it says.
        at: When it was written, in seconds since 1970.
        author: Id of the Practitioner.
        encounter: Reference to the Encounter.
    """
    code, display = _TYPES[kind]
    when = instant(at)
    return record.add(
        "DocumentReference",
        {
            "identifier": [{"system": LOCAL + "note", "value": f"{record.patient}-{at}-{kind}"}],
            "status": "current",
            "docStatus": "final",
            "type": concept(display, LOINC, code, display),
            "category": _CATEGORY,
            "subject": record.subject,
            "date": when,
            "author": [to("Practitioner", author)],
            "content": [
                {
                    "attachment": {
                        "contentType": "text/plain",
                        "data": base64.b64encode(text.encode()).decode("ascii"),
                        "title": display,
                        "creation": when,
                    }
                }
            ],
            "context": {"encounter": [encounter]},
        },
    )


def paragraphs(parts: Mapping[str, str]) -> str:
    """Set a note: a heading and a line for each part that says something."""
    return "\n".join(f"{heading}: {text}" for heading, text in parts.items() if text)


def who(age: float, sex: str) -> str:
    """Return a person in words, as the first line of a note has it.

    >>> who(67.3, "female"), who(0.4, "male"), who(9.0, "female")
    ('67-year-old woman', '5-month-old boy', '9-year-old girl')
    """
    if age < 2:
        return f"{max(round(age * 12), 1)}-month-old {'girl' if sex == 'female' else 'boy'}"
    grown = {"female": "woman", "male": "man"} if age >= 18 else {"female": "girl", "male": "boy"}
    return f"{int(age)}-year-old {grown[sex]}"


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]
