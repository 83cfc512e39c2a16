"""Whole texts: clauses, citations, omissions, scores, and errors in drafts."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.core.claim import ClaimType, Severity, VerdictLabel
from wardround.core.source import Source, SourceKind
from wardround.knowledge.clinician import reference_clinician
from wardround.tools.hallucination.decomposition import clauses, type_of_clause
from wardround.tools.hallucination.detector import RuleDetector
from wardround.tools.hallucination.drafts import ErrorKind, draft_errors
from wardround.tools.hallucination.hygiene import cleaned
from wardround.tools.hallucination.reports import check_text


def detector() -> RuleDetector:
    return RuleDetector(reference_clinician())


def evidence(**texts: str) -> dict[str, Source]:
    return {
        name: Source(kind=SourceKind.CLINICIAN_NOTE, text=text, document=name, title=name)
        for name, text in texts.items()
    }


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("The study is normal.", ClaimType.GLOBAL_STATUS),
        ("Right pleural effusion.", ClaimType.LATERALITY),
        ("There is photophobia.", ClaimType.PRESENCE),
        ("Warfarin 5 mg daily.", ClaimType.DRUG),
        ("Anaemia due to gastrointestinal bleeding.", ClaimType.CAUSE),
        ("A 12 mm nodule.", ClaimType.ATTRIBUTE),
        ("Mass in the liver.", ClaimType.ORGAN),
        ("Viral meningitis.", ClaimType.PATHOLOGY_CLASS),
        ("Stroke in 2015.", ClaimType.TEMPORAL),
        ("Nodule on CT.", ClaimType.MODALITY),
        ("The patient likes gardening.", ClaimType.OTHER),
    ],
)
def test_a_clause_has_a_type(text: str, kind: ClaimType) -> None:
    assert type_of_clause(text, detector().reader) is kind


def test_sentences_are_cut_into_clauses_but_lists_stay_whole() -> None:
    text = "Denies fever, cough, and rash; there is jaundice, but no pain. He is well and there is no rash."
    assert [c.text for c in clauses(text)] == [
        "Denies fever, cough, and rash", "there is jaundice", "no pain.", "He is well", "there is no rash."
    ]  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=120))
def test_clauses_lie_in_the_text_in_order_and_do_not_overlap(text: str) -> None:
    found = clauses(text)
    assert all(0 <= c.start < c.end <= len(text) for c in found)
    assert all(a.end <= b.start for a, b in itertools.pairwise(found))


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=80))
def test_a_span_of_a_cleaned_text_is_a_span_of_the_text(text: str) -> None:
    clean = cleaned(text)
    start, end = clean.place(0, len(clean.text))
    assert 0 <= start <= end <= len(text)
    assert cleaned(clean.text).hidden == 0


def test_a_report_has_scores_citations_and_the_worst_class() -> None:
    given = evidence(n1="Chest pain. Left pleural effusion.", n2="Potassium 4.1 mmol/L.")
    report = check_text("There is chest pain [n1]. Right pleural effusion [n1]. No rash.", given, detector())
    labels = [j.examination.verdict.label.value for j in report.judged]
    assert labels == ["supported", "contradicted", "not_addressed"]
    assert report.score == pytest.approx((1.0 + 0.2) / 2)
    assert report.worst is Severity.CRITICAL
    assert report.unsupported == pytest.approx(2 / 3)
    assert report.citation_precision == pytest.approx(1 / 2)
    assert report.citation_recall == 1.0


def test_an_invented_citation_is_found_in_a_text() -> None:
    report = check_text("There is chest pain [n9].", evidence(n1="Chest pain."), detector())
    assert report.judged[0].clause.cites == ("n9",)
    assert report.judged[0].examination.verdict.label is VerdictLabel.CONTRADICTED


def test_critical_findings_left_out_are_named_once_and_mentioned_ones_are_not() -> None:
    given = evidence(n1="CT shows a large pneumothorax.", n2="Potassium 7.2 mmol/L.", n3="No pulmonary embolism.")
    silent = check_text("There is no rash.", given, detector())
    assert len(silent.omissions) == 2
    assert silent.worst is Severity.CRITICAL
    told = check_text("There is a large pneumothorax. Potassium 7.2 mmol/L.", given, detector())
    assert told.omissions == ()


def test_a_text_without_statements_has_no_score() -> None:
    report = check_text("...", evidence(n1="Chest pain."), detector())
    assert (report.score, report.unsupported, report.worst) == (None, None, Severity.UNSCORED)


@pytest.mark.parametrize(
    ("wrong", "other", "kind"),
    [
        ("Viral meningitis was found.", "Bacterial meningitis.", ErrorKind.DIAGNOSIS),
        ("Amoxicillin was given.", "Allergic to penicillin.", ErrorKind.PHARMACOTHERAPY),
        ("Cultures grew Escherichia coli.", "Gram-positive cocci in clusters.", ErrorKind.CAUSAL_ORGANISM),
        ("She underwent splenectomy.", "No splenectomy was done.", ErrorKind.TREATMENT),
        ("A colonoscopy was done.", "No colonoscopy was done.", ErrorKind.MANAGEMENT),
    ],
)
def test_a_wrong_sentence_of_a_draft_has_its_kind(wrong: str, other: str, kind: ErrorKind) -> None:
    found = draft_errors(f"{wrong} Cough for two days.", evidence(n1=other), detector())
    assert [(e.kind, e.sentence) for e in found] == [(kind, wrong)], found


def test_a_correction_comes_from_the_evidence_or_not_at_all() -> None:
    with_one = draft_errors("Right pleural effusion.", evidence(n1="Left pleural effusion."), detector())
    assert [e.correction for e in with_one] == ["left"]
    without = draft_errors("Chest pain.", evidence(n1="No chest pain."), detector())
    assert [e.correction for e in without] == [None]


def test_sentences_of_a_draft_that_contradict_each_other_are_both_named() -> None:
    found = draft_errors("Chest pain. Cough. No chest pain.", {}, detector())
    assert [e.evidence for e in found] == [("draft:3",), ("draft:1",)]
    assert draft_errors("Chest pain. Cough.", {}, detector()) == []
