"""A whole run without identifiers: same evidence, same links, same verdicts, and nobody's name."""

import json
from typing import Any

import pytest

from wardround import Case, Ward
from wardround.core.case import Record
from wardround.core.claim import Claim, Severity, Verdict, VerdictLabel
from wardround.core.errors import StoreError
from wardround.core.finding import Assertion, Finding
from wardround.core.graph import (
    BearingItem,
    Candidate,
    CandidatesItem,
    ClaimItem,
    EvidenceGraph,
    ReadingItem,
    SourceItem,
)
from wardround.core.items import Item, Provenance, ProvenanceItem, VerdictItem
from wardround.core.source import Source, SourceKind
from wardround.testing import FixedClock
from wardround.trace import views
from wardround.trace.events import (
    EVENT,
    Event,
    EvidenceAdded,
    FhirExchanged,
    ImageRead,
    ModelAnswered,
    ModelAsked,
    OpinionGiven,
    RunStarted,
    SpanEnded,
    SpanKind,
    SpanStarted,
    ToolCalled,
)
from wardround.trace.recorder import Recorder
from wardround.trace.redaction import LogRedactor, StructuredRedactor, log, redact_events

KEY = b"a key for the tests, 32 bytes...."
RECORD: list[dict[str, Any]] = [
    {
        "resourceType": "Patient",
        "id": "pat-4711",
        "name": [{"family": "Graves", "given": ["Robert"]}],
        "identifier": [{"system": "urn:mrn", "value": "H00417"}],
        "birthDate": "1950-02-03",
        "gender": "male",
    },
    {"resourceType": "Practitioner", "id": "doc-7", "name": [{"family": "Okonkwo", "given": ["Ada"]}]},
    {
        "resourceType": "Encounter",
        "id": "enc-9",
        "subject": {"reference": "Patient/pat-4711"},
        "period": {"start": "2023-03-12"},
    },
]
NOTE = (
    "Mr Robert Graves, H00417, came on 12 March 2023. Graves has fever and cough. Dr Okonkwo suspects Graves' disease."
)
GONE = ("Robert", "Okonkwo", "H00417", "pat-4711", "2023-03-12", "12 March 2023", "Graves has", "Graves,")


def sentences(document: str, *texts: str) -> list[Source]:
    found, start = [], 0
    for n, text in enumerate(texts, start=1):
        found.append(
            Source(
                kind=SourceKind.CLINICIAN_NOTE, text=text, document=document, title=f"note, sentence {n}", start=start
            )
        )
        start += len(text) + 1
    return found


FIRST, SECOND, THIRD = sentences("note:pat-4711", *(f"{part}." for part in NOTE.rstrip(".").split(". ")))
COPY = Source(
    kind=SourceKind.CLINICIAN_NOTE,
    text=SECOND.text,
    document="DocumentReference/note-3",
    title="DocumentReference/note-3",
)
PASSAGE = Source(
    kind=SourceKind.GUIDELINE,
    text="Graves RJ, 12 March 2023: fever and cough.",
    document="guideline",
    citation="Graves 2023",
)
CLAIMS = (
    Claim(agent="infectious disease", text="Robert Graves has fever.", cites=(SECOND.id,)),
    Claim(agent="infectious disease", text="Mr Graves has fever.", cites=(SECOND.id,)),
)


def reading(source: Source, code: str, word: str, assertion: Assertion = Assertion.PRESENT) -> ReadingItem:
    start = source.text.index(word)
    return ReadingItem(
        finding=Finding(code=code, source=source.id, span=(start, start + len(word)), assertion=assertion)
    )


ITEMS: list[Item] = [
    *(SourceItem(source=source) for source in (FIRST, SECOND, THIRD, COPY, PASSAGE)),
    reading(SECOND, "fever", "fever"),
    reading(COPY, "fever", "fever"),
    reading(SECOND, "cough", "cough", Assertion.ABSENT),
    ProvenanceItem(kind=Provenance.DERIVED_FROM, tail=COPY.id, head=SECOND.id),
    CandidatesItem(
        candidates=(
            Candidate(id="graves", name="Graves' disease", prior=0.5),
            Candidate(id="flu", name="Influenza", prior=0.45),
        )
    ),
    BearingItem(code="fever", name="fever", group="systemic", background=0.1, present={"flu": 0.9}),
    BearingItem(code="cough", name="cough", group="airways", background=0.2, present={"flu": 0.8}),
    *(ClaimItem(claim=claim) for claim in CLAIMS),
    VerdictItem(
        verdict=Verdict(
            claim=CLAIMS[0].id, label=VerdictLabel.SUPPORTED, severity=Severity.CORRECT, evidence=(SECOND.id,),
            reason=f"stated in {SECOND.id}: Graves has fever",
        )
    ),
    VerdictItem(
        verdict=Verdict(claim=CLAIMS[1].id, label=VerdictLabel.NOT_ADDRESSED, severity=Severity.UNSCORED, reason="none")
    ),
]  # fmt: skip
EXCHANGED = {
    "method": "GET",
    "url": "https://ehr.hospital.example/fhir/Encounter?patient=pat-4711&name=Robert%20Graves",
    "body": None,
    "status": 200,
    "headers": {"Location": "https://ehr.hospital.example/fhir/Encounter/enc-9"},
    "answer": json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": RECORD[2]}]}),
}


