"""The reference clinician on patients drawn from its own knowledge: consistency, not clinical truth.

python benchmarks/reference_clinician.py --patients 2000 --seed 20000 [--through inference|consult]
Prints one JSON document. Seeds below 10000 were used while the knowledge and the limits were built.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from typing import Any

import numpy as np

from wardround.core.case import Case, Sex
from wardround.core.differential import Differential
from wardround.evals.diagnosis import Outcome, answering, ranking
from wardround.evals.gold import GoldAnswer
from wardround.graphs.settings import ConsultSettings
from wardround.graphs.ward import Ward
from wardround.knowledge.base import KnowledgeBase
from wardround.knowledge.clinician import reference_clinician
from wardround.knowledge.inference import as_differential, infer
from wardround.knowledge.simulator import SimulatedPatient, simulate

RELIABILITY = 0.98
KEPT_FROM = 0.01


def gold(kb: KnowledgeBase, patient: SimulatedPatient) -> GoldAnswer:
    condition = kb.conditions[patient.condition]
    return GoldAnswer(name=condition.name, conditions=(condition.id,), must_not_miss=condition.must_not_miss)


def kept(kb: KnowledgeBase, differential: Differential) -> frozenset[str]:
    dangerous = {c.id for c in kb.conditions.values() if c.must_not_miss}
    return frozenset(
        h.id
        for rank, h in enumerate(differential.hypotheses)
        if rank == 0 or (h.id in dangerous and h.probability >= KEPT_FROM)
    )


def by_inference(kb: KnowledgeBase, patients: list[SimulatedPatient]) -> list[Outcome]:
    outcomes = []
    for patient in patients:
        readings = [(finding, RELIABILITY) for finding in patient.findings]
        _, weighed = infer(kb, readings, age=patient.age, sex=patient.sex)
        differential = as_differential(kb, weighed.posterior)
        outcomes.append(Outcome(gold(kb, patient), differential, kept(kb, differential)))
    return outcomes


async def by_consult(kb: KnowledgeBase, patients: list[SimulatedPatient]) -> list[Outcome]:
    ward = Ward("reference", settings=ConsultSettings(rollouts=1, tool_steps=0))
    outcomes = []
    async with ward.session() as session:
        for patient in patients:
            case = Case(age=patient.age, sex=Sex(patient.sex), findings=patient.findings)
            consult = await session.consult(case)
            differential = consult.evidence.differential
            decision = consult.decision
            outcomes.append(
                Outcome(
                    gold(kb, patient),
                    differential,
                    kept(kb, differential),
                    status=decision.status,
                    answer=decision.diagnosis.id if decision.diagnosis is not None else None,
                )
            )
    return outcomes


def prior_only(kb: KnowledgeBase, patients: list[SimulatedPatient]) -> list[Outcome]:
    """The trivial baseline: the commonest conditions at this age and sex."""
    outcomes = []
    for patient in patients:
        prior = kb.prior(patient.age, patient.sex)
        differential = as_differential(kb, np.append(prior, 1.0 - prior.sum()))
        outcomes.append(Outcome(gold(kb, patient), differential, kept(kb, differential)))
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=20000)
    parser.add_argument("--through", choices=("inference", "consult"), default="inference")
    arguments = parser.parse_args()
    kb = reference_clinician().kb
    patients = simulate(kb, arguments.patients, seed=arguments.seed)
    started = time.perf_counter()
    through_inference = arguments.through == "inference"
    outcomes = by_inference(kb, patients) if through_inference else asyncio.run(by_consult(kb, patients))
    report: dict[str, Any] = {
        "what": "patients drawn from the same model: shows consistency, not clinical truth",
        "through": arguments.through,
        "patients": arguments.patients,
        "seed": arguments.seed,
        "seconds_per_case": round((time.perf_counter() - started) / arguments.patients, 5),
        "reference": ranking(outcomes),
        "baseline_prior_only": ranking(prior_only(kb, patients)),
    }
    if arguments.through == "consult":
        report["answering"] = answering(outcomes)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
