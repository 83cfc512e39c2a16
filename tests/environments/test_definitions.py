"""The table of R4: what it says of elements, search parameters and compartments, and how it is made."""

import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from wardround.environments.fhir.definitions import COMMON, SUPPORTED, Element, IndexPath, definitions
from wardround.environments.fhir.validation.primitives import CHECKS

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "wardround" / "environments" / "fhir" / "r4.json"
PACKAGE = Path(os.environ.get("WARDROUND_R4_EXAMPLES", "/nowhere"))
official = pytest.mark.skipif(
    not PACKAGE.is_dir(),
    reason="WARDROUND_R4_EXAMPLES names no folder with the unpacked npm package hl7.fhir.r4.examples",
)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_r4", ROOT / "scripts" / "generate_r4.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def element(group: str, name: str) -> Element:
    return definitions().elements[group][name]


def paths(type_: str, parameter: str) -> list[tuple[str, str]]:
    return [(each.path, each.type) for each in definitions().types[type_].parameters[parameter].paths]


def test_twenty_seven_types_are_served_and_all_are_r4_types() -> None:
    assert len(SUPPORTED) == 27
    assert list(SUPPORTED) == sorted(SUPPORTED) == list(definitions().types)
    assert set(SUPPORTED) < definitions().resources
    assert len(definitions().resources) == 146


def test_a_required_code_names_its_codes() -> None:
    status = element("Observation", "status")
    assert (status.type, status.is_required, status.is_list) == ("code", True, False)
    assert set(status.codes or ()) == {
        *("registered", "preliminary", "final", "amended"),
        *("corrected", "cancelled", "entered-in-error", "unknown"),
    }


def test_a_bound_concept_names_systems_and_codes() -> None:
    codes = element("AllergyIntolerance", "clinicalStatus").codes
    assert codes is not None
    assert "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical|active" in codes


def test_nested_codes_are_listed_too() -> None:
    assert {"active", "recurrence", "relapse", "inactive", "remission", "resolved"} == {
        code.split("|")[1] for code in element("Condition", "clinicalStatus").codes or ()
    }


@pytest.mark.parametrize(
    ("group", "name"),
    [("Attachment", "contentType"), ("Money", "currency"), ("Observation", "language"), ("Observation", "code")],
)
def test_an_open_value_set_has_no_codes(group: str, name: str) -> None:
    assert element(group, name).codes is None


def test_a_choice_is_there_once_for_each_type() -> None:
    members = {
        name: each.type for name, each in definitions().elements["Observation"].items() if each.choice == "value"
    }
    assert members == {
        "valueQuantity": "Quantity",
        "valueCodeableConcept": "CodeableConcept",
        "valueString": "string",
        "valueBoolean": "boolean",
        "valueInteger": "integer",
        "valueRange": "Range",
        "valueRatio": "Ratio",
        "valueSampledData": "SampledData",
        "valueTime": "time",
        "valueDateTime": "dateTime",
        "valuePeriod": "Period",
    }


def test_a_choice_points_only_from_its_reference() -> None:
    assert element("MedicationRequest", "medicationReference").targets == ("Medication",)
    assert element("MedicationRequest", "medicationCodeableConcept").targets == ()
    assert element("MedicationRequest", "medicationCodeableConcept").is_required


def test_an_element_that_repeats_another_has_its_type() -> None:
    assert element("Observation.component", "referenceRange").type == "Observation.referenceRange"
    assert element("Bundle.entry", "link").type == "Bundle.link"


def test_a_reference_to_anything_has_no_targets() -> None:
    assert element("Observation", "focus").targets == ()
    assert element("Observation", "subject").targets == ("Patient", "Group", "Device", "Location")


def test_a_simple_quantity_is_told_from_others() -> None:
    assert element("Range", "low").profile == "SimpleQuantity"
    assert element("Observation", "valueQuantity").profile is None
    assert element("Dosage.doseAndRate", "doseQuantity").type == "Quantity"


def test_every_type_of_element_is_known() -> None:
    table = definitions().elements
    types = {each.type for members in table.values() for each in members.values()}
    assert {name for name in types if name not in table and name not in CHECKS} == {"Resource", "xhtml"}


def test_only_references_and_canonicals_point() -> None:
    table = definitions().elements
    for members in table.values():
        for each in members.values():
            assert not each.targets or each.type in ("Reference", "canonical")
            assert set(each.targets) <= definitions().resources


def every_path() -> Iterator[tuple[str, IndexPath]]:
    for type_ in definitions().types.values():
        for parameter in type_.parameters.values():
            yield from ((type_.name, path) for path in parameter.paths)


