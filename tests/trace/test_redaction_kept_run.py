"""Who is known of a kept run, and names in the letters of JSON, addresses and markup."""

import html
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardround.core.case import Case, Record
from wardround.core.errors import UsageError
from wardround.trace.annotating import Annotation
from wardround.trace.events import EVENT, FhirExchanged, RecordRead, RunStarted, ToolCalled
from wardround.trace.recorder import Recorder
from wardround.trace.redaction import RedactedRun, StructuredRedactor, redact_run
from wardround.trace.redaction.escapes import unescaped

KEY = b"a key for the tests, 32 bytes...."
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "pat-4711",
    "name": [{"family": "García", "given": ["Zoë"]}],
}


def redacted(
    *problems: str, case: Case | None = None, settings: Any = None, answers: tuple[Any, ...] = ()
) -> RedactedRun:
    """A run whose log says these things, and a server that gave these answers, each to a URL."""
    case = case or Case(narrative="Fever.", record=Record(resources=(PATIENT,)))
    log = Recorder("run_aaaaaaaaaaaa")
    log.record(RunStarted, case=case.id, model="m", settings=settings or {})
    for url, answer in answers:
        log.record(
            FhirExchanged, method="GET", url=url, body=None, status=200, headers={}, answer=json.dumps(answer)
        )  # fmt: skip
    log.record(RecordRead, used={}, skipped={}, problems=problems)
    return redact_run(log.events, case, key=KEY)


def problems(run: RedactedRun) -> tuple[str, ...]:
    return next(event.problems for event in run.events if isinstance(event, RecordRead))


def text_of(run: RedactedRun) -> str:
    return "\n".join(EVENT.dump_json(event).decode() for event in run.events)


@pytest.mark.parametrize(
    "written",
    [
        json.dumps("by\nGarcía\tZoë"),
        json.dumps({"text": json.dumps({"inner": "by\nGarcía"})}),
        "name=" + quote("García"),
        "name=" + quote("Zoë García, here"),
        "&nbsp;Garc&iacute;a&#44; Zo&#235; &amp; Zo&#xEB;",
    ],
)
def test_a_name_is_found_in_whatever_letters_it_is_written(written: str) -> None:
    found = StructuredRedactor([PATIENT], key=KEY).text(f"He said: {written}.").value
    assert "[PATIENT]" in found
    for plain in (found, unescaped(found).text if unescaped(found) else found):  # type: ignore[union-attr]
        assert "Garc" not in plain
        assert "Zo" not in plain


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=40))
def test_reading_escapes_undoes_writing_them(text: str) -> None:
    for written in (json.dumps(text)[1:-1], quote(text, safe=""), html.escape(text)):
        found = unescaped(written)
        if found is None:
            assert written == text
            continue
        assert len(found.at) == len(found.text) + 1
        assert list(found.at) == sorted(found.at)
        assert found.at[-1] == len(written)
    whole = unescaped(quote(text, safe=""))
    assert (whole.text if whole is not None else text) == text


@given(st.text(alphabet='\\u0d9&;%nCaé"8#x', max_size=30))
def test_what_is_no_escape_is_read_as_it_stands(text: str) -> None:
    found = unescaped(text)
    if found is not None:
        assert len(found.text) < len(text) or found.text == text
        assert found.at[-1] == len(text)


def test_json_stays_json_when_a_name_in_it_goes() -> None:
    said = json.dumps({"who": 'seen by\nGarcía "Zoë" C:\\García'})
    found = json.loads(StructuredRedactor([PATIENT], key=KEY).text(said).value)
    assert found == {"who": 'seen by\n[PATIENT] "[PATIENT]" C:\\[PATIENT]'}


def test_people_whom_a_server_named_are_looked_for_everywhere() -> None:
    nurse = {"resourceType": "Practitioner", "id": "n-7", "name": [{"family": "Tembo", "given": ["Busi"]}]}
    bundle = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": nurse}, {"resource": PATIENT}]}
    run = redacted("Busi Tembo called", answers=(("https://h.example/fhir/Practitioner", bundle),))
    assert problems(run)[0].startswith("[CLINICIAN-")
    assert "Tembo" not in text_of(run)
    assert run.patients == 1
    assert "[PATIENT-" not in text_of(run), "one patient who was read twice is one"


def test_whom_a_search_was_for_is_looked_for_though_the_server_knew_nobody() -> None:
    url = "https://h.example/fhir/Patient?family:exact=Kowal&given=Milena&identifier=urn:mrn|MX90210"
    case = Case(narrative="Milena Kowal, MX90210, has fever.")
    run = redacted("find Kowal, Milena", case=case, answers=((url, {"resourceType": "Bundle", "type": "searchset"}),))
    assert not any(gone in text_of(run) + run.case.model_dump_json() for gone in ("Kowal", "Milena", "MX90210"))
    assert run.knows_names
    place = redacted("Kowal", case=case, answers=(("https://h.example/fhir/Organization?name=Kowal", {}),))
    assert problems(place) == ("Kowal",), "an institution is no person"


