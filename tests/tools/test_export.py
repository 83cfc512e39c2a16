"""A consult as a FHIR R4 Bundle."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.core.case import Case, Record, Sex
from wardround.core.claim import Claim
from wardround.core.decision import Decision, DecisionStatus, GateReason, Missing, Reason
from wardround.core.differential import Differential, Hypothesis
from wardround.core.graph import ClaimItem, EvidenceGraph, SourceItem
from wardround.core.source import Source, SourceKind
from wardround.tools.fhir.export import ICD10, consult_bundle

SEEN = datetime(2024, 5, 3, 10, 0, tzinfo=UTC)
FIRST = Hypothesis(id="acute_appendicitis", name="acute appendicitis", icd10="K35.80", probability=0.7)
SECOND = Hypothesis(id="renal_colic", name="renal colic", icd10=None, probability=0.2)
DIFFERENTIAL = Differential(hypotheses=(FIRST, SECOND), other=0.1)
FINAL = Decision(
    status=DecisionStatus.FINAL,
    diagnosis=FIRST,
    probability=0.7,
    interval=(0.5, 0.8),
    differential=DIFFERENTIAL,
    summary="Rebound tenderness speaks for it.",
)
ABSTAINED = Decision(
    status=DecisionStatus.ABSTAINED,
    differential=DIFFERENTIAL,
    reasons=(
        Reason(code=GateReason.LOW_PROBABILITY, detail="0.70 is below 0.80"),
        Reason(code=GateReason.MUST_NOT_MISS, detail="ectopic pregnancy is not excluded"),
    ),
    missing=(Missing(code="ct_appendicitis", name="CT abdomen", how="ct", gain=0.4),),
)
NOTE = Source(kind=SourceKind.CLINICIAN_NOTE, text="Rebound tenderness.", document="note:case_1")
LAB = Source(kind=SourceKind.LAB, text="CRP: 68 mg/L.", document="Observation/crp-1")
LAB_AGAIN = Source(kind=SourceKind.LAB, text="CRP: 68 mg/L (High).", document="Observation/crp-1")
CLAIM = Claim(agent="surgery", text="There is rebound tenderness.", cites=(NOTE.id,))
EVIDENCE = EvidenceGraph([*(SourceItem(source=s) for s in (NOTE, LAB, LAB_AGAIN)), ClaimItem(claim=CLAIM)])
BARE = Case(id="case_1", age=24, sex=Sex.MALE, complaint="belly pain", time=SEEN)


def bundle(
    case: Case = BARE,
    decision: Decision = FINAL,
    evidence: EvidenceGraph = EVIDENCE,
    run: str = "run_1",
    model: str = "reference",
) -> dict[str, Any]:
    return consult_bundle(case, decision, evidence, run=run, model=model)


def resources(made: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {entry["resource"]["resourceType"]: entry["resource"] for entry in made["entry"]}


def references(made: dict[str, Any]) -> dict[str, str]:
    return {entry["resource"]["resourceType"]: entry["fullUrl"] for entry in made["entry"]}


def with_patient(*ids: Any) -> Case:
    patients = tuple({"resourceType": "Patient", "id": id_} for id_ in ids)
    return Case(id="case_1", complaint="belly pain", record=Record(resources=patients), time=SEEN)


@pytest.mark.parametrize("decision", [FINAL, ABSTAINED])
@pytest.mark.parametrize("case", [BARE, with_patient("p1"), Case(narrative="Belly pain.")])
def test_the_bundle_is_valid_r4_and_survives_a_round_trip(case: Case, decision: Decision) -> None:
    made = bundle(case, decision)
    checked = Bundle.model_validate_json(json.dumps(made))
    assert checked.type == "transaction"
    assert len(checked.entry) == len(made["entry"])
    assert json.loads(json.dumps(made)) == made


def test_every_entry_is_posted_to_its_own_type_under_a_urn() -> None:
    made = bundle()
    assert made["resourceType"] == "Bundle"
    kinds = ["Patient", "Device", "RiskAssessment", "ClinicalImpression", "Provenance"]
    assert [entry["resource"]["resourceType"] for entry in made["entry"]] == kinds
    assert [entry["request"] for entry in made["entry"]] == [{"method": "POST", "url": kind} for kind in kinds]
    assert len({entry["fullUrl"] for entry in made["entry"]}) == len(kinds)
    assert all(entry["fullUrl"].startswith("urn:uuid:") for entry in made["entry"])


def test_ids_follow_from_the_run() -> None:
    assert bundle() == bundle()
    first, second = references(bundle(run="run_1")), references(bundle(run="run_2"))
    assert set(first) == set(second)
    assert not set(first.values()) & set(second.values())


def test_every_reference_inside_the_bundle_leads_to_an_entry() -> None:
    made = bundle()
    urls = {entry["fullUrl"] for entry in made["entry"]}
    found = [text for text in strings(made["entry"], "reference") if text.startswith("urn:")]
    assert len(found) >= 5
    assert set(found) <= urls


def strings(value: Any, key: str) -> list[str]:
    if isinstance(value, list):
        return [text for inner in value for text in strings(inner, key)]
    if not isinstance(value, dict):
        return []
    here = [value[key]] if isinstance(value.get(key), str) else []
    return here + [text for inner in value.values() for text in strings(inner, key)]


def test_a_case_without_a_patient_brings_one_with_what_is_known() -> None:
    made = bundle()
    assert resources(made)["Patient"] == {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:wardround:case", "value": "case_1"}],
        "gender": "male",
    }
    assert resources(made)["RiskAssessment"]["subject"] == {"reference": references(made)["Patient"]}
    unknown = bundle(Case(id="case_2", complaint="belly pain"))
    assert "gender" not in resources(unknown)["Patient"]


def test_a_case_with_its_patient_refers_to_it_and_makes_none() -> None:
    made = bundle(with_patient("p1"))
    assert "Patient" not in resources(made)
    for kind in ("RiskAssessment", "ClinicalImpression"):
        assert resources(made)[kind]["subject"] == {"reference": "Patient/p1"}


@pytest.mark.parametrize("ids", [("a", "b"), (None,), ("",), ("not an id",), ("x" * 65,), ({},)])
def test_a_record_that_does_not_say_which_patient_brings_one(ids: tuple[Any, ...]) -> None:
    made = bundle(with_patient(*ids))
    assert "Patient" in resources(made)
    assert resources(made)["RiskAssessment"]["subject"] == {"reference": references(made)["Patient"]}


def test_a_decision_is_a_finding_of_a_draft_that_waits_for_a_clinician() -> None:
    impression = resources(bundle())["ClinicalImpression"]
    assert impression["status"] == "in-progress"
    assert impression["summary"] == "Rebound tenderness speaks for it."
    assert impression["finding"] == [
        {
            "itemCodeableConcept": {
                "coding": [{"system": ICD10, "code": "K35.80", "display": "acute appendicitis"}],
                "text": "acute appendicitis",
            }
        }
    ]
    assert impression["note"] == [{"text": "surgery: There is rebound tenderness."}]
    assert "clinician has to review" in impression["description"]


def test_the_differential_is_a_preliminary_risk_assessment_with_its_calibration() -> None:
    made = bundle()
    risk = resources(made)["RiskAssessment"]
    assert risk["status"] == "preliminary"
    assert [p["probabilityDecimal"] for p in risk["prediction"]] == [0.7, 0.2]
    assert risk["prediction"][1]["outcome"] == {"text": "renal colic"}
    assert risk["method"] == {"text": "evidence graph posterior, uncalibrated"}
    assert risk["performer"] == {"reference": references(made)["Device"]}
    assert risk["occurrenceDateTime"] == "2024-05-03T10:00:00+00:00"
    assert "note" not in risk


@pytest.mark.parametrize("status", [DecisionStatus.ABSTAINED, DecisionStatus.ESCALATED])
@pytest.mark.parametrize("diagnosis", [None, FIRST])
def test_an_abstention_carries_its_reasons_and_what_is_missing_and_no_finding(
    status: DecisionStatus, diagnosis: Hypothesis | None
) -> None:
    made = resources(bundle(decision=ABSTAINED.model_copy(update={"status": status, "diagnosis": diagnosis})))
    assert "finding" not in made["ClinicalImpression"]
    assert made["RiskAssessment"]["note"] == [
        {"text": "not answered: 0.70 is below 0.80"},
        {"text": "not answered: ectopic pregnancy is not excluded"},
    ]
    assert {"text": "missing: CT abdomen (ct)"} in made["ClinicalImpression"]["note"]


def test_a_decision_without_a_differential_is_still_a_bundle() -> None:
    empty = Decision(status=DecisionStatus.ABSTAINED, differential=Differential())
    risk = resources(bundle(decision=empty, evidence=EvidenceGraph()))["RiskAssessment"]
    assert "prediction" not in risk


def test_only_the_leading_hypotheses_are_listed() -> None:
    many = tuple(Hypothesis(id=f"h{n}", name=f"h{n}", probability=0.04) for n in range(20))
    decision = Decision(status=DecisionStatus.ABSTAINED, differential=Differential(hypotheses=many, other=0.2))
    predictions = resources(bundle(decision=decision))["RiskAssessment"]["prediction"]
    assert [p["outcome"]["text"] for p in predictions] == [f"h{n}" for n in range(10)]


def test_the_provenance_names_what_was_read_once_each() -> None:
    made = bundle()
    provenance = resources(made)["Provenance"]
    links = references(made)
    assert provenance["target"] == [
        {"reference": links["RiskAssessment"]},
        {"reference": links["ClinicalImpression"]},
    ]
    assert provenance["agent"] == [{"who": {"reference": links["Device"]}}]
    assert provenance["recorded"] == "2024-05-03T10:00:00+00:00"
    assert sorted(provenance["entity"], key=str) == [
        {"role": "source", "what": {"display": "note:case_1"}},
        {"role": "source", "what": {"reference": "Observation/crp-1"}},
    ]


@pytest.mark.parametrize(
    ("document", "what"),
    [
        ("Observation/a-1.b", {"reference": "Observation/a-1.b"}),
        ("Observation/?", {"display": "Observation/?"}),
        ("Observation/a b", {"display": "Observation/a b"}),
        ("passage:pe-1", {"display": "passage:pe-1"}),
        ("", {"display": "unnamed document"}),
        (" \x0b ", {"display": "unnamed document"}),
    ],
)
def test_only_a_resource_with_a_proper_id_is_referred_to(document: str, what: dict[str, str]) -> None:
    source = Source(kind=SourceKind.LAB, text="x", document=document)
    made = resources(bundle(evidence=EvidenceGraph([SourceItem(source=source)])))
    assert made["Provenance"]["entity"] == [{"role": "source", "what": what}]


def test_the_device_names_the_model_and_is_not_validated_for_care() -> None:
    device = resources(bundle(model="vllm:some/model"))["Device"]
    assert device["deviceName"] == [{"name": "Wardround with vllm:some/model", "type": "model-name"}]
    assert device["note"] == [{"text": "Research software, not validated for care."}]


def test_a_case_without_a_time_gives_none_to_what_may_go_without() -> None:
    made = resources(bundle(Case(id="case_1", complaint="belly pain")))
    assert "occurrenceDateTime" not in made["RiskAssessment"]
    assert "effectiveDateTime" not in made["ClinicalImpression"]


def test_a_time_without_a_zone_is_taken_as_utc() -> None:
    made = resources(bundle(Case(complaint="belly pain", time=datetime(2024, 5, 3, 10, 0))))
    assert made["RiskAssessment"]["occurrenceDateTime"] == "2024-05-03T10:00:00+00:00"
    assert made["Provenance"]["recorded"] == "2024-05-03T10:00:00+00:00"


TEXT = st.text(min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(agent=TEXT, said=TEXT, document=st.text(max_size=40), detail=TEXT, run=TEXT)
def test_any_words_of_models_and_documents_make_a_valid_bundle(
    agent: str, said: str, document: str, detail: str, run: str
) -> None:
    source = Source(kind=SourceKind.PATIENT, text=said, document=document)
    evidence = EvidenceGraph([SourceItem(source=source), ClaimItem(claim=Claim(agent=agent, text=said))])
    reasons = (Reason(code=GateReason.VACUITY, detail=detail),)
    made = bundle(decision=ABSTAINED.model_copy(update={"reasons": reasons}), evidence=evidence, run=run)
    assert resources(made)["RiskAssessment"]["note"] == [{"text": f"not answered: {detail}"}]
    assert {"text": f"{agent}: {said}"} in resources(made)["ClinicalImpression"]["note"]
