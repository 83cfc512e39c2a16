"""Reading the record step by step: the patient, series of values, stays, and whole lists."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta

from wardround.models.clerk.asked import Measured, Stay, Window
from wardround.models.clerk.charts import VOID, Resource, at, codes_in, names_of, page_of, texts
from wardround.models.clerk.intents import Task, WhoIsMeant
from wardround.models.clerk.steps import Kit, MeasureStep, PageStep, ReadStep, Reply, Stuck, Work, plain
from wardround.models.clerk.told import told_of, told_value
from wardround.models.clerk.values import Value, instant, several_names, values_in
from wardround.models.clerk.vitals import BLOOD_PRESSURE, DIASTOLIC, SYSTOLIC, vital_named
from wardround.models.clerk.wording import words

COUNT = "5000"
"""Page size that is asked for where whole pages come back."""
MOST_PAGES = 40
"""After how many pages a search is given up."""
_NUMBER_NAMES = ("mrn", "medical record", "medical-record", "record number")


@dataclass(frozen=True)
class Reader:
    """Reads on behalf of one task."""

    task: Task
    kit: Kit

    def every(self, kind: str, *params: tuple[str, str]) -> Work[list[Resource]]:
        """Return all that a search finds.

        Raises:
            Stuck: The record refuses, or the pages do not end.
        """
        counted = params if self.kit.has_tools else (*params, ("_count", COUNT))
        page = page_of(_given((yield ReadStep(kind, counted)), f"reading {kind}"))
        found = list(page.resources)
        for _ in range(MOST_PAGES):
            if page.is_cut:
                raise Stuck(f"a {kind} is too long to be shown whole")
            if page.next is None:
                return found
            page = page_of(_given((yield PageStep(page.next)), f"reading more of {kind}"))
            found += page.resources
        raise Stuck(f"there are more than {MOST_PAGES} pages of {kind}")

    def patients(self) -> Work[list[Resource]]:
        """Return the patients that the task may mean."""
        who = self.task.who
        if who.number is not None:
            searches = (("_id", who.number), ("identifier", who.number))
            for search in searches if who.is_id else searches[::-1]:
                found = yield from self.every("Patient", search)
                if found:
                    return _distinct(found)
            return []
        # servers find a part of a name only where one of its fields begins with it: `Dyk` of `van Dyk` is not found
        params = [("name", part) for part in who.name[:1]]
        if who.born is not None:
            params.append(("birthdate", who.born))
        if not params:
            return _distinct((yield from self._only_patient()))
        found = yield from self.every("Patient", *params)
        return [patient for patient in _distinct(found) if _is(patient, who)]

    def _only_patient(self) -> Work[list[Resource]]:
        """The one patient that there is to see, where the task names none."""
        page = page_of(_given((yield ReadStep("Patient", (("_count", "2"),))), "reading Patient"))
        if len(page.resources) != 1 or page.next is not None:
            raise Stuck("the task does not say which patient is meant")
        return list(page.resources)

    def bounds(self, window: Window, patient: str) -> Work[tuple[datetime | None, datetime | None]]:
        """Return the ends of a window; nothing for one that is open.

        Raises:
            Stuck: The task does not say what time it is, or there is no such stay.
        """
        now = self.task.time
        if window.stay is not None:
            found = yield from self.stay(window.stay, patient)
            return found.start, found.end
        if window.ago is not None or window.day is not None:
            if now is None:
                raise Stuck("the task does not say what time it is now")
            if window.ago is not None and window.is_shifted:
                end = window.ago.before(now)
                return window.ago.before(end), end - timedelta(microseconds=1)
            if window.ago is not None:
                return window.ago.before(now), now
            start = datetime.combine(now.date(), time(), now.tzinfo) - timedelta(days=window.day or 0)
            return start, min(now, start + timedelta(days=1) - timedelta(seconds=1))
        until = window.until.last if window.until is not None else now
        return window.since.time if window.since is not None else None, until

    def stay(self, stay: Stay, patient: str) -> Work[FoundStay]:
        """Return a stay of the patient.

        Raises:
            Stuck: There are not so many.
        """
        found = yield from self.every("Encounter", ("patient", patient))
        now = self.task.time or datetime.max.replace(tzinfo=UTC)
        spans = []
        for encounter in found:
            start = instant(next(iter(texts(encounter, "period", "start")), ""))
            is_over = encounter.get("status") == "finished" or not self.task.finished_stays
            if start is not None and start <= now and counts(encounter, stay) and is_over:
                end = instant(next(iter(texts(encounter, "period", "end")), ""))
                spans.append(FoundStay(str(encounter.get("id")), start, end if end is not None else self.task.time))
        spans.sort(key=lambda span: span.start, reverse=True)
        if len(spans) <= stay.back:
            kind = "admission" if stay.is_admission else "encounter"
            raise NoStay(f"the record holds {len(spans)} {kind}{'' if len(spans) == 1 else 's'} of the patient")
        return spans[stay.back]

    def series(self, measured: Measured, patient: str, unit: str | None = None) -> Work[Series]:
        """Return the values of a kind within its window, the earliest first.

        Raises:
            Stuck: They cannot be had, or it is not clear which are meant.
        """
        if self.kit.can_measure:
            return (yield from self._told(measured, patient, unit))
        stay: FoundStay | None = None
        if measured.window.stay is not None:
            stay = yield from self.stay(measured.window.stay, patient)
            since: datetime | None = stay.start
            until: datetime | None = stay.end
        else:
            since, until = yield from self.bounds(measured.window, patient)
        found = yield from self.every("Observation", *_wanted(measured, patient, since))
        values = [v for v in values_in(found, measured.words, measured.code) if self._counts(v)]
        kept = [v for v in values if is_within(v, since, until) and (stay is None or v.encounter in ("", stay.id))]
        names = several_names(kept) if measured.code is None else []
        if len(names) > 1:
            raise Stuck(f"{measured.words} may mean any of: {', '.join(names[:8])}")
        return Series(_ordered(kept), len(kept))

    def _counts(self, value: Value) -> bool:
        """Whether a value's status is one that counts in this task."""
        return not self.task.counted or value.status in self.task.counted

    def _told(self, measured: Measured, patient: str, unit: str | None) -> Work[Series]:
        ago = measured.window.ago
        since: datetime | None = None
        until: datetime | None = None
        if ago is not None and self.task.time is None and ago.unit != "month":
            begin: str | None = ago.words
        else:
            since, until = yield from self.bounds(measured.window, patient)
            begin = since.isoformat() if since is not None else None
        asked = measured.code.code if measured.code is not None else measured.words
        end = until.isoformat() if until is not None else None
        step = MeasureStep(asked, patient, "all", begin, end, unit)
        reply = yield step
        if reply.is_error and unit is not None and "unit" in reply.text:
            step = replace(step, unit=None)
            reply = yield step
        if reply.is_error:
            if measured.code is not None and "neither the knowledge nor this record" in reply.text:
                return Series((), 0)
            raise Stuck(f"{measured.words}: {plain(reply.text, 300)}")
        told = told_of(reply.text)
        kept = [value for value in told.values if self._counts(value) and is_within(value, since, until)]
        return Series(_ordered(kept), told.of - len(told.values) + len(kept), step)

    def statistic(self, series: Series, statistic: str) -> Work[Value]:
        """Return a statistic of a series that is too long to be listed, as the record's tool computes it."""
        if series.step is None:
            raise Stuck(f"{series.total} values are too many")
        return told_value(_given((yield replace(series.step, statistic=statistic)), "computing"))


