"""A run that is given out with `--redact`: names planted in every place that people, models and servers write into."""

import html
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from wardround import Case, Ward
from wardround.cli import exports
from wardround.core.case import ImageRef, Record
from wardround.core.errors import StoreError, UsageError
from wardround.core.items import SourceItem
from wardround.core.source import Source, SourceKind
from wardround.trace import views
from wardround.trace.events import (
    EVENT,
    AnswerRefused,
    Event,
    EvidenceAdded,
    FhirExchanged,
    ImageRead,
    ModelAnswered,
    ModelAsked,
    Outcome,
    RecordRead,
    Resumed,
    RunEnded,
    RunStarted,
    SpanKind,
    Suspended,
    ToolCalled,
    ToolReturned,
)
from wardround.trace.recorder import Recorder
from wardround.trace.redaction import log as redaction_log
from wardround.trace.store import Annotation, RunStore

Command = Callable[..., Any]

FAMILY, GIVEN, CLINICIAN, AUNT = "García-Okafor", "Joaquín", "Okonkwo", "Zubeida"
"""The aunt and nurse Tembo are named by the server alone, the others by the record."""
GONE = (
    "Garc", "Okafor", "Joaqu", "Okonkwo", "Zubeida", "Tembo", "H00417", "pat-4711", "555-0142", "hospital.example",
    "2023-03-12", "12 March 2023", "quill", "7730019",
)  # fmt: skip
RECORD: list[dict[str, Any]] = [
    {
        "resourceType": "Patient",
        "id": "pat-4711",
        "name": [{"family": FAMILY, "given": [GIVEN]}],
        "identifier": [{"system": "urn:mrn", "value": "H00417"}, {"system": "urn:mrn", "value": "7730019"}],
        "telecom": [{"system": "phone", "value": "+1 212 555-0142"}],
        "birthDate": "1950-02-03",
        "gender": "male",
    },
    {"resourceType": "Practitioner", "id": "doc-7", "name": [{"family": CLINICIAN, "given": ["Ada"]}]},
    {
        "resourceType": "Observation",
        "id": "obs-1",
        "status": "final",
        "subject": {"reference": "Patient/pat-4711", "display": f"{GIVEN} {FAMILY}"},
        "code": {"coding": [{"system": "http://loinc.org", "code": "8310-5"}], "text": "Body temperature"},
        "valueQuantity": {"value": 39.1, "unit": "Cel", "system": "http://unitsofmeasure.org", "code": "Cel"},
        "effectiveDateTime": "2023-03-12",
        "note": [{"text": f"Seen by {CLINICIAN}"}],
    },
]
NOTE = (
    f"Mr {GIVEN} {FAMILY} (H00417), 66-year-old man. Fever and productive cough for 4 days. "
    f"{FAMILY} denies chest pain. Crackles over the right lung. Seen on 12 March 2023 by Dr. Ada {CLINICIAN}."
)
SERVED = {
    "resourceType": "Bundle",
    "type": "searchset",
    "entry": [
        {"resource": RECORD[0]},
        {"resource": {"resourceType": "RelatedPerson", "id": "rel-1", "name": [{"given": [AUNT], "family": FAMILY}]}},
        {"resource": {"resourceType": "Practitioner", "id": "doc-8", "name": [{"text": "Nurse Busi Tembo"}]}},
    ],
}
SAID = json.dumps({"thoughts": f"Seen.\n{FAMILY} and\n{AUNT} say\t{GIVEN} coughs.", "who": f"{CLINICIAN}"})
"""As a model says it: line feeds as `\\n`, accents as `\\u00ed`."""


def case() -> Case:
    return Case(
        id="pat-4711",
        complaint=f"{GIVEN} coughs",
        narrative=NOTE,
        record=Record(resources=tuple(RECORD), origin=f"/wards/{CLINICIAN}/pat-4711.json"),
        images=(ImageRef(uri=f"/scans/{FAMILY}_{GIVEN}.png", modality="DX", body_part=f"chest of {GIVEN}"),),
    )


