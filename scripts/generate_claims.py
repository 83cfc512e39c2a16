"""Make the claim and evidence pairs of the benchmark from its templates.

python scripts/generate_claims.py [--seed N]
Writes wardround/evals/claims/data/generated.yaml. The same seed gives the same file.
"""

from __future__ import annotations

import argparse
import random
import re
from pathlib import Path
from typing import Any

import yaml

DATA = Path(__file__).parents[1] / "wardround" / "evals" / "claims" / "data"
EACH = {"dev": 8, "test": 14}
"""Pairs made from one template at most."""
_SLOT = re.compile(r"\{(?P<name>\w+)(?:\.(?P<part>\d))?(?P<other>!)?\}")
_TRIES = 400


def fill(template: str, chosen: dict[str, str], slots: dict[str, list[str]]) -> str:
    """Fill the slots of one text; `{name!}` takes another word than was chosen, `{name.1}` a part of it."""

    def word(match: re.Match[str]) -> str:
        value = chosen[match["name"]]
        if match["other"]:
            options = slots[match["name"]]
            value = options[(options.index(value) + 1) % len(options)]
        return value.split("|")[int(match["part"])] if match["part"] else value

    text = _SLOT.sub(word, template)
    return re.sub(r"(?:^|(?<=\|\| )|(?<=[.] ))[a-z]", lambda m: m.group().upper(), text)


def pairs(row: list[str], slots: dict[str, list[str]], number: int, rng: random.Random) -> list[list[str]]:
    """Return different pairs made from one template."""
    claim, evidence, label, severity = row
    names = sorted({m["name"] for m in _SLOT.finditer(claim + evidence)})
    made: dict[tuple[str, str], list[str]] = {}
    for _ in range(_TRIES):
        chosen = {name: rng.choice(slots[name]) for name in names}
        texts = fill(claim, chosen, slots), fill(evidence, chosen, slots)
        made.setdefault(texts, [*texts, label, severity])
        if len(made) == number:
            break
    return list(made.values())


def main() -> None:
    """Write the generated pairs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    rng = random.Random(parser.parse_args().seed)
    given: dict[str, Any] = yaml.safe_load((DATA / "templates.yaml").read_text("utf-8"))
    made = {
        split: {
            category: [pair for row in rows for pair in pairs(row, given["slots"], EACH[split], rng)]
            for category, rows in given[split].items()
        }
        for split in ("dev", "test")
    }
    head = "# Made by scripts/generate_claims.py from templates.yaml; rows as in by_hand.yaml.\n"
    text = yaml.safe_dump(made, sort_keys=False, allow_unicode=True, width=10_000, default_flow_style=None)
    (DATA / "generated.yaml").write_text(head + text, "utf-8")
    counts = {split: sum(map(len, rows.values())) for split, rows in made.items()}
    print(f"{DATA / 'generated.yaml'}: {counts}")


if __name__ == "__main__":
    main()
