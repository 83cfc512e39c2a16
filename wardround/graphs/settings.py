"""All that changes how a consult goes, as one value."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from wardround.core.frozen import Frozen
from wardround.models.budget import Budget


class GatePolicy(Frozen):
    """Limits of the gate's predicates. Unfitted: no certificate comes with them."""

    probability: float = Field(default=0.7, ge=0.0, le=1.0)
    """The diagnosis must have at least this posterior."""
    vacuity: float = Field(default=0.5, ge=0.0, le=1.0)
    conflict: float = Field(default=0.6, ge=0.0, le=1.0)
    must_not_miss: float = Field(default=0.05, ge=0.0, le=1.0)
    """A dangerous alternative must be below this."""
    plausible: float = Field(default=0.01, ge=0.0, le=1.0)
    """From here on a dangerous alternative stays on the list: C_FP / (C_FP + C_FN) at 1 to 99."""
    fragile_reliability: float = Field(default=0.85, ge=0.0, le=1.0)
    """A group that carries the diagnosis alone must be at least this reliable."""
    unexplained: float = Field(default=0.5, ge=0.0, le=1.0)
    """At most this share of the present findings may be left unexplained."""
    read: float = Field(default=0.3, ge=0.0, le=1.0)
    """At least this share of the sentences must have been understood."""


class ConsultSettings(Frozen):
    """How a consult goes."""

    rollouts: int = Field(default=3, ge=1, le=50)
    """Opinions asked of each specialist."""
    temperature: float = Field(default=0.7, ge=0.0, le=2.0)
    """Of the rollouts, for models that sample; all other questions are asked at 0."""
    rollouts_differ_by: Literal["order", "sampling"] = "order"
    """`order`: each sees the evidence in another order, in a request of its own. `sampling`: all are drawn from
    the same prompt, in one request where the model takes that, so that it is read once."""
    tools: Literal["auto", "native", "json"] = "auto"
    """How specialists choose tools: as calls that the model makes natively, or as JSON answers; `auto` finds out
    what the model takes."""
    tool_steps: int = Field(default=3, ge=0, le=20)
    """Tools that a specialist may use before giving an opinion."""
    rounds: int = Field(default=1, ge=0, le=10)
    """How often more may be gathered when the case is not settled."""
    settled: float = Field(default=0.3, ge=0.0, le=1.0)
    """Combined uncertainty at which nothing more is gathered."""
    detector: bool = True
    """Whether claims are checked; off only for ablation, and then no claim counts as supported."""
    escalate: bool = False
    """Ask a person where the gate stays closed, instead of abstaining."""
    gate: GatePolicy = GatePolicy()
    budget: Budget = Budget()
    seed: int = 0
    timeout: float = Field(default=120.0, gt=0.0)
    """Seconds for one model call."""
    max_tokens: int | None = Field(default=None, gt=0)
    """Of one answer, for models that take a limit; the model's own unless given."""
    logprobs: bool = False
    """Whether log probabilities of the answers are kept, of models that give them."""
    image_side: int = Field(default=1024, ge=64, le=8192)
    """Pixels of the longer side to which images are scaled down."""
