"""What the evidence graph answers when it is asked why, what against, what if, and on what it stands."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from wardround.core.differential import Differential, Hypothesis
from wardround.core.finding import Presence
from wardround.core.source import Source


@dataclass(frozen=True)
class Weight:
    """What one observation says of one hypothesis, and where it was read."""

    code: str
    name: str
    presence: Presence
    llr: float
    """Log likelihood ratio before the discount of its group."""
    group: str
    sources: tuple[Source, ...]
    citation: str | None
    """Publication of the likelihood, or nothing where it is graded."""


@dataclass(frozen=True)
class Explanation:
    """What speaks for and against a hypothesis, strongest first."""

    hypothesis: Hypothesis
    supporting: tuple[Weight, ...]
    opposing: tuple[Weight, ...]

    def __str__(self) -> str:
        """Return one line per weight, with the words it was read in."""
        lines = [f"{self.hypothesis.name}: probability {self.hypothesis.probability:.1%}"]
        for heading, weights in (("for", self.supporting), ("against", self.opposing)):
            lines += [_line(heading, weight) for weight in weights]
        return "\n".join(lines)


@dataclass(frozen=True)
class Opposition:
    """What speaks against a hypothesis, strongest first, and what it leaves unexplained."""

    hypothesis: Hypothesis
    opposing: tuple[Weight, ...]
    unexplained: tuple[str, ...]
    """Names of present findings that it makes no more likely than background."""
    rivals: tuple[Hypothesis, ...]
    """Hypotheses that are more probable, the most probable first."""

    def __str__(self) -> str:
        """Return one line per weight, then what is not explained and who is ahead."""
        lines = [f"{self.hypothesis.name}: probability {self.hypothesis.probability:.1%}"]
        lines += [_line("against", weight) for weight in self.opposing]
        lines += [f"  not explained: {name}" for name in self.unexplained]
        lines += [f"  more probable: {rival.name} {rival.probability:.1%}" for rival in self.rivals]
        return "\n".join(lines)


def _line(heading: str, weight: Weight) -> str:
    said = "; ".join(f'"{s.text.strip()}" [{s.title or s.id}]' for s in weight.sources)
    state = "" if weight.presence is Presence.PRESENT else f" {weight.presence.value}"
    return f"  {heading} {weight.llr:+.2f} {weight.name}{state}: {said}"


@dataclass(frozen=True)
class Share:
    """What one observation adds to the log-odds of a hypothesis after discount and limit."""

    code: str
    name: str
    group: str
    llr: float


@dataclass(frozen=True)
class Attribution:
    """The posterior log-odds of a hypothesis as a sum: prior + shares + rivals = log_odds.

    With score_h = log pi_h + sum of the groups' terms, and p the softmax of the scores,
    logit p_h = logit pi_h + terms of h - log sum_{g != h} pi_g / (1 - pi_h) exp(terms of g). The last is what the
    evidence did for all others together, `other` included.
    """

    hypothesis: Hypothesis
    prior: float
    """logit of the prior probability."""
    shares: tuple[Share, ...]
    """Strongest first; what adds nothing is left out."""
    rivals: float
    """What the evidence for all others takes away; above 0 where it speaks against them."""
    log_odds: float

    def groups(self) -> Mapping[str, float]:
        """Return what each group adds; taking a group away takes exactly this away from the score."""
        names = sorted({share.group for share in self.shares})
        return {name: math.fsum(s.llr for s in self.shares if s.group == name) for name in names}


@dataclass(frozen=True)
class Dispute:
    """One finding that is said to be there by some and not by others."""

    code: str
    name: str
    present: tuple[Source, ...]
    absent: tuple[Source, ...]
    reading: float
    """Log evidence that it is there, all sides counted."""


@dataclass(frozen=True)
class Change:
    """How the probability of one hypothesis would differ."""

    hypothesis: str
    """Its id."""
    name: str
    before: float
    after: float


@dataclass(frozen=True)
class WhatIf:
    """What would be believed without some of the evidence."""

    without: tuple[str, ...]
    before: Differential
    after: Differential

    @property
    def flips(self) -> bool:
        """Whether another hypothesis would lead."""
        return _leader(self.before) != _leader(self.after)

    @property
    def changes(self) -> tuple[Change, ...]:
        """All hypotheses whose probability differs, the largest difference first."""
        after = {h.id: h.probability for h in self.after.hypotheses}
        found = [Change(h.id, h.name, h.probability, after[h.id]) for h in self.before.hypotheses]
        found.sort(key=lambda c: (-abs(c.after - c.before), c.hypothesis))
        return tuple(c for c in found if c.after != c.before)

    def __str__(self) -> str:
        """Return the largest differences, a line each."""
        head = f"without {', '.join(self.without)}: {'another diagnosis leads' if self.flips else 'the same leads'}"
        shown = [f"  {c.name} {c.before:.1%} -> {c.after:.1%}" for c in self.changes[:5]]
        return "\n".join([head, *shown])


@dataclass(frozen=True)
class Fragility:
    """One group of evidence without which another diagnosis would lead."""

    group: str
    reliability: float
    """Of its best observation, contradictions counted."""
    codes: tuple[str, ...]
    without: Hypothesis
    """What would lead, with its probability then."""


def _leader(differential: Differential) -> str | None:
    return differential.top.id if differential.top is not None else None
