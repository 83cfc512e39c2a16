"""Clinical scores against worked examples from their publications, and what is not known."""

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.core.errors import ToolRetry, UsageError
from wardround.core.finding import Assertion, Finding, Presence
from wardround.core.source import SourceKind
from wardround.knowledge.clinician import reference_clinician
from wardround.knowledge.loading import embedded
from wardround.tools.measure.calculator import (
    ClinicalScores,
    ScoreResult,
    calculate,
    embedded_scores,
    known_numbers,
    known_presence,
)
from wardround.tools.measure.schema import Band, Score, ScoreItem, Stratum
from wardround.tools.tool import Patient

SCORES = embedded_scores()

# score, age, sex, numbers, items answered yes (all other questions are answered no), total, start of the meaning
EXAMPLES: list[tuple[str, float, str, dict[str, float], str, float, str]] = [
    # 3 + 3 + 1.5 + 1.5 = 9
    ("wells_pe", 50, "female", {"heart_rate": 110}, "dvt_signs pe_most_likely immobility_surgery", 9, "High"),
    # 3 + 1.5 = 4.5, above 4
    ("wells_pe", 50, "male", {"heart_rate": 101}, "pe_most_likely", 4.5, "Moderate probability; embolism likely"),
    # exactly 4: 3 + 1
    ("wells_pe", 50, "male", {"heart_rate": 100}, "pe_most_likely hemoptysis", 4, "Moderate probability; still"),
    ("wells_pe", 50, "male", {"heart_rate": 100}, "hemoptysis", 1, "Low"),
    # 3 + 1.5 + 1.5 = 6 is not yet above 6
    ("wells_pe", 50, "male", {"heart_rate": 120}, "dvt_signs prior_vte", 6, "Moderate probability; embolism likely"),
    (
        "wells_dvt",
        60,
        "male",
        {},
        "cancer calf_swelling deep_vein_tenderness alternative",
        1,
        "Deep vein thrombosis unlikely",
    ),
    ("wells_dvt", 60, "male", {}, "cancer entire_leg_swollen", 2, "Deep vein thrombosis likely"),
    ("wells_dvt", 60, "male", {}, "alternative", -2, "Deep vein thrombosis unlikely"),
    ("perc", 49, "female", {"heart_rate": 99, "oxygen_saturation": 95}, "", 0, "No criterion"),
    ("perc", 50, "female", {"heart_rate": 100, "oxygen_saturation": 94}, "estrogen", 4, "Rule not passed"),
    # 1 + 3 + 2 + 5 = 11
    ("revised_geneva", 66, "male", {"heart_rate": 95}, "prior_vte hemoptysis", 11, "High"),
    # 3 + 3 + 4 = 10
    ("revised_geneva", 65, "male", {"heart_rate": 94}, "leg_pain vein_tenderness_edema", 10, "Intermediate"),
    ("revised_geneva", 65, "male", {"heart_rate": 75}, "", 3, "Low"),
    ("spesi", 80, "male", {"heart_rate": 109, "systolic_bp": 100, "oxygen_saturation": 90}, "", 0, "Low"),
    ("spesi", 81, "male", {"heart_rate": 110, "systolic_bp": 99, "oxygen_saturation": 89}, "cancer", 5, "High"),
    # confusion, urea 11, rate 32, pressure 85, age 78
    ("curb_65", 78, "male", {"urea": 11, "respiratory_rate": 32, "systolic_bp": 85}, "confusion", 5, "Severe"),
    ("curb_65", 64, "male", {"urea": 7, "respiratory_rate": 29}, "", 0, "Low"),
    ("curb_65", 65, "male", {"urea": 7.1, "respiratory_rate": 29}, "", 2, "Intermediate"),
    # diastolic 55 answered as yes
    ("curb_65", 64, "male", {"urea": 7.1, "respiratory_rate": 30}, "blood_pressure", 3, "Severe"),
    ("crb_65", 70, "female", {"respiratory_rate": 30, "systolic_bp": 89}, "", 3, "High"),
    ("crb_65", 64, "female", {"respiratory_rate": 20}, "confusion", 1, "Intermediate"),
    # history 2 + ECG 1 + age 2 + risk 2 + troponin 0
    ("heart", 66, "male", {}, "history_moderate history_high ecg_abnormal risk_any risk_many", 7, "High"),
    ("heart", 45, "male", {}, "history_moderate risk_any", 3, "Low"),
    ("heart", 64, "male", {}, "history_moderate ecg_abnormal troponin_raised", 4, "Moderate"),
    ("timi_nstemi", 70, "male", {}, "risk_factors aspirin severe_angina marker", 5, "High"),
    ("timi_nstemi", 64, "male", {}, "known_stenosis aspirin", 2, "Low"),
    ("timi_nstemi", 65, "male", {}, "known_stenosis st_deviation", 3, "Intermediate"),
    # heart failure 1, hypertension 1, age 75: 2, diabetes 1, stroke 2, vascular 1, woman 1
    ("cha2ds2_vasc", 75, "female", {}, "heart_failure hypertension diabetes stroke vascular", 9, "High"),
    ("cha2ds2_vasc", 74, "male", {}, "", 1, "Intermediate"),
    ("cha2ds2_vasc", 64, "male", {}, "", 0, "Low"),
    ("cha2ds2_vasc", 64, "male", {}, "stroke", 2, "High"),
    ("has_bled", 66, "male", {"systolic_bp": 161, "creatinine": 200}, "labile_inr alcohol", 5, "High"),
    ("has_bled", 65, "male", {"systolic_bp": 160, "creatinine": 199}, "drugs bleeding", 2, "Low"),
    ("qsofa", 40, "male", {"respiratory_rate": 22, "systolic_bp": 100}, "", 2, "Raised"),
    ("qsofa", 40, "male", {"respiratory_rate": 21, "systolic_bp": 101}, "mentation", 1, "Not raised"),
    (
        "sirs",
        40,
        "male",
        {"temperature": 38.1, "heart_rate": 91, "respiratory_rate": 21, "wbc": 3.9},
        "",
        4,
        "Systemic",
    ),
    (
        "sirs",
        40,
        "male",
        {"temperature": 38, "heart_rate": 90, "respiratory_rate": 20, "wbc": 12},
        "",
        0,
        "Criteria not",
    ),
    (
        "sirs",
        40,
        "male",
        {"temperature": 35.9, "heart_rate": 90, "respiratory_rate": 20, "wbc": 12.1},
        "",
        2,
        "Systemic",
    ),
    # 2 + 2 + 2 + 1 + 2 + 0 + 1 = 10
    (
        "news2",
        70,
        "male",
        {"respiratory_rate": 24, "oxygen_saturation": 93, "systolic_bp": 105, "heart_rate": 115, "temperature": 38.5},
        "oxygen",
        10,
        "High",
    ),
    # 1 + 1 + 1 + 1 + 1 = 5
    (
        "news2",
        70,
        "male",
        {"respiratory_rate": 9, "oxygen_saturation": 95, "systolic_bp": 110, "heart_rate": 50, "temperature": 36.0},
        "",
        5,
        "Medium",
    ),
    # 3 + 3 + 3 + 3 + 3 + 2 + 3
    (
        "news2",
        70,
        "male",
        {"respiratory_rate": 8, "oxygen_saturation": 91, "systolic_bp": 90, "heart_rate": 131, "temperature": 35.0},
        "oxygen consciousness",
        20,
        "High",
    ),
    (
        "news2",
        70,
        "male",
        {"respiratory_rate": 12, "oxygen_saturation": 96, "systolic_bp": 219, "heart_rate": 90, "temperature": 38.0},
        "",
        0,
        "Low",
    ),
    ("centor", 20, "male", {}, "exudate nodes no_cough fever", 4, "About 56"),
    ("centor", 20, "male", {}, "exudate nodes", 2, "About 15"),
    ("mcisaac", 8, "male", {}, "fever no_cough nodes", 4, "About 51"),
    ("mcisaac", 14, "male", {}, "", 1, "About 5"),
    ("mcisaac", 45, "male", {}, "fever no_cough nodes", 2, "About 11"),
    ("mcisaac", 60, "male", {}, "", -1, "About 1"),
    ("feverpain", 20, "male", {}, "fever purulence attend_rapidly inflamed_tonsils", 4, "About 62"),
    ("feverpain", 20, "male", {}, "no_cough_coryza", 1, "Streptococcus in about 13"),
    # 1 + 1 + 1 + 2 + 1 + 1 + 2 + 1
    (
        "alvarado",
        24,
        "male",
        {"temperature": 37.3, "wbc": 10.1},
        "migration anorexia nausea_vomiting tenderness rebound left_shift",
        10,
        "Appendicitis very probable",
    ),
    (
        "alvarado",
        24,
        "male",
        {"temperature": 37.2, "wbc": 10},
        "tenderness nausea_vomiting rebound",
        4,
        "Appendicitis unlikely",
    ),
    (
        "alvarado",
        24,
        "male",
        {"temperature": 37.2, "wbc": 15},
        "tenderness nausea_vomiting anorexia migration",
        7,
        "Appendicitis probable",
    ),
    # a man: urea 12 gives 4, haemoglobin 11 gives 3, systolic 95 gives 2, pulse 1, melaena 1
    (
        "glasgow_blatchford",
        60,
        "male",
        {"urea": 12, "hemoglobin": 11, "systolic_bp": 95, "heart_rate": 100},
        "man_hemoglobin_10_12 melena",
        11,
        "Endoscopic",
    ),
    # a woman with the same haemoglobin gets 1
    (
        "glasgow_blatchford",
        60,
        "female",
        {"urea": 6.4, "hemoglobin": 11, "systolic_bp": 110, "heart_rate": 99},
        "",
        1,
        "Very low",
    ),
    (
        "glasgow_blatchford",
        60,
        "male",
        {"urea": 25, "hemoglobin": 9.9, "systolic_bp": 89, "heart_rate": 120},
        "melena syncope liver heart_failure",
        23,
        "Endoscopic",
    ),
    (
        "glasgow_blatchford",
        60,
        "male",
        {"urea": 6.5, "hemoglobin": 12.5, "systolic_bp": 109, "heart_rate": 80},
        "man_hemoglobin_12_13",
        4,
        "Treatment may",
    ),
    ("aims65", 65, "male", {"albumin": 29, "inr": 1.6, "systolic_bp": 90}, "mental_status", 5, "High"),
    ("aims65", 64, "male", {"albumin": 30, "inr": 1.5, "systolic_bp": 91}, "mental_status", 1, "Low"),
    # age 1 + pressure 1 + weakness 2 + 60 minutes 2 + diabetes 1
    (
        "abcd2",
        60,
        "male",
        {"systolic_bp": 140},
        "weakness_or_speech weakness ten_minutes sixty_minutes diabetes",
        7,
        "High",
    ),
    ("abcd2", 59, "male", {}, "weakness_or_speech ten_minutes", 2, "Low"),
    ("abcd2", 60, "male", {}, "blood_pressure weakness_or_speech ten_minutes", 4, "Moderate"),
    ("rosier", 70, "male", {}, "face arm leg speech visual_field", 5, "Stroke likely"),
    ("rosier", 70, "male", {}, "loss_of_consciousness seizure", -2, "Stroke unlikely"),
    ("rosier", 70, "male", {}, "arm seizure", 0, "Stroke unlikely"),
    ("ottawa_sah", 39, "male", {}, "", 0, "No criterion"),
    ("ottawa_sah", 40, "male", {}, "thunderclap flexion", 3, "Not ruled out"),
    ("bisap", 61, "male", {"urea": 9}, "mental_status sirs pleural_effusion", 5, "Raised"),
    ("bisap", 60, "male", {"urea": 8.9}, "sirs pleural_effusion", 2, "Low"),
    ("phq_2", 30, "male", {}, "interest_several interest_half mood_several", 3, "Screen positive"),
    ("phq_2", 30, "male", {}, "interest_several mood_several", 2, "Screen negative"),
    # platelets 40: 2, fibrin strong: 3, PT 4 s: 1
    ("isth_dic", 50, "male", {"platelets": 40}, "fibrin_moderate fibrin_strong pt_3", 6, "Compatible"),
    ("isth_dic", 50, "male", {"platelets": 50}, "fibrin_moderate pt_3", 4, "Not suggestive"),
    ("isth_dic", 50, "male", {"platelets": 100}, "", 0, "Not suggestive"),
    (
        "plasmic",
        40,
        "female",
        {"platelets": 12, "inr": 1.1, "creatinine": 100},
        "hemolysis no_cancer no_transplant mcv",
        7,
        "High",
    ),
    (
        "plasmic",
        40,
        "female",
        {"platelets": 30, "inr": 1.5, "creatinine": 176.8},
        "no_cancer no_transplant",
        2,
        "Low",
    ),
    (
        "plasmic",
        40,
        "female",
        {"platelets": 29, "inr": 1.4, "creatinine": 176},
        "no_cancer no_transplant",
        5,
        "Intermediate",
    ),
    (
        "canadian_syncope",
        30,
        "male",
        {"systolic_bp": 120},
        "vasovagal_predisposition diagnosis_vasovagal",
        -3,
        "Very low",
    ),
    (
        "canadian_syncope",
        70,
        "male",
        {"systolic_bp": 85},
        "heart_disease troponin qtc diagnosis_cardiac",
        9,
        "Very high",
    ),
    ("canadian_syncope", 70, "male", {"systolic_bp": 181}, "troponin", 4, "High"),
    ("canadian_syncope", 70, "male", {"systolic_bp": 180}, "qrs", 1, "Medium"),
    ("canadian_syncope", 70, "male", {"systolic_bp": 90}, "", 0, "Low"),
    ("san_francisco_syncope", 70, "male", {"systolic_bp": 89}, "hematocrit", 2, "Not low"),
    ("san_francisco_syncope", 70, "male", {"systolic_bp": 90}, "", 0, "Low risk"),
    ("kocher", 6, "male", {"temperature": 38.6, "wbc": 12.1}, "weight_bearing esr", 4, "Above 99"),
    ("kocher", 6, "male", {"temperature": 38.5, "wbc": 12}, "esr", 1, "About 3 %"),
    ("kocher", 6, "male", {"temperature": 38.5, "wbc": 13}, "esr", 2, "About 40"),
    ("kocher", 6, "male", {"temperature": 39, "wbc": 13}, "esr", 3, "About 93"),
    # 4 + 2 + 2 + 2 + 2 + 1
    (
        "lrinec",
        50,
        "male",
        {"crp": 150, "wbc": 26, "hemoglobin": 10.9, "sodium": 134, "creatinine": 142, "glucose": 10.1},
        "",
        13,
        "High",
    ),
    # 4 + 1 + 1
    (
        "lrinec",
        50,
        "male",
        {"crp": 200, "wbc": 15, "hemoglobin": 13.5, "sodium": 135, "creatinine": 141, "glucose": 10},
        "",
        6,
        "Moderate",
    ),
    (
        "lrinec",
        50,
        "male",
        {"crp": 149, "wbc": 14.9, "hemoglobin": 13.6, "sodium": 135, "creatinine": 141, "glucose": 10},
        "",
        0,
        "Low",
    ),
    ("add_rs", 60, "male", {}, "conditions pain", 2, "High"),
    ("add_rs", 60, "male", {}, "pain", 1, "Intermediate"),
    ("add_rs", 60, "male", {}, "", 0, "Low"),
    ("stop_bang", 51, "male", {}, "snoring pressure bmi", 5, "High"),
    ("stop_bang", 50, "female", {}, "snoring tired", 2, "Low"),
    ("stop_bang", 50, "male", {}, "snoring tired", 3, "Intermediate"),
    ("cage", 40, "male", {}, "cut_down guilty", 2, "Screen positive"),
    ("cage", 40, "male", {}, "eye_opener", 1, "Screen negative"),
]


