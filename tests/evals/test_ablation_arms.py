"""Corrupted patients, what is counted of a consult, and the whole ablation on a few patients."""

import base64
from typing import Any

import numpy as np
import pytest

from wardround.core.case import Case
from wardround.core.errors import UsageError
from wardround.core.finding import Assertion
from wardround.evals.ablation.arms import CALIBRATED, FULL, OFF, PARTS, ROLLOUTS, settings_of
from wardround.evals.ablation.outcomes import FIGURES, Arm, Outcome, differences, figures, outcome_of
from wardround.evals.ablation.patients import COPIES, CorruptedPatient, Corruption, corrupted_patients
from wardround.evals.ablation.running import Ablation, Report, run
from wardround.evals.gold import GoldAnswer
from wardround.graphs.settings import ConsultSettings
from wardround.graphs.ward import Ward
from wardround.knowledge.clinician import reference_clinician
from wardround.models.resolve import resolve
from wardround.testing.erring import ErringChatModel, Errors

CLINICIAN = reference_clinician()
KB = CLINICIAN.kb
CLEAN = Corruption(wrong_readings=0.0, copied_errors=0.0, hallucinations=0.0, erring=0.0)


def patients(count: int = 12, seed: int = 5, **rates: float) -> list[CorruptedPatient]:
    return corrupted_patients(KB, count, seed=seed, corruption=CLEAN.model_copy(update=rates))


def notes(case: Case) -> list[str]:
    assert case.record is not None
    return [
        base64.b64decode(resource["content"][0]["attachment"]["data"]).decode() for resource in case.record.resources
    ]


def said(case: Case, text: str) -> dict[str, Assertion]:
    sex = case.sex.value if case.sex is not None else None
    read = [f for line in text.split("\n") for f in CLINICIAN.reader.read(line, age=case.age, sex=sex)]
    return {f.code: f.assertion for f in read}


def test_the_same_seed_draws_the_same_patients_and_another_seed_others() -> None:
    once, again, other = patients(wrong_readings=0.3), patients(wrong_readings=0.3), patients(seed=6)
    assert [p.sample for p in once] == [p.sample for p in again]
    assert not {p.sample.case.id for p in once} & {p.sample.case.id for p in other}
    assert [p.sample for p in patients(count=5, wrong_readings=0.3)] == [p.sample for p in once[:5]]


def test_the_words_of_a_clean_chart_say_what_was_drawn_and_name_no_diagnosis() -> None:
    for patient in patients():
        case = patient.sample.case
        noted = said(case, "\n".join(notes(case)))
        today = said(case, (case.narrative or "").replace(". ", ".\n"))
        assert len(noted.keys() | today.keys()) >= 20
        assert all(noted[code] == today[code] for code in noted.keys() & today.keys())
        assert noted.keys() - today.keys()
        assert today.keys() - noted.keys()
        assert patient.sample.gold.name not in case.model_dump_json()
        assert (patient.wrong, patient.copied) == ((), False)


def test_wrong_readings_turn_findings_of_the_earlier_note_and_nothing_else() -> None:
    turned = 0
    for clean, corrupted in zip(patients(), patients(wrong_readings=0.3), strict=True):
        before, after = clean.sample.case, corrupted.sample.case
        assert before.narrative == after.narrative
        was, now = said(before, "\n".join(notes(before))), said(after, "\n".join(notes(after)))
        assert all(now[code] is not was[code] for code in corrupted.wrong)
        turned += len(corrupted.wrong)
    assert turned > 20


def test_errors_at_a_higher_rate_include_those_at_a_lower_one() -> None:
    for few, many in zip(patients(wrong_readings=0.1), patients(wrong_readings=0.5), strict=True):
        assert set(few.wrong) <= set(many.wrong)


def test_a_copied_note_is_repeated_to_the_letter_in_later_ones() -> None:
    copied = patients(wrong_readings=0.2, copied_errors=1.0)
    for patient in copied:
        texts = notes(patient.sample.case)
        assert len(texts) == COPIES + 1
        assert len(set(texts)) == 1
        dates = [r["date"] for r in patient.sample.case.record.resources]  # type: ignore[union-attr]
        assert dates == sorted(set(dates))
    some = patients(count=60, copied_errors=0.5)
    assert 15 < sum(p.copied for p in some) < 45


