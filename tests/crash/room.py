"""A room on a virtual clock: its tables are durable, and each call can be cut at any of its effects."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal

import pyarrow as pa

from process_agent.core.content import Json
from process_agent.core.room import ArrowSchema, ArrowTable, TableRef
from tests.fakes.datasets import MemoryDatasets

type Tables = Mapping[TableRef, pa.Table]
type Write = Callable[[MemoryDatasets], Awaitable[None]]
"""What a call does to the tables of a room."""

LOST = "the connection to the room is lost"


class CrashRoom(MemoryDatasets):
    """`effect` is called between any two effects: before a call is sent, once it was done and before its
    answer is there. `in_flight` are the writes that were sent and are not done yet.
    """

    def __init__(self, tables: Tables | None = None, *, chance: random.Random | None = None) -> None:
        super().__init__()
        self.tables = dict(tables or {})
        self.in_flight: list[Write] = []
        self.effect: Callable[[str], None] = lambda _what: None
        self._chance = chance

    def columns(self, thread: str, names: list[str]) -> list[dict[str, Any]]:
        """Some cells of all rows of a thread."""
        *namespace, name = thread.removeprefix("dataset://").split("/")
        return self.tables[TableRef(name, tuple(namespace))].select(names).to_pylist()

    # --- Writes ----------------------------------------------------------------------------------

    async def create(
        self,
        table: TableRef,
        schema: ArrowSchema,
        mode: Literal["create", "create_if_not_exists", "overwrite"],
    ) -> None:
        await self._call(
            f"create {table.name}", lambda room: MemoryDatasets.create(room, table, schema, mode)
        )

    async def insert(self, table: TableRef, rows: ArrowTable) -> None:
        await self._call(f"insert {table.name}", lambda room: MemoryDatasets.insert(room, table, rows))

    async def merge(self, table: TableRef, rows: ArrowTable, on: str) -> None:
        await self._call(f"merge {table.name}", lambda room: MemoryDatasets.merge(room, table, rows, on))

    async def update(self, table: TableRef, where: str, values: Mapping[str, Json]) -> None:
        await self._call(
            f"update {table.name}", lambda room: MemoryDatasets.update(room, table, where, values)
        )

    async def delete(self, table: TableRef, where: str) -> None:
        await self._call(f"delete {table.name}", lambda room: MemoryDatasets.delete(room, table, where))

    async def drop(self, table: TableRef) -> None:
        await self._call(f"drop {table.name}", lambda room: MemoryDatasets.drop(room, table))

    async def _call(self, what: str, write: Write) -> None:
        self.effect(f"before {what} is sent")
        self.in_flight.append(write)
        try:
            await self._travel()
        finally:
            self.in_flight.remove(write)
        await write(self)
        self.effect(f"{what} is done and not answered")
        await self._travel()
        self.effect(f"{what} is answered")

    # --- Reads -----------------------------------------------------------------------------------

    async def count(self, table: TableRef) -> int:
        await self._travel()
        return await super().count(table)

    async def search(
        self,
        table: TableRef,
        *,
        where: str | None = None,
        columns: Sequence[str] | None = None,
        offset: int | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[ArrowTable]:
        await self._travel()
        found: Any = super().search(table, where=where, columns=columns, offset=offset, limit=limit)
        async for batch in found:
            yield batch

    async def _travel(self) -> None:
        """Half of the way of a call: a few milliseconds, now and then some dozen."""
        if self._chance is not None:
            slow = self._chance.random() < 0.02
            await asyncio.sleep(
                self._chance.uniform(0.02, 0.04) if slow else self._chance.uniform(0.0005, 0.005)
            )
