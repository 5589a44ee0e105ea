"""A thread store in memory, with the failures a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

from process_agent.core import events as e
from process_agent.core.backend import HistoryItem, KeptState
from process_agent.core.events import ThreadEvent
from process_agent.core.ids import ThreadId, TurnId
from process_agent.core.live import item_of
from process_agent.core.models import ModelChoice
from process_agent.core.room_ports import RoomImages
from process_agent.core.store import LAST, ListChange, Page, ThreadEntry, ThreadLog
from process_agent.errors import RoomError, RoomRequestError
from process_agent.threads.history import History

DIRECTORY = "dataset://agents/bot/threads"


def page_of(events: list[ThreadEvent], page: Page) -> list[ThreadEvent]:
    """The last turns of these events, or the last before a cursor, which is a number here."""
    if page.before is not None and not page.before.isdigit():
        raise RoomRequestError("no such page", code=1003)
    events = events if page.before is None else events[: int(page.before)]
    turns = list(dict.fromkeys(event.turn_id for event in events if event.turn_id is not None))
    shown = set(turns[-(page.limit or 1_000) :])
    first = next((i for i, event in enumerate(events) if event.turn_id in shown), 0)
    if first and len(turns) > len(shown):
        page.on_older(str(first))
        events = events[first:]
    return events


class MemoryLog:
    """See `core.store.ThreadLog`."""

    def __init__(
        self, store: MemoryThreadStore, events: list[ThreadEvent], kept: list[tuple[str, KeptState]]
    ) -> None:
        self._store = store
        self.events = events
        self.closed = False
        self._kept = kept
        self._cleared = 0

    def append(self, event: ThreadEvent) -> None:
        assert not self.closed
        if not isinstance(event.body, e.Working | e.Status):
            self.events.append(event)
        if isinstance(event.body, e.ThreadCleared):
            self._cleared = len(self._kept)

    def hand_over(self, *, open_items: bool = False) -> bool:
        return False

    async def flush(self, *, open_items: bool = True) -> None:
        await self._store.flushing.wait()
        if self._store.fails:
            raise RoomError("the room is full")

    def watch_closed(self, told: Callable[[TurnId], None]) -> None:
        """Nobody else closes turns."""

    def watch_saving(self, told: Callable[[bool], None]) -> None:
        self.told_of_saving = told

    async def replay(self, since: str | None = None, page: Page = LAST) -> AsyncIterator[ThreadEvent]:
        cleared = max(
            (i + 1 for i, x in enumerate(self.events) if isinstance(x.body, e.ThreadCleared)), default=0
        )
        stored = self.events[cleared:]
        if since is not None:
            first = (i for i, x in enumerate(stored) if since in (x.turn_id, x.message_id))
            nothing = self.events[cleared - 1 :] if cleared else []
            stored = stored[i:] if (i := next(first, None)) is not None else nothing
        for event in page_of(stored, page):
            await self._store.reading.wait()
            await asyncio.sleep(0)
            yield self._told_again(event)

    def _told_again(self, event: ThreadEvent) -> ThreadEvent:
        """Texts are not put together here; one that was said in one delta is known to be whole."""
        body = event.body
        if not isinstance(body, e.TextDelta | e.ReasoningDelta):
            return event
        same = [x.body for x in self.events if item_of(x.body) == body.item_id and x.turn_id == event.turn_id]
        deltas = [x for x in same if isinstance(x, e.TextDelta | e.ReasoningDelta)]
        over = any(isinstance(x, e.TextEnded | e.ReasoningEnded) for x in same)
        return replace(event, body=replace(body, whole=over and len(deltas) == 1))

    async def history(self) -> Sequence[HistoryItem]:
        running = {x.turn_id for x in self.events} - {
            x.turn_id for x in self.events if isinstance(x.body, e.TurnEnded)
        }
        history = History({turn for turn in running if turn is not None})
        for event in self.events:
            history.add(event)
        return history.items()

    @property
    def durable(self) -> bool:
        return True

    def keep(self, backend: str, state: KeptState) -> None:
        self._kept.append((backend, state))

    async def kept(self) -> Mapping[str, KeptState]:
        return dict(self._kept[self._cleared :])

    async def ever_kept(self) -> Sequence[tuple[str, KeptState]]:
        return list(self._kept)

    async def usage(self) -> ThreadEvent | None:
        last = None
        for event in self.events:
            if isinstance(event.body, e.UsageUpdated | e.ThreadCleared):
                last = event if isinstance(event.body, e.UsageUpdated) else None
        return last

    @property
    def model_known(self) -> bool:
        """Always."""
        return True

    async def model(self) -> ModelChoice | None:
        for event in reversed(self.events):
            if isinstance(event.body, e.ModelChanged):
                return ModelChoice(event.body.backend, event.body.provider, event.body.model)
        return None

    async def close(self) -> None:
        self.closed = True


class MemoryThreadStore:
    """See `core.store.ThreadStore`. The dictionaries survive it, like a room survives its agents."""

    def __init__(self, rows: dict[ThreadId, list[ThreadEvent]] | None = None) -> None:
        self.rows = {} if rows is None else rows
        self.entries: dict[ThreadId, ThreadEntry] = {}
        self.kept: dict[ThreadId, list[tuple[str, KeptState]]] = {}
        self.owners: dict[ThreadId, str] = {}
        self.pictures: RoomImages | None = None
        self.elsewhere: asyncio.Queue[ListChange] = asyncio.Queue()
        self.logs: list[MemoryLog] = []
        self.fails = False
        self.flushing = asyncio.Event()
        self.flushing.set()
        self.reading = asyncio.Event()
        self.reading.set()
        self.closed = False
        self._ids = count(1)
        self._now = datetime(2026, 1, 1, tzinfo=UTC)

    @property
    def directory(self) -> str:
        return DIRECTORY

    @property
    def images(self) -> RoomImages | None:
        return self.pictures

    async def start(self) -> None:
        for thread_id in self.rows:
            self.entries[thread_id] = ThreadEntry(thread_id, "old", self._tick(), self._now)

    async def fork(
        self,
        thread_id: ThreadId,
        name: str | None = None,
        *,
        without: Collection[TurnId] = (),
        owner: str | None = None,
    ) -> ThreadEntry:
        if thread_id not in self.rows:
            raise RoomRequestError(f"There is no thread {thread_id[:200]!r}.", code=1003)
        entry = await self.create(name or f"{self.entries[thread_id].name} (fork)", owner)
        rows = [replace(x, thread_id=entry.path) for x in self.rows[thread_id] if x.turn_id not in without]
        self.rows[entry.path].extend(rows)
        self.kept[entry.path] = list(self.kept.get(thread_id, []))
        return entry

    async def owner(
        self, thread_id: ThreadId, claim: str | None = None, *, create: bool = False
    ) -> str | None:
        if self.fails:
            raise RoomError("the room is full")
        if thread_id not in self.rows and not create:
            raise RoomRequestError(f"There is no thread {thread_id[:200]!r}.", code=1003)
        if claim is not None:
            self.owners.setdefault(thread_id, claim)
        return self.owners.get(thread_id)

    async def create(self, name: str, owner: str | None = None) -> ThreadEntry:
        if self.fails:
            raise RoomError("the room is full")
        thread_id = ThreadId(f"{DIRECTORY}/{next(self._ids)}")
        if owner is not None:
            self.owners[thread_id] = owner
        self.rows[thread_id] = []
        entry = self.entries[thread_id] = ThreadEntry(thread_id, name, self._tick(), self._now)
        return entry

    async def open(
        self, thread_id: ThreadId, *, create: str | None = None, turns: int | None = None
    ) -> ThreadLog:
        if thread_id not in self.rows:
            if create is None or not thread_id.startswith(f"{DIRECTORY}/"):
                raise RoomRequestError(f"There is no thread {thread_id}.", code=1003)
            self.rows[thread_id] = []
            self.entries[thread_id] = ThreadEntry(thread_id, create, self._tick(), self._now)
        log = MemoryLog(self, self.rows[thread_id], self.kept.setdefault(thread_id, []))
        self.logs.append(log)
        return log

    async def list(
        self, limit: int, offset: int, owner: str | None = None
    ) -> tuple[Sequence[ThreadEntry], int]:
        theirs = [x for x in self.entries.values() if owner in (None, self.owners.get(x.path))]
        newest = sorted(theirs, key=lambda x: x.modified_at, reverse=True)
        return newest[offset : offset + limit], len(newest)

    async def rename(self, thread_id: ThreadId, name: str, *, instead_of: str | None = None) -> ThreadEntry:
        if thread_id not in self.entries:
            raise RoomRequestError(f"There is no thread {thread_id[:200]!r}.", code=1003)
        old = self.entries[thread_id]
        if instead_of not in (None, old.name):
            return old
        return self._put(ThreadEntry(thread_id, name, old.created_at, self._tick()))

    async def changes(self) -> AsyncIterator[ListChange]:
        while True:
            yield await self.elsewhere.get()

    async def begin(self, thread_id: ThreadId, *, told: bool) -> ThreadEntry | None:
        latest = max(self.entries.values(), key=lambda entry: entry.modified_at).path
        entry = await self.touch(thread_id)
        return entry if told and thread_id != latest else None

    async def touch(self, thread_id: ThreadId) -> ThreadEntry:
        old = self.entries[thread_id]
        return self._put(ThreadEntry(thread_id, old.name, old.created_at, self._tick()))

    async def delete(
        self, thread_id: ThreadId, *, keep_files: bool = False
    ) -> Sequence[tuple[str, KeptState]]:
        self.entries.pop(thread_id, None)
        self.rows.pop(thread_id, None)
        return self.kept.pop(thread_id, [])

    async def expire(self, thread_id: ThreadId, before: datetime) -> Sequence[tuple[str, KeptState]] | None:
        entry = self.entries.get(thread_id)
        return None if entry is None or entry.modified_at >= before else await self.delete(thread_id)

    async def close(self) -> None:
        self.closed = True

    def _put(self, entry: ThreadEntry) -> ThreadEntry:
        self.entries[entry.path] = entry
        return entry

    def _tick(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now