def test_every_path_leads_to_its_type() -> None:
    table = definitions().elements
    count = 0
    for type_, path in every_path():
        group = type_
        for member in path.path.split("."):
            group = table[group][member].type
        assert group == path.type, path
        if path.where is not None:
            assert path.where[1] in (table[path.type][path.where[0]].codes or ())
        count += 1
    assert count > 400


def test_every_parameter_can_be_read_or_is_known_not_to_be() -> None:
    for type_ in definitions().types.values():
        for name, parameter in type_.parameters.items():
            assert parameter.name == name
            is_whole = parameter.type in ("composite", "special") or parameter.is_computed
            assert bool(parameter.paths) != is_whole, (type_.name, name)


def test_the_only_computed_parameter_is_whether_a_patient_died() -> None:
    computed = [
        (type_.name, name)
        for type_ in definitions().types.values()
        for name, parameter in type_.parameters.items()
        if parameter.is_computed
    ]
    assert computed == [("Patient", "deceased")]


@pytest.mark.parametrize(
    ("type_", "parameter", "expected"),
    [
        ("Observation", "code", [("code", "CodeableConcept")]),
        ("Observation", "combo-code", [("code", "CodeableConcept"), ("component.code", "CodeableConcept")]),
        ("Observation", "value-quantity", [("valueQuantity", "Quantity"), ("valueSampledData", "SampledData")]),
        ("Observation", "value-string", [("valueString", "string"), ("valueCodeableConcept.text", "string")]),
        (
            "Observation",
            "date",
            [
                ("effectiveDateTime", "dateTime"),
                ("effectivePeriod", "Period"),
                ("effectiveTiming", "Timing"),
                ("effectiveInstant", "instant"),
            ],
        ),
        ("Immunization", "date", [("occurrenceDateTime", "dateTime")]),
        ("Procedure", "date", [("performedDateTime", "dateTime"), ("performedPeriod", "Period")]),
        ("MedicationRequest", "authoredon", [("authoredOn", "dateTime")]),
        ("MedicationRequest", "date", [("dosageInstruction.timing.event", "dateTime")]),
        ("MedicationRequest", "code", [("medicationCodeableConcept", "CodeableConcept")]),
        ("ServiceRequest", "authored", [("authoredOn", "dateTime")]),
        ("Condition", "onset-date", [("onsetDateTime", "dateTime"), ("onsetPeriod", "Period")]),
        ("Condition", "recorded-date", [("recordedDate", "dateTime")]),
        ("Patient", "name", [("name", "HumanName")]),
        ("Task", "patient", [("for", "Reference")]),
        ("Encounter", "class", [("class", "Coding")]),
    ],
)
def test_a_parameter_reads_the_places_that_the_specification_names(
    type_: str, parameter: str, expected: list[tuple[str, str]]
) -> None:
    assert paths(type_, parameter) == expected


def test_a_phone_is_a_contact_point_of_that_system() -> None:
    assert definitions().types["Patient"].parameters["phone"].paths == (
        IndexPath("telecom", "ContactPoint", ("system", "phone")),
    )


def test_a_parameter_that_asks_for_a_type_points_to_it_alone() -> None:
    types = definitions().types
    assert types["Observation"].parameters["subject"].targets == ("Patient", "Group", "Device", "Location")
    for name in SUPPORTED:
        if "patient" in types[name].parameters:
            assert types[name].parameters["patient"].targets == ("Patient",)
    assert types["Observation"].parameters["focus"].targets == ()


def test_compartments_go_by_reference_parameters() -> None:
    compartments = definitions().compartments
    assert set(compartments) == {"Patient", "Practitioner", "Encounter"}
    assert compartments["Patient"]["Observation"] == ("subject", "performer")
    for entries in compartments.values():
        for type_, names in entries.items():
            for name in names:
                assert definitions().types[type_].parameters[name].type == "reference"


def test_common_parameters_are_no_type_s_own() -> None:
    assert not any(set(COMMON) & set(each.parameters) for each in definitions().types.values())
    with pytest.raises(KeyError):
        definitions().elements["Nothing"]
    assert "Nothing" not in definitions().elements
    assert len(definitions().elements) == len(list(definitions().elements))


@official
def test_the_package_gives_the_same_bytes_again(script: ModuleType) -> None:
    assert script.write(script.table(PACKAGE)) == TABLE.read_text("utf-8")


GROUPS = {
    "Observation": {
        "code": "CodeableConcept 1..1",
        "value[x]": "Quantity,CodeableConcept,Reference(Group) 0..1",
        "subject": "Reference(Patient|Group) 0..1",
        "effective[x]": "dateTime,string 0..1",
    },
    "CodeableConcept": {"text": "string 0..1"},
    "Reference": {"type": "uri 0..1"},
}


