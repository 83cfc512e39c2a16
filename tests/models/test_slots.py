"""How many calls of a model may be under way at once."""

import asyncio
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.core.errors import UsageError
from wardround.models.slots import Slot, Slots


class Gauge:
    """Counts the calls under way and sees to the limits at each of them."""

    def __init__(self, slots: Slots) -> None:
        self.slots, self.now, self.most, self.done = slots, 0, 0, 0

    async def call(self, steps: int, *, is_overload: bool = False) -> None:
        async with self.slots.taken() as slot:
            self.now += 1
            self.most = max(self.most, self.now)
            try:
                assert self.now <= self.slots.most
                for _ in range(steps):
                    await asyncio.sleep(0)
                if is_overload:
                    self.slots.overloaded(slot)
                else:
                    self.slots.went_well()
            finally:
                self.now -= 1
        self.done += 1
        assert 1.0 <= self.slots.limit <= self.slots.most


async def within(slots: Slots, tries: int) -> int:
    """How many calls get through at once."""
    gate = asyncio.Event()
    through = 0

    async def wait() -> None:
        nonlocal through
        async with slots.taken():
            through += 1
            await gate.wait()

    tasks = [asyncio.create_task(wait()) for _ in range(tries)]
    for _ in range(5 * tries):
        await asyncio.sleep(0)
    seen = through
    gate.set()
    await asyncio.gather(*tasks)
    return seen


SCHEDULES = st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.booleans()), min_size=1, max_size=20)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 5), SCHEDULES)
def test_no_schedule_gets_more_calls_under_way_than_allowed_and_all_come_to_an_end(
    most: int, schedule: list[tuple[int, bool, bool]]
) -> None:
    async def run() -> None:
        slots = Slots(most)
        gauge = Gauge(slots)
        tasks = []
        for steps, is_overload, is_cancelled in schedule:
            tasks.append(asyncio.create_task(gauge.call(steps, is_overload=is_overload)))
            await asyncio.sleep(0)
            if is_cancelled:
                tasks[len(tasks) // 2].cancel()
        ended = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), timeout=5)
        assert [e for e in ended if isinstance(e, Exception)] == []
        assert gauge.now == 0
        assert await within(slots, most + 3) == int(slots.limit)

    asyncio.run(run())


@given(st.integers(1, 40), st.lists(st.booleans(), max_size=200))
def test_the_limit_stays_between_one_and_what_was_given(most: int, went_well: list[bool]) -> None:
    slots = Slots(most)
    cuts = 0
    for is_well in went_well:
        if is_well:
            slots.went_well()
        else:
            slots.overloaded(Slot(cuts))
            cuts += 1
        assert 1.0 <= slots.limit <= most


async def test_calls_that_were_under_way_together_halve_the_limit_once() -> None:
    slots = Slots(16)
    async with slots.taken() as first, slots.taken() as second, slots.taken() as third:
        for slot in (first, second, third):
            slots.overloaded(slot)
        assert slots.limit == 8
        async with slots.taken() as later:
            slots.overloaded(later)
            assert slots.limit == 4
            slots.overloaded(first)
            assert slots.limit == 4


@pytest.mark.parametrize("limit", [2, 4, 8])
def test_a_round_of_calls_that_went_well_lets_about_one_more_through(limit: int) -> None:
    slots = Slots(2 * limit)
    slots.overloaded(Slot(0))
    assert slots.limit == limit
    for _ in range(limit):
        slots.went_well()
    assert limit + 0.8 <= slots.limit <= limit + 1


async def test_a_lower_limit_lets_fewer_through_and_a_recovered_one_more() -> None:
    slots = Slots(8)
    assert await within(slots, 12) == 8
    slots.overloaded(Slot(0))
    assert await within(slots, 12) == 4
    for _ in range(100):
        slots.went_well()
    assert await within(slots, 12) == 8


async def test_overload_at_the_lowest_limit_still_lets_one_through() -> None:
    slots = Slots(4)
    for cuts in range(10):
        slots.overloaded(Slot(cuts))
    assert await within(slots, 3) == 1


async def test_a_call_that_is_cancelled_or_fails_gives_its_place_back() -> None:
    slots = Slots(1)
    held, wanted = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with slots.taken():
            held.set()
            await asyncio.sleep(600)

    async def take() -> None:
        async with slots.taken():
            wanted.set()

    holding = asyncio.create_task(hold())
    await held.wait()
    given_up, waiting = asyncio.create_task(take()), asyncio.create_task(take())
    await asyncio.sleep(0)
    assert not wanted.is_set()
    given_up.cancel()
    holding.cancel()
    await asyncio.wait_for(waiting, timeout=5)
    assert wanted.is_set()
    with pytest.raises(ValueError, match="broken"):
        async with slots.taken():
            raise ValueError("broken")
    assert await within(slots, 3) == 1


async def test_a_call_cancelled_while_it_waits_for_the_rate_gives_its_place_back() -> None:
    slots = Slots(1, per_second=0.001)
    waiting = asyncio.create_task(slots.taken().__aenter__())
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert slots._under_way == 0


async def test_calls_begin_no_faster_than_the_rate() -> None:
    slots = Slots(10, per_second=20.0)
    gauge = Gauge(slots)
    begun = time.monotonic()
    await asyncio.gather(*(gauge.call(0) for _ in range(6)))
    assert gauge.done == 6
    assert time.monotonic() - begun >= 4 / 20.0


@pytest.mark.parametrize(("most", "rate"), [(0, None), (-1, None), (1, 0.0), (1, -1.0), (1, float("nan"))])
def test_limits_that_let_nothing_through_are_refused(most: int, rate: float | None) -> None:
    with pytest.raises(UsageError, match="concurrency of at least 1 and a rate above 0"):
        Slots(most, per_second=rate)
