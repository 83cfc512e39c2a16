"""The trace store keeps the same promises in SQLite and in a real PostgreSQL server."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from wardround.core.case import Case, Record
from wardround.core.decision import Decision, DecisionStatus, GateReason, Reason, Triage, Urgency
from wardround.core.differential import Differential, Hypothesis
from wardround.core.errors import StoreError, UsageError
from wardround.core.items import SourceItem
from wardround.core.source import Source, SourceKind
from wardround.testing import FixedClock
from wardround.testing.postgres import PostgresServer
from wardround.trace import views
from wardround.trace.annotating import Annotation
from wardround.trace.capture import REDACTED
from wardround.trace.connecting import engine_of
from wardround.trace.events import (
    DecisionMade,
    Event,
    EvidenceAdded,
    ModelAnswered,
    ModelAsked,
    Origin,
    Outcome,
    RunEnded,
    RunStarted,
    SpanKind,
    Suspended,
    ToolCalled,
    TriageGiven,
)
from wardround.trace.recorder import Recorder
from wardround.trace.rows import RunQuery, Sort
from wardround.trace.store import RunStore

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
PROMPT = "\n".join(f"[src_{n}] (note, sentence {n}) The {n}th sentence of the note \x00 says “è”." for n in range(40))
Make = Callable[..., RunStore]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    try:
        server = PostgresServer()
    except UsageError as error:
        pytest.skip(str(error))
    with server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    if request.param == "sqlite":
        return tmp_path / "workspace"
    running: PostgresServer = request.getfixturevalue("server")
    return running.database()


@pytest.fixture
def opened(place: Path | str) -> Iterator[Make]:
    stores: list[RunStore] = []

    def make(**options: Any) -> RunStore:
        stores.append(RunStore(place, **options))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: Make) -> RunStore:
    return opened()


def decision(name: str = "Influenza", chance: float = 0.8, **fields: Any) -> Decision:
    leading = Hypothesis(id=name.lower(), name=name, icd10="J11", probability=chance)
    differential = Differential(hypotheses=(leading,), other=1 - chance)
    common = {"status": DecisionStatus.FINAL, "diagnosis": leading, "probability": chance}
    return Decision(differential=differential, **(common | fields))


def consult(
    store: RunStore,
    run: str,
    *,
    case: str = "case_a",
    words: str = "Fièvre since Monday",
    at: datetime = START,
    model: str = "reference",
    settings: dict[str, Any] | None = None,
    tokens: int = 100,
    decided: Decision | None = None,
    ends: bool = True,
) -> list[Event]:
    recorder = Recorder(run, [store.writer(run)], clock=FixedClock(at))
    recorder.record(RunStarted, case=case, model=model, settings=settings or {"seed": 0})
    with recorder.span("triage", SpanKind.NODE):
        source = Source(kind=SourceKind.CLINICIAN_NOTE, text=words, document="note")
        recorder.record(EvidenceAdded, item=SourceItem(source=source))
        messages = ({"role": "system", "content": PROMPT}, {"role": "user", "content": f"{PROMPT}\n{words}"})
        asked = {"agent": "a", "model": model, "answer": "A", "rollout": 0, "attempt": 0, "messages": messages}
        recorder.record(ModelAsked, call="c", request=f"req_{run}", **asked)
        answer = {"text": f"It is $t: {words}", "input_tokens": tokens, "output_tokens": 7, "seconds": 0.5}
        recorder.record(ModelAnswered, call="c", **answer)
        recorder.record(ToolCalled, call="t", agent="a", tool="search", arguments={"$t": {"$q": 3}, "$v": [words]})
        recorder.record(TriageGiven, triage=Triage(urgency=Urgency.URGENT), routed=("cardiology",))
    if ends:
        recorder.record(DecisionMade, decision=decided or decision())
        recorder.record(RunEnded, outcome=Outcome.DONE)
    return recorder.events


# Logs


def test_a_log_is_read_as_it_was_written(store: RunStore, opened: Make) -> None:
    log = consult(store, "run_1")
    assert store.events("run_1") == log
    assert opened().events("run_1") == log
    assert store.events("run_2") == []


def test_the_same_event_in_the_same_place_is_accepted_again(store: RunStore) -> None:
    log = consult(store, "run_1")
    before = store.find("run_1"), store.head("run_1"), store.since(0)
    store.append("run_1", log)
    store.append("run_1", log[3:5])
    assert (store.find("run_1"), store.head("run_1"), store.since(0)) == before
    assert store.events("run_1") == log


def test_what_was_written_in_part_is_completed(store: RunStore) -> None:
    log = consult(store, "run_1", ends=False)
    more = RunEnded(run="run_1", seq=len(log), time=START, span="", outcome=Outcome.FAILED)
    store.append("run_1", [*log[-2:], more])
    assert store.events("run_1") == [*log, more]
    assert store.find("run_1").state == "failed"


def test_another_event_in_the_same_place_is_refused(store: RunStore) -> None:
    log = consult(store, "run_1")
    for other in (
        log[4].model_copy(update={"time": START - timedelta(days=1)}),
        log[4].model_copy(update={"span": ""}),
    ):
        with pytest.raises(StoreError, match="event 4 of run run_1 cannot be written: another is there"):
            store.append("run_1", [other])
    assert store.events("run_1") == log


def test_a_gap_is_refused(store: RunStore) -> None:
    log = consult(store, "run_1", ends=False)
    end = RunEnded(run="run_1", seq=len(log) + 1, time=START, span="", outcome=Outcome.DONE)
    with pytest.raises(StoreError, match=f"event {len(log) + 1} cannot be written after {len(log)} events"):
        store.append("run_1", [end])
    with pytest.raises(StoreError, match="never began"):
        store.append("run_9", [end])


def test_a_run_begun_again_leaves_nothing_of_the_earlier_one(store: RunStore) -> None:
    consult(store, "run_1", words="A first long sentence about measles, " * 9)
    store.keep_case("run_1", '{"narrative": "measles"}')
    store.put(b"image", "image/png", run="run_1")
    log = consult(store, "run_1", words="croup")
    assert store.events("run_1") == log
    assert len(store.search("croup")) == 1
    assert store.search("measles") == []
    assert store.artifacts("run_1") == []
    assert in_database(store, "measles") == 0
    with pytest.raises(UsageError, match="no case is kept"):
        store.case("run_1")


def in_database(store: RunStore, text: str) -> int:
    rows = sa.select(sa.func.count()).select_from(sa.table("texts")).where(sa.column("body").contains(text))
    with database(store) as connection:
        return int(connection.execute(rows).scalar_one())


@contextmanager
def database(store: RunStore) -> Iterator[sa.Connection]:
    engine = engine_of(store.folder or store.name.replace("postgresql+psycopg", "postgresql"))
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def test_texts_are_kept_once_however_often_they_are_sent(store: RunStore) -> None:
    for n in range(3):
        consult(store, f"run_{n}")
    assert in_database(store, "The 7th sentence of the note") == 1
    assert store.events("run_2")[3].messages[1]["content"] == f"{PROMPT}\nFièvre since Monday"  # type: ignore[union-attr]


def test_a_case_is_kept_as_it_is(store: RunStore) -> None:
    consult(store, "run_1")
    store.keep_case("run_1", '{"narrative":  "Fièvre"}')
    assert store.case("run_1") == '{"narrative":  "Fièvre"}'


def test_several_writers_at_once_lose_nothing(store: RunStore, opened: Make) -> None:
    logs: dict[str, list[Event]] = {}
    faults: list[BaseException] = []

    def write(n: int, target: RunStore) -> None:
        try:
            for k in range(4):
                run = f"run_{n}{k}"
                logs[run] = consult(target, run, words=f"Patient {n} complains of fever number {k}")
        except BaseException as fault:
            faults.append(fault)

    others = [store, *(opened() for _ in range(3))]
    threads = [threading.Thread(target=write, args=(n, target)) for n, target in enumerate(others)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert len(logs) == 16
    for run, log in logs.items():
        assert store.events(run) == log
        store.verify(run)
    rows, position = store.since(0)
    assert {row.id for row in rows} == set(logs)
    assert store.since(position) == ([], position)


# The chain


def test_a_log_that_nobody_touched_is_verified(store: RunStore) -> None:
    consult(store, "run_1")
    store.verify("run_1")
    assert len(store.head("run_1")) == 64
    with pytest.raises(UsageError, match="no run 'run_2'"):
        store.verify("run_2")


def test_heads_depend_on_all_that_happened(store: RunStore) -> None:
    heads = set()
    for words in ("fever", "no fever", "fever"):
        consult(store, "run_1", words=words)
        heads.add(store.head("run_1"))
    assert len(heads) == 2


@pytest.mark.parametrize(
    ("statement", "seq"),
    [
        ("UPDATE events SET body = replace(body, 'cardiology', 'neurology') WHERE seq = 6", 6),
        ("UPDATE events SET event = 'resumed' WHERE seq = 2", 2),
        ("DELETE FROM events WHERE seq = 3", 3),
        ("DELETE FROM events WHERE seq = 9", 9),
        ("UPDATE events SET seq = 100 WHERE seq = 4", 4),
        ("UPDATE texts SET body = replace(body, 'The 7th', 'The 8th')", 3),
        ("UPDATE events SET head = (SELECT head FROM events WHERE seq = 1) WHERE seq = 5", 5),
    ],
)
def test_whoever_changes_a_log_is_found_out(store: RunStore, statement: str, seq: int) -> None:
    consult(store, "run_1")
    with database(store) as connection:
        connection.execute(sa.text(statement))
    with pytest.raises(StoreError, match=rf"run_1 was changed: event {seq} is not"):
        store.verify("run_1")


# Lists


def many(store: RunStore) -> list[str]:
    statuses = list(DecisionStatus)
    for n in range(12):
        reasons = [Reason(code=GateReason.VACUITY, detail="x")] if n % 2 else []
        reasons += [Reason(code=GateReason.LOW_PROBABILITY, detail="y")] if n % 3 == 0 else []
        decided = decision(
            ("Influenza", "Asthma", "Zoster")[n % 3],
            (n % 4) / 4,
            status=statuses[n % 3],
            reasons=tuple(reasons),
        )
        settings = {"suite": "nights"} if n % 4 == 0 else {"agent": "ehr"} if n % 4 == 1 else {}
        consult(
            store,
            f"run_{n:02}",
            case=f"case_{n % 5}",
            words=f"fever{n % 2} and Übelkeit",
            at=START + timedelta(hours=n % 6),
            model=("reference", "vllm:b")[n % 2],
            settings=settings,
            tokens=n % 3 if n < 8 else (2_992, 2_993, 150_000)[n % 3],
            decided=decided,
            ends=n != 7,
        )
    return [f"run_{n:02}" for n in range(12)]


SORTS: tuple[Sort, ...] = ("started", "probability", "tokens", "seconds", "diagnosis", "case", "model")


@pytest.mark.parametrize("descending", [True, False])
def test_pages_hold_every_run_once_and_in_order(store: RunStore, descending: bool) -> None:
    runs = many(store)
    for sort in SORTS:
        query, rows, pages = RunQuery(sort=sort, descending=descending, limit=5), [], 0
        while True:
            page = store.page(query)
            rows += page.rows
            pages += 1
            assert page.total == 12
            if page.next is None:
                break
            query = replace(query, after=page.next)
        assert pages == 3
        assert sorted(row.id for row in rows) == runs
        values = [getattr(row, sort) for row in rows]
        lowest = "" if sort == "diagnosis" else -1.0
        values = [lowest if value is None else value for value in values]
        assert values == sorted(values, reverse=descending), sort


def test_a_page_stays_where_it_was_when_runs_are_added(store: RunStore) -> None:
    many(store)
    first = store.page(RunQuery(limit=5))
    consult(store, "run_new", at=START + timedelta(days=9))
    second = store.page(RunQuery(limit=20, after=first.next))
    assert len(second.rows) == 7
    assert not {row.id for row in first.rows} & {row.id for row in second.rows}


QUERIES = [
    RunQuery(),
    RunQuery(states=("done",)),
    RunQuery(states=("running", "done"), statuses=("final", "escalated")),
    RunQuery(reasons=("vacuity",)),
    RunQuery(reasons=("vacuity", "low_probability"), models=("reference",)),
    RunQuery(suites=("nights",)),
    RunQuery(kinds=("records",)),
    RunQuery(case="case_1"),
    RunQuery(since=START + timedelta(hours=2), until=START + timedelta(hours=5)),
    RunQuery(least_probability=0.25, most_probability=0.5),
    RunQuery(least_tokens=8, most_tokens=8),
    RunQuery(costs=("3k to 10k tokens",)),
    RunQuery(costs=("under 3k tokens", "100k tokens and more"), statuses=("final",)),
    RunQuery(costs=("free",)),
    RunQuery(text="FEVER1 ubelkeit"),
    RunQuery(text="fev*", statuses=("abstained",)),
    RunQuery(text="nothing of the kind"),
    RunQuery(text="  "),
    RunQuery(reasons=("100%",)),
]


FACETS = {"state": "states", "status": "statuses", "model": "models", "kind": "kinds", "cost": "costs"}


def fits(row: Any, query: RunQuery) -> bool:
    def within(value: Any, least: Any, most: Any) -> bool:
        if value is None:
            return least is None and most is None
        return (least is None or value >= least) and (most is None or value <= most)

    number = int(row.id.removeprefix("run_"))
    words = {f"fever{number % 2}", "ubelkeit", "and"}
    return (
        all(
            not chosen or set(chosen) & set(values)
            for chosen, values in (
                (query.states, [row.state]),
                (query.statuses, [row.status]),
                (query.reasons, row.reasons),
                (query.models, [row.model]),
                (query.suites, [row.suite]),
                (query.kinds, [row.kind]),
                (query.costs, [row.cost]),
                ((query.case,) if query.case else (), [row.case]),
            )
        )
        and within(row.started, query.since, None)
        and (query.until is None or row.started < query.until)
        and within(row.probability, query.least_probability, query.most_probability)
        and within(row.tokens, query.least_tokens, query.most_tokens)
        and all(
            any(w.startswith(word.rstrip("*")) if word.endswith("*") else w == word for w in words)
            for word in (query.text or "").lower().split()
        )
    )


def test_a_query_finds_what_fits_and_facets_count_it(store: RunStore) -> None:
    many(store)
    everything = store.runs()
    for query in QUERIES:
        page = store.page(query)
        assert {row.id for row in page.rows} == {row.id for row in everything if fits(row, query)}, query
        assert page.total == len(page.rows)
        counts = store.facets(query)
        for facet, field in FACETS.items():
            others = replace(query, **{field: ()})
            expected = Counter(getattr(row, facet) for row in everything if fits(row, others))
            expected.pop(None, None)
            assert counts[facet] == dict(expected), (facet, query)
        others = replace(query, reasons=())
        expected = Counter(reason for row in everything if fits(row, others) for reason in row.reasons)
        assert counts["reason"] == dict(expected)


@pytest.mark.parametrize(
    "query",
    [RunQuery(limit=0), RunQuery(sort="luck"), RunQuery(after="x"), RunQuery(after="WzEsMl0="), RunQuery(text="?!")],  # type: ignore[arg-type]
)
def test_a_query_that_is_none_is_refused(store: RunStore, query: RunQuery) -> None:
    with pytest.raises(UsageError):
        store.page(query)


def test_an_end_of_another_order_is_refused(store: RunStore) -> None:
    many(store)
    end = store.page(RunQuery(limit=5)).next
    with pytest.raises(UsageError, match="another order"):
        store.page(RunQuery(limit=5, after=end, sort="tokens"))


def test_a_row_agrees_with_the_log(store: RunStore) -> None:
    prices = {"prices": {"input": 2.0, "output": 10.0}}
    log = consult(store, "run_1", settings=prices, tokens=1000)
    reasked = Recorder("run_1", [store.writer("run_1")], clock=FixedClock(START + timedelta(hours=1)), earlier=log)
    asked = {"agent": "a", "model": "m", "answer": "A", "rollout": 0, "attempt": 0, "messages": ()}
    reasked.record(ModelAsked, call="c", **asked)
    reasked.record(ModelAnswered, call="c", text="x", seconds=0, input_tokens=5, output_tokens=5, origin=Origin.LOG)
    reasked.record(Suspended, question={})
    row, used = store.find("run_1"), views.usage(reasked.events)
    assert (row.calls, row.tokens) == (used.calls, used.tokens) == (1, 1007)
    assert row.seconds == pytest.approx(used.seconds, abs=0.001)
    assert row.money == pytest.approx((2.0 * 1000 + 10.0 * 7) / 1e6)
    assert (row.kind, row.suite, row.urgency, row.state) == ("consult", None, "urgent", "suspended")


def test_changes_are_told_once_and_in_order(store: RunStore) -> None:
    consult(store, "run_1")
    rows, position = store.since(0)
    assert [row.id for row in rows] == ["run_1"]
    consult(store, "run_2")
    consult(store, "run_3", ends=False)
    store.append("run_1", [RunEnded(run="run_1", seq=10, time=START, span="", outcome=Outcome.DONE)])
    rows, later = store.since(position)
    assert [row.id for row in rows] == ["run_2", "run_3", "run_1"]
    part, middle = store.since(position, limit=2)
    assert [row.id for row in part] == ["run_2", "run_3"]
    assert position < middle < later
    assert [row.id for row in store.since(middle)[0]] == ["run_1"]


def test_runs_are_found_by_beginnings(store: RunStore) -> None:
    consult(store, "run_abc1", case="chest_pain")
    consult(store, "run_abd2", case="headache")
    assert store.find("abc").id == store.find("chest").id == "run_abc1"
    with pytest.raises(UsageError, match="2 runs begin with 'ab'"):
        store.find("ab")
    for prefix in ("%", "run_ab_", "ABC"):
        with pytest.raises(UsageError, match="no run begins"):
            store.find(prefix)


# Search


def test_words_are_found_where_they_stand(store: RunStore) -> None:
    consult(store, "run_1", words="Fièvre and thunderclap headache since Monday")
    consult(store, "run_2", words="No such thing")
    (hit,) = store.search("FIEVRE thunderclap")
    assert (hit.run, hit.seq, hit.field) == ("run_1", 2, "item.source.text")
    assert "thunderclap headache" in hit.snippet
    assert [hit.run for hit in store.search("thunder*")] == ["run_1"]
    assert store.search("thunder") == []
    assert store.search("thunderclap influenza nowhere") == []
    assert [hit.run for hit in store.search("influenza")] == ["run_2", "run_1"]
    assert [hit.run for hit in store.search("influenza", limit=1)] == ["run_2"]


def test_cases_are_searched(store: RunStore) -> None:
    consult(store, "run_1")
    store.keep_case("run_1", '{"narrative": "a penguin bite"}')
    (hit,) = store.search("penguin")
    assert (hit.seq, hit.field, hit.snippet) == (-1, "narrative", "a penguin bite")


def test_a_run_under_way_is_found(store: RunStore) -> None:
    consult(store, "run_1", words="scurvy", ends=False)
    assert [hit.run for hit in store.search("scurvy")] == ["run_1"]
    assert store.page(RunQuery(text="scurvy")).total == 1


def test_words_of_other_scripts_and_signs_of_databases_are_words(store: RunStore) -> None:
    consult(store, "run_1", words="Лихорадка 发烧 naïve O'Neil \" & | ! : * (x) NEAR AND")
    for words in ("лихорадка", "发烧", "NAIVE", "o'neil", 'neil" AND (x', "x) & !near", "and*", "发*"):
        assert [hit.run for hit in store.search(words)] == ["run_1"], words
    with pytest.raises(UsageError, match="no word"):
        store.search("'\"&|")


# Artifacts and annotations


def test_an_artifact_is_kept_once_and_read_by_its_hash(store: RunStore) -> None:
    consult(store, "run_1")
    consult(store, "run_2")
    content = bytes(range(256)) * 500
    artifact = store.put(content, "image/png", run="run_1")
    assert store.put(content, "image/png", run="run_2") == artifact
    assert store.artifact(artifact.sha256) == (content, "image/png")
    assert store.artifacts("run_2") == [artifact]
    assert artifact.size == len(content)
    with pytest.raises(UsageError, match="no artifact 'x'"):
        store.artifact("x")
    with pytest.raises(UsageError, match="no run"):
        store.put(content, "image/png", run="run_9")


def judged(run: str, label: Any, who: str = "A. Reader", **fields: Any) -> Annotation:
    common = {"target": "claim", "id": "clm_1", "why": "read it", "time": START}
    return Annotation(run=run, label=label, who=who, **(common | fields))


def test_of_one_person_the_last_judgement_stands(store: RunStore) -> None:
    consult(store, "run_1")
    consult(store, "run_2")
    first, second = judged("run_1", "wrong"), judged("run_1", "right")
    other, elsewhere = judged("run_1", "unsure", "B. Other"), judged("run_2", "wrong")
    for annotation in (first, other, second, elsewhere):
        store.annotate(annotation)
    assert store.annotations("run_1") == [other, second]
    assert list(store.labelled()) == [other, second, elsewhere]
    for wrong in (judged("run_1", "maybe"), judged("run_1", "right", " "), judged("run_1", "right", target="mood")):
        with pytest.raises(UsageError):
            store.annotate(wrong)
    with pytest.raises(UsageError, match="no run"):
        store.annotate(judged("run_9", "right"))


def test_a_judgement_may_name_the_truth_and_a_class_of_failure(store: RunStore) -> None:
    consult(store, "run_1")
    said = (
        judged("run_1", "wrong", "known", truth=("influenza", "measles"), reason="wrong_value"),
        judged("run_1", "wrong", "elsewhere", truth=()),
        judged("run_1", "wrong", "unknown"),
    )
    for annotation in said:
        store.annotate(annotation)
    assert store.annotations("run_1") == list(store.labelled()) == list(said)


def test_runs_are_read_by_their_ids_with_the_specialty_that_triage_named_first(store: RunStore) -> None:
    named = {"run_1": ("cardiology", "surgery"), "run_2": ()}
    for run, specialties in named.items():
        recorder = Recorder(run, [store.writer(run)], clock=FixedClock(START))
        recorder.record(RunStarted, case="a", model="m", settings={})
        for given in (("first_thought",), specialties):  # of several the last one counts
            recorder.record(TriageGiven, triage=Triage(urgency=Urgency.URGENT, specialties=given), routed=())
        recorder.record(RunEnded, outcome=Outcome.DONE)
    store.begin(RunStarted(run="run_3", seq=0, time=START, span="", case="a", model="m", settings={}))
    rows = {row.id: row.specialty for row in store.named([*named, "run_3", "run_4", "run"])}
    assert rows == {"run_1": "cardiology", "run_2": "", "run_3": None}
    assert store.named([]) == []


# Forgetting


class Cache:
    def __init__(self) -> None:
        self.forgotten: set[str] = set()

    def forget(self, keys: Any, /) -> int:
        self.forgotten |= set(keys)
        return len(keys)


def test_a_patient_is_forgotten_and_the_others_are_not(store: RunStore) -> None:
    consult(store, "run_1", words="MRN-4711 has measles")
    consult(store, "run_2", words="Nobody in particular has measles")
    log = consult(store, "run_3", words="MRN-47110 is somebody else")
    patient = {"resourceType": "Patient", "id": "MRN-4711"}
    store.keep_case("run_2", Case(id="b", record=Record(resources=(patient,))).model_dump_json())
    store.put(b"both", "image/png", run="run_1")
    shared = store.put(b"both", "image/png", run="run_3")
    own = store.put(b"own", "image/png", run="run_1")
    store.annotate(judged("run_1", "right"))
    assert store.search("measles")
    cache = Cache()
    report = store.forget(patients=["Patient/MRN-4711"], caches=[cache])
    assert set(report.runs) == {"run_1", "run_2"}
    assert report.left == ()
    assert report.is_complete
    assert {"table events", "table texts", "table words"} <= set(report.searched)
    assert report.counts.events == 20
    assert report.counts.artifacts == report.counts.annotations == 1
    assert cache.forgotten == {"req_run_1", "req_run_2"}
    assert report.cached == 2
    assert [row.id for row in store.runs()] == ["run_3"]
    assert store.events("run_3") == log
    store.verify("run_3")
    assert store.search("measles") == []
    assert store.artifact(shared.sha256)
    with pytest.raises(UsageError):
        store.artifact(own.sha256)
    assert store.annotations("run_1") == []


def test_a_short_patient_id_counts_where_it_is_one(store: RunStore) -> None:
    consult(store, "run_1", words="see Patient/12 for 12 hours")
    consult(store, "run_2", words="for 12 hours, as Patient/123 says")
    consult(store, "run_3", settings={"agent": "ehr", "patient": "12"})
    assert set(store.forget(patients=["12"]).runs) == {"run_1", "run_3"}


def test_forks_and_replays_of_a_forgotten_run_are_forgotten(store: RunStore) -> None:
    consult(store, "run_1")
    consult(store, "run_2", settings={"fork": {"of": "run_1"}, "long": "x" * 500})
    consult(store, "run_3", model="replay:run_2")
    consult(store, "run_4", case="case_b")
    report = store.forget(runs=["run_1"])
    assert (set(report.runs), report.left) == ({"run_1", "run_2", "run_3"}, ())


def test_what_still_names_something_forgotten_is_told(store: RunStore) -> None:
    consult(store, "run_1", case="case_gone")
    consult(store, "run_2", words="the same as case_gone")
    report = store.forget(cases=["case_gone"])
    assert report.runs == ("run_1",)
    assert not report.is_complete
    assert any("case_gone" in place and place.startswith(("events.body", "texts.body")) for place in report.left)


def test_a_tombstone_says_when_and_why_and_nothing_else(store: RunStore) -> None:
    consult(store, "run_1")
    store.forget(cases=["case_a"], why="withdrawn consent")
    with database(store) as connection:
        (stone,) = connection.execute(sa.text("SELECT run, why, time FROM tombstones")).all()
    assert stone[:2] == ("run_1", "withdrawn consent")
    assert datetime.now(UTC) - datetime.fromisoformat(stone[2]) < timedelta(minutes=5)


@pytest.mark.parametrize("names", [{}, {"runs": ["run_1"], "why": "run_1 was wrong"}, {"patients": [" "]}])
def test_a_removal_of_nothing_or_with_a_telling_reason_is_refused(store: RunStore, names: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        store.forget(**names)


def test_checkpoints_in_the_database_are_forgotten(store: RunStore) -> None:
    with database(store) as connection:
        connection.execute(sa.text("CREATE TABLE checkpoints (thread_id TEXT, checkpoint TEXT)"))
        connection.execute(sa.text("INSERT INTO checkpoints VALUES ('run_1', 'secret'), ('run_2', 'other')"))
    consult(store, "run_1")
    report = store.forget(runs=["run_1"])
    with database(store) as connection:
        assert connection.execute(sa.text("SELECT checkpoint FROM checkpoints")).scalars().all() == ["other"]
    assert (report.counts.checkpoints, report.left) == (1, ())


def test_old_runs_expire(store: RunStore) -> None:
    now = datetime.now(UTC)
    consult(store, "run_old", at=now - timedelta(days=31), words="An old sentence that is long enough " * 9)
    log = consult(store, "run_new", at=now - timedelta(days=29))
    report = store.expire(timedelta(days=30))
    assert report.runs == ("run_old",)
    assert in_database(store, "An old sentence") == 0
    assert store.events("run_new") == log
    assert store.expire(timedelta(days=30)).runs == ()
    assert store.expire(now).runs == ("run_new",)
    assert store.runs() == []


# Without content


def test_without_content_no_words_are_kept_and_figures_are(opened: Make) -> None:
    store = opened(content=False)
    consult(store, "run_1", words="Mrs Penelope Stork has fever", settings={"agent": "ehr", "task": "find Stork"})
    store.keep_case("run_1", '{"narrative": "Stork"}')
    artifact = store.put(b"Stork", "image/png", run="run_1")
    row = store.find("run_1")
    assert (row.kind, row.state, row.status, row.calls, row.tokens) == ("records", "done", "final", 1, 107)
    assert (row.diagnosis, row.probability, row.urgency) == ("influenza", 0.8, "urgent")
    events = store.events("run_1")
    assert len(events) == 10
    assert events[4].text == REDACTED  # type: ignore[union-attr]
    store.verify("run_1")
    assert store.search("stork") == []
    assert in_database(store, "Stork") == 0
    for gone in (lambda: store.case("run_1"), lambda: store.artifact(artifact.sha256)):
        with pytest.raises(UsageError):
            gone()
