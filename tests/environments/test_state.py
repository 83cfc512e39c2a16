"""States of the record: what a fork sees, what a reset brings back, and what digest and difference tell apart."""

import copy
import json
import sqlite3
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from tests.environments.ward import MOMENT, RECORD, ask, concept, entries, observation
from wardround.core.errors import StoreError, UsageError
from wardround.environments.fhir.sandbox import Sandbox
from wardround.environments.fhir.state import State
from wardround.testing import FixedClock

Resource = dict[str, Any]


def content(resource: Resource) -> Resource:
    """Return what a resource says, without version and time."""
    meta = {k: v for k, v in resource.get("meta", {}).items() if k not in ("versionId", "lastUpdated")}
    return {k: v for k, v in resource.items() if k != "meta"} | ({"meta": meta} if meta else {})


def contents(state: State) -> dict[str, Resource]:
    return {f"{r['resourceType']}/{r['id']}": content(r) for r in state.resources()}


def put(state: State, id_: str, **members: Any) -> int:
    return ask(state, f"Observation/{id_}", method="PUT", body=made(id_, **members))[0]


def made(id_: str, code: str = "x", **members: Any) -> Resource:
    resource = {"resourceType": "Observation", "id": id_, "status": "final", "code": concept(code)}
    return resource | members


# -- laws -------------------------------------------------------------------------------------------------------

IDS = ("a", "b", "c")
CODES = ("x", "y")


@dataclass
class Model:
    """What a state should say, as plain dictionaries."""

    versions: dict[str, list[Resource | None]] = field(default_factory=lambda: {id_: [] for id_ in IDS})
    """Every version of each resource; None for a deletion."""
    saved: dict[str, list[Resource | None]] = field(default_factory=lambda: {id_: [] for id_ in IDS})
    writes: list[int] = field(default_factory=list)
    saved_at: int = 0
    parent: str | None = None
    forked_at: int = 0

    def now(self) -> dict[str, Resource]:
        return present(self.versions)


def present(versions: dict[str, list[Resource | None]]) -> dict[str, Resource]:
    return {id_: listed[-1] for id_, listed in versions.items() if listed and listed[-1] is not None}