class NoStay(Stuck):
    """There is no such stay."""


@dataclass(frozen=True)
class FoundStay:
    """An encounter of the record."""

    id: str
    start: datetime
    end: datetime | None
    """Nothing where it is not over and the task does not say what time it is."""


@dataclass(frozen=True)
class Series:
    """Values of one kind, the earliest first."""

    values: tuple[Value, ...]
    total: int
    """How many there are; more than are held where only the latest could be listed."""
    step: MeasureStep | None = None
    """How they were asked for."""

    @property
    def is_whole(self) -> bool:
        """Whether all values are held."""
        return self.total <= len(self.values)


def _ordered(values: Iterable[Value]) -> tuple[Value, ...]:
    return tuple(sorted(values, key=lambda v: v.time or datetime.min.replace(tzinfo=UTC)))


def _wanted(measured: Measured, patient: str, since: datetime | None) -> list[tuple[str, str]]:
    """The search for what is measured."""
    params = [("patient", patient)]
    if measured.code is not None:
        is_component = measured.code.code in (SYSTOLIC, DIASTOLIC)
        params.append(
            ("code", f"{BLOOD_PRESSURE.loinc},{measured.code.token}" if is_component else measured.code.token)
        )
    elif vital_named(measured.words) is not None:
        params.append(("category", "vital-signs"))
    if since is not None:
        params.append(("date", f"ge{since.isoformat()}"))
    return params


