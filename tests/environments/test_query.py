"""How searches are put together: chains, includes, order, parts of resources; and what is refused, and how."""

from typing import Any

import pytest

from tests.environments.ward import BASE, Client, amount, ask, concept, entries, link, observation, ref
from wardround.environments.fhir.capability import served_parameters
from wardround.environments.fhir.definitions import COMMON, definitions
from wardround.environments.fhir.sandbox import Sandbox
from wardround.environments.fhir.searching.conditions import MAX_STEPS, RESULT_PARAMETERS, is_served
from wardround.environments.fhir.searching.query import MAX_COUNT, MAX_VALUES

ANNS = ["bp", "glu", "glu2", "k"]

# -- chains and _has ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("Observation?patient.family=oberg", ANNS),
        ("Observation?subject:Patient.family=oberg", ANNS),
        ("Observation?subject.name=oberg", ANNS),
        ("Observation?subject.name=bed", ["words"]),
        ("Observation?subject:Location.name=bed", ["words"]),
        ("Observation?subject.name=bed,oberg", ["words", *ANNS]),
        ("Observation?subject:Patient.name=bed", []),
        ("Observation?patient.gender:not=female", ["trop"]),
        ("Observation?patient.birthdate=lt1960-05-17", ["trop"]),
        ("Observation?patient.identifier=urn:mrn|A-1\\,2", ANNS),
        ("Observation?patient._id=sean", ["trop"]),
        ("Observation?patient._tag=study", ANNS),
        ("Observation?patient._lastUpdated=lt2000", []),
        ("Patient?_has:Observation:patient:_lastUpdated=2023-11-13", ["ann", "sean"]),
        ("Observation?patient.gender:missing=true", []),
        ("Observation?patient.name:contains=RG", ANNS),
        ("Observation?patient.organization.name=ward", ANNS),
        ("Observation?patient.organization.partof.name=general", ANNS),
        ("Observation?patient.organization.partof.name=ward", []),
        ("Observation?patient:Patient.organization:Organization.partof:Organization.identifier=|h", ANNS),
        ("Observation?performer:Practitioner.name=house", ["k"]),
        ("Observation?performer.name=ward", ["k"]),
        ("Observation?performer.identifier=urn:npi|42", ["k"]),
        ("Observation?encounter.location.name=bed", ["k"]),
        ("Observation?encounter.status=in-progress&patient.family=oberg&code=2823-3", ["k"]),
        ("DiagnosticReport?result.code=2823-3", ["panel"]),
        ("DiagnosticReport?result.patient.family=oberg", ["panel"]),
        ("DiagnosticReport?result.value-quantity=gt99", ["panel"]),
        ("DiagnosticReport?result.value-quantity=gt100", []),
        ("Patient?_has:Observation:patient:code=2823-3", ["ann"]),
        ("Patient?_has:Observation:subject:code=GLU,TROP", ["ann", "sean"]),
        ("Patient?_has:Observation:patient:value-quantity=lt3", ["sean"]),
        ("Patient?_has:Observation:patient:code:not=GLU", ["ann", "sean"]),
        ("Patient?_has:Condition:patient:clinical-status:missing=true", ["sean"]),
        ("Patient?_has:Observation:patient:performer.name=grey", ["sean"]),
        ("Patient?_has:Observation:patient:_has:DiagnosticReport:result:code=24323-8", ["ann"]),
        ("Patient?_has:Observation:patient:code=GLU&_has:Condition:patient:code=E11", ["ann"]),
        ("Patient?_has:Observation:patient:code=TROP&_has:Condition:patient:code=E11", []),
        ("Practitioner?_has:Observation:performer:code=2823-3", ["house"]),
        ("Practitioner?_has:MedicationRequest:requester:status=active", ["house"]),
        ("Organization?_has:Patient:organization:gender=male", ["hospital"]),
        ("Observation?_has:Provenance:target:agent=Practitioner/house", ["k"]),
    ],
)
async def test_a_chain_follows_references_forward_and_has_follows_them_back(
    reader: Client, query: str, found: list[str]
) -> None:
    assert sorted(await reader.ids(query)) == sorted(found)