def hostile(run: str) -> list[Event]:
    """A log in which everybody who may write wrote a name."""
    log = Recorder(run)
    address = "https://ehr.hospital.example/fhir"
    log.record(
        RunStarted, case="pat-4711", model="reference",
        settings={
            "task": f"Order a film for {GIVEN} {FAMILY}.", "server": address, "api_base": address,
            "patient": "Patient/pat-4711", "fork": {"of": run, "edits": {"answers": {"call_1": f"{AUNT} said so"}}},
        },
    )  # fmt: skip
    with log.span("consult", SpanKind.RUN):
        log.record(RecordRead, used={}, skipped={}, problems=(f"{CLINICIAN}'s note was cut",))
        source = Source(
            kind=SourceKind.CLINICIAN_NOTE, text=f"{AUNT} was here.", document="note:pat-4711", title=FAMILY
        )
        log.record(EvidenceAdded, item=SourceItem(source=source))
        log.record(
            ImageRead, uri=f"/scans/{FAMILY}_{GIVEN}.png", sha256="ab" * 32, original="cd" * 32, width=1, height=1,
            changes=(), problems=(f"{FAMILY}.png is dark",),
        )  # fmt: skip
        with log.span("model", SpanKind.MODEL):
            call = {"name": f"ask_{GIVEN}", "args": {f"{GIVEN} {FAMILY}": 7730019}, "id": "call_1", "type": "tool_call"}
            messages = (
                {"role": "user", "content": [{"type": "text", "text": f"[note] {NOTE}"}]},
                {"role": "assistant", "content": SAID, "tool_calls": [call]},
                {"role": "tool", "content": f"GET {address}/Patient?name={GIVEN}%20Garc%C3%ADa&x=pat-4711 of {AUNT}"},
            )
            log.record(
                ModelAsked, call="call_0123456789ab", agent="attending", model="m", answer="A", rollout=0, attempt=0,
                messages=messages,
            )  # fmt: skip
            log.record(
                ModelAnswered, call="call_0123456789ab", text=SAID, seconds=0.1, tool_calls=(call,),
                invalid_tool_calls=({"name": GIVEN, "args": SAID, "error": f"{AUNT}?"},),
                refusal=f"{CLINICIAN} would not",
            )  # fmt: skip
            log.record(
                AnswerRefused, call="call_0123456789ab", agent="attending", fault=f"'{FAMILY}' is none", final=True,
                quote=f"I will not speak of {GIVEN}",
            )  # fmt: skip
        with log.span(f"{GIVEN} {FAMILY}", SpanKind.TOOL):
            told = {FAMILY: {"patient": "pat-4711", "mrn": 7730019, "since": "2023-03-12"}}
            log.record(ToolCalled, call="t", agent="attending", tool=f"{GIVEN} {FAMILY}", arguments=told)
            log.record(
                FhirExchanged, method="GET", url=f"{address}/Patient?family=Garc%C3%ADa-Okafor&given={GIVEN}",
                body=json.dumps([SAID]), status=200, headers={"Location": f"{address}/Patient/pat-4711"},
                answer=json.dumps(SERVED), fault=f"{address} is slow for {AUNT}",
            )  # fmt: skip
            text = f"<p>Garc&iacute;a-Okafor, {html.escape(CLINICIAN)}</p>" + json.dumps(SAID) + " +1 (212) 555-0142"
            log.record(ToolReturned, call="t", text=text, error=f"nurse Tembo and {AUNT} know")
        log.record(Suspended, question={"reasons": [{"code": "x", "detail": f"{FAMILY} is unsure"}]})
        log.record(Resumed, answer={"diagnosis": "pneumonia", "note": f"{CLINICIAN}: agreed, {AUNT} too"})
    log.record(RunEnded, outcome=Outcome.FAILED, error=f"ValueError: {GIVEN} {FAMILY}")
    return log.events


