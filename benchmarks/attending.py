"""What an attending makes of specialists who all err, and of specialists who are right.

python benchmarks/attending.py [--patients 200] [--split dev] [--seed 0]
Prints one JSON document: simulated patients, and vignettes that were not drawn from the knowledge. The reference model
is asked in all roles; wrong diagnoses are put into the specialists' answers, with invented findings that argue for
them. Recovery counts the cases that the same consult gets right without that. The reference attending reads the
evidence for itself, and the evidence graph takes nothing from opinions, so recovery is what the design promises; here
it is measured that it keeps the promise, also where the attending himself follows the specialists. A language model in
the attending's place may be swayed further.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from pydantic import PrivateAttr

from wardround.core.decision import DecisionStatus
from wardround.core.frozen import content_id
from wardround.evals.ablation.patients import Corruption, corrupted_patients
from wardround.evals.gold import Sample
from wardround.evals.statistics import proportion
from wardround.evals.vignettes import vignettes
from wardround.graphs.consult import Consult
from wardround.graphs.settings import ConsultSettings
from wardround.graphs.ward import Ward
from wardround.knowledge.clinician import reference_clinician
from wardround.models.handle import ModelHandle
from wardround.models.resolve import resolve
from wardround.testing.erring import ErringChatModel, Errors

CLEAN = Corruption(wrong_readings=0.0, copied_errors=0.0, hallucinations=0.0, erring=0.0)
ARMS = {
    "all_right": Errors(told=True),
    "all_err_together": Errors(wrong=1.0, drawn="case"),
    "all_err_each_its_own": Errors(wrong=1.0, drawn="rollout"),
    "attending_follows_them": Errors(wrong=1.0, drawn="case", attending_errs=True),
}


class Remembering(BaseChatModel):
    """Answers as another model does; what it was asked before to the letter it does not work out again."""

    inner: BaseChatModel
    _held: dict[str, ChatResult] = PrivateAttr(default_factory=dict)

    @property
    def _llm_type(self) -> str:
        return self.inner._llm_type

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        key = content_id("asked", [message.text for message in messages], kwargs)
        if key not in self._held:
            self._held[key] = self.inner._generate(messages, stop, run_manager, **kwargs)
        return self._held[key].model_copy(deep=True)


@dataclass(frozen=True)
class Answer:
    """What came out for one case; each is right or not."""

    leading: bool
    final: bool
    is_final: bool
    majority: bool
    best: bool
    """Whether any specialist alone is right: nobody could choose better among them."""
    opinions: bool
    """Whether every single opinion is right."""
    voted: bool
    """Whether anybody gave an opinion."""

    @property
    def wrong(self) -> bool:
        """Whether a wrong diagnosis is final."""
        return self.is_final and not self.final

    @property
    def recovered(self) -> bool:
        """Whether the decision is right, or the gate stayed closed and the leading hypothesis is right."""
        return self.final or (not self.is_final and self.leading)


def answer(sample: Sample, consult: Consult) -> Answer:
    right = set(sample.gold.conditions)
    decision = consult.decision
    top = decision.differential.top
    votes = [o.cluster for o in consult.opinions if o.cluster is not None]
    is_final = decision.status is DecisionStatus.FINAL
    return Answer(
        leading=top is not None and top.id in right,
        final=is_final and decision.diagnosis is not None and decision.diagnosis.id in right,
        is_final=is_final,
        majority=first(votes) in right,
        best=any(first([o.cluster for o in consult.opinions if o.agent == a]) in right for a in agents(consult)),
        opinions=bool(votes) and set(votes) <= right,
        voted=bool(votes),
    )


def agents(consult: Consult) -> list[str]:
    return sorted({opinion.agent for opinion in consult.opinions})


def first(votes: Sequence[str | None]) -> str | None:
    """The commonest vote; of several as common the first by name."""
    counts = Counter(vote for vote in votes if vote is not None)
    return min(counts, key=lambda vote: (-counts[vote], vote), default=None)


async def consulted(samples: Sequence[Sample], base: ModelHandle, errors: Errors | None, seed: int) -> list[Answer]:
    found = []
    settings = ConsultSettings(rollouts=3, least_rollouts=3, seed=seed)
    for sample in samples:
        model = base
        if errors is not None:
            erring = ErringChatModel(
                inner=base.chat,
                errors=errors.model_copy(update={"seed": seed}),
                clinician=reference_clinician(),
                right=frozenset(sample.gold.conditions),
            )
            model = erring.handle(base)
        found.append(answer(sample, await Ward(model, settings=settings).aconsult(sample.case)))
    return found


def share(answers: Sequence[Answer], of: Callable[[Answer], bool]) -> dict[str, Any]:
    return proportion([of(one) for one in answers]).as_json()


def shares(answers: Sequence[Answer]) -> dict[str, Any]:
    return {
        "recovered": share(answers, lambda a: a.recovered),
        "final_and_right": share(answers, lambda a: a.final),
        "final_and_wrong": share(answers, lambda a: a.wrong),
        "leading_right": share(answers, lambda a: a.leading),
        "majority_vote": share(answers, lambda a: a.majority),
        "best_single_specialist": share(answers, lambda a: a.best),
    }


async def measured(samples: Sequence[Sample], seed: int) -> dict[str, Any]:
    reference = resolve("reference", clinician=reference_clinician())
    base = replace(reference, chat=Remembering(inner=reference.chat))
    plain = await consulted(samples, base, None, seed)
    kept = [i for i, one in enumerate(plain) if one.leading and one.voted]
    agreed = [one for one in plain if one.opinions]
    voted = [one for one in plain if one.voted and one.majority]
    report: dict[str, Any] = {
        "cases": len(samples),
        "without_errors": shares(plain),
        "where_the_majority_is_right": {"lost": share(voted, lambda a: not a.recovered), **shares(voted)},
        "where_every_opinion_is_right": {"lost": share(agreed, lambda a: not a.recovered), **shares(agreed)},
    }
    for name, errors in ARMS.items():
        every = await consulted(samples, base, errors, seed)
        report[name] = {
            "specialists_right": share([a for a in every if a.voted], lambda a: a.opinions),
            "all_cases": shares(every),
            "where_the_consult_without_errors_is_right": shares([every[i] for i in kept]),
        }
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=200)
    parser.add_argument("--split", choices=("dev", "test"), default="dev")
    parser.add_argument("--vignettes", type=int, default=None, help="only the first of them")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    drawn = corrupted_patients(reference_clinician().kb, given.patients, seed=given.seed, corruption=CLEAN)
    written = [sample for sample in vignettes(given.split) if not sample.gold.outside][: given.vignettes]
    report = {
        "what": "an attending and a gate facing specialists who err, by injection; reference model in all roles",
        "notice": "simulated patients and vignettes that no clinician reviewed: no evidence of clinical accuracy",
        "seed": given.seed,
        "simulated_patients": asyncio.run(measured([p.sample for p in drawn], given.seed)),
        f"vignettes_{given.split}": asyncio.run(measured(written, given.seed)),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
