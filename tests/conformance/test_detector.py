import pytest

from wardround.core.ports import Detector
from wardround.knowledge.clinician import reference_clinician
from wardround.testing.conformance import DETECTOR_PROMISES
from wardround.tools.hallucination.detector import RuleDetector


@pytest.mark.parametrize("promise", DETECTOR_PROMISES, ids=lambda promise: promise.__name__)
def test_the_rule_detector_keeps_its_promises(promise) -> None:  # type: ignore[no-untyped-def]
    detector: Detector = RuleDetector(reference_clinician())
    promise(detector)