def keep(store: RunStore, events: list[Event], case: Case) -> str:
    run = events[0].run
    assert isinstance(events[0], RunStarted)
    store.begin(events[0])
    store.append(run, events)
    store.keep_case(run, case.model_dump_json())
    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a real consult of a case with a record, a hostile log, and judgements that name people."""
    folder = tmp_path_factory.mktemp("exports")
    consult = Ward(model="reference", workspace=folder / "ws").consult(case())
    store = RunStore.existing(folder / "ws")
    keep(store, hostile("run_aaaaaaaaaaaa"), case())
    claim, source = consult.claims[0][0].id, next(iter(consult.evidence.sources))
    for target, name in (("run", consult.run), ("claim", claim), ("source", source), ("claim", "clm_000000000000")):
        judgement = {
            "label": "wrong",
            "why": f"{GIVEN} was well, says {CLINICIAN}",
            "who": "quill",
            "time": datetime.now(UTC),
        }
        store.annotate(Annotation(run=consult.run, target=target, id=name, **judgement))  # type: ignore[arg-type]
    (folder / "key").write_bytes(b"a secret of this hospital")
    (folder / "consult").write_text(consult.run)
    store.close()
    return folder


@pytest.fixture(scope="module", params=["consult", "hostile"])
def run(request: pytest.FixtureRequest, folder: Path) -> str:
    return (folder / "consult").read_text() if request.param == "consult" else "run_aaaaaaaaaaaa"


def readings(text: str) -> Iterator[str]:
    """A text as it stands, and with its escapes read, layer by layer."""
    for _ in range(4):
        yield text
        text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), html.unescape(unquote(text)))
        text = text.replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")


def leaked(text: str) -> list[str]:
    places = ((t, m) for t in readings(text) for g in GONE for m in re.finditer(re.escape(g), t, re.IGNORECASE))
    return [t[max(m.start() - 60, 0) : m.end() + 30] for t, m in places]


def test_what_was_planted_is_found_where_nothing_is_taken_out(wardround: Command, folder: Path) -> None:
    shown = wardround(folder, "runs", "export", "run_aaaaaaaaaaaa", "--workspace", "ws").out
    assert [gone for gone in GONE if any(gone in text for text in readings(shown))] == [g for g in GONE if g != "quill"]


def test_no_planted_name_is_in_the_lines(wardround: Command, folder: Path, run: str) -> None:
    done = wardround(folder, "runs", "export", run, "--workspace", "ws", "--redact")
    assert done.code == 0, done.err
    assert leaked(done.out) == []
    assert leaked(done.err) == []
    assert run not in done.out
    assert len([EVENT.validate_json(line) for line in done.out.splitlines()]) > 10


def test_no_planted_name_is_on_the_pages(wardround: Command, folder: Path, run: str) -> None:
    pytest.importorskip("jinja2")
    done = wardround(folder, "runs", "export", run, "--workspace", "ws", "--redact", "--html", f"{run}.html")
    assert done.code == 0, done.err
    page = (folder / f"{run}.html").read_text("utf-8")
    assert leaked(page) == []
    assert run not in page


@pytest.mark.parametrize("content", [(), ("--content",)], ids=["bare", "content"])
def test_no_planted_name_is_sent(
    wardround: Command, folder: Path, run: str, receiver: Any, content: tuple[str, ...]
) -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    more = ("--redact", "--otlp", receiver.url, "--labels", *content)
    done = wardround(folder, "runs", "export", run, "--workspace", "ws", *more)
    assert done.code == 0, done.err
    sent = b"\n".join(receiver.bodies).decode("utf-8", "replace")
    assert leaked(sent) == []
    assert run not in sent + done.out
    assert ("[PATIENT]" in sent) == bool(content)


def events_of(text: str) -> list[Event]:
    return [EVENT.validate_json(line) for line in text.splitlines()]


def told(folder: Path) -> str:
    return (folder / "consult").read_text()


def test_a_redacted_run_says_the_same_of_the_diagnosis(wardround: Command, folder: Path) -> None:
    plain = events_of(wardround(folder, "runs", "export", told(folder), "--workspace", "ws").out)
    done = events_of(wardround(folder, "runs", "export", told(folder), "--workspace", "ws", "--redact").out)
    assert [event.event for event in done] == [event.event for event in plain]
    before, after = views.decision(plain), views.decision(done)
    assert before is not None
    assert after is not None
    assert (after.probability, after.differential, after.diagnosis) == (
        before.probability,
        before.differential,
        before.diagnosis,
    )
    assert views.unsupported_claims(done) == views.unsupported_claims(plain)


def test_with_a_key_the_same_names_are_made_each_time_and_without_one_others(wardround: Command, folder: Path) -> None:
    def exported(*more: str) -> Any:
        return wardround(folder, "runs", "export", "run_aaaaaaaaaaaa", "--workspace", "ws", "--redact", *more)

    first, second = exported("--key-file", "key"), exported("--key-file", "key", "--out", "second.jsonl")
    assert first.out == (folder / "second.jsonl").read_text("utf-8")
    assert first.err == second.err
    assert "--key-file" not in first.err
    made, again = exported(), exported()
    assert len({first.out, made.out, again.out}) == 3
    assert "the key is made for this export alone" in made.err


def test_what_was_replaced_is_counted_and_never_told(wardround: Command, folder: Path) -> None:
    done = wardround(folder, "runs", "export", told(folder), "--workspace", "ws", "--redact", "--key-file", "key")
    (line,) = done.err.splitlines()
    assert line.startswith("replaced: ")
    counts = {kind: int(n) for n, kind in re.findall(r"(\d+) ([a-z ]+?)[,;]", line)}
    assert counts["name"] > 10
    assert counts["date"] > 1
    assert "`runs verify` says nothing of" in line


def test_without_a_record_it_is_said_that_no_name_is_known(wardround: Command, folder: Path, tmp_path: Path) -> None:
    store = RunStore(tmp_path / "ws")
    case = Case(narrative="Mr Robert Hale, 66, seen on 12 March 2023. Fever. Robert coughs. Call 555-010-1234.")
    recorder = Recorder("run_bbbbbbbbbbbb")
    recorder.record(RunStarted, case=case.id, model="reference", settings={})
    recorder.record(RecordRead, used={}, skipped={}, problems=(case.narrative or "",))
    recorder.record(RunEnded, outcome=Outcome.DONE)
    keep(store, recorder.events, case)
    store.close()
    done = wardround(tmp_path, "runs", "export", "run_bbbb", "--workspace", "ws", "--redact")
    assert done.code == 0
    assert "no name is known to look for" in done.err
    assert "names behind a title, dates, numbers and addresses by their form" in done.err
    assert "Hale" not in done.out
    assert "12 March 2023" not in done.out
    assert "555-010-1234" not in done.out
    assert "Robert coughs" in done.out, "a bare name is what the warning is for"
    known = wardround(folder, "runs", "export", told(folder), "--workspace", "ws", "--redact")
    assert "no name is known" not in known.err


def test_two_patients_of_one_record_are_both_taken_out(wardround: Command, tmp_path: Path) -> None:
    store = RunStore(tmp_path / "ws")
    twin = {"resourceType": "Patient", "id": "pat-4712", "name": [{"family": "Tembo", "given": ["Busi"]}]}
    two = Case(narrative=f"{NOTE} Busi Tembo is well.", record=Record(resources=(*RECORD, twin)))
    keep(store, hostile("run_cccccccccccc"), two)
    store.close()
    done = wardround(tmp_path, "runs", "export", "run_cccc", "--workspace", "ws", "--redact")
    assert done.code == 0, done.err
    assert "2 patients are known" in done.err
    assert leaked(done.out) == []


@pytest.mark.parametrize("target", ["--out", "--html"])
def test_a_log_that_would_say_something_else_leaves_no_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    monkeypatch.setattr(redaction_log.EvidenceRedactor, "finding", lambda self, finding: finding)
    given = {target.strip("-"): tmp_path / "out"}
    with pytest.raises(StoreError, match="something else"):
        exports.export(told(folder), workspace=folder / "ws", redact=True, **given)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_a_log_that_would_say_something_else_is_not_sent(
    folder: Path, receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redaction_log.EvidenceRedactor, "finding", lambda self, finding: finding)
    with pytest.raises(StoreError, match="something else"):
        exports.export(told(folder), workspace=folder / "ws", redact=True, otlp=receiver.url)
    assert receiver.bodies == []


def test_keys_that_can_be_guessed_or_not_be_read_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"secret\n")
    for name, why in (("short", "a key of 7 bytes can be guessed"), ("none", "cannot be read")):
        with pytest.raises(UsageError, match=f"--key-file .*{name}: {why}"):
            exports.export(told(folder), workspace=folder / "ws", redact=True, key_file=tmp_path / name)
    with pytest.raises(UsageError, match="--key-file goes with --redact"):
        exports.export(told(folder), workspace=folder / "ws", key_file=folder / "key")