def answers_for(score: Score, yes: str, numbers: Mapping[str, float]) -> dict[str, bool]:
    """Yes for the named items; no for every other one that the numbers, age and sex leave open."""
    named = set(yes.split())
    settled = calculate(score, age=50, sex="male", present={}, numbers=numbers).answered
    open_items = {item.id for item in score.items if item.id not in settled}
    assert named <= {item.id for item in score.items}
    return {item: item in named for item in open_items | named}


@pytest.mark.parametrize(("name", "age", "sex", "numbers", "yes", "total", "meaning"), EXAMPLES)
def test_a_fully_known_patient_has_the_published_total_and_stratum(
    name: str, age: float, sex: str, numbers: dict[str, float], yes: str, total: float, meaning: str
) -> None:
    score = SCORES[name]
    result = calculate(score, age=age, sex=sex, present={}, numbers=numbers, answers=answers_for(score, yes, numbers))
    assert result.unknown == ()
    assert (result.low, result.high) == (total, total)
    assert len(result.meanings) == 1
    assert result.meanings[0].startswith(meaning)


def test_every_embedded_score_has_a_worked_example() -> None:
    assert {row[0] for row in EXAMPLES} == set(SCORES)


PUBLISHED_RANGE = {
    "wells_pe": (0, 12.5),
    "wells_dvt": (-2, 9),
    "perc": (0, 8),
    "revised_geneva": (0, 22),
    "spesi": (0, 6),
    "curb_65": (0, 5),
    "crb_65": (0, 4),
    "heart": (0, 10),
    "timi_nstemi": (0, 7),
    "cha2ds2_vasc": (0, 9),
    "has_bled": (0, 9),
    "qsofa": (0, 3),
    "sirs": (0, 4),
    "news2": (0, 20),
    "centor": (0, 4),
    "mcisaac": (-1, 5),
    "feverpain": (0, 5),
    "alvarado": (0, 10),
    "aims65": (0, 5),
    "abcd2": (0, 7),
    "rosier": (-2, 5),
    "ottawa_sah": (0, 6),
    "bisap": (0, 5),
    "phq_2": (0, 6),
    "isth_dic": (0, 8),
    "plasmic": (0, 7),
    "canadian_syncope": (-3, 11),
    "san_francisco_syncope": (0, 5),
    "kocher": (0, 4),
    "lrinec": (0, 13),
    "add_rs": (0, 3),
    "stop_bang": (0, 8),
    "cage": (0, 4),
}


