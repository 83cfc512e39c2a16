"""Studies: the order, the report in words, and the reference to the images."""

from __future__ import annotations

from wardround.environments.fhir.population.chart import Chart
from wardround.environments.fhir.population.notes import Statements, told
from wardround.environments.fhir.population.orders import order_test
from wardround.environments.fhir.population.resources import DICOM, LOINC, Json, concept, instant, refer, term, to
from wardround.environments.fhir.population.schema import Study

_KINDS = ("imaging", "ecg", "lab", "sign")


def file_study(
    chart: Chart, study: Study, found: Statements, *, at: int, encounter: Json, requester: str
) -> str | None:
    """File a study with its order, report and images, and return what the report says; nothing if it was cancelled.

    Args:
        chart: The patient's.
        study: Which.
        found: What it shows and does not show.
        at: When it was done, in seconds since 1970.
        encounter: Reference to the Encounter.
        requester: Id of the Practitioner.
    """
    code = concept(study.name, LOINC if study.code else None, study.code, study.display)
    order, is_done = order_test(
        chart, study.name, code, at=at - 1500, encounter=encounter, requester=requester, category="imaging"
    )
    if not is_done:
        return None
    said = told(chart.tables, found, _KINDS) or "No abnormality."
    radiologist = to("Practitioner", chart.clinician("radiology"))
    content: Json = {
        "basedOn": [refer(order)],
        "status": "final",
        "category": [term("v2-0074", study.category)],
        "code": code,
        "subject": chart.record.subject,
        "encounter": encounter,
        "effectiveDateTime": instant(at),
        "issued": instant(min(at + 2700, chart.last)),
        "resultsInterpreter": [radiologist],
        "conclusion": said,
    }
    if study.modality is not None:
        content["imagingStudy"] = [refer(_images(chart, study, order, at, encounter))]
    chart.record.add("DiagnosticReport", content)
    return said


def _images(chart: Chart, study: Study, order: Json, at: int, encounter: Json) -> Json:
    series, instances = study.series
    modality = {"system": DICOM, "code": study.modality}
    return chart.record.add(
        "ImagingStudy",
        {
            "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{_uid(chart)}"}],
            "status": "available",
            "modality": [modality],
            "subject": chart.record.subject,
            "encounter": encounter,
            "started": instant(at),
            "basedOn": [refer(order)],
            "numberOfSeries": series,
            "numberOfInstances": series * instances,
            "description": study.name,
            "series": [
                {"uid": _uid(chart), "number": n, "modality": modality, "numberOfInstances": instances}
                for n in range(1, series + 1)
            ],
        },
    )


def _uid(chart: Chart) -> str:
    """A DICOM UID under 2.25, as for UUIDs (DICOM PS3.5 B.2)."""
    return f"2.25.{int.from_bytes(chart.rng.bytes(15), 'big')}"
