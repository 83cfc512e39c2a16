"""Where answers of models are kept, and taken from in place of asking again."""

import json
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.messages.tool import tool_call

from wardround.core.errors import NotRecorded, StoreError, UsageError
from wardround.models.keeping import MASK, CallCache, Calls, Cassette, LoggedCalls, Replies
from wardround.models.requests import Reply, Request, reply_of, request_of
from wardround.trace.events import EVENT, Event, ModelAnswered, ModelAsked, Origin
from wardround.trace.recorder import Recorder

HALF = "\ud83d"


def request(text: str = "Which tool?", *, rollouts: Sequence[int] = (0,), **options: Any) -> Request:
    return request_of("vllm:m", [HumanMessage(text)], {"temperature": 0.0, "seed": 7, **options}, rollouts)


def replies(*texts: str) -> Replies:
    return tuple(Reply(text=text, finish="stop", served_by="m") for text in texts)


FULL = reply_of(
    AIMessage(
        f"é {HALF} \u2603 'quoted' \\ \n",
        tool_calls=[
            tool_call(name="labs", args={"test": "K"}, id="c1"),
            tool_call(name="x", args={"a": HALF}, id="c2"),
        ],
        usage_metadata={"input_tokens": 30, "output_tokens": 2, "total_tokens": 32},
        response_metadata={
            "finish_reason": "tool_calls",
            "model_name": "m",
            "logprobs": {"content": [{"token": "é", "logprob": -0.1}, {"token": HALF, "logprob": -1e-17}]},
        },
        additional_kwargs={"refusal": "I will not."},
    )
)
"""A reply with something in every field."""


def log(answered: Sequence[tuple[Request, Replies]]) -> list[Event]:
    """The log of a run in which these were asked and answered, after it was written and read."""
    recorder = Recorder("run_1")
    for asked, given_back in answered:
        for rollout, reply in zip(asked.rollouts, given_back, strict=True):
            call = f"call_{asked.key}_{rollout}"
            recorder.record(
                ModelAsked,
                call=call,
                agent="a",
                model=asked.model,
                answer="ToolChoice",
                rollout=rollout,
                attempt=0,
                messages=asked.messages,
                request=asked.key,
                options=asked.options,
            )
            recorder.record(ModelAnswered, call=call, seconds=0.1, **reply.model_dump())
    return [EVENT.validate_json(EVENT.dump_json(event)) for event in recorder.events]


Kept = Callable[[Path, Sequence[tuple[Request, Replies]]], Calls]


def logged(folder: Path, answered: Sequence[tuple[Request, Replies]]) -> Calls:
    return LoggedCalls(log(answered), run="run_1", origin=Origin.LOG)


def cached(folder: Path, answered: Sequence[tuple[Request, Replies]]) -> Calls:
    cache = CallCache(folder / "calls.db")
    for asked, given_back in answered:
        cache.keep(asked, given_back)
    return cache


def reopened(folder: Path, answered: Sequence[tuple[Request, Replies]]) -> Calls:
    cache = CallCache(folder / "deep" / "calls.db")
    for asked, given_back in answered:
        cache.keep(asked, given_back)
    cache.close()
    return CallCache(folder / "deep" / "calls.db")


def recorded(folder: Path, answered: Sequence[tuple[Request, Replies]]) -> Calls:
    cassette = Cassette(folder / "calls.jsonl", mode="new")
    for asked, given_back in answered:
        cassette.keep(asked, given_back)
    return cassette


def replayed(folder: Path, answered: Sequence[tuple[Request, Replies]]) -> Calls:
    recorded(folder, answered)
    return Cassette(folder / "calls.jsonl", mode="once")


EVERYWHERE = pytest.mark.parametrize("kept", [logged, cached, reopened, recorded, replayed])


@EVERYWHERE
def test_what_was_answered_comes_back_as_it_was(kept: Kept, tmp_path: Path) -> None:
    answered = [(request("a"), replies("one")), (request("b"), (FULL,)), (request("c"), replies(""))]
    calls = kept(tmp_path, answered)
    for asked, given_back in answered:
        assert calls.find(asked) == given_back