@pytest.mark.parametrize(("name", "limits"), PUBLISHED_RANGE.items())
def test_a_patient_of_whom_nothing_is_known_has_the_whole_published_range(
    name: str, limits: tuple[float, float]
) -> None:
    result = calculate(SCORES[name], age=None, sex=None, present={}, numbers={})
    assert (result.low, result.high) == limits
    assert result.answered == {}
    assert len(result.unknown) == len(SCORES[name].items)
    assert len(result.meanings) == len(SCORES[name].strata)


def test_what_is_not_recorded_makes_a_range_and_is_named() -> None:
    result = calculate(SCORES["qsofa"], age=60, sex="male", present={}, numbers={"respiratory_rate": 28})
    assert (result.low, result.high) == (1, 3)
    assert result.answered == {"respiratory_rate": 1}
    assert len(result.unknown) == 2
    assert "1 to 3 points" in str(result)
    assert "Systolic pressure 100 or less" in str(result)


def test_a_possible_finding_settles_nothing() -> None:
    present = known_presence((Finding(code="hemoptysis", assertion=Assertion.POSSIBLE),))
    result = calculate(SCORES["wells_pe"], age=60, sex="male", present=present, numbers={})
    assert "hemoptysis" not in result.answered


def test_readings_that_contradict_one_another_settle_nothing() -> None:
    findings = (
        Finding(code="hemoptysis"),
        Finding(code="hemoptysis", assertion=Assertion.ABSENT),
        Finding(code="cough", assertion=Assertion.ABSENT),
    )
    assert known_presence(findings) == {"cough": Presence.ABSENT}