async def test_deleting_or_changing_the_other_end_is_seen_by_the_next_chained_search(fhir: Client) -> None:
    ward = (await fhir.get("Organization/ward")).json()
    await fhir.send("PUT", "Organization/ward", json=ward | {"name": "Theatre"})
    assert await fhir.ids("Patient?organization.name=ward") == []
    assert await fhir.ids("Patient?organization.name=theatre") == ["ann"]
    await fhir.send("DELETE", "Observation/k")
    assert await fhir.ids("Patient?_has:Observation:patient:code=2823-3") == []
    assert await fhir.ids("DiagnosticReport?result.code=2823-3") == []
    assert await fhir.ids("DiagnosticReport?result=k") == ["panel"]


# -- includes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "matches", "included"),
    [
        ("Observation?_id=k&_include=Observation:subject", ["k"], ["Patient/ann"]),
        ("Observation?_id=k&_include=Observation:patient", ["k"], ["Patient/ann"]),
        (
            "Observation?_id=k&_include=Observation:performer",
            ["k"],
            ["Organization/ward", "Practitioner/house"],
        ),
        ("Observation?_id=k&_include=Observation:performer:Practitioner", ["k"], ["Practitioner/house"]),
        ("Observation?_id=words&_include=Observation:subject:Patient", ["words"], []),
        ("Observation?_id=words&_include=Observation:patient", ["words"], []),
        ("Observation?_id=foreign&_include=Observation:subject", ["foreign"], []),
        (
            "Observation?_id=k&_include=Observation:*",
            ["k"],
            ["Encounter/stay", "Organization/ward", "Patient/ann", "Practitioner/house"],
        ),
        (
            "Observation?_id=k&_include=*",
            ["k"],
            ["Encounter/stay", "Organization/ward", "Patient/ann", "Practitioner/house"],
        ),
        ("Observation?_id=bp,k&_include=Observation:has-member", ["bp", "k"], []),
        ("DiagnosticReport?_include=DiagnosticReport:result", ["panel"], ["Observation/glu", "Observation/k"]),
        ("Patient?_id=ann&_revinclude=Condition:patient", ["ann"], ["Condition/dm"]),
        ("Patient?_id=ann&_revinclude=Condition:subject:Patient", ["ann"], ["Condition/dm"]),
        ("Observation?_id=k&_revinclude=Provenance:target", ["k"], ["Provenance/prov"]),
        ("Organization?_id=hospital&_revinclude=*", ["hospital"], ["Organization/ward", "Patient/sean"]),
        (
            "MedicationRequest?_include=MedicationRequest:medication&_include=MedicationRequest:requester",
            ["mgiv"],
            ["Medication/mg", "Practitioner/house"],
        ),
        ("Patient?_id=kim&_include=*&_revinclude=*", ["kim"], []),
    ],
)
async def test_includes_come_beside_the_matches_and_are_not_counted(
    reader: Client, query: str, matches: list[str], included: list[str]
) -> None:
    page = await reader.bundle(query)
    assert sorted(entries(page)) == matches
    assert sorted(entries(page, "include")) == included
    assert page["total"] == len(matches)
    assert [e["fullUrl"] for e in page["entry"]] == [
        f"{BASE}/{e['resource']['resourceType']}/{e['resource']['id']}" for e in page["entry"]
    ]


async def test_each_page_includes_what_its_own_matches_refer_to(reader: Client) -> None:
    pages = await reader.walk("Observation?_sort=_id&_count=1&_include=Observation:patient")
    assert [entries(page) for page in pages] == [[i] for i in ["bp", "foreign", "glu", "glu2", "k", "trop", "words"]]
    assert [entries(page, "include") for page in pages] == [
        ["Patient/ann"],
        [],
        ["Patient/ann"],
        ["Patient/ann"],
        ["Patient/ann"],
        ["Patient/sean"],
        [],
    ]
    assert {page["total"] for page in pages} == {7}


async def test_deleted_resources_are_not_included(fhir: Client) -> None:
    await fhir.send("DELETE", "Provenance/prov")
    page = await fhir.bundle("Observation?_id=k&_revinclude=Provenance:target")
    assert entries(page, "include") == []


