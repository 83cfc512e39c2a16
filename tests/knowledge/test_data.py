"""What the embedded knowledge must hold, whoever edits it."""

import re
from collections import defaultdict
from importlib import resources

import pytest
import yaml

from wardround.core.weighing import OTHER_PRIOR
from wardround.knowledge.base import COST, probability
from wardround.knowledge.lexicon import FUNCTION_WORDS
from wardround.knowledge.loading import embedded
from wardround.knowledge.schema import GRADED, Likelihood, SourceEntry
from wardround.knowledge.text import tokens

KB = embedded()

NEGATION = re.compile(r"\b(?:no|not|without|never|neither|nor|none|nil|denies|denied|w/o)\b|n't\b", re.IGNORECASE)

NAMED_BY_A_LACK = frozenset(
    (
        *("arterial_occlusion_imaging", "back_pain_better_with_exercise", "colonoscopy_diverticula_bleeding"),
        *("cold_double_worsening", "decreased_need_sleep", "dexamethasone_not_suppressed", "fecal_incontinence"),
        *("heavy_bleeding_minor_trauma", "malnutrition", "neck_extension_limited", "nonhealing_skin_lesion"),
        *("obstipation", "ophthalmoplegia", "rash_purpuric_reported", "unrefreshing_sleep"),
        *("urinary_hesitancy_incomplete", "us_absent_lung_sliding", "vitreous_blood_seen"),
    )
)
"""Findings that consist in something not being so; `can't sleep` is one too, and is told by its `can't`."""


def files() -> dict[str, dict[str, object]]:
    data = resources.files("wardround.knowledge") / "data"
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return {
        f"{folder}/{file.name}": yaml.load(file.read_text("utf-8"), loader)
        for folder in ("findings", "presentations")
        for file in (data / folder).iterdir()
        if file.name.endswith(".yaml")
    }


def test_it_covers_enough_of_acute_medicine() -> None:
    assert len(KB.conditions) >= 150
    assert len(KB.presentations) >= 20
    assert len(KB.findings) >= 500
    assert len(KB.passages) >= len(KB.conditions)


def test_every_condition_says_who_looks_after_it_and_what_defines_it() -> None:
    for condition in KB.conditions.values():
        assert re.fullmatch(r"[A-Z]\d[0-9A-Z](\.[0-9A-Z]{1,4})?", condition.icd10), condition.id
        assert all(condition.specialties), condition.id
        assert len(condition.criteria.split()) >= 5, condition.id
        assert condition.name == condition.name.strip() != "", condition.id


def test_every_condition_has_a_passage_to_cite() -> None:
    about = {code for passage in KB.passages.values() for code in passage.about}
    assert set(KB.conditions) - about == set()
    assert all(len(passage.text.split()) >= 8 for passage in KB.passages.values())


def names() -> dict[str, set[str]]:
    known: dict[str, set[str]] = defaultdict(set)
    for condition in KB.conditions.values():
        for name in (condition.name, *condition.synonyms):
            known[name.lower()].add(condition.id)
    return known


def test_the_name_of_a_condition_is_no_name_of_another() -> None:
    known = names()
    assert {c.name: known[c.name.lower()] for c in KB.conditions.values() if len(known[c.name.lower()]) > 1} == {}


def test_few_synonyms_stand_for_several_conditions() -> None:
    known = names()
    assert sum(len(ids) > 1 for ids in known.values()) <= 0.01 * len(known)


def test_every_condition_that_must_not_be_missed_can_be_reached() -> None:
    out_of_reach = [
        condition.id
        for condition in KB.conditions.values()
        if condition.must_not_miss
        and not any(
            probability(value) >= 0.3 and KB.findings[code].background < 0.1
            for code, value in condition.findings.items()
        )
    ]
    assert out_of_reach == []
    assert sum(condition.must_not_miss for condition in KB.conditions.values()) >= 40


