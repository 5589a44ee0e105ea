"""Agents of one name, one after the other or together, over tables that outlive them."""

from __future__ import annotations

import itertools
from typing import Any

from process_agent.core import events as e
from process_agent.threads.leases import Presence
from process_agent.threads.log import DatasetThreadLog
from process_agent.threads.store import DatasetThreadStore
from tests.fakes.datasets import MemoryDatasets
from tests.fakes.thread_events import Speaker, TestClock


class House:
    """A store over tables that outlive it; `agent()` is a new process of the agent."""

    def __init__(self) -> None:
        self.datasets = MemoryDatasets()
        self.clock = TestClock()
        self._ids = itertools.count(1)
        self.stores: list[DatasetThreadStore] = []

    def agent(self, **options: Any) -> DatasetThreadStore:
        others_here = options.pop("others_here", None)
        if others_here is not None:
            options["presence"] = Presence(others_here=others_here)
        budget = options.pop("budget", None)
        store = DatasetThreadStore(
            self.datasets, "bot", clock=self.clock, new_id=lambda: f"t{next(self._ids)}", **options
        )
        store._budget = budget or store._budget
        self.stores.append(store)
        return store

    async def thread(
        self, name: str = "New Chat", **options: Any
    ) -> tuple[DatasetThreadStore, DatasetThreadLog, Speaker]:
        store = self.agent(**options)
        await store.start()
        entry = await store.create(name)
        return store, await store.open(entry.path), Speaker(entry.path, self.clock)

    def kinds(self, thread: str) -> list[str]:
        return [row["type"].removeprefix("meshagent.agent.") for row in self.datasets.thread(thread)]


async def replayed(log: DatasetThreadLog, since: str | None = None) -> list[e.ThreadEvent]:
    return [event async for event in log.replay(since)]


def append(log: DatasetThreadLog, *groups: list[e.ThreadEvent] | e.ThreadEvent) -> None:
    for group in groups:
        for event in group if isinstance(group, list) else [group]:
            log.append(event)


async def crash(house: House, log: DatasetThreadLog) -> None:
    """The process dies: what was not given to the room is gone."""
    await log.flush()
    await log._tasks.close()
    house.stores.clear()