# -- order ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("value-quantity", ["trop", "k", "foreign", "glu2", "glu", "bp", "words"]),
        ("-value-quantity", ["glu", "glu2", "foreign", "trop", "k", "bp", "words"]),
        ("date", ["foreign", "trop", "glu2", "bp", "k", "glu", "words"]),
        ("-date", ["glu2", "glu", "k", "bp", "trop", "foreign", "words"]),
        ("_id", ["bp", "foreign", "glu", "glu2", "k", "trop", "words"]),
        ("-_id", ["words", "trop", "k", "glu2", "glu", "foreign", "bp"]),
        ("code,_id", ["foreign", "k", "bp", "glu", "glu2", "trop", "words"]),
        ("code,-value-quantity", ["foreign", "k", "bp", "glu", "glu2", "trop", "words"]),
        ("code,value-quantity", ["k", "foreign", "bp", "glu2", "glu", "trop", "words"]),
        ("-code,value-quantity", ["trop", "glu2", "glu", "bp", "k", "foreign", "words"]),
        ("status,value-quantity", ["trop", "k", "foreign", "glu2", "glu", "bp", "words"]),
        ("value-string", ["words", "bp", "foreign", "glu", "glu2", "k", "trop"]),
        ("subject,-_id", ["foreign", "words", "k", "glu2", "glu", "bp", "trop"]),
        ("encounter", ["k", "bp", "foreign", "glu", "glu2", "trop", "words"]),
    ],
)
async def test_sort_keys_apply_in_turn_with_missing_values_last_and_the_id_at_the_end(
    reader: Client, sort: str, order: list[str]
) -> None:
    assert await reader.ids(f"Observation?_sort={sort}") == order
    walked = await reader.walk(f"Observation?_sort={sort}&_count=2")
    assert [id_ for page in walked for id_ in entries(page)] == order
    repeated = "&".join(f"_sort={key}" for key in sort.split(","))
    assert await reader.ids(f"Observation?{repeated}") == order


async def test_numbers_are_sorted_by_size(sandbox: Sandbox, fhir: Client) -> None:
    values = [10.0, 9.0, 100.0, -1.0, 0.5, 1000.0, 99.5]
    sandbox.load(observation(f"n{i}", concept("N"), valueQuantity=amount(value, "g")) for i, value in enumerate(values))
    found = await fhir.bundle("Observation?code=N&_sort=-value-quantity")
    shown = [entry["resource"]["valueQuantity"]["value"] for entry in found["entry"]]
    assert shown == sorted(values, reverse=True)


async def test_a_key_named_again_changes_nothing(reader: Client) -> None:
    many = ",".join(["-_id", "_id"] * 2000)
    assert await reader.ids(f"Observation?_sort={many}") == ["words", "trop", "k", "glu2", "glu", "foreign", "bp"]


# -- parts of resources -----------------------------------------------------------------------------------------


async def test_elements_keeps_what_was_asked_for_and_what_must_be_there_and_says_so(reader: Client) -> None:
    page = await reader.bundle("Observation?_id=k&_elements=value,effectiveDateTime")
    [entry] = page["entry"]
    assert set(entry["resource"]) == {
        "resourceType", "id", "meta", "status", "code", "valueQuantity", "effectiveDateTime"
    }  # fmt: skip
    assert entry["resource"]["meta"]["tag"] == [
        {
            "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
            "code": "SUBSETTED",
            "display": "subsetted",
        }
    ]
    tagged = await reader.bundle("Patient?_id=ann&_elements=name")
    assert [tag["code"] for tag in tagged["entry"][0]["resource"]["meta"]["tag"]] == ["study", "SUBSETTED"]
    whole = (await reader.get("Observation/k")).json()
    assert "tag" not in whole["meta"]


async def test_elements_never_leaves_out_what_turns_the_meaning_round(reader: Client) -> None:
    page = await reader.bundle("MedicationRequest?_elements=authoredOn")
    resource = page["entry"][0]["resource"]
    assert resource["doNotPerform"] is True
    assert {"status", "intent", "subject", "medicationReference", "authoredOn"} < set(resource)
    assert "requester" not in resource
    assert (await reader.get("Patient/sean?_elements=name")).json()["deceasedDateTime"] == "2020-02-29"


async def test_included_resources_are_whole(reader: Client) -> None:
    page = await reader.bundle("Observation?_id=k&_elements=code&_include=Observation:subject")
    assert page["entry"][1]["resource"] == (await reader.get("Patient/ann")).json()