def test_every_condition_brings_a_complaint_that_a_presentation_knows() -> None:
    complaints = {code for presentation in KB.presentations.values() for code in presentation.complaints}
    assert [c.id for c in KB.conditions.values() if not complaints & set(c.findings)] == []


def test_every_presentation_has_red_flags_and_conditions() -> None:
    for presentation in KB.presentations.values():
        assert presentation.red_flags, presentation.id
        assert KB.presentation_conditions[presentation.id], presentation.id


def test_no_phrase_stands_for_two_findings() -> None:
    known: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for entry in KB.findings.values():
        for phrase in (entry.name, *entry.synonyms):
            known[tuple(token.word for token in tokens(phrase))].add(entry.id)
    assert {words: ids for words, ids in known.items() if len(ids) > 1} == {}


def test_every_phrase_has_a_word_of_meaning() -> None:
    hollow = [
        (entry.id, phrase)
        for entry in KB.findings.values()
        for phrase in (entry.name, *entry.synonyms)
        if not {token.word for token in tokens(phrase)} - FUNCTION_WORDS
    ]
    assert hollow == []


def test_no_synonym_holds_a_negation_unless_the_finding_is_a_lack() -> None:
    negated = {
        (entry.id, phrase)
        for entry in KB.findings.values()
        for phrase in (entry.name, *entry.synonyms)
        if NEGATION.search(re.sub(r"\b(?:can't|won't|doesn't)\b", "", phrase)) and entry.id not in NAMED_BY_A_LACK
    }
    assert negated == set()


def test_every_figure_with_a_source_names_a_declared_one() -> None:
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    for name, file in files().items():
        declared = set(file.get("sources") or {}) | {GRADED}
        named = set(re.findall(r"source: ([a-z0-9-]+)", yaml.dump(file, Dumper=dumper)))
        assert named <= declared, (name, named - declared)
    for condition in KB.conditions.values():
        for value in condition.findings.values():
            assert not isinstance(value, Likelihood) or value.source in {*KB.sources, GRADED}


def test_a_key_of_a_source_means_one_publication_in_every_file() -> None:
    known: dict[str, list[SourceEntry]] = defaultdict(list)
    for file in files().values():
        sources = file.get("sources")
        assert sources is None or isinstance(sources, dict)
        for key, entry in (sources or {}).items():
            known[key].append(SourceEntry.model_validate(entry))

    def differ(one: SourceEntry, other: SourceEntry) -> bool:
        words, others = (set(re.findall(r"\w{4,}", entry.citation.lower())) for entry in (one, other))
        return one.year != other.year or len(words & others) < 0.7 * len(words | others)

    mixed_up = {key for key, entries in known.items() if any(differ(entries[0], other) for other in entries[1:])}
    assert mixed_up == set()


def test_every_source_can_be_looked_up() -> None:
    for key, source in KB.sources.items():
        assert len(source.citation) >= 20, key
        assert 1900 < source.year < 2100, key
        assert str(source.year) in source.citation or source.doi, key


def test_figures_are_probabilities_that_leave_room_for_doubt() -> None:
    assert ((KB.likelihood > 0) & (KB.likelihood < 1)).all()
    assert ((KB.background > 0) & (KB.background < 1)).all()
    assert KB.likelihood.shape == (len(KB.findings), len(KB.conditions))


def test_graph_and_matrix_hold_the_same_figures() -> None:
    for bearing in KB.bearings(KB.findings):
        row = KB.likelihood[KB.finding_index[bearing.code]]
        held = [bearing.present.get(condition, bearing.background) for condition in KB.conditions]
        assert held == list(row), bearing.code


def test_a_narrow_finding_is_nowhere_commoner_than_a_broad_one() -> None:
    for code in KB.findings:
        for broad in KB.implied(code):
            row, above = KB.finding_index[code], KB.finding_index[broad]
            assert (KB.likelihood[row] <= KB.likelihood[above] + 1e-9).all(), (code, broad)
            assert KB.background[row] <= KB.background[above], (code, broad)