@EVERYWHERE
def test_a_request_is_found_by_what_it_says_and_not_by_who_made_it(kept: Kept, tmp_path: Path) -> None:
    calls = kept(tmp_path, [(request("a"), replies("one"))])
    assert calls.find(Request.model_validate_json(request("a").model_dump_json())) == replies("one")


@EVERYWHERE
def test_rollouts_of_one_request_come_back_in_their_order(kept: Kept, tmp_path: Path) -> None:
    asked = request(rollouts=(0, 1, 2), n=3)
    assert kept(tmp_path, [(asked, replies("x", "y", "z"))]).find(asked) == replies("x", "y", "z")


@EVERYWHERE
def test_rollouts_that_were_asked_for_apart_stay_distinct(kept: Kept, tmp_path: Path) -> None:
    answered = [(request(rollouts=(n,)), replies(f"answer {n}")) for n in range(4)]
    calls = kept(tmp_path, answered)
    assert [calls.find(asked) for asked, _ in answered] == [replies(f"answer {n}") for n in range(4)]


@EVERYWHERE
@pytest.mark.parametrize(
    "other",
    [
        request("b"),
        request("a", seed=8),
        request("a", temperature=0.7),
        request("a", rollouts=(1,)),
        request("a", rollouts=(0, 1)),
        request("a", response_format={"type": "json_schema"}),
        request("a").model_copy(update={"model": "vllm:other"}),
    ],
)
def test_what_was_asked_otherwise_is_not_answered_with_it(kept: Kept, other: Request, tmp_path: Path) -> None:
    calls = kept(tmp_path, [(request("a"), replies("one"))])
    if kept is replayed:
        with pytest.raises(NotRecorded):
            calls.find(other)
    else:
        assert calls.find(other) is None


@EVERYWHERE
def test_the_origin_is_one_of_those_that_a_log_knows(kept: Kept, tmp_path: Path) -> None:
    expected = {logged: Origin.LOG, cached: Origin.CACHE, reopened: Origin.CACHE}
    assert kept(tmp_path, []).origin is expected.get(kept, Origin.CASSETTE)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=8), st.lists(st.text(max_size=8), min_size=1, max_size=3)), max_size=4))
def test_any_texts_come_back_from_a_cache(tmp_path_factory: Any, talks: list[tuple[str, list[str]]]) -> None:
    answered = {q: replies(*a) for q, a in talks}
    asked = {q: request(q, rollouts=range(len(a))) for q, a in answered.items()}
    cache = reopened(tmp_path_factory.mktemp("cache"), [(asked[q], a) for q, a in answered.items()])
    assert {q: cache.find(asked[q]) for q in answered} == answered


# The log


def test_a_replayed_log_that_lacks_a_request_says_which_settings_differ() -> None:
    calls = LoggedCalls(log([(request("a"), replies("one"))]), run="run_1", origin=Origin.REPLAY)
    with pytest.raises(
        NotRecorded, match=r"replay:run_1.*the same was asked with other seed; use the settings"
    ) as missing:
        calls.find(request("a", seed=8))
    assert request("a", seed=8).key in str(missing.value)
    with pytest.raises(NotRecorded, match="with other max_tokens, temperature"):
        calls.find(request("a", temperature=0.7, max_tokens=9))
    with pytest.raises(NotRecorded, match="with other rollouts"):
        calls.find(request("a", rollouts=(5,)))


def test_a_replayed_log_that_lacks_a_request_says_that_the_words_differ() -> None:
    calls = LoggedCalls(log([(request("a"), replies("one"))]), run="run_1", origin=Origin.REPLAY)
    with pytest.raises(NotRecorded, match="nothing with these words was asked in it; use its case"):
        calls.find(request("b"))


def test_a_log_without_keys_says_that_it_is_of_an_older_version() -> None:
    older = [
        e.model_copy(update={"request": None, "options": None}) if isinstance(e, ModelAsked) else e
        for e in log([(request("a"), replies("one"))])
    ]
    with pytest.raises(NotRecorded, match="recorded by a version without keys"):
        LoggedCalls(older, run="run_1", origin=Origin.REPLAY).find(request("a"))
    assert LoggedCalls(older, run="run_1", origin=Origin.LOG).find(request("a")) is None


