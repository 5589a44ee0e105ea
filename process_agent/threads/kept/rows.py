"""The rows of a thread as they are, whoever wrote them: for export, import and scrubbing.

`threads.rows` reads what rows mean; here nothing of them is lost on the way, not even sound.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from process_agent.core.room import ArrowTable, Datasets, TableRef
from process_agent.threads.rows import CHECKPOINT, STATE
from process_agent.threads.schema import DATA, THREAD

PAGE_ROWS = 2048
"""Rows read at a time."""

MAX_BATCH_ROWS = 1024
"""Rows in one insert."""

MAX_BATCH_SIZE = 4 << 20
"""Characters of data, and bytes of sound, in one insert; a single row may have more."""


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One row, exactly: `timestamp` in microseconds since 1970, `data` JSON text."""

    turn_id: str | None
    item_id: str
    type: str | None
    sequence: int
    timestamp: int
    data: str
    attachment: bytes | None = None

    @property
    def is_state(self) -> bool:
        """Whether a backend keeps its own state here, which says nothing of the conversation."""
        return self.item_id == STATE

    @property
    def is_checkpoint(self) -> bool:
        """Whether it repeats what has to be known of the rows before it, and says where it stands itself."""
        if not self.is_state:
            return False
        try:
            message = json.loads(self.data)
        except ValueError:
            return False
        event = message.get("event") if isinstance(message, dict) else None
        return isinstance(event, dict) and event.get("type") == CHECKPOINT

    @property
    def size(self) -> int:
        """Characters and bytes."""
        return len(self.data) + len(self.attachment or b"")


async def all_rows(
    datasets: Datasets, ref: TableRef, *, first: int = 0, columns: Sequence[str] = tuple(THREAD.names)
) -> AsyncIterator[ArrowTable]:
    """The rows there are now from the row `first` on, page by page, in table order; of tables that lack a
    column, without it. Raises `RoomError`.
    """
    total = await datasets.count(ref)
    described: Any = await datasets.schema(ref)
    there = [name for name in columns if name in pa.schema(described).names]
    if not there:
        return
    for position in range(first, total, PAGE_ROWS):
        count = min(PAGE_ROWS, total - position)
        async for batch in datasets.search(ref, columns=there, offset=position, limit=count):
            yield batch


def stored_rows(batch: ArrowTable) -> Iterator[StoredRow]:
    """The rows of a batch; those without a number or JSON text are nobody's, and are left out."""
    table = pa.table(batch)
    columns = [_cells(table, name) for name in THREAD.names]
    for turn, item, kind, sequence, moment, data, attachment in zip(*columns, strict=True):
        if isinstance(sequence, int) and isinstance(data, str):
            yield StoredRow(turn, str(item or ""), kind, sequence, moment or 0, data, attachment)


def _cells(table: pa.Table, name: str) -> list[Any]:
    if name not in table.column_names:
        return [None] * table.num_rows
    column: Any = table.column(name)
    if name == "timestamp":
        # As numbers: Arrow's own conversion looks for time zone packages at every value.
        column = column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    cells: list[Any] = column.to_pylist()
    return cells


def to_table(rows: Iterable[StoredRow]) -> pa.Table:
    """Rows as a table of the thread schema."""
    every = list(rows)
    data = pa.array([row.data for row in every], pa.large_string())
    columns: list[Any] = [
        pa.array([row.turn_id for row in every], pa.string()),
        pa.array([row.item_id for row in every], pa.string()),
        pa.array([row.type for row in every], pa.string()),
        pa.array([row.sequence for row in every], pa.int64()),
        pa.array([row.timestamp for row in every], pa.int64()).cast(pa.timestamp("us", tz="UTC")),
        pa.ExtensionArray.from_storage(DATA, data),
        pa.array([row.attachment for row in every], pa.large_binary()),
    ]
    return pa.Table.from_arrays(columns, schema=THREAD)


def batches(rows: Iterable[StoredRow]) -> Iterator[list[StoredRow]]:
    """Rows in the pieces in which they are inserted, the first row of each whatever its size."""
    batch: list[StoredRow] = []
    size = 0
    for row in rows:
        if batch and (len(batch) >= MAX_BATCH_ROWS or size + row.size > MAX_BATCH_SIZE):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += row.size
    if batch:
        yield batch
