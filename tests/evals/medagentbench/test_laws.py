"""What holds for every transcript, however broken."""

import json
from datetime import date, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.agents.ehr.episode import Episode, EpisodeStatus, Turn
from wardround.evals.medagentbench.facts import facts_of
from wardround.evals.medagentbench.gold import Gold, Measurement
from wardround.evals.medagentbench.matching import differences
from wardround.evals.medagentbench.wanted import wanted
from wardround.evals.records.grading import Reason

NUMBERS = st.one_of(st.integers(), st.floats(), st.just(10**400), st.just(5e-324))
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = (
    "resourceType", "status", "intent", "priority", "subject", "code", "category", "coding", "system", "text", "note",
    "authoredOn", "effectiveDateTime", "occurrenceDateTime", "valueString", "medicationCodeableConcept",
    "dosageInstruction", "doseAndRate", "doseQuantity", "rateQuantity", "rateRatio", "numerator", "denominator",
    "value", "unit", "route", "timing", "repeat", "duration", "durationUnit", "component", "reference",
)  # fmt: skip
WORDS = st.sampled_from(
    ["Observation", "MedicationRequest", "ServiceRequest", "active", "final", "order", "stat", "IV", "oral", "g", "mEq",
     "h", "g/h", "mg/min", "Patient/S0500001", "Patient/S9", "2023-11-13T10:15:00+00:00", "2023-11-13", "POST"]
)  # fmt: skip
RESOURCES = st.recursive(
    JSON | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=5),
    max_leaves=20,
)
DEEP = "[" * 2000 + "]" * 2000
LINES = st.one_of(
    st.text(max_size=30),
    RESOURCES.map(json.dumps),
    st.sampled_from(
        ["POST http://record.test/fhir/Observation", "```", "GET x", "FINISH([])", DEEP, "POST request accepted"]
    ),
)
TEXTS = st.lists(LINES, min_size=1, max_size=3).map("\n".join)
TURNS = st.builds(Turn, st.sampled_from(["user", "agent"]), TEXTS)
CALLS = st.tuples(
    st.sampled_from(["GET", "POST"]),
    st.one_of(st.text(max_size=20), st.text(max_size=12).map(lambda t: f"Observation?patient=S0500001&date={t}")),
    st.none() | st.integers(100, 599),
)
RESULTS = st.none() | TEXTS | JSON.map(json.dumps) | st.just(DEEP)


@st.composite
def golds(draw: Any) -> Gold:
    times = st.datetimes(datetime(2021, 1, 1), datetime(2024, 1, 1)).map(lambda t: f"{t.isoformat()}+00:00")
    drawn = draw(st.lists(st.tuples(times, st.floats(0, 500) | st.integers(0, 500)), max_size=5))
    values = [Measurement(v, t, datetime.fromisoformat(t), "final") for t, v in drawn]
    return Gold(tuple(values), date(1960, 1, 1))


def graded_both_ways(bench: Any, category: int, episode: Episode, gold: Gold, added: Any) -> list[Any]:
    task = bench.task(category)
    others = {"changed": (added,), "removed": (None,)} if len(added) > 2 else {}
    diff = bench.diff(*(r for r in added if isinstance(r, dict)), **others)
    return [bench.compat(task, episode, gold), bench.state(task, episode, gold, diff)]


@given(
    category=st.integers(1, 10),
    turns=st.lists(TURNS, max_size=6),
    status=st.sampled_from(EpisodeStatus),
    result=RESULTS,
    calls=st.lists(CALLS, max_size=3),
    gold=golds(),
    added=st.lists(RESOURCES, max_size=3),
)
@settings(deadline=None, max_examples=400)
def test_every_transcript_has_a_grade(bench: Any, **drawn: Any) -> None:
    calls = tuple(bench.call(url, status, method) for method, url, status in drawn["calls"])
    episode = Episode(tuple(drawn["turns"]), drawn["status"], drawn["result"], calls)
    for grade in graded_both_ways(bench, drawn["category"], episode, drawn["gold"], drawn["added"]):
        assert (grade.reason is None) is grade.correct
        assert grade.correct or grade.details
        assert all(code and " " not in code for code in grade.codes)