def _given(reply: Reply, what: str) -> str:
    if reply.is_error:
        raise Stuck(f"{what} failed: {plain(reply.text)}")
    return reply.text


def is_within(value: Value, since: datetime | None, until: datetime | None) -> bool:
    """Whether a value may be of a stretch of time; one without a time is of any that has no beginning."""
    if value.time is None or value.until is None:
        return since is None
    return (since is None or value.until >= since) and (until is None or value.time <= until)


def _distinct(patients: Iterable[Resource]) -> list[Resource]:
    return list(
        {patient.get("id"): patient for patient in patients if patient.get("resourceType") == "Patient"}.values()
    )


def _is(patient: Resource, who: WhoIsMeant) -> bool:
    """Whether a patient has all parts of a name, and the date of birth."""
    parts = {_folded(part) for name in at(patient, "name") for text in _names(name) for part in words(text)}
    asked = {_folded(part) for text in who.name for part in words(text)}
    is_born = who.born is None or str(patient.get("birthDate", "")).startswith(who.born)
    is_gender = who.gender is None or patient.get("gender") == who.gender
    cities = {_folded(city) for city in texts(patient, "address", "city")}
    return asked <= parts and is_born and is_gender and (who.city is None or _folded(who.city) in cities)


def _names(name: Resource) -> list[str]:
    return [*texts(name, "given"), *texts(name, "family"), *texts(name, "text")]


def _folded(word: str) -> str:
    decomposed = unicodedata.normalize("NFKD", word.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def counts(encounter: Resource, stay: Stay) -> bool:
    """Whether an encounter took place and is of the kind that is meant."""
    if encounter.get("status") in ("entered-in-error", "cancelled", "planned"):
        return False
    codes = {code.upper() for code in texts(encounter, "class", "code")}
    said = " ".join(
        [*texts(encounter, "class", "display"), *(n for t in at(encounter, "type") for n in names_of(t))]
    ).lower()
    is_inpatient = bool(codes & {"IMP", "ACUTE", "NONAC", "INPATIENT"}) or "admission" in said or "inpatient" in said
    return is_inpatient or not stay.is_admission


def record_number(patient: Resource) -> str:
    """Return a patient's medical record number.

    It is the identifier that is said to be it, else the only or usual one, else the id.
    """
    identifiers = [i for i in at(patient, "identifier") if texts(i, "value")]
    for identifier in identifiers:
        said = " ".join([*names_of(identifier.get("type")), *texts(identifier, "system")]).lower()
        if "MR" in codes_in(identifier.get("type")) or any(name in said for name in _NUMBER_NAMES):
            return texts(identifier, "value")[0]
    usual = [i for i in identifiers if i.get("use") == "usual"] or identifiers
    return texts(usual[0], "value")[0] if len(usual) == 1 else str(patient.get("id"))


def in_force(resources: Sequence[Resource]) -> list[Resource]:
    """Return what is still in force: active, and neither resolved, refuted nor entered in error."""
    return [resource for resource in resources if _is_in_force(resource)]


def _is_in_force(resource: Resource) -> bool:
    if resource.get("status") in VOID | {"completed", "stopped", "revoked", "ended", "not-taken", "draft", "not-done"}:
        return False
    if resource.get("intent") in ("proposal", "plan", "directive"):
        return False
    clinical = set(codes_in(resource.get("clinicalStatus")))
    verification = set(codes_in(resource.get("verificationStatus")))
    return not clinical & {"inactive", "resolved", "remission"} and not verification & {"refuted", "entered-in-error"}
