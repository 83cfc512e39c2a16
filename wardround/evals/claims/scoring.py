"""How far a detector is right on pairs of claim and evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wardround.core.claim import Claim, Severity, Verdict, VerdictLabel
from wardround.core.ports import Detector
from wardround.core.source import Source
from wardround.evals.claims.pairs import Pair
from wardround.evals.statistics import Estimate, proportion
from wardround.knowledge.text import tokens

JUDGED = (VerdictLabel.CONTRADICTED, VerdictLabel.SUPPORTED)


def judge(detector: Detector, pairs: Sequence[Pair]) -> list[Verdict]:
    """Return the verdict of a detector on each pair."""
    return [detector.check(pair.claim, pair.sources) for pair in pairs]


def score(pairs: Sequence[Pair], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return recall and precision of both labels, overall and in groups, with 95 % Wilson intervals."""
    return {
        "n": len(pairs),
        "agreement": _of(pairs, verdicts, lambda p, v: p.label is v.label).as_json(),
        "severity_where_contradicted": _severity(pairs, verdicts).as_json(),
        **{label.value: _label(pairs, verdicts, label) for label in JUDGED},
        "by_category": _groups(pairs, verdicts, lambda p: p.category),
        "by_severity": _groups(pairs, verdicts, lambda p: p.severity.value if p.severity else "either"),
        "by_origin": _groups(pairs, verdicts, lambda p: p.origin),
    }


def _label(pairs: Sequence[Pair], verdicts: Sequence[Verdict], label: VerdictLabel) -> dict[str, Any]:
    recall = [v.label is label for p, v in zip(pairs, verdicts, strict=True) if p.label is label]
    precision = [p.label is label for p, v in zip(pairs, verdicts, strict=True) if v.label is label]
    return {"recall": proportion(recall).as_json(), "precision": proportion(precision).as_json()}


def _groups(pairs: Sequence[Pair], verdicts: Sequence[Verdict], key: Callable[[Pair], str]) -> dict[str, Any]:
    groups: dict[str, list[tuple[Pair, Verdict]]] = {}
    for pair, verdict in zip(pairs, verdicts, strict=True):
        groups.setdefault(key(pair), []).append((pair, verdict))
    return {
        name: {label.value: _label(*_apart(group), label) for label in JUDGED} for name, group in sorted(groups.items())
    }


def _apart(group: Sequence[tuple[Pair, Verdict]]) -> tuple[list[Pair], list[Verdict]]:
    return [p for p, _ in group], [v for _, v in group]


def _severity(pairs: Sequence[Pair], verdicts: Sequence[Verdict]) -> Estimate:
    """Share of rightly contradicted claims whose severity is right too."""
    return proportion(
        [
            v.severity is p.severity
            for p, v in zip(pairs, verdicts, strict=True)
            if p.label is VerdictLabel.CONTRADICTED is v.label and p.severity is not None
        ]
    )


def _of(pairs: Sequence[Pair], verdicts: Sequence[Verdict], right: Callable[[Pair, Verdict], bool]) -> Estimate:
    return proportion([right(p, v) for p, v in zip(pairs, verdicts, strict=True)])


class AlwaysSupported:
    """The trivial detector that believes everything."""

    def check(self, claim: Claim, sources: Mapping[str, Source], /) -> Verdict:
        """Support the claim."""
        return Verdict(
            claim=claim.id, label=VerdictLabel.SUPPORTED, severity=Severity.CORRECT, reason="always: believed unread"
        )


class WordOverlap:
    """The trivial detector that compares words: half of the claim's words in one source make support."""

    def __init__(self, share: float = 0.5) -> None:
        """Support from this share of the claim's words on; below half of it the claim is not addressed."""
        self._share = share

    def check(self, claim: Claim, sources: Mapping[str, Source], /) -> Verdict:
        """Judge a claim by the source that has most of its words."""
        said = {t.word for t in tokens(claim.text)}
        share = max(
            (len(said & {t.word for t in tokens(s.text)}) / max(len(said), 1) for s in sources.values()), default=0.0
        )
        if share >= self._share:
            label, severity = VerdictLabel.SUPPORTED, Severity.CORRECT
        elif share >= self._share / 2:
            label, severity = VerdictLabel.CONTRADICTED, Severity.CRITICAL
        else:
            label, severity = VerdictLabel.NOT_ADDRESSED, Severity.UNSCORED
        return Verdict(claim=claim.id, label=label, severity=severity, reason=f"overlap: {share:.2f} of the words")
