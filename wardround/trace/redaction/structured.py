"""Redaction that learns from a FHIR record whose identifiers to look for, and takes out exactly those."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from wardround.core.errors import UsageError
from wardround.trace.redaction.dates import Shift
from wardround.trace.redaction.edits import Edit, Redacted, Redactor, Report, applied, counted, settled
from wardround.trace.redaction.escapes import layers
from wardround.trace.redaction.identity import Identity, learn, owner
from wardround.trace.redaction.literals import Literals
from wardround.trace.redaction.names import Names
from wardround.trace.redaction.patterns import PatternRedactor
from wardround.trace.redaction.pseudonyms import Pseudonyms
from wardround.trace.redaction.resources import ResourceRedactor

Json = Mapping[str, Any]


class StructuredRedactor:
    """Takes the identifiers that a record knows out of texts, resources and Bundles.

    >>> doe = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Doe", "given": ["John"]}]}
    >>> redactor = StructuredRedactor([doe], key=b"a key of 16 bytes or more")
    >>> redactor.text("Mr. Doe, John has Graves' disease.").value
    "Mr. [PATIENT] has Graves' disease."
    """

    def __init__(
        self,
        resources: Sequence[Json],
        *,
        key: bytes,
        also: Sequence[Redactor] = (PatternRedactor(),),
        vocabulary: Sequence[str] = (),
        patient: str | None = None,
    ) -> None:
        """Learn from a record.

        Args:
            resources: FHIR R4: the Patient and whoever else may be named; all of the record, so that ages and dates
                without a year are known.
            key: Secret of 16 bytes or more; the same key gives the same names and the same days.
            also: Further redactors for texts. Where they find what the record knows, the record has its way.
            vocabulary: Words that are no names unless something says so, such as clinical terms.
            patient: Id of the Patient whose texts are redacted, where the record holds several.

        Raises:
            UsageError: The key is too short, or the record has no such patient.
        """
        self.names = Pseudonyms(key)
        self._identity: Identity = learn(resources, self.names)
        if patient is not None and patient not in self._identity.shifts:
            raise UsageError(f"no Patient/{patient} among the resources; give the id of one of them")
        self._patient = patient
        self._found: tuple[Redactor, ...] = (
            Names(self._identity.entities, vocabulary=vocabulary),
            Literals(self._identity.known, self.names),
        )
        self._also = tuple(also)

    @property
    def knows_names(self) -> bool:
        """Whether the record names anybody, so that names are looked for in texts."""
        return any(entity.given or entity.family for entity in self._identity.entities)

    @property
    def shift(self) -> Shift:
        """How the dates of texts are moved.

        Raises:
            UsageError: There are several patients, and nobody said whose texts these are.
        """
        return self._shift_of(self._patient)

    def _shift_of(self, patient: str | None) -> Shift:
        shifts = self._identity.shifts
        if patient in shifts:
            return shifts[patient]
        if len(shifts) > 1 and self._patient is None:
            raise UsageError(f"the record has {len(shifts)} patients whose dates move differently; say `patient=`")
        return (
            shifts[self._patient]
            if self._patient in shifts
            else next(iter(shifts.values()), Shift(self.names.days("")))
        )

    def edits(self, text: str) -> list[Edit]:
        """Return what is to be changed in a text, settled."""
        return self._edits(text, self.shift)

    def _edits(self, text: str, shift: Shift) -> list[Edit]:
        read = layers(text)
        found = self._edits_of_one(read[-1].text if read else text, shift)
        around = [text, *(layer.text for layer in read)]
        for layer, outer in zip(reversed(read), reversed(around[:-1]), strict=True):
            within = [replace(edit, start=layer.at[edit.start], end=layer.at[edit.end]) for edit in found]
            found = settled([*self._edits_of_one(outer, shift), *within])
        return found

    def _edits_of_one(self, text: str, shift: Shift) -> list[Edit]:
        known = [edit for redactor in self._found for edit in redactor.edits(text)]
        told = settled([*known, *shift.edits(text)])
        further = [edit for redactor in self._also for edit in redactor.edits(text)]
        further = [named for edit in further if (named := _as_known(edit, told)) is not None]
        return settled([*told, *further]) if further else told

    def text(self, text: str) -> Redacted[str]:
        """Return a text without identifiers."""
        edits = self.edits(text)
        return Redacted(applied(text, edits), counted(edits))

    def resource(self, resource: Json) -> Redacted[dict[str, Any]]:
        """Return a resource without identifiers; a Bundle is taken entry by entry."""
        if resource.get("resourceType") == "Bundle":
            return self.bundle(resource)
        return self._of(owner(resource)).resource(resource)

    def _of(self, patient: str | None) -> ResourceRedactor:
        several = len(self._identity.shifts) > 1
        known = patient if patient in self._identity.shifts else self._patient
        shift = Shift(self.names.days("")) if several and known is None else self._shift_of(known)

        def search(text: str, report: Report) -> str:
            edits = self._edits(text, shift)
            found = counted(edits)
            report.replaced.update(found.replaced)
            report.spared.update(found.spared)
            return applied(text, edits)

        return ResourceRedactor(self.names, search, shift, several=several)

    def bundle(self, bundle: Json) -> Redacted[dict[str, Any]]:
        """Return a Bundle without identifiers; dates of each patient's resources move by that patient's days.

        Resources that are about no patient move by days of their own.
        """
        whole = self._of(None).resource({k: v for k, v in bundle.items() if k != "entry"})
        report, entries = whole.report, []
        for entry in bundle.get("entry") or ():
            inner = entry.get("resource") if isinstance(entry, dict) else None
            around = self._of(None).resource({k: v for k, v in entry.items() if k != "resource"})
            found = {**around.value}
            report = report + around.report
            if isinstance(inner, dict):
                there = self.resource(inner)
                found["resource"] = there.value
                report = report + there.report
            entries.append(found)
        return Redacted({**whole.value, **({"entry": entries} if "entry" in bundle else {})}, report)


def _as_known(edit: Edit, told: Sequence[Edit]) -> Edit | None:
    """Return what another redactor found under the name that the record has for it; nothing where it adds nothing."""
    for known in told:
        if known.replacement is not None and known.start < edit.end and edit.start < known.end:
            if known.start <= edit.start and edit.end <= known.end:
                return None
            return Edit(edit.start, edit.end, known.category, known.replacement)
    return edit