@pytest.mark.parametrize("assertion", [Assertion.HISTORICAL, Assertion.FAMILY, Assertion.HYPOTHETICAL])
def test_what_was_or_may_be_or_is_in_the_family_is_not_known_of_the_patient_now(assertion: Assertion) -> None:
    assert known_presence((Finding(code="hemoptysis", assertion=assertion),)) == {}


def test_a_number_that_is_not_a_number_counts_as_unknown() -> None:
    result = calculate(SCORES["qsofa"], age=60, sex="male", present={}, numbers={"systolic_bp": float("nan")})
    assert "systolic" not in result.answered
    assert (result.low, result.high) == (0, 3)


def test_a_normal_systolic_leaves_the_diastolic_half_of_curb_65_open() -> None:
    numbers = {"urea": 5.0, "respiratory_rate": 18.0, "systolic_bp": 130.0}
    result = calculate(SCORES["curb_65"], age=40, sex="male", present={"confusion": Presence.ABSENT}, numbers=numbers)
    assert (result.low, result.high) == (0, 1)
    assert result.unknown == ("Systolic pressure below 90, or diastolic 60 or less?",)


def test_a_normal_systolic_leaves_the_diastolic_half_of_abcd2_open() -> None:
    answers = dict.fromkeys(("weakness_or_speech", "weakness", "ten_minutes", "sixty_minutes", "diabetes"), False)
    result = calculate(SCORES["abcd2"], age=40, sex="male", present={}, numbers={"systolic_bp": 130.0}, answers=answers)
    assert (result.low, result.high) == (0, 1)