def test_a_finding_of_one_sex_does_not_imply_one_of_the_other() -> None:
    for entry in KB.findings.values():
        for broad in KB.implied(entry.id):
            assert KB.findings[broad].sex in (None, entry.sex), (entry.id, broad)


@pytest.mark.parametrize("sex", ["female", "male", None])
@pytest.mark.parametrize("age", [None, 0.0, 0.5, 7.0, 30.0, 64.0, 90.0, 120.0])
def test_priors_leave_their_share_to_what_is_not_known(age: float | None, sex: str | None) -> None:
    prior = KB.prior(age, sex)
    assert (prior > 0).all()
    assert prior.sum() == pytest.approx(1.0 - OTHER_PRIOR)
    candidates = KB.candidates(age, sex).candidates
    assert [c.id for c in candidates] == list(KB.conditions)
    assert [c.prior for c in candidates] == pytest.approx(list(prior))


def test_the_prior_knows_who_gets_what() -> None:
    def of(code: str, age: float, sex: str) -> float:
        return float(KB.prior(age, sex)[KB.condition_index[code]])

    assert of("ectopic_pregnancy", 30, "male") < 1e-6 < of("ectopic_pregnancy", 30, "female")
    assert of("testicular_torsion", 15, "female") < 1e-6 < of("testicular_torsion", 15, "male")
    assert of("bronchiolitis", 0.5, "male") > 100 * of("bronchiolitis", 60, "male")


def test_ranges_lie_within_what_is_possible() -> None:
    for analyte in KB.analytes.values():
        low, high = analyte.plausible
        assert low < high, analyte.id
        for limits in analyte.ranges:
            assert not limits.low or low <= limits.low <= high, analyte.id
            assert limits.high is None or low <= limits.high <= high, analyte.id
            assert limits.low is None or limits.high is None or limits.low <= limits.high, analyte.id


def test_every_way_of_obtaining_a_finding_has_its_cost() -> None:
    assert {entry.how for entry in KB.findings.values()} <= set(COST)
    assert (KB.cost >= 1).all()


def test_what_is_measured_has_a_limit_to_be_compared_with() -> None:
    for entry in KB.findings.values():
        if entry.analyte is None or entry.threshold is not None:
            continue
        side = "high" if entry.direction == "above" else "low"
        assert all(getattr(limits, side) is not None for limits in KB.analytes[entry.analyte].ranges), entry.id


def test_a_condition_is_found_by_every_name_it_has() -> None:
    known = names()
    for condition in KB.conditions.values():
        of_its_own = [name for name in condition.synonyms if len(known[name.lower()]) == 1]
        for name in (condition.id, condition.name, condition.name.upper(), *of_its_own):
            found = KB.find_condition(f"  {name} ")
            assert found is not None, name
            assert found.id == condition.id, name
    assert KB.find_condition("the vapours") is None
    assert KB.find_condition("") is None


def test_implications_are_followed_to_their_end() -> None:
    chains = [code for code in KB.findings if len(KB.implied(code)) >= 2]
    assert chains
    for code in chains:
        implied = set(KB.implied(code))
        assert code not in implied
        assert implied == {b for direct in KB.findings[code].implies for b in (direct, *KB.implied(direct))}
    assert KB.implied("no_such_finding") == ()


def test_a_bearing_says_what_is_known_and_only_published_figures_are_cited() -> None:
    (bearing,) = KB.bearings(["fever", "no_such_finding", "fever"])
    listed = {c.id: c.findings["fever"] for c in KB.conditions.values() if "fever" in c.findings}
    assert {code: bearing.present[code] for code in listed} == {c: probability(v) for c, v in listed.items()}
    assert bearing.background == KB.findings["fever"].background
    published = {c for c, v in listed.items() if isinstance(v, Likelihood) and v.source != GRADED}
    assert set(bearing.cited) == published
