"""The recorder numbers events without gaps and knows which span each belongs to."""

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import ValidationError

from wardround.testing import FixedClock
from wardround.trace.events import (
    Event,
    Outcome,
    RunEnded,
    RunStarted,
    SpanEnded,
    SpanKind,
    SpanStarted,
    ToolCalled,
)
from wardround.trace.recorder import Recorder, SystemClock


class PersonAsked(Exception):
    pass


def used(recorder: Recorder, tool: str) -> ToolCalled:
    return recorder.record(ToolCalled, call="c", agent="a", tool=tool, arguments={})


def opened(recorder: Recorder) -> dict[str, SpanStarted]:
    return {e.name: e for e in recorder.events if isinstance(e, SpanStarted)}


def ended(recorder: Recorder) -> list[SpanEnded]:
    return [e for e in recorder.events if isinstance(e, SpanEnded)]


def test_events_are_numbered_and_told_in_order() -> None:
    told: list[Event] = []
    recorder = Recorder("run_1", [told.append], clock=FixedClock())
    first = recorder.record(RunStarted, case="c", model="reference", settings={})
    with recorder.span("triage", SpanKind.NODE):
        used(recorder, "search")
    recorder.record(RunEnded, outcome=Outcome.DONE)
    assert first.run == "run_1"
    assert [e.event for e in told] == ["run_started", "span_started", "tool_called", "span_ended", "run_ended"]
    assert [e.seq for e in told] == [0, 1, 2, 3, 4]
    assert told == recorder.events
    assert [e.time for e in told] == sorted(e.time for e in told)