@pytest.mark.parametrize("cut", range(6))
def test_a_request_counts_as_answered_once_all_its_rollouts_are(cut: int) -> None:
    asked = request(rollouts=(0, 1, 2), n=3)
    events = log([(asked, replies("x", "y", "z"))])
    broken = sorted(events, key=lambda e: isinstance(e, ModelAnswered))[:cut]
    assert LoggedCalls(broken, run="run_1", origin=Origin.LOG).find(asked) is None


def test_a_call_that_was_made_again_after_a_break_has_the_later_answer() -> None:
    (asked, answered) = log([(request("a"), replies("one"))])
    calls = LoggedCalls([asked, asked, answered], run="run_1", origin=Origin.LOG)
    assert calls.find(request("a")) == replies("one")


def test_a_log_is_not_written_by_those_who_read_it() -> None:
    calls = LoggedCalls(log([]), run="run_1", origin=Origin.LOG)
    calls.keep(request("a"), replies("one"))
    assert calls.find(request("a")) is None


# The cache


def test_the_first_answer_stays(tmp_path: Path) -> None:
    cache = CallCache(tmp_path / "calls.db")
    cache.keep(request("a"), replies("first"))
    cache.keep(request("a"), replies("second"))
    assert cache.find(request("a")) == replies("first")
    cache.close()
    assert CallCache(tmp_path / "calls.db").find(request("a")) == replies("first")


def test_threads_and_other_holders_of_the_file_share_what_is_kept(tmp_path: Path) -> None:
    caches = [CallCache(tmp_path / "calls.db") for _ in range(2)]

    def work(n: int) -> Replies | None:
        caches[n % 2].keep(request(f"question {n // 4}"), replies(f"answer {n // 4}"))
        return caches[(n + 1) % 2].find(request(f"question {n // 4}"))

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(work, range(80)))
    assert found == [replies(f"answer {n // 4}") for n in range(80)]


def test_threads_that_answer_the_same_keep_one_answer_whole(tmp_path: Path) -> None:
    cache = CallCache(tmp_path / "calls.db")
    asked = request(rollouts=(0, 1), n=2)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda n: cache.keep(asked, replies(f"{n}", f"{n}")), range(40)))
    found = cache.find(asked)
    assert found is not None
    assert len({reply.text for reply in found}) == 1


def test_a_file_that_is_something_else_is_no_cache(tmp_path: Path) -> None:
    path = tmp_path / "calls.db"
    path.write_text("These are the minutes of a meeting. " * 100)
    with pytest.raises(StoreError, match=r"calls\.db cannot be used as a cache .*; give another file"):
        CallCache(path)
    assert path.read_text().startswith("These are the minutes")


def test_a_folder_and_a_path_through_a_file_are_no_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "calls.db"):
        with pytest.raises(StoreError, match="give another file"):
            CallCache(path)