@pytest.mark.parametrize(
    "query", ["_summary=count", "_count=0", "_summary=count&_count=5", "_count=0&_totalMethod=count"]
)
async def test_a_count_has_a_total_and_no_entries(reader: Client, query: str) -> None:
    page = await reader.bundle(f"Observation?code=GLU&{query}&_include=Observation:subject")
    assert page["total"] == 2
    assert "entry" not in page
    again = await reader.bundle(str(link(page, "self")))
    assert (again["total"], "entry" in again, link(again, "next")) == (2, False, None)


async def test_a_total_is_given_unless_it_is_not_wanted(reader: Client) -> None:
    assert "total" not in await reader.bundle("Observation?_total=none&_count=2")
    assert (await reader.bundle("Observation?_total=accurate&_count=2"))["total"] == 7
    assert (await reader.bundle("Observation?_total=estimate&_count=2"))["total"] == 7


async def test_post_search_asks_the_same_as_get(reader: Client) -> None:
    wanted = await reader.bundle("Observation?code=GLU&date=ge2023-11-12T10:15:00%2B00:00&_sort=-date")
    form = {"code": "GLU", "date": "ge2023-11-12T10:15:00+00:00", "_sort": "-date"}
    posted = await reader.send("POST", "Observation/_search", data=form)
    assert posted.json() == wanted
    mixed = await reader.send("POST", "Observation/_search?code=GLU&_sort=-date", data={"date": form["date"]})
    assert entries(mixed.json()) == entries(wanted)
    empty = await reader.send("POST", "Observation/_search")
    assert empty.json()["total"] == 7


async def test_a_search_sent_as_json_is_refused_rather_than_not_read(reader: Client) -> None:
    response = await reader.send("POST", "Observation/_search", json={"code": "GLU"})
    assert response.status_code == 415
    assert "x-www-form-urlencoded" in response.text


