"""What makes an image hard to read for a model, told from its grey values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

MIN_DEVIATION = 2.0
"""Standard deviation of grey, of 255, below which an image shows next to nothing. Our own choice, unfitted."""
DARK, BRIGHT = 10.0, 245.0
"""Mean grey, of 255, below or above which an image is called dark or bright. Our own choice, unfitted."""
MAX_ASPECT = 8.0
"""Long side by short side; servers scale images to squares or tiles. Our own choice, unfitted."""


def gate(image: Image) -> tuple[str, ...]:
    """Return what speaks against an image, in words; nothing where it looks like one that can be read.

    Args:
        image: Pixels as they are sent, 8 bits a channel.
    """
    mean, deviation = _grey(image)
    problems = []
    if deviation < MIN_DEVIATION:
        problems.append(f"nearly uniform (standard deviation of grey {deviation:.1f} of 255)")
    if mean < DARK:
        problems.append(f"very dark (mean grey {mean:.0f} of 255)")
    if mean > BRIGHT:
        problems.append(f"very bright (mean grey {mean:.0f} of 255)")
    aspect = max(image.size) / min(image.size)
    if aspect > MAX_ASPECT:
        problems.append(f"long and narrow ({image.width} x {image.height})")
    return tuple(problems)


def _grey(image: Image) -> tuple[float, float]:
    """Mean and standard deviation of the grey values."""
    counts = image.convert("L").histogram()
    n = sum(counts)
    mean = sum(value * count for value, count in enumerate(counts)) / n
    variance = sum((value - mean) ** 2 * count for value, count in enumerate(counts)) / n
    return mean, math.sqrt(variance)