def test_the_patient_of_a_record_agent_is_renamed_though_nobody_read_it() -> None:
    case = Case(narrative="Order a film for S12345.")
    run = redacted("S12345 has none", case=case, settings={"patient": "Patient/S12345", "task": case.narrative})
    assert "S12345" not in text_of(run) + run.case.model_dump_json()
    assert not run.knows_names
    assert run.patients == 1


def test_the_id_of_a_case_goes_where_it_is_no_word() -> None:
    named = redacted("hale-1950: the note is cut", case=Case(id="hale-1950", narrative="Fever."))
    assert "hale-1950" not in text_of(named)
    assert named.case.id == named.events[0].case  # type: ignore[union-attr]
    assert named.case.id in problems(named)[0]
    word = redacted("cough", case=Case(id="cough", narrative="Fever and cough."))
    assert problems(word) == ("cough",)
    assert word.case.narrative == "Fever and cough."
    assert word.case.id != "cough"


def test_keys_and_numbers_that_a_model_made_up_are_read_too() -> None:
    patient = {**PATIENT, "identifier": [{"system": "urn:mrn", "value": "7730019"}]}
    log = Recorder("run_aaaaaaaaaaaa")
    log.record(RunStarted, case="c", model="m", settings={})
    log.record(
        ToolCalled, call="t", agent="a", tool="García", arguments={"Zoë": {"mrn": 7730019, "days": 90, "ok": True}}
    )
    case = Case(id="c", narrative="Fever.", record=Record(resources=(patient,)))
    called = redact_run(log.events, case, key=KEY).events[1]
    assert isinstance(called, ToolCalled)
    assert called.tool == "[PATIENT]"
    inner = called.arguments["[PATIENT]"]
    assert inner["days"] == 90
    assert inner["ok"] is True
    assert isinstance(inner["mrn"], str)
    assert "7730019" not in inner["mrn"]


def test_a_judgement_keeps_what_it_says_and_loses_who_and_about_whom() -> None:
    case = Case(narrative="Fever.", record=Record(resources=(PATIENT,)))
    log = Recorder("run_aaaaaaaaaaaa")
    log.record(RunStarted, case=case.id, model="m", settings={})
    when = datetime(2026, 3, 1, tzinfo=UTC)
    said = Annotation(run="run_aaaaaaaaaaaa", target="run", id="run_aaaaaaaaaaaa", label="wrong", why="Zoë is well",
                      who="quill", time=when, reason="missed", truth=("flu",))  # fmt: skip
    done = redact_run(log.events, case, key=KEY, judgements=[said])
    (judged,) = done.judgements
    assert judged.run == judged.id == done.events[0].run
    assert (judged.label, judged.why, judged.reason, judged.truth) == ("wrong", "[PATIENT] is well", "missed", ("flu",))
    assert judged.who.startswith("[PERSON-")
    assert judged.time - when == done.events[0].time - log.events[0].time


def test_a_short_key_is_refused() -> None:
    with pytest.raises(UsageError, match="can be guessed"):
        redact_run([], Case(narrative="Fever."), key=b"short")


@pytest.mark.parametrize(
    "name", ["%" + "25" * 40 + "47arcía", "&" + "amp;" * 40 + "#71;arcía", "\\" * 64 + "u0047arcía"]
)
def test_a_name_is_found_under_many_layers_of_escapes(name: str) -> None:
    assert "arcía" not in StructuredRedactor([PATIENT], key=KEY).text(f"Seen: {name}.").value


@pytest.mark.parametrize("text", ["%" + "25" * 2000 + "41", "&" + "amp;" * 2000 + "lt;"])
def test_a_text_that_is_escaped_without_end_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="escaped in itself more than 50 times"):
        StructuredRedactor([PATIENT], key=KEY).text(text)


@pytest.mark.parametrize("answer", ["[" * 100_000, '{"a":' * 100_000])
def test_an_answer_that_is_nested_without_end_is_searched_as_a_text(answer: str) -> None:
    log = Recorder("run_aaaaaaaaaaaa")
    log.record(RunStarted, case="case_1", model="m", settings={})
    told = {"method": "GET", "url": "http://h/Patient/pat-4711", "body": None, "status": 200, "headers": {}}
    log.record(FhirExchanged, **told, answer=f"{answer} García")
    case = Case(id="case_1", narrative="Fever.", record=Record(resources=(PATIENT,)))
    exchanged = redact_run(log.events, case, key=KEY).events[1]
    assert isinstance(exchanged, FhirExchanged)
    assert "García" not in (exchanged.answer or "")
