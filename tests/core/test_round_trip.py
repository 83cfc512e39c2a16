"""Every frozen value survives JSON, cannot be changed, and is named by what it says."""

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from wardround.core.case import Case, ImageRef, Record, Sex
from wardround.core.claim import MEDIHALL_SCORE, Claim, ClaimKind, Severity, Verdict, VerdictLabel
from wardround.core.decision import (
    Decision,
    DecisionStatus,
    GateReason,
    Missing,
    Reason,
    RedFlag,
    Triage,
    Urgency,
)
from wardround.core.differential import Differential, Hypothesis
from wardround.core.finding import Assertion, Finding, Laterality, Presence
from wardround.core.frozen import Frozen, content_id
from wardround.core.source import RELIABILITY, Source, SourceKind
from wardround.core.uncertainty import Part, Uncertainty

TEXT = st.text(max_size=20)
NAME = st.text(min_size=1, max_size=20)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
UNIT = st.floats(0.0, 1.0)
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-11))])
TIME = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=ZONES)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def several(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, max_size=3).map(tuple)


@st.composite
def differentials(draw: st.DrawFn) -> Differential:
    raw = sorted(draw(st.lists(st.floats(0.01, 1.0), max_size=4)), reverse=True)
    total = math.fsum(raw) + 0.5
    hypotheses = tuple(
        Hypothesis(id=f"h{n}", name=draw(TEXT), icd10=draw(maybe(TEXT)), probability=p / total)
        for n, p in enumerate(raw)
    )
    return Differential(hypotheses=hypotheses, other=1.0 - math.fsum(h.probability for h in hypotheses))


FINDING = st.builds(
    Finding,
    code=NAME,
    name=TEXT,
    assertion=st.sampled_from(Assertion),
    value=maybe(NUMBER),
    unit=maybe(TEXT),
    time=maybe(TIME),
    days=maybe(st.floats(0.0, 1e6)),
    site=maybe(TEXT),
    laterality=maybe(st.sampled_from(Laterality)),
    source=maybe(TEXT),
    span=maybe(st.tuples(st.integers(0, 99), st.integers(0, 99))),
)
SOURCE = st.builds(
    Source,
    kind=st.sampled_from(SourceKind),
    text=TEXT,
    document=TEXT,
    title=TEXT,
    start=maybe(st.integers(0, 10**6)),
    time=maybe(TIME),
    reliability=st.floats(0.0, 0.98),
    citation=maybe(TEXT),
)
CLAIM = st.builds(
    Claim,
    agent=TEXT,
    text=NAME,
    kind=st.sampled_from(ClaimKind),
    cites=several(TEXT),
    finding=maybe(TEXT),
    assertion=st.sampled_from(Assertion),
)
VERDICT = st.builds(
    Verdict,
    claim=TEXT,
    label=st.sampled_from(VerdictLabel),
    severity=st.sampled_from(Severity),
    evidence=several(TEXT),
    reason=TEXT,
)
CASE = st.builds(
    Case,
    id=TEXT,
    age=maybe(st.floats(0.0, 130.0)),
    sex=maybe(st.sampled_from(Sex)),
    complaint=maybe(TEXT),
    narrative=maybe(TEXT),
    findings=several(FINDING),
    images=several(st.builds(ImageRef, uri=TEXT, modality=maybe(TEXT), body_part=maybe(TEXT))),
    record=maybe(st.builds(Record, resources=several(st.dictionaries(TEXT, JSON, max_size=3)), origin=TEXT)),
    time=maybe(TIME),
)
TRIAGE = st.builds(Triage, urgency=st.sampled_from(Urgency), specialties=several(TEXT), reasons=several(TEXT))
DECISION = st.builds(
    Decision,
    status=st.sampled_from(DecisionStatus),
    diagnosis=maybe(st.builds(Hypothesis, id=TEXT, name=TEXT, icd10=maybe(TEXT), probability=UNIT)),
    probability=maybe(UNIT),
    interval=maybe(st.tuples(UNIT, UNIT)),
    calibration=TEXT,
    differential=differentials(),
    plausible=several(TEXT),
    reasons=several(st.builds(Reason, code=st.sampled_from(GateReason), detail=TEXT)),
    missing=several(st.builds(Missing, code=TEXT, name=TEXT, how=TEXT, gain=st.floats(0.0, 9.0))),
    red_flags=several(st.builds(RedFlag, code=TEXT, name=TEXT, detail=TEXT)),
    summary=TEXT,
)
UNCERTAINTY = st.builds(Uncertainty, parts=st.dictionaries(st.sampled_from(Part), UNIT), combined=UNIT)
VALUES = {
    "case": CASE,
    "finding": FINDING,
    "source": SOURCE,
    "claim": CLAIM,
    "verdict": VERDICT,
    "differential": differentials(),
    "triage": TRIAGE,
    "decision": DECISION,
    "uncertainty": UNCERTAINTY,
}


