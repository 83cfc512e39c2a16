import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from wardround.core.calibration.checking import sigmoid
from wardround.core.errors import UsageError
from wardround.core.uncertainty import Part
from wardround.evals.calibrating import metrics
from wardround.evals.calibrating.combining import fit_combined, fitted_certainty, product_certainty

GAPS = {Part.EVIDENCE: 1.5, Part.SELF: 0.4, Part.CONFIDENCE: 0.05}


def world(n: int, seed: int, missing: float = 0.0) -> tuple[list[dict[Part, float]], np.ndarray]:
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.6).astype(float)
    u = {part: sigmoid(-(gap * (2 * y - 1) + rng.normal(size=n))) for part, gap in GAPS.items()}
    known = rng.random((n, len(u))) >= missing
    return [
        {part: float(u[part][i]) for k, part in enumerate(u) if known[i, k] or part is Part.EVIDENCE} for i in range(n)
    ], y


def test_it_is_ridge_logistic_regression_where_no_weight_would_be_negative() -> None:
    rows, y = world(600, 0)
    z = np.array([[np.log((1 - row[part]) / row[part]) for part in GAPS] for row in rows])
    scaled = (z - z.mean(axis=0)) / z.std(axis=0)
    oracle = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000).fit(scaled, y)
    model = fit_combined(rows, y)
    assert all(oracle.coef_[0] > 0)
    assert [model.weights[part].coefficient for part in GAPS] == pytest.approx(
        oracle.coef_[0] / z.std(axis=0), abs=1e-4
    )
    assert fitted_certainty(model, rows) == pytest.approx(oracle.predict_proba(scaled)[:, 1], abs=1e-4)


def test_a_part_that_tells_the_wrong_way_weighs_nothing() -> None:
    rows, y = world(600, 0)
    turned = [{**row, Part.CONFLICT: float(sigmoid(np.array([2 * o - 1]))[0])} for row, o in zip(rows, y, strict=True)]
    assert fit_combined(turned, y).weights[Part.CONFLICT].coefficient == 0.0


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_fitted_weights_beat_the_fixed_product(missing: float) -> None:
    model = fit_combined(*world(400, 1, missing))
    fresh, y = world(4000, 2, missing)
    fitted, fixed = fitted_certainty(model, fresh), product_certainty(fresh)
    assert np.mean((fitted - y) ** 2) < np.mean((fixed - y) ** 2) - 0.02
    assert metrics.auroc(fitted, y) > metrics.auroc(fixed, y)
    assert metrics.slope(fitted, y) == pytest.approx(1.0, abs=0.3)


def test_vetoed_cases_do_not_bend_the_fit() -> None:
    rows, y = world(300, 0)
    more = [*rows, *[{Part.SELF: 0.0, Part.HALLUCINATION: 1.0}] * 100]
    assert fit_combined(more, np.append(y, np.ones(100))) == fit_combined(rows, y)
    assert fitted_certainty(fit_combined(rows, y), more)[-1] == 0.0


def test_a_part_that_is_always_the_same_weighs_nothing() -> None:
    rows, y = world(300, 0)
    model = fit_combined([{**row, Part.IGNORANCE: 0.3} for row in rows], y)
    assert model.weights[Part.IGNORANCE].coefficient == 0.0


@pytest.mark.parametrize("rows", [[], [{}, {}], [{Part.SELF: 1.0}] * 2, [{Part.SELF: 0.2}] * 2])
def test_without_cases_of_both_outcomes_nothing_is_fitted(rows: list[dict[Part, float]]) -> None:
    with pytest.raises(UsageError, match="need both"):
        fit_combined(rows, np.ones(len(rows)))
