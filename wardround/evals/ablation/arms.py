"""The parts that are switched off, one at a time, and the consults without each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from wardround.graphs.settings import ConsultSettings, GatePolicy

Part = Literal["gate", "detector", "provenance", "rollouts"]

FULL: Final = "full"
"""The arm with all parts on, as a ward is that nobody has calibrated."""
CALIBRATED: Final = "calibrated"
"""The same with a calibration card."""

OFF: Mapping[str, str] = {
    "gate": "the gate's predicates are named, but close nothing: every diagnosis is final",
    "detector": "no claim is checked",
    "provenance": "copies of a note count as witnesses of their own",
    "rollouts": "all opinions of a specialist are answers to the very same question",
    "calibration": "no card: the posterior is stated as it is, and a fixed limit decides in place of a certificate",
}
"""What is different where a part is off. A card belongs to the settings that it was fitted with, so the other parts are
switched off without one, and calibration is judged by the arm that has one."""

ROLLOUTS = 3
"""Opinions of each specialist, in every arm: as many at the least as at the most, so that all ask equally often."""

_OFF: Mapping[Part, Mapping[str, Any]] = {
    "gate": {"gate": GatePolicy(enforced=False)},
    "detector": {"detector": False},
    "provenance": {"provenance": False},
    "rollouts": {"rollouts_differ_by": ()},
}
PARTS: tuple[Part, ...] = tuple(_OFF)
"""The parts that are settings."""


def settings_of(without: Part | None, *, seed: int) -> ConsultSettings:
    """Return the settings of an arm.

    Args:
        without: The part that is off; all are on where none is given.
        seed: Of the consults.
    """
    on: dict[str, Any] = {"rollouts": ROLLOUTS, "least_rollouts": ROLLOUTS, "seed": seed}
    return ConsultSettings(**{**on, **(_OFF[without] if without is not None else {})})