@pytest.mark.parametrize(("hemoglobin", "limits"), [(9.0, (6, 6)), (11.0, (1, 3)), (12.5, (0, 1)), (14.0, (0, 0))])
def test_haemoglobin_in_the_blatchford_score_is_open_only_where_the_sex_decides(
    hemoglobin: float, limits: tuple[float, float]
) -> None:
    score = SCORES["glasgow_blatchford"]
    numbers = {"urea": 3.0, "systolic_bp": 130.0, "heart_rate": 70.0, "hemoglobin": hemoglobin}
    answers = dict.fromkeys(("melena", "syncope", "liver", "heart_failure"), False)
    result = calculate(score, age=50, sex=None, present={}, numbers=numbers, answers=answers)
    assert (result.low, result.high) == limits


def test_one_present_finding_settles_an_item_and_only_all_absent_denies_it() -> None:
    score = SCORES["wells_pe"]

    def points(**present: Presence) -> ScoreResult:
        return calculate(score, age=50, sex="male", present=present, numbers={})

    assert points(recent_surgery=Presence.PRESENT).answered == {"immobility_surgery": 1.5}
    assert points(recent_surgery=Presence.ABSENT).answered == {}
    both = points(recent_surgery=Presence.ABSENT, immobilization=Presence.ABSENT)
    assert both.answered == {"immobility_surgery": 0}


def test_a_finding_whose_absence_scores_is_read_the_other_way_round() -> None:
    score = SCORES["feverpain"]

    def points(**present: Presence) -> Mapping[str, float]:
        return calculate(score, age=20, sex="male", present=present, numbers={}).answered

    assert points(cough=Presence.PRESENT) == {"no_cough_coryza": 0}
    assert points(cough=Presence.ABSENT) == {}
    assert points(cough=Presence.ABSENT, rhinorrhea=Presence.ABSENT) == {"no_cough_coryza": 1}