def test_a_database_of_another_program_is_no_cache(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE calls (number TEXT, duration INTEGER)")
    connection.close()
    cache = CallCache(path)
    with pytest.raises(StoreError, match=r"other\.db cannot be used as a cache"):
        cache.find(request("a"))
    with pytest.raises(StoreError, match=r"other\.db cannot be used as a cache"):
        cache.keep(request("a"), replies("one"))


def test_a_closed_cache_says_so_and_answers_nothing(tmp_path: Path) -> None:
    cache = CallCache(tmp_path / "calls.db")
    cache.close()
    with pytest.raises(StoreError):
        cache.find(request("a"))


# The cassette


def test_a_cassette_records_where_there_is_none_and_replays_where_there_is(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "calls.jsonl"
    first = Cassette(path, mode="once")
    assert first.find(request("a")) is None
    first.keep(request("a"), replies("one"))
    second = Cassette(path, mode="once")
    assert second.find(request("a")) == replies("one")
    with pytest.raises(NotRecorded):
        second.find(request("b"))


def test_a_new_cassette_forgets_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    Cassette(path, mode="new").keep(request("a"), replies("one"))
    anew = Cassette(path, mode="new")
    assert anew.find(request("a")) is None
    anew.keep(request("b"), replies("two"))
    replay = Cassette(path)
    assert replay.find(request("b")) == replies("two")
    with pytest.raises(NotRecorded):
        replay.find(request("a"))


def test_a_request_that_a_cassette_does_not_hold_names_the_file_and_the_mend(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    recorded(tmp_path, [(request("a"), replies("one"))])
    with pytest.raises(NotRecorded, match="record it anew with mode='new'") as missing:
        Cassette(path).find(request("b"))
    assert str(path) in str(missing.value)
    assert request("b").key in str(missing.value)
    assert missing.value.model == "vllm:m"


def test_a_cassette_that_is_not_there_cannot_be_replayed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.jsonl: no cassette can be read"):
        Cassette(tmp_path / "none.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_replaying_does_not_change_the_file(tmp_path: Path) -> None:
    recorded(tmp_path, [(request("a"), replies("one"))])
    before = (tmp_path / "calls.jsonl").read_bytes()
    Cassette(tmp_path / "calls.jsonl").find(request("a"))
    assert (tmp_path / "calls.jsonl").read_bytes() == before


def test_a_reviewer_reads_what_was_sent_and_answered_line_by_line(tmp_path: Path) -> None:
    recorded(tmp_path, [(request("Which tool, née Müller?"), replies("é")), (request("b"), replies("two"))])
    lines = (tmp_path / "calls.jsonl").read_text("utf-8").splitlines()
    first, second = (json.loads(line) for line in lines)
    assert "née Müller" in lines[0]
    assert first["request"]["messages"] == [{"role": "human", "content": "Which tool, née Müller?"}]
    assert first["replies"] == [{"text": "é", "finish": "stop", "served_by": "m"}]
    assert second["key"] == request("b").key


@pytest.mark.parametrize(
    "line", ["no JSON", "[]", "7", '{"key": "a"}', '{"key": "a", "replies": [{"words": "x"}]}', '{"replies": []}', ""]
)
def test_a_broken_line_names_the_file_and_the_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "calls.jsonl"
    recorded(tmp_path, [(request("a"), replies("one"))])
    good = path.read_text("utf-8")
    path.write_text(f"{good}{line}\n{good}", "utf-8")
    with pytest.raises(UsageError, match=r"calls\.jsonl, line 2: no call of a cassette; record it anew"):
        Cassette(path)


def test_a_file_that_is_no_text_is_no_cassette(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    path.write_bytes(b"\xff\xfe\x00broken")
    with pytest.raises(UsageError, match="no cassette can be read"):
        Cassette(path)


def test_secrets_are_masked_in_the_file_and_the_request_is_still_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOSPITAL_API_KEY", "sk-1234567890")
    monkeypatch.setenv("hub_token", "hf_abcdefghij")
    monkeypatch.setenv("DB_PASSWORD", 'quo"ted\\päss')
    monkeypatch.setenv("LOCALE", "not a secret at all")
    path = tmp_path / "calls.jsonl"
    text = 'Keys sk-1234567890, hf_abcdefghij, quo"ted\\päss of Jane Doe; not a secret at all.'
    Cassette(path, mode="new", secrets=["Jane Doe"]).keep(request(text), replies("one"))
    written = path.read_text("utf-8")
    assert (
        f"Keys {MASK}, {MASK}, {MASK} of {MASK}; not a secret at all."
        in json.loads(written)["request"]["messages"][0]["content"]
    )
    for secret in ("sk-1234567890", "hf_abcdefghij", "päss", "Jane Doe"):
        assert secret not in written
    assert json.loads(written)["key"] == request(text).key
    assert Cassette(path).find(request(text)) == replies("one")


def test_a_placeholder_for_a_key_masks_no_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    recorded(tmp_path, [(request("There is none."), replies("none"))])
    assert MASK not in (tmp_path / "calls.jsonl").read_text("utf-8")


def test_threads_write_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "calls.jsonl"
    cassette = Cassette(path, mode="new")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: cassette.keep(request(f"{n}"), replies(f"answer {n}" * 50)), range(40)))
    replay = Cassette(path)
    assert [replay.find(request(f"{n}")) for n in range(40)] == [replies(f"answer {n}" * 50) for n in range(40)]


@pytest.mark.parametrize(
    "between",
    ["\u2028", "\u2029", "\x85", "\x0b", "\x1c", "\n", "\r\n"],
)
def test_an_answer_with_an_unusual_line_break_comes_back(tmp_path: Path, between: str) -> None:
    answered = [(request(f"a{between}b"), replies(f"one{between}two"))]
    assert replayed(tmp_path, answered).find(answered[0][0]) == answered[0][1]
