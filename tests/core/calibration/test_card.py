import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from wardround.core.calibration.calibrators import Platt, VennAbers
from wardround.core.calibration.card import Card, Fitted, relevant
from wardround.core.calibration.sets import ConformalSets, RiskControl
from wardround.core.calibration.threshold import Threshold
from wardround.core.differential import Differential, Hypothesis
from wardround.core.errors import UsageError

FITTED = Fitted(
    n=500,
    cases=500,
    runs="runs_1",
    model="vllm:some",
    settings={"rollouts": 3, "tools": "auto", "gate": {"vacuity": 0.5}},
    splits={"calibrator": 150, "conformal": 140, "threshold": 210},
    strata={},
)


def card(**more: Any) -> Card:
    fields: dict[str, Any] = {
        "date": dt.date(2026, 1, 2),
        "fitted_on": FITTED,
        "calibrators": {
            "all": Platt(slope=0.5, intercept=0.0),
            "surgery": VennAbers(at=(0.5,), low=(0.1, 0.2, 0.3), high=(0.4, 0.5, 0.6)),
        },
        "conformal": ConformalSets(alpha=0.1, thresholds={"all": 0.2}, counts={"all": 140}),
        "risk": RiskControl(alpha=0.05, highest=1.0, n=140, threshold=0.15),
        "must_not_miss": 0.01,
        "threshold": Threshold(value=0.8, alpha=0.1, delta=0.1, n=210, accepted=100, errors=3, upper=0.07),
        "metrics": {},
    }
    return Card(**{**fields, **more})


def saved(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value), "utf-8")
    return path


def test_a_card_is_named_by_its_content_and_not_by_its_day(tmp_path: Path) -> None:
    one = card()
    assert card(date=dt.date(2027, 1, 1)).id == one.id
    assert card(must_not_miss=0.02).id != one.id
    assert Card.load(saved(tmp_path / "card.json", one.to_json())) == one
    assert next(iter(one.to_json())) == "id"


def test_a_card_that_was_changed_is_refused(tmp_path: Path) -> None:
    value = card().to_json()
    value["threshold"]["value"] = 0.5
    with pytest.raises(UsageError, match=r"card\.json: its content is that of card_\w+, but it says card_\w+: it was"):
        Card.load(saved(tmp_path / "card.json", value))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "is a card of version 2, not 1"),
        ({"schema_version": None}, "is a card of version None"),
        ({"threshold": {}}, "is no calibration card: threshold"),
        ({"calibrators": {"all": {"method": "magic"}}}, "is no calibration card: calibrators.all"),
        ({"more": 1}, "is no calibration card: more"),
    ],
)
def test_what_is_no_card_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Card.load(saved(tmp_path / "card.json", card().to_json() | change))


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        Card.load(tmp_path / "none.json")
    (tmp_path / "text.json").write_text("{", "utf-8")
    with pytest.raises(UsageError, match=r"text\.json: is not JSON"):
        Card.load(tmp_path / "text.json")
    with pytest.raises(UsageError, match="is no calibration card"):
        Card.load(saved(tmp_path / "list.json", []))


def test_a_consult_of_another_model_or_other_settings_is_refused_by_name() -> None:
    settings = {"rollouts": 3, "tools": "auto", "seed": 7, "gate": {"probability": 0.9, "vacuity": 0.5}, "timeout": 3.0}
    card().require_fit("vllm:some", settings)
    with pytest.raises(UsageError, match="was made for model vllm:some, not reference; rollouts 3, not 5"):
        card().require_fit("reference", {**settings, "rollouts": 5})
    with pytest.raises(UsageError, match=r"temperature unset, not 0\.2"):
        card().require_fit("vllm:some", {**settings, "temperature": 0.2})
    with pytest.raises(UsageError, match="tools 'auto', not unset"):
        card().require_fit("vllm:some", {"rollouts": 3})


def test_settings_that_were_not_recorded_cannot_be_compared() -> None:
    unknown = card(fitted_on=FITTED.model_copy(update={"settings": None}))
    unknown.require_fit("vllm:some", {"rollouts": 99})
    with pytest.raises(UsageError, match="model"):
        unknown.require_fit("reference", {"rollouts": 99})


def test_what_comes_after_the_probabilities_does_not_matter() -> None:
    gate = {"probability": 0.7, "certificate": True, "enforced": True, "vacuity": 0.5}
    given = {"gate": gate, "seed": 2, "escalate": True, "timeout": 1, "logprobs": True, "prices": {}, "rollouts": 3}
    assert relevant(given) == {"gate": {"vacuity": 0.5}, "rollouts": 3}


def test_a_specialty_has_its_own_calibrator_or_that_of_all() -> None:
    found = card()
    assert found.probability(0.8, "cardiology") == pytest.approx(2 / 3)
    assert found.probability(0.5, "surgery") == pytest.approx(0.5 / (1 - 0.2 + 0.5))
    assert found.interval(0.5, "surgery") == (0.2, 0.5)
    assert found.interval(0.5, "cardiology") is None
    assert card(calibrators={}).probability(0.8, "cardiology") == 0.8


def test_a_set_holds_what_any_of_its_promises_keeps() -> None:
    d = Differential(
        hypotheses=(
            Hypothesis(id="a", name="A", probability=0.6),
            Hypothesis(id="b", name="B", probability=0.18),
            Hypothesis(id="c", name="C", probability=0.02),
        ),
        other=0.2,
    )
    found = card().differential_set(d, "cardiology", {"c", "far", "never"}, {"far": 0.015, "never": 0.001})
    assert found.members == ("a", "other", "b")
    assert found.dangerous == ("c", "far")
    without = card(risk=RiskControl(alpha=0.05, highest=1.0, n=10, needed=19))
    assert without.differential_set(d, "cardiology", set(), {}).members == ("a", "other")
