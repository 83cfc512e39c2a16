"""What could still be found out, and what it would change."""

import wardround as wr
from wardround.knowledge.clinician import reference_clinician
from wardround.knowledge.obtaining import obtainable

KB = reference_clinician().kb


def test_findings_of_the_other_sex_are_left_out_and_costs_follow_how_they_are_obtained() -> None:
    everything, of_men = obtainable(KB), obtainable(KB, sex="male")
    assert len(everything) == len(KB.findings)
    assert {c.bearing.code for c in everything} - {c.bearing.code for c in of_men} == {
        code for code, entry in KB.findings.items() if entry.sex == "female"
    }
    asked = [c.cost for c in everything if c.how == "ask"]
    scanned = [c.cost for c in everything if c.how == "ct"]
    assert max(asked) < min(scanned)


def test_what_would_change_a_suspicion_of_infarction_is_the_ecg_or_troponin_and_nothing_that_is_known() -> None:
    text = "55-year-old man with crushing chest pain radiating to the left arm and sweating for one hour."
    consult = wr.Ward(settings=wr.ConsultSettings(rollouts=1)).consult(wr.Case(narrative=text))
    told = consult.evidence.missing(obtainable(KB, sex="male"), "ST-elevation myocardial infarction")
    assert told[0].code == "st_elevation"
    assert not {t.code for t in told} & set(consult.evidence.readings)
    by_gain = [t.gain / t.cost for t in told]
    assert by_gain == sorted(by_gain, reverse=True)
