"""Orders: what is asked for, whether it was carried out, and referrals."""

from __future__ import annotations

from wardround.environments.fhir.population import shares
from wardround.environments.fhir.population.chart import Chart
from wardround.environments.fhir.population.laboratory import panel_concept, panel_name
from wardround.environments.fhir.population.resources import SNOMED, Json, concept, instant, to

_CATEGORIES = {
    "laboratory": [concept("Laboratory procedure", SNOMED, "108252007", "Laboratory procedure")],
    "imaging": [concept("Imaging", SNOMED, "363679005", "Imaging")],
    "referral": [concept("Referral", SNOMED, "3457005", "Patient referral")],
}


def order_test(
    chart: Chart,
    name: str,
    code: Json,
    *,
    at: int,
    encounter: Json,
    requester: str,
    category: str,
    priority: str = "routine",
) -> tuple[Json, bool]:
    """File the ServiceRequest for a test, and return it with whether the test was done.

    Args:
        chart: The patient's.
        name: What is asked for, in words.
        code: The same as a CodeableConcept.
        at: When it was written, in seconds since 1970.
        encounter: Reference to the Encounter.
        requester: Id of the Practitioner.
        category: `laboratory`, `imaging` or `referral`.
        priority: `routine`, `urgent` or `stat`.
    """
    is_done = not chart.is_done(shares.CANCELLED_ORDER)
    order = service_request(
        chart,
        code,
        status="completed" if is_done else "revoked",
        at=at,
        due=at,
        encounter=encounter,
        requester=requester,
        category=category,
        priority=priority,
    )
    if not is_done:
        order["note"] = [{"text": f"{name} cancelled by the requester."}]
    return order, is_done


def order_panel(chart: Chart, panel: str, *, at: int, encounter: Json, requester: str, status: str) -> Json:
    """File the ServiceRequest for a laboratory panel, or for one analyte, and return it."""
    return service_request(
        chart,
        panel_concept(chart.tables, panel),
        status=status,
        at=at,
        due=at,
        encounter=encounter,
        requester=requester,
        category="laboratory",
        priority="routine",
        words=panel_name(chart.tables, panel),
    )


def service_request(
    chart: Chart,
    code: Json,
    *,
    status: str,
    at: int,
    due: int,
    encounter: Json | None,
    requester: str,
    category: str,
    priority: str,
    words: str | None = None,
) -> Json:
    """File a ServiceRequest.

    Args:
        chart: The patient's.
        code: What is asked for.
        status: Of the request.
        at: When it was written, in seconds since 1970.
        due: When it is to be done; a planned order's is after the end of the record.
        encounter: Reference to the Encounter, if there is one.
        requester: Id of the Practitioner.
        category: `laboratory`, `imaging` or `referral`.
        priority: `routine`, `urgent` or `stat`.
        words: A reason or explanation.
    """
    content: Json = {
        "status": status,
        "intent": "order",
        "category": _CATEGORIES[category],
        "priority": priority,
        "code": code,
        "subject": chart.record.subject,
        "occurrenceDateTime": instant(due),
        "authoredOn": instant(at),
        "requester": to("Practitioner", requester),
    }
    if encounter is not None:
        content["encounter"] = encounter
    if words is not None and category == "referral":
        content["reasonCode"] = [{"text": words}]
    return chart.record.add("ServiceRequest", content)
