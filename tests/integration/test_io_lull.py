"""Heavy work for a few begins at once, for many when the last of them was answered, and in time for all."""

from __future__ import annotations

import asyncio

import pytest

from process_agent.io import lull
from process_agent.io.lull import FEW, Lull


@pytest.fixture
def never_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lull, "QUIET_SECONDS", 30.0)


async def test_a_few_wait_for_nobody(never_quiet: None) -> None:
    passing = Lull()
    async with asyncio.timeout(10):
        await asyncio.gather(*(passing.wait() for _ in range(FEW)))


async def test_whoever_asked_is_told_before_the_work_begins(never_quiet: None) -> None:
    passing, said = Lull(), list[str]()

    async def stop() -> None:
        asyncio.get_running_loop().call_soon(said.append, "told")
        await passing.wait()
        said.append("done")

    await stop()
    assert said == ["told", "done"]


async def test_a_crowd_goes_on_when_it_has_passed() -> None:
    passing, done = Lull(), list[int]()

    async def stop(number: int) -> None:
        await passing.wait()
        done.append(number)

    crowd = [asyncio.create_task(stop(number)) for number in range(5 * FEW)]
    await crowd[0]
    await asyncio.sleep(0)
    assert done == list(range(FEW)), "the rest waits for those who may come yet"
    await asyncio.gather(*crowd)
    assert done == list(range(5 * FEW))


async def test_who_comes_on_and_on_holds_nobody_for_ever(
    never_quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lull, "HOLD_SECONDS", 0.01)
    passing = Lull()
    async with asyncio.timeout(10):
        await asyncio.gather(*(passing.wait() for _ in range(3 * FEW)))


async def test_one_that_is_cancelled_leaves_the_others_waiting() -> None:
    passing = Lull()
    crowd = [asyncio.create_task(passing.wait()) for _ in range(3 * FEW)]
    await asyncio.sleep(0)
    crowd[-1].cancel()
    results = await asyncio.gather(*crowd, return_exceptions=True)
    assert [isinstance(result, asyncio.CancelledError) for result in results] == [
        *[False] * (3 * FEW - 1),
        True,
    ]
    async with asyncio.timeout(10):
        await passing.wait()
