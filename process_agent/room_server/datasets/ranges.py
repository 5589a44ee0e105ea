"""Rows by their place in a table: its end, or what is from a place on, in one call.

The only read that does not have the table's tail folded first: it names no condition, so rows that wait in
the log follow those in Lance as they will once they are there. Its costs are those of the rows it returns,
whatever the length of the table.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from process_agent.room_server.datasets import arrow
from process_agent.room_server.datasets.engine import Engine
from process_agent.room_server.datasets.names import TableKey
from process_agent.room_server.datasets.stored_rows import StoredRows
from process_agent.room_server.datasets.tails import Entry, Tail, Tails

MAX_ROWS: Final = 16_384
"""Rows of one answer."""

MAX_BYTES: Final = 8 * 1024 * 1024
"""Bytes of one answer, unless its only row is larger; it has fewer rows than were asked for then."""


@dataclass(frozen=True, slots=True)
class Asked:
    """`limit` rows from a place on, or the last ones where there is none; `compact` has texts that repeat
    themselves only once.
    """

    columns: tuple[str, ...] | None
    first: int | None
    limit: int
    compact: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of a table that has `total`, the first of them at `first`, as an Arrow stream."""

    total: int
    first: int
    data: bytes


type Read[T] = Callable[[StoredRows], T]
"""Reads what is wanted of all rows there are. Blocking; may be called twice."""


class Ranges:
    """Reads of one room's tables. `run` runs blocking work in a thread, `settle` folds a table's tail."""

    def __init__(
        self,
        tails: Tails,
        engine: Engine,
        run: Callable[..., Awaitable[Any]],
        settle: Callable[[TableKey], Awaitable[None]],
        root: Path,
    ) -> None:
        self._tails = tails
        self._engine = engine
        self._run = run
        self._settle = settle
        self._root = root

    async def read[T](self, key: TableKey, wanted: Read[T]) -> T:
        """What is wanted of the table and its tail, as they are now. The room has started."""
        read = partial(_read, self._engine, key.path(self._root), key.label, wanted)
        tail = self._tails.get(key)
        if tail is not None:
            found = await self._with_tail(read, tail)
            if found is not None:
                return found
            await self._settle(key)
        return await self._found(read, ())

    async def _with_tail[T](self, read: Callable[[Sequence[Entry]], T], tail: Tail) -> T | None:
        """None when rows may have gone from the tail to Lance meanwhile, and would count twice."""
        folds, entries, last = tail.folds, list(tail.entries), tail.last
        if last is not None and not last.done():
            await asyncio.wait([last])
            kept = set(map(id, tail.entries))  # without those the log refused
            entries = [entry for entry in entries if id(entry) in kept]
        if tail.moved(folds):
            return None
        found = await self._found(read, entries)
        return None if tail.moved(folds) else found

    async def _found[T](self, read: Callable[[Sequence[Entry]], T], entries: Sequence[Entry]) -> T:
        found: T = await self._run(read, entries)
        return found


def _read[T](engine: Engine, path: Path, label: str, wanted: Read[T], entries: Sequence[Entry]) -> T:
    return wanted(StoredRows(engine.open(path, label), entries))


def by_place(asked: Asked, rows: StoredRows) -> Found:
    """Rows by their place."""
    schema = rows.schema(asked.columns)
    first = max(0, rows.total - asked.limit) if asked.first is None else min(asked.first, rows.total)
    until = min(rows.total, first + asked.limit)
    batches, count = _until_full(rows.between(schema, first, until))
    while asked.first is None and first + count < until:  # the last rows, as many as fit
        first = until - max(1, (until - first) // 4)
        batches, count = _until_full(rows.between(schema, first, until))
    table = pa.Table.from_batches(batches, schema)
    if asked.compact:
        table = _compact(table)
    return Found(rows.total, first, arrow.encode_batches(table.schema, table.to_batches()))


def _until_full(found: Iterator[pa.RecordBatch]) -> tuple[list[pa.RecordBatch], int]:
    """Rows until the next batch would not fit any more, and how many they are."""
    batches: list[pa.RecordBatch] = []
    size = count = 0
    for batch in found:
        if batches and size + batch.nbytes > MAX_BYTES:
            break
        batches.append(batch)
        size += batch.nbytes
        count += batch.num_rows
    return batches, count


def _compact(table: pa.Table) -> pa.Table:
    for index, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            table = table.set_column(index, field.name, table.column(index).dictionary_encode())
    return table.combine_chunks()
