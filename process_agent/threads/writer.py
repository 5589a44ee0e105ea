"""Rows on their way to the table: in order, batched, and each exactly once through lost connections."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable

from process_agent.errors import RoomClosedError, RoomError, RoomRequestError
from process_agent.io.backoff import Backoff
from process_agent.io.tasks import Tasks
from process_agent.threads.budget import Budget
from process_agent.threads.own_turns import OwnTurns, Unshared
from process_agent.threads.rows import Row
from process_agent.threads.table import ThreadTable

logger = logging.getLogger(__name__)

NOW = 0.0
"""Seconds that rows wait for others when somebody waits for them: the end of a turn."""

SOON = 0.02
"""The same for what people asked; a short turn goes out in one insert."""

LATER = 0.12
"""The same for what an agent did since: with the time between ticks of a log below one second."""

AT_THE_END = 2.0
"""The same for the word that a turn is being stopped: its end takes it along, which comes in a moment; where
many stop together, an insert for each such word would take the time of the ends.
"""

MAX_BATCH = 4 << 20
"""Characters of rows in one insert."""

BEHIND_SECONDS = 3.0
"""How long an insert may take before people are told that what they see is not saved yet."""

MAX_HANDED_OVER = 1 << 20
"""Characters of rows that surely go in one call."""

MAX_REFUSALS = 6
"""Times one insert may be refused before the log gives up; a lost connection is no refusal."""

COMPACT_EVERY = 64
"""Inserts between compactions of the table, which are work for after the end of a turn: no row is stored
meanwhile, and what streams would come too late."""

ROWS_AN_INSERT = 6
"""Rows of a short turn. How long ago a table was compacted is told from its rows when a thread is opened, or
those that are opened for a turn or two at a time would never be.
"""

COMPACT_ANYWAY = 1_024
"""Inserts without a turn's end after which the table is compacted all the same: a quarter of an hour."""

_TURN_ENDED = "turn.ended"

_HOPELESS = {1001, 1003}
"""Room errors that will not go away: permission denied, no such table."""


