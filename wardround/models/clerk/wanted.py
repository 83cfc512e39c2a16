"""What a task can want done, as typed values, and under which condition."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, auto

from wardround.models.clerk.asked import Listing, Measured
from wardround.models.clerk.doses import Dose
from wardround.models.clerk.glossary import Code
from wardround.models.clerk.spans import Span
from wardround.models.clerk.times import Period


@dataclass(frozen=True)
class Within:
    """A condition: the value lies in a range."""

    span: Span


@dataclass(frozen=True)
class Abnormal:
    """A condition: the value is low, or high; from where on, the rule or the record's range says."""

    is_low: bool


@dataclass(frozen=True)
class Overdue:
    """A condition: the last one is older than this, or there is none."""

    age: Period
    counts_missing: bool = True


@dataclass(frozen=True)
class Missing:
    """A condition: there is no value."""


@dataclass(frozen=True)
class Listed:
    """A condition: the chart lists something, or does not."""

    listing: Listing
    is_there: bool


Condition = Within | Abnormal | Overdue | Missing | Listed


class Kind(StrEnum):
    """What is ordered."""

    DRUG = auto()
    LAB = auto()
    REFERRAL = auto()
    IMAGING = auto()
    PROCEDURE = auto()


@dataclass(frozen=True)
class Schedule:
    """How often a drug is given."""

    frequency: int | None = None
    """How many times in a period; nothing where it is not said."""
    period: float = 1
    unit: str = "d"
    """`h` or `d`."""
    days: float | None = None
    """For how long."""
    is_as_needed: bool = False


@dataclass(frozen=True)
class Order:
    """Order something."""

    kind: Kind
    words: str
    code: Code | None = None
    note: str | None = None
    priority: str | None = None
    due: str | None = None
    """As FHIR writes it."""
    dose: Dose | None = None
    instructions: str = ""
    """How a drug is to be taken, as stated."""
    schedule: Schedule | None = None
    follows_rule: bool = False
    """Whether the dose is the task's rule's."""
    goes_with: bool = False
    """Whether it is ordered only together with the order before it."""
    performer: tuple[str, str] | None = None
    """System and code of the specialty that is asked."""
    as_rule_says: bool = False
    """Whether the task's context says when it is ordered."""
    condition: Condition | None = None
    decided_by: Measured | None = None
    """What the condition is about, where it says so itself."""
    spares_duplicates: bool = False
    """Whether an order that is already in force makes it needless."""
    spares_allergic: bool = False
    """Whether the task says to mind allergies."""


@dataclass(frozen=True)
class Recording:
    """Write down what was measured."""

    words: str
    value: str
    """As stated, such as `118/77 mmHg`."""
    code: Code | None = None
    when: str | None = None
    """As FHIR writes it; nothing for now."""
    condition: Condition | None = None
    decided_by: Measured | None = None


@dataclass(frozen=True)
class Correction:
    """Put a recorded value right, or mark it as entered in error."""

    of: Measured
    wrong: float | None
    right: float | None
    """Nothing where the entry is only to be marked."""
    condition: Condition | None = None
    decided_by: Measured | None = None


@dataclass(frozen=True)
class Cancellation:
    """End an order."""

    kind: Kind | None
    words: str
    status: str
    """`revoked`, `cancelled` or `stopped`."""
    condition: Condition | None = None
    decided_by: Measured | None = None


Act = Order | Recording | Correction | Cancellation
