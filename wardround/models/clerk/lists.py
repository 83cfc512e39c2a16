"""Answering from the lists of a chart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from wardround.models.clerk.asked import ANY_TIME, ListForm, Listing, Stay
from wardround.models.clerk.charts import Resource, at, named, names_of, reference, texts
from wardround.models.clerk.drugs import clash, is_of, is_unknown_class
from wardround.models.clerk.found import Found, absent
from wardround.models.clerk.glossary import SYSTEMS
from wardround.models.clerk.listings import ADMISSION
from wardround.models.clerk.reading import Reader, counts, in_force
from wardround.models.clerk.steps import Stuck, Work
from wardround.models.clerk.values import instant
from wardround.models.clerk.wording import telling


@dataclass(frozen=True)
class Lister:
    """Goes through the lists of one patient's chart."""

    reader: Reader
    id: str
    """Id of the patient."""

    def entries(self, listing: Listing) -> Work[list[Resource]]:
        """Return the entries of a list of the chart that are meant.

        Raises:
            Stuck: The list cannot be read.
        """
        is_drug = "MedicationRequest" in listing.types
        if is_drug and is_unknown_class(listing.what):
            raise Stuck(f"which drugs are meant by {listing.what!r} is not known; ask for them by name")
        found: list[Resource] = []
        for kind in listing.types:
            found += yield from self.reader.every(kind, ("patient", self.id))
        kept = in_force(found) if listing.is_current and not {*listing.types} & _DONE else _valid(found)
        if listing.window != ANY_TIME:
            since, until = yield from self.reader.bounds(listing.window, self.id)
            kept = [resource for resource in kept if _began_within(resource, since, until)]
        if listing.types == ("Encounter",):
            return [e for e in kept if counts(e, Stay(listing.what == ADMISSION, 0))]
        asked = [part for part in re.split(r",?\s+or\s+|,\s*", listing.what) if part]
        if listing.code is not None:
            return [resource for resource in kept if listing.code.code in _codes(resource)]
        return [resource for resource in kept if not asked or any(_is_called(resource, what) for what in asked)]

    def listing(self, question: Listing) -> Work[Found]:
        """Return what a question about a list comes to.

        Raises:
            Stuck: The list cannot be read, or what is meant is not known.
        """
        found = yield from self.entries(question)
        where = ", ".join(reference(resource) for resource in found[:5]) or "no entry"
        told = f"{question.types[0]} {question.what}".strip() + f": {where}"
        match question.form:
            case ListForm.COUNT:
                return Found((len(found) if {*question.types} & _DONE else len(_names(found)),), told)
            case ListForm.HAS:
                return Found(("yes" if found else "no",), told if found else f"{told}; what is not recorded is unknown")
            case ListForm.LAST_TIME:
                times = [time for resource in found for time in [_time_of(resource)] if time]
                return Found((max(times),), told) if times else absent(told, self.reader.task)
            case ListForm.NAMES:
                names = _names(found) if question.as_codes is None else _coded(found, question.as_codes)
                return Found(tuple(names), told) if found else absent(told, self.reader.task)


_DONE = frozenset({"Procedure", "Immunization", "Encounter"})
"""Lists of what was done; there current means nothing."""


def _valid(resources: Sequence[Resource]) -> list[Resource]:
    void = {"entered-in-error", "not-done", "cancelled", "draft"}
    return [
        r
        for r in resources
        if r.get("status") not in void and "entered-in-error" not in texts(r, "verificationStatus", "coding", "code")
    ]


def _is_called(resource: Resource, what: str) -> bool:
    """Whether an entry is what words name: by its name, its code, or the class of drugs it belongs to."""
    asked = telling(what)
    concepts = _concepts(resource)
    called = [*(name for concept in concepts for name in names_of(concept)), named(resource)]
    codes = {code.lower() for concept in concepts for code in texts(concept, "coding", "code")}
    if resource.get("resourceType") == "MedicationRequest" and any(is_of(name, what) for name in called):
        return True
    if resource.get("resourceType") == "AllergyIntolerance" and any(clash(what, name) for name in called):
        return True
    return any(asked <= telling(name) for name in called) or what.lower() in codes


def _concepts(resource: Resource) -> list[Resource]:
    members = ("medicationCodeableConcept", "code", "vaccineCode", "type")
    return [concept for member in members for concept in at(resource, member)]


def _codes(resource: Resource) -> set[str]:
    return {code for concept in _concepts(resource) for code in texts(concept, "coding", "code")}


def _coded(resources: Sequence[Resource], system: str) -> list[str]:
    """The codes of entries in one system.

    Raises:
        Stuck: An entry has none.
    """
    found: dict[str, None] = {}
    for resource in resources:
        codings = [c for concept in _concepts(resource) for c in at(concept, "coding")]
        codes = [code for c in codings if c.get("system") == SYSTEMS[system] for code in texts(c, "code")]
        if not codes:
            raise Stuck(f"{reference(resource)} has no code of {SYSTEMS[system]}")
        found |= dict.fromkeys(codes)
    return list(found)


def _names(resources: Sequence[Resource]) -> list[str]:
    return list(dict.fromkeys(named(resource) for resource in resources))


def _began_within(resource: Resource, since: datetime | None, until: datetime | None) -> bool:
    began = instant(_time_of(resource))
    if began is None:
        raise Stuck(f"{reference(resource)} has no date")
    return (since is None or began >= since) and (until is None or began <= until)


def _time_of(resource: Resource) -> str:
    members = ("occurrenceDateTime", "performedDateTime", "authoredOn", "onsetDateTime", "recordedDate")
    found = next((texts(resource, member)[0] for member in members if texts(resource, member)), "")
    periods = [*texts(resource, "performedPeriod", "start"), *texts(resource, "period", "start")]
    return found or next(iter(periods), "")