def test_threads_leave_no_gap_and_no_double() -> None:
    told: list[Event] = []
    recorder = Recorder("run_1", [told.append])
    ready = threading.Barrier(8)

    def work(n: int) -> None:
        ready.wait(timeout=30)
        for k in range(25):
            with recorder.span(f"agent {n}", SpanKind.AGENT):
                used(recorder, f"{n}.{k}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert [e.seq for e in told] == list(range(8 * 25 * 3))
    assert told == recorder.events
    spans = {e.opened: e.name for e in told if isinstance(e, SpanStarted)}
    assert len(spans) == 8 * 25
    for event in told:
        if isinstance(event, ToolCalled):
            assert spans[event.span] == f"agent {event.tool.split('.')[0]}"


async def test_tasks_keep_to_their_own_spans() -> None:
    recorder = Recorder("run_1", clock=FixedClock())

    async def specialist(name: str) -> None:
        with recorder.span(name, SpanKind.AGENT):
            await asyncio.sleep(0)
            with recorder.span(f"model of {name}", SpanKind.MODEL):
                await asyncio.sleep(0)
                used(recorder, name)
                await asyncio.sleep(0)

    names = [f"specialist {n}" for n in range(6)]
    with recorder.span("specialists", SpanKind.NODE) as node:
        await asyncio.gather(*(specialist(name) for name in names))
    assert [e.seq for e in recorder.events] == list(range(len(recorder.events)))
    spans = opened(recorder)
    for name in names:
        assert spans[name].span == node
        assert spans[f"model of {name}"].span == spans[name].opened
    for event in recorder.events:
        if isinstance(event, ToolCalled):
            assert event.span == spans[f"model of {event.tool}"].opened


def test_a_thread_with_its_callers_context_works_in_its_callers_span() -> None:
    recorder = Recorder("run_1", clock=FixedClock())
    with recorder.span("node", SpanKind.NODE) as node, ThreadPoolExecutor(1) as pool:
        inside = pool.submit(contextvars.copy_context().run, used, recorder, "inside").result()
        outside = pool.submit(used, recorder, "outside").result()
    assert (inside.span, outside.span) == (node, "")


def test_a_span_belongs_to_the_span_it_was_opened_in() -> None:
    recorder = Recorder("run_1", clock=FixedClock())
    with recorder.span("run", SpanKind.RUN) as run:
        with recorder.span("triage", SpanKind.NODE) as triage:
            inside = used(recorder, "a")
        between = used(recorder, "b")
    after = used(recorder, "c")
    spans = opened(recorder)
    assert (spans["run"].span, spans["triage"].span) == ("", run)
    assert (inside.span, between.span, after.span) == (triage, run, "")
    assert [(e.closed, e.span) for e in ended(recorder)] == [(triage, run), (run, "")]


def test_the_span_of_another_run_is_no_parent() -> None:
    outer, inner = Recorder("run_1", clock=FixedClock()), Recorder("run_2", clock=FixedClock())
    with outer.span("batch", SpanKind.RUN) as batch:
        with inner.span("run", SpanKind.RUN) as run:
            assert used(inner, "a").span == run
        assert used(inner, "b").span == ""
        assert used(outer, "c").span == batch
    assert opened(inner)["run"].span == ""


def test_spans_of_one_name_are_told_apart_and_named_alike_in_every_run_of_the_same_id() -> None:
    def names(run: str) -> list[str]:
        recorder = Recorder(run, clock=FixedClock())
        for _ in range(3):
            with recorder.span("rollout", SpanKind.AGENT):
                pass
        return [e.opened for e in recorder.events if isinstance(e, SpanStarted)]

    assert len(set(names("run_1"))) == 3
    assert names("run_1") == names("run_1")
    assert set(names("run_1")).isdisjoint(names("run_2"))


def test_a_fault_ends_a_span_as_failed_and_goes_on() -> None:
    recorder = Recorder("run_1", clock=FixedClock())
    with pytest.raises(ValueError, match="broken"), recorder.span("node", SpanKind.NODE):
        raise ValueError("broken")
    (end,) = ended(recorder)
    assert (end.outcome, end.error) == (Outcome.FAILED, "ValueError: broken")
    assert used(recorder, "after").span == ""


def test_a_suspension_ends_every_span_as_suspended_and_not_as_failed() -> None:
    recorder = Recorder("run_1", clock=FixedClock(), suspension=PersonAsked)
    with pytest.raises(PersonAsked), recorder.span("run", SpanKind.RUN), recorder.span("gate", SpanKind.NODE):
        raise PersonAsked
    assert [(e.outcome, e.error) for e in ended(recorder)] == [(Outcome.SUSPENDED, None)] * 2


def test_without_a_suspension_named_nothing_is_one() -> None:
    recorder = Recorder("run_1", clock=FixedClock())
    with pytest.raises(PersonAsked), recorder.span("gate", SpanKind.NODE):
        raise PersonAsked
    assert ended(recorder)[0].outcome is Outcome.FAILED


async def test_a_cancelled_task_leaves_no_open_span() -> None:
    recorder = Recorder("run_1", clock=FixedClock())
    inside = asyncio.Event()

    async def forever() -> None:
        with recorder.span("node", SpanKind.NODE):
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(forever())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (end,) = ended(recorder)
    assert end.outcome is Outcome.FAILED
    assert end.closed == opened(recorder)["node"].opened


def test_the_length_of_a_span_is_read_from_the_clock() -> None:
    recorder = Recorder("run_1", clock=FixedClock(step=1.0))
    with recorder.span("node", SpanKind.NODE):
        used(recorder, "a")
    assert ended(recorder)[0].seconds == 2.0


def test_the_same_acts_give_the_same_log() -> None:
    def log() -> list[Event]:
        recorder = Recorder("run_1", clock=FixedClock())
        with recorder.span("node", SpanKind.NODE):
            used(recorder, "a")
        return recorder.events

    assert log() == log()


def test_a_resumed_log_goes_on_where_it_stopped() -> None:
    before = Recorder("run_1", clock=FixedClock())
    used(before, "a")
    used(before, "b")
    told: list[Event] = []
    after = Recorder("run_1", [told.append], clock=FixedClock(), earlier=before.events)
    used(after, "c")
    assert [e.seq for e in after.events] == [0, 1, 2]
    assert [e.seq for e in told] == [2]
    assert len(before.events) == 2


def test_an_act_that_cannot_be_recorded_leaves_no_gap() -> None:
    recorder = Recorder("run_1", clock=FixedClock())
    used(recorder, "a")
    with pytest.raises(ValidationError):
        recorder.record(ToolCalled, call="c", agent="a", tool="b", arguments="none")
    assert used(recorder, "c").seq == 1


def test_a_sink_that_breaks_is_heard_and_does_not_lock_the_recorder() -> None:
    def broken(event: Event) -> None:
        raise OSError("disk full")

    recorder = Recorder("run_1", [broken], clock=FixedClock())
    for seq in (0, 1):
        with pytest.raises(OSError, match="disk full"):
            used(recorder, "a")
        assert recorder.events[-1].seq == seq


def test_the_system_clock_has_a_zone_and_never_runs_backwards() -> None:
    clock = SystemClock()
    assert clock.now().utcoffset() is not None
    assert clock.monotonic() <= clock.monotonic()