class Episodes(RuleBasedStateMachine):
    """Agents that write, and a judge that forks, resets and compares."""

    names = Bundle("names")

    def __init__(self) -> None:
        super().__init__()
        self.sandbox = Sandbox(clock=FixedClock(MOMENT))
        self.states = {"default": self.sandbox.state}
        self.models = {"default": Model()}
        self.ticks = 0

    def teardown(self) -> None:
        self.sandbox.close()

    def tick(self, name: str) -> None:
        self.ticks += 1
        self.models[name].writes.append(self.ticks)

    @initialize(target=names)
    def begin(self) -> str:
        return "default"

    @rule(name=names, id_=st.sampled_from(IDS), code=st.sampled_from(CODES))
    def write(self, name: str, id_: str, code: str) -> None:
        listed = self.models[name].versions[id_]
        is_there = bool(listed) and listed[-1] is not None
        assert put(self.states[name], id_, code=code) == (200 if is_there else 201)
        listed.append(made(id_, code))
        self.tick(name)

    @rule(name=names, id_=st.sampled_from(IDS))
    def delete(self, name: str, id_: str) -> None:
        listed = self.models[name].versions[id_]
        status, _ = ask(self.states[name], f"Observation/{id_}", method="DELETE")
        assert status == (204 if listed else 404)
        if listed and listed[-1] is not None:
            listed.append(None)
            self.tick(name)

    @rule(name=names, codes=st.lists(st.sampled_from(CODES), min_size=1, max_size=2))
    def load(self, name: str, codes: list[str]) -> None:
        loaded = [made(id_, code) for id_, code in zip(IDS, codes, strict=False)]
        assert self.states[name].load(loaded) == len(loaded)
        for resource in loaded:
            self.models[name].versions[resource["id"]].append(resource)
            self.tick(name)
        self.keep(name)

    @rule(name=names, codes=st.lists(st.sampled_from(CODES), min_size=1, max_size=3))
    def transact_in_vain(self, name: str, codes: list[str]) -> None:
        writes = [(id_, made(id_, code)) for id_, code in zip(IDS, codes, strict=False)]
        writes.append(("d", made("d") | {"status": "finalish"}))
        listed = [{"resource": r, "request": {"method": "PUT", "url": f"Observation/{i}"}} for i, r in writes]
        body = {"resourceType": "Bundle", "type": "transaction", "entry": listed}
        assert ask(self.states[name], "", method="POST", body=body)[0] == 422

    @rule(name=names)
    def savepoint(self, name: str) -> None:
        self.states[name].savepoint()
        self.keep(name)

    def keep(self, name: str) -> None:
        model = self.models[name]
        model.saved, model.saved_at = copy.deepcopy(model.versions), self.ticks

    @rule(name=names)
    def reset(self, name: str) -> None:
        model = self.models[name]
        children = [other for other in self.models.values() if other.parent == name]
        if any(model.saved_at < tick <= child.forked_at for child in children for tick in model.writes):
            with pytest.raises(UsageError, match="close it first"):
                self.states[name].reset()
            return
        self.states[name].reset()
        model.versions = copy.deepcopy(model.saved)
        model.writes = [tick for tick in model.writes if tick <= model.saved_at]

    @rule(target=names, name=names)
    def fork(self, name: str) -> str:
        fork = self.states[name].fork()
        versions = self.models[name].versions
        self.states[fork.name] = fork
        self.models[fork.name] = Model(
            copy.deepcopy(versions), copy.deepcopy(versions), saved_at=self.ticks, parent=name, forked_at=self.ticks
        )
        return fork.name

    @rule(target=names, name=consumes(names))
    def close(self, name: str) -> Any:
        children = [other for other in self.models.values() if other.parent == name]
        if name == "default" or children:
            with pytest.raises(UsageError):
                self.states[name].close()
            return name
        closed = self.states.pop(name)
        closed.close()
        del self.models[name]
        for use in (closed.digest, closed.reset, closed.savepoint, closed.fork, closed.resources, closed.diff):
            with pytest.raises(StoreError, match="was closed"):
                use()
        return "default"

    @invariant()
    def each_state_says_what_was_written_to_it(self) -> None:
        assert self.sandbox.states() == list(self.models)
        for name, state in self.states.items():
            model = self.models[name]
            assert contents(state) == {f"Observation/{id_}": body for id_, body in model.now().items()}
            for id_, listed in model.versions.items():
                self.check(state, id_, listed)
            for code in CODES:
                wanted = sorted(id_ for id_, body in model.now().items() if body["code"] == concept(code))
                assert sorted(entries(ask(state, f"Observation?code={code}")[1])) == wanted

    def check(self, state: State, id_: str, listed: list[Resource | None]) -> None:
        status, body = ask(state, f"Observation/{id_}")
        if not listed or listed[-1] is None:
            assert status == (410 if listed else 404)
        else:
            assert (status, content(body), body["meta"]["versionId"]) == (200, listed[-1], str(len(listed)))
        if listed:
            history = ask(state, f"Observation/{id_}/_history")[1]
            assert history["total"] == len(listed)
            bodies = [content(e["resource"]) if "resource" in e else None for e in reversed(history["entry"])]
            assert bodies == listed

    @invariant()
    def digests_are_equal_where_the_records_are(self) -> None:
        digests = {name: state.digest() for name, state in self.states.items()}
        for one in self.models:
            for other in self.models:
                is_equal = self.models[one].now() == self.models[other].now()
                assert (digests[one] == digests[other]) is is_equal

    @invariant()
    def differences_are_exact(self) -> None:
        for name, state in self.states.items():
            after = self.models[name].now()
            self.compare(state, None, present(self.models[name].saved), after)
            for other in self.states:
                self.compare(state, self.states[other], self.models[other].now(), after)

    def compare(self, state: State, other: State | None, before: Any, after: Any) -> None:
        diff = state.diff(other)
        assert {r["id"]: content(r) for r in diff.added} == {i: r for i, r in after.items() if i not in before}
        assert {r["id"]: content(r) for r in diff.removed} == {i: r for i, r in before.items() if i not in after}
        changed = {new["id"]: (content(old), content(new)) for old, new in diff.changed}
        assert changed == {i: (before[i], after[i]) for i in before.keys() & after.keys() if before[i] != after[i]}
        assert diff.is_empty is (before == after)


