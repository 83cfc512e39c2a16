"""What is measured, in words, found in one patient's record within a window of time."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from wardround.core.errors import ToolRetry
from wardround.tools.fhir.access import codes
from wardround.tools.fhir.series import PRESSURES, Series, Wanted, is_pressure, read_series
from wardround.tools.fhir.session import RecordSession
from wardround.tools.fhir.terms import CodeCandidate, Inventory, RecordCode, lookup
from wardround.tools.fhir.units import Analytes

TOOL = "measurements"
LOOKED_THROUGH = 20_000
"""How many Observations are gone through at most."""

_MOMENT = re.compile(
    r"\d{4}(-\d\d(-\d\d)?)?|\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(?P<zone>Z|[+ -]\d\d:?\d\d)?",
)
_AGO = re.compile(r"(?P<count>\d+(?:\.\d+)?)\s*(?P<unit>minutes?|min|hours?|hrs?|h|days?|d|weeks?|w|years?|y)")
_SECONDS = {"m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0, "y": 31_557_600.0}


@dataclass(frozen=True)
class Window:
    """A stretch of time, as it is asked of the server; open where an end is missing."""

    since: str | None = None
    until: str | None = None

    @property
    def params(self) -> list[tuple[str, str]]:
        """The search parameters."""
        ends = (("ge", self.since), ("le", self.until))
        return [("date", f"{prefix}{moment}") for prefix, moment in ends if moment is not None]

    @property
    def words(self) -> str:
        """The window as it is told."""
        if self.since is None and self.until is None:
            return "any time"
        return f"{self.since or 'the beginning'} to {self.until or 'open end'}"


def moment(text: str | None, now: datetime) -> str | None:
    """Read an end of a window: a FHIR date or time, `now`, or how long ago, such as `24h` or `7 days`.

    Raises:
        ToolRetry: It is none of these, or a time without a zone.
    """
    if text is None or not text.strip():
        return None
    given = text.strip()
    if given.lower() == "now":
        return _told(now)
    ago = _AGO.fullmatch(given.lower().removesuffix("ago").strip())
    if ago is not None:
        return _told(now - timedelta(seconds=float(ago["count"]) * _SECONDS[ago["unit"][0]]))
    match = _MOMENT.fullmatch(given)
    if match is None:
        raise ToolRetry(TOOL, f"{given[:40]!r} is no time; give 2023-11-12, 2023-11-12T10:15:00+00:00, 24h or 7d")
    if "T" in given and match["zone"] is None:
        raise ToolRetry(TOOL, f"{given} has no time zone; add it, as in {given}+00:00 or {given}Z")
    return given.replace(" ", "+")


def _told(when: datetime) -> str:
    zoned = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return zoned.isoformat(timespec="seconds")


def resolve(words: str, analytes: Analytes, known: Inventory) -> Wanted:
    """Return what words ask for: a code of the record as it stands, else what has exactly that name.

    Raises:
        ToolRetry: Nothing or several things are meant; the message lists the codes that fit.
    """
    as_code = [c for c in known.codes if c.code and c.code.lower() == words.strip().lower()]
    if as_code:
        of = {a.id: a for c in as_code if (a := analytes.of(c.as_part)) is not None}
        analyte = next(iter(of.values())) if len(of) == 1 else None
        return Wanted(as_code[0].display or words, analyte, frozenset(c.code for c in as_code))
    candidates = [c for c in lookup(words, analytes, known) if c.type == "Observation"]
    exact = [c for c in candidates if c.fit == "name"]
    meant = {a.id if a is not None else "": a for c in exact for a in [analytes.of(_part(c))]}
    if len(meant) != 1:
        raise ToolRetry(TOOL, _unresolved(words, candidates, known))
    analyte = next(iter(meant.values()))
    if analyte is not None:
        return Wanted(analyte.name, analyte)
    coded = frozenset(c.code for c in exact if c.code)
    return Wanted(exact[0].display, None, coded, "" if coded else exact[0].display)


def _part(candidate: CodeCandidate) -> dict[str, Any]:
    coding = {"system": candidate.system, "code": candidate.code}
    return {"code": {"text": candidate.display, "coding": [coding]}}


def _unresolved(words: str, candidates: Sequence[CodeCandidate], known: Inventory) -> str:
    if candidates:
        told = "; ".join(f"{c.code or '(no code)'} {c.display} ({c.count} in the record)" for c in candidates[:10])
        return f"{words!r} may mean several things; ask again with one of these codes: {told}"
    there = "; ".join(f"{c.code} {c.display} ({c.count})" for c in known.codes[:20])
    return f"neither the knowledge nor this record names a measurement {words!r}; the record has: {there or 'none'}"


async def measured(
    session: RecordSession, wanted: Wanted, window: Window, analytes: Analytes, known: Inventory
) -> tuple[Series, str]:
    """Read the measurements of one kind out of a patient's record.

    Args:
        session: Reads the record.
        wanted: What is measured.
        window: When.
        analytes: Tells what an Observation measures.
        known: The codes of the patient's record.

    Returns:
        The series, and in a line how it was looked for.

    Raises:
        FhirRequestError: The server refused.
    """
    searched = _searched(wanted, analytes, known)
    params = [("patient", known.patient), *window.params, ("_count", "1000")]
    if searched is not None:
        params.append(("code", ",".join(_escaped(code) for code in searched)))
    found, is_cut = await session.search_all("Observation", params, limit=LOOKED_THROUGH)
    series = read_series(found, wanted, analytes)
    read = {r.observation for r in series.readings} | {left.observation for left in series.left_out}
    used = Counter(code for o in found if o.get("id") in read for code in codes(o.get("code")) or ["no code"])
    there = Counter({c.code: c.count for c in known.codes if c.type == "Observation"})
    how = ", ".join(f"{code} ({there[code]} in the record)" for code in searched or ())
    by = ", ".join(f"{code} ({n})" for code, n in used.most_common()) or "none"
    lines = [f"window: {window.words}", f"searched: {how or 'all Observations'}", f"found in the window: {by}"]
    lines += [f"only the first {LOOKED_THROUGH} were gone through"] if is_cut else []
    return series, "; ".join([*lines, *(f"not gone through: {gap}" for gap in known.gaps)])


def _searched(wanted: Wanted, analytes: Analytes, known: Inventory) -> tuple[str, ...] | None:
    """Codes to search by, those of panels included; nothing where some are known by their text alone."""
    of_record = [c for c in known.codes if c.type == "Observation" and _is_meant(c, wanted, analytes)]
    listed = wanted.analyte.loinc if wanted.analyte is not None and not wanted.codes else ()
    named = [*sorted(wanted.codes), *listed, *(code for c in of_record for code in (c.code, *c.panel))]
    return tuple(dict.fromkeys(named)) if named and all(named) else None


def _is_meant(code: RecordCode, wanted: Wanted, analytes: Analytes) -> bool:
    if wanted.codes:
        return code.code in wanted.codes
    if wanted.text:
        return not code.code and code.display == wanted.text
    analyte = analytes.of(code.as_part)
    is_same = analyte is not None and wanted.analyte is not None and analyte.id == wanted.analyte.id
    return is_same or (wanted.analyte is not None and wanted.analyte.id in PRESSURES and is_pressure(code.as_part))


def _escaped(code: str) -> str:
    """FHIR search escapes these with a backslash (R4, 3.1.1.4.3)."""
    return re.sub(r"([,|$\\])", r"\\\1", code)
