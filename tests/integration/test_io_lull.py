"""Few are no crowd; many have passed when nobody comes any more, and in time for all."""

from __future__ import annotations

import asyncio

import pytest

from process_agent.io import lull
from process_agent.io.lull import FEW, Lull


@pytest.fixture
def never_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lull, "QUIET_SECONDS", 30.0)


async def test_a_few_are_no_crowd_and_wait_for_nobody(never_quiet: None) -> None:
    passing = Lull()
    assert not any(passing.come() for _ in range(FEW))
    async with asyncio.timeout(10):
        await passing.passed()


async def test_those_who_come_one_after_the_other_are_no_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lull, "QUIET_SECONDS", 0.0)
    passing = Lull()
    assert not any(passing.come() for _ in range(5 * FEW))


async def test_a_crowd_goes_on_when_it_has_passed() -> None:
    passing = Lull()
    assert [passing.come() for _ in range(2 * FEW)] == [False] * FEW + [True] * FEW
    async with asyncio.timeout(10):
        await passing.passed()
        await passing.passed()
    assert not passing.come()


async def test_who_comes_on_and_on_holds_nobody_for_ever(
    never_quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lull, "HOLD_SECONDS", 0.01)
    passing = Lull()
    for _ in range(2 * FEW):
        passing.come()
    async with asyncio.timeout(10):
        await passing.passed()


async def test_one_that_is_cancelled_leaves_the_others_waiting() -> None:
    passing = Lull()
    for _ in range(2 * FEW):
        passing.come()
    waiting = [asyncio.create_task(passing.passed()) for _ in range(2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    async with asyncio.timeout(10):
        await waiting[1]
