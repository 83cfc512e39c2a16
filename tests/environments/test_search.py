"""Search by every type of parameter, each against what R4 says of it, on a record that can be read in full."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.environments.ward import BASE, RECORD, Client, entries, link
from wardround.environments.fhir.extract import fold
from wardround.environments.fhir.sandbox import Sandbox
from wardround.environments.fhir.validation.validator import validate


def test_the_record_is_one_that_r4_allows() -> None:
    assert [issue for resource in RECORD for issue in validate(resource) if issue.severity != "warning"] == []


# -- tokens -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("Observation?code=2823-3", ["k", "foreign"]),
        ("Observation?code=http://loinc.org|2823-3", ["k", "foreign"]),
        ("Observation?code=http://snomed.info/sct|2823-3", []),
        ("Observation?code=GLU", ["glu", "glu2"]),
        ("Observation?code=|GLU", ["glu"]),
        ("Observation?code=urn:local|", ["glu2", "trop"]),
        ("Observation?code=urn:local|GLU", ["glu2"]),
        ("Observation?code=gLu,TROP", ["glu", "glu2", "trop"]),
        ("Observation?code=GLU&code=GLUCOSE", ["glu2"]),
        ("Observation?code=GLU&code=TROP", []),
        ("Observation?code=Potassium", []),
        ("Observation?code:not=GLU,2823-3", ["trop", "words", "bp"]),
        ("Observation?component-code=8480-6", ["bp"]),
        ("Observation?combo-code=8480-6,2823-3", ["k", "bp", "foreign"]),
        ("Observation?category=laboratory", ["k"]),
        ("Observation?category:not=laboratory", ["glu", "glu2", "trop", "words", "bp", "foreign"]),
        ("Observation?status=FINAL&code=GLU", ["glu", "glu2"]),
        ("Observation?status=|final&code=TROP", ["trop"]),
        ("Patient?gender=female", ["ann"]),
        ("Patient?gender:not=female", ["sean", "ivan", "kim"]),
        ("Patient?active=true", ["ann"]),
        ("Patient?deceased=true", ["sean"]),
        ("Patient?deceased=false", ["ann", "ivan", "kim"]),
        ("Patient?identifier=A-1\\,2", ["ann"]),
        ("Patient?identifier=a-1\\,2", ["ann"]),
        ("Patient?identifier=urn:mrn|A-1\\,2", ["ann"]),
        ("Patient?identifier=|777", ["ann"]),
        ("Patient?identifier=|A-1\\,2", []),
        ("Patient?identifier=urn:b\\|r|x\\|y", ["ann"]),
        ("Patient?identifier=x\\|y", ["ann"]),
        ("Patient?phone=555-0100", ["ann"]),
        ("Patient?email=ANN@example.org", ["ann"]),
        ("Patient?email=555-0100", []),
        ("Patient?telecom=555-0100", ["ann"]),
        ("Patient?_tag=urn:tags|study", ["ann"]),
        ("Patient?_tag:not=study", ["sean", "ivan", "kim"]),
        ("Condition?clinical-status=active", ["dm"]),
        ("Encounter?class=IMP", ["stay"]),
        ("Encounter?status=in-progress,finished", ["stay", "visit"]),
        ("MedicationRequest?status=active&intent=order", ["mgiv"]),
    ],
)
async def test_a_token_is_a_code_with_or_without_its_system(reader: Client, query: str, found: list[str]) -> None:
    assert sorted(await reader.ids(query)) == sorted(found)


async def test_codes_differ_by_accent_but_not_by_case(sandbox: Sandbox, fhir: Client) -> None:
    made = [("x1", "ÄB-1"), ("x2", "ab-1"), ("x3", "ab  1")]
    sandbox.load({"resourceType": "Patient", "id": id_, "identifier": [{"value": value}]} for id_, value in made)
    assert await fhir.ids("Patient?identifier=äb-1") == ["x1"]
    assert await fhir.ids("Patient?identifier=AB-1") == ["x2"]
    assert await fhir.ids("Patient?identifier=ab 1") == []


async def test_a_resource_with_two_codes_of_a_system_is_found_once(reader: Client) -> None:
    page = await reader.bundle("Observation?code=urn:local|")
    assert page["total"] == 2
    assert sorted(entries(page)) == ["glu2", "trop"]


# -- strings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("Patient?name=ober", ["ann"]),
        ("Patient?family=ÖBERG", ["ann"]),
        ("Patient?family=berg", []),
        ("Patient?family:contains=BERG", ["ann"]),
        ("Patient?family:exact=Öberg", ["ann"]),
        ("Patient?family:exact=Oberg", []),
        ("Patient?family:exact=öberg", []),
        ("Patient?family:exact=Öber", []),
        ("Patient?given=lou", ["ann"]),
        ("Patient?given=ann&given=lou", ["ann"]),
        ("Patient?given=ann&given=sean", []),
        ("Patient?given=ann,sean", ["ann", "sean"]),
        ("Patient?name=ann lou öb", ["ann"]),
        ("Patient?name=dr", ["ann"]),
        ("Patient?family=o'b", ["sean"]),
        ("Patient?name=иванов", ["ivan"]),
        ("Patient?given=петр", ["ivan"]),
        ("Patient?name=ivanov p", ["ivan"]),
        ("Patient?family=김", ["kim"]),
        ("Patient?family=기", []),
        ("Patient?given=민", ["kim"]),
        ("Patient?address-city=Łó", ["ann"]),
        ("Patient?address=90-0", ["ann"]),
        ("Patient?address=mill", []),
        ("Patient?address:contains=mill", ["ann"]),
        ("Observation?value-string=mude", ["words"]),
        ("Observation?value-string=blass", []),
        ("Observation?value-string:contains=UND", ["words"]),
        ("Organization?name=general", ["hospital"]),
        ("Organization?name:contains=al", ["hospital"]),
        ("Location?name=bed", ["bed"]),
    ],
)
async def test_a_string_is_the_beginning_of_a_field(reader: Client, query: str, found: list[str]) -> None:
    assert sorted(await reader.ids(query)) == sorted(found)


async def test_like_patterns_and_quotes_in_a_string_mean_themselves(sandbox: Sandbox, fhir: Client) -> None:
    names = {"p1": "100%", "p2": "a_b", "p3": "'; DROP TABLE version; --", "p4": "a, b", "p5": "back\\slash"}
    sandbox.load({"resourceType": "Patient", "id": id_, "name": [{"family": name}]} for id_, name in names.items())
    for id_, name in names.items():
        escaped = name.replace("\\", "\\\\").replace(",", "\\,")
        for modifier in ("", ":exact", ":contains"):
            assert await fhir.ids(f"Patient?family{modifier}={quote(escaped)}") == [id_]
    assert await fhir.ids("Patient?family=%25") == []
    assert await fhir.ids("Patient?family:contains=_") == ["p2"]


@given(st.text())
def test_folding_text_twice_is_folding_it_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text())
def test_folding_text_takes_its_case_away(text: str) -> None:
    assert fold(text.casefold()) == fold(text)


# -- references ---------------------------------------------------------------------------------------------

ANNS = ["bp", "glu", "glu2", "k"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("Observation?subject=ann", ANNS),
        ("Observation?subject=Patient/ann", ANNS),
        ("Observation?subject:Patient=ann", ANNS),
        ("Observation?subject:Patient=Patient/ann", ANNS),
        (f"Observation?subject={BASE}/Patient/ann", ANNS),
        ("Observation?subject=http://sandbox/fhir/Patient/ann", ANNS),
        ("Observation?subject=Patient/ann/_history/3", ANNS),
        ("Observation?patient=ann", ANNS),
        ("Observation?patient=Patient/ann", ANNS),
        ("Observation?subject=http://other.example.org/fhir/Patient/ann", ["foreign"]),
        ("Observation?subject=http://else.example.org/fhir/Patient/ann", []),
        ("Observation?subject=bed", ["words"]),
        ("Observation?subject:Location=bed", ["words"]),
        ("Observation?subject:Patient=bed", []),
        ("Observation?patient=bed", []),
        ("Observation?subject=ann,sean", [*ANNS, "trop"]),
        ("Observation?performer=Practitioner/house", ["k"]),
        ("Observation?performer=house,grey", ["k", "trop"]),
        ("Observation?performer=house&performer=ward", ["k"]),
        ("Observation?performer=house&performer=grey", []),
        ("Observation?has-member=k", ["bp"]),
        ("DiagnosticReport?result=k", ["panel"]),
        ("DiagnosticReport?result=Observation/k", ["panel"]),
        ("Provenance?target=Condition/dm", ["prov"]),
        ("Provenance?target=dm", ["prov"]),
        ("Provenance?patient=ann", []),
        ("Patient?link=sean", ["ivan"]),
        ("ServiceRequest?instantiates-canonical=http://example.org/PlanDefinition/ct", ["ct"]),
        ("ServiceRequest?instantiates-canonical=http://example.org/PlanDefinition/ct|1.2", ["ct"]),
        ("ServiceRequest?instantiates-canonical=http://example.org/PlanDefinition/ct|1.3", []),
        ("Patient?_profile=http://example.org/inpatient", ["ann"]),
        ("Patient?_profile=http://example.org/inpatient|2.0", ["ann"]),
        ("Patient?_profile=http://example.org/inpatient|2.1", []),
    ],
)
async def test_every_way_to_write_a_reference_finds_the_same(reader: Client, query: str, found: list[str]) -> None:
    assert sorted(await reader.ids(query)) == sorted(found)


async def test_absolute_references_to_the_own_server_are_stored_as_its_resources(fhir: Client) -> None:
    subject = {"reference": f"{BASE}/Patient/kim"}
    body = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": subject}
    made = (await fhir.send("POST", "Observation", json=body)).json()
    assert made["subject"] == subject
    for query in ("subject=kim", "patient=Patient/kim", f"subject={BASE}/Patient/kim", "subject.family=김"):
        assert await fhir.ids(f"Observation?{query}") == [made["id"]]


# -- dates --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("Patient?birthdate=1960-05-17", ["ann"]),
        ("Patient?birthdate=1960-05", ["ann"]),
        ("Patient?birthdate=1960", ["ann", "sean"]),
        ("Patient?birthdate=1999", ["ivan"]),
        ("Patient?birthdate=1999-12-01", []),
        ("Patient?birthdate=ne1960", ["ivan"]),
        ("Patient?birthdate=ne1960-05-17", ["sean", "ivan"]),
        ("Patient?birthdate=gt1960-05-17", ["sean", "ivan"]),
        ("Patient?birthdate=lt1960-05-17", ["sean"]),
        ("Patient?birthdate=ge1960-05-17", ["ann", "sean", "ivan"]),
        ("Patient?birthdate=le1960-05-17", ["ann", "sean"]),
        ("Patient?birthdate=sa1960-05-17", ["ivan"]),
        ("Patient?birthdate=eb1960-05-18", ["ann"]),
        ("Patient?birthdate=ge1960&birthdate=lt1961", ["ann", "sean"]),
        ("Patient?birthdate=1960-05-17,1999", ["ann", "ivan"]),
        ("Patient?death-date=2020-02", ["sean"]),
        ("Encounter?date=ge2023-11-13", ["stay"]),
        ("Encounter?date=2023", []),
        ("Encounter?date=lt2023-11-10", ["visit"]),
        ("Encounter?date=sa2023-11-09", ["stay"]),
        ("Encounter?date=eb2020", ["visit"]),
        ("Observation?date=2023-11-12T10:15:00Z", ["k"]),
        ("Observation?date=2023-11-12T10:15Z", ["k"]),
        ("Observation?date=2023-11-12T12:15:00+02:00", ["k"]),
        ("Observation?date=2023-11-12T12:15:00%2B02:00", ["k"]),
        ("Observation?date=2023-11-12T05:15:00-05:00", ["k"]),
        ("Observation?date=2023-11-12T10:15:00", ["k"]),
        ("Observation?date=ge2023-11-12T10:15:00+00:00&code=2823-3", ["k"]),
        ("Observation?date=gt2023-11-12&code=2823-3,GLU", ["glu", "glu2"]),
        ("Observation?date=lt2023-11-12&code=2823-3,GLU", ["glu2", "foreign"]),
        ("Observation?date=sa2023-11-12&code=2823-3,GLU", ["glu"]),
        ("Observation?date=eb2002", ["foreign"]),
        ("Observation?date=lt1900", ["foreign"]),
        ("Observation?date=2023-11&code=85354-9", ["bp"]),
        ("Observation?date=2023-11-03&code=85354-9", []),
        ("Observation?date=ge2023-11-02&code=85354-9", ["bp"]),
        ("Observation?date=ge2023-11-03&code=85354-9", []),
        ("Observation?date=2019-01-01T08:30:00.250Z", ["trop"]),
        ("Observation?date=2019-01-01T08:30:00Z", ["trop"]),
        ("Observation?date=2019-01-01T08:30:00.2Z", ["trop"]),
        ("Observation?date=2019-01-01T08:30:00.3Z", []),
        ("MedicationRequest?authoredon=2023-11-13", ["mgiv"]),
        ("MedicationRequest?date=2023-11-13", ["mgiv"]),
        ("ServiceRequest?authored=2023-11-13", ["ct"]),
        ("ServiceRequest?occurrence=gt2023-11-19", ["ct"]),
        ("ServiceRequest?occurrence=lt2023-11-14", []),
        ("Condition?onset-date=2010", ["dm"]),
        ("Condition?onset-date=2010-03", []),
        ("Condition?recorded-date=2010-06", ["dm"]),
        ("Procedure?date=2001-03-04T08:30:00Z", []),
        ("Procedure?date=gt2001-03-04T08:30:00Z", ["appy"]),
        ("Procedure?date=2001-03-04", ["appy"]),
        ("Patient?_lastUpdated=2023-11-13", ["ann", "sean", "ivan", "kim"]),
        ("Patient?_lastUpdated=gt2023-11-13", []),
        ("Patient?_lastUpdated=lt2023-11-13T10:16:00Z&gender=female", ["ann"]),
    ],
)
async def test_a_date_is_a_range_as_wide_as_its_precision(reader: Client, query: str, found: list[str]) -> None:
    assert sorted(await reader.ids(query)) == sorted(found)


@pytest.mark.parametrize(
    ("sent", "applied"),
    [
        ("ge2023-11-12T10:15:00+00:00", "ge2023-11-12T10:15:00%2B00:00"),
        ("ge2023-11-12T10:15:00%2B02:00", "ge2023-11-12T10:15:00%2B02:00"),
        ("2023-11-12T10:15:00", "2023-11-12T10:15:00Z"),
        ("lt2023-11-12T10:15", "lt2023-11-12T10:15Z"),
        ("2023-11-12T10:15:00,gt2023-11-13T00:00:00+01:00", "2023-11-12T10:15:00Z,gt2023-11-13T00:00:00%2B01:00"),
        ("eq2023", "eq2023"),
    ],
)
@pytest.mark.parametrize(
    ("type_", "name"),
    [("Observation", "date"), ("DiagnosticReport", "result.date"), ("Patient", "_has:Observation:subject:date")],
)
async def test_the_self_link_says_which_moment_was_applied(
    reader: Client, type_: str, name: str, sent: str, applied: str
) -> None:
    page = await reader.bundle(f"{type_}?{name}={sent}")
    assert link(page, "self") == f"{BASE}/{type_}?{name}={applied}&_count=50"
    assert await reader.bundle(str(link(page, "self"))) == page


# -- numbers and quantities -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("Observation?value-quantity=3.9", ["k"]),
        ("Observation?value-quantity=4", ["k"]),
        ("Observation?value-quantity=3.90", ["k"]),
        ("Observation?value-quantity=3.91", []),
        ("Observation?value-quantity=100", ["glu"]),
        ("Observation?value-quantity=1e2", ["glu", "glu2"]),
        ("Observation?value-quantity=95,10", ["glu2", "foreign"]),
        ("Observation?value-quantity=ne100&code=GLU", ["glu2"]),
        ("Observation?value-quantity=gt95&code=GLU", ["glu"]),
        ("Observation?value-quantity=ge95&code=GLU", ["glu", "glu2"]),
        ("Observation?value-quantity=lt3.9", ["trop"]),
        ("Observation?value-quantity=le3.9", ["k", "trop"]),
        ("Observation?value-quantity=sa95", ["glu"]),
        ("Observation?value-quantity=eb3.95", ["k"]),
        ("Observation?value-quantity=gt4.9&code=TROP", ["trop"]),
        ("Observation?value-quantity=ge5&code=TROP", []),
        ("Observation?value-quantity=eb5&code=TROP", ["trop"]),
        ("Observation?value-quantity=-4", []),
        ("Observation?value-quantity=gt-4&code=2823-3", ["k", "foreign"]),
        ("Observation?value-quantity=+100", ["glu"]),
        ("Observation?value-quantity=gt9.9e+1||mg/dL", ["glu"]),
        ("Observation?value-quantity=3.9||mmol/L", ["k"]),
        ("Observation?value-quantity=3.9|http://unitsofmeasure.org|mmol/L", ["k"]),
        ("Observation?value-quantity=3.9||mg/dL", []),
        ("Observation?value-quantity=100||mg/dL", ["glu"]),
        ("Observation?value-quantity=100|http://unitsofmeasure.org|mg/dL", []),
        ("Observation?value-quantity=ge9||mmol/L", ["foreign"]),
        ("Observation?value-quantity=3.9||", ["k"]),
        ("Observation?component-value-quantity=gt100", ["bp"]),
        ("Observation?component-value-quantity=80||mm[Hg]", ["bp"]),
        ("Observation?combo-value-quantity=80,3.9", ["k", "bp"]),
        ("Encounter?length=3", ["stay"]),
        ("Encounter?length=gt2||d", ["stay"]),
        ("Condition?onset-age=44", ["gout"]),
        ("RiskAssessment?probability=0.25", ["risk"]),
        ("RiskAssessment?probability=0.3", ["risk"]),
        ("RiskAssessment?probability=0.24", []),
        ("RiskAssessment?probability=gt0.2", ["risk"]),
        ("RiskAssessment?probability=lt0.25", []),
    ],
)
async def test_a_number_stands_for_all_that_rounds_to_it(reader: Client, query: str, found: list[str]) -> None:
    assert sorted(await reader.ids(query)) == sorted(found)


@pytest.mark.parametrize(("stored", "found"), [(5.35, True), (5.3499, False), (5.4499, True), (5.45, False)])
async def test_the_lower_edge_of_a_number_belongs_to_it_and_the_upper_does_not(
    sandbox: Sandbox, fhir: Client, stored: float, found: bool
) -> None:
    sandbox.load([{"resourceType": "Observation", "id": "edge", "status": "final", "valueQuantity": {"value": stored}}])
    assert ("edge" in await fhir.ids("Observation?value-quantity=5.4")) is found
    assert ("edge" in await fhir.ids("Observation?value-quantity=ne5.4")) is not found


# -- missing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("Patient?gender:missing=true", ["kim"]),
        ("Patient?gender:missing=false", ["ann", "sean", "ivan"]),
        ("Patient?birthdate:missing=true", ["kim"]),
        ("Patient?general-practitioner:missing=false", ["ann"]),
        ("Patient?address:missing=false", ["ann"]),
        ("Patient?email:missing=false", ["ann"]),
        ("Patient?_tag:missing=false", ["ann"]),
        ("Patient?_profile:missing=true", ["sean", "ivan", "kim"]),
        ("Patient?_id:missing=true", []),
        ("Patient?_lastUpdated:missing=false", ["ann", "sean", "ivan", "kim"]),
        ("Observation?value-quantity:missing=true", ["words", "bp"]),
        ("Observation?date:missing=true", ["words"]),
        ("Observation?code:missing=true", []),
        ("Observation?subject:missing=true", []),
        ("Observation?patient:missing=true", ["words"]),
        ("Observation?encounter:missing=false", ["k"]),
        ("Condition?code:missing=true", []),
        ("Condition?onset-date:missing=true", ["gout"]),
        ("RiskAssessment?probability:missing=false", ["risk"]),
        ("ServiceRequest?instantiates-canonical:missing=false", ["ct"]),
    ],
)
async def test_missing_asks_whether_there_is_anything(reader: Client, query: str, found: list[str]) -> None:
    assert sorted(await reader.ids(query)) == sorted(found)
