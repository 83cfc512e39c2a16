"""The reference clinician on vignettes in natural language that were not drawn from its knowledge.

python benchmarks/vignettes.py [--split dev|test] [--misses]
Prints one JSON document. `dev` was looked at while the reader was built, `test` was not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter
from typing import Any

import numpy as np

from wardround.core.decision import DecisionStatus
from wardround.evals.diagnosis import Outcome, answering, ranking
from wardround.evals.gold import Sample
from wardround.evals.vignettes import vignettes
from wardround.graphs.consult import Consult
from wardround.graphs.ward import Ward
from wardround.knowledge.clinician import reference_clinician
from wardround.knowledge.inference import as_differential


def outcome(sample: Sample, consult: Consult) -> Outcome:
    by_icd10 = {c.icd10: c.id for c in consult.evidence.candidates}
    decision = consult.decision
    return Outcome(
        gold=sample.gold,
        differential=consult.evidence.differential,
        kept=frozenset(by_icd10.get(code, code) for code in decision.plausible),
        status=decision.status,
        answer=decision.diagnosis.id if decision.diagnosis is not None else None,
    )


def prior_only(sample: Sample, consult: Consult) -> Outcome:
    """The trivial baseline: the commonest conditions at this age and sex, always answered."""
    kb = reference_clinician().kb
    case = consult.case
    prior = kb.prior(case.age, case.sex.value if case.sex else None)
    differential = as_differential(kb, np.append(prior, 1.0 - prior.sum()))
    top = differential.hypotheses[0].id
    return Outcome(sample.gold, differential, frozenset({top}), DecisionStatus.FINAL, top)


def counting(sample: Sample, consult: Consult) -> Outcome:
    """A plain baseline: the condition that lists most of the findings that were read, always answered."""
    kb = reference_clinician().kb
    present = {code for code, fs in consult.evidence.readings.items() if any(f.assertion == "present" for f in fs)}
    counts = np.array([float(len(present & set(c.findings))) for c in kb.conditions.values()]) + 1e-3
    differential = as_differential(kb, np.append(counts / counts.sum() * 0.95, 0.05))
    top = differential.hypotheses[0].id
    return Outcome(sample.gold, differential, frozenset({top}), DecisionStatus.FINAL, top)


async def consult_all(samples: list[Sample]) -> list[Consult]:
    ward = Ward("reference")
    async with ward.session() as session:
        return [await session.consult(sample.case) for sample in samples]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", choices=("dev", "test"), default="test")
    parser.add_argument("--misses", action="store_true", help="list the wrong ones (not for the test split)")
    arguments = parser.parse_args()
    samples = vignettes(arguments.split)
    consults = asyncio.run(consult_all(samples))
    outcomes = [outcome(s, c) for s, c in zip(samples, consults, strict=True)]
    trivial = [prior_only(s, c) for s, c in zip(samples, consults, strict=True)]
    counted = [counting(s, c) for s, c in zip(samples, consults, strict=True)]
    reasons = Counter(r.code.value for c in consults for r in c.decision.reasons)
    report: dict[str, Any] = {
        "what": "vignettes written without sight of the knowledge; no clinician has reviewed them",
        "split": arguments.split,
        "vignettes": len(samples),
        "outside_the_knowledge": sum(s.gold.outside for s in samples),
        "reference": {**ranking(outcomes), **answering(outcomes)},
        "baseline_prior_only": {**ranking(trivial), **answering(trivial)},
        "baseline_counting_findings": {**ranking(counted), **answering(counted)},
        "by_style": {
            style: ranking([o for o, s in zip(outcomes, samples, strict=True) if s.style == style])["top1"]
            for style in sorted({s.style for s in samples})
        },
        "gate_reasons": dict(reasons.most_common()),
    }
    if arguments.misses:
        report["wrong"] = [
            {
                "case": s.case.id,
                "truth": s.gold.name,
                "status": o.status.value if o.status else None,
                "leading": [f"{h.id} {h.probability:.2f}" for h in o.differential.hypotheses[:3]],
            }
            for s, o in zip(samples, outcomes, strict=True)
            if not o.ranked(1) and not s.gold.outside
        ]
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