# -- what is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("Patient?id=ann", "did you mean '_id'?"),
        ("Patient?famly=oberg", "did you mean 'family'?"),
        ("Patient?lastUpdated=2020", "did you mean '_lastUpdated'?"),
        ("MedicationRequest?authored=2023", "did you mean 'authoredon'?"),
        ("ServiceRequest?authoredon=2023", "did you mean 'authored'?"),
        ("Condition?date=2023", "-date'?"),
        ("Observation?value=3", "did you mean 'value-"),
        ("Observation?Code=GLU", "did you mean 'code'?"),
        ("Observation?foo", "foo"),
        ("Observation?code:=GLU", "nothing follows the colon"),
        ("Observation?subject:.name=x", "nothing follows the colon"),
        ("Observation?subject.=x", "no type that subject refers to"),
        ("Observation?=x", "has no search parameter ''"),
        ("Observation?code=", "no value"),
        ("Observation?code", "no value"),
        ("Observation?code=GLU,", "remove the comma"),
        ("Observation?code=,GLU", "remove the comma"),
        ("Observation?code=a|b|c", "system|code"),
        ("Observation?code=|", "system|code"),
        ("Observation?code:in=x", "':in' is not supported"),
        ("Observation?code:text=glucose", "':text' is not supported"),
        ("Observation?code:above=x", "':above' is not supported"),
        ("Observation?code:exact=x", "supported: :missing, :not"),
        ("Patient?name:startswith=x", "supported: :missing, :exact, :contains"),
        ("Patient?name:exakt=x", "did you mean 'exact'?"),
        ("Patient?birthdate:not=2020", "':not' is not supported"),
        ("Observation?subject:identifier=x", "':identifier' is not supported"),
        ("Observation?subject:Foo=x", "':Foo' is not supported"),
        ("Observation?subject:Practitioner=x", "never to Practitioner"),
        ("Observation?subject=Practitioner/house", "never to Practitioner"),
        ("Observation?patient=Location/bed", "never to Location"),
        ("Observation?subject:Patient=Location/bed", "write the id alone"),
        ("Observation?subject:Patient=http://other.example.org/fhir/Patient/ann", "write the id alone"),
        ("Observation?subject=Patient ann", "write an id, Type/id or an absolute URL"),
        ("Observation?subject=Foo/ann", "write an id, Type/id or an absolute URL"),
        ("Observation?subject=patient/ann", "write an id, Type/id or an absolute URL"),
        ("Observation?subject=Patient:ann", "write an id, Type/id or an absolute URL"),
        ("Observation?subject=ann_1", "write an id, Type/id or an absolute URL"),
        ("Patient?_id=Patient/ann", "such as _id=123"),
        ("Patient?active=yes", "codes: false, true"),
        ("Patient?deceased=1", "codes: false, true"),
        ("Patient?gender=F", "codes: female, male, other, unknown"),
        ("Observation?status=finished", "codes: amended"),
        ("Observation?status:not=finl", "did you mean 'final'?"),
        ("Observation?status=http://hl7.org/fhir/observation-status|final", "write status=final"),
        ("Patient?birthdate=17.05.1960", "is not a date"),
        ("Patient?birthdate=1960-5-7", "is not a date"),
        ("Patient?birthdate=1960-13", "is not a date"),
        ("Patient?birthdate=1960-02-30", "is not a date"),
        ("Patient?birthdate=0000", "is not a date"),
        ("Patient?birthdate=yesterday", "prefix 'ye' is not supported"),
        ("Patient?birthdate=ap1960", "prefix 'ap' is not supported"),
        ("Patient?birthdate=GE1960", "prefix 'GE' is not supported"),
        ("Patient?birthdate=>1960", "is not a date"),
        ("Patient?birthdate=ge", "is not a date"),
        ("Patient?birthdate=１９６０", "is not a date"),
        ("Observation?date=2023-11-12T", "is not a date"),
        ("Observation?date=2023-11-12T10", "is not a date"),
        ("Observation?date=2023-11-12 10:15:00", "is not a date"),
        ("Observation?date=2023-11-12T10:15:60Z", "is not a date"),
        ("Observation?date=2023-11-12T25:00:00Z", "is not a date"),
        ("Observation?date=2023-11-12T10:15:00+15:00", "is not a date"),
        ("Observation?date=2023-11-12T10:15:00z", "is not a date"),
        ("Observation?_lastUpdated=now", "_lastUpdated"),
        ("Observation?value-quantity=high", "prefix 'hi' is not supported"),
        ("Observation?value-quantity=5.4 mg", "is not a number"),
        ("Observation?value-quantity=1_000", "is not a number"),
        ("Observation?value-quantity=٣", "is not a number"),
        ("Observation?value-quantity=1e400", "greater than any number"),
        ("Observation?value-quantity=5.4|mg/dL", "5.4||mg/dL"),
        ("Observation?value-quantity=5.4|http://unitsofmeasure.org|", "5.4||mg/dL"),
        ("Observation?value-quantity=|http://unitsofmeasure.org|g", "is not a number"),
        ("RiskAssessment?probability=NaN", "prefix 'Na' is not supported"),
        ("Patient?gender:missing=yes", "write true or false"),
        ("Patient?gender:missing=true,false", "write true or false"),
        ("Patient?name=%CC%81", "no text to look for"),
        ("Observation?code-value-quantity=GLU$gt5", "search by its parts"),
        ("Patient?phonetic=smyth", "search by name"),
        ("Location?near=1|1", "not implemented"),
        ("Patient?_filter=name eq x", "_filter is not implemented"),
        ("Patient?_content=x", "_content is not implemented"),
        ("Patient?_text=x", "_text is not implemented"),
        ("Patient?_list=x", "_list is not implemented"),
        ("Patient?_query=x", "_query is not implemented"),
        ("Patient?_type=Patient", "_type is not implemented"),
        ("Patient?_contained=true", "_contained is not implemented"),
        ("Patient?_has=x", "_has"),
        ("Patient?_has:Observation:patient=x", "_has:Type:reference:parameter"),
        ("Patient?_has:Observaton:patient:code=x", "did you mean 'Observation'?"),
        ("Patient?_has:Observation:patiet:code=x", "did you mean 'patient'?"),
        ("Patient?_has:Observation:code:code=x", "only a reference"),
        ("Patient?_has:Observation:patient:cod=x", "did you mean 'code'?"),
        ("Patient?_has:Observation:encounter:code=x", "never to Patient"),
        ("Observation?code.name=x", "only a reference"),
        ("Observation?patient.famly=x", "did you mean 'family'?"),
        ("Observation?patient:Location.name=x", "never to Location"),
        ("Observation?subject:Group.code=x", "is not served"),
        ("Observation?patient.phonetic=x", "search by name"),
        ("Observation?patient._has:Condition:patient:code=x", "_has"),
        ("Patient?_include=Observation:subject", "Patient is searched"),
        ("Observation?_include=subject", "Type:parameter"),
        ("Observation?_include=Observation:code", "is a token, not a reference"),
        ("Observation?_include=Observation:subjec", "did you mean 'subject'?"),
        ("Observation?_include=Observation:subject:Practitioner", "never to Practitioner"),
        ("Observation?_include=Observation:subject:Foo", "no resource type 'Foo'"),
        ("Observation?_include=Foo:subject", "is not served"),
        ("Observation?_include:iterate=Observation:subject", "one step at a time"),
        ("Observation?_include=Observation:subject:iterate", "one step at a time"),
        ("Patient?_revinclude=Observation:encounter", "never to Patient"),
        ("Patient?_revinclude=Observation:subject:Location", "never to Patient"),
        ("Patient?_revinclude:recurse=Observation:subject", "one step at a time"),
        ("Observation?_sort=dat", "did you mean 'date'?"),
        ("Observation?_sort=+date", "' date'"),
        ("Observation?_sort=", "no value"),
        ("Observation?_sort:desc=date", "write _sort alone"),
        ("Observation?_sort=code-value-quantity", "cannot be sorted by"),
        ("Observation?_sort=_score", "_score"),
        ("Observation?_elements=subjet", "did you mean 'subject'?"),
        ("Observation?_elements=code.text", "no element 'code.text'"),
        ("Observation?_summary=true", "name the members in _elements"),
        ("Observation?_summary=yes", "count, false"),
        ("Observation?_total=maybe", "accurate, estimate, none"),
        ("Observation?_count=many", "_count=20"),
        ("Observation?_count=-1", "_count=20"),
        ("Observation?_count=1.5", "_count=20"),
        ("Observation?_count=", "no value"),
        ("Observation?_count=²", "_count=20"),
        ("Observation?_cursor=abc", "follow the 'next' link"),
        ("Observation?_cursor=", "no value"),
    ],
)
async def test_what_cannot_be_applied_exactly_is_refused_with_the_mend(reader: Client, query: str, says: str) -> None:
    assert says in await reader.refused(query)


