"""The tails of a room's tables: inserted rows that are durable in the log and not in Lance yet.

An insert is answered once its rows are in the log. They go to Lance later, many rows in one append, which
costs as much as one row (`folding.py`). Whoever wants to look at a table, or to change it otherwise, has its
tail folded first, so that every condition and every query means the same for all rows. Only rows that are
read by their place alone are read from a tail too (`ranges.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from process_agent.room_server.datasets import arrow, log_records
from process_agent.room_server.datasets.append_log import AppendLog
from process_agent.room_server.datasets.names import TableKey

logger = logging.getLogger(__name__)

FOLDER: Final = ".log"
"""Where the log is, below the room's datasets folder."""

FOLD_ROWS: Final = 1_024
FOLD_BYTES: Final = 2 * 1024 * 1024
"""A tail of so many rows or bytes is folded at once."""

IDLE_SECONDS: Final = 3.0
"""A tail that nobody added to for so long is folded, when the room is at rest."""

REST_SECONDS: Final = 0.25
"""The room is at rest when no rows came for so long: folding takes the time of those who wait for answers."""

AGE_SECONDS: Final = 30.0
"""A tail this old is folded, however busy it is; files of the log live little longer."""

LARGE_BYTES: Final = 512 * 1024
"""Inserts of this size go straight to Lance: writing them twice costs more than one append."""

MAX_BYTES: Final = 64 * 1024 * 1024
"""Bytes of all tails of a room, which are in memory; above that inserts go straight to Lance."""

RETRY_SECONDS: Final = 5.0
"""How long a tail that could not be folded is left alone."""

_ENTRY_BYTES: Final = 512
"""What one entry costs in memory beside its rows."""

type FoldedSince = Callable[[TableKey, int | None], int | None]
"""The last position that was folded into a table after a version of it, or 0; without a version, 0. None when
there is no such table. Blocking."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The rows of one insert, as an Arrow stream."""

    position: int
    rows: int
    data: bytes

    @property
    def size(self) -> int:
        """Bytes in memory, about."""
        return len(self.data) + _ENTRY_BYTES


@dataclass(slots=True)
class Tail:
    """The tail of one table. `last` is done when all entries are durable; those that failed are not in it.

    `begun` is the table's version before a fold that has not been seen to end: it may have happened or not.
    `unmarked` are the first and last position of rows which the table has and the log still takes for
    waiting. `folds` counts the times that entries went to the table.
    """

    since: float = 0.0
    touched: float = 0.0
    entries: list[Entry] = field(default_factory=list)
    size: int = 0
    rows: int = 0
    last: asyncio.Future[None] | None = None
    begun: int | None = None
    unmarked: tuple[int, int] | None = None
    retry: float = 0.0
    folds: int = 0

    def add(self, entry: Entry) -> None:
        """Append an entry."""
        self.entries.append(entry)
        self.size += entry.size
        self.rows += entry.rows

    def forget(self, entries: list[Entry]) -> None:
        """Remove entries."""
        gone = {entry.position for entry in entries}
        self.entries = [entry for entry in self.entries if entry.position not in gone]
        self.size = sum(entry.size for entry in self.entries)
        self.rows = sum(entry.rows for entry in self.entries)

    def moved(self, folds: int) -> bool:
        """Whether entries went to the table since it was folded so many times, or may have."""
        return self.begun is not None or self.folds != folds

    async def landed(self) -> None:
        """Wait until each entry is durable or gone."""
        while self.last is not None and not self.last.done():
            await asyncio.wait([self.last])

    @property
    def full(self) -> bool:
        """Whether it is to be folded at once."""
        return self.rows >= FOLD_ROWS or self.size >= FOLD_BYTES

    @property
    def needed(self) -> int | None:
        """The first position of the log it needs."""
        if self.unmarked is not None:
            return self.unmarked[0]
        return self.entries[0].position if self.entries else None


