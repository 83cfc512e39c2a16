"""Grounding models that say what a test tells them to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wardround.tools.hallucination.grounding import Grounding


class ScriptedGrounding:
    """Answers by claim, and keeps what it was shown."""

    def __init__(self, answers: Mapping[str, Grounding], *, name: str = "scripted") -> None:
        """Answer these claims; any other is neither supported nor contradicted."""
        self._answers = dict(answers)
        self._name = name
        self.shown: list[tuple[tuple[str, ...], str]] = []
        """Premises and claim of each call."""

    @property
    def name(self) -> str:
        """How it is called in reasons."""
        return self._name

    def ground(self, premises: Sequence[str], claim: str, /) -> Grounding:
        """Return the scripted answer."""
        self.shown.append((tuple(premises), claim))
        return self._answers.get(claim, Grounding(0.0, 0.0))
