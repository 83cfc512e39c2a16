"""Guideline passages of the embedded knowledge, word for word with their citation."""

from __future__ import annotations

import difflib

from wardround.core.errors import ToolRetry
from wardround.core.source import Source, SourceKind
from wardround.knowledge.base import KnowledgeBase
from wardround.tools.tool import Patient, ToolResult

_KINDS = {
    "guideline": SourceKind.GUIDELINE,
    "systematic_review": SourceKind.SYSTEMATIC_REVIEW,
    "trial": SourceKind.TRIAL,
    "cohort": SourceKind.COHORT,
    "score": SourceKind.SCORE,
    "textbook": SourceKind.SYSTEMATIC_REVIEW,
}


class GuidelinePassages:
    """Looks passages up by the diagnosis they are about."""

    name = "guideline"
    purpose = "guideline passages about a diagnosis; the argument is the diagnosis"

    def __init__(self, kb: KnowledgeBase) -> None:
        self._kb = kb

    def use(self, argument: str, patient: Patient, /) -> ToolResult:
        """Return the passages about a diagnosis.

        Raises:
            ToolRetry: The diagnosis is not in the knowledge; names near ones.
        """
        condition = self._kb.find_condition(argument)
        if condition is None:
            near = difflib.get_close_matches(argument.lower(), list(self._kb.names), n=3, cutoff=0.5)
            hint = f"; near: {', '.join(near)}" if near else ""
            raise ToolRetry(self.name, f"nothing about {argument!r}{hint}; give one diagnosis")
        sources = self.about(condition.id)
        text = "\n".join(f"{s.title}: {s.text}" for s in sources) or f"no passage about {condition.name}"
        return ToolResult(text=text, sources=sources)

    def about(self, condition: str) -> tuple[Source, ...]:
        """Return the passages about a condition id as sources, in order of their ids."""
        return tuple(
            Source(
                kind=_KINDS[self._kb.sources[passage.source].type],
                text=passage.text,
                document=f"passage:{passage.id}",
                title=passage.title,
                citation=self._kb.sources[passage.source].citation,
            )
            for passage in sorted(self._kb.passages.values(), key=lambda p: p.id)
            if condition in passage.about
        )