@pytest.mark.parametrize("kind", sorted(VALUES))
def test_a_value_survives_json(kind: str) -> None:
    @settings(max_examples=60, deadline=None)
    @given(VALUES[kind])
    def survives(value: Frozen) -> None:
        again = type(value).model_validate_json(value.model_dump_json())
        assert again == value
        assert again.model_dump() == value.model_dump()
        assert type(value).model_validate(json.loads(json.dumps(value.model_dump(mode="json")))) == value
        if hasattr(value, "id"):
            assert again.id == value.id  # type: ignore[attr-defined]

    survives()


@pytest.mark.parametrize("kind", sorted(VALUES))
def test_a_value_cannot_be_changed_and_refuses_unknown_fields(kind: str) -> None:
    @settings(max_examples=5, deadline=None)
    @given(VALUES[kind])
    def holds(value: Frozen) -> None:
        field = next(iter(type(value).model_fields))
        with pytest.raises(ValidationError, match="frozen"):
            setattr(value, field, getattr(value, field))
        with pytest.raises(ValidationError, match="Extra inputs"):
            type(value).model_validate({**value.model_dump(), "nonsense": 1})

    holds()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_does_not_have_is_refused(value: float) -> None:
    with pytest.raises(ValidationError, match="finite"):
        Finding(code="creatinine", value=value)
    with pytest.raises(ValidationError):
        Source(kind=SourceKind.LAB, text="", document="", reliability=value)


def test_a_copy_with_other_words_has_another_id() -> None:
    source = Source(kind=SourceKind.LAB, text="potassium 7.1", document="lab")
    before = source.id
    copy = source.model_copy(update={"text": "potassium 4.1"})
    assert copy.id != before
    assert copy.id == Source(kind=SourceKind.LAB, text="potassium 4.1", document="lab").id
    assert source.id == before
    finding = Finding(code="fever")
    assert finding.id != finding.model_copy(update={"assertion": Assertion.ABSENT}).id


def test_looking_at_an_id_does_not_make_a_value_different() -> None:
    one, other = Finding(code="fever"), Finding(code="fever")
    assert one.id
    assert one == other
    assert one.model_dump() == other.model_dump()


@settings(max_examples=50, deadline=None)
@given(FINDING, FINDING)
def test_findings_have_one_id_exactly_when_they_say_the_same(a: Finding, b: Finding) -> None:
    same = a.model_dump_json() == b.model_dump_json()
    assert (a.id == b.id) is same
    assert Finding.model_validate(a.model_dump()).id == a.id


def test_the_order_in_which_a_claim_cites_does_not_name_it() -> None:
    one = Claim(agent="a", text="Fever.", cites=("s1", "s2"))
    assert one.id == Claim(agent="a", text="Fever.", cites=("s2", "s1")).id
    assert one.id != Claim(agent="b", text="Fever.", cites=("s1", "s2")).id
    assert one.id != Claim(agent="a", text="Fever.", cites=("s1", "s2"), assertion=Assertion.ABSENT).id


def test_an_id_is_the_same_in_every_process() -> None:
    assert content_id("clm", "effusion", ["a", "b"], None, 1.5) == "clm_75875d6e4993"
    assert content_id("x", {"a": 1, "b": 2}) == content_id("x", {"b": 2, "a": 1})


@settings(max_examples=50, deadline=None)
@given(CASE)
def test_a_case_without_an_id_is_named_by_its_content(case: Case) -> None:
    nameless = {**case.model_dump(mode="json"), "id": ""}
    named = Case.model_validate(nameless)
    assert named.id.startswith("case_")
    assert Case.model_validate(nameless).id == named.id
    assert Case.model_validate({**nameless, "narrative": "another story altogether"}).id != named.id


def test_where_a_record_lay_does_not_name_its_case() -> None:
    resource = {"resourceType": "Observation"}
    ids = {Case(record=Record(resources=(resource,), origin=origin)).id for origin in ("a.json", "/tmp/a.json")}
    assert len(ids) == 1


