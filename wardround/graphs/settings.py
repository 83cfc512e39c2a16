"""All that changes how a consult goes, as one value."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from wardround.core.frozen import Frozen
from wardround.models.budget import Budget

Difference = Literal["role", "order", "temperature", "evidence"]
"""In what rollouts may differ."""


class GatePolicy(Frozen):
    """Limits of the gate's predicates. Unfitted: no certificate comes with them."""

    enforced: bool = True
    """Whether a predicate that fails closes the gate; off only for ablation, and the reasons are named all the same."""
    certificate: bool = True
    """Whether a calibration card's threshold must accept the answer, where a card is given."""
    probability: float = Field(default=0.7, ge=0.0, le=1.0)
    """The diagnosis must have at least this posterior; a certificate takes its place."""
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
    """Opinions asked of each specialist, at most."""
    least_rollouts: int = Field(default=2, ge=1, le=50)
    """From here on no more are asked once the answer is settled: the leader can hardly be overtaken by those left."""
    temperature: float = Field(default=0.7, ge=0.0, le=2.0)
    """Of rollouts that differ by it, for models that sample; all other questions are asked at 0."""
    rollouts_differ_by: tuple[Difference, ...] = ("order", "temperature")
    """`order`: each sees the evidence in another order. `temperature`: the first is asked at 0, others are drawn.
    `role`: the specialist is told to look for other things. `evidence`: each but the first misses a fifth of it.
    By temperature alone, all are drawn from one prompt, in one request where the model takes that. By nothing, all
    ask the very same."""
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
    provenance: bool = True
    """Whether copies of one text count as one witness; off only for ablation."""
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

    @field_validator("rollouts_differ_by")
    @classmethod
    def _in_one_order(cls, given: tuple[Difference, ...]) -> tuple[Difference, ...]:
        return tuple(sorted(set(given)))

    @model_validator(mode="before")
    @classmethod
    def _least_within_most(cls, given: object) -> object:
        """Few rollouts alone ask for no more than themselves."""
        if isinstance(given, dict) and "least_rollouts" not in given and given.get("rollouts") == 1:
            return {**given, "least_rollouts": 1}
        return given

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.least_rollouts > self.rollouts:
            raise ValueError(f"least_rollouts {self.least_rollouts} is more than rollouts {self.rollouts}")
        return self
