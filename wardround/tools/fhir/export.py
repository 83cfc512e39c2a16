"""A consult as FHIR R4: one transaction Bundle, preliminary until a clinician signs."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from wardround.core.case import Case
from wardround.core.claim import Claim
from wardround.core.decision import Decision, DecisionStatus
from wardround.core.extras import require
from wardround.core.graph import EvidenceGraph

ICD10 = "http://hl7.org/fhir/sid/icd-10-cm"
_NAMESPACE = uuid.UUID("6f1d2f0c-7b37-4c55-9f0e-0c4d5f2a9a11")
_LISTED = 10
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_UNKNOWN_TIME = "1970-01-01T00:00:00+00:00"
"""Provenance must have an instant; a case without a time has none to give."""


def consult_bundle(case: Case, decision: Decision, evidence: EvidenceGraph, *, run: str, model: str) -> dict[str, Any]:
    """Return a transaction Bundle with Device, ClinicalImpression, RiskAssessment and Provenance.

    The Bundle is checked with `fhir.resources.R4B` before it is returned. Ids follow from the run, so
    the same run gives the same Bundle. A case without a Patient brings one with what is known of it.

    Raises:
        MissingExtra: fhir.resources is not installed.
    """
    writer = _Writer(case, run)
    patient, patient_entries = writer.patient()
    device = writer.add("Device", "device", _device(model))
    risk = writer.add("RiskAssessment", "risk", _risk(decision, patient, device, writer.time))
    impression = writer.add(
        "ClinicalImpression",
        "impression",
        _impression(decision, list(evidence.claims.values()), patient, writer.time),
    )
    writer.add("Provenance", "provenance", _provenance([risk, impression], device, evidence, writer.time))
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [*patient_entries, *writer.entries]}
    checker = require("fhir.resources.R4B.bundle", extra="fhir").Bundle
    checker.model_validate_json(json.dumps(bundle))
    return bundle


def _instant(moment: datetime) -> str:
    """FHIR wants a zone; a time without one is taken as UTC, as elsewhere."""
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).isoformat()


class _Writer:
    """Collects entries under ids that follow from the run."""

    def __init__(self, case: Case, run: str) -> None:
        self.case, self.run = case, run
        self.entries: list[dict[str, Any]] = []
        self.time = _instant(case.time) if case.time is not None else None

    def add(self, kind: str, name: str, fields: dict[str, Any]) -> str:
        """Add a resource and return the reference to it."""
        reference = f"urn:uuid:{uuid.uuid5(_NAMESPACE, f'{self.run}/{name}')}"
        resource = {"resourceType": kind, **{k: v for k, v in fields.items() if v not in (None, [], {})}}
        self.entries.append({"fullUrl": reference, "resource": resource, "request": {"method": "POST", "url": kind}})
        return reference

    def patient(self) -> tuple[str, list[dict[str, Any]]]:
        """Return the reference to the patient and, where the case had none, the entry that makes one."""
        resources = self.case.record.resources if self.case.record is not None else ()
        known = [r for r in resources if r.get("resourceType") == "Patient" and _ID.fullmatch(str(r.get("id") or ""))]
        if len(known) == 1:
            return f"Patient/{known[0]['id']}", []
        fields = {
            "identifier": [{"system": "urn:wardround:case", "value": self.case.id}],
            "gender": self.case.sex.value if self.case.sex is not None else None,
        }
        reference = self.add("Patient", "patient", fields)
        return reference, [self.entries.pop()]


def _device(model: str) -> dict[str, Any]:
    return {
        "deviceName": [{"name": f"Wardround with {model}", "type": "model-name"}],
        "note": [{"text": "Research software, not validated for care."}],
    }


def _risk(decision: Decision, patient: str, device: str, time: str | None) -> dict[str, Any]:
    return {
        "status": "preliminary",
        "subject": {"reference": patient},
        "occurrenceDateTime": time,
        "performer": {"reference": device},
        "method": {"text": f"evidence graph posterior, {decision.calibration}"},
        "prediction": [
            {
                "outcome": _concept(h.name, h.icd10),
                "probabilityDecimal": round(h.probability, 6),
            }
            for h in decision.differential.hypotheses[:_LISTED]
        ],
        "note": [{"text": f"not answered: {reason.detail}"} for reason in decision.reasons],
    }


def _impression(decision: Decision, claims: Sequence[Claim], patient: str, time: str | None) -> dict[str, Any]:
    is_final = decision.status is DecisionStatus.FINAL and decision.diagnosis is not None
    diagnosis = decision.diagnosis
    return {
        "status": "in-progress",
        "subject": {"reference": patient},
        "effectiveDateTime": time,
        "description": "Draft by software; a clinician has to review it.",
        "summary": decision.summary or None,
        "finding": [{"itemCodeableConcept": _concept(diagnosis.name, diagnosis.icd10)}]
        if is_final and diagnosis is not None
        else [],
        "note": [
            *({"text": f"missing: {m.name} ({m.how})"} for m in decision.missing),
            *({"text": f"{claim.agent}: {claim.text}"} for claim in claims),
        ],
    }


def _provenance(targets: Sequence[str], device: str, evidence: EvidenceGraph, time: str | None) -> dict[str, Any]:
    documents = dict.fromkeys(source.document for source in evidence.sources.values())
    return {
        "target": [{"reference": target} for target in targets],
        "recorded": time or _UNKNOWN_TIME,
        "agent": [{"who": {"reference": device}}],
        "entity": [{"role": "source", "what": _what(document)} for document in documents],
    }


def _what(document: str) -> dict[str, Any]:
    kind, _, rest = document.partition("/")
    is_resource = kind.isalpha() and kind[:1].isupper() and _ID.fullmatch(rest) is not None
    return {"reference": document} if is_resource else {"display": document.strip() or "unnamed document"}


def _concept(name: str, icd10: str | None) -> dict[str, Any]:
    coding = {"coding": [{"system": ICD10, "code": icd10, "display": name}]} if icd10 else {}
    return {**coding, "text": name}
