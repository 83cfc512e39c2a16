"""Routing laws and the specialties that ship."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.agents.roster import Roster, RoutingPolicy, embedded_roster
from wardround.core.decision import Triage, Urgency
from wardround.knowledge.clinician import reference_clinician
from wardround.tools.fhir.record import RecordSearch
from wardround.tools.measure.calculator import ClinicalScores
from wardround.tools.retrieval.passages import GuidelinePassages

KNOWN = ("cardiology", "neurology", "surgery", "toxicology", "emergency_medicine")
STRANGE = ("astrology", "", "Cardiology", "surgery ")

named = st.lists(st.sampled_from((*KNOWN, *STRANGE)), max_size=8)
policies = st.builds(
    RoutingPolicy,
    most=st.integers(0, 6),
    emergent_adds=st.lists(st.sampled_from(KNOWN), max_size=3, unique=True).map(tuple),
)
triages = st.builds(Triage, urgency=st.sampled_from(Urgency), specialties=named.map(tuple))
laws = settings(max_examples=300, deadline=None)


@laws
@given(policies, triages)
def test_never_are_more_asked_than_the_policy_allows(policy: RoutingPolicy, triage: Triage) -> None:
    assert len(policy.route(triage, KNOWN)) <= policy.most


@laws
@given(policies, triages)
def test_nobody_is_asked_twice(policy: RoutingPolicy, triage: Triage) -> None:
    route = policy.route(triage, KNOWN)
    assert len(set(route)) == len(route)


@laws
@given(policies, triages)
def test_only_the_known_are_asked(policy: RoutingPolicy, triage: Triage) -> None:
    assert set(policy.route(triage, KNOWN)) <= set(KNOWN)


@laws
@given(policies, triages)
def test_only_the_named_and_the_added_are_asked(policy: RoutingPolicy, triage: Triage) -> None:
    assert set(policy.route(triage, KNOWN)) <= {*triage.specialties, *policy.emergent_adds}


@laws
@given(policies, named)
def test_an_emergent_case_is_seen_by_all_that_the_policy_adds(policy: RoutingPolicy, names: list[str]) -> None:
    route = policy.route(Triage(urgency=Urgency.EMERGENT, specialties=tuple(names)), KNOWN)
    assert len(set(policy.emergent_adds) & set(route)) == min(len(policy.emergent_adds), policy.most)


@laws
@given(policies, named, st.sampled_from((Urgency.URGENT, Urgency.ROUTINE)))
def test_nobody_is_added_to_a_case_that_is_not_emergent(
    policy: RoutingPolicy, names: list[str], urgency: Urgency
) -> None:
    route = policy.route(Triage(urgency=urgency, specialties=tuple(names)), KNOWN)
    wanted = [name for name in dict.fromkeys(names) if name in KNOWN]
    assert list(route) == wanted[: policy.most]


@laws
@given(policies, st.sampled_from((Urgency.URGENT, Urgency.ROUTINE)))
def test_a_triage_that_needs_nobody_is_heeded(policy: RoutingPolicy, urgency: Urgency) -> None:
    assert policy.route(Triage(urgency=urgency), KNOWN) == ()


@laws
@given(policies, named)
def test_a_named_specialist_gives_way_only_to_one_that_is_added(policy: RoutingPolicy, names: list[str]) -> None:
    route = policy.route(Triage(urgency=Urgency.EMERGENT, specialties=tuple(names)), KNOWN)
    wanted = {*names, *policy.emergent_adds} & set(KNOWN)
    assert len(route) == min(policy.most, len(wanted))


def test_an_addition_that_nobody_knows_is_dropped() -> None:
    policy = RoutingPolicy(most=3, emergent_adds=("astrology", "surgery"))
    assert policy.route(Triage(urgency=Urgency.EMERGENT, specialties=("neurology",)), KNOWN) == (
        "neurology",
        "surgery",
    )


@pytest.fixture(scope="module")
def roster() -> Roster:
    return embedded_roster()


def test_an_emergent_chest_pain_also_goes_to_the_emergency_doctor(roster: Roster) -> None:
    named = ("cardiology", "pulmonology", "gastroenterology", "surgery")
    triage = Triage(urgency=Urgency.EMERGENT, specialties=named)
    assert roster.routing.route(triage, roster.ids) == ("cardiology", "pulmonology", "emergency_medicine")


def test_at_least_twelve_specialties_ship_and_each_has_its_own_id_name_and_focus(roster: Roster) -> None:
    assert len(roster.specialties) >= 12
    for field in ("id", "name", "focus"):
        values = [getattr(s, field) for s in roster.specialties]
        assert len(set(values)) == len(values)
        assert all(value.strip() for value in values)


def test_every_specialty_that_looks_after_a_condition_can_be_asked(roster: Roster) -> None:
    kb = reference_clinician().kb
    wanted = {specialty for condition in kb.conditions.values() for specialty in condition.specialties}
    assert len(wanted) >= 12
    assert wanted <= set(roster.ids)
    assert all(condition.specialties for condition in kb.conditions.values())


def test_every_specialty_looks_after_some_condition(roster: Roster) -> None:
    kb = reference_clinician().kb
    assert set(roster.ids) == {s for condition in kb.conditions.values() for s in condition.specialties}


def test_every_tool_of_a_specialty_exists_and_is_named_once(roster: Roster) -> None:
    tools = {RecordSearch.name, GuidelinePassages.name, ClinicalScores.name}
    assert {tool for s in roster.specialties for tool in s.tools} == tools
    for specialty in roster.specialties:
        assert specialty.tools
        assert len(set(specialty.tools)) == len(specialty.tools)


def test_whom_the_policy_adds_is_in_the_roster(roster: Roster) -> None:
    assert roster.routing.emergent_adds == ("emergency_medicine",)
    assert set(roster.routing.emergent_adds) <= set(roster.ids)
    assert roster.routing.most >= len(roster.routing.emergent_adds)


def test_a_specialty_is_found_by_its_id(roster: Roster) -> None:
    assert roster.find("neurology").name == "Neurology"