TestEpisodes = Episodes.TestCase
TestEpisodes.settings = settings(
    max_examples=15,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


# -- loading ----------------------------------------------------------------------------------------------------


def test_loading_is_the_savepoint(sandbox: Sandbox) -> None:
    loaded = sandbox.state.digest()
    assert len(contents(sandbox.state)) == len(RECORD)
    assert sandbox.state.diff().is_empty
    put(sandbox.state, "new")
    ask(sandbox.state, "Observation/k", method="DELETE")
    assert [r["id"] for r in sandbox.state.diff().added] == ["new"]
    assert [r["id"] for r in sandbox.state.diff().removed] == ["k"]
    sandbox.state.reset()
    assert sandbox.state.digest() == loaded
    assert ask(sandbox.state, "Observation/new")[0] == 404
    assert entries(ask(sandbox.state, "Observation?code=2823-3")[1]) == ["k", "foreign"]


@pytest.mark.parametrize(
    ("resource", "says"),
    [
        ({"resourceType": "Observation"}, "no id"),
        ({"id": "x"}, "no resourceType"),
        ({"resourceType": "Spaceship", "id": "x"}, "Spaceship/x"),
        ({"resourceType": "Questionnaire", "id": "x"}, "Questionnaire/x"),
        (made("x", effectiveDateTime="2023-02-30"), "Observation/x"),
        (made("x", effectiveDateTime="yesterday"), "Observation/x"),
        (made("x", code="x") | {"code": "GLU"}, "Observation/x"),
    ],
)
@pytest.mark.parametrize("is_empty", [True, False])
def test_what_cannot_be_loaded_is_named_and_nothing_is_kept(resource: Resource, says: str, is_empty: bool) -> None:
    with Sandbox() as sandbox:
        if not is_empty:
            sandbox.load([made("there")])
        before = sandbox.state.digest()
        with pytest.raises(UsageError, match=says):
            sandbox.load([made("good"), resource])
        assert sandbox.state.digest() == before
        assert ask(sandbox.state, "Observation/good")[0] == 404
        sandbox.load([made("good")])
        assert entries(ask(sandbox.state, "Observation?code=x&_sort=_id")[1]) == ["good", "there"][: 1 + (not is_empty)]


def test_an_id_twice_in_what_is_loaded_is_refused() -> None:
    with Sandbox() as sandbox, pytest.raises(UsageError, match="Observation/a is twice"):
        sandbox.load([made("a"), made("b"), made("a")])


def test_loading_over_what_is_there_makes_new_versions(sandbox: Sandbox) -> None:
    assert sandbox.load([made("k", "new"), made("fresh")]) == 2
    assert ask(sandbox.state, "Observation/k")[1]["meta"]["versionId"] == "2"
    assert entries(ask(sandbox.state, "Observation?code=2823-3")[1]) == ["foreign"]
    assert entries(ask(sandbox.state, "Observation?code=new")[1]) == ["k"]
    assert sandbox.state.diff().is_empty


# -- digest and difference ----------------------------------------------------------------------------------------


def digest_of(*resources: Resource) -> str:
    with Sandbox() as sandbox:
        sandbox.load(resources)
        return sandbox.state.digest()


def test_a_digest_is_about_what_is_said_and_not_about_how_it_came_about(sandbox: Sandbox) -> None:
    assert digest_of(made("a"), made("b")) == digest_of(made("b"), made("a"))
    turned = dict(reversed(made("a").items()))
    assert digest_of(made("a")) == digest_of(turned)
    assert digest_of(made("a")) == digest_of(
        made("a") | {"meta": {"versionId": "7", "lastUpdated": "2020-01-01T00:00:00Z"}}
    )
    assert digest_of(made("a")) != digest_of(made("a") | {"meta": {"tag": [{"code": "t"}]}})
    assert digest_of(made("a")) != digest_of(made("b"))
    assert digest_of(made("a", "x"), made("b", "y")) != digest_of(made("a", "y"), made("b", "x"))
    assert digest_of(*RECORD) == sandbox.state.digest()
    assert digest_of() == "0" * 32


def test_a_digest_tells_the_precision_of_a_number() -> None:
    short, long = ({"value": Decimal(text), "unit": "g"} for text in ("7.1", "7.10"))
    assert digest_of(made("a", valueQuantity=short)) != digest_of(made("a", valueQuantity=long))


def test_writing_back_what_was_there_restores_the_digest_and_empties_the_difference(sandbox: Sandbox) -> None:
    before = sandbox.state.digest()
    old = ask(sandbox.state, "Observation/k")[1]
    put(sandbox.state, "k", code="other")
    assert sandbox.state.digest() != before
    [(was, now)] = sandbox.state.diff().changed
    assert (was["code"], now["code"]) == (old["code"], concept("other"))
    ask(sandbox.state, "Observation/k", method="PUT", body=json.loads(json.dumps(old, default=float)))
    assert sandbox.state.digest() == before
    assert sandbox.state.diff().is_empty


# -- forks ------------------------------------------------------------------------------------------------------


def test_forks_neither_see_one_another_nor_change_their_parent(sandbox: Sandbox) -> None:
    one, two = sandbox.state.fork("one"), sandbox.state.fork("two")
    put(one, "n1", code="note")
    put(two, "n2", code="note")
    put(sandbox.state, "n0", code="note")
    ask(one, "Observation/k", method="DELETE")
    grandchild = one.fork("three")
    put(grandchild, "n3", code="note")
    found = {s.name: entries(ask(s, "Observation?code=note,2823-3")[1]) for s in (sandbox.state, one, two, grandchild)}
    assert {name: set(ids) for name, ids in found.items()} == {
        "default": {"k", "foreign", "n0"},
        "one": {"foreign", "n1"},
        "two": {"k", "foreign", "n2"},
        "three": {"foreign", "n1", "n3"},
    }
    assert ask(grandchild, "Observation/k")[0] == 410
    assert entries(ask(one, "Patient?_has:Observation:patient:code=2823-3")[1]) == []
    assert entries(ask(two, "Patient?_has:Observation:patient:code=2823-3")[1]) == ["ann"]
    assert {r["id"] for r in grandchild.diff(sandbox.state).added} == {"n1", "n3"}
    assert {r["id"] for r in grandchild.diff(sandbox.state).removed} == {"k", "n0"}


def test_what_a_fork_stands_on_cannot_be_forgotten(sandbox: Sandbox) -> None:
    early = sandbox.state.fork("early")
    put(sandbox.state, "n")
    late = sandbox.state.fork("late")
    with pytest.raises(UsageError, match="fork 'late' stands on what would be forgotten"):
        sandbox.state.reset()
    assert ask(late, "Observation/n")[0] == 200
    late.close()
    sandbox.state.reset()
    assert ask(early, "Observation/k")[0] == 200
    parent = early.fork("deeper")
    with pytest.raises(UsageError, match="fork 'deeper' stands on it"):
        early.close()
    parent.close()
    early.close()
    with pytest.raises(UsageError, match="default state cannot be closed"):
        sandbox.state.close()


def test_names_of_forks_can_stand_in_a_url_and_are_taken_once(sandbox: Sandbox) -> None:
    assert sandbox.state.fork("run-1.a_b").base_path == "/forks/run-1.a_b/fhir/R4"
    for name in ("a/b", "a b", "..", ".hidden", "-x", "é", "a?b", "a%2fb"):
        with pytest.raises(UsageError, match="is no name for a fork"):
            sandbox.state.fork(name)
    for name in ("run-1.a_b", "default"):
        with pytest.raises(UsageError, match="there is a fork"):
            sandbox.state.fork(name)
    names = {sandbox.state.fork().name for _ in range(5)}
    assert len(names) == 5
    assert {*names, "default", "run-1.a_b"} == set(sandbox.states())


def test_a_name_given_again_is_another_state(sandbox: Sandbox) -> None:
    old = sandbox.state.fork("x")
    put(old, "n")
    old.close()
    new = sandbox.state.fork("x")
    assert ask(new, "Observation/n")[0] == 404
    for use in (old.digest, old.resources, old.texts, lambda: sandbox.state.diff(old), lambda: old.diff(new)):
        with pytest.raises(StoreError, match="'x' was closed"):
            use()


def test_resources_are_those_of_the_moment_they_were_asked_for(sandbox: Sandbox) -> None:
    listed = sandbox.state.resources()
    first = next(listed)
    put(sandbox.state, "late")
    ask(sandbox.state, "Observation/k", method="DELETE")
    rest = list(listed)
    assert [r["id"] for r in (first, *rest)] == [r["id"] for r in RECORD]


# -- files ------------------------------------------------------------------------------------------------------


def test_a_file_keeps_states_savepoints_and_versions(tmp_path: Path) -> None:
    path = tmp_path / "ward.sqlite"
    with Sandbox(path, clock=FixedClock(MOMENT)) as sandbox:
        sandbox.load(RECORD)
        put(sandbox.state, "k", code="other")
        fork = sandbox.state.fork("x")
        put(fork, "n")
        digests = [sandbox.state.digest(), fork.digest()]
    with Sandbox(path, clock=FixedClock(MOMENT)) as again:
        found = again.find("x")
        assert found is not None
        assert [again.state.digest(), found.digest()] == digests
        assert again.states() == ["default", "x"]
        assert ask(again.state, "Observation/k")[1]["meta"]["versionId"] == "2"
        assert entries(ask(found, "Observation?code=x")[1]) == ["n"]
        found.close()
        again.state.reset()
        assert ask(again.state, "Observation/k")[1]["meta"]["versionId"] == "1"
        assert entries(ask(again.state, "Observation?code=2823-3")[1]) == ["k", "foreign"]


def test_a_file_that_is_no_sandbox_is_refused(tmp_path: Path) -> None:
    wrong = tmp_path / "notes.txt"
    wrong.write_text("no database " * 100)
    with pytest.raises(StoreError, match=r"notes\.txt"):
        Sandbox(wrong)
    other = tmp_path / "old.sqlite"
    Sandbox(other).close()
    database = sqlite3.connect(other)
    database.execute("UPDATE about SET value = '0'")
    database.commit()
    database.close()
    with pytest.raises(StoreError, match="written in form 0"):
        Sandbox(other)


def test_there_is_no_other_profile() -> None:
    with pytest.raises(UsageError, match="r4, medagentbench"):
        Sandbox(profile="r5")  # type: ignore[arg-type]


def test_a_reset_leaves_nothing_of_the_episode_in_any_search(sandbox: Sandbox) -> None:
    before = {t: ask(sandbox.state, f"{t}?_count=1000") for t in ("Observation", "Patient", "Condition")}
    ask(sandbox.state, "Observation", method="POST", body=observation("x", concept("GLU"), valueString="note"))
    put(sandbox.state, "glu", code="GONE", valueString="changed")
    ask(sandbox.state, "Patient/kim", method="DELETE")
    sandbox.state.reset()
    assert {t: ask(sandbox.state, f"{t}?_count=1000") for t in before} == before
    for query in ("code=GONE", "value-string=note", "value-string:contains=chang"):
        assert entries(ask(sandbox.state, f"Observation?{query}")[1]) == []
    for table in ("token", "reference", "date", "string", "quantity", "uri", "bare"):
        stray = sandbox.state.store.db.execute(
            f"SELECT count(*) FROM {table} WHERE pk NOT IN (SELECT pk FROM version)"
        ).fetchone()
        assert stray == (0,)
