"""Vignettes in natural language, written without sight of the knowledge base: the honest test."""

from __future__ import annotations

from importlib import resources
from typing import Literal

import yaml

from wardround.core.case import Case
from wardround.evals.gold import GoldAnswer, Sample


def vignettes(split: Literal["dev", "test"]) -> list[Sample]:
    """Return a split: `dev` was looked at while the reader was built, `test` was not."""
    file = resources.files("wardround.evals") / "data" / f"vignettes_{split}.yaml"
    rows = yaml.safe_load(file.read_text("utf-8"))["vignettes"]
    return [
        Sample(
            case=Case(id=f"{split}-{n:03d}", narrative=row["text"]),
            gold=GoldAnswer(
                name=row["name"],
                conditions=() if row["outside"] else (row["diagnosis"], *row.get("accept", ())),
                must_not_miss=row["must_not_miss"],
            ),
            style=row["style"],
        )
        for n, row in enumerate(rows, start=1)
    ]
