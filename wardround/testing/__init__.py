"""What users need to test their own workflows: scripted and delayed models, a fixed clock, a FHIR server."""

from wardround.models.scripted import ScriptedAnswer, ScriptedChatModel
from wardround.testing.clock import FixedClock, RunningClock
from wardround.testing.fhir import BundleServer
from wardround.testing.models import DelayedChatModel

__all__ = ["BundleServer", "DelayedChatModel", "FixedClock", "RunningClock", "ScriptedAnswer", "ScriptedChatModel"]
