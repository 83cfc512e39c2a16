"""Random records and random searches: the engine must find what a plain reading of every resource finds."""

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.environments.ward import ask, entries, link
from wardround.environments.fhir.dates import instant
from wardround.environments.fhir.definitions import SearchParameter, definitions
from wardround.environments.fhir.extract import IndexRows, index_rows, parameter_paths
from wardround.environments.fhir.sandbox import Sandbox
from wardround.environments.fhir.searching.conditions import is_served

Resource = dict[str, Any]
World = dict[str, list[Resource]]
Pair = tuple[str, str]

UNIT = "http://unitsofmeasure.org"
PREFIXES = ("", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")
CODES = ("x", "X", "y", "é", "E", "a,b", "a|b")
SYSTEMS = ("urn:a", "urn:b")
DATES = (
    "2019",
    "2020",
    "2020-01",
    "2020-02",
    "2020-01-01",
    "2020-01-31",
    "2020-02-29",
    "2020-01-01T00:00:00Z",
    "2020-01-01T00:00:00.000Z",
    "2020-01-01T00:00:00.5Z",
    "2020-01-31T23:59:59+00:00",
    "2020-02-01T00:30:00+01:00",
    "2019-12-31T23:30:00-01:00",
    "2020-02-29T12:00:00Z",
    "2021-06-01",
)
NUMBERS = ("0", "-1", "4", "5", "5.35", "5.4", "5.40", "5.449", "5.45", "95", "99.5", "100", "100.5", "105", "1e2")
TEXTS = ("Öl", "ol", "OLIVE", "x öl", "Ol\u0301", "50% ol", "o_l", "İl", "ﬁn", "fin")
SUBJECTS = ("Patient/a", "Patient/b", "Patient/c", "Group/a", "Patient/b/_history/1", "http://other.org/Patient/a")
STAFF = ("Practitioner/a", "Practitioner/b", "Organization/a")


# -- what there may be --------------------------------------------------------------------------------------------


def some(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def coding() -> st.SearchStrategy[Resource]:
    made = st.fixed_dictionaries({"code": st.sampled_from(CODES)}, optional={"system": st.sampled_from(SYSTEMS)})
    return made | st.just({"display": "no code"})


def period(pair: tuple[str, str], which: str) -> Resource:
    start, end = sorted(pair, key=lambda text: span(text)[0])
    return {k: v for k, v in (("start", start), ("end", end)) if k in which}


PERIODS = st.builds(
    period, st.tuples(st.sampled_from(DATES), st.sampled_from(DATES)), st.sampled_from(("start", "end", "startend"))
)
TIMINGS = st.builds(lambda events: {"event": events}, st.lists(st.sampled_from(DATES), min_size=1, max_size=3))
QUANTITIES = st.fixed_dictionaries(
    {"value": st.sampled_from(NUMBERS).map(Decimal)},
    optional={
        "comparator": st.sampled_from(("<", "<=", ">", ">=")),
        "unit": st.sampled_from(("mg", "g")),
        "system": st.just(UNIT),
        "code": st.sampled_from(("mg", "g")),
    },
)
OBSERVATIONS = st.fixed_dictionaries(
    {"status": st.sampled_from(("final", "amended"))},
    optional={
        "code": st.fixed_dictionaries(
            {}, optional={"coding": st.lists(coding(), min_size=1, max_size=2), "text": st.just("x")}
        ),
        "effectiveDateTime": st.sampled_from(DATES),
        "effectivePeriod": PERIODS,
        "effectiveTiming": TIMINGS,
        "valueQuantity": QUANTITIES,
        "valueString": st.sampled_from(TEXTS),
        "subject": st.sampled_from(SUBJECTS).map(lambda r: {"reference": r}) | st.just({"display": "someone"}),
        "performer": st.lists(st.sampled_from(STAFF).map(lambda r: {"reference": r}), min_size=1, max_size=2),
    },
)
PATIENTS = st.fixed_dictionaries(
    {},
    optional={
        "gender": st.sampled_from(("male", "female")),
        "birthDate": st.sampled_from([d for d in DATES if "T" not in d]),
        "name": st.sampled_from(TEXTS).map(lambda t: [{"family": t}]),
    },
)


def numbered(type_: str, ids: str) -> Callable[[list[Resource]], list[Resource]]:
    return lambda made: [{"resourceType": type_, "id": i} | each for i, each in zip(ids, made, strict=False)]


WORLDS = st.fixed_dictionaries(
    {
        "Patient": st.lists(PATIENTS, min_size=3, max_size=3).map(numbered("Patient", "abc")),
        "Observation": st.lists(OBSERVATIONS, max_size=9).map(numbered("Observation", "stuvwxyzq")),
    }
)

# -- what may be asked --------------------------------------------------------------------------------------------


def escaped(text: str) -> str:
    for mark in "\\,|$":
        text = text.replace(mark, "\\" + mark)
    return text


TOKENS = st.sampled_from(CODES).map(escaped)
DATED = st.builds(str.__add__, st.sampled_from(PREFIXES), st.sampled_from(DATES))
NUMBERED = st.builds(str.__add__, st.sampled_from(PREFIXES), st.sampled_from(NUMBERS))
VALUES: dict[str, st.SearchStrategy[str]] = {
    "code": TOKENS
    | TOKENS.map(lambda c: f"|{c}")
    | st.builds(lambda s, c: f"{s}|{c}", st.sampled_from(SYSTEMS), TOKENS | st.just("")),
    "status": st.sampled_from(("final", "amended", "cancelled", "FINAL")),
    "date": DATED,
    "value-quantity": st.builds(
        str.__add__, NUMBERED, st.sampled_from(("", "||mg", f"|{UNIT}|mg", f"|{UNIT}|g", "||kg"))
    ),
    "value-string": st.sampled_from((*TEXTS, "o", "l", "50%", "_", "fi")).map(escaped),
    "subject": st.sampled_from((*SUBJECTS, "a", "b", "nobody")),
    "patient": st.sampled_from(("a", "b", "Patient/c", "Patient/a/_history/9", "http://other.org/Patient/a")),
    "performer": st.sampled_from((*STAFF, "a", "b")),
    "_id": st.sampled_from("stuvw0"),
    "gender": st.sampled_from(("male", "female", "other")),
    "birthdate": st.builds(str.__add__, st.sampled_from(PREFIXES), st.sampled_from([d for d in DATES if "T" not in d])),
    "family": st.sampled_from((*TEXTS, "o", "f")).map(escaped),
}
MODIFIERS: dict[str, tuple[str, ...]] = {
    "code": ("", ":not", ":missing"),
    "status": ("", ":not", ":missing"),
    "value-string": ("", ":exact", ":contains", ":missing"),
    "family": ("", ":exact", ":contains", ":missing"),
    "gender": ("", ":not", ":missing"),
    "subject": ("", ":missing"),
    "_id": ("", ":not"),
}
OF_OBSERVATION = ("code", "status", "date", "value-quantity", "value-string", "subject", "patient", "performer", "_id")
OF_PATIENT = ("gender", "birthdate", "family")


@st.composite
def criterion(draw: st.DrawFn, names: tuple[str, ...]) -> Pair:
    name = draw(st.sampled_from(names))
    modifier = draw(st.sampled_from(MODIFIERS.get(name, ("", ":missing"))))
    if modifier == ":missing":
        return name + modifier, draw(st.sampled_from(("true", "false")))
    return name + modifier, ",".join(draw(st.lists(VALUES[name], min_size=1, max_size=3)))


@st.composite
def search(draw: st.DrawFn) -> tuple[str, list[Pair]]:
    type_ = draw(st.sampled_from(("Observation", "Observation", "Patient")))
    chained = criterion(OF_PATIENT).map(lambda pair: ("patient." + pair[0], pair[1]))
    pointing = criterion(OF_OBSERVATION[:5]).map(lambda pair: ("_has:Observation:patient:" + pair[0], pair[1]))
    own, linked = (OF_OBSERVATION, chained) if type_ == "Observation" else (OF_PATIENT, pointing)
    return type_, draw(st.lists(criterion(own) | linked, min_size=1, max_size=3))


# -- the plain reading ----------------------------------------------------------------------------------------------

FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
Span = tuple[datetime, datetime]


def span(text: str) -> Span:
    """Return when a date begins and when it is over."""
    if len(text) == 4:
        return moment(text + "-01-01"), moment(f"{int(text) + 1}-01-01")
    if len(text) == 7:
        year, month = int(text[:4]), int(text[5:])
        return moment(text + "-01"), moment(f"{year + month // 12}-{month % 12 + 1:02}-01")
    if len(text) == 10:
        return moment(text), moment(text) + timedelta(days=1)
    fraction = text.partition(".")[2].rstrip("Z")
    return moment(text), moment(text) + timedelta(seconds=10.0 ** -len(fraction))


def moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def spans(resource: Resource) -> list[Span]:
    found = [span(resource[name]) for name in ("effectiveDateTime", "birthDate") if name in resource]
    if "effectivePeriod" in resource:
        start, end = resource["effectivePeriod"].get("start"), resource["effectivePeriod"].get("end")
        found.append((span(start)[0] if start else FIRST, span(end)[1] if end else LAST))
    if "effectiveTiming" in resource:
        events = [span(event) for event in resource["effectiveTiming"]["event"]]
        found.append((min(e[0] for e in events), max(e[1] for e in events)))
    return found


def dated(stored: Span, value: str) -> bool:
    prefix, text = (value[:2], value[2:]) if value[:2].isalpha() else ("eq", value)
    begin, over = span(text)
    within = begin <= stored[0] and stored[1] <= over
    return {
        "eq": within,
        "ne": not within,
        "gt": stored[1] > over,
        "lt": stored[0] < begin,
        "ge": stored[1] > over or within,
        "le": stored[0] < begin or within,
        "sa": stored[0] >= over,
        "eb": stored[1] <= begin,
    }[prefix]


def measured(quantity: Resource, value: str) -> bool:
    number, _, unit = value.partition("|")
    system, _, code = unit.partition("|")
    if system and (quantity.get("system"), quantity.get("code")) != (system, code):
        return False
    if code and not system and code not in (quantity.get("code"), quantity.get("unit")):
        return False
    prefix, digits = (number[:2], number[2:]) if number[:2].isalpha() else ("eq", number)
    amount, comparator = quantity["value"], quantity.get("comparator", "")
    exact = Decimal(digits)
    below, above = "<" in comparator, ">" in comparator
    if digits == "1e2":
        low, high = Decimal(95), Decimal(105)
    else:
        places = len(digits.partition(".")[2])
        low, high = exact - Decimal(5) / 10 ** (places + 1), exact + Decimal(5) / 10 ** (places + 1)
    within = not below and not above and low <= amount < high
    is_open = comparator in ("<", ">")
    return {
        "eq": within,
        "ne": not within,
        "gt": above or amount > exact,
        "lt": below or amount < exact,
        "ge": above or amount > exact or (amount == exact and not (below and is_open)),
        "le": below or amount < exact or (amount == exact and not (above and is_open)),
        "sa": not below and (amount > exact or (amount == exact and comparator == ">")),
        "eb": not above and (amount < exact or (amount == exact and comparator == "<")),
    }[prefix]


PLAIN = {"Ö": "o", "ö": "o", "\u0301": "", "İ": "i", "ﬁ": "fi"}


def plain(text: str) -> str:
    return "".join(PLAIN.get(c, c) for c in text).lower()


def worded(stored: str, modifier: str, value: str) -> bool:
    if modifier == "exact":
        return stored == value
    return plain(value) in plain(stored) if modifier == "contains" else plain(stored).startswith(plain(value))


def coded(codings: list[Pair], value: str) -> bool:
    parts = split(value, "|")
    if len(parts) == 1:
        return any(code.casefold() == parts[0].casefold() for _, code in codings)
    return any(s == parts[0] and parts[1].casefold() in ("", code.casefold()) for s, code in codings)


def split(text: str, mark: str) -> list[str]:
    """Split by walking along, taking the backslashes away."""
    parts, is_escaped = [""], False
    for c in text:
        if is_escaped:
            parts[-1] += c
            is_escaped = False
        elif c == "\\":
            is_escaped = True
        elif c == mark:
            parts.append("")
        else:
            parts[-1] += c
    return parts


def values(text: str) -> list[str]:
    """Split at commas that have no backslash before them; the values keep theirs."""
    parts, is_escaped = [""], False
    for c in text:
        if c == "," and not is_escaped:
            parts.append("")
        else:
            parts[-1] += c
        is_escaped = c == "\\" and not is_escaped
    return parts


def target(reference: str) -> str:
    return reference.partition("/_history")[0]


def referred(stored: list[str], name: str, value: str) -> bool:
    for reference in stored:
        type_, _, id_ = target(reference).rpartition("/")
        is_allowed = name != "patient" or type_ == "Patient"
        if target(reference) == target(value) or (
            is_allowed and "/" not in value and id_ == value and ":" not in type_
        ):
            return True
    return False


def there(resource: Resource, name: str) -> bool:
    if name == "patient":
        reference = resource.get("subject", {}).get("reference", "Patient/")
        return "subject" in resource and not reference.startswith("Group/")
    if name == "date":
        return bool(spans(resource))
    member = {
        "value-quantity": "valueQuantity",
        "value-string": "valueString",
        "birthdate": "birthDate",
        "family": "name",
    }
    return member.get(name, name) in resource


def one(resource: Resource, name: str, modifier: str, value: str) -> bool:
    match name:
        case "code":
            codings = resource.get("code", {}).get("coding", [])
            return coded([(c.get("system", ""), c["code"]) for c in codings if "code" in c], value)
        case "status" | "gender":
            return coded([("", resource[name])] if name in resource else [], value)
        case "_id":
            return bool(resource["id"] == value)
        case "date" | "birthdate":
            return any(dated(stored, value) for stored in spans(resource))
        case "value-quantity":
            return "valueQuantity" in resource and measured(resource["valueQuantity"], value)
        case "value-string":
            return "valueString" in resource and worded(resource["valueString"], modifier, split(value, "")[0])
        case "family":
            return "name" in resource and worded(resource["name"][0]["family"], modifier, split(value, "")[0])
    found = [resource["subject"]] if name != "performer" and "subject" in resource else resource.get("performer", [])
    return referred([r["reference"] for r in found if "reference" in r], name, value)


def fulfils(world: World, resource: Resource, name: str, value: str) -> bool:
    if name.startswith("_has:Observation:patient:"):
        inner = name.removeprefix("_has:Observation:patient:")
        pointing = [o for o in world["Observation"] if subject_of(o) == f"Patient/{resource['id']}"]
        return any(fulfils(world, o, inner, value) for o in pointing)
    if name.startswith("patient."):
        patients = [p for p in world["Patient"] if subject_of(resource) == f"Patient/{p['id']}"]
        return any(fulfils(world, p, name.removeprefix("patient."), value) for p in patients)
    base, _, modifier = name.partition(":")
    if modifier == "missing":
        return there(resource, base) is not (value == "true")
    found = any(one(resource, base, modifier, each) for each in values(value))
    return found is not (modifier == "not")


def subject_of(observation: Resource) -> str:
    return target(observation.get("subject", {}).get("reference", ""))


def found(world: World, type_: str, pairs: list[Pair]) -> Iterator[str]:
    for resource in world[type_]:
        if all(fulfils(world, resource, name, value) for name, value in pairs):
            yield resource["id"]


# -- the comparison -------------------------------------------------------------------------------------------------


def agree(world: World, searches: list[tuple[str, list[Pair]]]) -> int:
    """Ask the engine and the plain reading; return how many resources were found in all."""
    count = 0
    with Sandbox() as sandbox:
        sandbox.load([*world["Patient"], *world["Observation"]])
        for type_, pairs in searches:
            status, body = ask(sandbox.state, type_, [*pairs, ("_count", "1000")])
            assert status == 200, (type_, pairs, body)
            assert sorted(entries(body)) == sorted(found(world, type_, pairs)), (type_, pairs)
            assert body["total"] == len(entries(body))
            count += body["total"]
    return count


def world_of(members: list[Resource]) -> World:
    made = [{"resourceType": "Observation", "id": f"o{i}", "status": "final"} | each for i, each in enumerate(members)]
    return {
        "Patient": [{"resourceType": "Patient", "id": i, "name": [{"family": i}]} for i in "abc"],
        "Observation": made,
    }


def test_every_stored_date_against_every_asked_one() -> None:
    ends = ("2019", "2020-01-01", "2020-01-01T00:00:00Z", "2020-02-01T00:30:00+01:00", "2020-02-29")
    members: list[Resource] = [{"effectiveDateTime": text} for text in DATES]
    members += [{"effectivePeriod": {"start": text}} for text in ends] + [{"effectivePeriod": {"end": t}} for t in ends]
    members += [{"effectivePeriod": {"start": a, "end": b}} for i, a in enumerate(ends) for b in ends[i:]]
    members += [{"effectiveTiming": {"event": [b, a]}} for i, a in enumerate(ends) for b in ends[i:]]
    searches = [("Observation", [("date", prefix + text)]) for prefix in PREFIXES for text in DATES]
    assert agree(world_of(members), searches) > 1000


def test_every_stored_quantity_against_every_asked_one() -> None:
    members: list[Resource] = [
        {"valueQuantity": {"value": Decimal(number)} | ({"comparator": comparator} if comparator else {}) | unit}
        for number in NUMBERS
        for comparator in ("", "<", "<=", ">", ">=")
        for unit in ({}, {"unit": "mg"}, {"unit": "milligram", "system": UNIT, "code": "mg"})
    ]
    units = ("", "||mg", "||milligram", f"|{UNIT}|mg", "|urn:other|mg", "||g")
    asked = [prefix + number for prefix in PREFIXES for number in NUMBERS]
    searches = [("Observation", [("value-quantity", value + units[i % 6])]) for i, value in enumerate(asked)]
    searches += [("Observation", [("value-quantity", value)]) for value in asked]
    assert agree(world_of(members), searches) > 1000


def test_every_stored_text_and_code_against_every_asked_one() -> None:
    systems = ({}, *({"system": s} for s in SYSTEMS))
    members: list[Resource] = [{"valueString": text} for text in TEXTS]
    members += [{"code": {"coding": [{"code": code} | system]}} for code in CODES for system in systems]
    asked = [escaped(text) for text in (*TEXTS, "o", "l", "50%", "_", "fi", "f")]
    searches = [("Observation", [("value-string" + m, text)]) for m in MODIFIERS["value-string"][:3] for text in asked]
    tokens = [f"{s}{escaped(code)}" for s in ("", "|", "urn:a|", "urn:b|", "urn:c|") for code in CODES]
    searches += [("Observation", [("code" + m, token)]) for m in ("", ":not") for token in [*tokens, "urn:a|"]]
    assert agree(world_of(members), searches) > 500


def test_every_stored_reference_against_every_asked_one() -> None:
    members = [{"subject": {"reference": each}} for each in SUBJECTS] + [{"subject": {"display": "someone"}}, {}]
    asked = (*SUBJECTS, "a", "b", "nobody", "Patient/nobody")
    searches = [("Observation", [("subject", value)]) for value in asked]
    searches += [("Observation", [("patient", value)]) for value in asked if not value.startswith("Group")]
    searches += [("Observation", [(f"{n}:missing", v)]) for n in ("subject", "patient") for v in ("true", "false")]
    searches += [("Observation", [("patient.family", value)]) for value in "abcd"]
    assert agree(world_of(members), searches) > 20


@given(WORLDS, st.lists(search(), min_size=5, max_size=12))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_any_search_of_any_record_finds_what_a_plain_reading_finds(
    world: World, searches: list[tuple[str, list[Pair]]]
) -> None:
    agree(world, searches)


@given(WORLDS, search())
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_the_self_link_asks_the_same_again(world: World, asked: tuple[str, list[Pair]]) -> None:
    with Sandbox() as sandbox:
        sandbox.load([*world["Patient"], *world["Observation"]])
        first = ask(sandbox.state, *asked)
        assert ask(sandbox.state, str(link(first[1], "self"))) == first


ORDERED = ("date", "value-quantity", "value-string", "_id", "status")


def sort_key(resource: Resource, name: str, is_descending: bool) -> Any:
    """Return what a resource is sorted by; None where there is nothing."""
    pick = max if is_descending else min
    if name == "date":
        ends = [each[1] if is_descending else each[0] for each in spans(resource)]
        return pick(ends) if ends else None
    if name == "value-quantity" and "valueQuantity" in resource:
        quantity = resource["valueQuantity"]
        comparator, amount = quantity.get("comparator", ""), (quantity["value"], 0)
        if is_descending:
            return (Decimal("Infinity"), 0) if ">" in comparator else (amount[0], -1 if comparator == "<" else 0)
        return (Decimal("-Infinity"), 0) if "<" in comparator else (amount[0], 1 if comparator == ">" else 0)
    if name == "value-string" and "valueString" in resource:
        return plain(resource["valueString"])
    return {"_id": resource["id"], "status": resource["status"]}.get(name)


def in_order(resources: list[Resource], keys: list[tuple[str, bool]]) -> list[Resource]:
    """Sort by the last key first, each time keeping the order of equals, with what has no value at the end."""
    ordered = sorted(resources, key=lambda r: str(r["id"]))
    for name, is_descending in reversed(keys):
        found = {r["id"]: sort_key(r, name, is_descending) for r in ordered}
        ranks = sorted({key for key in found.values() if key is not None}, reverse=is_descending)
        ordered.sort(key=lambda r: len(ranks) if found[r["id"]] is None else ranks.index(found[r["id"]]))
    return ordered


@given(
    st.lists(OBSERVATIONS, max_size=9).map(numbered("Observation", "stuvwxyzq")),
    st.lists(st.tuples(st.sampled_from(ORDERED), st.booleans()), min_size=1, max_size=3, unique_by=lambda k: k[0]),
    st.integers(1, 4),
)
@settings(max_examples=40, deadline=None)
def test_pages_in_order_are_the_whole_in_order(made: list[Resource], keys: list[tuple[str, bool]], count: int) -> None:
    sort = ",".join(("-" if is_descending else "") + name for name, is_descending in keys)
    wanted = [resource["id"] for resource in in_order(made, keys)]
    with Sandbox() as sandbox:
        sandbox.load(made)
        url: str | None = f"Observation?_sort={sort}&_count={count}"
        walked: list[str] = []
        while url:
            status, page = ask(sandbox.state, url)
            assert status == 200
            assert len(entries(page)) <= count
            assert page["total"] == len(made)
            walked += entries(page)
            url = link(page, "next")
        assert walked == wanted


# -- the official examples ------------------------------------------------------------------------------------------

EXAMPLES = os.environ.get("WARDROUND_R4_EXAMPLES")


def official() -> list[Resource]:
    found: dict[tuple[str, str], Resource] = {}
    for type_ in definitions().types:
        for path in sorted(Path(str(EXAMPLES)).glob(f"{type_}-*.json")):
            resource = json.loads(path.read_bytes())
            if resource.get("resourceType") == type_ and "id" in resource:
                found[type_, resource["id"]] = resource
    return list(found.values())


def questions(rows: IndexRows, type_: str, parameter: SearchParameter) -> set[str]:
    """Return searches that must find a resource with these values."""
    paths = parameter_paths(type_, parameter)
    token = [row[1:] for row in rows.token if row[0] in paths]
    text = [exact for path, _, exact in rows.string if path in paths]
    target = [row[1:] for row in rows.reference if row[0] in paths and row[1] in ("", *parameter.targets)]
    return {
        *(f"{escaped(system)}|{escaped(code)}" for system, code in token),
        *(escaped(code).upper() for _, code in token),
        *(escaped(word[:40]).swapcase() for word in text),
        *(f"{kind}/{id_}" if kind else escaped(id_) for kind, id_ in target),
        *(f"ge{instant(lo - 1000)}" for path, lo, _ in rows.date if path in paths and lo > 0),
        *(f"le{instant(hi + 1000)}" for path, _, hi in rows.date if path in paths and 0 < hi < 2**60),
        *(f"le{hi}" for path, _, hi, *_ in rows.quantity if path in paths and abs(hi) < 1e300),
    }


@pytest.mark.skipif(EXAMPLES is None, reason="WARDROUND_R4_EXAMPLES does not say where the official examples are")
def test_every_official_example_is_found_by_each_of_its_own_values() -> None:
    resources, asked = official(), 0
    assert len(resources) > 300
    with Sandbox() as sandbox:
        sandbox.load(resources)
        for resource in resources[::3]:
            type_, rows = resource["resourceType"], index_rows(resource)
            for parameter in filter(is_served, definitions().types[type_].parameters.values()):
                for question in sorted(questions(rows, type_, parameter))[:1]:
                    status, body = ask(sandbox.state, type_, [(parameter.name, question), ("_count", "1000")])
                    assert status == 200, (type_, parameter.name, question, body)
                    assert resource["id"] in entries(body), (type_, parameter.name, question)
                    asked += 1
    assert asked > 700
