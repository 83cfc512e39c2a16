"""Wardround: several local medical models look at one patient together.

The public words are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wardround.core.case import Case, ImageRef, Sex
    from wardround.core.claim import Claim, Verdict
    from wardround.core.decision import Decision
    from wardround.core.differential import Differential, Hypothesis
    from wardround.core.errors import WardroundError
    from wardround.core.finding import Assertion, Finding
    from wardround.core.graph import EvidenceGraph
    from wardround.core.source import Source
    from wardround.graphs.consult import Consult
    from wardround.graphs.settings import ConsultSettings, GatePolicy
    from wardround.graphs.ward import Ward
    from wardround.models.budget import Budget

__version__ = "0.1.0.dev0"

_HOMES = {
    "Assertion": "wardround.core.finding",
    "Budget": "wardround.models.budget",
    "Case": "wardround.core.case",
    "Claim": "wardround.core.claim",
    "Consult": "wardround.graphs.consult",
    "ConsultSettings": "wardround.graphs.settings",
    "Decision": "wardround.core.decision",
    "Differential": "wardround.core.differential",
    "EvidenceGraph": "wardround.core.graph",
    "Finding": "wardround.core.finding",
    "GatePolicy": "wardround.graphs.settings",
    "Hypothesis": "wardround.core.differential",
    "ImageRef": "wardround.core.case",
    "Sex": "wardround.core.case",
    "Source": "wardround.core.source",
    "Verdict": "wardround.core.claim",
    "Ward": "wardround.graphs.ward",
    "WardroundError": "wardround.core.errors",
}

__all__ = [
    "Assertion",
    "Budget",
    "Case",
    "Claim",
    "Consult",
    "ConsultSettings",
    "Decision",
    "Differential",
    "EvidenceGraph",
    "Finding",
    "GatePolicy",
    "Hypothesis",
    "ImageRef",
    "Sex",
    "Source",
    "Verdict",
    "Ward",
    "WardroundError",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