class Tails:
    """All tails of one room and the log they are in. `add` and what marks need the table's write lock."""

    def __init__(self, root: Path) -> None:
        self._log = AppendLog(root / FOLDER)
        self._tails: dict[TableKey, Tail] = {}
        self._size = 0
        self._added = float("-inf")
        """When rows came last."""

    def __bool__(self) -> bool:
        return bool(self._tails)

    @property
    def crowded(self) -> bool:
        """Whether the tails take all the memory they may."""
        return self._size >= MAX_BYTES

    @property
    def disk_bytes(self) -> int:
        """Bytes of the log."""
        return self._log.disk_bytes

    def waiting(self) -> list[TableKey]:
        """The tables that have a tail."""
        return list(self._tails)

    def get(self, key: TableKey) -> Tail | None:
        """The tail of a table, if it has one."""
        return self._tails.get(key)

    def is_full(self, key: TableKey) -> bool:
        """Whether a table has a tail that is to be folded at once."""
        tail = self._tails.get(key)
        return tail is not None and tail.full

    # What the last run left

    async def start(self, folded_since: FoldedSince) -> None:
        """Read the log. What the tables have, or what was for tables that are gone, is marked as done."""
        done = await asyncio.to_thread(self._read, folded_since)
        for key, until in done.items():
            await self._mark(key, until)
        if self._tails:
            rows = sum(tail.rows for tail in self._tails.values())
            logger.info("%d rows of %d tables come from the log", rows, len(self._tails))

    def _read(self, folded_since: FoldedSince) -> dict[TableKey, int]:
        self._tails.clear()
        for record in self._log.read():
            if record.kind == log_records.ROWS:
                rows = arrow.read_own(record.payload).num_rows
                self._tails.setdefault(record.key, Tail()).add(Entry(record.position, rows, record.payload))
                continue
            tail = self._tails.get(record.key)
            if tail is None:
                continue
            if record.kind == log_records.FOLDING:
                tail.begun = record.fields["version"] if tail.begun is None else tail.begun
            else:
                self._forget_until(record.key, tail, record.fields["until"])
        done = dict(self._found_done(folded_since))
        self._size = sum(tail.size for tail in self._tails.values())
        return done

    def _found_done(self, folded_since: FoldedSince) -> Iterator[tuple[TableKey, int]]:
        for key, tail in list(self._tails.items()):
            last = tail.entries[-1].position
            until = folded_since(key, tail.begun)
            if until is None:
                logger.warning("%d rows for table %s, which is gone, are dropped", tail.rows, key.label)
                until = last
            if until >= tail.entries[0].position:
                self._forget_until(key, tail, until)
                yield key, min(until, last)

    def _forget_until(self, key: TableKey, tail: Tail, until: int) -> None:
        tail.begun = None
        tail.forget([entry for entry in tail.entries if entry.position <= until])
        if not tail.entries:
            del self._tails[key]

    # Rows in

    def add(self, key: TableKey, rows: int, data: bytes) -> asyncio.Future[None]:
        """Append so many stored rows, an Arrow stream. The future is done when they are durable, else it
        raises `ToolError`."""
        position, stored = self._log.add(log_records.ROWS, key, data)
        now = asyncio.get_running_loop().time()
        tail = self._tails.setdefault(key, Tail(since=now))
        entry = Entry(position, rows, data)
        tail.add(entry)
        tail.touched, tail.last, self._added = now, stored, now
        self._size += entry.size
        stored.add_done_callback(lambda done: self._refused(key, tail, entry, done))
        return stored

    def _refused(self, key: TableKey, tail: Tail, entry: Entry, done: asyncio.Future[None]) -> None:
        if not done.cancelled() and done.exception() is None:
            return
        self._size -= entry.size
        tail.forget([entry])
        self._drop_if_empty(key, tail)

    # Rows out

    async def begin(self, key: TableKey, tail: Tail, version: int) -> None:
        """Note that the tail is about to be folded into a table that is at this version."""
        fields = {"version": version, "until": tail.entries[-1].position}
        _, stored = self._log.add(log_records.FOLDING, key, log_records.encode_fields(fields))
        await stored
        tail.begun = version

    async def folded(self, key: TableKey, tail: Tail, entries: list[Entry]) -> None:
        """These entries, the first of the tail, are in the table or gone with it. Raises `ToolError` when the
        log cannot say so; the entries are forgotten all the same."""
        tail.begun = None
        tail.folds += 1
        if entries:
            first = entries[0].position if tail.unmarked is None else tail.unmarked[0]
            tail.unmarked = (first, entries[-1].position)
            before = tail.size
            tail.forget(entries)
            self._size += tail.size - before
            tail.since = asyncio.get_running_loop().time()
        await self.mark(key, tail)

    async def mark(self, key: TableKey, tail: Tail) -> None:
        """Say in the log what is no longer waiting. Raises `ToolError`."""
        if tail.unmarked is not None:
            await self._mark(key, tail.unmarked[1])
            tail.unmarked = None
        self._drop_if_empty(key, tail)
        await self._log.trim(self._needed())

    async def close(self) -> None:
        """Let go of the log; tails that are left are in it for the next start."""
        await self._log.close(self._needed())

    def due(self, now: float) -> list[TableKey]:
        """The tables to fold, the most pressing first."""
        found = [
            (not tail.full, -tail.size if self.crowded else tail.since, number, key)
            for number, (key, tail) in enumerate(self._tails.items())
            if self._is_due(tail, now)
        ]
        return [key for *_, key in sorted(found, key=lambda each: each[:3])]

    def is_due(self, key: TableKey, now: float) -> bool:
        """Whether a table is to be folded now."""
        tail = self._tails.get(key)
        return tail is not None and self._is_due(tail, now)

    def _is_due(self, tail: Tail, now: float) -> bool:
        idle = now - tail.touched >= IDLE_SECONDS and now - self._added >= REST_SECONDS
        return tail.retry <= now and (self.crowded or tail.full or idle or now - tail.since >= AGE_SECONDS)

    async def _mark(self, key: TableKey, until: int) -> None:
        fields = {"until": until}
        _, stored = self._log.add(log_records.FOLDED, key, log_records.encode_fields(fields))
        await stored

    def _needed(self) -> int:
        needed = (tail.needed for tail in self._tails.values())
        return min((first for first in needed if first is not None), default=self._log.next_position)

    def _drop_if_empty(self, key: TableKey, tail: Tail) -> None:
        if not tail.entries and tail.unmarked is None and self._tails.get(key) is tail:
            del self._tails[key]