async def test_the_outcome_names_the_parameter(reader: Client) -> None:
    body = (await reader.get("Patient?famly=oberg")).json()
    assert body["issue"][0]["expression"] == ["famly"]


async def test_only_json_is_served(reader: Client) -> None:
    for query in ("_format=xml", "_format=application/fhir%2Bxml", "_format=ttl"):
        await reader.refused(f"Patient?{query}", 406)
    assert (await reader.get("Patient", headers={"Accept": "application/fhir+xml"})).status_code == 406
    for query in ("_format=json", "_format=application/fhir%2Bjson", "_format=application/fhir+json&_pretty=true"):
        assert len(await reader.ids(f"Patient?{query}")) == 4


async def test_paths_that_are_none_are_not_found_and_name_what_was_meant(reader: Client) -> None:
    assert "did you mean 'Patient'?" in await reader.refused("Patients", 404)
    assert "is not served here" in await reader.refused("Questionnaire", 404)
    assert "no Patient/none" in await reader.refused("Patient/none", 404)
    await reader.refused("Patient/ann/nothing/here", 404)
    await reader.refused("Patient/ann/Foo", 404)
    assert "compartment" in await reader.refused("Patient/ann/Organization", 404)
    assert "across all types is not implemented" in await reader.refused("?_type=Patient", 405)
    await reader.refused("http://sandbox/elsewhere", 404)


async def test_deleted_is_told_from_never_there(fhir: Client) -> None:
    await fhir.send("DELETE", "Observation/k")
    assert "was deleted" in await fhir.refused("Observation/k", 410)
    assert "k" not in await fhir.ids("Observation?code=2823-3")
    await fhir.refused("Observation/k/_history/2", 410)
    assert (await fhir.get("Observation/k/_history/1")).json()["id"] == "k"


# -- leniency ---------------------------------------------------------------------------------------------------

LENIENT = {"Prefer": "handling=lenient"}