def story() -> list[Event]:
    recorder = Recorder("run_0123456789ab", clock=FixedClock(step=1.0))
    recorder.record(RunStarted, case="pat-4711", model="reference", settings={"rollouts": 3})
    with recorder.span("consult", SpanKind.RUN):
        for item in ITEMS:
            recorder.record(EvidenceAdded, item=item)
        message = {"role": "user", "content": f"[{SECOND.id}] {SECOND.text}"}
        recorder.record(
            ModelAsked, call="call_0123456789ab", agent="graves", model="m", answer="TriageAnswer", rollout=0,
            attempt=0, messages=(message,),
        )  # fmt: skip
        tokens = (("Mr", -0.1), (" Rob", -0.2), ("ert G", -0.3), ("raves has", -0.4), (" fever", -0.5))
        recorder.record(
            ModelAnswered, call="call_0123456789ab", text="".join(t for t, _ in tokens), seconds=0.1, logprobs=tokens
        )
        recorder.record(
            ToolCalled, call="t", agent="a", tool="record", arguments={"patient": "pat-4711", "since": "2023-03-12"}
        )
        recorder.record(FhirExchanged, **EXCHANGED)
        recorder.record(
            ImageRead, uri="/scans/Robert_Graves.png", sha256="ab" * 32, original="cd" * 32, width=1, height=1,
            changes=(), problems=(),
        )  # fmt: skip
    return recorder.events


@pytest.fixture(scope="module")
def done() -> list[Event]:
    return redact_events(story(), RECORD, key=KEY).value


def graph(events: list[Event]) -> EvidenceGraph:
    return views.evidence_graph(events)


def text_of(events: list[Event]) -> str:
    return "\n".join(EVENT.dump_json(event).decode() for event in events)


@pytest.mark.parametrize("gone", [*GONE, "hospital.example", "Robert_Graves", "ab" * 32, "run_0123456789ab", "ert G"])
def test_no_identifier_is_left_in_a_log(done: list[Event], gone: str) -> None:
    assert gone in text_of(story())
    literature = [e for e in done if isinstance(e, EvidenceAdded) and getattr(e.item, "source", None) == PASSAGE]
    assert len(literature) == 1, "what is published names nobody here"
    assert gone not in text_of([e for e in done if e not in literature])


def test_the_posterior_and_the_differential_are_the_same(done: list[Event]) -> None:
    assert graph(done).posterior.tolist() == graph(story()).posterior.tolist()
    assert graph(done).differential == graph(story()).differential
    assert len(graph(done).items) == len(graph(story()).items)


def test_claims_cite_what_they_cited_and_verdicts_judge_what_they_judged(done: list[Event]) -> None:
    after = graph(done)
    assert views.unsupported_claims(done) == []
    items = [item for item in after.items if isinstance(item, VerdictItem)]
    labels = {after.claims[item.verdict.claim].text: item.verdict.label.value for item in items}
    assert labels == {"[PATIENT] has fever.": "supported", "Mr [PATIENT] has fever.": "not_addressed"}
    assert set(items[0].verdict.evidence) <= set(after.sources)
    assert next(iter(items[0].verdict.evidence)) in items[0].verdict.reason


def test_claims_that_differed_by_a_name_alone_stay_two() -> None:
    claims = [
        Claim(agent="a", text=f"{name} has fever.", cites=(SECOND.id,)) for name in ("Robert Graves", "R. Graves")
    ]
    recorder = Recorder("run_1", clock=FixedClock(step=1.0))
    recorder.record(RunStarted, case="c", model="reference", settings={})
    for item in (SourceItem(source=SECOND), *(ClaimItem(claim=claim) for claim in claims)):
        recorder.record(EvidenceAdded, item=item)
    after = graph(redact_events(recorder.events, RECORD, key=KEY).value)
    assert sorted(claim.text for claim in after.claims.values()) == ["[PATIENT] has fever.", "[PATIENT] has fever. (2)"]


def test_a_copy_is_still_a_copy(done: list[Event]) -> None:
    after = graph(done)
    copy = next(s for s in after.sources.values() if s.document.startswith("DocumentReference/"))
    assert after.origin(copy.id).copied
    assert after.origin(copy.id).roots == graph(done).origin(copy.id).roots


def test_a_reading_points_at_the_same_words(done: list[Event]) -> None:
    after = graph(done)
    for item in after.items:
        if isinstance(item, ReadingItem) and item.finding.span is not None and item.finding.source is not None:
            start, end = item.finding.span
            assert after.sources[item.finding.source].text[start:end] == item.finding.code


