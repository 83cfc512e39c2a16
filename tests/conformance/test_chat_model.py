from typing import Any

import pytest

from wardround.knowledge.clinician import reference_clinician
from wardround.models.handle import ModelHandle
from wardround.models.resolve import resolve
from wardround.testing import DelayedChatModel, ScriptedAnswer, ScriptedChatModel
from wardround.testing.conformance import CHAT_MODEL_PROMISES


def reference() -> ModelHandle:
    return resolve("reference", clinician=reference_clinician())


def scripted() -> ModelHandle:
    says: dict[str, Any] = {
        "TriageAnswer": {"urgency": "urgent", "specialties": [], "reasons": []},
        "PlanAnswer": {"indicators": []},
        "ToolChoice": {"tool": None},
        "SpecialistAnswer": {"leading": None, "confidence": 0.0, "differential": [], "claims": []},
        "AttendingAnswer": {"diagnosis": None, "argument": []},
    }
    steps = tuple(ScriptedAnswer(answer=name, says=text, times=9) for name, text in says.items())
    return ModelHandle("scripted", ScriptedChatModel(script=steps), constrained=True, sampled=False)


def delayed() -> ModelHandle:
    return ModelHandle("delayed", DelayedChatModel(inner=reference().chat, seconds=0.0), constrained=True, sampled=True)


@pytest.mark.parametrize("promise", CHAT_MODEL_PROMISES, ids=lambda promise: promise.__name__)
@pytest.mark.parametrize("adapter", [reference, scripted, delayed], ids=lambda adapter: adapter.__name__)
async def test_a_chat_model_keeps_its_promises(adapter, promise) -> None:  # type: ignore[no-untyped-def]
    await promise(adapter())