def test_copies_count_once_with_provenance_and_as_witnesses_without() -> None:
    case = patients(count=1, copied_errors=1.0)[0].sample.case
    on, off = (Ward(settings=ConsultSettings(provenance=p)).consult(case).evidence for p in (True, False))
    documents = {s.document for s in on.sources.values() if s.document.startswith("DocumentReference")}
    assert len(documents) == COPIES + 1
    # a reading of a note counts log(0.95 / 0.05) = 2.94; what today's note says too has one witness more
    once, copied = (dict(zip((b.code for b in g.bearings), g.evidence.reading, strict=True)) for g in (on, off))
    more = {code: abs(copied[code]) - abs(once[code]) for code in once if abs(copied[code]) > abs(once[code])}
    assert len(more) > 5
    assert all(m == pytest.approx(COPIES * np.log(19.0)) for m in more.values())


def test_each_arm_asks_as_many_opinions_and_differs_in_one_thing() -> None:
    full = settings_of(None, seed=3).model_dump()
    assert full["rollouts"] == full["least_rollouts"] == ROLLOUTS
    for part in PARTS:
        off = settings_of(part, seed=3).model_dump()
        assert len([name for name in full if full[name] != off[name]]) == 1


def outcome(group: str, **more: Any) -> Outcome:
    plain: dict[str, Any] = {
        "final": group != "abstained",
        "right": group == "right",
        "leading_right": group == "right",
        "stated": 0.8,
        "stated_right": group == "right",
        "uncertainty": 0.2 if group == "right" else 0.6,
        "favoured_right": group == "right",
        "calls": 10,
    }
    return Outcome(**{**plain, **more})


def test_figures_count_what_they_say() -> None:
    arm = Arm(
        [
            outcome("right", hallucinated=3, unmarked=1, argued=True),
            outcome("right", hallucinated=1, unmarked=0),
            outcome("wrong"),
            outcome("abstained", calls=6),
        ]
    )
    found = {name: estimate.value for name, estimate in figures(arm).items()}
    assert found == pytest.approx(
        {
            "right": 0.5,
            "wrong": 0.25,
            "abstained": 0.25,
            "error_when_answered": 1 / 3,
            "leading_right": 0.5,
            "brier": (2 * 0.04 + 2 * 0.64) / 4,
            "uncertainty_auroc": 1.0,
            "hallucinations_unmarked": 0.25,
            "reports_unmarked": 0.25,
            "calls": 9.0,
        }
    )
    assert set(found) == set(FIGURES)


def test_what_cannot_be_counted_is_nothing_and_not_zero() -> None:
    found = figures(Arm([outcome("abstained"), outcome("abstained")]))
    assert found["error_when_answered"].value is None
    assert found["hallucinations_unmarked"].value is None
    assert found["uncertainty_auroc"].value is None


def test_a_difference_is_taken_in_pairs_and_its_interval_is_the_narrower_for_it() -> None:
    rng = np.random.default_rng(1)
    groups = [str(g) for g in rng.choice(["right", "wrong"], size=100)]
    full = Arm([outcome(g) for g in groups])
    off = Arm([outcome("wrong" if n < 4 else g) for n, g in enumerate(groups)])
    found = differences(full, off)["right"]
    turned = sum(g == "right" for g in groups[:4])
    assert found.value == pytest.approx(turned / 100)
    assert found.n == 100
    assert found.high - found.low < 0.1  # type: ignore[operator]
    assert differences(full, full)["right"].value == 0.0


