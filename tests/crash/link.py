"""The way between one agent and a room, on which calls are late, lost, done twice or refused."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from process_agent.core.content import Json
from process_agent.core.room import ArrowSchema, ArrowTable, IndexKind, TableChange, TableIndex, TableRef
from process_agent.errors import RoomError, RoomRequestError
from tests.crash.room import CrashRoom


@dataclass(frozen=True)
class Faults:
    """How likely each of them is for one call, and how often the connection goes, in seconds between."""

    late: float = 0.1
    lost: float = 0.05
    unanswered: float = 0.05
    refused: float = 0.02
    twice: float = 0.0
    between_outages: float = 20.0


NONE = Faults(0, 0, 0, 0, 0, 1e9)


class Link:
    """See `core.room.Datasets`; all is well until it has to suffer. `seen` counts what happened to calls."""

    def __init__(self, room: CrashRoom, chance: random.Random | None = None) -> None:
        self.room = room
        self.seen: Counter[str] = Counter()
        self._faults = NONE
        self._chance = chance or random.Random(0)
        self._away_until = 0.0
        self._next_outage = float("inf")

    def away(self, seconds: float) -> None:
        """The connection is gone for so long."""
        self._away_until = max(self._away_until, _now() + seconds)

    def suffer(self, faults: Faults) -> None:
        """From now on; with NONE all is well."""
        self._faults, self._away_until = faults, 0.0
        self._next_outage = _now() + self._gap()

    async def list_tables(self, namespace: tuple[str, ...]) -> Sequence[str]:
        return await self._call(lambda: self.room.list_tables(namespace))

    async def create(
        self,
        table: TableRef,
        schema: ArrowSchema,
        mode: Literal["create", "create_if_not_exists", "overwrite"],
    ) -> None:
        await self._call(lambda: self.room.create(table, schema, mode))

    async def schema(self, table: TableRef) -> ArrowSchema:
        return await self._call(lambda: self.room.schema(table))

    async def insert(self, table: TableRef, rows: ArrowTable) -> None:
        await self._call(lambda: self.room.insert(table, rows))

    async def merge(self, table: TableRef, rows: ArrowTable, on: str) -> None:
        await self._call(lambda: self.room.merge(table, rows, on))

    async def update(self, table: TableRef, where: str, values: Mapping[str, Json]) -> None:
        await self._call(lambda: self.room.update(table, where, values))

    async def delete(self, table: TableRef, where: str) -> None:
        await self._call(lambda: self.room.delete(table, where))

    async def drop(self, table: TableRef) -> None:
        await self._call(lambda: self.room.drop(table))

    async def count(self, table: TableRef) -> int:
        return await self._call(lambda: self.room.count(table))

    async def search(
        self,
        table: TableRef,
        *,
        where: str | None = None,
        columns: Sequence[str] | None = None,
        offset: int | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[ArrowTable]:
        async def found() -> list[ArrowTable]:
            batches = self.room.search(table, where=where, columns=columns, offset=offset, limit=limit)
            return [batch async for batch in batches]

        for batch in await self._call(found):
            yield batch

    async def watch(self, table: TableRef) -> AsyncIterator[TableChange]:
        changes: Any = self.room.watch(table)
        async for change in changes:
            yield change

    async def rename(self, table: TableRef, name: str) -> None:
        await self._call(lambda: self.room.rename(table, name))

    async def add_columns(self, table: TableRef, columns: ArrowSchema) -> None:
        await self._call(lambda: self.room.add_columns(table, columns))

    async def optimize(
        self,
        table: TableRef,
        *,
        full_at: int | None = None,
        forget_all: bool = False,
        refresh_indexes: bool = True,
    ) -> None:
        options = {"full_at": full_at, "forget_all": forget_all, "refresh_indexes": refresh_indexes}
        await self._call(lambda: self.room.optimize(table, **options))  # type: ignore[arg-type]

    async def list_indexes(self, table: TableRef) -> Sequence[TableIndex]:
        return await self._call(lambda: self.room.list_indexes(table))

    async def create_index(self, table: TableRef, column: str, kind: IndexKind) -> None:
        await self._call(lambda: self.room.create_index(table, column, kind))

    async def _call[T](self, call: Callable[[], Awaitable[T]]) -> T:
        self._begin_outage()
        if _now() < self._away_until:
            await self._fail("away")
        faults, chance = self._faults, self._chance
        kind = chance.choices(
            ("late", "lost", "unanswered", "refused", "twice", "fine"),
            (faults.late, faults.lost, faults.unanswered, faults.refused, faults.twice, 1 - _sum(faults)),
        )[0]
        self.seen[kind] += 1
        match kind:
            case "late":
                await asyncio.sleep(chance.uniform(0.1, 5.0))
            case "lost":
                await self._fail("gone on the way")
            case "refused":
                raise RoomRequestError("the room is busy", code=5003)
            case _:
                pass
        result = await call()
        if kind == "twice":
            await call()
        if kind == "unanswered" or _now() < self._away_until:
            await self._fail("gone before the answer")
        return result

    async def _fail(self, why: str) -> None:
        self.seen[why] += 1
        await asyncio.sleep(self._chance.uniform(0.0, 0.3))
        raise RoomError(f"the connection to the room is lost: {why}")

    def _begin_outage(self) -> None:
        if _now() >= self._next_outage:
            self.away(self._chance.uniform(1.0, 60.0))
            self.seen["outage"] += 1
            self._next_outage = self._away_until + self._gap()

    def _gap(self) -> float:
        return self._chance.expovariate(1 / self._faults.between_outages)


def _sum(faults: Faults) -> float:
    return faults.late + faults.lost + faults.unanswered + faults.refused + faults.twice


def _now() -> float:
    return asyncio.get_running_loop().time()
