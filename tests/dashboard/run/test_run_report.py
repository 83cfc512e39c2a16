"""What a clinician sees first: the decision, and a report whose every sentence leads to what it rests on."""

import re
from typing import Any

import pytest

from wardround.core.case import Case
from wardround.core.claim import VerdictLabel
from wardround.core.uncertainty import Part
from wardround.dashboard.places import Places, without_data
from wardround.dashboard.report import PART_WORDS, report_page
from wardround.trace import views
from wardround.trace.events import DecisionMade


def page(run: Any) -> dict[str, Any]:
    return report_page(run.events, run.case)


def test_the_decision_comes_with_its_confidence_and_all_its_parts(runs: dict[str, Any]) -> None:
    shown = page(runs["bundle"])
    assert shown["decision"] == views.decision(runs["bundle"].events)
    assert [part.value for part in shown["parts"]] == sorted((p.value for p in shown["parts"]), reverse=True)
    assert sum(part.is_largest for part in shown["parts"]) == 1
    assert shown["head"]["state"] == "done"
    assert shown["head"]["usage"].calls > 0


def test_every_part_of_the_uncertainty_has_a_name_and_a_meaning() -> None:
    assert set(PART_WORDS) == set(Part)


@pytest.mark.parametrize("name", ["coded", "bundle", "contested", "image", "waiting"])
def test_the_sentences_are_the_summary_word_for_word_and_each_has_its_claim(runs: dict[str, Any], name: str) -> None:
    shown = page(runs[name])
    assert " ".join(s.text for s in shown["sentences"]) == shown["decision"].summary
    assert all(s.claims and s.claims[0].agent == "attending" for s in shown["sentences"])


@pytest.mark.parametrize("name", ["coded", "bundle", "contested", "image", "waiting"])
def test_every_claim_is_shown_once_and_the_cited_places_are_those_of_the_log(runs: dict[str, Any], name: str) -> None:
    shown = page(runs[name])
    graph = views.evidence_graph(runs[name].events)
    spoken = [claim.id for s in shown["sentences"] for claim in s.claims]
    assert sorted({*spoken, *(claim.id for claim in shown["others"])}) == sorted(graph.claims)
    for sentence in shown["sentences"]:
        cited = {s for claim in sentence.claims for s in graph.claims[claim.id].cites}
        assert cited <= {place.id for place in sentence.places}


def test_a_sentence_shows_the_worst_verdict_of_its_claims(marked: Any) -> None:
    shown = page(marked)
    assert shown["sentences"][0].text == "There is an opacity."
    assert shown["sentences"][0].label == VerdictLabel.NOT_ADDRESSED.value


def test_what_of_the_summary_is_no_claim_is_a_sentence_without_one(runs: dict[str, Any]) -> None:
    run = runs["bundle"]
    events = [
        e.model_copy(update={"decision": e.decision.model_copy(update={"summary": f"Well. {e.decision.summary} So."})})
        if isinstance(e, DecisionMade)
        else e
        for e in run.events
    ]
    shown = report_page(events, run.case)
    assert [s.text for s in shown["sentences"] if not s.claims] == ["Well.", "So."]
    assert {s.label for s in shown["sentences"] if not s.claims} == {"unclaimed"}


def test_a_sentence_of_a_note_is_marked_in_its_line(runs: dict[str, Any]) -> None:
    run = runs["bundle"]
    graph = views.evidence_graph(run.events)
    places = Places(run.case, graph)
    notes = [p for p in map(places.of, graph.sources.values()) if p.kind == "document"]
    assert notes
    for place in notes:
        assert "".join(line.cited for line in place.lines) == place.source.text


def test_lines_of_a_narrative_are_cited_where_the_source_stands(runs: dict[str, Any]) -> None:
    run = runs["waiting"]
    graph = views.evidence_graph(run.events)
    places = Places(run.case, graph)
    for source in (s for s in graph.sources.values() if s.document.startswith("note:")):
        place = places.of(source)
        cited = " ".join(line.cited for line in place.lines if line.is_cited)
        assert re.sub(r"\s+", " ", cited).strip() == re.sub(r"\s+", " ", source.text).strip()


def test_a_resource_is_shown_as_json_with_the_lines_that_say_it(runs: dict[str, Any]) -> None:
    run = runs["bundle"]
    graph = views.evidence_graph(run.events)
    source = next(s for s in graph.sources.values() if s.document.startswith("Observation/") and "612" in s.text)
    place = Places(run.case, graph).of(source)
    assert place.kind == "resource"
    assert [line.cited for line in place.lines if '"value"' in line.cited] == ['"value": 612,']


def test_a_passage_of_literature_is_shown_sentence_by_sentence_with_its_citation(runs: dict[str, Any]) -> None:
    run = runs["coded"]
    graph = views.evidence_graph(run.events)
    source = next(s for s in graph.sources.values() if s.document.startswith("passage:"))
    place = Places(run.case, graph).of(source)
    assert place.kind == "passage"
    assert place.source.citation
    assert " ".join(line.cited for line in place.lines) == source.text


def test_the_words_in_which_a_finding_was_read_are_marked(runs: dict[str, Any]) -> None:
    run = runs["bundle"]
    graph = views.evidence_graph(run.events)
    source = next(s for s in graph.sources.values() if s.text.startswith("Troponin I 148"))
    place = Places(run.case, graph).of(source)
    assert "".join(piece.text for piece in place.pieces) == source.text
    assert [piece.text for piece in place.pieces if piece.finding] == ["Troponin I 148 ng/L"]


def test_attached_data_is_cut_and_says_how_long_it_was() -> None:
    cut = without_data({"content": [{"attachment": {"data": "a" * 1000}}], "text": "b" * 1000})
    assert cut["content"][0]["attachment"]["data"].endswith("(1000 characters)")
    assert cut["text"] == "b" * 1000


@pytest.mark.parametrize("kept", [1, 5, 60, 150, 300])
def test_a_run_is_shown_whatever_was_recorded_so_far(runs: dict[str, Any], kept: int) -> None:
    run = runs["bundle"]
    shown = report_page(run.events[:kept], run.case)
    assert shown["head"]["state"] in ("running", "done")


def test_a_run_of_which_no_content_is_kept_is_shown() -> None:
    shown = report_page([], Case(id="gone"))
    assert shown["decision"] is None
    assert shown["sentences"] == []


def test_a_waiting_run_says_that_a_person_is_asked(runs: dict[str, Any]) -> None:
    shown = page(runs["waiting"])
    assert shown["head"]["state"] == "suspended"
    assert shown["question"]["reasons"]
