"""The clinical question with its patient."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from wardround.core.case_file import fields_from_bundle, parse_fields, read_fields
from wardround.core.errors import CaseError
from wardround.core.finding import Finding
from wardround.core.frozen import Frozen, Moment, content_id
from wardround.core.ports import FhirServer


class Sex(StrEnum):
    """Sex as it changes prevalence and reference ranges."""

    FEMALE = "female"
    MALE = "male"


class ImageRef(Frozen):
    """An image by reference; its bytes never enter a case, a state or an event."""

    uri: str
    """Path or address."""
    modality: str | None = None
    """DICOM modality code such as `DX`, `CT`, `MR`."""
    body_part: str | None = None


class Record(Frozen):
    """A patient's FHIR R4 resources, as they were given."""

    resources: tuple[dict[str, Any], ...] = ()
    origin: str = "inline"
    """Where they came from: a file, or a server and patient."""


class Case(Frozen):
    """One patient with one question. A narrative alone is a legal case."""

    id: str = ""
    """Given by the caller, or made from the content."""
    age: float | None = Field(default=None, ge=0, le=130)
    """Years at the encounter."""
    sex: Sex | None = None
    complaint: str | None = None
    """Why the patient came, in a few words."""
    narrative: str | None = None
    """History, examination and results as free text. Untrusted: data, never instructions."""
    findings: tuple[Finding, ...] = ()
    """What is already coded."""
    images: tuple[ImageRef, ...] = ()
    record: Record | None = None
    time: Moment | None = None
    """When the patient is seen; what lies long before it is history."""

    @model_validator(mode="after")
    def _named_by_content(self) -> Case:
        try:
            content = self.model_dump_json(exclude={"id": True, "record": {"origin"}})
        except ValueError as error:
            raise ValueError("it is nested too deeply, or its text is not Unicode") from error
        if not self.id:
            object.__setattr__(self, "id", content_id("case", json.loads(content)))
        return self

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing at all about the patient."""
        words = (self.complaint or "").strip() + (self.narrative or "").strip()
        return not (words or self.findings or self.images or self.record is not None)

    @classmethod
    def from_file(cls, path: str | Path) -> Case:
        """Read a note in plain text, a JSON case, or a FHIR Bundle.

        Raises:
            CaseError: The file is missing, empty, too large, broken or holds something else.
        """
        return cls._checked(read_fields(Path(path)), where=str(path))

    @classmethod
    def from_text(cls, text: str, *, where: str = "text") -> Case:
        """Read the same three forms from a string.

        Raises:
            CaseError: It is empty, broken or something else.
        """
        return cls._checked(parse_fields(text, where=where), where=where)

    @classmethod
    def from_fhir(cls, server: FhirServer, patient: str, *, images: Sequence[str] = ()) -> Case:
        """Read a patient's whole record from a FHIR R4 server.

        Args:
            server: Anything that answers `$everything`.
            patient: Reference such as `Patient/123`.
            images: Paths or addresses of images to look at as well.

        Raises:
            CaseError: The answer is not a Bundle that makes a case.
        """
        fields = fields_from_bundle(server.everything(patient), where=patient)
        if not fields["record"]["resources"]:
            raise CaseError("the server knows nothing of this patient", where=patient, mend="check the reference")
        return cls._checked({**fields, "images": [{"uri": uri} for uri in images]}, where=patient)

    @classmethod
    def _checked(cls, fields: dict[str, Any], *, where: str) -> Case:
        try:
            case = cls.model_validate(fields)
        except ValidationError as error:
            faults = [
                f"{'.'.join(str(part) for part in fault['loc']) or 'case'}: {fault['msg']}"
                for fault in error.errors(include_input=False, include_url=False)[:5]
            ]
            what = "not a valid case: " + "; ".join(faults)
            raise CaseError(what, where=where, mend="mend these fields") from error
        if case.is_empty:
            raise CaseError(
                "it says nothing about the patient",
                where=where,
                mend="give a complaint, a narrative, findings, images or a record",
            )
        return case
