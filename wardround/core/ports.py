"""What the rooms need of one another, as protocols: nobody has to inherit anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from wardround.core.claim import Claim, Verdict
    from wardround.core.differential import Differential
    from wardround.core.finding import Finding
    from wardround.core.source import Source


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the present moment with its time zone."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        ...


class FhirServer(Protocol):
    """A FHIR R4 server, as far as reading one patient goes."""

    def everything(self, patient: str, /) -> dict[str, Any]:
        """Return a Bundle of all that belongs to a patient such as `Patient/123`."""
        ...


class Detector(Protocol):
    """Checks what agents say against the evidence."""

    def check(self, claim: Claim, sources: Mapping[str, Source], /) -> Verdict:
        """Judge one claim.

        Args:
            claim: What was asserted; it may cite sources by id.
            sources: All evidence of the case by id.
        """
        ...


class Clinician(Protocol):
    """Clinical knowledge that can read text and reason; what the reference model thinks with."""

    def read(self, text: str, /, *, age: float | None, sex: str | None) -> Sequence[Finding]:
        """Return the findings that a text states, with assertion status and span."""
        ...

    def differential(
        self, findings: Sequence[tuple[Finding, float]], /, *, age: float | None, sex: str | None
    ) -> Differential:
        """Return the posterior over all conditions given findings and their reliabilities."""
        ...

    def informative(
        self, findings: Sequence[tuple[Finding, float]], /, *, age: float | None, sex: str | None, limit: int
    ) -> Sequence[Indicator]:
        """Return what would inform most per cost, best first."""
        ...

    def condition(self, name: str, /) -> ConditionFacts | None:
        """Return what is known of a condition, found by id, name, synonym or ICD-10 code."""
        ...

    def bearing(self, finding: Finding, condition: str, /) -> float:
        """Return the log likelihood ratio of a finding for a condition id against the background."""
        ...


class Indicator(Protocol):
    """Something worth finding out."""

    @property
    def code(self) -> str:
        """Id of the finding."""
        ...

    @property
    def name(self) -> str:
        """The finding in words."""
        ...

    @property
    def how(self) -> str:
        """How it is obtained, such as `ask`, `lab` or `ct`."""
        ...

    @property
    def gain(self) -> float:
        """Expected information gain in bits."""
        ...


class ConditionFacts(Protocol):
    """What an agent may want to know of a condition."""

    @property
    def id(self) -> str:
        """Id in the knowledge base."""
        ...

    @property
    def name(self) -> str:
        """Name in words."""
        ...

    @property
    def icd10(self) -> str:
        """ICD-10 code."""
        ...

    @property
    def specialties(self) -> tuple[str, ...]:
        """Who looks after it, the most responsible first."""
        ...

    @property
    def urgency(self) -> str:
        """Emergent, urgent or routine."""
        ...

    @property
    def must_not_miss(self) -> bool:
        """Whether missing it can kill or maim soon."""
        ...
