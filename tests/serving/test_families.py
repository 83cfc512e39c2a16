"""A whole consult with a tiny random model of every architecture that transformers implements, in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

import wardround as wr
from tests.serving.pictures import picture
from wardround.core.decision import DecisionStatus, GateReason
from wardround.models.catalogue.loading import embedded
from wardround.models.local.settings import LocalSettings
from wardround.testing.tiny import FAMILIES, build
from wardround.trace.events import ImageRead, ModelAnswered, ModelReached

SETTINGS = wr.ConsultSettings(rollouts=2, rollouts_differ_by=("temperature",), tool_steps=1, rounds=0, max_tokens=24)
LOCAL = LocalSettings(device="cpu", dtype="float32", batch=4, context=4096)
TEXT_ALONE = {"gemma3_text", "llama", "mistral", "mt5", "phi3", "qwen2", "qwen3"}


def consulted(folder: Path, images: Path, settings: wr.ConsultSettings = SETTINGS) -> wr.Consult:
    case = wr.Case(
        narrative="54-year-old man. Sudden chest pain for 2 hours. No fever.",
        images=(wr.ImageRef(uri=str(picture(images / "chest.png", bright=True)), modality="DX"),),
    )
    ward = wr.Ward(f"hf:{folder}", settings=settings, local=LOCAL)
    try:
        return ward.consult(case)
    finally:
        ward.model.chat.close()  # type: ignore[attr-defined]


def test_every_family_of_the_catalogue_that_can_be_built_is_built_here() -> None:
    tiny = {family.id for family in embedded().families.values() if family.facts["tiny"].value}
    assert tiny <= set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_consult_goes_through_and_ends_without_an_opinion_nobody_gave(family: str, tmp_path: Path) -> None:
    consult = consulted(build(family, tmp_path / "model"), tmp_path)
    (reached,) = [e for e in consult.events if isinstance(e, ModelReached)]
    answers = [e for e in consult.events if isinstance(e, ModelAnswered)]
    sees = family not in TEXT_ALONE
    assert reached.images is sees
    assert len([e for e in consult.events if isinstance(e, ImageRead)]) == sees
    assert any("takes no images" in problem for problem in consult.problems) is not sees
    assert {e.finish for e in answers} <= {"length", "stop"}
    assert consult.usage.tokens > 0
    assert {"triage", "attending"} <= set(consult.usage.agents)
    assert consult.decision.status is DecisionStatus.ABSTAINED
    assert {GateReason.NO_OPINION, GateReason.NO_DIAGNOSIS} & {reason.code for reason in consult.decision.reasons}


def test_answers_of_a_model_that_may_finish_are_read(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"max_tokens": 2500, "rollouts": 1, "least_rollouts": 1})
    consult = consulted(build("qwen3", tmp_path / "model"), tmp_path, settings)
    assert "stop" in {e.finish for e in consult.events if isinstance(e, ModelAnswered)}
    assert GateReason.NO_OPINION not in {reason.code for reason in consult.decision.reasons}
    assert consult.decision.status is DecisionStatus.ABSTAINED
