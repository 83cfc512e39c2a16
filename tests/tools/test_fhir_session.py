"""A session with a record: one patient at a time, writes as the policy has it, and a list of all that was done."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardround.core.errors import ToolError, ToolRefused, ToolRetry, UsageError
from wardround.environments.fhir.sandbox import Sandbox
from wardround.testing import FixedClock
from wardround.tools.fhir.addresses import BaseAddress
from wardround.tools.fhir.client import FhirClient, FhirRequestError
from wardround.tools.fhir.proposals import Proposal
from wardround.tools.fhir.scope import FREE, PatientScope
from wardround.tools.fhir.session import ACKNOWLEDGED, RecordSession, WritePolicy

Resource = dict[str, Any]
BASE = "http://sandbox/fhir/R4"
NOW = datetime(2023, 11, 13, 10, 15, tzinfo=UTC)
SCOPE = PatientScope("p1", BaseAddress.of(BASE))
LOINC = "http://loinc.org"


def patient(id_: str, **fields: Any) -> Resource:
    return {"resourceType": "Patient", "id": id_, "name": [{"family": id_.upper()}], **fields}


def observation(id_: str | None, whose: str, value: float = 4.1, **fields: Any) -> Resource:
    return {
        "resourceType": "Observation",
        **({"id": id_} if id_ is not None else {}),
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "2823-3", "display": "Potassium"}], "text": "Potassium"},
        "subject": {"reference": f"Patient/{whose}"},
        "effectiveDateTime": "2023-11-13T08:00:00+00:00",
        "valueQuantity": {"value": value, "unit": "mmol/L"},
        **fields,
    }


def order(whose: str, drug: str, **fields: Any) -> Resource:
    return {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": drug},
        "subject": {"reference": f"Patient/{whose}"},
        "authoredOn": "2023-11-13T10:15:00+00:00",
        **fields,
    }


def allergy(whose: str, to: str, **fields: Any) -> Resource:
    system = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"
    return {
        "resourceType": "AllergyIntolerance",
        "id": "allergy",
        "clinicalStatus": {"coding": [{"system": system, "code": "active"}]},
        "code": {"text": to},
        "patient": {"reference": f"Patient/{whose}"},
        "criticality": "high",
        **fields,
    }


RECORD = (
    patient("p1"),
    patient("p2"),
    *(observation(f"mine-{n}", "p1", 3.0 + n / 10) for n in range(5)),
    observation("theirs", "p2"),
    {"resourceType": "Practitioner", "id": "doc", "name": [{"family": "Osler"}]},
)


@asynccontextmanager
async def record(*more: Resource, **options: Any) -> AsyncIterator[tuple[RecordSession, Sandbox]]:
    clock = FixedClock(NOW, 0)
    with Sandbox(clock=clock) as sandbox:
        sandbox.load([*RECORD, *more])
        async with FhirClient(BASE, transport=sandbox.transport(), attempts=1) as client:
            yield RecordSession(client, **options), sandbox


def ids(response: Any) -> list[str]:
    entries = response.body.get("entry", [])
    return [e["resource"]["id"] for e in entries if e["resource"]["resourceType"] != "OperationOutcome"]


def http(sandbox: Sandbox, method: str) -> int:
    return sum(entry.method == method for entry in sandbox.audit)


# What belongs to a patient.


@pytest.mark.parametrize(
    "resource",
    [
        patient("p1"),
        observation("o", "p1"),
        {"resourceType": "Immunization", "patient": {"reference": "Patient/p1"}},
        {"resourceType": "Task", "for": {"reference": f"{BASE}/Patient/p1"}},
        {"resourceType": "Account", "subject": [{"reference": "Patient/p1/_history/3"}]},
        {"resourceType": "Appointment", "participant": [{"actor": {"reference": "Patient/p1"}}]},
        {"resourceType": "Provenance", "target": [{"reference": "Patient/p1"}, {"reference": "Observation/x"}]},
        {"resourceType": "Practitioner", "id": "anyone"},
        {"resourceType": "Medication"},
    ],
)
def test_what_is_the_patients_or_nobodys_may_be_seen(resource: Resource) -> None:
    assert SCOPE.holds(resource)


@pytest.mark.parametrize(
    "resource",
    [
        patient("p2"),
        observation("o", "p2"),
        {"resourceType": "Observation"},
        {"resourceType": "Observation", "subject": {"identifier": {"value": "p1"}}},
        {"resourceType": "Observation", "subject": {"reference": "Group/p1"}},
        {"resourceType": "Observation", "subject": {"reference": "#p1"}},
        {"resourceType": "Observation", "subject": {"reference": "http://elsewhere/fhir/Patient/p1"}},
        {"resourceType": "Observation", "subject": {"reference": "Patient/p11"}},
        {"resourceType": "Observation", "subject": "Patient/p1"},
        {"resourceType": "Account", "subject": [{"reference": "Patient/p1"}, {"reference": "Patient/p2"}]},
        {
            "resourceType": "Appointment",
            "participant": [{"actor": {"reference": "Patient/p1"}}, {"actor": {"reference": "Patient/p2"}}],
        },
        {"resourceType": "Provenance", "target": [{"reference": "Observation/x"}]},
        {"resourceType": "Binary", "data": "eA=="},
        {},
    ],
)
def test_what_is_anothers_or_cannot_be_told_may_not_be_seen(resource: Resource) -> None:
    assert not SCOPE.holds(resource)


@pytest.mark.parametrize(
    "path",
    [
        "metadata",
        "Patient/p1",
        "Patient/p1/_history/2",
        "Patient/p1/$everything",
        "Patient/p1/Observation?code=2823-3",
        "Patient?_id=p1&_revinclude=Observation:subject",
        "Observation?patient=p1",
        "Observation?patient=Patient/p1&code=x",
        "Observation?subject:Patient=p1",
        f"Observation?patient={BASE}/Patient/p1",
        "Observation?patient=p1,Patient/p1",
        "Observation?patient=p1&_elements=code,subject",
        "Observation/$lastn?patient=p1",
        "Observation/o",
        "Observation/o/_history/1",
        "Practitioner?name=x",
        "Practitioner/doc",
        "Practitioner?_elements=name",
        "ValueSet/$expand",
    ],
)
def test_what_stays_with_the_patient_may_be_asked(path: str) -> None:
    SCOPE.check_read(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "_history",
        "Patient",
        "Patient?name=x",
        "Patient?_id=p2",
        "Patient?_id=p1,p2",
        "Patient?_id:not=p1",
        "Patient/p2",
        "Patient/p2/Observation",
        "Patient/p2/$everything",
        "Patient/$match",
        "Patient/_history",
        "Observation",
        "Observation?code=2823-3",
        "Observation?patient=p2",
        "Observation?patient=p1,p2",
        "Observation?patient=p1&subject=p2",
        "Observation?patient:not=p1",
        "Observation?subject:identifier=p1",
        "Observation?patient=p1&patient:missing=true",
        "Observation?%70atient=p2",
        "Observation/_history",
        "Observation/$lastn",
        "Observation?patient=p1&subject.name=x",
        "Observation?patient=p1&_has:Provenance:target:agent=x",
        "Practitioner?_has:Observation:performer:patient=p2",
        "Practitioner?_filter=x",
        "Practitioner/doc/Observation",
        "Encounter/e/Observation",
        "Encounter/_search",
        "$process-message",
        "?_type=Observation",
    ],
)
def test_what_asks_beyond_the_patient_is_refused(path: str) -> None:
    with pytest.raises(ToolRefused, match="held to Patient/p1"):
        SCOPE.check_read(path)


def test_a_search_that_hides_whose_resources_are_is_to_be_mended() -> None:
    for path in ("Observation?patient=p1&_elements=code", "Patient/p1/Observation?_elements=code"):
        with pytest.raises(ToolRetry, match="add subject or patient"):
            SCOPE.check_read(path)


references = st.sampled_from(
    ("Patient/p1", "Patient/p2", "Observation/o", f"{BASE}/Patient/p1", "#x", "", "Patient/p1 ")
)
held = st.recursive(
    st.fixed_dictionaries({"reference": references}) | st.text(max_size=3) | st.none(),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(("subject", "patient", "actor", "contained", "id")), inner, max_size=2)
    ),
    max_leaves=5,
)
resources = st.dictionaries(
    st.sampled_from(("subject", "patient", "for", "participant", "id", "contained")), held, max_size=3
).flatmap(
    lambda fields: st.sampled_from(("Observation", "Patient", "Task", "Medication", "Binary")).map(
        lambda kind: {**fields, "resourceType": kind}
    )
)


@given(st.lists(resources, max_size=4))
def test_what_is_left_of_a_bundle_is_the_patients(found: list[Resource]) -> None:
    entries = [{"resource": resource} for resource in found]
    screened = SCOPE.screened({"resourceType": "Bundle", "total": len(found), "entry": entries})
    kept = [e["resource"] for e in screened["entry"] if e["resource"]["resourceType"] != "OperationOutcome"]
    assert kept == [resource for resource in found if SCOPE.holds(resource)]
    assert ("total" in screened) == (len(kept) == len(found))
    for resource in kept:
        if resource["resourceType"] not in FREE and resource["resourceType"] != "Patient":
            owners = [resource[n] for n in ("subject", "patient", "for") if resource.get(n) is not None]
            assert "Patient/p2" not in str(owners)


@pytest.mark.parametrize("patient_", ["", "Patient/", "Observation/1", "Patient/a/b", "p_1"])
async def test_a_scope_needs_a_reference_to_a_patient(patient_: str) -> None:
    async with FhirClient(BASE) as client:
        with pytest.raises(UsageError, match="no reference to a patient"):
            RecordSession(client, patient=patient_)


# Reading.


async def test_a_session_without_a_patient_reads_everything() -> None:
    async with record() as (session, _):
        assert len(ids(await session.get("Observation"))) == 6
        assert (await session.read("Patient/p2"))["id"] == "p2"
        assert [(c.method, c.url, c.status, c.sent, c.outcome) for c in session.calls] == [
            ("GET", "Observation", 200, True, "6 entries of 6"),
            ("GET", "Patient/p2", 200, True, "Patient/p2"),
        ]


async def test_a_session_held_to_a_patient_sees_that_patient_alone() -> None:
    async with record(patient="Patient/p1") as (session, sandbox):
        assert session.patient == "Patient/p1"
        assert len(ids(await session.get("Observation?patient=p1"))) == 5
        for path in ("Observation", "Observation?patient=p2", "Patient/p2", "Patient?name=P2"):
            with pytest.raises(ToolRefused):
                await session.get(path)
        assert http(sandbox, "GET") == 1
        with pytest.raises(ToolRefused, match="Observation/theirs is not known to be of Patient/p1"):
            await session.get("Observation/theirs")
        assert [(c.url, c.sent) for c in session.calls[1:]] == [
            ("Observation", False),
            ("Observation?patient=p2", False),
            ("Patient/p2", False),
            ("Patient?name=P2", False),
            ("Observation/theirs", True),
        ]


async def test_what_others_have_is_taken_out_of_what_comes_along() -> None:
    shared = observation("shared", "p1", performer=[{"reference": "Patient/p2"}, {"reference": "Practitioner/doc"}])
    async with record(shared, patient="p1") as (session, _):
        page = await session.search(
            "Observation", {"patient": "p1", "_id": "shared", "_include": "Observation:performer"}
        )
        assert [r["id"] for r in page.resources] == ["shared"]
        assert [r["id"] for r in page.included] == ["doc"]
        assert page.warnings == ("1 entries withheld that are not known to be of Patient/p1; the total is not told",)


async def test_everything_of_the_patient_holds_nothing_of_others() -> None:
    async with record(patient="p1") as (session, _):
        kept = ids(await session.get("Patient/p1/$everything"))
        assert "mine-0" in kept
        assert not {"p2", "theirs"} & set(kept)


async def test_a_next_page_may_be_asked_for_as_the_server_gave_it_and_no_other() -> None:
    async with record(patient="p1") as (session, _):
        page = await session.search("Observation", {"patient": "p1", "_count": "2"})
        assert page.next is not None
        following = await session.next_page(page)
        assert following is not None
        assert len({r["id"] for r in (*page.resources, *following.resources)}) == 4
        assert len(ids(await session.get(page.next))) == 2
        with pytest.raises(ToolRefused):
            await session.get(page.next.replace("p1", "p2"))


async def test_all_pages_of_a_search_are_gathered_up_to_a_limit() -> None:
    async with record(patient="p1") as (session, _):
        found, is_cut = await session.search_all("Observation", {"patient": "p1", "_count": "2"}, limit=4)
        assert (len(found), is_cut) == (4, True)
        found, is_cut = await session.search_all("Observation", {"patient": "p1", "_count": "2"}, limit=5)
        assert (len(found), is_cut) == (5, False)


async def test_a_refusal_of_the_server_is_an_answer_to_get_and_an_error_to_read() -> None:
    async with record() as (session, _):
        response = await session.get("Observation?cod=x")
        assert response.status == 400
        assert "code" in response.text
        with pytest.raises(FhirRequestError, match="404"):
            await session.read("Observation/none")
        assert [c.status for c in session.calls] == [400, 404]


async def test_a_patient_that_is_named_must_be_the_sessions_own() -> None:
    async with record(patient="p1") as (session, _):
        assert [session.whose(given) for given in (None, "", "p1", "Patient/p1")] == ["Patient/p1"] * 4
        with pytest.raises(ToolRefused, match="Patient/p2 is not allowed"):
            session.whose("p2")
    async with record() as (session, _):
        assert [session.whose(given) for given in (None, "p2", "Patient/p2")] == [None, "Patient/p2", "Patient/p2"]


async def test_an_address_elsewhere_is_refused_and_noted() -> None:
    async with record() as (session, sandbox):
        with pytest.raises(ToolRefused, match="another server"):
            await session.get("http://elsewhere/fhir/Patient/p1")
        assert [(c.url, c.sent) for c in session.calls] == [("http://elsewhere/fhir/Patient/p1", False)]
        assert http(sandbox, "GET") == 0


async def test_a_server_that_is_not_there_is_noted_and_raised() -> None:
    async with FhirClient("http://127.0.0.1:9/fhir", attempts=1) as client:
        session = RecordSession(client, policy=WritePolicy.ALLOW)
        with pytest.raises(FhirRequestError):
            await session.get("Patient/1")
        with pytest.raises(FhirRequestError):
            await session.write("POST", "Patient", patient("x"))
    assert [(c.method, c.status, c.sent, c.is_accepted) for c in session.calls] == [
        ("GET", None, True, False),
        ("POST", None, True, False),
    ]


# Writing.


async def test_writes_are_denied_unless_allowed() -> None:
    async with record() as (session, sandbox):
        before = sandbox.state.digest()
        with pytest.raises(ToolRefused, match="may read and not write"):
            await session.write("POST", "Observation", observation(None, "p1"))
        assert sandbox.state.digest() == before
        assert session.calls[0].is_write
        assert not session.calls[0].sent
        assert not session.calls[0].is_accepted


async def test_an_allowed_write_is_in_the_record_and_in_the_calls() -> None:
    async with record(policy=WritePolicy.ALLOW) as (session, _):
        response = await session.write("post", "Observation", observation(None, "p1"))
        assert response.status == 201
        call = session.calls[0]
        assert call.result == f"Observation/{response.body['id']}"
        assert (call.method, call.url, call.status, call.sent, call.is_accepted) == (
            "POST",
            "Observation",
            201,
            True,
            True,
        )
        assert (await session.read(call.result))["valueQuantity"]["value"] == 4.1


async def test_a_call_keeps_what_was_given_though_it_is_changed_later() -> None:
    body = observation(None, "p1")
    async with record(policy=WritePolicy.ALLOW) as (session, _):
        await session.write("POST", "Observation", body)
        body["status"] = "amended"
        assert session.calls[0].body["status"] == "final"


async def test_an_invalid_write_is_answered_with_the_servers_words() -> None:
    async with record(policy=WritePolicy.ALLOW) as (session, _):
        response = await session.write("POST", "Observation", observation(None, "p1", status="finalish"))
        assert response.is_error
        assert "status" in response.text
        assert session.calls[0].outcome == response.text
        assert session.calls[0].result is None


async def test_an_update_holds_only_for_the_version_that_was_read() -> None:
    async with record(policy=WritePolicy.ALLOW) as (session, _):
        mine = await session.read("Observation/mine-0")
        changed = {**mine, "status": "amended"}
        assert (await session.write("PUT", "Observation/mine-0", changed, version="1")).status == 200
        assert (await session.write("PUT", "Observation/mine-0", changed, version="1")).status == 412
        assert [c.result for c in session.calls[1:]] == ["Observation/mine-0", None]


async def test_a_patch_and_a_delete_are_sent_as_such() -> None:
    patch = [{"op": "replace", "path": "/status", "value": "amended"}]
    async with record(policy=WritePolicy.ALLOW, patient="p1") as (session, _):
        assert (await session.write("PATCH", "Observation/mine-0", patch)).body["status"] == "amended"
        assert not (await session.write("DELETE", "Observation/mine-1")).is_error
        assert (await session.get("Observation/mine-1")).status == 410


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "Observation", observation(None, "p2")),
        ("POST", "Observation", {"resourceType": "Observation"}),
        ("POST", "Observation", observation(None, "p1", performer=[{"reference": "Patient/p2"}])),
        ("POST", "Observation", observation(None, "p1", performer=[{"reference": "Patient/p2 "}])),
        ("POST", "Observation", observation(None, "p1", subject={"reference": "Patient?identifier=x"})),
        ("POST", "Observation", observation(None, "p1", contained=[patient("p2")])),
        ("POST", "Observation?patient=p1", observation(None, "p1")),
        ("POST", "Observation/_search", None),
        ("POST", "Patient", patient("p3")),
        ("POST", "Practitioner", {"resourceType": "Practitioner"}),
        ("POST", "", {"resourceType": "Bundle", "type": "batch", "entry": []}),
        (
            "POST",
            "",
            {
                "resourceType": "Bundle",
                "type": "transaction",
                "entry": [
                    {"resource": observation(None, "p1"), "request": {"method": "POST", "url": "Observation"}},
                    {"request": {"method": "DELETE", "url": "Patient/p2"}},
                ],
            },
        ),
        ("PUT", "Observation/theirs", observation("theirs", "p1")),
        ("PUT", "Patient/p2", patient("p2")),
        ("PATCH", "Observation/theirs", [{"op": "replace", "path": "/status", "value": "amended"}]),
        ("PATCH", "Observation/mine-0", [{"op": "replace", "path": "/subject/reference", "value": "Patient/p2"}]),
        ("PATCH", "Observation/mine-0", [{"op": "remove", "path": "/subject"}]),
        ("PATCH", "Observation/mine-0", [{"op": "move", "from": "/subject", "path": "/focus"}]),
        ("PATCH", "Observation/mine-0", [{"op": "replace", "path": "", "value": observation("mine-0", "p1")}]),
        ("PATCH", "Observation/mine-0", {"subject": {"reference": "Patient/p1"}}),
        ("DELETE", "Observation/theirs", None),
        ("DELETE", "Observation?patient=p1", None),
        ("PUT", "Observation?identifier=x", observation("x", "p1")),
    ],
)
async def test_a_write_that_concerns_others_is_refused(method: str, path: str, body: Any) -> None:
    async with record(policy=WritePolicy.ALLOW, patient="p1") as (session, sandbox):
        before = sandbox.state.digest()
        with pytest.raises(ToolRefused):
            await session.write(method, path, body)
        assert sandbox.state.digest() == before
        assert not session.calls[-1].sent


async def test_a_note_that_mentions_another_patient_in_words_may_be_written() -> None:
    noted = observation(None, "p1", note=[{"text": "twin of Patient/p2, see there"}])
    async with record(policy=WritePolicy.ALLOW, patient="p1") as (session, _):
        assert (await session.write("POST", "Observation", noted)).status == 201


async def test_a_new_resource_under_an_id_of_its_own_may_be_put() -> None:
    async with record(policy=WritePolicy.ALLOW, patient="p1") as (session, _):
        assert not (await session.write("PUT", "Observation/new", observation("new", "p1"))).is_error


async def test_a_transaction_of_the_patients_own_resources_may_be_sent() -> None:
    entry = {"resource": observation(None, "p1"), "request": {"method": "POST", "url": "Observation"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry, entry]}
    async with record(policy=WritePolicy.ALLOW, patient="p1") as (session, _):
        assert (await session.write("POST", "", bundle)).status == 200
        written = session.calls[0].result
        assert written is not None
        assert [(await session.read(reference))["resourceType"] for reference in written.split(", ")] == [
            "Observation"
        ] * 2
        assert len(ids(await session.get("Observation?patient=p1"))) == 7


async def test_a_pretended_write_is_acknowledged_and_never_sent() -> None:
    async with record(policy=WritePolicy.ALLOW, pretend=True) as (session, sandbox):
        before = sandbox.state.digest()
        for path in ("MedicationRequest", f"{BASE}/MedicationRequest", "http://elsewhere/fhir/MedicationRequest"):
            assert (await session.write("POST", path, order("p1", "x"))).status == 200
        assert sandbox.state.digest() == before
        assert {(c.outcome, c.sent, c.status, c.is_accepted) for c in session.calls} == {
            (ACKNOWLEDGED, False, None, True)
        }
        assert [c.url for c in session.calls] == [
            "MedicationRequest",
            "MedicationRequest",
            "http://elsewhere/fhir/MedicationRequest",
        ]


async def test_a_method_that_is_none_is_refused() -> None:
    async with record(policy=WritePolicy.ALLOW) as (session, _):
        with pytest.raises(ToolRefused, match="use one of POST"):
            await session.write("BREW", "Observation", {})


# Asking a person.


class Person:
    """Says yes or no, and keeps what was shown."""

    def __init__(self, agrees: bool) -> None:
        self.agrees, self.shown = agrees, list[Proposal]()

    async def __call__(self, proposal: Proposal) -> bool:
        self.shown.append(proposal)
        return self.agrees


async def test_a_person_is_needed_to_confirm() -> None:
    async with FhirClient(BASE) as client:
        with pytest.raises(UsageError, match="give person"):
            RecordSession(client, policy=WritePolicy.CONFIRM)


async def test_a_write_that_the_person_agrees_to_is_sent() -> None:
    person = Person(agrees=True)
    dose = [{"doseAndRate": [{"doseQuantity": {"value": 2, "unit": "g"}}], "route": {"text": "IV"}}]
    body = order("p1", "magnesium sulfate", dosageInstruction=dose)
    async with record(allergy("p1", "latex"), policy=WritePolicy.CONFIRM, person=person) as (session, _):
        assert (await session.write("POST", "MedicationRequest", body)).status == 201
    assert person.shown == [
        Proposal(
            method="POST",
            path="MedicationRequest",
            body=body,
            summary="order MedicationRequest: magnesium sulfate; 2 g IV for Patient/p1 (active, order)",
            warnings=(),
        )
    ]


async def test_the_person_sees_the_dose_in_words_and_in_numbers() -> None:
    person = Person(agrees=False)
    dose = [{"text": "2 g once", "doseAndRate": [{"doseQuantity": {"value": 20, "unit": "g"}}]}]
    async with record(policy=WritePolicy.CONFIRM, person=person) as (session, _):
        with pytest.raises(ToolRefused):
            await session.write("POST", "MedicationRequest", order("p1", "magnesium", dosageInstruction=dose))
    assert "magnesium; 2 g once; 20 g for Patient/p1" in person.shown[0].summary


@pytest.mark.parametrize(
    ("method", "path", "body", "summary"),
    [
        (
            "PUT",
            "Observation/mine-0",
            observation("mine-0", "p1"),
            "replace Observation/mine-0: Potassium: 4.1 mmol/L.",
        ),
        ("PATCH", "Observation/mine-0", [{"op": "remove", "path": "/note"}], "change 1 elements of Observation/mine-0"),
        ("DELETE", "Observation/mine-0", None, "delete Observation/mine-0"),
        (
            "POST",
            "",
            {"resourceType": "Bundle", "type": "batch", "entry": [{"resource": observation(None, "p1")}]},
            "batch of 1 entries: Observation",
        ),
    ],
)
async def test_every_kind_of_write_is_put_in_words(method: str, path: str, body: Any, summary: str) -> None:
    person = Person(agrees=False)
    async with record(policy=WritePolicy.CONFIRM, person=person) as (session, _):
        with pytest.raises(ToolRefused):
            await session.write(method, path, body)
    assert person.shown[0].summary.startswith(summary)


async def test_a_write_that_the_person_declines_is_not_sent() -> None:
    person = Person(agrees=False)
    async with record(policy=WritePolicy.CONFIRM, person=person, patient="p1") as (session, sandbox):
        before = sandbox.state.digest()
        with pytest.raises(ToolRefused, match="declined: order MedicationRequest: aspirin"):
            await session.write("POST", "MedicationRequest", order("p1", "aspirin"))
        assert sandbox.state.digest() == before


async def test_nobody_is_asked_about_what_is_refused_anyway() -> None:
    person = Person(agrees=True)
    async with record(policy=WritePolicy.CONFIRM, person=person, patient="p1") as (session, _):
        with pytest.raises(ToolRefused):
            await session.write("POST", "MedicationRequest", order("p2", "aspirin"))
    assert person.shown == []


async def warnings_of(body: Resource, *there: Resource) -> tuple[str, ...]:
    person = Person(agrees=False)
    async with record(*there, policy=WritePolicy.CONFIRM, person=person) as (session, _):
        with pytest.raises(ToolRefused):
            await session.write("POST", body["resourceType"], body)
    return person.shown[0].warnings


@pytest.mark.parametrize(
    ("drug", "allergen", "why"),
    [
        ("amoxicillin 500 mg capsule", "Penicillin V", "amoxicillin is a penicillin"),
        ("Aspirin 81 MG", "NSAIDs", "Aspirin is a non-steroidal anti-inflammatory drug"),
        ("ceftriaxone 1 g", "cephalosporins", "ceftriaxone is a cephalosporin"),
        ("sulfamethoxazole / trimethoprim", "Sulfa drugs", "sulfamethoxazole is a sulfonamide antibiotic"),
        ("atorvastatin 20 mg", "rosuvastatin", "atorvastatin is a statin"),
        ("codeine phosphate", "Codeine", "codeine is named in it"),
        ("magnesium sulfate 2 g", "magnesium", "magnesium is named in it"),
    ],
)
async def test_a_documented_allergy_is_a_warning(drug: str, allergen: str, why: str) -> None:
    warnings = await warnings_of(order("p1", drug), allergy("p1", allergen))
    assert warnings == (f"documented allergy: {allergen} (AllergyIntolerance/allergy, criticality high); {why}",)


@pytest.mark.parametrize(
    ("drug", "allergen"),
    [("paracetamol", "Penicillin"), ("potassium chloride", "penicillin V potassium"), ("nystatin", "statins")],
)
async def test_an_allergy_to_something_else_is_no_warning(drug: str, allergen: str) -> None:
    assert await warnings_of(order("p1", drug), allergy("p1", allergen)) == ()


async def test_an_allergy_that_was_refuted_is_no_warning() -> None:
    system = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification"
    refuted = allergy("p1", "penicillin", verificationStatus={"coding": [{"system": system, "code": "refuted"}]})
    assert await warnings_of(order("p1", "amoxicillin"), refuted) == ()


async def test_no_recorded_allergy_is_not_the_same_as_none() -> None:
    assert await warnings_of(order("p1", "amoxicillin"), allergy("p2", "penicillin")) == (
        "no allergies are recorded, which does not mean that there are none",
    )


async def test_a_drug_with_a_code_alone_cannot_be_checked_for_allergies() -> None:
    nameless = order("p1", "", medicationCodeableConcept={"coding": [{"code": "123"}]})
    assert await warnings_of(nameless) == ("the drug has no name, only a code: allergies could not be checked",)


async def test_an_order_that_is_there_already_is_a_warning() -> None:
    there = order("p1", "Magnesium sulfate 1 g", id="old")
    stopped = order("p1", "Magnesium sulfate 1 g", id="stopped", status="stopped")
    others = order("p2", "Magnesium sulfate 1 g", id="theirs-too")
    warnings = await warnings_of(order("p1", "magnesium sulfate 2 g"), there, stopped, others, allergy("p1", "latex"))
    assert warnings == (
        "possible duplicate of MedicationRequest/old: Magnesium sulfate 1 g, active, 2023-11-13T10:15:00+00:00",
    )


async def test_an_order_that_is_put_is_checked_like_one_that_is_posted() -> None:
    person = Person(agrees=False)
    there = order("p1", "Magnesium sulfate 1 g", id="old")
    async with record(there, allergy("p1", "magnesium"), policy=WritePolicy.CONFIRM, person=person) as (session, _):
        for id_ in ("new", "old"):
            with pytest.raises(ToolRefused):
                await session.write("PUT", f"MedicationRequest/{id_}", order("p1", "magnesium sulfate", id=id_))
    assert [[w.partition(":")[0] for w in proposal.warnings] for proposal in person.shown] == [
        ["possible duplicate of MedicationRequest/old", "documented allergy"],
        ["documented allergy"],
    ]


async def test_a_patch_says_that_nothing_was_looked_up() -> None:
    person = Person(agrees=False)
    async with record(policy=WritePolicy.CONFIRM, person=person) as (session, _):
        with pytest.raises(ToolRefused):
            await session.write("PATCH", "Observation/mine-0", [{"op": "remove", "path": "/status"}])
        with pytest.raises(ToolRefused):
            await session.write("DELETE", "Observation/mine-0")
    assert [proposal.warnings for proposal in person.shown] == [
        ("duplicates and allergies were not looked up: it is not one whole resource of one patient",),
        (),
    ]


async def test_an_observation_of_the_same_code_and_time_is_a_possible_duplicate() -> None:
    assert [w.partition(":")[0] for w in await warnings_of(observation(None, "p1"))] == [
        f"possible duplicate of Observation/mine-{n}" for n in range(5)
    ]
    later = observation(None, "p1", effectiveDateTime="2023-11-13T09:00:00+00:00")
    assert await warnings_of(later) == ()


async def test_what_could_not_be_looked_up_is_a_warning() -> None:
    person = Person(agrees=False)
    async with FhirClient("http://127.0.0.1:9/fhir", attempts=1) as client:
        session = RecordSession(client, policy=WritePolicy.CONFIRM, person=person)
        with pytest.raises(ToolError, match="declined"):
            await session.write("POST", "MedicationRequest", order("p1", "aspirin"))
    assert [w.partition(":")[0] for w in person.shown[0].warnings] == [
        "could not check whether this MedicationRequest is there already",
        "could not check allergies",
    ]
