"""The hallucination detector on claims with known verdicts, and how fast it is.

python benchmarks/detector.py [--split dev|test] [--misses] [--speed]
Prints one JSON document. `dev` was looked at while the rules were built, of `test` only the summary was. The pairs
are invented and test rules of reading; they say nothing of clinical accuracy.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

from wardround.core.claim import Claim, ClaimKind
from wardround.core.ports import Detector
from wardround.core.source import Source, SourceKind
from wardround.evals.claims.pairs import pairs
from wardround.evals.claims.scoring import AlwaysSupported, WordOverlap, judge, score
from wardround.knowledge.clinician import reference_clinician
from wardround.tools.hallucination.detector import RuleDetector

CLAIMS = 1000


def per_second(work: Callable[[], None], count: int) -> float:
    started = time.perf_counter()
    work()
    return round(count / (time.perf_counter() - started), 1)


def _claims(kind: str) -> list[Claim]:
    names = [f.name for f in reference_clinician().kb.findings.values()]
    return [
        Claim(agent="speed", text=f"There is {names[i % len(names)]} {kind} {i // len(names)}.", kind=ClaimKind.FINDING)
        for i in range(CLAIMS)
    ]


def _evidence(n: int) -> dict[str, Source]:
    names = [f.name for f in reference_clinician().kb.findings.values()]
    made = [
        Source(
            kind=SourceKind.CLINICIAN_NOTE, text=f"The patient has {names[i % len(names)]}.", document="d", title=str(i)
        )
        for i in range(n)
    ]
    return {s.id: s for s in made}


def speed() -> dict[str, Any]:
    """Claims per second: texts never seen, texts seen before, and a detector made anew for each claim."""
    claims, evidence = _claims("in bed"), _evidence(100)
    detector = RuleDetector(reference_clinician())
    detector.evidence(evidence)
    first = per_second(lambda: [detector.check(c, evidence) for c in claims] and None, CLAIMS)
    again = per_second(lambda: [detector.check(c, evidence) for c in claims] and None, CLAIMS)
    some = _claims("at home")[:50]
    naive = per_second(
        lambda: [RuleDetector(reference_clinician()).check(c, evidence) for c in some] and None, len(some)
    )
    growth = {}
    for n in (100, 1000, 4000):
        larger = _evidence(n)
        fresh = RuleDetector(reference_clinician())
        index = per_second(lambda fresh=fresh, larger=larger: fresh.evidence(larger) and None, n)  # type: ignore[misc]
        rate = per_second(
            lambda fresh=fresh, larger=larger: [fresh.check(c, larger) for c in claims[:200]] and None, 200
        )  # type: ignore[misc]
        growth[str(n)] = {"sources_read_per_second": index, "claims_per_second": rate}
    return {
        "claims": CLAIMS,
        "claims_per_second_unseen_texts": first,
        "claims_per_second_seen_texts": again,
        "claims_per_second_naive_loop": naive,
        "ratio_to_naive_loop": round(first / naive, 2),
        "by_number_of_sources": growth,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", choices=("dev", "test"), default="test")
    parser.add_argument("--misses", action="store_true", help="list the wrong ones (not for the test split)")
    parser.add_argument("--speed", action="store_true")
    arguments = parser.parse_args()
    if arguments.misses and arguments.split == "test":
        parser.error("--misses: of the test split only the summary is looked at")
    asked = pairs(arguments.split)
    detectors: dict[str, Detector] = {
        "rules": RuleDetector(reference_clinician()),
        "always_supported": AlwaysSupported(),
        "word_overlap": WordOverlap(),
    }
    report: dict[str, Any] = {
        "what": "invented pairs of claim and evidence; they test rules of reading, not clinical accuracy",
        "split": arguments.split,
    }
    for name, detector in detectors.items():
        verdicts = judge(detector, asked)
        report[name] = score(asked, verdicts)
        if name == "rules" and arguments.misses:
            report["wrong"] = [
                f"{p.id} | {p.claim.text} <- {[s.text for s in p.sources.values()]} | {p.label.value} {p.severity}"
                f" | {v.label.value} {v.severity.value} {v.reason}"
                for p, v in zip(asked, verdicts, strict=True)
                if p.label is not v.label or (p.severity is not None and p.severity is not v.severity)
            ]
    if arguments.speed:
        report["speed"] = speed()
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
