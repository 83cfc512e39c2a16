"""The pairs of claim and evidence, with the verdict that is right.

They test rules of reading on invented sentences and say nothing of clinical accuracy; no clinician has reviewed them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal

import yaml

from wardround.core.claim import Claim, ClaimKind, Severity, VerdictLabel
from wardround.core.source import Source, SourceKind

Split = Literal["dev", "test"]
_LABELS = {"S": VerdictLabel.SUPPORTED, "C": VerdictLabel.CONTRADICTED, "N": VerdictLabel.NOT_ADDRESSED}
_SEVERITIES = {
    "cat": Severity.CATASTROPHIC,
    "crit": Severity.CRITICAL,
    "attr": Severity.ATTRIBUTE,
    "min": Severity.MINOR,
    "any": None,
}


@dataclass(frozen=True)
class Pair:
    """One claim, what there is to go by, and what a detector should say."""

    id: str
    origin: Literal["hand", "template"]
    category: str
    claim: Claim
    sources: dict[str, Source]
    label: VerdictLabel
    severity: Severity | None
    """None where more than one is defensible."""


def pairs(split: Split) -> list[Pair]:
    """Return a split. `dev` was looked at while the rules were built; of `test` only the summary was.

    Rows written by hand go to the splits in turn, those made from templates by template.
    """
    made = _load("generated.yaml")[split]
    found = list(_pairs(split, "template", made))
    turn = 0 if split == "dev" else 1
    by_hand = {category: rows[turn::2] for category, rows in _load("by_hand.yaml").items()}
    return [*found, *_pairs(split, "hand", by_hand)]


def _load(name: str) -> dict[str, Any]:
    file = resources.files("wardround.evals.claims") / "data" / name
    loaded: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    return loaded


def _pairs(split: str, origin: Literal["hand", "template"], rows: dict[str, Sequence[Sequence[str]]]) -> Iterator[Pair]:
    for category, group in rows.items():
        for n, (text, evidence, label, severity) in enumerate(group):
            sources = _sources(evidence)
            right = _LABELS[label]
            yield Pair(
                id=f"{split}-{origin}-{category}-{n:03d}",
                origin=origin,
                category=category,
                claim=Claim(agent="claims", text=text, kind=ClaimKind.FINDING),
                sources={s.id: s for s in sources},
                label=right,
                severity=_SEVERITIES[severity] if severity else _WITHOUT[right],
            )


_WITHOUT = {
    VerdictLabel.SUPPORTED: Severity.CORRECT,
    VerdictLabel.NOT_ADDRESSED: Severity.UNSCORED,
    VerdictLabel.CONTRADICTED: None,
}


def _sources(evidence: str) -> list[Source]:
    return [
        Source(kind=SourceKind.CLINICIAN_NOTE, text=text.strip(), document=f"document {n}", title=f"place {n}")
        for n, text in enumerate(evidence.split("||"), start=1)
    ]
