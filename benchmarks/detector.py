"""The hallucination detector on claims with known verdicts, and how fast it is.

python benchmarks/detector.py [--split dev|test] [--misses] [--speed]
Prints one JSON document. `dev` was looked at while the rules were built, of `test` only the summary was. The pairs
are invented and test rules of reading; they say nothing of clinical accuracy.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from wardround.core.claim import Claim, ClaimKind
from wardround.core.ports import Detector
from wardround.core.source import Source, SourceKind
from wardround.evals.claims.pairs import pairs
from wardround.evals.claims.scoring import AlwaysSupported, WordOverlap, judge, score
from wardround.knowledge.clinician import reference_clinician
from wardround.tools.hallucination.detector import RuleDetector

CLAIMS = 1000
REPEATS = 10
"""Batches of claims, each of texts that no batch before had."""
_STUDENT = 2.262
"""Student's t at 97.5 % for so many repeats, that is 9 degrees of freedom."""
ANEW = 20
"""Claims for which a detector is made anew; it is too slow for more."""
PEER = 100
"""Claims of each batch that the overlap of words judges as well."""
SOURCES = 100
STAGES = {
    "reading the claim": ("statements.py", "read"),
    "of that: findings of the knowledge": ("reader.py", "read"),
    "of that: conditions": ("reader.py", "conditions"),
    "comparing with the evidence": ("detector.py", "_things"),
    "words left over": ("residue.py", "unread"),
    "impossible and forbidden things": (
        "safety.py",
        "impossible implausible_values codes stains forbidden doses",
    ),
    "courses and wholes": ("courses.py overall.py", "course overall"),
    "ids of claims": ("frozen.py", "content_id"),
}
"""Functions whose time, with all that they call, is given as a share."""


def per_second(work: Callable[[], object], count: int) -> float:
    """Return the rate for one core: by the processor time of this process, so that other programs do not count."""
    started = time.process_time()
    work()
    return count / (time.process_time() - started)


def interval(rates: Sequence[float]) -> dict[str, float | int]:
    """Return mean, 95 % interval of the mean (Student's t) and the best of some repeats."""
    mean, spread = statistics.mean(rates), statistics.stdev(rates) / len(rates) ** 0.5
    reach = _STUDENT * spread
    return {
        "mean": round(mean),
        "low": round(mean - reach),
        "high": round(mean + reach),
        "best": round(max(rates)),
        "repeats": len(rates),
    }


def invented(where: str) -> list[Claim]:
    """Return claims that name one finding each, in a text of their own."""
    names = [f.name for f in reference_clinician().kb.findings.values()]
    texts = [f"There is {names[i % len(names)]} {where} {i // len(names)}." for i in range(CLAIMS)]
    return [Claim(agent="speed", text=text, kind=ClaimKind.FINDING) for text in texts]


def paired(where: str) -> list[Claim]:
    """Return the claims of the pairs, each in a text of its own: numbers, sides, doses, negations, courses."""
    known = [*pairs("dev"), *pairs("test")]
    texts = [f"{p.claim.text.rstrip('.')} {where} {n}." for n, p in enumerate(known)]
    return [Claim(agent="speed", text=text, kind=ClaimKind.FINDING) for text in texts]


def told(n: int) -> dict[str, Source]:
    """Return so many sources, each about one finding."""
    names = [f.name for f in reference_clinician().kb.findings.values()]
    made = [
        Source(
            kind=SourceKind.CLINICIAN_NOTE, text=f"The patient has {names[i % len(names)]}.", document="d", title=str(i)
        )
        for i in range(n)
    ]
    return {s.id: s for s in made}


def unseen(kind: Callable[[str], list[Claim]], evidence: dict[str, Source]) -> dict[str, Any]:
    """Return rates of the detector and of its peer on batches of unseen texts, in turn."""
    detector, peer = RuleDetector(reference_clinician()), WordOverlap()
    detector.evidence(evidence)
    rules, overlap = [], []
    for repeat in range(REPEATS):
        batch = kind(f"in ward {repeat} bed")
        rules.append(per_second(lambda batch=batch: detector.check_all(batch, evidence), len(batch)))  # type: ignore[misc]
        few = batch[:PEER]
        overlap.append(per_second(lambda few=few: [peer.check(c, evidence) for c in few], PEER))  # type: ignore[misc]
    return {"rules": interval(rules), "word_overlap": interval(overlap), "claims_per_batch": len(batch)}


def speed() -> dict[str, Any]:
    """Claims per second on one core: texts never seen, seen before, and a detector made anew for each claim."""
    evidence = told(SOURCES)
    simple, varied = unseen(invented, evidence), unseen(paired, evidence)
    detector = RuleDetector(reference_clinician())
    batch = invented("at home")
    detector.check_all(batch, evidence)
    again = [per_second(lambda: detector.check_all(batch, evidence), CLAIMS) for _ in range(REPEATS)]
    anew = []
    for repeat in range(REPEATS):
        few = invented(f"at home {repeat}")[:ANEW]
        anew.append(per_second(lambda few=few: [_anew(c, evidence) for c in few], ANEW))  # type: ignore[misc]
    return {
        "sources": SOURCES,
        "unseen_texts_one_finding_each": simple,
        "unseen_texts_of_the_pairs": varied,
        "seen_texts": interval(again),
        "detector_made_anew_for_each_claim": interval(anew),
        "ratio_to_detector_made_anew": round(simple["rules"]["mean"] / interval(anew)["mean"], 1),
        "ratio_to_word_overlap": round(simple["rules"]["mean"] / simple["word_overlap"]["mean"], 2),
        "by_number_of_sources": {str(n): _growth(n) for n in (100, 1000, 4000)},
        "share_of_time": shares(evidence),
    }


def _anew(claim: Claim, evidence: dict[str, Source]) -> object:
    return RuleDetector(reference_clinician()).check(claim, evidence)


def _growth(n: int) -> dict[str, int]:
    sources, detector = told(n), RuleDetector(reference_clinician())
    batch = invented(f"among {n}")
    read = per_second(lambda: detector.evidence(sources), n)
    rate = per_second(lambda: detector.check_all(batch, sources), CLAIMS)
    return {"sources_read_per_second": round(read), "claims_per_second": round(rate)}


def shares(evidence: dict[str, Source]) -> dict[str, float]:
    """Return how the time of unseen claims divides, by a profile, which makes small functions look slower."""
    detector, batch = RuleDetector(reference_clinician()), invented("in the profile")
    detector.evidence(evidence)
    profile = cProfile.Profile()
    profile.runcall(detector.check_all, batch, evidence)
    stats: dict[tuple[str, int, str], Any] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    spent = {(Path(file).name, name): entry[3] for (file, _, name), entry in stats.items()}
    whole = spent["detector.py", "check_all"]
    return {
        stage: round(sum(spent.get((file, name), 0.0) for file in files.split() for name in names.split()) / whole, 3)
        for stage, (files, names) in STAGES.items()
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
