"""A small suite with its sandbox, and the default suite without one."""

from __future__ import annotations

import pytest

from tests.evals.recordtasks.bench import Bench
from wardround.evals.recordtasks.suite import RecordTasks


@pytest.fixture(scope="session")
def bench() -> Bench:
    return Bench(RecordTasks(seed=0, patients=40, per_category=8))


@pytest.fixture(scope="session")
def full() -> RecordTasks:
    """The suite as it is by default."""
    return RecordTasks()
