"""Guideline passages by diagnosis."""

import pytest

from wardround.core.errors import ToolRetry
from wardround.core.source import SourceKind
from wardround.knowledge.loading import embedded
from wardround.tools.retrieval.passages import GuidelinePassages
from wardround.tools.tool import Patient

NOBODY = Patient(age=None, sex=None, findings=())


def test_passages_come_word_for_word_with_their_citation() -> None:
    kb = embedded()
    result = GuidelinePassages(kb).use("pulmonary embolism", NOBODY)
    expected = {p.id: p for p in kb.passages.values() if "pulmonary_embolism" in p.about}
    assert expected
    assert [s.document for s in result.sources] == [f"passage:{id_}" for id_ in sorted(expected)]
    for source in result.sources:
        passage = expected[source.document.removeprefix("passage:")]
        assert source.text == passage.text
        assert source.title == passage.title
        assert source.citation == kb.sources[passage.source].citation
        assert f"{passage.title}: {passage.text}" in result.text
    assert result.findings == ()


def test_every_passage_can_be_reached_by_a_diagnosis_it_is_about() -> None:
    kb = embedded()
    tool = GuidelinePassages(kb)
    reached = {s.document for c in kb.conditions for s in tool.about(c)}
    assert reached == {f"passage:{id_}" for id_ in kb.passages}
    assert all(s.citation and s.text.strip() for c in kb.conditions for s in tool.about(c))


def test_no_passage_passes_for_something_said_of_the_patient() -> None:
    tool = GuidelinePassages(embedded())
    kinds = {s.kind for c in embedded().conditions for s in tool.about(c)}
    assert kinds <= {
        SourceKind.GUIDELINE,
        SourceKind.SYSTEMATIC_REVIEW,
        SourceKind.TRIAL,
        SourceKind.COHORT,
        SourceKind.SCORE,
    }


@pytest.mark.parametrize(
    "argument", ["pulmonary_embolism", "Pulmonary Embolism", "  pulmonary   embolism ", "PE", "I26.99"]
)
def test_a_diagnosis_is_found_by_id_name_synonym_or_code(argument: str) -> None:
    kb = embedded()
    entry = kb.find_condition("pulmonary_embolism")
    assert entry is not None
    if argument == "I26.99":
        argument = entry.icd10
    assert GuidelinePassages(kb).use(argument, NOBODY) == GuidelinePassages(kb).use(entry.id, NOBODY)


def test_an_unknown_diagnosis_is_told_the_near_names() -> None:
    with pytest.raises(ToolRetry, match=r"nothing about 'pulmonary embolsim'; near: .*pulmonary embolism"):
        GuidelinePassages(embedded()).use("pulmonary embolsim", NOBODY)


@pytest.mark.parametrize("argument", ["", "   ", "zzzzqqqq", "chest pain and fever and cough and all that"])
def test_what_is_no_diagnosis_is_refused_with_how_to_mend_it(argument: str) -> None:
    with pytest.raises(ToolRetry, match="give one diagnosis") as caught:
        GuidelinePassages(embedded()).use(argument, NOBODY)
    assert caught.value.tool == "guideline"


def test_a_diagnosis_without_passages_says_so() -> None:
    kb = embedded()
    tool = GuidelinePassages(kb)
    bare = [c for c in kb.conditions.values() if not tool.about(c.id)]
    for condition in bare[:3]:
        result = tool.use(condition.id, NOBODY)
        assert result.sources == ()
        assert result.text == f"no passage about {condition.name}"
    assert tool.about("no_such_condition") == ()
