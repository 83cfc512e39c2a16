"""What a task asks, as facts: read out of the published wording by its fixed points."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from wardround.core.errors import UsageError
from wardround.evals.medagentbench.tasks import MedAgentTask

_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_INSTANT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:Z|[+-][0-9]{2}:[0-9]{2})"
_TIER = rf"(<?)\s*({_NUMBER})\s*mg/dL[^<]*?({_NUMBER})\s*g\s+over\s+({_NUMBER})\s*hours?"


@dataclass(frozen=True)
class LookUp:
    """Category 1: find a patient's record number."""

    name: str
    """Given names and family name, the family name last."""
    birth_date: date
    absent: str
    """The answer where there is no such patient."""


@dataclass(frozen=True)
class _AboutPatient:
    mrn: str
    stamp: str
    """The time of the task as the context writes it; it stands still."""

    @property
    def now(self) -> datetime:
        """The time of the task."""
        return datetime.fromisoformat(self.stamp)


@dataclass(frozen=True)
class Age(_AboutPatient):
    """Category 2: the patient's age in whole years."""


@dataclass(frozen=True)
class Recording(_AboutPatient):
    """Category 3: write down one reading."""

    code: str
    """Flowsheet id."""
    reading: str
    """`<systolic>/<diastolic> mmHg`, as the instruction has it."""


@dataclass(frozen=True)
class Level(_AboutPatient):
    """Categories 4, 6 and 7: tell a laboratory value."""

    code: str
    window: timedelta | None
    """How far back values count; none for any time."""
    is_mean: bool = False
    """Whether the mean of the window is asked for, not the latest value."""


@dataclass(frozen=True)
class Tier:
    """One line of a dosing rule: up to a limit, so much over so long."""

    limit: float
    """mg/dL."""
    is_inclusive: bool
    dose: float
    """g."""
    hours: float

    def holds(self, value: float) -> bool:
        """Whether a value is at most the limit, or below it where the limit itself does not count."""
        return value < self.limit or (self.is_inclusive and value == self.limit)


@dataclass(frozen=True)
class Infusion(_AboutPatient):
    """Category 5: replace magnesium into a vein if the last value of the window is low."""

    code: str
    window: timedelta
    ndc: str
    tiers: tuple[Tier, ...]
    """The severest first."""

    def tier(self, value: float) -> Tier | None:
        """Return the line of the rule for a value in mg/dL; none where it is not low."""
        return next((tier for tier in self.tiers if tier.holds(value)), None)


@dataclass(frozen=True)
class Referral(_AboutPatient):
    """Category 8: refer to a specialty with a given text."""

    snomed: str
    text: str


@dataclass(frozen=True)
class Repletion(_AboutPatient):
    """Category 9: replace potassium by mouth if the last value is low, and measure again next morning."""

    code: str
    ndc: str
    loinc: str
    goal: float
    """mEq/L; below it is low."""
    step: float
    """mEq/L."""
    per_step: float
    """mEq for each step below the goal."""
    due: datetime
    """When the level is to be measured; any time in that hour will do."""

    def dose(self, value: float) -> float:
        """Return the dose in mEq for a value in mEq/L."""
        return (self.goal - value) / self.step * self.per_step


@dataclass(frozen=True)
class Recheck(_AboutPatient):
    """Category 10: tell the last HbA1c and its time; order a new one if it is old or there is none."""

    code: str
    loinc: str
    oldest: datetime
    """A value before it is old."""


Facts = LookUp | Age | Recording | Level | Infusion | Referral | Repletion | Recheck


def facts_of(task: MedAgentTask) -> Facts:
    """Read the facts out of a task's instruction and context.

    Raises:
        UsageError: The wording is not the published one; names the task and what was not found.
    """
    return _READERS[task.category](task)


def _look_up(task: MedAgentTask) -> LookUp:
    found = _found(task, "instruction", r"\bname\s+(\S.*?)\s+and\s+DOB\D*([0-9]{4}-[0-9]{2}-[0-9]{2})", "name and DOB")
    absent = _found(task, "instruction", r'"([^"]+)"', "the quoted answer for an absent patient")[1]
    try:
        return LookUp(" ".join(found[1].split()), date.fromisoformat(found[2]), absent)
    except ValueError as error:
        raise _fault(task, "instruction", f"a date of birth that exists ({error})") from error


def _age(task: MedAgentTask) -> Age:
    return Age(_mrn(task), _stamp(task))


def _recording(task: MedAgentTask) -> Recording:
    reading = _found(task, "instruction", r"\b([0-9]{2,3}/[0-9]{2,3} mmHg)", "a reading such as 120/80 mmHg")[1]
    code = _found(task, "context", r'\bflowsheet\b.*?\bis\s+"?(\w[\w-]*)', "the flowsheet id")[1]
    return Recording(_mrn(task), _stamp(task), code, reading)


