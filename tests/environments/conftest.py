"""A sandbox that holds the small record, and clients of it."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.environments.ward import MOMENT, RECORD, Client
from wardround.environments.fhir.sandbox import Sandbox
from wardround.testing import FixedClock


@pytest.fixture(scope="session")
def archive() -> Iterator[Sandbox]:
    """The record for tests that only read."""
    with Sandbox(clock=FixedClock(MOMENT), read_only=True) as made:
        made.load(RECORD)
        yield made


@pytest.fixture
async def reader(archive: Sandbox) -> AsyncIterator[Client]:
    async with httpx.AsyncClient(transport=archive.transport(), base_url="http://sandbox/fhir/R4") as http:
        yield Client(http)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """The record for one test alone."""
    with Sandbox(clock=FixedClock(MOMENT)) as made:
        made.load(RECORD)
        yield made


@pytest.fixture
async def fhir(sandbox: Sandbox) -> AsyncIterator[Client]:
    async with httpx.AsyncClient(transport=sandbox.transport(), base_url="http://sandbox/fhir/R4") as http:
        yield Client(http)
