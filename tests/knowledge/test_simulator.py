"""Patients drawn from the knowledge follow its figures."""

from collections import Counter

import numpy as np
import pytest

from wardround.core.finding import Assertion
from wardround.knowledge.loading import embedded
from wardround.knowledge.simulator import COMPLAINTS, SimulatedPatient, draw_findings, simulate

KB = embedded()
DRAWS = 1200


@pytest.fixture(scope="module")
def patients() -> list[SimulatedPatient]:
    return simulate(KB, 160, seed=11)


@pytest.fixture(scope="module", params=["acute_cholecystitis", "pulmonary_embolism", "acute_appendicitis"])
def drawn(request: pytest.FixtureRequest) -> tuple[str, list[set[str]]]:
    rng = np.random.default_rng(5)
    return request.param, [draw_findings(KB, request.param, "female", rng) for _ in range(DRAWS)]


def test_the_same_seed_draws_the_same_patients(patients: list[SimulatedPatient]) -> None:
    assert simulate(KB, 20, seed=11) == patients[:20]


def test_another_seed_draws_others(patients: list[SimulatedPatient]) -> None:
    assert simulate(KB, 20, seed=12) != patients[:20]


def test_no_patient_no_draw() -> None:
    assert simulate(KB, 0, seed=1) == []


def test_patients_come_in_all_ages_and_both_sexes(patients: list[SimulatedPatient]) -> None:
    assert {p.sex for p in patients} == {"female", "male"}
    assert all(0 <= p.age <= 90 for p in patients)
    assert min(p.age for p in patients) < 10 < 80 < max(p.age for p in patients)
    assert len({p.condition for p in patients}) > 40


def test_complaints_are_present_findings_that_bring_patients_in(patients: list[SimulatedPatient]) -> None:
    bringing = {code for presentation in KB.presentations.values() for code in presentation.complaints}
    for patient in patients:
        said = {f.code: f.assertion for f in patient.findings}
        assert 1 <= len(patient.complaints) <= COMPLAINTS
        assert set(patient.complaints) <= bringing & set(KB.conditions[patient.condition].findings)
        assert all(said[code] is Assertion.PRESENT for code in patient.complaints)
        backgrounds = [KB.findings[code].background for code in patient.complaints]
        assert backgrounds == sorted(backgrounds)


def test_a_chart_holds_each_finding_once_and_leaves_the_rest_unknown(patients: list[SimulatedPatient]) -> None:
    for patient in patients:
        codes = [f.code for f in patient.findings]
        assert len(codes) == len(set(codes)) < len(KB.findings)
        assert {f.assertion for f in patient.findings} <= {Assertion.PRESENT, Assertion.ABSENT}


def test_a_chart_never_has_the_narrow_without_the_broad(patients: list[SimulatedPatient]) -> None:
    for patient in patients:
        said = {f.code: f.assertion for f in patient.findings}
        for code, assertion in said.items():
            if assertion is Assertion.PRESENT:
                assert all(said.get(broad, Assertion.PRESENT) is Assertion.PRESENT for broad in KB.implied(code))


def test_nobody_has_a_finding_of_the_other_sex(patients: list[SimulatedPatient]) -> None:
    for patient in patients:
        for finding in patient.findings:
            assert KB.findings[finding.code].sex in (None, patient.sex), finding.code


def test_the_narrow_implies_the_broad(drawn: tuple[str, list[set[str]]]) -> None:
    for findings in drawn[1]:
        for code in findings:
            assert set(KB.implied(code)) <= findings, code


def test_findings_of_one_sex_are_drawn_for_it_alone() -> None:
    rng = np.random.default_rng(3)
    of_women = {code for code, entry in KB.findings.items() if entry.sex == "female"}
    assert of_women
    seen: set[str] = set()
    for _ in range(100):
        assert not draw_findings(KB, "ectopic_pregnancy", "male", rng) & of_women
        seen |= draw_findings(KB, "ectopic_pregnancy", "female", rng) & of_women
    assert seen


def test_a_finding_is_as_common_as_its_figure_says(drawn: tuple[str, list[set[str]]]) -> None:
    condition, sample = drawn
    count = Counter(code for findings in sample for code in findings)
    for code in KB.conditions[condition].findings:
        single = all(len(KB.broad_first[c]) <= 1 for c in (code, *KB.implied(code)))
        if not single or KB.findings[code].sex == "male":
            continue
        p = KB.likelihood[KB.finding_index[code], KB.condition_index[condition]]
        error = float(np.sqrt(p * (1 - p) / DRAWS))
        assert count[code] / DRAWS == pytest.approx(p, abs=4 * error), code


def test_findings_of_one_syndrome_travel_together(drawn: tuple[str, list[set[str]]]) -> None:
    condition, sample = drawn
    listed = [c for c, v in KB.conditions[condition].findings.items() if not KB.findings[c].implies]
    pairs = [
        (a, b)
        for n, a in enumerate(listed)
        for b in listed[n + 1 :]
        if KB.group[a] == KB.group[b]
        and all(0.2 < KB.likelihood[KB.finding_index[c], KB.condition_index[condition]] < 0.8 for c in (a, b))
    ]
    for a, b in pairs:
        together = np.corrcoef([[x in findings for findings in sample] for x in (a, b)])[0, 1]
        assert together > 0.15, (a, b)


def test_what_is_looked_up_depends_on_the_complaints_alone(patients: list[SimulatedPatient]) -> None:
    for patient in patients:
        asked = {f.code for f in patient.findings}
        fitting = [p for p in KB.presentations.values() if set(patient.complaints) & set(p.complaints)]
        worth = {code for p in fitting for code in (*p.complaints, *p.red_flags)}
        worth |= {code for p in fitting for c in KB.presentation_conditions[p.id] for code in KB.conditions[c].findings}
        assert asked <= worth