def test_a_source_stands_where_it_stands_in_the_redacted_note(done: list[Event]) -> None:
    case = Case(id="pat-4711", narrative=NOTE, record=Record(resources=tuple(RECORD)))
    redacted = LogRedactor(StructuredRedactor(RECORD, key=KEY)).case(case).value
    note = [s for s in graph(done).sources.values() if s.document == f"note:{redacted.id}"]
    assert len(note) == 3
    for source in note:
        assert source.start is not None
        assert redacted.narrative is not None
        assert redacted.narrative[source.start : source.start + len(source.text)] == source.text


def test_prompts_name_sources_as_the_evidence_does(done: list[Event]) -> None:
    asked = next(e for e in done if isinstance(e, ModelAsked))
    named = asked.messages[0]["content"].split("]")[0].removeprefix("[")
    assert graph(done).sources[named].text in asked.messages[0]["content"]
    assert asked.agent == "graves", "names of agents are those of the software"


def test_tokens_of_an_answer_spell_its_redacted_text(done: list[Event]) -> None:
    answered = next(e for e in done if isinstance(e, ModelAnswered))
    assert answered.logprobs is not None
    assert "".join(token for token, _ in answered.logprobs) == answered.text == "Mr [PATIENT] has fever"
    assert [p for _, p in answered.logprobs] == [-0.1, -0.2, -0.3, -0.4, -0.5]


def test_exchanges_with_a_server_lead_to_the_same_resources(done: list[Event]) -> None:
    exchanged = next(e for e in done if isinstance(e, FhirExchanged))
    encounter = json.loads(exchanged.answer or "")["entry"][0]["resource"]
    patient = encounter["subject"]["reference"].removeprefix("Patient/")
    assert exchanged.url == f"https://redacted.invalid/fhir/Encounter?patient={patient}&name=[PATIENT]"
    assert exchanged.headers["Location"] == f"https://redacted.invalid/fhir/Encounter/{encounter['id']}"
    called = next(e for e in done if isinstance(e, ToolCalled))
    assert called.arguments == {"patient": patient, "since": encounter["period"]["start"]}


def test_clusters_of_opinions_stay_ids_and_lose_names_where_they_are_words() -> None:
    recorder = Recorder("run_1", clock=FixedClock(step=1.0))
    recorder.record(RunStarted, case="c", model="reference", settings={})
    recorder.record(EvidenceAdded, item=ITEMS[9])
    for cluster in ("graves", "robert graves disease of okonkwo"):
        recorder.record(OpinionGiven, agent="a", rollout=0, opinion=None, cluster=cluster)
    after = [e.cluster for e in redact_events(recorder.events, RECORD, key=KEY).value if isinstance(e, OpinionGiven)]
    assert after[0] == "graves"
    assert "okonkwo" not in (after[1] or "")


def test_times_of_the_log_keep_their_distance(done: list[Event]) -> None:
    shifts = {after.time - before.time for before, after in zip(story(), done, strict=True)}
    assert len(shifts) == 1
    assert -364 <= shifts.pop().days <= -1


def test_spans_and_the_shape_of_the_log_stay(done: list[Event]) -> None:
    assert [e.event for e in done] == [e.event for e in story()]
    assert len({e.run for e in done}) == 1
    opened = [e.opened for e in done if isinstance(e, SpanStarted)]
    assert {e.span for e in done} == {"", *opened}
    assert [e.closed for e in done if isinstance(e, SpanEnded)] == opened


def test_the_same_key_redacts_the_same_and_another_otherwise(done: list[Event]) -> None:
    assert redact_events(story(), RECORD, key=KEY).value == done
    assert redact_events(story(), RECORD, key=b"another key of 16 bytes").value != done


def test_the_report_of_a_log_has_numbers_and_no_values() -> None:
    report = redact_events(story(), RECORD, key=KEY).report
    told = json.dumps(report.to_json())
    assert report.replaced["name"] > 3  # type: ignore[index]
    assert not any(value in told for value in GONE)


def test_a_log_that_would_say_something_else_is_not_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log.EvidenceRedactor, "finding", lambda self, finding: finding)  # readings lose their source
    with pytest.raises(StoreError, match="something else"):
        redact_events(story(), RECORD, key=KEY)


def test_a_real_consult_says_the_same_without_its_patient() -> None:
    case = Case(
        narrative="Mr Robert Graves (H00417), 66-year-old man. Fever and productive cough for 4 days. "
        "Robert Graves denies chest pain. Crackles over the right lung. Seen on 12 March 2023 by Dr. Ada Okonkwo."
    )
    events = Ward(model="reference").consult(case).events
    done = redact_events(events, RECORD, key=KEY).value
    before, after = graph(list(events)), graph(done)
    assert after.differential == before.differential
    assert [v.label for v in after.verdicts.values()] == [v.label for v in before.verdicts.values()]
    assert views.decision(done).status == views.decision(events).status  # type: ignore[union-attr]
    assert views.unsupported_claims(done) == views.unsupported_claims(events) == []
    assert not any(gone in text_of(done) for gone in GONE)
