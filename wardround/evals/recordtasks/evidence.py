"""Which reads brought the data that decide a task: every read of an episode is asked again, of two records.

What is in the record must come back from the record as it was before the episode. What is not there must come back from
a record that holds nothing but the patient and something like what is missing: only a search that would have brought it
tells that it is missing. So every way of searching counts that finds, and none that is too narrow.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from wardround.environments.fhir.sandbox import Sandbox
from wardround.evals.medagentbench.matching import subject_of
from wardround.evals.medagentbench.reads import Call
from wardround.evals.records.grading import Reason
from wardround.evals.recordtasks.outcome import Evidence, Seen, Sought
from wardround.evals.recordtasks.reading import Resource, ref
from wardround.testing.clock import RunningClock
from wardround.tools.fhir.access import mapping, number, objects, string
from wardround.tools.fhir.client import FhirClient


@dataclass(frozen=True)
class Read:
    """A search or read that an episode made, whatever page of it."""

    path: str
    params: tuple[tuple[str, str], ...]
    pages: int
    """How many pages of it were fetched."""

    @property
    def url(self) -> str:
        """Address below the base."""
        return f"{self.path}?{urlencode(self.params)}" if self.params else self.path


@dataclass(frozen=True)
class Brought:
    """What some reads brought."""

    refs: frozenset[str]
    patients: frozenset[str]
    """Ids of those whom it was about."""


def reads_of(calls: Iterable[Call]) -> tuple[Read, ...]:
    """Return the successful reads of an episode, the pages of a search taken together."""
    cursors: dict[tuple[str, tuple[tuple[str, str], ...]], set[str]] = {}
    for call in calls:
        if call.method.upper() != "GET" or call.status is None or not 200 <= call.status < 300:
            continue
        parts = urlsplit(call.url)
        params = parse_qsl(parts.query, keep_blank_values=True)
        kept = tuple(p for p in params if p[0] not in ("_cursor", "_format"))
        followed = {value for name, value in params if name == "_cursor"}
        cursors.setdefault((parts.path, kept), set()).update(followed)
    return tuple(Read(path, params, 1 + len(followed)) for (path, params), followed in cursors.items())


async def unread(
    evidence: Sequence[Evidence], calls: Iterable[Call], patient: str | None, before: FhirClient, probes: ProbeRecord
) -> Reason | None:
    """Return why the deciding data count as not read; None where all of them were read.

    Args:
        evidence: What had to be read.
        calls: What the episode asked of the record.
        patient: Id of the task's patient; none where finding the patient is the task.
        before: The record as it was before the episode.
        probes: Where probes are put.
    """
    if not evidence:
        return None
    reads = reads_of(calls)
    brought = await _brought(reads, before)
    lacking = frozenset[str]().union(*(e.refs for e in evidence if isinstance(e, Seen))) - brought.refs
    sought = [e.probe for e in evidence if isinstance(e, Sought)]
    if not lacking and (not sought or await _would_find(sought, reads, patient, before, probes)):
        return None
    is_elsewhere = patient is not None and brought.patients and patient not in brought.patients
    return Reason.WRONG_PATIENT if is_elsewhere else Reason.WRONG_QUERY


class ProbeRecord:
    """A server with empty records, in each of which something is put that is looked for."""

    def __init__(self, now: datetime) -> None:
        self._sandbox = Sandbox(clock=RunningClock(now))

    @asynccontextmanager
    async def holding(self, resources: Iterable[Resource]) -> AsyncIterator[FhirClient]:
        """Open a record with some resources."""
        fork = self._sandbox.state.fork()
        try:
            fork.load(dict(resource) for resource in resources)
            base = "http://probes" + fork.base_path
            async with FhirClient(base, transport=self._sandbox.transport()) as client:
                yield client
        finally:
            fork.close()


async def _would_find(
    sought: Sequence[Resource], reads: Sequence[Read], patient: str | None, before: FhirClient, probes: ProbeRecord
) -> bool:
    """Whether each probe alone would be brought by one of the reads; alone, so that one read's total tells it."""
    person = [await before.read(f"Patient/{patient}")] if patient is not None else []
    for probe in sought:
        async with probes.holding([*person, probe]) as client:
            if ref(probe) not in (await _brought(reads, client, probe=ref(probe))).refs:
                return False
    return True


async def _brought(reads: Sequence[Read], client: FhirClient, probe: str | None = None) -> Brought:
    refs, patients = set[str](), set[str]()
    for read in reads:
        response = await client.request("GET", read.url)
        if response.is_error:
            continue
        body = mapping(response.body)
        is_count = probe is not None and probe.startswith(f"{read.path}/") and not objects(body.get("entry"))
        if is_count and (number(body.get("total")) or 0) > 0:
            refs.add(str(probe))  # a search that only counts tells that something is there
        async for resource in _pages(body, read.pages, client):
            refs.add(ref(resource))
            owner = string(resource.get("id")) if resource.get("resourceType") == "Patient" else _owner(resource)
            patients |= {owner} - {""}
    return Brought(frozenset(refs), frozenset(patients))


async def _pages(body: Mapping[str, Any], pages: int, client: FhirClient) -> AsyncIterator[Resource]:
    for page in range(pages):
        for resource in _held(body):
            yield resource
        following = next((string(k.get("url")) for k in objects(body.get("link")) if k.get("relation") == "next"), "")
        if page + 1 == pages or not following:
            return
        response = await client.follow(following)
        body = mapping(response.body)


def _held(body: Mapping[str, Any]) -> Iterator[Resource]:
    if body.get("resourceType") != "Bundle":
        yield body
        return
    for entry in objects(body.get("entry")):
        yield mapping(entry.get("resource"))


def _owner(resource: Resource) -> str:
    named = resource if "subject" in resource else {"subject": resource.get("patient")}
    return subject_of(named) or ""
