"""What the YAML files under data/ may say, as frozen values."""

from __future__ import annotations

from datetime import date
from functools import cached_property
from typing import Literal

from pydantic import Field

from wardround.core.frozen import Frozen
from wardround.knowledge.schema import Analyte

Urgency = Literal["emergent", "urgent", "routine"]
ByAge = dict[float, float]
"""A figure by the age in years from which it holds, or between which it runs in straight lines."""


class Town(Frozen):
    """An invented town."""

    city: str
    district: str
    postal: str


class Culture(Frozen):
    """Names that go together."""

    id: str
    language: str
    """BCP 47."""
    weight: float
    female: tuple[str, ...]
    male: tuple[str, ...]
    family: tuple[str, ...]


class Heights(Frozen):
    """Median height in cm by age, and the spread as a share of it."""

    female: ByAge
    male: ByAge
    spread: float


class People(Frozen):
    """Who the patients are."""

    ages: dict[int, float]
    oldest: int
    female: float
    stars: tuple[str, ...]
    streets: tuple[str, ...]
    towns: tuple[Town, ...]
    cultures: tuple[Culture, ...]
    marital: dict[float, dict[str, float]]
    height: Heights
    traits: tuple[str, ...]
    from_age: dict[str, float]
    until_age: dict[str, float]
    menopause: int


class OrganizationRow(Frozen):
    """An Organization."""

    id: str
    name: str
    type: str
    part_of: str | None = None


class LocationRow(Frozen):
    """A Location."""

    id: str
    name: str
    form: str
    organization: str
    part_of: str | None = None


class Specialty(Frozen):
    """A specialty, how many practise it, and where."""

    id: str
    name: str
    code: str
    staff: int
    ward: str | None = None
    site: str = "loc-clinics"
    knowledge: tuple[str, ...] = ()


class Staff(Frozen):
    """The hospital."""

    organizations: tuple[OrganizationRow, ...]
    locations: tuple[LocationRow, ...]
    specialties: tuple[Specialty, ...]

    @cached_property
    def by_id(self) -> dict[str, Specialty]:
        """Specialties by id."""
        return {row.id: row for row in self.specialties}

    @cached_property
    def of_knowledge(self) -> dict[str, str]:
        """Id of the specialty that stands for one of the knowledge base."""
        return {name: row.id for row in self.specialties for name in row.knowledge}


class LongTerm(Frozen):
    """A long-lasting condition; conditions.yaml says what each member means."""

    id: str
    name: str
    icd10: str
    knowledge: str | None = None
    history: str | None = None
    ever: ByAge
    sex: dict[Literal["female", "male"], float] = Field(default={})
    raised_by: dict[str, float] = Field(default={})
    excludes: tuple[str, ...] = ()
    specialty: str
    visits: float
    panels: tuple[str, ...] = ()
    moves: dict[str, float] = Field(default={})
    drugs: tuple[dict[str, float], ...] = ()
    plan: tuple[str, ...] = ()
    lasts: bool = True


class OtherUnit(Frozen):
    """How another laboratory reports an analyte."""

    unit: str
    ucum: str | None = None
    digits: int
    loinc: str | None = None
    display: str | None = None


class Behaviour(Frozen):
    """How an analyte behaves and is coded; analytes.yaml says what each member means."""

    digits: int
    log: bool = False
    healthy: tuple[float, float] | None = None
    spread: float = 0.33
    within: float = 0.22
    hours: float = 48.0
    beyond: float = 0.6
    loinc: str | None = None
    display: str | None = None
    other: OtherUnit | None = None
    vital: bool = False


class Panel(Frozen):
    """Analytes that are ordered together."""

    name: str
    code: str | None = None
    analytes: tuple[str, ...]


class Analytes(Frozen):
    """What is measured and how often."""

    behaviour: dict[str, Behaviour]
    healthy_from_age: float
    own: tuple[Analyte, ...]
    own_behaviour: dict[str, Behaviour]
    panels: dict[str, Panel]
    in_hospital: dict[str, float]
    in_hospital_hours: float
    admission: tuple[str, ...]
    inpatient: dict[str, tuple[float, float]]
    intensive: dict[str, tuple[float, float]]


class Route(Frozen):
    """A route of administration in SNOMED CT."""

    code: str
    display: str


class Drug(Frozen):
    """A drug in its usual dose; medications.yaml says what each member means."""

    name: str
    atc: str
    group: str
    dose: float
    unit: str
    route: str = "oral"
    per_day: float
    prn: bool = False
    once: bool = False
    days: int | None = None
    use: str | None = None
    moves: dict[str, float] = Field(default={})


class AllergyRow(Frozen):
    """What people are recorded as allergic to."""

    name: str
    system: str | None = None
    code: str | None = None
    display: str | None = None
    groups: tuple[str, ...]
    category: Literal["food", "medication", "environment", "biologic"]
    weight: float


class Reaction(Frozen):
    """What an allergy did."""

    name: str
    weight: float
    severity: Literal["mild", "moderate", "severe"]
    system: str | None = None
    code: str | None = None


class Medications(Frozen):
    """The formulary and the allergies."""

    routes: dict[str, Route]
    drugs: dict[str, Drug]
    allergies: tuple[AllergyRow, ...]
    reactions: tuple[Reaction, ...]


class Replacement(Frozen):
    """A drug that follows a low value."""

    analyte: str
    below: float
    drug: str
    share: float


class Treatments(Frozen):
    """What is given for acute conditions, and what is not given together."""

    conditions: dict[str, dict[str, float]]
    others: dict[str, float]
    admitted: dict[str, float]
    replacements: tuple[Replacement, ...]
    adult_only: tuple[str, ...]
    avoid: dict[str, tuple[str, ...]]
    exclusive: tuple[tuple[str, ...], ...]


class Course(Frozen):
    """How conditions of one urgency are seen and kept."""

    seen: float
    admitted: float
    days: float
    spread: float
    intensive: float


class ProcedureRow(Frozen):
    """A procedure; `from_age` for those that outpatients are sent for."""

    name: str
    code: str | None = None
    share: float
    from_age: float = 0.0


class Episodes(Frozen):
    """Acute attendances; episodes.yaml says what each member means."""

    per_year: ByAge
    per_condition: float
    most_per_year: float
    urgency: dict[Urgency, Course]
    days: dict[str, float]
    lasting: tuple[str, ...]
    resolves: dict[Urgency, tuple[int, int]]
    since: dict[str, date]
    procedures: dict[str, tuple[ProcedureRow, ...]]
    intensive: tuple[ProcedureRow, ...]
    elective: tuple[ProcedureRow, ...]
    done: dict[str, float]
    done_if_likely: float
    likely: float
    in_clinic: float


class Study(Frozen):
    """A study and the findings it shows (patterns)."""

    id: str
    name: str
    code: str | None = None
    display: str | None = None
    modality: str | None = None
    category: str
    series: tuple[int, int] = (1, 1)
    findings: tuple[str, ...]


class Vaccine(Frozen):
    """A vaccine and when it is given."""

    name: str
    code: str
    share: float
    at: tuple[float, ...] = ()
    dates: tuple[date, ...] = ()
    every: float | None = None
    from_age: float = 0.0
    month: int | None = None
