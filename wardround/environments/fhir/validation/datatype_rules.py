"""The rules of the datatypes; `invariants` says which are here."""

from __future__ import annotations

from decimal import Decimal

from wardround.environments.fhir.validation.rules import UCUM, Node, RuleBook, has, has_choice, is_after

RULES = RuleBook()


@RULES.rule("Period", says="start must not be after end", at="start")
def per_1(node: Node) -> bool:
    """A period does not end before it starts; where precision leaves it open, it may hold."""
    return not is_after(node.get("start"), node.get("end"))


@RULES.rule("Range", says="low must not be above high", at="low")
def rng_2(node: Node) -> bool:
    """A range of one unit does not end below where it starts; amounts of two units are not compared."""
    low, high = node.get("low", {}), node.get("high", {})
    if "value" not in low or "value" not in high:
        return True
    is_one_unit = all(low.get(name) == high.get(name) for name in ("unit", "system", "code"))
    return not is_one_unit or bool(low["value"] <= high["value"])


@RULES.rule("Quantity", "Age", "Count", "Distance", "Duration", says="a code needs its system", at="system")
def qty_3(node: Node) -> bool:
    """A coded unit says which system its code is from."""
    return not has(node, "code") or has(node, "system")


@RULES.rule("Age", says="a value needs a UCUM code of time and must be positive")
def age_1(node: Node) -> bool:
    """An age has a UCUM unit and is more than nothing."""
    return _is_ucum(node) and node.get("value", 1) > 0


@RULES.rule("Distance", says="a value needs a UCUM code of length")
def dis_1(node: Node) -> bool:
    """A distance has a UCUM unit."""
    return _is_ucum(node)


@RULES.rule("Count", says="a value needs the UCUM code 1 and must be whole")
def cnt_3(node: Node) -> bool:
    """A count is a whole number of ones."""
    return _is_ucum(node) and node.get("code", "1") == "1" and _is_whole(node.get("value", 0))


def _is_ucum(node: Node) -> bool:
    return (has(node, "code") or not has(node, "value")) and node.get("system", UCUM) == UCUM


def _is_whole(value: int | float | Decimal) -> bool:
    if isinstance(value, Decimal):
        return value == value.to_integral_value()
    return isinstance(value, int) or value.is_integer()


@RULES.rule("Duration", says="a code needs a value and the system UCUM", at="code")
def drt_1(node: Node) -> bool:
    """A coded duration has a value, and its code is from UCUM."""
    return not has(node, "code") or (node.get("system") == UCUM and has(node, "value"))


@RULES.rule("Ratio", says="needs both numerator and denominator, or neither and an extension")
def rat_1(node: Node) -> bool:
    """A ratio is whole, or is told by an extension."""
    if "numerator" in node or "denominator" in node:
        return "numerator" in node and "denominator" in node
    return "extension" in node


@RULES.rule("Attachment", says="data needs a contentType", at="contentType")
def att_1(node: Node) -> bool:
    """Bytes that are sent along say what they are."""
    return not has(node, "data") or has(node, "contentType")


@RULES.rule("ContactPoint", says="a value needs a system such as phone or email", at="system")
def cpt_2(node: Node) -> bool:
    """A number or address says how it is used."""
    return not has(node, "value") or has(node, "system")


@RULES.rule("Extension", says="needs a value or extensions, and not both")
def ext_1(node: Node) -> bool:
    """An extension is a value or a group of further ones."""
    return ("extension" in node) != has_choice(node, "value")


@RULES.rule("Expression", says="needs an expression or a reference to one")
def exp_1(node: Node) -> bool:
    """An expression is written out or pointed to."""
    return has(node, "expression") or has(node, "reference")


@RULES.rule("DataRequirement.codeFilter", says="needs a path or a searchParam, and not both")
def drq_1(node: Node) -> bool:
    """A filter on codes says in one way what it filters."""
    return has(node, "path") != has(node, "searchParam")


@RULES.rule("DataRequirement.dateFilter", says="needs a path or a searchParam, and not both")
def drq_2(node: Node) -> bool:
    """A filter on dates says in one way what it filters."""
    return has(node, "path") != has(node, "searchParam")


@RULES.rule("TriggerDefinition", says="must not have both data and timing", at="data")
def trd_1(node: Node) -> bool:
    """A trigger is set off by data or by the clock."""
    return "data" not in node or not has_choice(node, "timing")


@RULES.rule("TriggerDefinition", says="a condition needs data", at="condition")
def trd_2(node: Node) -> bool:
    """Only data can be tested by a condition."""
    return "condition" not in node or "data" in node


@RULES.rule("TriggerDefinition", says="a named event needs a name, a periodic one timing, a data event data")
def trd_3(node: Node) -> bool:
    """A trigger has what its type speaks of."""
    kind = str(node.get("type", ""))
    if kind == "named-event":
        return has(node, "name")
    if kind == "periodic":
        return has_choice(node, "timing")
    return not kind.startswith("data-") or "data" in node


@RULES.rule("Timing.repeat", says="a duration needs a durationUnit", at="durationUnit")
def tim_1(node: Node) -> bool:
    """How long something lasts is told with its unit."""
    return not has(node, "duration") or has(node, "durationUnit")


@RULES.rule("Timing.repeat", says="a period needs a periodUnit", at="periodUnit")
def tim_2(node: Node) -> bool:
    """How often something recurs is told with its unit."""
    return not has(node, "period") or has(node, "periodUnit")


@RULES.rule("Timing.repeat", says="must not be negative", at="duration")
def tim_4(node: Node) -> bool:
    """Nothing lasts less than no time."""
    return bool(node.get("duration", 0) >= 0)


@RULES.rule("Timing.repeat", says="must not be negative", at="period")
def tim_5(node: Node) -> bool:
    """Nothing recurs after less than no time."""
    return bool(node.get("period", 0) >= 0)


@RULES.rule("Timing.repeat", says="periodMax needs a period", at="period")
def tim_6(node: Node) -> bool:
    """An upper bound of the period has a lower one."""
    return not has(node, "periodMax") or has(node, "period")


@RULES.rule("Timing.repeat", says="durationMax needs a duration", at="duration")
def tim_7(node: Node) -> bool:
    """An upper bound of the duration has a lower one."""
    return not has(node, "durationMax") or has(node, "duration")


@RULES.rule("Timing.repeat", says="countMax needs a count", at="count")
def tim_8(node: Node) -> bool:
    """An upper bound of the count has a lower one."""
    return not has(node, "countMax") or has(node, "count")


@RULES.rule("Timing.repeat", says="an offset needs a when, and not C, CM, CD or CV", at="offset")
def tim_9(node: Node) -> bool:
    """Minutes before or after an event name the event; a meal itself has no offset."""
    return not has(node, "offset") or (has(node, "when") and not {"C", "CM", "CD", "CV"} & set(node.get("when", ())))


@RULES.rule("Timing.repeat", says="timeOfDay and when must not be given together", at="when")
def tim_10(node: Node) -> bool:
    """A time is told by the clock or by an event."""
    return not has(node, "timeOfDay") or not has(node, "when")
