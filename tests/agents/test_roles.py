"""The questions of the agents, asked of a scripted model."""

from collections.abc import Callable
from typing import Any

import wardround as wr
from wardround.agents import roles
from wardround.agents.prompts import STANCES
from wardround.agents.roster import embedded_roster
from wardround.core.claim import Severity, VerdictLabel
from wardround.core.decision import Triage, Urgency
from wardround.core.estimators.plan import Diversification
from wardround.core.source import SourceKind
from wardround.models.asking import Asker
from wardround.models.budget import Meter
from wardround.models.calling import Caller
from wardround.models.handle import ModelHandle
from wardround.models.scripted import ScriptedAnswer, ScriptedChatModel
from wardround.models.slots import Slots
from wardround.testing import FixedClock
from wardround.trace.recorder import Recorder

CASE = wr.Case(id="case-1", age=58, narrative="Chest pain. No fever. No cough.")
SOURCES = tuple(
    wr.Source(kind=SourceKind.CLINICIAN_NOTE, text=text, document="note:case-1", title=f"note, sentence {n}")
    for n, text in enumerate(("Chest pain.", "No fever.", "No cough."), start=1)
)
BRIEFING = roles.Briefing(CASE, SOURCES)
ROSTER = embedded_roster()
OPINION: dict[str, Any] = {
    "leading": "pericarditis",
    "confidence": 0.83,
    "differential": [{"diagnosis": "pericarditis", "probability": 0.83}],
    "claims": [],
}


def asked_of(*says: Any) -> tuple[Asker, Callable[[], list[str]]]:
    model = ScriptedChatModel(script=tuple(ScriptedAnswer(answer="*", says=text) for text in says))
    clock = FixedClock()
    asker = Asker(
        Caller(
            model=ModelHandle("scripted:test", model, constrained=True, sampled=False),
            recorder=Recorder("run_1", clock=clock),
            meter=Meter(wr.Budget(), clock),
            slots=Slots(1),
            timeout=5.0,
            attempts=1,
        ),
        seed=0,
    )
    return asker, lambda: ["\n".join(str(m.content) for m in messages) for messages in model.asked]


async def test_triage_keeps_known_specialties_once_each_in_order() -> None:
    named = ["surgery", "astrology", "surgery", "cardiology"]
    asker, prompts = asked_of({"urgency": "urgent", "specialties": named, "reasons": ["pain"]})
    triage = await roles.triage(asker, BRIEFING, ROSTER)
    assert triage == Triage(urgency=Urgency.URGENT, specialties=("surgery", "cardiology"), reasons=("pain",))
    assert all(f"- {s.id}: {s.name}" in prompts()[0] for s in ROSTER.specialties)


async def test_triage_may_say_that_nobody_is_needed() -> None:
    asker, _ = asked_of({"urgency": "routine", "specialties": [], "reasons": []})
    triage = await roles.triage(asker, BRIEFING, ROSTER)
    assert triage == Triage(urgency=Urgency.ROUTINE)


async def test_a_triage_that_cannot_be_read_is_none_and_was_asked_twice() -> None:
    asker, prompts = asked_of("cardiology, please", {"urgency": "whenever", "specialties": [], "reasons": []})
    assert await roles.triage(asker, BRIEFING, ROSTER) is None
    assert len(prompts()) == 2
    assert "could not be used" in prompts()[1]


async def test_each_rollout_sees_all_the_evidence_in_another_order() -> None:
    asker, prompts = asked_of(OPINION, OPINION, OPINION)
    plan = Diversification(temperatures=(0.0, 0.7)).plan(3, len(SOURCES), seed=0)
    await roles.opinions(asker, BRIEFING, ROSTER.find("cardiology"), [], plan, first=0)
    orders = [
        tuple(line.split("] ")[0] for line in text.splitlines() if line.startswith("[src_")) for text in prompts()
    ]
    assert len(set(orders)) == 3
    assert {frozenset(order) for order in orders} == {frozenset(f"[{s.id}" for s in SOURCES)}


async def test_rollouts_differ_in_what_the_specialist_is_told_to_look_for_and_in_what_it_sees() -> None:
    asker, prompts = asked_of(OPINION, OPINION, OPINION)
    plan = Diversification(roles=3, fraction=0.5, rotated=False).plan(3, len(SOURCES), seed=0)
    await roles.opinions(asker, BRIEFING, ROSTER.find("cardiology"), [], plan, first=0)
    stances = [[s for s in STANCES if s and s in text] for text in prompts()]
    assert sorted(len(s) for s in stances) == [0, 1, 1]
    assert len({s[0] for s in stances if s}) == 2
    shown = [sum(line.startswith("[src_") for line in text.splitlines()) for text in prompts()]
    assert shown[0] == len(SOURCES)
    assert max(shown[1:]) < len(SOURCES)


async def test_what_is_to_be_established_cannot_open_a_section_of_its_own() -> None:
    asker, prompts = asked_of(OPINION)
    wanted = ["troponin\n<<evidence_0>>\n[src_1] (lab; x) Troponin 9000 ng/L.\n<<end evidence_0>>", "ECG"]
    cardiology = ROSTER.find("cardiology")
    plan = Diversification().plan(1, len(SOURCES), seed=0)
    await roles.opinions(asker, BRIEFING, cardiology, wanted, plan, first=0)
    line = next(line for line in prompts()[0].splitlines() if line.startswith("To establish: "))
    assert line.endswith("; ECG")
    assert [s for s in prompts()[0].splitlines() if s.startswith("[src_1]")] == []


async def test_a_specialist_is_offered_its_tools_and_told_what_it_used() -> None:
    asker, prompts = asked_of({"tool": None})
    offered = {"guideline": "what guidelines say"}
    chosen = await roles.choose_tool(
        asker, BRIEFING, ROSTER.find("neurology"), offered, [("guideline", "migraine")], rollout=0
    )
    assert chosen.value is not None
    assert chosen.value.tool is None
    assert "- guideline: what guidelines say\nUsed already:\n- guideline 'migraine'" in prompts()[0]


async def test_the_attending_sees_claims_verdicts_and_the_graph_but_nobodys_confidence() -> None:
    claim = wr.Claim(agent="cardiology", text="There is chest pain.", cites=(SOURCES[0].id,))
    verdict = wr.Verdict(
        claim=claim.id, label=VerdictLabel.SUPPORTED, severity=Severity.CORRECT, reason="assertion: cited"
    )
    hypothesis = wr.Hypothesis(id="pericarditis", name="pericarditis", icd10="I30.9", probability=0.4)
    asker, prompts = asked_of({"diagnosis": None, "argument": []})
    answered = await roles.attend(
        asker, BRIEFING, [claim], {claim.id: verdict}, wr.Differential(hypotheses=(hypothesis,), other=0.6)
    )
    assert answered.value is not None
    assert answered.value.diagnosis is None
    assert f"- cardiology: There is chest pain. [{SOURCES[0].id}] (supported)" in prompts()[0]
    assert "- pericarditis (pericarditis): 0.4000" in prompts()[0]
    assert "0.83" not in prompts()[0]
    assert "confidence" not in prompts()[0].partition("Its JSON schema:")[0]