def test_a_no_from_one_side_of_an_item_is_a_no_whatever_the_other_side_holds() -> None:
    score = Score(
        id="toy",
        name="Toy",
        purpose="for a test",
        citation="none",
        year=2000,
        about=("asthma",),
        items=(
            ScoreItem(id="one", text="a without b", points=1, any_of=("a",), none_of=("b",)),
            ScoreItem(id="two", text="c", points=1, any_of=("c",)),
        ),
        strata=(Stratum(at_least=0, meaning="low"), Stratum(at_least=1, meaning="high")),
    )
    absent = calculate(score, age=1, sex=None, present={"a": Presence.ABSENT}, numbers={})
    assert absent.answered == {"one": 0}
    half = calculate(score, age=1, sex=None, present={"a": Presence.PRESENT}, numbers={})
    assert half.answered == {}


@pytest.mark.parametrize("score", [s for s in SCORES.values() if s.min_age > 0], ids=lambda s: s.id)
def test_a_score_refuses_patients_below_its_age(score: Score) -> None:
    with pytest.raises(UsageError, match=f"below {score.min_age:g} years"):
        calculate(score, age=score.min_age - 0.1, sex="male", present={}, numbers={})
    assert calculate(score, age=score.min_age, sex="male", present={}, numbers={}).score is score


def test_an_answer_to_no_item_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="CURB-65 has no item blood_presure, urine"):
        calculate(
            SCORES["curb_65"],
            age=70,
            sex="male",
            present={},
            numbers={},
            answers={"urine": True, "blood_presure": False, "confusion": True},
        )


def test_a_yes_to_an_item_of_two_bands_gives_its_points() -> None:
    answers = {"blood_pressure": True, "urea": True, "respiratory_rate": False}
    result = calculate(SCORES["curb_65"], age=40, sex="male", present={}, numbers={}, answers=answers)
    assert result.answered == {"blood_pressure": 1, "urea": 1, "respiratory_rate": 0, "age": 0}


def test_a_yes_to_an_item_of_many_bands_is_refused() -> None:
    with pytest.raises(UsageError, match="give the number of heart_rate"):
        calculate(SCORES["news2"], age=40, sex="male", present={}, numbers={}, answers={"pulse": True})


def test_an_answer_goes_before_findings_and_numbers() -> None:
    result = calculate(
        SCORES["qsofa"],
        age=40,
        sex="male",
        present={"confusion": Presence.ABSENT},
        numbers={"systolic_bp": 120},
        answers={"mentation": True, "systolic": True},
    )
    assert result.answered == {"mentation": 1, "systolic": 1}


def test_the_sex_item_of_an_unknown_sex_is_unknown() -> None:
    result = calculate(SCORES["stop_bang"], age=40, sex=None, present={}, numbers={})
    assert "Male sex" in result.unknown


def covering(item: ScoreItem) -> st.SearchStrategy[float]:
    return st.one_of(st.floats(min_value=-50, max_value=500), st.sampled_from(edges(item)))


def edges(item: ScoreItem) -> list[float]:
    limits = {limit for band in item.bands for limit in (band.at_least, band.below) if limit is not None}
    return sorted(limits | {limit - 0.001 for limit in limits})


@st.composite
def partly_known(draw: st.DrawFn) -> tuple[Score, dict[str, Any]]:
    score = draw(st.sampled_from(list(SCORES.values())))
    codes = sorted({c for item in score.items for c in (*item.any_of, *item.none_of)})
    numbers = sorted({item.number for item in score.items if item.number not in (None, "age")})
    return score, {
        "age": draw(st.none() | st.floats(min_value=max(score.min_age, 3), max_value=110)),
        "sex": draw(st.sampled_from([None, "female", "male"])),
        "present": draw(st.dictionaries(st.sampled_from(codes), st.sampled_from(Presence))) if codes else {},
        "numbers": draw(st.dictionaries(st.sampled_from(numbers), st.floats(0, 400))) if numbers else {},
    }