def _level(task: MedAgentTask) -> Level:
    window = None if task.category == 7 else _window(task)
    return Level(_mrn(task), _stamp(task), _code(task), window, is_mean=task.category == 6)


def _infusion(task: MedAgentTask) -> Infusion:
    lines = re.findall(_TIER, task.context)
    if not lines:
        raise _fault(task, "context", "a dosing rule such as <1 mg/dL: 4 g over 4 hours")
    tiers = [Tier(float(limit), not below, float(dose), float(hours)) for below, limit, dose, hours in lines]
    severest_first = tuple(sorted(tiers, key=lambda tier: (tier.limit, tier.is_inclusive)))
    return Infusion(_mrn(task), _stamp(task), _code(task), _window(task), _ndc(task), severest_first)


def _referral(task: MedAgentTask) -> Referral:
    text = _found(task, "instruction", r'"(.+)"', "the quoted text of the referral")[1]
    snomed = _found(task, "context", r"\bSNOMED\b\D*([0-9]{6,18})\b", "a SNOMED code")[1]
    return Referral(_mrn(task), _stamp(task), snomed, text)


def _repletion(task: MedAgentTask) -> Repletion:
    step = _found(task, "context", rf"\bevery\s+({_NUMBER})\s*mEq/L", "the step of the dosing rule in mEq/L")[1]
    per_step = _found(task, "context", rf"\border\s+({_NUMBER})\s*mEq\b", "the dose for a step in mEq")[1]
    goal = _found(task, "context", rf"\bgoal\s+of\s+({_NUMBER})", "the goal in mEq/L")[1]
    hour = int(_found(task, "instruction", r"\bnext day at\s+([0-9]{1,2})\s*am\b", "the hour of the next day")[1])
    stamp = _stamp(task)
    due = datetime.fromisoformat(stamp).replace(hour=hour % 12, minute=0, second=0) + timedelta(days=1)
    return Repletion(
        _mrn(task), stamp, _code(task), _ndc(task), _loinc(task), float(goal), float(step), float(per_step), due
    )


def _recheck(task: MedAgentTask) -> Recheck:
    years = int(_found(task, "instruction", r"\b([0-9]+)\s+years?\s+old\b", "the age of a result in years")[1])
    stamp = _stamp(task)
    now = datetime.fromisoformat(stamp)
    day = 28 if (now.month, now.day) == (2, 29) else now.day
    return Recheck(_mrn(task), stamp, _code(task), _loinc(task), now.replace(year=now.year - years, day=day))


_READERS: Mapping[int, Callable[[MedAgentTask], Facts]] = {
    1: _look_up,
    2: _age,
    3: _recording,
    4: _level,
    5: _infusion,
    6: _level,
    7: _level,
    8: _referral,
    9: _repletion,
    10: _recheck,
}


def _mrn(task: MedAgentTask) -> str:
    found = _found(task, "instruction", r"\b(S[0-9]{7})\b", "an MRN such as S1234567")[1]
    if found != task.mrn:
        raise UsageError(f"{task.id}: the instruction is about {found}, 'eval_MRN' is {task.mrn}; make them agree")
    return found


def _stamp(task: MedAgentTask) -> str:
    stamp = _found(task, "context", rf"({_INSTANT})", "the time, such as 2023-11-13T10:15:00+00:00")[1]
    try:
        datetime.fromisoformat(stamp)
    except ValueError as error:
        raise _fault(task, "context", f"a time that exists ({error})") from error
    return stamp


def _code(task: MedAgentTask) -> str:
    return _found(task, "context", r'\bcode\s+for\b[^"]*"([^"]+)"', "the quoted code of the laboratory value")[1]


def _ndc(task: MedAgentTask) -> str:
    return _found(task, "context", r"\bNDC\b.*?\b([0-9]{4,5}-[0-9]{3,4}-[0-9]{1,2})\b", "an NDC code")[1]


def _loinc(task: MedAgentTask) -> str:
    return _found(task, "context", r"\bLOINC\b.*?\b([0-9]{1,7}-[0-9])\b", "a LOINC code")[1]


def _window(task: MedAgentTask) -> timedelta:
    hours = _found(task, "instruction", r"\blast\s+([0-9]+)\s+hours?\b", "how many hours back values count")[1]
    return timedelta(hours=int(hours))


def _found(task: MedAgentTask, field: str, pattern: str, what: str) -> re.Match[str]:
    found = re.search(pattern, getattr(task, field), re.DOTALL)
    if found is None:
        raise _fault(task, field, what)
    return found


def _fault(task: MedAgentTask, field: str, what: str) -> UsageError:
    return UsageError(
        f"{task.id}: field {field!r} does not hold {what}; "
        f"give a row of category {task.category} in the published wording"
    )
