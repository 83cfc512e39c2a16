"""What the evidence graph answers: against, what if, missing, disputes, fragility, attribution."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.core.claim import Claim
from wardround.core.errors import UsageError
from wardround.core.evidence.missing import TRUSTED
from wardround.core.finding import Assertion, Finding
from wardround.core.graph import EvidenceGraph
from wardround.core.items import BearingItem, Candidate, CandidatesItem, ClaimItem, Item, ReadingItem, SourceItem
from wardround.core.source import Source, SourceKind
from wardround.core.weighing import MAX_GROUP_LLR

CODES = ("f0", "f1", "f2", "f3")
HYPOTHESES = ("flu", "cold", "pneumonia")
CANDIDATES = CandidatesItem(
    candidates=(
        Candidate(id="flu", name="Influenza", icd10="J11", prior=0.5),
        Candidate(id="cold", name="Common cold", prior=0.3),
        Candidate(id="pneumonia", name="Pneumonia", icd10="J18", prior=0.15, must_not_miss=True),
    )
)
PROBABILITY = st.floats(0.01, 0.99)
laws = settings(max_examples=60, deadline=None)


@dataclass(frozen=True)
class Test:
    """What can be found out."""

    __test__ = False
    bearing: BearingItem
    cost: float


def bearing(code: str, group: str, background: float, **present: float) -> BearingItem:
    return BearingItem(code=code, name=code.upper(), group=group, background=background, present=present)


def read(code: str, document: str, assertion: Assertion = Assertion.PRESENT, reliability: float = 0.9) -> list[Item]:
    source = Source(
        kind=SourceKind.CLINICIAN_NOTE,
        text=f"{code} {assertion.value} {reliability}",
        document=document,
        reliability=reliability,
    )
    return [SourceItem(source=source), ReadingItem(finding=Finding(code=code, assertion=assertion, source=source.id))]


def graph_of(*items: Item | list[Item]) -> EvidenceGraph:
    flat: list[Item] = [CANDIDATES]
    for item in items:
        flat.extend(item if isinstance(item, list) else [item])
    return EvidenceGraph(flat)


@st.composite
def worlds(draw: st.DrawFn) -> EvidenceGraph:
    known: list[Item] = [
        bearing(
            code,
            draw(st.sampled_from(["airway", "chest"])),
            draw(PROBABILITY),
            **draw(st.dictionaries(st.sampled_from(HYPOTHESES), PROBABILITY)),
        )
        for code in CODES
    ]
    readings = draw(
        st.lists(
            st.builds(
                read,
                st.sampled_from(CODES),
                st.sampled_from(["note", "letter", "lab"]),
                st.sampled_from([Assertion.PRESENT, Assertion.ABSENT, Assertion.POSSIBLE]),
                st.sampled_from([0.2, 0.6, 0.98]),
            ),
            max_size=7,
        )
    )
    return graph_of(known, *readings)


@laws
@given(worlds(), st.sampled_from(HYPOTHESES))
def test_the_attribution_sums_exactly_to_the_log_odds(graph: EvidenceGraph, hypothesis: str) -> None:
    found = graph.attribution(hypothesis)
    p = graph.find(hypothesis).probability
    total = found.prior + math.fsum(share.llr for share in found.shares) + found.rivals
    assert found.log_odds == pytest.approx(total, abs=1e-8)
    assert found.log_odds == pytest.approx(math.log(p) - math.log1p(-p), rel=1e-6, abs=1e-9)


@laws
@given(worlds(), st.sampled_from(HYPOTHESES))
def test_what_the_rivals_take_is_what_the_evidence_did_for_them(graph: EvidenceGraph, hypothesis: str) -> None:
    j = HYPOTHESES.index(hypothesis)
    prior = np.array([c.prior for c in graph.candidates] + [0.05])
    score = np.append(graph.weighed.terms.sum(axis=0), 0.0)
    others = np.delete(np.arange(4), j)
    share = np.log((prior[others] / (1 - prior[j]) * np.exp(score[others])).sum())
    assert graph.attribution(hypothesis).rivals == pytest.approx(-float(share), abs=1e-7)


@laws
@given(worlds(), st.sampled_from(HYPOTHESES))
def test_the_groups_of_an_attribution_are_the_terms(graph: EvidenceGraph, hypothesis: str) -> None:
    j = HYPOTHESES.index(hypothesis)
    for group, llr in graph.attribution(hypothesis).groups().items():
        assert llr == pytest.approx(float(graph.weighed.terms[graph.groups.index(group), j]), abs=1e-7)
        assert abs(llr) <= MAX_GROUP_LLR + 1e-9


@laws
@given(worlds())
def test_taking_a_group_away_subtracts_its_term(graph: EvidenceGraph) -> None:
    score = np.log([c.prior for c in graph.candidates]) + graph.weighed.terms.sum(axis=0)
    for k, group in enumerate(graph.groups):
        left = np.append(np.exp(score - graph.weighed.terms[k]), 0.05)
        after = graph.without([group]).posterior
        assert after.tolist() == pytest.approx((left / left.sum()).tolist(), abs=1e-9)


@laws
@given(worlds())
def test_fragile_groups_are_those_whose_removal_flips_the_top(graph: EvidenceGraph) -> None:
    fragile = {f.group: f.without for f in graph.fragilities()}
    for group in graph.groups:
        what = graph.what_if([group])
        first, second = what.after.hypotheses[:2]
        # Where two would lead alike, rounding decides.
        if first.probability - second.probability > 1e-9:
            assert (group in fragile) is what.flips
            assert group not in fragile or fragile[group].id == first.id
    assert tuple(fragile) == graph.pivotal_groups()
    for group, then in fragile.items():
        assert then.probability == pytest.approx(graph.without([group]).find(then.id).probability, abs=1e-9)


@laws
@given(worlds(), st.sampled_from(CODES))
def test_what_if_takes_a_finding_out_and_nothing_else(graph: EvidenceGraph, code: str) -> None:
    if code not in graph.readings:
        with pytest.raises(UsageError, match="nothing in this graph is called"):
            graph.what_if([code])
        return
    what = graph.what_if([code])
    bare = EvidenceGraph(i for i in graph.items if not (isinstance(i, ReadingItem) and i.finding.code == code))
    assert what.after == bare.differential
    assert what.before == graph.differential
    assert graph.without([code]).with_items(graph.items).differential == graph.differential


def chest() -> EvidenceGraph:
    return graph_of(
        bearing("f0", "airway", 0.2, flu=0.7, cold=0.6),
        bearing("f1", "chest", 0.05, pneumonia=0.9, flu=0.05),
        bearing("f2", "blood", 0.2, flu=0.8),
        read("f0", "note"),
        read("f1", "film", reliability=0.98),
        read("f2", "lab", Assertion.ABSENT),
        read("f0", "phone", Assertion.ABSENT, reliability=0.6),
    )


def test_what_speaks_against_names_the_opposing_the_unexplained_and_the_rivals() -> None:
    against = chest().against("J11")
    assert [w.code for w in against.opposing] == ["f2"]
    assert against.unexplained == ("F1",)
    assert [h.id for h in against.rivals] == ["pneumonia", "cold"]
    lines = str(against).splitlines()
    assert lines[0].startswith("Influenza: probability ")
    assert [line.split()[0] for line in lines[1:]] == ["against", "not", "more", "more"]


def test_against_holds_what_why_opposes() -> None:
    graph = chest()
    assert graph.against("flu").opposing == graph.why("flu").opposing


def test_what_if_says_what_would_flip() -> None:
    what = chest().what_if(["film"])
    assert what.flips
    assert what.changes[0].hypothesis in ("pneumonia", "flu", "cold")
    assert str(what).splitlines()[0] == "without film: another diagnosis leads"
    assert not chest().what_if(["lab"]).flips


def test_a_name_that_is_not_there_is_refused_with_near_ones() -> None:
    with pytest.raises(UsageError, match=r"nothing in this graph is called 'films'; near: film"):
        chest().what_if(["films"])


def test_a_claim_may_be_taken_out_and_changes_nothing() -> None:
    claim = Claim(agent="attending", text="It is influenza.")
    graph = chest().with_items([ClaimItem(claim=claim)])
    assert graph.without([claim.id]) == chest()
    assert not graph.what_if([claim.id]).changes


def test_a_dispute_names_both_sides() -> None:
    (dispute,) = chest().disputes()
    assert dispute.code == "f0"
    assert [s.document for s in dispute.present] == ["note"]
    assert [s.document for s in dispute.absent] == ["phone"]
    assert dispute.reading > 0


def test_the_most_balanced_dispute_comes_first() -> None:
    graph = chest().with_items([*read("f1", "second film", Assertion.ABSENT, reliability=0.98)])
    assert [d.code for d in graph.disputes()] == ["f1", "f0"]


def test_fragility_names_what_would_lead() -> None:
    (fragile,) = chest().fragilities()
    assert (fragile.group, fragile.codes) == ("chest", ("f1",))
    assert fragile.without.id == chest().without(["chest"]).differential.hypotheses[0].id
    assert fragile.reliability == pytest.approx(0.98)


def test_what_could_flip_the_decision_is_missing_first() -> None:
    graph = graph_of(bearing("f0", "airway", 0.3, flu=0.5, cold=0.6), read("f0", "note"))
    telling = Test(bearing("culture", "lab", 0.02, pneumonia=0.9), 1.0)
    decisive = Test(bearing("antigen", "swab", 0.05, flu=0.95), 1.0)
    useless = Test(bearing("eyes", "looks", 0.5, flu=0.5), 1.0)
    found = graph.missing([useless, telling, decisive])
    assert found[0].code == "antigen"
    assert found[-1].code == "eyes"
    assert found[-1].gain == pytest.approx(0.0)
    assert found[-1].shift == pytest.approx(0.0)
    assert found[0].gain > 0
    assert 0 < found[0].flips <= 1


def test_the_dearer_of_two_equals_comes_later() -> None:
    graph = graph_of()
    cheap, dear = Test(bearing("a", "x", 0.1, flu=0.9), 1.0), Test(bearing("b", "y", 0.1, flu=0.9), 30.0)
    found = graph.missing([dear, cheap])
    assert [t.code for t in found] == ["a", "b"]
    assert found[0].gain == pytest.approx(found[1].gain)


def test_what_has_been_read_is_not_missing() -> None:
    graph = graph_of(bearing("f0", "airway", 0.3, flu=0.5), read("f0", "note"))
    assert graph.missing([Test(bearing("f0", "airway", 0.3, flu=0.5), 1.0)]) == ()


@laws
@given(worlds(), st.dictionaries(st.sampled_from(HYPOTHESES), PROBABILITY, min_size=1), PROBABILITY)
def test_the_worth_of_a_finding_is_what_reading_it_would_do(
    graph: EvidenceGraph, present: dict[str, float], background: float
) -> None:
    candidate = Test(bearing("new", "chest", background, **present), 2.0)
    (found,) = graph.missing([candidate], "pneumonia")
    p = np.array(graph.posterior)
    likelihood = np.array([present.get(h, background) for h in HYPOTHESES] + [background])
    assert found.probability == pytest.approx(float(p @ likelihood))
    shift = 0.0
    gain = -max(p[:-1])
    for assertion, weight in ((Assertion.PRESENT, p @ likelihood), (Assertion.ABSENT, 1 - p @ likelihood)):
        after = graph.with_items([candidate.bearing, *read("new", "result", assertion, TRUSTED)])
        shift += weight * abs(after.find("pneumonia").probability - graph.find("pneumonia").probability)
        gain += weight * max(after.posterior[:-1])
    assert found.shift == pytest.approx(shift, abs=1e-7)
    assert found.gain == pytest.approx(max(0.0, gain) if found.flips > 0 else 0.0, abs=1e-7)


@laws
@given(worlds(), st.permutations(["p", "q", "r"]), st.permutations(["v", "w", "x", "y"]))
def test_names_carry_no_weight(graph: EvidenceGraph, hypotheses: list[str], codes: list[str]) -> None:
    """Calling hypotheses, findings and groups by other names, in another order, changes no probability."""
    named = dict(zip(HYPOTHESES, hypotheses, strict=True))
    coded = dict(zip(CODES, codes, strict=True))
    renamed: list[Item] = []
    for item in graph.items:
        match item:
            case CandidatesItem():
                called = [c.model_copy(update={"id": named[c.id], "name": named[c.id]}) for c in item.candidates]
                renamed.append(CandidatesItem(candidates=tuple(sorted(called, key=lambda c: c.id))))
            case BearingItem():
                present = {named[h]: p for h, p in item.present.items()}
                other = {"code": coded[item.code], "group": f"z {item.group[::-1]}", "present": present}
                renamed.append(item.model_copy(update=other))
            case ReadingItem():
                renamed.append(ReadingItem(finding=item.finding.model_copy(update={"code": coded[item.finding.code]})))
            case _:
                renamed.append(item)
    found = EvidenceGraph(renamed)
    for hypothesis in HYPOTHESES:
        p = found.find(named[hypothesis]).probability
        assert p == pytest.approx(graph.find(hypothesis).probability, abs=1e-12)
