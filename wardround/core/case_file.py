"""The fields of a case, read from what people have: a note, a JSON case, a FHIR Bundle."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wardround.core.errors import CaseError

MAX_BYTES = {True: 100_000_000, False: 2_000_000}
"""A record (true) or a note (false) above this is no single case; real ones stay far below."""

_SUFFIXES = "write a .txt note, a .json case or a FHIR Bundle"


def read_fields(path: Path) -> dict[str, Any]:
    """Return the fields of the case that a file holds, whichever of the three forms it has.

    Raises:
        CaseError: The file is missing, empty, too large, broken or holds something else.
    """
    is_json = path.suffix.lower() == ".json"
    try:
        data = _content(path, is_json=is_json)
    except OSError as error:
        raise CaseError(
            f"cannot be read ({error.strerror})", where=str(path)[:80], mend="give the path of a case file"
        ) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CaseError(
            f"byte {error.start} is not UTF-8 text",
            where=str(path),
            mend="write a .txt note, a .json case or a FHIR Bundle in UTF-8",
        ) from error
    return parse_fields(text, where=str(path), is_json=is_json)


def _content(path: Path, *, is_json: bool) -> bytes:
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "no such file"
        raise CaseError(what, where=str(path), mend="give the path of a case file")
    size = path.stat().st_size
    if size > MAX_BYTES[is_json]:
        kind = "record" if is_json else "note"
        raise CaseError(
            f"{size / 1e6:.1f} MB is more than the {MAX_BYTES[is_json] / 1e6:g} MB that a {kind} may have",
            where=str(path),
            mend="cut it to the encounter in question",
        )
    return path.read_bytes()


def parse_fields(text: str, *, where: str, is_json: bool = False) -> dict[str, Any]:
    """Return the fields of a case from text: JSON where it is or claims to be JSON, a note otherwise.

    Args:
        text: The whole file.
        where: Named in errors.
        is_json: The file calls itself JSON, so text that is not is an error.

    Raises:
        CaseError: It is empty, broken JSON, or JSON of another kind.
    """
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise CaseError("it is empty", where=where, mend="write at least the complaint")
    if is_json or text.lstrip().startswith("{"):
        return _from_json(text, where=where)
    return {"narrative": text}


def fields_from_bundle(bundle: dict[str, Any], *, where: str) -> dict[str, Any]:
    """Return the fields of a case from a patient's record.

    Age and sex come from the Patient; a Bundle without one, or with several, leaves them unknown.

    Raises:
        CaseError: It is not a Bundle, or its entries are not resources.
    """
    if bundle.get("resourceType") != "Bundle":
        raise CaseError(
            f"{bundle.get('resourceType') or 'JSON without resourceType'} alone is not a patient's record",
            where=where,
            mend="wrap it in a Bundle with its Patient",
        )
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise CaseError("Bundle.entry is not a list", where=where, mend="give a FHIR R4 Bundle")
    resources = [_mapping(_mapping(entry).get("resource")) for entry in entries]
    resources = [resource for resource in resources if resource.get("resourceType")]
    patients = [resource for resource in resources if resource["resourceType"] == "Patient"]
    time = _latest_time(resources)
    patient = patients[0] if len(patients) == 1 else {}
    gender = patient.get("gender")
    return {
        "id": str(patient.get("id") or ""),
        "age": _age(patient.get("birthDate"), time),
        "sex": gender if gender in ("female", "male") else None,
        "record": {"resources": resources, "origin": where},
        "time": time,
    }


def _from_json(text: str, *, where: str) -> dict[str, Any]:
    try:
        data = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise CaseError(
            f"broken JSON at line {error.lineno}, column {error.colno} ({error.msg})",
            where=where,
            mend="mend the JSON, or write a note that does not begin with a brace into a .txt file",
        ) from error
    except ValueError as error:
        raise CaseError(f"broken JSON ({error})", where=where, mend="mend this number") from error
    except RecursionError as error:
        raise CaseError("JSON nested too deeply", where=where, mend="give a plain case") from error
    if not isinstance(data, dict):
        raise CaseError("the JSON is not an object", where=where, mend='write {"narrative": "..."}')
    if "resourceType" in data:
        return fields_from_bundle(data, where=where)
    record = data.get("record")
    if isinstance(record, dict) and record.get("resourceType"):
        read = fields_from_bundle(record, where=where)
        given = {name: value for name, value in data.items() if value is not None}
        return {**read, **given, "record": read["record"]}
    return data


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


_TIMES = ("effectiveDateTime", "authoredOn", "recordedDate", "onsetDateTime", "performedDateTime", "date")


def _latest_time(resources: list[dict[str, Any]]) -> datetime | None:
    found = [
        moment
        for resource in resources
        for moment in (
            *(parse_fhir_time(resource.get(field)) for field in _TIMES),
            parse_fhir_time((_mapping(resource.get("period"))).get("start")),
        )
        if moment is not None
    ]
    return max(found, default=None)


def parse_fhir_time(value: object) -> datetime | None:
    """Read a FHIR date, dateTime or instant; partial dates mean their first day, in UTC.

    >>> parse_fhir_time("2013-04").isoformat()
    '2013-04-01T00:00:00+00:00'
    """
    if not isinstance(value, str) or not value:
        return None
    text = value + "-01-01" if len(value) == 4 else value + "-01" if len(value) == 7 else value
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment


def _age(birth_date: object, at: datetime | None) -> float | None:
    born = parse_fhir_time(birth_date)
    if born is None or at is None:
        return None
    years = at.year - born.year - ((at.month, at.day) < (born.month, born.day))
    return float(years) if 0 <= years <= 130 else None


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