class _Sent:
    """Rows that went to the room right behind others, before those were answered."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = rows
        self.answered = asyncio.Event()
        self.error: RoomError | None = None


class RowWriter:
    """One writer of one table. Not thread-safe."""

    def __init__(
        self,
        table: ThreadTable,
        tasks: Tasks,
        backoff: Backoff | None = None,
        own: OwnTurns | None = None,
        budget: Budget | None = None,
    ) -> None:
        self._table = table
        self._own = own or OwnTurns(table, Unshared(), 0, lambda _turn: None)
        self._tasks = tasks
        self._backoff = backoff or Backoff(ceiling=5.0)
        self._rows: deque[Row] = deque()
        self._share = (budget or Budget()).share(self._holds_too_much)
        self._added = 0
        self._written = 0
        self._inserts = table.row_count // ROWS_AN_INSERT % COMPACT_EVERY
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._writing = False
        self._under_way = 0
        """Inserts that the room has been asked for and has not answered."""
        self._sent: _Sent | None = None
        self._due = math.inf
        self._moved = asyncio.Event()
        self._failure: RoomError | None = None
        self._behind = False
        self._told: Callable[[bool], None] = lambda _behind: None

    def watch(self, told: Callable[[bool], None]) -> None:
        """Call `told` with True when rows cannot be stored for now, and with False once they are."""
        self._told = told
        if self._behind:
            told(True)

    @property
    def waiting(self) -> int:
        """Rows that are not durable yet."""
        return self._added - self._written

    def add(self, rows: list[Row], *, within: float) -> None:
        """Queue rows, which wait for others `within` seconds at most. After a failure rows are dropped."""
        if self._failure is not None or not rows:
            return
        self._share.take(_size(rows))
        if self._gave_up():
            return
        self._rows.extend(rows)
        self._added += len(rows)
        self._hasten(within)

    async def flush(self) -> None:
        """Return when all rows added so far are durable. Raises `RoomError` when they cannot be."""
        until = self._added
        while self._written < until and self._failure is None:
            self._moved.clear()
            self._hasten(NOW)
            if self._timer is not None:  # somebody waits: there is nothing to wait for
                self._timer.cancel()
                self._begin()
            await self._moved.wait()
        if self._failure is not None:
            raise self._failure

    def hand_over(self) -> bool:
        """Begin to store what was added. Whether all of it is stored, or gets to the room before whatever is
        said from now on, and is stored there even if we are killed.
        """
        if not (self._rows or self._writing):
            return self._failure is None
        if self._behind or self._share.size > MAX_HANDED_OVER or not self._table.in_order:
            return False
        if self._own.in_doubt(self._rows):  # the room is asked first
            return False
        if self._writing:
            return self._send_behind()
        if self._timer is not None:
            self._timer.cancel()
        self._begin()
        return self._is_on_its_way()

    def _send_behind(self) -> bool:
        """Send what was added behind the insert that is under way; whether all of it is on its way then."""
        if not self._under_way:
            return False
        if self._rows and self._sent is None:
            self._sent = _Sent(self._take())
            self._tasks.begin(self._send(self._sent), "rows behind others")
        return self._is_on_its_way()

    async def _send(self, sent: _Sent) -> None:
        sent.error = RoomError("The thread's rows are not written any more.")
        try:
            await self._try(sent.rows)
            sent.error = None
        except RoomError as error:
            sent.error = error
        finally:
            sent.answered.set()

    def _is_on_its_way(self) -> bool:
        return not (self._behind or self._rows)

    def _hasten(self, within: float) -> None:
        due = self._loop.time() + within
        if due < self._due:
            self._due = due
            self._arm()

    def _arm(self) -> None:
        """See to it that the first of the rows is written when it is due."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._writing or not self._rows or self._failure is not None:
            return
        self._timer = self._loop.call_at(self._due, self._begin)

    def _begin(self) -> None:
        self._timer, self._writing = None, True
        self._tasks.begin(self._write(), "writer")

    async def _write(self) -> None:
        try:
            await self._write_due()
        except RoomError as error:
            self._fail(error)
        except BaseException:
            # Cancelled, or a defect: whoever waits for the rows must not wait for ever.
            self._fail(RoomError("The thread's rows are not written any more."))
            raise
        finally:
            self._writing = False
        self._arm()

    async def _write_due(self) -> None:
        early = True  # a timer may fire within the clock's resolution before its time
        while self._failure is None and (
            self._sent or (self._rows and (early or self._due <= self._loop.time()))
        ):
            early, sent, self._sent = False, self._sent, None
            batch = self._take() if sent is None else sent.rows
            self._due = self._loop.time() if self._rows else math.inf
            late = self._loop.call_later(BEHIND_SECONDS, self._is_behind, True)
            try:
                await self._insert(batch, sent)
            finally:
                late.cancel()
            if self._gave_up():
                return
            self._is_behind(False)
            self._written += len(batch)
            self._share.give_back(_size(batch))
            self._moved.set()
            self._inserts += 1
            if not (self._rows or self._sent):
                self._due = math.inf  # whoever was in a hurry while rows were on their way has them
                await self._compact(ended=any(row.kind == _TURN_ENDED for row in batch))

    def _take(self) -> list[Row]:
        """The next rows for one insert; the first one is taken whatever its size."""
        batch: list[Row] = []
        size = 0
        while self._rows and (not batch or size + len(self._rows[0].data) <= MAX_BATCH):
            batch.append(self._rows.popleft())
            size += len(batch[-1].data)
        return batch

    async def _insert(self, batch: list[Row], sent: _Sent | None = None) -> None:
        """Insert rows that are not there. After a failure it is not known which of them are: the table is
        asked, after a pause, before any are sent again, unless the log has given up meanwhile. With `sent`
        they were sent already, once.
        """
        delays, refusals, sure, rows = self._backoff.delays(), 0, True, batch
        while rows and self._failure is None:
            try:
                if sure:
                    sure = False
                    await (self._try(rows) if sent is None else self._answer(sent))
                    return
                sent = None
                landed = await self._table.landed(batch)
                self._own.landed(row for row in batch if row.sequence in landed)
                rows, sure = [row for row in batch if row.sequence not in landed], True
                continue
            except RoomRequestError as error:
                self._is_behind(True)
                refusals += 1
                if error.code in _HOPELESS or refusals == MAX_REFUSALS:
                    raise
                logger.warning("storing rows was refused and is tried again: %s", error)
            except RoomClosedError:
                raise
            except RoomError as error:
                self._is_behind(True)
                logger.info("storing rows is tried again: %s", error)
            await asyncio.sleep(next(delays))

    async def _try(self, rows: list[Row]) -> None:
        """Insert those that are ours to insert."""
        rows = await self._own.ours(rows)
        if rows:
            self._under_way += 1
            try:
                await self._table.insert(rows)
            finally:
                self._under_way -= 1
        self._own.stored(rows)

    async def _answer(self, sent: _Sent) -> None:
        await sent.answered.wait()
        if sent.error is not None:
            raise sent.error

    def _is_behind(self, behind: bool) -> None:
        if behind != self._behind:
            self._behind = behind
            self._told(behind)

    async def _compact(self, *, ended: bool) -> None:
        if self._inserts < (COMPACT_EVERY if ended else COMPACT_ANYWAY):
            return
        self._inserts = 0
        try:
            await self._table.optimize()
        except RoomError as error:
            logger.info("the thread's table was not compacted: %s", error)

    def _gave_up(self) -> bool:
        return self._failure is not None

    def _holds_too_much(self) -> None:
        self._fail(RoomError("Too much of the thread waits to be stored: the room was away too long."))

    def _fail(self, error: RoomError) -> None:
        self._is_behind(True)
        self._failure = error
        self._share.leave()
        self._rows.clear()
        self._sent = None
        self._arm()
        self._moved.set()
        if self.waiting:
            logger.error("%d rows of the thread are not stored: %s", self.waiting, error)


def _size(rows: list[Row]) -> int:
    return sum(len(row.data) for row in rows)
