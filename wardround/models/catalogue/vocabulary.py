"""The words that the catalogue is written in."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

Modality = Literal["text", "image", "volume", "video", "slide", "regions"]
"""What goes in or comes out: `volume` is a 3D scan, `slide` a whole slide, `regions` boxes or masks."""
ImageType = Literal[
    "x-ray",
    "ct",
    "mri",
    "ultrasound",
    "pet",
    "mammography",
    "angiography",
    "endoscopy",
    "pathology",
    "microscopy",
    "fundus",
    "oct",
    "dermatology",
    "dental",
    "photograph",
    "document",
    "general",
]
"""Kinds of picture that a source says the model was made for."""
Coordinates = Literal["absolute_pixels", "normalised_1000", "normalised_1", "none"]
"""How boxes are written: pixels of the resized image, 0 to 1000, 0 to 1, or not at all."""
Served = Literal["yes", "needs flags", "no"]
"""Whether vLLM's own list of architectures has it; `no` means that it is not on the list."""
Weights = Literal["hub", "elsewhere", "not released"]
"""Where the weights lie: on the Hugging Face hub, at a link of the authors', or nowhere."""


class Sureness(StrEnum):
    """How sure a statement is."""

    MEASURED = "measured"
    STATED = "stated"
    LIKELY = "likely"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """Why something is likely."""

    FAMILY = "family"
    BASE = "base"
    NAME = "name"
    KIN = "kin"
    SERVER = "server"
    RECALL = "recall"


REASONS = {
    Reason.FAMILY: "from its architecture",
    Reason.BASE: "from its base model",
    Reason.NAME: "from its name",
    Reason.KIN: "from a sister model",
    Reason.SERVER: "from its server",
    Reason.RECALL: "recalled without a source",
}
