"""What every adapter of a port must do, one plain async or sync function for each promise."""

from wardround.testing.conformance.chat_model import CHAT_MODEL_PROMISES
from wardround.testing.conformance.detector import DETECTOR_PROMISES

__all__ = ["CHAT_MODEL_PROMISES", "DETECTOR_PROMISES"]
