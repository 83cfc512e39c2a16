"""A model that answers at once, the same to everybody: what is left is the framework."""

from __future__ import annotations

from typing import Any

from wardround.models.handle import ModelHandle
from wardround.models.scripted import ScriptedAnswer, ScriptedChatModel

CASE = (
    "A 24-year-old man with right lower quadrant pain for one day that began around the umbilicus. Anorexia, "
    "nausea and one vomit. Temperature 38.1 C, HR 104, BP 122/76. Tender in the right iliac fossa with guarding. "
    "WBC 15.2 x10^9/L, CRP 68 mg/L."
)
ANSWERS: dict[str, Any] = {
    "TriageAnswer": {"urgency": "urgent", "specialties": ["surgery", "gastroenterology"], "reasons": []},
    "PlanAnswer": {"indicators": []},
    "ToolChoice": {"tool": None},
    "SpecialistAnswer": {
        "leading": "acute appendicitis",
        "confidence": 0.9,
        "differential": [{"diagnosis": "acute appendicitis", "probability": 0.9}],
        "claims": [{"text": "There is guarding.", "evidence": []}],
    },
    "AttendingAnswer": {"diagnosis": "acute appendicitis", "argument": []},
}


def noop_chat() -> ScriptedChatModel:
    steps = [ScriptedAnswer(answer=name, says=says, times=10**9) for name, says in ANSWERS.items()]
    return ScriptedChatModel(script=tuple(steps))


def noop_handle() -> ModelHandle:
    return ModelHandle("noop", noop_chat(), constrained=True, sampled=False)
