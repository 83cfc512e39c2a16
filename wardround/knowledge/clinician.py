"""The reference clinician: the knowledge base behind the port that the reference model thinks with."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from wardround.core.differential import Differential
from wardround.core.finding import Finding
from wardround.core.source import RELIABILITY, SourceKind
from wardround.core.weighing import log_ratio
from wardround.knowledge.base import KnowledgeBase
from wardround.knowledge.inference import Suggestion, as_differential, infer, reading_of, suggest
from wardround.knowledge.loading import embedded
from wardround.knowledge.reader import Reader
from wardround.knowledge.schema import ConditionEntry


class KnowledgeClinician:
    """Reads text and reasons with a knowledge base. A demonstration, not validated for care."""

    def __init__(self, kb: KnowledgeBase) -> None:
        self.kb = kb
        self.reader = Reader(kb)

    def read(self, text: str, /, *, age: float | None, sex: str | None) -> Sequence[Finding]:
        """Return the findings that a text states, and the broader ones that they imply."""
        return with_implied(self.kb, self.reader.read(text, age=age, sex=sex))

    def differential(
        self, findings: Sequence[tuple[Finding, float]], /, *, age: float | None, sex: str | None
    ) -> Differential:
        """Return the posterior over all conditions."""
        _, weighed = infer(self.kb, findings, age=age, sex=sex)
        return as_differential(self.kb, weighed.posterior)

    def informative(
        self, findings: Sequence[tuple[Finding, float]], /, *, age: float | None, sex: str | None, limit: int
    ) -> Sequence[Suggestion]:
        """Return what would tell most per cost."""
        codes, weighed = infer(self.kb, findings, age=age, sex=sex)
        return suggest(self.kb, weighed.posterior, codes, sex=sex, limit=limit)

    def condition(self, name: str, /) -> ConditionEntry | None:
        """Return a condition by id, name, synonym or ICD-10 code."""
        return self.kb.find_condition(name)

    def bearing(self, finding: Finding, condition: str, /) -> float:
        """Return the log likelihood ratio of a finding for a condition id against the background."""
        row = self.kb.finding_index.get(finding.code)
        column = self.kb.condition_index.get(condition)
        reading = reading_of(finding, RELIABILITY[SourceKind.LAB])
        if row is None or column is None or reading is None:
            return 0.0
        present, background = self.kb.likelihood[row, column], self.kb.background[row]
        return float(log_ratio(np.array(reading), np.array(present), np.array(background)))


def with_implied(kb: KnowledgeBase, findings: Sequence[Finding]) -> list[Finding]:
    """Add the broader findings that hold whenever a narrower one is said to be present.

    What the text itself says of the broader finding stands.
    """
    said = {finding.code for finding in findings}
    full = list(findings)
    for finding in findings:
        for broader in kb.implied(finding.code):
            if broader not in said and finding.assertion.value == "present":
                said.add(broader)
                full.append(
                    finding.model_copy(
                        update={
                            "code": broader,
                            "name": kb.findings[broader].name,
                            "value": None,
                            "unit": None,
                        }
                    )
                )
    return full


@cache
def reference_clinician() -> KnowledgeClinician:
    """Return the clinician of the embedded knowledge, made once per process."""
    return KnowledgeClinician(embedded())