def parameter(kind: str, expression: str, **fields: Any) -> dict[str, Any]:
    return {"id": "test", "type": kind, "expression": expression, **fields}


@pytest.mark.parametrize(
    "expression",
    [
        "Observation.code.first()",
        "Observation.code.ofType(Coding)",
        "Observation.nothing",
        "Observation.value.text",
        "Observation.code[0]",
        "Observation.effective.where(exists())",
        "Observation.code or Observation.value",
        "code",
        "Patient.name",
        "Observation.code | code",
    ],
)
def test_an_expression_of_an_unknown_form_stops_the_script(script: ModuleType, expression: str) -> None:
    reader = script.Parameters(GROUPS, {"Patient", "Group"})
    with pytest.raises(script.UnknownForm):
        reader.of("Observation", parameter("token", expression))


def test_a_place_that_the_parameter_s_type_cannot_read_stops_the_script(script: ModuleType) -> None:
    reader = script.Parameters(GROUPS, {"Patient", "Group"})
    with pytest.raises(script.UnknownForm, match="a date parameter cannot read"):
        reader.of("Observation", parameter("date", "Observation.code"))


def test_both_ways_to_write_a_cast_mean_the_same(script: ModuleType) -> None:
    reader = script.Parameters(GROUPS, {"Patient", "Group"})
    for expression in ("(Observation.value as Quantity)", "Observation.value.as(Quantity)"):
        assert reader.of("Observation", parameter("quantity", expression)) == {
            "type": "quantity",
            "paths": [["valueQuantity", "Quantity"]],
        }


def test_a_resolved_type_narrows_the_targets(script: ModuleType) -> None:
    reader = script.Parameters(GROUPS, {"Patient", "Group"})
    expression = "Observation.subject.where(resolve() is Patient)"
    asked = reader.of("Observation", parameter("reference", expression, target=["Patient", "Group"]))
    assert asked == {"type": "reference", "paths": [["subject", "Reference"]], "targets": ["Patient"]}


def package(folder: Path, **compose: Any) -> Path:
    system = {
        "resourceType": "CodeSystem",
        "url": "urn:s",
        "content": "complete",
        "concept": [{"code": "a", "concept": [{"code": "b"}]}, {"code": "c"}],
    }
    sets = {
        "main": {"resourceType": "ValueSet", "url": "urn:x/main", "compose": compose},
        "other": {
            "resourceType": "ValueSet",
            "url": "urn:x/other",
            "compose": {"include": [{"system": "urn:s", "concept": [{"code": "b"}, {"code": "z"}]}]},
        },
    }
    (folder / "CodeSystem-s.json").write_text(json.dumps(system))
    for name, each in sets.items():
        (folder / f"ValueSet-{name}.json").write_text(json.dumps(each))
    return folder


@pytest.mark.parametrize(
    ("compose", "expected"),
    [
        ({"include": [{"system": "urn:s"}]}, ["a", "b", "c"]),
        ({"include": [{"system": "urn:s", "concept": [{"code": "c"}]}]}, ["c"]),
        ({"include": [{"system": "urn:s"}], "exclude": [{"system": "urn:s", "concept": [{"code": "a"}]}]}, ["b", "c"]),
        ({"include": [{"valueSet": ["urn:x/other"]}]}, ["b", "z"]),
        ({"include": [{"system": "urn:s", "valueSet": ["urn:x/other|1.0"]}]}, ["b"]),
    ],
)
def test_a_value_set_is_written_out(
    script: ModuleType, tmp_path: Path, compose: dict[str, Any], expected: list[str]
) -> None:
    codes = script.Codes(package(tmp_path, **compose))
    assert codes.name("urn:x/main|4.0.1", with_system=False) == "main"
    assert codes.listed == {"main": expected}


def test_a_filter_in_a_value_set_stops_the_script(script: ModuleType, tmp_path: Path) -> None:
    codes = script.Codes(package(tmp_path, include=[{"system": "urn:s", "filter": [{"property": "x"}]}]))
    with pytest.raises(script.UnknownForm, match="filter"):
        codes.name("urn:x/main", with_system=False)


def test_a_code_system_that_is_not_there_stops_the_script(script: ModuleType, tmp_path: Path) -> None:
    codes = script.Codes(package(tmp_path, include=[{"system": "urn:elsewhere"}]))
    with pytest.raises(script.UnknownForm, match="urn:elsewhere"):
        codes.name("urn:x/main", with_system=False)
