"""Images that tests look at."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw


def picture(path: Path, *, bright: bool) -> Path:
    """Write something like a chest radiograph: two lungs, one of them white or dark."""
    image = Image.new("L", (320, 280), 70)
    draw = ImageDraw.Draw(image)
    draw.ellipse((40, 40, 140, 250), fill=20)
    draw.ellipse((180, 40, 280, 250), fill=230 if bright else 20)
    image.save(path)
    return path
