"""Results of consults as a batch writes them, with a known truth."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

CONDITIONS = (
    ("acute_appendicitis", "acute appendicitis", "K35.80"),
    ("gout", "gout flare", "M10.9"),
    ("community_acquired_pneumonia", "community-acquired pneumonia", "J18.9"),
)


def row(n: int, p: float, other: float, *, specialty: str = "general_medicine", **more: Any) -> dict[str, Any]:
    """One line of a result file: the leading hypothesis has p, the rest is shared."""
    rest = (1.0 - p - other) / 2
    shares = sorted([p, rest, rest], reverse=True)
    differential = [
        {"id": i, "name": name, "icd10": code, "probability": share}
        for (i, name, code), share in zip(CONDITIONS, shares, strict=True)
    ]
    return {
        "key": f"case{n}.txt",
        "run": f"run_{n:05d}",
        "case": f"case{n}",
        "model": "reference",
        "triage": {"urgency": "routine", "specialties": [specialty], "reasons": []},
        "decision": {
            "status": "abstained",
            "diagnosis": {name: differential[0][name] for name in ("id", "name", "icd10")},
            "probability": shares[0],
            "differential": differential,
            "other": 1.0 - sum(shares),
        },
        "uncertainty": {"combined": 0.5, "parts": {"evidence": 1.0 - shares[0], "self": 0.3}},
        **more,
    }


@pytest.fixture(scope="session")
def write() -> Callable[..., tuple[Path, Path]]:
    """Writes results and labels of n cases into a folder; what is stated is bolder than what comes true."""

    def written(folder: Path, n: int, *, seed: int = 0, **more: Any) -> tuple[Path, Path]:
        rng = np.random.default_rng(seed)
        rows, labels = [], []
        for i in range(n):
            true = rng.uniform(0.4, 0.99)
            stated = 0.36 + 0.6 * true**0.3
            specialty = "cardiology" if i % 3 else "surgery"
            rows.append(row(i, stated, 0.02, specialty=specialty, settings={"rollouts": 3, "seed": i}, **more))
            diagnosis = "Appendicitis" if rng.random() < true else ("M10.9", "pneumonia", "Wilson disease")[i % 3]
            labels.append({"case": f"case{i}", "diagnosis": diagnosis})
        runs, truth = folder / "runs.jsonl", folder / "labels.jsonl"
        runs.write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
        truth.write_text("".join(json.dumps(r) + "\n" for r in labels), "utf-8")
        return runs, truth

    return written