@settings(max_examples=400, deadline=None)
@given(case=partly_known(), data=st.data())
def test_answering_any_unknown_item_keeps_the_total_inside_the_earlier_range(
    case: tuple[Score, dict[str, Any]], data: st.DataObject
) -> None:
    score, known = case
    before = calculate(score, **known)
    open_items = [item for item in score.items if item.id not in before.answered]
    assert before.low <= before.high
    assert (before.low == before.high) or open_items
    if not open_items:
        return
    item = data.draw(st.sampled_from(open_items))
    now: dict[str, Any] = {**known, "answers": {}}
    if item.number == "age":
        now["age"] = data.draw(st.floats(min_value=max(score.min_age, 3), max_value=110))
    elif item.number is not None and item.number not in known["numbers"]:
        now["numbers"] = {**known["numbers"], item.number: data.draw(covering(item))}
    elif item.sex is not None:
        now["sex"] = data.draw(st.sampled_from(["female", "male"]))
    elif item.any_of or item.none_of:
        code = data.draw(st.sampled_from([*item.any_of, *item.none_of]))
        if known["present"].get(code, Presence.UNKNOWN) is not Presence.UNKNOWN:
            return
        settled = data.draw(st.sampled_from([Presence.PRESENT, Presence.ABSENT]))
        now["present"] = {**known["present"], code: settled}
    else:
        now["answers"] = {item.id: data.draw(st.booleans())}
    after = calculate(score, **now)
    assert before.low <= after.low <= after.high <= before.high
    assert set(after.meanings) <= set(before.meanings)
    assert set(before.answered) <= set(after.answered)


@settings(max_examples=200, deadline=None)
@given(case=partly_known(), data=st.data())
def test_a_yes_or_no_to_any_open_item_keeps_the_total_inside_the_earlier_range(
    case: tuple[Score, dict[str, Any]], data: st.DataObject
) -> None:
    score, known = case
    before = calculate(score, **known)
    open_items = [i for i in score.items if i.id not in before.answered and len({b.points for b in i.bands}) <= 2]
    if not open_items:
        return
    answers = {
        item.id: data.draw(st.booleans())
        for item in data.draw(st.lists(st.sampled_from(open_items), unique_by=lambda i: i.id))
    }
    after = calculate(score, **known, answers=answers)
    assert before.low <= after.low <= after.high <= before.high


@pytest.mark.parametrize("score", SCORES.values(), ids=lambda s: s.id)
def test_strata_start_at_the_lowest_total_and_rise(score: Score) -> None:
    starts = [stratum.at_least for stratum in score.strata]
    lowest = calculate(score, age=None, sex=None, present={}, numbers={}).low
    assert starts[0] == lowest
    assert starts == sorted(set(starts))


@pytest.mark.parametrize("score", SCORES.values(), ids=lambda s: s.id)
def test_a_score_speaks_the_language_of_the_knowledge(score: Score) -> None:
    kb = embedded()
    codes = {code for item in score.items for code in (*item.any_of, *item.none_of)}
    numbers = {item.number for item in score.items if item.number not in (None, "age")}
    assert codes <= set(kb.findings)
    assert numbers <= set(kb.analytes)
    assert set(score.about) <= set(kb.conditions)
    assert str(score.year) in score.citation


@pytest.mark.parametrize(
    "item", [i for s in SCORES.values() for i in s.items if i.bands], ids=lambda i: f"{i.id}-{i.number}"
)
def test_bands_do_not_overlap(item: ScoreItem) -> None:
    inf = float("inf")
    spans = [(-inf if b.at_least is None else b.at_least, inf if b.below is None else b.below) for b in item.bands]
    filled = sorted(span for span in spans if span[0] < span[1])
    assert all(first[1] <= second[0] for first, second in pairwise(filled))


def test_an_item_is_not_made_of_several_kinds() -> None:
    with pytest.raises(ValueError, match="not by several"):
        ScoreItem(id="x", text="x", any_of=("a",), number="age", bands=(Band(points=1),))


@pytest.mark.parametrize(
    ("value", "unit", "canonical"),
    [(8.0, "mmol/L", 8.0), (28.0, "mg/dL", 9.996), (8.0, "mmol/l", 8.0)],
)
def test_urea_is_compared_in_mmol_per_litre_whatever_it_was_measured_in(
    value: float, unit: str, canonical: float
) -> None:
    clinician = reference_clinician()
    measured = clinician.reader.measured("urea", value, unit, age=50, sex="male")
    numbers = known_numbers(clinician.kb, measured)
    assert numbers == {"urea": pytest.approx(canonical)}
    result = calculate(SCORES["curb_65"], age=50, sex="male", present={}, numbers=numbers)
    assert result.answered["urea"] == 1


