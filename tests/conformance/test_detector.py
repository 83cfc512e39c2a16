"""Every detector of the house keeps the promises of the port."""

from collections.abc import Callable

import pytest

from wardround.core.ports import Detector
from wardround.knowledge.clinician import reference_clinician
from wardround.testing.conformance import DETECTOR_PROMISES
from wardround.testing.grounding import ScriptedGrounding
from wardround.tools.hallucination.detector import RuleDetector
from wardround.tools.hallucination.grounding import EnsembleDetector, Grounding


def rules() -> Detector:
    return RuleDetector(reference_clinician())


def silent_ensemble() -> Detector:
    return EnsembleDetector(RuleDetector(reference_clinician()), [ScriptedGrounding({})])


def ensemble_that_believes_what_the_rules_contradict() -> Detector:
    believed = {"There is no chest pain.": Grounding(1.0, 0.0), "The patient has fever.": Grounding(1.0, 0.0)}
    return EnsembleDetector(RuleDetector(reference_clinician()), [ScriptedGrounding(believed)])


DETECTORS = (rules, silent_ensemble, ensemble_that_believes_what_the_rules_contradict)


@pytest.mark.parametrize("make", DETECTORS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("promise", DETECTOR_PROMISES, ids=lambda promise: promise.__name__)
def test_a_detector_keeps_its_promises(make: Callable[[], Detector], promise: Callable[[Detector], None]) -> None:
    promise(make())
