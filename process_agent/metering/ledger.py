"""Writes records to the room: off the way of the turns, many at once, and each once."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Final

import pyarrow as pa

from process_agent.core.room import ArrowSchema, Datasets
from process_agent.core.usage import UsageRecord
from process_agent.errors import NewerTableError, RoomClosedError, RoomError, RoomRequestError
from process_agent.io.backoff import Backoff
from process_agent.io.tables import up_to_date
from process_agent.io.tasks import Tasks
from process_agent.metering.reading import literal, records_of
from process_agent.metering.records import USAGE, VERSION, table_of, to_table
from process_agent.metering.spool import Spool, SpoolFile

logger = logging.getLogger(__name__)

LAZY_SECONDS: Final = 5.0
"""How long records wait for others. What waits is in the spool."""

CLOSE_SECONDS: Final = 5.0
"""How long closing waits for the room."""

MAX_BATCH: Final = 5_000
"""Records of one insert."""

MAX_WAITING: Final = 100_000
"""Records in memory. Further ones are in the spool alone, and come to the room with the next start."""

MAX_REFUSALS: Final = 6
"""Times one insert may be refused; a lost connection is no refusal."""

COMPACT_EVERY: Final = 64
"""Inserts between compactions of the table."""

_ASKED_AT_ONCE: Final = 500
_HOPELESS: Final = {1001}
"""Room errors that will not go away: permission denied."""


class UsageLedger:
    """See `core.usage.Ledger`. An insert whose end is not known is not repeated before the table was asked
    what of it is there.
    """

    def __init__(
        self,
        datasets: Datasets,
        agent: str,
        spool: Spool | None,
        *,
        lazy_seconds: float = LAZY_SECONDS,
        backoff: Backoff | None = None,
    ) -> None:
        self._datasets = datasets
        self._agent = agent
        self._table = table_of(agent)
        self._spool = spool
        self._lazy = lazy_seconds
        self._backoff = backoff or Backoff(ceiling=10.0)
        self._waiting: deque[UsageRecord] = deque()
        self._adding = asyncio.Event()
        self._closing = asyncio.Event()
        self._tasks = Tasks("usage")
        self._writing: asyncio.Task[None] | None = None
        self._ready = False
        self._columns = frozenset[str]()
        self._full = False
        self._inserts = 0

    def start(self) -> None:
        """Begin to write; see the port."""
        if self._writing is None:
            self._writing = self._tasks.start(self._write(), "write")

    def add(self, record: UsageRecord) -> None:
        """Keep a record; see the port."""
        if self._spool is not None:
            self._spool.append(record)
        if not self._full and len(self._waiting) < MAX_WAITING:
            self._waiting.append(record)
            self._adding.set()
        elif not self._full:
            self._full = True
            logger.error("the room was away too long: usage waits on this machine until the next start")

    async def records(self, thread: str, since: datetime) -> Sequence[UsageRecord]:
        """What is kept; see the port."""
        # In this order: what comes into the room meanwhile is in both, and counted once.
        waiting = [each for each in self._waiting if each.thread == thread or each.at >= since]
        where = f"thread = {_quoted(thread)} OR at >= {literal(since)}"
        return await records_of(self._datasets, self._agent, waiting, where)

    async def close(self) -> None:
        """Write what waits; see the port."""
        self._closing.set()
        self._adding.set()
        if self._writing is not None:
            await asyncio.wait([self._writing], timeout=CLOSE_SECONDS)
        if self._waiting:
            logger.warning("%d records of usage are not in the room yet", len(self._waiting))
        await self._tasks.close()
        if self._spool is not None:
            self._spool.close()

    async def _write(self) -> None:
        try:
            await self._adopt()
            while True:
                self._adding.clear()
                if not self._waiting:
                    if self._closing.is_set():
                        return
                    await self._adding.wait()
                    continue
                await _wait(self._closing, self._lazy)
                await self._write_batch()
        except RoomError as error:
            self._full = True
            self._waiting.clear()
            logger.warning("usage stays on this machine until the next start of the agent: %s", error)

    async def _adopt(self) -> None:
        """Bring what runs before this one left behind."""
        for file, records in () if self._spool is None else self._spool.abandoned():
            try:
                await self._deliver(records, known=False)
            except BaseException:
                file.release()
                raise
            file.remove()

    async def _write_batch(self) -> None:
        file = None if self._spool is None else self._spool.cut()
        try:
            batch = tuple(self._waiting)
            for start in range(0, len(batch), MAX_BATCH):
                part = batch[start : start + MAX_BATCH]
                await self._deliver(part, known=True)
                for _ in part:
                    self._waiting.popleft()
        except BaseException:
            _let_go(file)
            raise
        if file is not None and not self._full:
            file.remove()
        else:
            _let_go(file)

    async def _deliver(self, records: Sequence[UsageRecord], *, known: bool) -> None:
        """Insert records; `known` when none of them can be there. Raises `RoomError` when the room will not
        have them.
        """
        delays, refusals = self._backoff.delays(), 0
        while True:
            try:
                await self._insert(records if known else await self._missing(records))
                return
            except RoomClosedError:
                raise
            except RoomRequestError as error:
                refusals += 1
                if error.code in _HOPELESS or refusals == MAX_REFUSALS:
                    raise
                logger.info("storing usage was refused and is tried again: %s", error)
            except RoomError as error:
                logger.info("storing usage is tried again: %s", error)
            known = False
            await asyncio.sleep(next(delays))

    async def _insert(self, records: Sequence[UsageRecord]) -> None:
        await self._ensure()
        if not records:
            return
        await self._datasets.insert(self._table, to_table(records, self._columns))
        self._inserts += 1
        if self._inserts % COMPACT_EVERY == 0:
            try:
                await self._datasets.optimize(self._table)
            except RoomRequestError as error:
                logger.info("the table of usage was not compacted: %s", error)

    async def _ensure(self) -> None:
        if not self._ready:
            try:
                await up_to_date(self._datasets, self._table, USAGE, version=VERSION)
            except NewerTableError:
                raise
            except RoomRequestError as error:  # who may write need not be allowed to change the table
                logger.info("the table of usage stays as an earlier version made it: %s", error)
            self._columns = frozenset(_names(await self._datasets.schema(self._table)))
            self._ready = True

    async def _missing(self, records: Sequence[UsageRecord]) -> list[UsageRecord]:
        """Those that are not in the table, each once."""
        await self._ensure()
        wanted = {record.id: record for record in records}
        async for landed in self._landed(tuple(wanted)):
            wanted.pop(landed, None)
        return list(wanted.values())

    async def _landed(self, ids: Sequence[str]) -> AsyncIterator[str]:
        for start in range(0, len(ids), _ASKED_AT_ONCE):
            listed = ", ".join(map(_quoted, ids[start : start + _ASKED_AT_ONCE]))
            async for batch in self._datasets.search(self._table, where=f"id IN ({listed})", columns=["id"]):
                for row in pa.table(batch).to_pylist():
                    yield row["id"]


def _names(schema: ArrowSchema) -> Sequence[str]:
    """Names of the columns, of whatever library the schema is."""
    given: Any = schema
    return pa.schema(given).names


def _let_go(file: SpoolFile | None) -> None:
    if file is not None:
        file.release()


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
