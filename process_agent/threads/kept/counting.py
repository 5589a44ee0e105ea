"""How much there is of a thread: rows, turns, bytes. Column by column, without reading what rows say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from process_agent.core.room import Datasets, TableRef
from process_agent.threads.kept.looking import Counted
from process_agent.threads.kept.rows import all_rows
from process_agent.wire.agent_messages import PREFIX

_COLUMNS = ("type", "data", "attachment")
_STARTED = PREFIX + "turn.started"
_ENDED = PREFIX + "turn.ended"


@dataclass(frozen=True, slots=True)
class Amount:
    """Of one thread or several. `bytes` are those of the rows' data in UTF-8 and of sound, before the room
    compresses them; `started` and `ended` count turns. `complete` is False where not all rows were counted.
    """

    threads: int = 0
    rows: int = 0
    started: int = 0
    ended: int = 0
    bytes: int = 0
    complete: bool = True

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            self.threads + other.threads,
            self.rows + other.rows,
            self.started + other.started,
            self.ended + other.ended,
            self.bytes + other.bytes,
            self.complete and other.complete,
        )


def total(amounts: Iterable[Amount]) -> Amount:
    """All of them together."""
    return sum(amounts, Amount())


async def amount_of(datasets: Datasets, ref: TableRef, counted: Counted) -> Amount:
    """The rows of a thread, page by page, until enough were read; of the rest only how many there are.
    Raises `RoomError`.
    """
    rows = await datasets.count(ref)
    found = Amount(threads=1, rows=rows, complete=False)
    read, most = 0, counted.most - counted.rows
    if most > 0:
        async for batch in all_rows(datasets, ref, columns=_COLUMNS):
            table = pa.table(batch)
            found += _of(table)
            read += table.num_rows
            counted.rows += table.num_rows
            if read >= most:
                break
    return Amount(1, rows, found.started, found.ended, found.bytes, complete=read >= rows)


def _of(table: pa.Table) -> Amount:
    return Amount(
        started=_equal(table, _STARTED),
        ended=_equal(table, _ENDED),
        bytes=sum(_size(table, name) for name in ("data", "attachment")),
    )


def _equal(table: pa.Table, kind: str) -> int:
    if "type" not in table.column_names:
        return 0
    compute: Any = pc
    return int(compute.sum(compute.equal(table.column("type"), kind)).as_py() or 0)


def _size(table: pa.Table, name: str) -> int:
    if name not in table.column_names:
        return 0
    compute: Any = pc
    column: Any = table.column(name)
    if isinstance(column.type, pa.BaseExtensionType):
        column = column.cast(column.type.storage_type)
    return int(compute.sum(compute.binary_length(column)).as_py() or 0)
