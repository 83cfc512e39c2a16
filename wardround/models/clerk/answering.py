"""Answering a task's questions from what the record holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC

from wardround.models.clerk.asked import Comparison, Demographic, FindPatient, Level, Listing, Question, Statistic
from wardround.models.clerk.charts import Resource
from wardround.models.clerk.figures import CHOOSERS, COMPUTED, plain_number, round_to, slope, sure, told
from wardround.models.clerk.found import Found, absent
from wardround.models.clerk.intents import Case
from wardround.models.clerk.lists import Lister
from wardround.models.clerk.person import person_of
from wardround.models.clerk.reading import NoStay, Reader, Series, record_number
from wardround.models.clerk.spans import Span
from wardround.models.clerk.steps import Stuck, Work
from wardround.models.clerk.units import converted
from wardround.models.clerk.values import Value, instant, text_values
from wardround.models.clerk.vitals import BLOOD_PRESSURE, vital_named
from wardround.models.clerk.wording import telling, words

_BY_TOOL = {
    Statistic.MEAN: "mean",
    Statistic.MIN: "min",
    Statistic.MAX: "max",
    Statistic.FIRST: "first",
    Statistic.COUNT: "count",
}
_OF_LATEST = (Statistic.LATEST, Statistic.PREVIOUS, Statistic.CHANGE)
"""Statistics for which the latest values suffice."""


@dataclass(frozen=True)
class Answerer:
    """Answers the questions of one task about one patient."""

    reader: Reader
    patient: Resource

    @property
    def id(self) -> str:
        """Id of the patient."""
        return str(self.patient.get("id"))

    @property
    def lister(self) -> Lister:
        """Goes through the patient's lists."""
        return Lister(self.reader, self.id)

    def answer(self, question: Question) -> Work[Found]:
        """Return what a question comes to.

        Raises:
            Stuck: It cannot be answered.
        """
        match question:
            case FindPatient():
                return Found((record_number(self.patient),))
            case Demographic():
                return person_of(self.patient, question, self.reader.task)
            case Level():
                return (yield from self._level(question))
            case Comparison():
                return (yield from self._comparison(question))
            case Listing():
                return (yield from self.lister.listing(question))

    def _absent(self, what: str) -> Found:
        return absent(what, self.reader.task)

    def _level(self, question: Level) -> Work[Found]:
        if question.statistic is Statistic.DAYS:
            return (yield from self._days(question))
        if vital_named(question.of.words) is BLOOD_PRESSURE and not _is_one_pressure(question):
            return (yield from self._pressure(question))
        what = f"{question.of.words} {question.of.window.words}"
        try:
            series = yield from self.reader.series(question.of, self.id, question.unit)
        except NoStay as none:
            return self._absent(f"{what} ({none})")
        values = [v for v in series.values if question.among is None or question.among.holds(v.number)]
        if question.flags:
            return self._flagged(question, series, what)
        is_known = values or question.of.code is not None or self.reader.kit.can_measure
        if (
            question.statistic is Statistic.COUNT
            and is_known
            and (values or Case.ABSENT not in self.reader.task.stated)
        ):
            return Found((len(values) if series.is_whole or question.among else series.total,), f"counted: {what}")
        if len(values) < 2 and question.statistic in (Statistic.CHANGE, Statistic.PREVIOUS):
            stated = self.reader.task.stated.get(Case.TOO_FEW)
            if stated is not None:
                return Found(stated, f"{what}: {len(values)} values", is_absent=True)
        if not values:
            is_sure = question.of.code is not None or self.reader.kit.can_measure
            return replace(self._absent(what), is_sure=is_sure)
        if not series.is_whole and not (question.only or question.statistic in _OF_LATEST):
            return (yield from self._computed(question, series))
        if question.asks_within is not None:
            return self._within(question, question.asks_within, values)
        if question.asks_direction is not None:
            return _yes_no(question, slope(question, values), values)
        return self._statistic(question, values)

    def _days(self, question: Level) -> Work[Found]:
        """Count the days, in UTC, on which a value was in the range."""
        series = yield from self.reader.series(question.of, self.id, question.unit)
        what = f"{question.of.words} {question.of.window.words}"
        if not series.is_whole or question.among is None:
            raise Stuck(f"{series.total} values of {question.of.words} are too many to be gone through")
        if not series.values:
            return self._absent(what)
        values = [self._in_unit(value, question) for value in series.values]
        days = {v.time.astimezone(UTC).date() for v in values if v.time is not None and question.among.holds(v.number)}
        return Found((len(days),), f"{what}: {len(days)} days {question.among.words}")

    def _flagged(self, question: Level, series: Series, what: str) -> Found:
        """Count the values that the record flags as low or high."""
        if not series.values:
            return self._absent(what)
        if self.reader.kit.can_measure:
            raise Stuck("the tool for measurements does not tell which values are flagged as abnormal")
        count = sum(value.flag in question.flags for value in series.values)
        return Found((count,), f"{what}: {count} of {len(series.values)} flagged {' or '.join(question.flags)}")

    def _computed(self, question: Level, series: Series) -> Work[Found]:
        if question.statistic not in _BY_TOOL or question.among is not None:
            raise Stuck(f"{series.total} values of {question.of.words} are too many to be gone through")
        value = yield from self.reader.statistic(series, _BY_TOOL[question.statistic])
        value = self._in_unit(value, question)
        return Found((self._rounded(value.number), *((value.when,) if question.with_time else ())), value=value)

    def _statistic(self, question: Level, recorded: Sequence[Value]) -> Found:
        values = [self._in_unit(value, question) for value in recorded]
        if question.only is not None:
            values = values[-question.only :]
        if question.statistic is Statistic.ALL:
            return Found(tuple(self._rounded(value.number) for value in values))
        if question.statistic is Statistic.TREND:
            trend = slope(question, values)
            return Found(("unchanged" if trend == 0 else "rising" if trend > 0 else "falling",), told(values))
        chosen = CHOOSERS[question.statistic](values) if question.statistic in CHOOSERS else None
        if chosen is None:
            number = COMPUTED[question.statistic]([sure(value, question) for value in values])
            chosen = replace(values[-1], number=number, when="")
        answer = self._rounded(chosen.number) if not chosen.comparator else f"{chosen.comparator}{chosen.number:g}"
        with_time = (chosen.when,) if question.with_time and chosen.when else ()
        with_value = (answer,) if question.with_value else ()
        return Found((*with_value, *with_time), self._remark(question, chosen, values), chosen)

    def _within(self, question: Level, span: Span, recorded: Sequence[Value]) -> Found:
        """Answer whether a value lies in a range, or any does."""
        asked = replace(question, unit=span.unit or question.unit, asks_within=None)
        if question.statistic is Statistic.ALL:
            numbers = [sure(self._in_unit(value, asked), asked) for value in recorded]
            return Found(("yes" if any(span.holds(number) for number in numbers) else "no",), told(recorded))
        found = self._statistic(replace(asked, with_time=False), recorded)
        if found.value is None or found.value.comparator:
            raise Stuck(f"{question.of.words} is no plain number")
        return replace(found, answers=("yes" if span.holds(found.value.number) else "no",))

    def _remark(self, question: Level, chosen: Value, values: Sequence[Value]) -> str:
        same = {v.number for v in values if v.time == chosen.time} if chosen.when else set()
        ties = f"; {len(same)} different values at that time" if len(same) > 1 else ""
        when = f" at {chosen.when}" if chosen.when else ""
        unit = f" {chosen.unit}" if chosen.unit else " (no unit recorded)"
        kind = question.statistic.value
        what = f"{question.of.words}, {kind} {question.of.window.words}"
        return f"{what}: {chosen.number:g}{unit}{when}, n={len(values)}{ties}"

    def _in_unit(self, value: Value, question: Level | Comparison) -> Value:
        """A value in the unit that is wanted.

        Raises:
            Stuck: How to convert it is not known.
        """
        wanted = question.unit
        if wanted is None or not value.unit:
            return value
        number = converted(
            value.number, value.unit, wanted, of=telling(question.of.words), factors=self.reader.task.factors
        )
        if number is None:
            told = f"{value.number:g} {value.unit} at {value.when}"
            raise Stuck(f"{question.of.words} is {told}; how to convert that to {wanted} is not said")
        return value if number == value.number else replace(value, number=number, unit=wanted)

    def _rounded(self, number: float) -> float:
        rounding = self.reader.task.rounding
        return round_to(number, rounding) if rounding is not None else plain_number(number)

    def _pressure(self, question: Level) -> Work[Found]:
        """Blood pressures are two numbers, told as `118/77 mmHg`."""
        if question.statistic not in (Statistic.LATEST, Statistic.FIRST, Statistic.COUNT):
            raise Stuck(
                "of blood pressures only the latest, the first and the count can be told; ask for systolic or diastolic"
            )
        since, until = yield from self.reader.bounds(question.of.window, self.id)
        code = question.of.code
        params = [("code", code.token)] if code is not None else [("category", "vital-signs")]
        if since is not None:
            params.append(("date", f"ge{since.isoformat()}"))
        found = yield from self.reader.every("Observation", ("patient", self.id), *params)
        dated = [
            (text, when, moment)
            for text, when in text_values(found, question.of.words, code)
            if (moment := instant(when))
        ]
        kept = [d for d in dated if (since is None or d[2] >= since) and (until is None or d[2] <= until)]
        if question.statistic is Statistic.COUNT:
            return Found((len(kept),))
        if not kept:
            return self._absent(f"{question.of.words} {question.of.window.words}")
        text, when, _ = (max if question.statistic is Statistic.LATEST else min)(kept, key=lambda d: d[2])
        return Found((text, *((when,) if question.with_time else ())))

    def _comparison(self, question: Comparison) -> Work[Found]:
        later = Level(question.of, question.statistic, question.unit)
        earlier = replace(later, of=replace(question.of, window=question.earlier))
        numbers: list[float] = []
        for level in (later, earlier):
            series = yield from self.reader.series(level.of, self.id, level.unit)
            if not series.values or not series.is_whole:
                return self._absent(f"{level.of.words} {level.of.window.words}")
            found = self._statistic(level, series.values)
            if found.value is None or found.value.comparator:
                raise Stuck(f"{level.of.words} {level.of.window.words} is no plain number")
            numbers.append(found.value.number)
        change = plain_number(numbers[0] - numbers[1])
        told = (
            f"{question.statistic.value} {numbers[0]:g} {question.of.window.words}, {numbers[1]:g} "
            f"{question.earlier.words}"
        )
        if question.asks_direction is None:
            return Found((self._rounded(change),), told)
        is_so = change > 0 if question.asks_direction == "up" else change < 0
        return Found(("yes" if is_so else "no",), told)


def _is_one_pressure(question: Level) -> bool:
    return bool({"systolic", "diastolic"} & set(words(question.of.words)))


def _yes_no(question: Level, trend: float, values: Sequence[Value]) -> Found:
    is_so = trend > 0 if question.asks_direction == "up" else trend < 0
    return Found(("yes" if is_so else "no",), told(values))