@given(category=st.integers(1, 10), gold=golds())
@settings(deadline=None, max_examples=200)
def test_what_is_wanted_is_right_in_its_own_grader(bench: Any, category: int, gold: Gold) -> None:
    task = bench.task(category)
    facts, read = facts_of(task), bench.read(task)
    published = wanted(task, facts, gold, "compat")[0]
    answer = json.dumps([item.raw for item in published.answer or ()])
    posts = [bench.post(order.payload("compat")) for order in published.orders]
    assert bench.compat(task, bench.said(*posts, f"FINISH({answer})", calls=read), gold).correct
    for right in wanted(task, facts, gold, "state"):
        answer = json.dumps([item.raw for item in right.answer or ()])
        diff = bench.diff(*(order.payload("state") for order in right.orders))
        grade = bench.state(task, bench.said(f"FINISH({answer})", calls=read), gold, diff)
        assert grade.correct, grade.details


@given(category=st.integers(1, 10), gold=golds(), answer=st.lists(NUMBERS.filter(lambda n: n == n), max_size=2))
@settings(deadline=None, max_examples=200)
def test_without_a_read_or_a_write_nothing_is_right_by_state(
    bench: Any, category: int, gold: Gold, answer: list[Any]
) -> None:
    grade = bench.state(bench.task(category), bench.said(f"FINISH({json.dumps(answer)})"), gold)
    assert not grade.correct
    assert grade.reason in (Reason.WRONG_QUERY, Reason.WRONG_WRITE)


@given(category=st.sampled_from([3, 5, 8, 9, 10]), resource=RESOURCES)
@settings(deadline=None, max_examples=300)
def test_any_json_can_be_held_against_an_order(bench: Any, category: int, resource: Any) -> None:
    task = bench.task(category)
    low = bench.gold(("2022-01-01T00:00:00+00:00", 0.5)) if category != 5 else bench.gold((bench.now, 0.5))
    for order in wanted(task, facts_of(task), low, "state")[0].orders:
        assert differences(order, resource if isinstance(resource, dict) else {"note": resource})


@st.composite
def spoiled(draw: Any, resource: Any) -> Any:
    """Replace one place of a resource, at any depth, by anything."""
    if not isinstance(resource, dict | list) or not resource or draw(st.integers(0, 4)) == 0:
        return draw(RESOURCES | st.just(DEEP))
    if isinstance(resource, list):
        place = draw(st.integers(0, len(resource) - 1))
        return [draw(spoiled(v)) if i == place else v for i, v in enumerate(resource)]
    member = draw(st.sampled_from(sorted(resource)))
    return {k: draw(spoiled(v)) if k == member else v for k, v in resource.items()}


@given(data=st.data(), category=st.sampled_from([3, 5, 8, 9, 10]))
@settings(deadline=None, max_examples=150)
def test_a_write_with_anything_in_one_place_has_a_grade(bench: Any, data: Any, category: int) -> None:
    task = bench.task(category)
    gold = bench.gold(("2022-01-01T00:00:00+00:00", 0.5)) if category != 5 else bench.gold((bench.now, 0.5))
    for mode in ("compat", "state"):
        right = wanted(task, facts_of(task), gold, mode)[0]
        written = [data.draw(spoiled(order.payload(mode))) for order in right.orders]
        kinds = [order.payload(mode)["resourceType"] for order in right.orders]
        posts = [f"POST {bench.base}{k}\n{json.dumps(w)}" for k, w in zip(kinds, written, strict=True)]
        said = bench.said(*posts, "FINISH([])", calls=bench.read(task))
        for grade in graded_both_ways(bench, category, said, gold, written):
            assert (grade.reason is None) is grade.correct