async def test_a_lenient_client_is_told_what_was_left_out(reader: Client) -> None:
    for prefer in ("handling=lenient", "return=representation; handling=lenient", "respond-async, handling=lenient"):
        page = await reader.bundle("Patient?gender=male&famly=x&id=1", headers={"Prefer": prefer})
        assert sorted(entries(page)) == ["ivan", "sean"]
        assert page["total"] == 2
        [outcome] = [e["resource"] for e in page["entry"] if e["search"]["mode"] == "outcome"]
        assert outcome["resourceType"] == "OperationOutcome"
        assert [(issue["severity"], issue["expression"]) for issue in outcome["issue"]] == [
            ("warning", ["famly"]),
            ("warning", ["id"]),
        ]
        assert link(page, "self") == f"{BASE}/Patient?gender=male&_count=50"


async def test_strict_is_the_default_and_can_be_asked_for(reader: Client) -> None:
    await reader.refused("Patient?famly=x", headers={"Prefer": "handling=strict"})
    await reader.refused("Patient?famly=x")


@pytest.mark.parametrize(
    "query",
    [
        "birthdate=yesterday",
        "gender=F",
        "name:exakt=oberg",
        "_has:Observation:patient:code:in=x",
        "general-practitioner.name:text=x",
        "_include:iterate=Patient:organization",
        "_count=many",
        "organization=Patient/ann",
        "name=",
    ],
)
async def test_leniency_is_about_unknown_parameters_alone(reader: Client, query: str) -> None:
    """R4 leaves a server free to pass over a parameter it does not know, but not a modifier of one it knows."""
    await reader.refused(f"Patient?{query}", headers=LENIENT)


async def test_a_parameter_known_but_not_served_can_be_passed_over_only_with_a_warning(reader: Client) -> None:
    for query in ("Observation?code-value-quantity=GLU$gt5", "Observation?_filter=x", "Observation?_sort=nothing"):
        await reader.refused(query)
        page = await reader.bundle(query, headers=LENIENT)
        assert page["total"] == 7
        assert page["entry"][-1]["search"]["mode"] == "outcome"


async def test_habits_of_clients_that_change_nothing_are_taken(reader: Client) -> None:
    assert len(await reader.ids("Patient?_totalMethod=count&_ts=1&_pretty=true")) == 4


# -- size ---------------------------------------------------------------------------------------------------------


async def test_thousands_of_values_are_searched_or_refused_but_never_a_fault(reader: Client) -> None:
    for name, value in {
        "code": "GLU",
        "_id": "glu",
        "date": "2023-11-13",
        "value-quantity": "100||mg/dL",
        "subject": "Patient/ann",
        "value-string": "mude",
        "_lastUpdated": "2023",
        "patient.family": "oberg",
    }.items():
        most = ",".join([value] * MAX_VALUES)
        response = await reader.send("POST", "Observation/_search", data={name: most})
        assert response.json()["total"] >= 1, name
        response = await reader.send("POST", "Observation/_search", data={name: f"{most},{value}"})
        assert response.status_code == 400
        assert "ask in parts" in response.text


