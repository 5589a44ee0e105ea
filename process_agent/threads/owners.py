"""Whose each thread is: a table of our own beside the list of threads, where participants have their own.

The list itself stays as published readers know it. Whoever may read the room's tables can read this one, and
every thread: it is the agent that keeps threads apart, not the room.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from process_agent.core.ids import Clock, ThreadId
from process_agent.core.room import Datasets, TableRef
from process_agent.io.tables import up_to_date
from process_agent.threads.index import iso
from process_agent.threads.schema import OWNERS, OWNERS_TABLE
from process_agent.threads.table import quoted


class ThreadOwners:
    """Reads claims and makes them. Every method raises `RoomError` as `Datasets` does."""

    def __init__(self, datasets: Datasets, namespace: tuple[str, ...], clock: Clock) -> None:
        self._datasets = datasets
        self._table = TableRef(OWNERS_TABLE, namespace)
        self._clock = clock
        self.wrote: Callable[[TableRef], None] = lambda _table: None
        """Hears of each write, for upkeep."""

    async def ensure(self) -> None:
        """Create the table if it is missing."""
        await up_to_date(self._datasets, self._table, OWNERS)

    async def of(self, path: ThreadId) -> str | None:
        """Whose a thread is."""
        rows = await self._read(_same(path), ("owner", "claimed_at"))
        return min(rows, key=lambda row: (row["claimed_at"], row["owner"]))["owner"] if rows else None

    async def put(self, path: ThreadId, owner: str) -> None:
        """Make a new thread somebody's."""
        row = {"path": path, "owner": owner, "claimed_at": iso(self._clock())}
        await self._datasets.insert(self._table, pa.Table.from_pylist([row], schema=OWNERS))
        self.wrote(self._table)

    async def claim(self, path: ThreadId, owner: str) -> str:
        """Make a thread somebody's if it is nobody's, and say whose it is. The table cannot compare and set:
        of agents that claim at the same time, each reads after it wrote, and the first claim counts.
        """
        found = await self.of(path)
        if found is None:
            await self.put(path, owner)
            found = await self.of(path)
        return found or owner

    async def all(self) -> dict[ThreadId, str]:
        """Whose all the threads are that are somebody's."""
        rows = await self._read(None, ("path", "owner", "claimed_at"))
        rows.sort(key=lambda row: (row["claimed_at"], row["owner"]), reverse=True)
        return {ThreadId(row["path"]): row["owner"] for row in rows}

    async def theirs(self, owner: str) -> set[ThreadId]:
        """The threads somebody claimed."""
        return {ThreadId(row["path"]) for row in await self._read(f"owner = {quoted(owner)}", ("path",))}

    async def remove(self, path: ThreadId) -> None:
        """Forget a thread that is gone."""
        await self._datasets.delete(self._table, _same(path))
        self.wrote(self._table)

    async def _read(self, where: str | None, columns: tuple[str, ...]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        async for batch in self._datasets.search(self._table, where=where, columns=columns):
            rows += pa.table(batch).to_pylist()
        return rows


def _same(path: ThreadId) -> str:
    return f"path = {quoted(path)}"
