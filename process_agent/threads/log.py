"""The log of one thread: what is appended becomes rows in the background, in order, each exactly once."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass

from process_agent.core import events as e
from process_agent.core.backend import HistoryItem, KeptState
from process_agent.core.events import ThreadEvent
from process_agent.core.ids import ThreadId, TurnId
from process_agent.core.models import ModelChoice
from process_agent.core.redaction import NOTHING, Redaction
from process_agent.core.store import LAST, Page
from process_agent.errors import RoomError
from process_agent.io.tasks import Tasks
from process_agent.threads.budget import Budget
from process_agent.threads.cursors import Cursors
from process_agent.threads.ends import Tail
from process_agent.threads.fold import Fold, ItemKey
from process_agent.threads.history import History
from process_agent.threads.own_turns import OwnTurns, TurnLease, Unshared
from process_agent.threads.reading import Reading
from process_agent.threads.rows import BackendState, Checkpoint, Row, Stored, moment_of, to_row
from process_agent.threads.table import ThreadTable
from process_agent.threads.writer import AT_THE_END, LATER, NOW, SOON, RowWriter

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.8
"""How often open items are stored while they grow; with the time of an insert below one second."""

CHECKPOINT_ROWS = 256
"""Rows after which what is known of those before is stored again: the next opening finds it near the end."""

MAX_CHECKPOINT = 65_536
"""Characters of that; what backends keep is searched for where it is more."""

CLOSE_SECONDS = 5.0
"""How long closing waits for rows that are not stored yet."""

_ACTIVE = (e.TurnRequested, e.TurnAccepted, e.TurnStarted)
_DONE = (
    *(e.TextEnded, e.ReasoningEnded, e.ToolEnded, e.FileShown),
    *(e.ImageCompleted, e.ImageFailed, e.UsageUpdated),
)


@dataclass(frozen=True, slots=True)
class _Known:
    """What a log knows beside its rows when a replay begins; `later` tells the rows that come after it."""

    cursors: Cursors
    later: Callable[[int], bool]
    lost: list[ThreadEvent]
    open_items: set[ItemKey]
    partials: list[ThreadEvent]


class DatasetThreadLog:
    """See `core.store.ThreadLog`. Made by `DatasetThreadStore.open`, which read the end of the table.

    Turns that the end of the table shows under way, and that nobody runs, read as LOST from the start; the
    rows that say so are written before the first row of our own.
    """

    def __init__(
        self,
        thread_id: ThreadId,
        table: ThreadTable,
        tail: Tail,
        *,
        on_close: Callable[[DatasetThreadLog], None],
        lease: TurnLease | None = None,
        redaction: Redaction = NOTHING,
        budget: Budget | None = None,
    ) -> None:
        self._thread_id = thread_id
        self._table = table
        self._on_close = on_close
        self._lease = lease or Unshared()
        self._redaction = redaction
        self._fold = Fold(redaction)
        self._lost = list(tail.lost)
        self.left = tail.left
        """Turns that others ran when the log was opened."""
        self._model = tail.known.model
        self._model_known = tail.known.model_known
        self._kept = tail.known.kept
        self._finding = asyncio.Lock()
        self._place = tail.total
        """Where our next row gets in the table, if nobody else writes there."""
        self._checkpoint: float = tail.known.place
        self._usage = tail.usage
        self._cursors = Cursors()
        self._running: dict[TurnId, None] = {}
        self._sequence = tail.sequence
        self._time = tail.latest
        self._tasks = Tasks(f"log of {thread_id}")
        own = OwnTurns(table, self._lease, tail.sequence.writer, self._turn_closed)
        self._writer = RowWriter(table, self._tasks, own=own, budget=budget)
        self._told_closed: Callable[[TurnId], None] = lambda _turn: None
        self._ticking: asyncio.Task[None] | None = None
        self._closed = False
        self._released = asyncio.Event()

    @property
    def thread_id(self) -> ThreadId:
        """The thread's path."""
        return self._thread_id

    @property
    def busy(self) -> bool:
        """Whether a turn runs or waits."""
        return bool(self._running)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    # --- Writing ---------------------------------------------------------------------------------

    def append(self, event: ThreadEvent) -> None:
        """Remember an event. Live-only events (`Working`, `Status`) are ignored."""
        if self._closed:
            logger.warning("an event came after the log of %s was closed", self._thread_id)
            return
        self._note(event)
        self._store(self._fold.add(event), within=_patience(event))
        if self._ticking is None and self._fold.unsaved:
            self._ticking = self._tasks.start(self._tick(), "tick")

    @property
    def durable(self) -> bool:
        """The room keeps it."""
        return True

    def keep(self, backend: str, state: KeptState) -> None:
        """Remember what a backend keeps; see the port."""
        if self._closed:
            logger.warning("a backend kept something after the log of %s was closed", self._thread_id)
            return
        self._kept = {**(self._kept or {}), backend: state}
        self._store([BackendState(self._thread_id, backend, state, self._time)], within=SOON)

    def settle(self) -> bool:
        """Store the end of the turns that were lost; whether there were any."""
        lost, self._lost = self._lost, []
        self._queue(list(lost), within=NOW)
        return bool(lost)

    def lose(self, lost: Sequence[ThreadEvent], left: frozenset[TurnId]) -> None:
        """Of the turns that others ran, only `left` are left to them; what ends the others is in `lost`."""
        gone, self.left = self.left - left, self.left & left
        self._lost += [event for event in lost if event.turn_id in gone]

    def hand_over(self, *, open_items: bool = False) -> bool:
        """See the port."""
        if open_items:
            self._store(self._fold.tick(), within=NOW)
        return self._writer.hand_over()

    async def flush(self, *, open_items: bool = True) -> None:
        """Return when everything appended so far is durable, open items included unless told otherwise; only
        the usage of a running turn is stored with its end. Raises `RoomError` when it cannot be.
        """
        if open_items:
            self._store(self._fold.tick(), within=NOW)
        await self._writer.flush()

    def watch_saving(self, told: Callable[[bool], None]) -> None:
        """See the port."""
        self._writer.watch(told)

    def watch_closed(self, told: Callable[[TurnId], None]) -> None:
        """See the port."""
        self._told_closed = told

    def _turn_closed(self, turn: TurnId) -> None:
        self._checkpoint = math.inf  # rows of it are left out: nobody knows where ours get
        self._told_closed(turn)

    async def close(self) -> None:
        """Store what is open as far as it is, flush and release. Idempotent."""
        if self._closed:
            await self._released.wait()
            return
        self._closed = True
        self._store(self._fold.tick(), within=NOW)
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._writer.flush()
        except (TimeoutError, RoomError) as error:
            why = str(error) or "the room did not answer in time"
            logger.error("%d rows of %s are not stored: %s", self._writer.waiting, self._thread_id, why)
        finally:
            await self._tasks.close()
            self._on_close(self)
            self._released.set()

    def _note(self, event: ThreadEvent) -> None:
        turn = event.turn_id
        match event.body:
            case e.ModelChanged(_, backend, provider, model, effort):
                self._model = ModelChoice(backend, provider or None, model or None, effort)
                self._model_known = True
            case e.UsageUpdated():
                self._usage = event
            case e.ThreadCleared():
                self._usage, self._kept = None, {}
                self._cursors = Cursors()
            case e.TurnEnded() if turn is not None:
                self._running.pop(turn, None)
            case _ if turn is not None and isinstance(event.body, _ACTIVE):
                self._running.setdefault(turn)
                self._lease.turn_begins()

    def _store(self, stored: list[Stored], *, within: float) -> None:
        if stored:
            self.settle()
            self._queue(stored, within=within)

    def _queue(self, stored: Sequence[Stored], *, within: float) -> None:
        rows = [self._row(each) for each in stored]
        if rows and self._place - self._checkpoint > CHECKPOINT_ROWS:
            rows += self._remember()
        self._writer.add(rows, within=within)

    def _remember(self) -> list[Row]:
        """What is known of the rows so far, for whoever opens the thread next: it goes with other rows."""
        if self._kept is None or not self._model_known:
            return []
        self._checkpoint = self._place
        row = self._row(Checkpoint(self._thread_id, self._model, self._kept, self._place, self._time))
        if len(row.data) <= MAX_CHECKPOINT:
            return [row]
        self._place -= 1
        return []

    def _row(self, stored: Stored) -> Row:
        self._place += 1
        self._time = max(self._time, moment_of(stored))
        return to_row(stored, self._sequence.next(), self._time, self._redaction)

    async def _tick(self) -> None:
        """Runs while items are open and grow."""
        while self._fold.unsaved:
            await asyncio.sleep(TICK_SECONDS)
            self._store(self._fold.tick(), within=NOW)
        self._ticking = None

    # --- Reading ---------------------------------------------------------------------------------

    def replay(self, since: str | None = None, page: Page = LAST) -> AsyncIterator[ThreadEvent]:
        """What is stored, in order: everything appended before this call, and nothing after it.

        `since` is a turn or message id, itself included; one that is not there replays nothing. At most the
        last `table.MAX_TURNS` turns. Unfinished items follow last, each as one delta with all text so far.
        """
        if page.before is not None:
            return self._replay_older(page, self._cursors, self._cursors.row(page.before))
        open_items, partials = self._fold.open_items(), self._fold.open_events()
        known = _Known(self._cursors, self._sequence.later(), list(self._lost), open_items, partials)
        return self._replay(since, page, known)

    async def _replay(self, since: str | None, page: Page, known: _Known) -> AsyncIterator[ThreadEvent]:
        await self._writer.flush()
        reading, found = Reading(self._thread_id), since is None
        window = await self._table.window(since, limit=page.limit, as_opened=page.as_opened)
        if window.older:
            page.on_older(known.cursors.of(window.start))
        async for row in self._table.rows(window, known.later):
            found = True
            for event in reading.feed(row):
                yield event
        if found:
            deltas = e.TextDelta | e.ReasoningDelta
            ends = [event for event in known.lost if not isinstance(event.body, deltas)]
            for event in (*reading.finish(without=known.open_items), *ends, *known.partials):
                yield event

    async def _replay_older(self, page: Page, cursors: Cursors, before: int) -> AsyncIterator[ThreadEvent]:
        reading = Reading(self._thread_id)
        window = await self._table.window(None, before, page.limit)
        if window.older:
            page.on_older(cursors.of(window.start))
        async for row in self._table.rows(window, lambda _number: False):
            for event in reading.feed(row):
                yield event
        for event in reading.finish():
            yield event

    async def history(self) -> Sequence[HistoryItem]:
        """What a backend that opens this thread must know, oldest first; turns under way are not in it."""
        history = History(running=set(self._running))
        async for event in self.replay():
            history.add(event)
        return history.items()

    async def kept(self) -> Mapping[str, KeptState]:
        """What each backend kept last."""
        await self._find()
        return self._kept or {}

    async def ever_kept(self) -> Sequence[tuple[str, KeptState]]:
        """All that backends kept."""
        await self._writer.flush()
        return await self._table.ever_kept()

    async def usage(self) -> ThreadEvent | None:
        """The usage told last, if it was among the last rows when the log was opened."""
        return self._usage

    @property
    def model_known(self) -> bool:
        """Whether the last rows told the model, or it was chosen here."""
        return self._model_known

    async def model(self) -> ModelChoice | None:
        """The model last chosen on this thread, or None."""
        if not self._model_known:
            await self._find()
        return self._model

    async def _find(self) -> None:
        """Search the thread for what its end did not tell."""
        async with self._finding:
            if self._model_known and self._kept is not None:
                return
            found = await self._table.known()
            if not self._model_known:
                self._model, self._model_known = found.model, True
            if self._kept is None:
                self._kept = found.kept


def _patience(event: ThreadEvent) -> float:
    """Seconds its rows may wait for others. What people asked is not lost with us, nor is the end of a turn,
    which they wait to see; what the agent did goes with what it does next.
    """
    match event.body:
        case e.TurnEnded():
            return NOW
        case e.InterruptAccepted():
            return AT_THE_END
        case body if isinstance(body, _DONE):
            return LATER
        case e.TurnStarted():  # what was accepted is accounted for, whether it is known to have begun or not
            return LATER
        case _:
            return SOON