def test_a_hallucinated_claim_counts_as_unmarked_where_no_verdict_marks_it() -> None:
    patient = patients(count=1)[0]
    base = resolve("reference", clinician=CLINICIAN)
    model = ErringChatModel(
        inner=base.chat, errors=Errors(hallucinated=1.0, attending_hallucinates=True), clinician=CLINICIAN
    )
    counted = {}
    for part in (None, "detector", "gate"):
        settings = settings_of(part, seed=0)
        consult = Ward(model.handle(base), settings=settings).consult(patient.sample.case)
        counted[part] = outcome_of(consult, patient.sample.gold, model.injected)
    assert counted[None].hallucinated > 5
    assert counted["detector"].unmarked == counted["detector"].hallucinated > 5
    assert counted[None].unmarked < counted[None].hallucinated / 2
    assert counted["gate"].final
    assert counted["gate"].unmarked == counted[None].unmarked


def test_a_decision_is_right_when_final_and_of_the_right_condition() -> None:
    case = Case(narrative="30-year-old woman. Dysuria and urinary frequency for 2 days. No fever.")
    settings = settings_of("gate", seed=0)
    consult = Ward(settings=settings).consult(case)
    right, wrong = (
        outcome_of(consult, GoldAnswer(name=name, conditions=(name,)), ()) for name in ("acute_cystitis", "gout")
    )
    assert (right.group, wrong.group) == ("right", "wrong")
    assert (right.leading_right, wrong.leading_right) == (True, False)
    assert right.stated == wrong.stated == consult.decision.probability
    assert right.calls == consult.usage.calls


@pytest.fixture(scope="module")
def report() -> Report:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wardround.evals.statistics.RESAMPLES", 20)
        patch.setattr("wardround.evals.calibrating.building.FEWEST", 4)
        patch.setattr("wardround.evals.ablation.running.FEWEST", 4)
        ablation = Ablation(model=resolve("reference", clinician=CLINICIAN), patients=4, calibrating=4, seed=2)
        return run(ablation, CLINICIAN)


def test_every_part_is_taken_out_of_consults_of_the_same_patients_at_equal_calls(report: Report) -> None:
    assert list(report.arms) == [FULL, *PARTS, CALIBRATED]
    assert all(len(arm.outcomes) == 4 for arm in report.arms.values())
    calls = [
        [o.calls for o in report.arms[name].outcomes] for name in (FULL, "gate", "detector", "rollouts", CALIBRATED)
    ]
    assert calls[1:] == calls[:1] * 4


def test_the_card_is_made_of_other_patients_and_what_it_does_not_certify_is_not_answered(report: Report) -> None:
    assert report.card is not None
    assert report.card.fitted_on.cases == 4
    assert not report.card.threshold.certified
    assert not any(o.final for o in report.arms[CALIBRATED].outcomes)
    tried = {p.sample.case.id for p in report.patients}
    fitted = {p.sample.case.id for p in corrupted_patients(KB, 4, seed=1_000_005, corruption=Corruption())}
    assert not tried & fitted


def test_without_the_gate_all_is_final_and_without_the_detector_nothing_is_marked(report: Report) -> None:
    assert all(o.final for o in report.arms["gate"].outcomes)
    unchecked = report.arms["detector"].outcomes
    assert sum(o.hallucinated for o in unchecked) == sum(o.unmarked for o in unchecked) > 0


def test_the_report_has_intervals_pairs_and_baselines(report: Report) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wardround.evals.statistics.RESAMPLES", 20)
        found = report.to_json()
    assert found["n"] == 4
    assert "nothing of clinical accuracy" in found["notice"]
    assert list(found["differences"]) == [*PARTS, "calibration"] == list(OFF)
    assert found["differences"]["gate"]["abstained"]["low"] <= found["differences"]["gate"]["abstained"]["high"]
    assert found["baselines"]["always_abstains"]["abstained"]["value"] == 1.0
    assert found["baselines"]["most_probable_beforehand"]["abstained"]["value"] == 0.0
    assert found["arms"][FULL]["right"]["n"] == 4
    assert found["card"]["certified"] is False


@pytest.mark.parametrize(
    ("count", "calibrating", "message"), [(0, 0, "no patient"), (3, 7, "7 patients are too few for a card")]
)
def test_too_few_patients_are_refused(count: int, calibrating: int, message: str) -> None:
    ablation = Ablation(model=resolve("reference", clinician=CLINICIAN), patients=count, calibrating=calibrating)
    with pytest.raises(UsageError, match=message):
        run(ablation, CLINICIAN)
