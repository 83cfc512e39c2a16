"""Cases read from notes, JSON and FHIR Bundles, and what is said when they cannot be."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.core.case import Case, Sex
from wardround.core.case_file import parse_fhir_time
from wardround.core.errors import CaseError
from wardround.testing import BundleServer

PATIENT = {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1980-06-15"}
ENCOUNTER = {"resourceType": "Encounter", "period": {"start": "2020-06-14T10:00:00+02:00"}}


def bundle(*resources: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": r} for r in resources]}


def refused(text: str) -> CaseError:
    with pytest.raises(CaseError) as caught:
        Case.from_text(text, where="the note")
    return complete(caught.value, where="the note")


def refused_file(path: Path) -> CaseError:
    with pytest.raises(CaseError) as caught:
        Case.from_file(path)
    return complete(caught.value, where=str(path))


def complete(error: CaseError, *, where: str) -> CaseError:
    assert error.where == where
    assert error.what
    assert error.mend
    assert str(error) == f"{where}: {error.what}; {error.mend}"
    return error


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_note_is_a_case() -> None:
    case = Case.from_text("Chest pain for two hours.\n")
    assert case.narrative == "Chest pain for two hours.\n"
    assert case.id.startswith("case_")


def test_a_note_file_and_its_text_are_the_same_case(tmp_path: Path) -> None:
    path = written(tmp_path, "note.txt", "Fièvre 39,2 °C, toux.")
    assert Case.from_file(path) == Case.from_text("Fièvre 39,2 °C, toux.")
    assert Case.from_file(str(path)).narrative == "Fièvre 39,2 °C, toux."


def test_a_json_case_is_read_field_by_field(tmp_path: Path) -> None:
    fields = {
        "id": "c1",
        "age": 45,
        "sex": "male",
        "complaint": "cough",
        "findings": [{"code": "fever", "assertion": "absent"}],
        "images": [{"uri": "chest.png", "modality": "DX"}],
    }
    case = Case.from_file(written(tmp_path, "case.json", json.dumps(fields)))
    assert (case.id, case.age, case.sex, case.complaint) == ("c1", 45.0, Sex.MALE, "cough")
    assert [(f.code, f.name, f.assertion.value) for f in case.findings] == [("fever", "fever", "absent")]
    assert [(i.uri, i.modality) for i in case.images] == [("chest.png", "DX")]


def test_json_is_known_by_its_brace_where_no_name_says_so(tmp_path: Path) -> None:
    text = '\n  {"narrative": "cough"}'
    assert Case.from_text(text).narrative == "cough"
    assert Case.from_file(written(tmp_path, "case", text)).narrative == "cough"


@pytest.mark.parametrize("content", ['{"narrative": "cough"}', "cough"])
def test_a_byte_order_mark_is_no_part_of_a_case(tmp_path: Path, content: str) -> None:
    marked = "\ufeff" + content
    assert Case.from_text(marked).narrative == "cough"
    assert Case.from_file(written(tmp_path, "case.txt", marked)).narrative == "cough"


def test_a_bundle_gives_age_sex_time_and_record(tmp_path: Path) -> None:
    path = written(tmp_path, "record.json", json.dumps(bundle(PATIENT, ENCOUNTER)))
    case = Case.from_file(path)
    assert (case.id, case.age, case.sex) == ("p1", 39.0, Sex.FEMALE)
    assert case.time == datetime(2020, 6, 14, 8, tzinfo=UTC)
    assert case.record is not None
    assert case.record.resources == (PATIENT, ENCOUNTER)
    assert case.record.origin == str(path)


def test_a_server_is_asked_for_the_patient() -> None:
    server = BundleServer(bundle(PATIENT, ENCOUNTER))
    case = Case.from_fhir(server, "Patient/p1", images=["chest.png"])
    assert server.asked == ["Patient/p1"]
    assert (case.id, case.age, [i.uri for i in case.images]) == ("p1", 39.0, ["chest.png"])
    assert case.record is not None
    assert case.record.origin == "Patient/p1"


def test_the_age_is_that_at_the_encounter() -> None:
    ages = []
    for day in ("2020-06-14", "2020-06-15"):
        encounter = {"resourceType": "Encounter", "period": {"start": day}}
        ages.append(Case.from_text(json.dumps(bundle(PATIENT, encounter))).age)
    assert ages == [39.0, 40.0]


@pytest.mark.parametrize(
    ("changed", "age", "sex"),
    [
        ({"gender": "other"}, 39.0, None),
        ({"gender": ["female"]}, 39.0, None),
        ({"birthDate": "2030-01-01"}, None, Sex.FEMALE),
        ({"birthDate": "1700-01-01"}, None, Sex.FEMALE),
        ({"birthDate": "long ago"}, None, Sex.FEMALE),
        ({"birthDate": "1980"}, 40.0, Sex.FEMALE),
    ],
)
def test_what_a_patient_does_not_say_plainly_is_unknown(
    changed: dict[str, Any], age: float | None, sex: Sex | None
) -> None:
    case = Case.from_text(json.dumps(bundle({**PATIENT, **changed}, ENCOUNTER)))
    assert (case.age, case.sex) == (age, sex)


def test_a_record_without_times_leaves_the_age_unknown() -> None:
    case = Case.from_text(json.dumps(bundle(PATIENT)))
    assert (case.age, case.time) == (None, None)


def test_several_patients_leave_age_and_sex_unknown() -> None:
    case = Case.from_text(json.dumps(bundle(PATIENT, {**PATIENT, "id": "p2"}, ENCOUNTER)))
    assert (case.age, case.sex) == (None, None)
    assert case.id.startswith("case_")


@pytest.mark.parametrize("given", [None, ""])
def test_a_patient_without_an_id_has_its_case_named_by_content(given: str | None) -> None:
    case = Case.from_text(json.dumps(bundle({**PATIENT, "id": given})))
    assert case.id.startswith("case_")


def test_a_bundle_inside_a_case_gives_what_the_case_leaves_open() -> None:
    record = bundle(PATIENT, ENCOUNTER)
    case = Case.from_text(json.dumps({"id": "c1", "age": None, "sex": "male", "record": record}))
    assert (case.id, case.age, case.sex) == ("c1", 39.0, Sex.MALE)
    assert case.record is not None
    assert len(case.record.resources) == 2


def test_entries_without_a_resource_are_passed_over() -> None:
    entries = [None, 1, {}, {"resource": None}, {"resource": {"id": "x"}}, {"resource": PATIENT}]
    case = Case.from_text(json.dumps({"resourceType": "Bundle", "entry": entries}))
    assert case.record is not None
    assert case.record.resources == (PATIENT,)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_a_case_or_a_case_error(text: str) -> None:
    try:
        case = Case.from_text(text)
    except CaseError as error:
        complete(error, where="text")
    else:
        assert Case.model_validate_json(case.model_dump_json()) == case


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = [
    "id",
    "age",
    "sex",
    "complaint",
    "narrative",
    "findings",
    "images",
    "record",
    "time",
    "resourceType",
    "entry",
]


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(_FIELDS), _JSON | st.sampled_from(["Bundle", "Patient", 45, "male"])))
def test_any_json_object_is_a_case_or_a_case_error(fields: dict[str, Any]) -> None:
    try:
        case = Case.from_text(json.dumps(fields))
    except CaseError as error:
        complete(error, where="text")
    else:
        assert Case.model_validate_json(case.model_dump_json()) == case


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from(["resourceType", "id", "gender", "birthDate", "date", "period"]), _JSON))
)
def test_any_bundle_is_a_case_or_a_case_error(resources: list[dict[str, Any]]) -> None:
    try:
        case = Case.from_text(json.dumps(bundle(*resources)))
    except CaseError as error:
        complete(error, where="text")
    else:
        assert case.record is not None
        assert Case.model_validate_json(case.model_dump_json()) == case


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert refused_file(tmp_path / "nowhere.json").what == "no such file"


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert refused_file(tmp_path).what == "is a folder"


def test_a_name_longer_than_any_file_has_is_refused() -> None:
    with pytest.raises(CaseError, match="cannot be read") as caught:
        Case.from_file("A 60-year-old man with chest pain. " * 20)
    assert len(caught.value.where) <= 80
    assert "path of a case file" in caught.value.mend


@pytest.mark.parametrize("name", ["a.txt", "a.json", "a"])
@pytest.mark.parametrize("content", ["", " \n\t", "\ufeff", "\ufeff\n"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str, content: str) -> None:
    assert refused_file(written(tmp_path, name, content)).what == "it is empty"


def test_broken_json_is_refused_with_line_and_column(tmp_path: Path) -> None:
    error = refused_file(written(tmp_path, "a.json", '{\n  "narrative": "cough",\n  "age" 45\n}'))
    assert "line 3, column 9" in error.what
    assert "line 1, column 15" in refused('{"narrative": ').what


def test_a_note_that_calls_itself_json_is_refused(tmp_path: Path) -> None:
    error = refused_file(written(tmp_path, "a.json", "Chest pain."))
    assert "line 1, column 1" in error.what
    assert ".txt" in error.mend


def test_a_note_of_ten_megabytes_is_refused(tmp_path: Path) -> None:
    error = refused_file(written(tmp_path, "a.txt", b"cough " * 1_700_000))
    assert error.what.startswith("10.2 MB is more than")
    assert "encounter in question" in error.mend


@pytest.mark.parametrize(
    ("content", "byte"), [(b"Fi\xe8vre", 2), ("Fièvre".encode("utf-16"), 0), (b"\xff\xd8\xff\xe0 JFIF", 0)]
)
def test_what_is_not_utf8_is_refused_with_the_byte(tmp_path: Path, content: bytes, byte: int) -> None:
    error = refused_file(written(tmp_path, "a.txt", content))
    assert error.what == f"byte {byte} is not UTF-8 text"
    assert "UTF-8" in error.mend


def test_a_lone_resource_is_no_record() -> None:
    error = refused(json.dumps(PATIENT))
    assert "Patient alone" in error.what
    assert "Bundle" in error.mend
    assert "Patient alone" in refused(json.dumps({"record": PATIENT})).what


class RefusingServer:
    def everything(self, patient: str, /) -> dict[str, Any]:
        return {"resourceType": "OperationOutcome"}


def test_a_server_that_answers_no_bundle_is_refused() -> None:
    with pytest.raises(CaseError, match="Patient/p1: OperationOutcome alone"):
        Case.from_fhir(RefusingServer(), "Patient/p1")


@pytest.mark.parametrize("content", ["[]", '[{"narrative": "cough"}]', '"cough"', "12", "null", "true"])
def test_json_that_is_no_object_is_refused(tmp_path: Path, content: str) -> None:
    error = refused_file(written(tmp_path, "a.json", content))
    assert error.what == "the JSON is not an object"
    assert "narrative" in error.mend


@pytest.mark.parametrize("depth", [260, 900, 5_000, 100_000])
@pytest.mark.parametrize("id_", ["", "c1"])
def test_deep_nesting_is_refused(depth: int, id_: str) -> None:
    nested = "[" * depth + "]" * depth
    assert "nested too deeply" in refused(f'{{"id": "{id_}", "record": {{"resources": [{{"x": {nested}}}]}}}}').what


def test_a_depth_that_records_have_is_read() -> None:
    nested = json.loads("[" * 100 + "]" * 100)
    case = Case.from_text(json.dumps(bundle({**PATIENT, "extension": nested})))
    assert Case.model_validate_json(case.model_dump_json()) == case


def test_half_a_character_is_refused() -> None:
    assert "not Unicode" in refused('{"narrative": "\\ud83d"}').what
    assert "not Unicode" in refused(json.dumps(bundle({**PATIENT, "name": "\ud800"}))).what


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1" * 5_000])
def test_a_number_that_is_none_is_refused(number: str) -> None:
    assert "broken JSON" in refused(f'{{"narrative": "x", "age": {number}}}').what


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"nonsense": 1}, "nonsense: Extra inputs"),
        ({"gold": "influenza"}, "gold: Extra inputs"),
        ({"age": -1}, "age: Input should be greater than or equal to 0"),
        ({"age": 131}, "age: Input should be less than"),
        ({"age": "old"}, "age: Input should be a valid number"),
        ({"sex": "M"}, "sex: Input should be 'female' or 'male'"),
        ({"findings": [{"code": ""}]}, "findings.0.code"),
        ({"findings": [{"code": "fever", "assertion": "maybe"}]}, "findings.0.assertion"),
        ({"findings": [{"code": "fever", "value": 1e999}]}, "broken JSON"),
        ({"images": ["a.png"]}, "images.0"),
        ({"record": []}, "record"),
        ({"record": {"resources": [1]}}, "record.resources.0"),
        ({"time": "yesterday"}, "time"),
        ({"narrative": 5}, "narrative"),
    ],
)
def test_a_wrong_field_is_refused_by_its_name(fields: dict[str, Any], named: str) -> None:
    assert named in refused(json.dumps({"narrative": "cough", **fields})).what


@pytest.mark.parametrize("entry", [None, {}, "x", 1])
def test_a_bundle_whose_entries_are_no_list_is_refused(entry: object) -> None:
    assert refused(json.dumps({"resourceType": "Bundle", "entry": entry})).what == "Bundle.entry is not a list"


@pytest.mark.parametrize("fields", [{}, {"age": 45, "sex": "male"}, {"narrative": "  ", "complaint": ""}])
def test_a_case_that_says_nothing_of_the_patient_is_refused(fields: dict[str, Any]) -> None:
    assert refused(json.dumps(fields)).what == "it says nothing about the patient"


@pytest.mark.parametrize("text", ['{"resourceType": "Bundle"}', '{"record": {"resources": []}}'])
def test_a_record_without_resources_is_a_case_that_nothing_is_known_of(text: str) -> None:
    case = Case.from_text(text)
    assert case.record is not None
    assert case.record.resources == ()
    assert not case.is_empty


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2013", datetime(2013, 1, 1, tzinfo=UTC)),
        ("2013-04", datetime(2013, 4, 1, tzinfo=UTC)),
        ("2013-04-05", datetime(2013, 4, 5, tzinfo=UTC)),
        ("2013-04-05T06:07:08Z", datetime(2013, 4, 5, 6, 7, 8, tzinfo=UTC)),
        ("2013-04-05T06:07:08.9Z", datetime(2013, 4, 5, 6, 7, 8, 900_000, tzinfo=UTC)),
        ("2013-04-05T06:07:08+05:30", datetime(2013, 4, 5, 6, 7, 8, tzinfo=timezone(timedelta(hours=5.5)))),
        ("2013-04-05T06:07:08", datetime(2013, 4, 5, 6, 7, 8, tzinfo=UTC)),
    ],
)
def test_a_fhir_time_is_read_at_each_precision(value: str, moment: datetime) -> None:
    assert parse_fhir_time(value) == moment


@pytest.mark.parametrize(
    "value", [None, "", 2013, ["2013"], "year", "2013-13", "2013-02-30", "0000", "99999", "2013-04-05T25:00:00Z"]
)
def test_what_is_no_fhir_time_is_nothing(value: object) -> None:
    assert parse_fhir_time(value) is None


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=30) | st.from_regex(r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))?)?)?"))
def test_a_fhir_time_always_has_a_zone(value: str) -> None:
    moment = parse_fhir_time(value)
    assert moment is None or moment.utcoffset() is not None


@settings(max_examples=100, deadline=None)
@given(
    st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-4)), timezone(timedelta(hours=13))])).filter(
        lambda moment: 2 < moment.year < 9999
    )
)
def test_an_instant_survives_its_text(moment: datetime) -> None:
    assert parse_fhir_time(moment.isoformat()) == moment