def test_times_without_a_zone_are_in_utc_so_that_all_can_be_compared() -> None:
    case = Case.model_validate({"narrative": "x", "time": "2026-01-02T08:00:00", "findings": [{"code": "fever"}]})
    finding = Finding.model_validate({"code": "fever", "time": "2026-01-02T09:30:00+02:00"})
    source = Source.model_validate({"kind": "lab", "text": "", "document": "", "time": "2026-01-02"})
    assert case.time == datetime(2026, 1, 2, 8, tzinfo=UTC)
    assert finding.time is not None
    assert case.time - finding.time == timedelta(minutes=30)
    assert source.time == datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("assertion", "presence"),
    [
        (Assertion.PRESENT, Presence.PRESENT),
        (Assertion.ABSENT, Presence.ABSENT),
        (Assertion.POSSIBLE, Presence.UNKNOWN),
        (Assertion.HISTORICAL, Presence.UNKNOWN),
        (Assertion.FAMILY, Presence.UNKNOWN),
        (Assertion.HYPOTHETICAL, Presence.UNKNOWN),
    ],
)
def test_only_what_is_said_of_now_is_present_or_absent(assertion: Assertion, presence: Presence) -> None:
    assert Finding(code="fever", assertion=assertion).presence is presence


def test_a_finding_without_a_name_is_called_by_its_code() -> None:
    assert Finding(code="troponin_high").name == "troponin high"
    assert Finding(code="troponin_high", name="troponin raised").name == "troponin raised"
    with pytest.raises(ValidationError):
        Finding(code="")


@pytest.mark.parametrize("kind", list(SourceKind))
def test_a_source_is_as_reliable_as_its_kind_unless_it_says_so(kind: SourceKind) -> None:
    assert Source(kind=kind, text="", document="").reliability == RELIABILITY[kind]
    assert Source(kind=kind, text="", document="", reliability=0.3).reliability == 0.3
    assert 0.0 < RELIABILITY[kind] <= 0.98
    with pytest.raises(ValidationError):
        Source(kind=kind, text="", document="", reliability=0.99)


def test_every_scored_severity_has_a_medihall_score_that_rises() -> None:
    order = [s for s in Severity if s is not Severity.UNSCORED]
    assert [MEDIHALL_SCORE[s] for s in order] == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert Severity.UNSCORED not in MEDIHALL_SCORE


def test_only_a_supported_claim_is_supported() -> None:
    for label in VerdictLabel:
        verdict = Verdict(claim="c", label=label, severity=Severity.UNSCORED, reason="")
        assert verdict.is_supported is (label is VerdictLabel.SUPPORTED)


def hypotheses(*probabilities: float) -> tuple[Hypothesis, ...]:
    return tuple(Hypothesis(id=f"h{n}", name=f"H{n}", probability=p) for n, p in enumerate(probabilities))


def test_probabilities_that_do_not_sum_to_one_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"sum to 0\.900000"):
        Differential(hypotheses=hypotheses(0.5, 0.3), other=0.1)


def test_hypotheses_out_of_order_are_refused() -> None:
    with pytest.raises(ValidationError, match="falling order"):
        Differential(hypotheses=hypotheses(0.3, 0.5), other=0.2)


def test_a_differential_without_hypotheses_is_all_other() -> None:
    assert Differential().other == 1.0
    assert Differential().top is None
    assert Differential().probability("flu") == 0.0


@settings(max_examples=60, deadline=None)
@given(differentials(), st.integers(0, 6))
def test_a_shortened_differential_moves_the_rest_to_other(full: Differential, count: int) -> None:
    short = full.shortened(count)
    assert short.hypotheses == full.hypotheses[:count]
    dropped = math.fsum(h.probability for h in full.hypotheses[count:])
    assert short.other == pytest.approx(full.other + dropped)
    assert short.top == (full.top if count else None)


@pytest.mark.parametrize("field", ["probability"])
@pytest.mark.parametrize("value", [-0.01, 1.01, math.nan])
def test_a_probability_outside_its_range_is_refused(field: str, value: float) -> None:
    with pytest.raises(ValidationError):
        Hypothesis(id="h", name="H", **{field: value})
    with pytest.raises(ValidationError):
        Decision(status=DecisionStatus.FINAL, differential=Differential(), **{field: value})
