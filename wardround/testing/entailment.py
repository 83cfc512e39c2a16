"""A double of an entailment model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wardround.core.errors import UnscriptedCall
from wardround.core.estimators.clustering import Inference


@dataclass(frozen=True)
class ScriptedEntailment:
    """A double of an entailment model that answers from a table and refuses what is not in it."""

    table: Mapping[tuple[str, str], Inference]
    """By premise and hypothesis."""

    def infer(self, premise: str, hypothesis: str, /) -> Inference:
        """Return what the table says.

        Raises:
            UnscriptedCall: It does not hold the pair.
        """
        if (premise, hypothesis) not in self.table:
            raise UnscriptedCall("scripted entailment", f"no entry for {premise!r} -> {hypothesis!r}; add it")
        return self.table[premise, hypothesis]
