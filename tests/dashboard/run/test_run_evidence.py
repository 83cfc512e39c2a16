"""The evidence of a run: what is drawn, what is contested, and what if a source had not been."""

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wardround.core.evidence.drawing import _STYLE, svg
from wardround.dashboard import evidence
from wardround.dashboard.evidence import claim_picture, evidence_page, marks_of, plain
from wardround.dashboard.exporting import _static
from wardround.dashboard.links import mark_of
from wardround.trace import views


def page(run: Any, **asked: Any) -> dict[str, Any]:
    return evidence_page(run.events, run.case, **asked)


def test_the_whole_graph_is_drawn_without_styles_that_a_strict_page_ignores(runs: dict[str, Any]) -> None:
    graph = views.evidence_graph(runs["bundle"].events)
    picture = page(runs["bundle"])["picture"]
    assert "<style" not in picture
    assert " style=" not in picture
    assert picture.count('class="link') == svg(graph).count('class="link')
    assert re.search(r'stroke-width="\d', picture)


def test_the_stylesheet_covers_every_class_that_the_drawing_styles() -> None:
    drawn = set(re.findall(r"\.([a-z_]+)", re.sub(r"\{[^}]*\}", "", _STYLE)))
    css = _static(("run.css",))
    assert drawn
    assert all(re.search(rf"\.wr-ev[^{{]*\.{name}\b|\.wr-ev", css) and f".{name}" in css for name in drawn)


def test_switching_a_source_off_gives_what_the_graph_says_it_would(runs: dict[str, Any]) -> None:
    run = runs["bundle"]
    graph = views.evidence_graph(run.events)
    note = next(s for s in graph.sources.values() if s.document.startswith("DocumentReference/"))
    shown = page(run, without=[mark_of(note.document)])
    expected = graph.what_if([note.document])
    told = {name: (before, after) for name, before, after in shown["what_if"]["rows"]}
    assert told
    for change in expected.changes:
        if change.name in told:
            assert told[change.name] == (change.before, change.after)
    assert shown["what_if"]["flips"] == expected.flips
    assert [c.is_off for c in shown["choices"] if c.mark == mark_of(note.document)] == [True]


def test_a_source_can_be_switched_off_by_its_id(runs: dict[str, Any]) -> None:
    run = runs["coded"]
    graph = views.evidence_graph(run.events)
    source = next(s.id for s in graph.sources.values() if "filling defect" in s.text)
    shown = page(run, without=[source])
    assert shown["without"] == [source]
    assert source not in [s for c in shown["choices"] for s, _, _, off in c.sources if not off]
    assert shown["what_if"]["rows"]


def test_a_name_that_is_nothing_here_is_named_and_left_out(runs: dict[str, Any]) -> None:
    shown = page(runs["bundle"], without=["nothing", "../../etc"], highlight="ev_no")
    assert shown["unknown"] == ["nothing", "../../etc", "ev_no"]
    assert shown["what_if"] is None
    assert shown["picture"] == page(runs["bundle"])["picture"]


def test_what_is_highlighted_and_switched_off_at_once_is_not_drawn(runs: dict[str, Any]) -> None:
    graph = views.evidence_graph(runs["bundle"].events)
    source = next(iter(graph.sources))
    assert page(runs["bundle"], without=[source], highlight=mark_of(source))["picture"]


@pytest.mark.parametrize("name", ["coded", "bundle", "contested", "image"])
def test_marks_are_hashes_and_each_means_one_thing(runs: dict[str, Any], name: str) -> None:
    marks = marks_of(views.evidence_graph(runs[name].events))
    assert all(re.fullmatch(r"ev_[0-9a-f]{12}", mark) for mark in marks)
    assert len(set(marks.values())) == len(marks)


def test_any_node_can_be_highlighted(runs: dict[str, Any]) -> None:
    marks = marks_of(views.evidence_graph(runs["contested"].events))
    graph = views.evidence_graph(runs["contested"].events)
    for mark, node in list(marks.items())[::9]:
        if node in graph.sources or node in graph.claims or node in graph.readings:
            assert page(runs["contested"], highlight=mark)["highlight"] == mark


def test_the_bars_of_the_attribution_add_up(runs: dict[str, Any]) -> None:
    found = page(runs["bundle"])["attribution"]["of"]
    assert found.prior + sum(s.llr for s in found.shares) + found.rivals == pytest.approx(found.log_odds)


def test_contested_findings_and_diagnoses_are_shown_with_who_says_what(runs: dict[str, Any]) -> None:
    graph = views.evidence_graph(runs["contested"].events)
    shown = {contest.what: contest for contest in page(runs["contested"])["contested"]}
    assert {dispute.name for dispute in graph.disputes()} <= set(shown)
    assert "leading diagnosis" in shown
    assert len(shown["leading diagnosis"].sides) > 1


def test_a_sentence_is_drawn_with_what_it_rests_on_and_nothing_else(runs: dict[str, Any]) -> None:
    graph = views.evidence_graph(runs["bundle"].events)
    claim = next(c for c in graph.claims.values() if c.agent == "attending" and c.cites)
    picture = claim_picture(graph, claim.id)
    drawn = set(re.findall(r'data-node="([^"]+)"', picture))
    assert drawn & set(graph.claims) == {claim.id}
    assert drawn & set(graph.sources) == set(claim.cites)
    read = {code for code, found in graph.readings.items() if any(f.source in claim.cites for f in found)}
    assert drawn & {b.code for b in graph.bearings} <= read


def test_a_graph_too_large_to_read_is_drawn_in_part(runs: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = page(runs["bundle"])["picture"]
    monkeypatch.setattr(evidence, "MOST_BOXES", 20)
    part = page(runs["bundle"])["picture"]
    assert 0 < part.count('class="node') <= 20 < whole.count('class="node')


@pytest.mark.parametrize("kept", [0, 1, 40, 200, 290])
def test_a_run_without_hypotheses_says_so(runs: dict[str, Any], kept: int) -> None:
    shown = evidence_page(runs["bundle"].events[:kept], runs["bundle"].case, without=["x"], highlight="y")
    assert bool(shown["missing"]) == (not shown["picture"])


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_off_the_probabilities_are_a_distribution(runs: dict[str, Any], data: st.DataObject) -> None:
    run = runs["contested"]
    sources = sorted(views.evidence_graph(run.events).sources)
    off = data.draw(st.lists(st.sampled_from(sources), max_size=len(sources), unique=True))
    shown = page(run, without=off)
    assert sorted(shown["without"]) == sorted(off)
    assert sum(h.probability for _, h in shown["hypotheses"]) <= 1.0 + 1e-9


def test_only_own_styles_are_taken_out_of_a_drawing() -> None:
    assert plain('<svg><style>a{}</style><path style="stroke-width:1.20px"/></svg>') == (
        '<svg><path stroke-width="1.20"/></svg>'
    )
