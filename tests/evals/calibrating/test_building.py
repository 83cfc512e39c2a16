import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wardround.core.calibration.card import Card
from wardround.core.errors import UsageError
from wardround.evals.calibrating import evaluating
from wardround.evals.calibrating.building import Plan, build_card
from wardround.evals.calibrating.reading import Labelled, join, read_labels, read_results
from wardround.knowledge.loading import embedded

Write = Callable[..., tuple[Path, Path]]
DAY = dt.date(2026, 1, 2)
OPTIONS = 200


def labelled(write: Write, folder: Path, n: int, **more: Any) -> list[Labelled]:
    runs, truth = write(folder, n, **more)
    return join(read_results(runs), read_labels(truth), embedded())[0]


@pytest.fixture(scope="module")
def large(write: Write, tmp_path_factory: pytest.TempPathFactory) -> list[Labelled]:
    return labelled(write, tmp_path_factory.mktemp("large"), 750)


@pytest.fixture(scope="module")
def card(large: list[Labelled]) -> Card:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wardround.evals.statistics.RESAMPLES", 30)  # intervals are tested elsewhere
        return build_card(large, date=DAY, options=OPTIONS, warnings=["said before"])


@pytest.fixture
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wardround.evals.statistics.RESAMPLES", 20)


def test_with_enough_cases_bold_probabilities_are_mended(card: Card) -> None:
    assert card.fitted_on.splits == {"calibrator": 225, "conformal": 210, "threshold": 315}
    assert card.calibrators["all"].method == "platt"
    brier, intercept = card.metrics["brier"], card.metrics["intercept"]
    assert brier.after.value < brier.before.value  # type: ignore[operator]
    assert abs(intercept.after.value) < abs(intercept.before.value)  # type: ignore[arg-type]
    assert brier.after.value < brier.baseline  # type: ignore[operator]
    assert set(card.metrics) == set(evaluating.STATISTICS)


def test_what_it_was_fitted_on_is_written_down(card: Card) -> None:
    fitted = card.fitted_on
    assert (fitted.n, fitted.cases, fitted.model) == (750, 750, "reference")
    assert fitted.settings == {"rollouts": 3}
    assert {name: s.n for name, s in fitted.strata.items()} == {"cardiology": 500, "surgery": 250}
    assert sum(row.n for row in card.reliability) == 750
    assert card.conformal.pooled == ("surgery",)
    assert card.warnings[0] == "said before"


def test_the_sets_hold_on_cases_they_were_not_fitted_on(card: Card) -> None:
    assert card.sets is not None
    assert card.sets.coverage.n == 315
    assert card.sets.coverage.high >= 0.9  # type: ignore[operator]
    assert card.sets.leading_alone.value < card.sets.coverage.value  # type: ignore[operator]


def test_the_combined_uncertainty_is_fitted_beside_the_fixed_product(card: Card) -> None:
    assert card.combined is not None
    assert card.combined.n == 225
    brier = card.combined_metrics["brier"]
    assert brier.after.value < brier.before.value  # type: ignore[operator]


@pytest.mark.usefixtures("few_resamples")
def test_the_card_does_not_depend_on_the_order_of_the_file_nor_its_id_on_the_day(write: Write, tmp_path: Path) -> None:
    given = labelled(write, tmp_path, 60)
    one = build_card(given, date=DAY, options=OPTIONS)
    other = build_card(given[::-1], date=dt.date(2027, 1, 1), options=OPTIONS)
    assert one.id == other.id
    assert one.to_json() | {"date": ""} == other.to_json() | {"date": ""}
    assert build_card(given, date=DAY, options=OPTIONS, plan=Plan(seed=1)).id != one.id


@pytest.mark.usefixtures("few_resamples")
def test_with_few_cases_it_says_what_cannot_be_promised(write: Write, tmp_path: Path) -> None:
    found = build_card(labelled(write, tmp_path, 40), date=DAY, options=OPTIONS)
    assert found.calibrators == {}
    assert found.probability(0.7, "surgery") == 0.7
    assert found.combined is None
    assert found.metrics["brier"].before == found.metrics["brier"].after
    assert not found.threshold.certified
    told = " ".join(found.warnings)
    assert "40 cases are too few to fit a calibrator (from 334 on)" in told
    assert "not certified on 24 cases" in told
    assert "cannot be held at 0.05 with 16 cases" in told


@pytest.mark.usefixtures("few_resamples")
def test_several_consults_of_a_case_count_once_for_promises(write: Write, tmp_path: Path) -> None:
    runs, truth = write(tmp_path, 40)
    rows = [json.loads(line) for line in runs.read_text("utf-8").splitlines()]
    again = [r | {"run": r["run"] + "b"} for r in rows]
    runs.write_text("".join(json.dumps(r) + "\n" for r in [*rows, *again]), "utf-8")
    found = build_card(join(read_results(runs), read_labels(truth), embedded())[0], date=DAY, options=OPTIONS)
    assert (found.fitted_on.n, found.fitted_on.cases) == (80, 40)
    assert found.threshold.n == 24
    assert sum(found.conformal.counts.values()) == 16
    assert any("promises rest on one consult of each" in w for w in found.warnings)


@pytest.mark.usefixtures("few_resamples")
@pytest.mark.parametrize("right", [True, False])
def test_one_outcome_alone_makes_a_card_without_calibrator(write: Write, tmp_path: Path, right: bool) -> None:
    given = labelled(write, tmp_path, 400)
    chosen = frozenset({"acute_appendicitis"} if right else {"gout"})
    found = build_card([Labelled(one.result, chosen, 0.1) for one in given], date=DAY, options=OPTIONS)
    assert {c.method for c in found.calibrators.values()} == {"none"}
    assert found.threshold.certified == right


def test_results_that_do_not_belong_together_are_refused(write: Write, tmp_path: Path) -> None:
    given = labelled(write, tmp_path, 30)

    def changed(**fields: Any) -> list[Labelled]:
        from dataclasses import replace

        return [*given[:-1], replace(given[-1], result=replace(given[-1].result, **fields))]

    with pytest.raises(UsageError, match="19 labelled cases are too few"):
        build_card(given[:19], date=DAY, options=OPTIONS)
    with pytest.raises(UsageError, match="several models: reference, vllm:other"):
        build_card(changed(model="vllm:other"), date=DAY, options=OPTIONS)
    with pytest.raises(UsageError, match=r"different settings \(rollouts"):
        build_card(changed(settings={"rollouts": 5}), date=DAY, options=OPTIONS)
    with pytest.raises(UsageError, match="some do not"):
        build_card(changed(settings=None), date=DAY, options=OPTIONS)


def test_a_card_survives_its_file(card: Card, tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    path.write_text(json.dumps(card.to_json()), "utf-8")
    assert Card.load(path) == card
    assert Card.load(path).id == card.id