async def test_a_thousand_conditions_are_all_applied(reader: Client) -> None:
    many = "&".join(["code=GLU", "date=ge2000", "subject=ann", "value-quantity=gt1"] * 249)
    response = await reader.send(
        "POST",
        "Observation/_search",
        content=many,
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert sorted(entries(response.json())) == ["glu", "glu2"]


async def test_chains_end_somewhere(reader: Client) -> None:
    deep = ".".join(["partof"] * MAX_STEPS)
    assert await reader.ids(f"Organization?{deep}.name=x") == []
    assert "steps" in await reader.refused(f"Organization?partof.{deep}.name=x")
    deep = "_has:Organization:partof:" * 5000 + "name"
    response = await reader.send("POST", "Organization/_search", data={deep: "x"})
    assert response.status_code == 400
    assert "steps" in response.text


# -- capabilities -------------------------------------------------------------------------------------------------

PLAUSIBLE = {
    "date": "2023",
    "number": "1",
    "quantity": "1",
    "reference": "x",
    "string": "x",
    "uri": "urn:x",
    "token": "x",
}
"""Values by type of parameter; of a code of a closed list, the refusal offers better ones."""


async def statement(reader: Client) -> dict[str, Any]:
    found: dict[str, Any] = (await reader.get("metadata")).json()
    return found


async def test_the_capability_statement_lists_what_is_served_and_nothing_else(reader: Client) -> None:
    found = await statement(reader)
    assert found["fhirVersion"] == "4.0.1"
    assert found["software"]["name"] == "Wardround sandbox"
    listed = {r["type"]: {p["name"]: p["type"] for p in r["searchParam"]} for r in found["rest"][0]["resource"]}
    assert set(listed) == set(definitions().types)
    for name, type_ in definitions().types.items():
        assert listed[name] == served_parameters(type_)
        assert set(listed[name]) - set(COMMON) == {p.name for p in type_.parameters.values() if is_served(p)}


async def test_every_listed_parameter_works_and_every_other_is_refused(archive: Sandbox, reader: Client) -> None:
    for resource in (await statement(reader))["rest"][0]["resource"]:
        type_ = definitions().types[resource["type"]]
        listed = {p["name"] for p in resource["searchParam"]}
        for name in listed:
            kind = type_.parameters[name].type if name in type_.parameters else COMMON[name]
            status, body = ask(archive.state, f"{type_.name}?{name}={PLAUSIBLE[kind]}&_count=1")
            if status == 400:
                offered = body["issue"][0]["diagnostics"].partition("; codes: ")[2].split(", ")
                assert offered != [""], (type_.name, name, body)
                status, body = ask(archive.state, f"{type_.name}?{name}={','.join(offered)}&_count=1")
            assert status == 200, (type_.name, name, body)
            assert ask(archive.state, f"{type_.name}?{name}:missing=true&_count=1")[0] == 200
        for name in {*type_.parameters, "nonsense", "id"} - listed:
            status, body = ask(archive.state, f"{type_.name}?{name}=x")
            assert (status, body["resourceType"]) == (400, "OperationOutcome")


async def test_every_listed_include_works(reader: Client) -> None:
    for resource in (await statement(reader))["rest"][0]["resource"]:
        for kind in ("Include", "RevInclude"):
            listed = resource[f"search{kind}"]
            query = "&".join(f"_{kind.lower()}={value}" for value in listed)
            assert (await reader.get(f"{resource['type']}?{query}&_count=3")).status_code == 200
        pointing = {v.split(":")[0] for v in resource["searchRevInclude"]}
        assert pointing <= set(definitions().types)


async def test_the_listed_operations_and_interactions_are_there(reader: Client) -> None:
    for resource in (await statement(reader))["rest"][0]["resource"]:
        codes = {each["code"] for each in resource["interaction"]}
        assert {"read", "vread", "search-type", "history-instance", "history-type"} <= codes
        for operation in resource["operation"]:
            place = {"everything": "none/$everything", "lastn": "$lastn", "validate": "$validate"}[operation["name"]]
            method = "POST" if operation["name"] == "validate" else "GET"
            response = await reader.send(method, f"{resource['type']}/{place}")
            assert "is not served on" not in response.text


def test_result_parameters_are_no_search_parameters() -> None:
    assert not set(RESULT_PARAMETERS) & set(COMMON)
    assert not {name for t in definitions().types.values() for name in t.parameters} & set(RESULT_PARAMETERS)


async def test_a_page_greater_than_the_greatest_says_how_large_it_is(reader: Client) -> None:
    page = await reader.bundle(f"Patient?_count={MAX_COUNT + 1}")
    assert link(page, "self") == f"{BASE}/Patient?_count={MAX_COUNT}"
    assert len(entries(page)) == 4
    assert link(await reader.bundle("Patient?_count=5000"), "self") == f"{BASE}/Patient?_count=5000"
    assert link(await reader.bundle("Patient?_count=99999999999"), "self") == f"{BASE}/Patient?_count={MAX_COUNT}"


async def test_references_in_search_results_stay_as_they_were_sent(sandbox: Sandbox, fhir: Client) -> None:
    stored = next(r for r in sandbox.state.resources() if r["id"] == "panel")
    assert stored["result"] == [ref("Observation/k/_history/1"), ref("Observation/glu")]
    assert (await fhir.bundle("DiagnosticReport?result=k"))["entry"][0]["resource"]["result"] == stored["result"]
