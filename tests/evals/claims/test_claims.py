"""The pairs of claim and evidence, and how a detector is scored on them."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from wardround.core.claim import Severity, VerdictLabel
from wardround.evals.claims.pairs import Pair, pairs
from wardround.evals.claims.scoring import AlwaysSupported, WordOverlap, judge, score
from wardround.knowledge.clinician import reference_clinician
from wardround.tools.hallucination.detector import RuleDetector

ROOT = Path(__file__).parents[3]
DATA = ROOT / "wardround" / "evals" / "claims" / "data"


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_claims", ROOT / "scripts" / "generate_claims.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def both() -> dict[str, list[Pair]]:
    return {"dev": pairs("dev"), "test": pairs("test")}


def test_there_are_enough_pairs_and_their_names_are_unique(both: dict[str, list[Pair]]) -> None:
    every = [p for split in both.values() for p in split]
    assert sum(p.origin == "template" for p in every) >= 600
    assert sum(p.origin == "hand" for p in every) >= 200
    assert len({p.id for p in every}) == len(every)


def test_supported_and_contradicted_pairs_are_about_equal_in_number(both: dict[str, list[Pair]]) -> None:
    for split in both.values():
        counts = {label: sum(p.label is label for p in split) for label in VerdictLabel}
        assert 0.8 < counts[VerdictLabel.SUPPORTED] / counts[VerdictLabel.CONTRADICTED] < 1.25
        assert counts[VerdictLabel.NOT_ADDRESSED] >= 20


def test_no_template_of_one_split_is_in_the_other() -> None:
    templates = yaml.safe_load((DATA / "templates.yaml").read_text("utf-8"))
    dev, test = ({tuple(row[:2]) for rows in templates[split].values() for row in rows} for split in ("dev", "test"))
    assert dev & test == set()


def test_no_pair_is_in_both_splits(both: dict[str, list[Pair]]) -> None:
    texts = {
        split: {(p.claim.text, tuple(s.text for s in p.sources.values())) for p in found}
        for split, found in both.items()
    }
    assert texts["dev"] & texts["test"] == set()


def test_what_is_committed_is_what_the_generator_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = generator()
    (tmp_path / "templates.yaml").write_text((DATA / "templates.yaml").read_text("utf-8"), "utf-8")
    monkeypatch.setattr(made, "DATA", tmp_path)
    monkeypatch.setattr("sys.argv", ["generate_claims.py"])
    made.main()
    assert (tmp_path / "generated.yaml").read_text("utf-8") == (DATA / "generated.yaml").read_text("utf-8")


def test_a_perfect_detector_scores_one_and_believing_everything_the_share_of_supported(
    both: dict[str, list[Pair]],
) -> None:
    asked = both["dev"]
    trivial = score(asked, judge(AlwaysSupported(), asked))
    assert trivial["supported"]["recall"]["value"] == 1.0
    assert trivial["contradicted"]["recall"]["value"] == 0.0
    share = sum(p.label is VerdictLabel.SUPPORTED for p in asked) / len(asked)
    assert trivial["supported"]["precision"]["value"] == pytest.approx(share, abs=1e-4)


def test_the_rules_beat_both_trivial_detectors_on_dev(both: dict[str, list[Pair]]) -> None:
    asked = both["dev"]
    rules = score(asked, judge(RuleDetector(reference_clinician()), asked))
    for trivial in (AlwaysSupported(), WordOverlap()):
        other = score(asked, judge(trivial, asked))
        assert rules["agreement"]["low"] > other["agreement"]["high"]
    assert rules["supported"]["precision"]["value"] > 0.98
    assert rules["contradicted"]["recall"]["value"] > 0.95


def test_severity_is_given_for_what_is_supported_and_not_addressed(both: dict[str, list[Pair]]) -> None:
    for p in both["dev"]:
        if p.label is VerdictLabel.SUPPORTED:
            assert p.severity is Severity.CORRECT
        elif p.label is VerdictLabel.NOT_ADDRESSED:
            assert p.severity is Severity.UNSCORED
        else:
            assert p.severity not in (Severity.CORRECT, Severity.UNSCORED)
