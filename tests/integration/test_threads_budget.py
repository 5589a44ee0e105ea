"""Many threads while the room is away: what waits of them is bounded together, and who gives up is fair."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from process_agent.errors import RoomError
from process_agent.threads.budget import Budget
from process_agent.threads.log import DatasetThreadLog
from tests.fakes.thread_events import Speaker, texts
from tests.fakes.thread_house import House, append, replayed


async def _threads(house: House, budget: Budget, number: int) -> list[tuple[DatasetThreadLog, Speaker]]:
    store = house.agent(budget=budget)
    await store.start()
    entries = [await store.create(f"thread {at}") for at in range(number)]
    return [(await store.open(entry.path), Speaker(entry.path, house.clock)) for entry in entries]


async def test_the_thread_of_which_most_waits_gives_up_and_the_others_are_stored() -> None:
    house, budget = House(), Budget(20_000)
    (large, says), *others = await _threads(house, budget, 8)
    house.datasets.gate.clear()
    append(large, says.text("x" * 12_000))
    for log, say in others:
        append(log, say.text("y" * 1_500))
    assert budget.total <= 20_000
    with pytest.raises(RoomError, match="away too long"):
        await large.flush()
    house.datasets.gate.set()
    await asyncio.gather(*(log.flush() for log, _ in others))
    assert budget.total == 0
    for log, _ in others:
        assert list(texts(await replayed(log)).values()) == ["y" * 1_500]


async def test_what_waits_goes_with_a_log_that_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("process_agent.threads.log.CLOSE_SECONDS", 0.05)
    house, budget = House(), Budget(20_000)
    [(log, say)] = await _threads(house, budget, 1)
    house.datasets.gate.clear()
    append(log, say.text("x" * 1_000))
    assert budget.total > 1_000
    await log.close()
    house.datasets.gate.set()
    assert budget.total == 0


class _NoWait:
    def delays(self) -> Any:
        return itertools.repeat(0.0)


async def test_a_log_that_gave_up_never_says_that_it_is_saved_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("process_agent.threads.writer.Backoff", lambda ceiling: _NoWait())
    house, behind = House(), list[bool]()
    [(log, say)] = await _threads(house, Budget(10_000), 1)
    log.watch_saving(behind.append)
    house.datasets.gate.clear()
    append(log, say.text("x" * 1_000, item="first"))
    waits = asyncio.create_task(log.flush())
    await asyncio.sleep(0)  # the first is on its way
    append(log, say.text("x" * 10_000, item="second"))
    house.datasets.gate.set()
    with pytest.raises(RoomError, match="away too long"):
        await waits
    for _ in range(20):
        await asyncio.sleep(0)
    assert behind == [True]
