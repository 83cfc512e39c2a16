"""The rules of the served resource types; `invariants` says which are here."""

from __future__ import annotations

from wardround.environments.fhir.validation.rules import UCUM, Node, RuleBook, has, has_choice, is_after, is_coded

RULES = RuleBook()


@RULES.rule("Observation", says="must not be given together with a value", at="dataAbsentReason")
def obs_6(node: Node) -> bool:
    """A reason why the value is missing is given only where it is missing."""
    return "dataAbsentReason" not in node or not has_choice(node, "value")


@RULES.rule("Observation", says="with a value of its own, no component may have the same code", at="component")
def obs_7(node: Node) -> bool:
    """The value of the observation's own code is not told a second time by a component."""
    if not has_choice(node, "value"):
        return True
    own = [coding for coding in node.get("code", {}).get("coding", ()) if coding]
    return not any(
        coding in own for part in node.get("component", ()) for coding in part.get("code", {}).get("coding", ())
    )


@RULES.rule("Observation.referenceRange", says="needs low, high or text")
def obs_3(node: Node) -> bool:
    """A reference range says something."""
    return "low" in node or "high" in node or has(node, "text")


@RULES.rule("Condition.stage", says="needs a summary or an assessment")
def con_1(node: Node) -> bool:
    """A stage says which, or what it was judged by."""
    return "summary" in node or "assessment" in node


@RULES.rule("Condition.evidence", says="needs a code or a detail")
def con_2(node: Node) -> bool:
    """Evidence is coded or pointed to."""
    return "code" in node or "detail" in node


@RULES.rule(
    "Condition", says="should be given for an item of the problem list", at="clinicalStatus", severity="warning"
)
def con_3(node: Node) -> bool:
    """A problem says whether it is active, unless it was entered in error.

    The source compares a whole category with a string, which never holds; its words are followed here.
    """
    is_problem = any(is_coded(each, "condition-category", "problem-list-item") for each in node.get("category", ()))
    return not is_problem or "clinicalStatus" in node or _is_condition_in_error(node)


@RULES.rule("Condition", says="must be inactive, resolved or remission when there is an abatement", at="clinicalStatus")
def con_4(node: Node) -> bool:
    """What has abated is not active."""
    is_over = is_coded(node.get("clinicalStatus"), "condition-clinical", "resolved", "remission", "inactive")
    return not has_choice(node, "abatement") or is_over


@RULES.rule("Condition", says="must not be given for a condition entered in error", at="clinicalStatus")
def con_5(node: Node) -> bool:
    """What was never so has no clinical status."""
    return "clinicalStatus" not in node or not _is_condition_in_error(node)


def _is_condition_in_error(node: Node) -> bool:
    return is_coded(node.get("verificationStatus"), "condition-ver-status", "entered-in-error")


@RULES.rule("AllergyIntolerance", says="must be given unless the allergy was entered in error", at="clinicalStatus")
def ait_1(node: Node) -> bool:
    """An allergy says whether it is active."""
    return "clinicalStatus" in node or _is_allergy_in_error(node)


@RULES.rule("AllergyIntolerance", says="must not be given for an allergy entered in error", at="clinicalStatus")
def ait_2(node: Node) -> bool:
    """What was never so has no clinical status."""
    return "clinicalStatus" not in node or not _is_allergy_in_error(node)


def _is_allergy_in_error(node: Node) -> bool:
    return is_coded(node.get("verificationStatus"), "allergyintolerance-verification", "entered-in-error")


@RULES.rule("MedicationAdministration.dosage", says="needs a dose or a rate")
def mad_1(node: Node) -> bool:
    """What was given says how much or how fast."""
    return "dose" in node or has_choice(node, "rate")


@RULES.rule("Immunization.education", says="needs a documentType or a reference")
def imm_1(node: Node) -> bool:
    """Material that was handed out is named or pointed to."""
    return has(node, "documentType") or has(node, "reference")


@RULES.rule("RiskAssessment.prediction", says="low and high must be in %, of the system UCUM", at="probabilityRange")
def ras_1(node: Node) -> bool:
    """A range of probability is in per cent."""
    ends = [end for end in (node.get("probabilityRange", {}).get(name) for name in ("low", "high")) if end is not None]
    return all(end.get("code") == "%" and end.get("system") == UCUM for end in ends)


@RULES.rule("RiskAssessment.prediction", says="must be at most 100", at="probabilityDecimal")
def ras_2(node: Node) -> bool:
    """A probability in per cent is at most 100."""
    return bool(node.get("probabilityDecimal", 0) <= 100)


@RULES.rule("ServiceRequest", says="orderDetail needs a code", at="code")
def prr_1(node: Node) -> bool:
    """Details are of something that was ordered."""
    return "orderDetail" not in node or "code" in node


@RULES.rule("CarePlan.activity", says="must not have both a reference and a detail", at="detail")
def cpl_3(node: Node) -> bool:
    """An activity is told here or elsewhere."""
    return "detail" not in node or "reference" not in node


@RULES.rule("Patient.contact", says="needs a name, telecom, address or organization")
def pat_1(node: Node) -> bool:
    """A contact can be reached or is at least known by name."""
    return any(name in node for name in ("name", "telecom", "address", "organization"))


@RULES.rule("Organization", says="needs a name or an identifier")
def org_1(node: Node) -> bool:
    """An organization can be told from others."""
    return "identifier" in node or has(node, "name")


@RULES.rule("Organization", says="must not be of use home", at="address")
def org_2(node: Node) -> bool:
    """An organization has no home."""
    return all(each.get("use") != "home" for each in node.get("address", ()))


@RULES.rule("Organization", says="must not be of use home", at="telecom")
def org_3(node: Node) -> bool:
    """An organization has no number at home."""
    return all(each.get("use") != "home" for each in node.get("telecom", ()))


@RULES.rule("Appointment.participant", says="needs a type or an actor")
def app_1(node: Node) -> bool:
    """Who takes part is named, or at least the kind of person."""
    return "type" in node or "actor" in node


@RULES.rule("Appointment", says="start and end must be given together", at="end")
def app_2(node: Node) -> bool:
    """An appointment has both ends or neither."""
    return has(node, "start") == has(node, "end")


@RULES.rule("Appointment", says="start and end must be given unless proposed, cancelled or waitlist", at="start")
def app_3(node: Node) -> bool:
    """What will take place says when."""
    is_open = node.get("status") in ("proposed", "cancelled", "waitlist")
    return is_open or (has(node, "start") and has(node, "end"))


@RULES.rule("Appointment", says="must not be given unless cancelled or no-show", at="cancelationReason")
def app_4(node: Node) -> bool:
    """Only what did not take place has a reason why not; the source writes no-show for the code noshow."""
    return "cancelationReason" not in node or node.get("status") in ("cancelled", "noshow")


@RULES.rule("Task", says="must not be before authoredOn", at="lastModified")
def inv_1(node: Node) -> bool:
    """A task was not changed before it was written."""
    return not is_after(node.get("authoredOn"), node.get("lastModified"))


@RULES.rule("AuditEvent.entity", says="must not have both a name and a query", at="query")
def sev_1(node: Node) -> bool:
    """What was touched is named, or found by a query."""
    return not has(node, "name") or not has(node, "query")