@pytest.mark.parametrize(
    ("analyte", "value", "unit", "score", "item", "points"),
    [
        ("temperature", 100.4, "[degF]", "sirs", "temperature", 0),
        ("temperature", 100.6, "[degF]", "sirs", "temperature", 1),
        ("hemoglobin", 109, "g/L", "lrinec", "hemoglobin", 2),
        ("hemoglobin", 10.9, "g/dL", "lrinec", "hemoglobin", 2),
        ("creatinine", 1.9, "mg/dL", "plasmic", "creatinine", 1),
        ("creatinine", 2.1, "mg/dL", "plasmic", "creatinine", 0),
        ("glucose", 180, "mg/dL", "lrinec", "glucose", 0),
        ("glucose", 200, "mg/dL", "lrinec", "glucose", 1),
        ("crp", 16, "mg/dL", "lrinec", "crp", 4),
        ("albumin", 2.9, "g/dL", "aims65", "albumin", 1),
        ("urea", 25, "mg/dL", "bisap", "urea", 0),
        ("urea", 26, "mg/dL", "bisap", "urea", 1),
    ],
)
def test_cut_offs_hold_across_units(
    analyte: str, value: float, unit: str, score: str, item: str, points: float
) -> None:
    clinician = reference_clinician()
    measured = clinician.reader.measured(analyte, value, unit, age=50, sex="male")
    numbers = known_numbers(clinician.kb, measured)
    result = calculate(SCORES[score], age=50, sex="male", present={}, numbers=numbers)
    assert result.answered[item] == points


def dated(code: str, value: float, day: int | None, assertion: Assertion = Assertion.PRESENT) -> Finding:
    time = None if day is None else datetime(2024, 5, day, tzinfo=UTC)
    return Finding(code=code, value=value, time=time, assertion=assertion)


def test_the_latest_number_counts_in_whatever_order_the_readings_come() -> None:
    kb = embedded()
    early, late = dated("creatinine_high", 300, 1), dated("creatinine_high", 150, 9)
    assert known_numbers(kb, (early, late)) == {"creatinine": 150}
    assert known_numbers(kb, (late, early)) == {"creatinine": 150}


def test_a_number_without_a_time_is_of_now_and_goes_before_dated_ones() -> None:
    kb = embedded()
    findings = (dated("creatinine_high", 90, None, Assertion.ABSENT), dated("creatinine_high", 300, 9))
    assert known_numbers(kb, findings) == {"creatinine": 90}


def test_historical_numbers_do_not_count() -> None:
    kb = embedded()
    assert known_numbers(kb, (dated("creatinine_high", 300, 1, Assertion.HISTORICAL),)) == {}


def tool() -> ClinicalScores:
    return ClinicalScores(embedded())


def test_the_tool_finds_a_score_by_id_name_or_synonym_in_any_case() -> None:
    patient = Patient(age=70, sex="male", findings=())
    for name in ("curb_65", "CURB-65", " curb65 "):
        result = tool().use(name, patient)
        assert [source.title for source in result.sources] == ["CURB-65"]


def test_the_tool_finds_the_scores_of_a_diagnosis_with_citation_and_range() -> None:
    result = tool().use("pulmonary embolism", Patient(age=70, sex="male", findings=(Finding(code="hemoptysis"),)))
    assert {s.document for s in result.sources} == {
        "score:wells_pe",
        "score:perc",
        "score:revised_geneva",
        "score:spesi",
    }
    wells = next(s for s in result.sources if s.document == "score:wells_pe")
    assert wells.kind is SourceKind.SCORE
    assert wells.citation == SCORES["wells_pe"].citation
    assert wells.text.startswith("Wells score for pulmonary embolism: 1 to 12.5 points (Low probability")


def test_the_tool_leaves_out_scores_that_do_not_apply_at_the_age() -> None:
    result = tool().use("streptococcal pharyngitis", Patient(age=8, sex="male", findings=()))
    assert {s.document for s in result.sources} == {"score:mcisaac", "score:feverpain"}
    none = tool().use("CURB-65", Patient(age=8, sex="male", findings=()))
    assert none.sources == ()
    assert none.text == "no score applies at this age"


def test_the_tool_says_so_where_no_score_is_about_a_diagnosis() -> None:
    result = tool().use("migraine", Patient(age=30, sex="male", findings=()))
    assert result.sources == ()
    assert result.text == "no score is about migraine"


def test_the_tool_names_near_scores_for_a_name_it_does_not_know() -> None:
    with pytest.raises(ToolRetry, match="curb_65"):
        tool().use("curb_66", Patient(age=30, sex="male", findings=()))
    with pytest.raises(ToolRetry, match="near: none"):
        tool().use("", Patient(age=30, sex="male", findings=()))


def test_two_unknowns_at_once_name_all_strata_they_can_reach() -> None:
    score = SCORES["qsofa"]
    result = calculate(score, age=50, sex="male", present={}, numbers={"respiratory_rate": 30})
    assert result.meanings == tuple(s.meaning for s in score.strata)
    settled = calculate(score, age=50, sex="male", present={}, numbers={"respiratory_rate": 30, "systolic_bp": 90})
    assert settled.meanings == ("Raised risk of death; look for organ dysfunction",)
