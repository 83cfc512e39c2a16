"""Runs called right or wrong by a file of labels."""

import datetime as dt
from contextlib import closing
from pathlib import Path

import pytest

import wardround as wr
from wardround.core.errors import UsageError
from wardround.evals.labelling import WHO, label_runs
from wardround.knowledge.loading import embedded
from wardround.trace.rows import RunQuery
from wardround.trace.store import RunStore

NOW = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
BLADDER = "30-year-old woman. Dysuria and urinary frequency for 2 days. No fever. Nitrites in the urine."


def test_consults_of_labelled_cases_are_called_right_or_wrong_and_found_by_their_suite(tmp_path: Path) -> None:
    ward = wr.Ward(workspace=tmp_path, suite="urology", settings=wr.ConsultSettings(rollouts=1, rounds=0))
    for case in ("a", "b", "c"):
        ward.consult(wr.Case(id=case, narrative=BLADDER))
    with closing(RunStore.existing(tmp_path)) as store:
        done = label_runs(store, {"a": "N30.00", "b": "gout"}, embedded(), now=NOW)
        assert (done.right, done.wrong, done.unlabelled, done.undecided) == (1, 1, 1, 0)
        assert {(a.label, a.who) for a in store.labelled()} == {("right", WHO), ("wrong", WHO)}
        assert {a.truth for a in store.labelled()} == {("acute_cystitis",), ("gout",)}
        assert len(store.page(RunQuery(suites=("urology",))).rows) == 3
        label_runs(store, {"b": "cystitis"}, embedded(), now=NOW)
        assert {a.label for a in store.labelled()} == {"right"}  # the last word stands
        assert {a.truth for a in store.labelled()} == {("acute_cystitis",)}
        label_runs(store, {"a": "R99", "b": "a disease of no book"}, embedded(), now=NOW)
        assert {a.label for a in store.labelled()} == {"wrong"}
        assert () in {a.truth for a in store.labelled()}
        with pytest.raises(UsageError, match=r"no run in .* is of a labelled case"):
            label_runs(store, {"nobody": "gout"}, embedded(), now=NOW)
