"""Threads that end with the program: what `process run --no-room` and `--thread-storage none` keep.

Events are folded and replayed by the same code as stored ones, so that nothing looks different but the
threads' scheme, `tmp://`.
"""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from process_agent.core import events as e
from process_agent.core.backend import HistoryItem, KeptState
from process_agent.core.events import ThreadEvent
from process_agent.core.ids import Clock, IdSource, ThreadId, TurnId
from process_agent.core.models import ModelChoice
from process_agent.core.room_ports import RoomFiles
from process_agent.core.store import LAST, ListChange, Page, ThreadEntry
from process_agent.io.tasks import Tasks
from process_agent.threads.copying import in_copy, moved, name_of_copy
from process_agent.threads.cursors import Cursors
from process_agent.threads.fold import Fold
from process_agent.threads.history import History
from process_agent.threads.kept.cleaning import FileCleaning, Unused
from process_agent.threads.kept.files import folders_in
from process_agent.threads.paths import can_name, temporary_directory_of, unknown_thread
from process_agent.threads.reading import Reading
from process_agent.threads.room_files import files_of
from process_agent.threads.rows import Row, moment_of, to_row, to_stored
from process_agent.threads.window import Light, Window

logger = logging.getLogger(__name__)

MAX_THREADS = 1_000
"""Threads kept; the one unused for longest goes first."""

MAX_TURNS = 1_000
"""Turns that a replay goes back at most."""

MAX_ROWS = 100_000
"""Rows kept of one thread; the oldest go first."""


class MemoryThreadLog:
    """See `core.store.ThreadLog`. One per thread, for as long as the thread is kept."""

    def __init__(self, thread_id: ThreadId) -> None:
        self._thread_id = thread_id
        self._rows: deque[Row] = deque(maxlen=MAX_ROWS)
        self._numbers = itertools.count()
        self._fold = Fold()
        self._model: ModelChoice | None = None
        self._usage: ThreadEvent | None = None
        self._kept: dict[str, KeptState] = {}
        self._running: dict[TurnId, None] = {}
        self._cleared: list[ThreadEvent] = []
        self._cursors = Cursors()

    @property
    def busy(self) -> bool:
        """Whether a turn runs or waits."""
        return bool(self._running)

    def append(self, event: ThreadEvent) -> None:
        """Remember an event."""
        match event.body:
            case e.ModelChanged(_, backend, provider, model, effort):
                self._model = ModelChoice(backend, provider or None, model or None, effort)
            case e.TurnRequested() if event.turn_id is not None:
                self._running[event.turn_id] = None
            case e.TurnEnded() if event.turn_id is not None:
                self._running.pop(event.turn_id, None)
            case e.ThreadCleared():
                self._rows.clear()
                self._kept.clear()
                self._usage = None
                self._cleared = [event]
                self._cursors = Cursors()
                return
            case e.UsageUpdated():
                self._usage = event
            case _:
                pass
        for stored in self._fold.add(event):
            self._rows.append(to_row(stored, next(self._numbers), moment_of(stored).astimezone(UTC)))

    @property
    def durable(self) -> bool:
        """It ends with the agent."""
        return False

    def keep(self, backend: str, state: KeptState) -> None:
        """Remember what a backend keeps."""
        self._kept[backend] = state

    async def kept(self) -> Mapping[str, KeptState]:
        """What each backend kept last."""
        return dict(self._kept)

    async def ever_kept(self) -> Sequence[tuple[str, KeptState]]:
        """Nothing: what ends with the agent names nothing that outlives it."""
        return ()

    def fill(self, other: MemoryThreadLog, without: Collection[TurnId]) -> None:
        """Begin with what another thread holds, but those turns."""
        kept = [moved(row, self._thread_id) for row in other._rows if in_copy(row, without)]
        self._rows.extend(kept)
        self._numbers = itertools.count(kept[-1].sequence + 1 if kept else 0)
        self._model, self._usage, self._kept = other._model, other._usage, dict(other._kept)

    def files(self) -> set[str]:
        """Paths of the files in the room's storage that belong to the thread."""
        events = [stored for row in self._rows if isinstance(stored := to_stored(row), ThreadEvent)]
        return {path for event in events for path in files_of(event.body)}

    def folders(self) -> set[str]:
        """The folders of such files that the thread speaks of."""
        return {folder for row in self._rows for folder in folders_in(row.data)}

    def hand_over(self, *, open_items: bool = False) -> bool:
        """There is nowhere to write to."""
        return True

    async def flush(self, *, open_items: bool = True) -> None:
        """There is nowhere to write to."""

    def watch_saving(self, told: Callable[[bool], None]) -> None:
        """Nothing ever waits to be stored."""

    def watch_closed(self, told: Callable[[TurnId], None]) -> None:
        """Nobody else closes turns."""

    async def replay(self, since: str | None = None, page: Page = LAST) -> AsyncIterator[ThreadEvent]:
        """What is kept, in order; see `ThreadLog`."""
        rows, partials = list(self._rows), self._fold.open_events()
        if page.before is not None:
            end = self._cursors.row(page.before)
            rows, partials = [row for row in rows if row.sequence < end], []
        window = Window(len(rows), len(rows), min(page.limit or MAX_TURNS, MAX_TURNS))
        window.go_back(Light.of(rows), 0)
        if window.older:
            page.on_older(self._cursors.of(rows[window.start].sequence))
        rows, open_items = rows[window.start :], self._fold.open_items()
        reading, found = Reading(self._thread_id), since is None
        events = [event for row in rows for event in reading.feed(row)]
        events += [*reading.finish(without=open_items), *partials]
        if self._cleared and not any(since in (event.turn_id, event.message_id) for event in events):
            events = [*([] if found else self._cleared), *events]
            found = True
        for event in events:
            found = found or since in (event.turn_id, event.message_id)
            if found:
                yield event

    async def history(self) -> Sequence[HistoryItem]:
        """What a backend that opens this thread must know, oldest first."""
        history = History(running=set(self._running))
        async for event in self.replay():
            history.add(event)
        return history.items()

    async def usage(self) -> ThreadEvent | None:
        """The usage told last."""
        return self._usage

    @property
    def model_known(self) -> bool:
        """Always."""
        return True

    async def model(self) -> ModelChoice | None:
        """The model last chosen on this thread, or None."""
        return self._model

    async def close(self) -> None:
        """The thread stays until its store is closed."""


class MemoryThreadStore:
    """See `core.store.ThreadStore`."""

    def __init__(self, agent_name: str, *, clock: Clock, new_id: IdSource) -> None:
        self._directory = temporary_directory_of(agent_name)
        self._clock = clock
        self._new_id = new_id
        self._entries: dict[ThreadId, ThreadEntry] = {}
        self._logs: dict[ThreadId, MemoryThreadLog] = {}
        self._owners: dict[ThreadId, str] = {}
        self._tasks = Tasks("thread store")
        self._cleaning: FileCleaning | None = None

    def clean(self, files: RoomFiles, stored: Unused) -> MemoryThreadStore:
        """Remove the files of threads that are forgotten from now on, unless another thread here, or
        one of those `stored` in the room, speaks of them. Returns itself.
        """

        async def unused(folders: set[str], pause: float) -> set[str] | None:
            left = folders.difference(*(log.folders() for log in self._logs.values()))
            return await stored(left, pause) if left else left

        self._cleaning = FileCleaning(files, unused, self._tasks)
        return self

    @property
    def directory(self) -> str:
        """The folder of the threads."""
        return self._directory

    @property
    def images(self) -> None:
        """Images stay with their thread."""

    async def start(self) -> None:
        """Nothing is left from before."""

    async def create(self, name: str, owner: str | None = None) -> ThreadEntry:
        """Create a thread with a new id and list it."""
        entry = self._create(ThreadId(f"{self._directory}/{self._new_id()}"), name)
        if owner is not None:
            self._owners[entry.path] = owner
        return entry

    async def fork(
        self,
        thread_id: ThreadId,
        name: str | None = None,
        *,
        without: Collection[TurnId] = (),
        owner: str | None = None,
    ) -> ThreadEntry:
        """Copy a thread; see the port."""
        log, listed = await self.open(thread_id), self._entries[thread_id]
        entry = await self.create(name or name_of_copy(listed.name), owner)
        self._logs[entry.path].fill(log, without)
        return entry

    async def owner(
        self, thread_id: ThreadId, claim: str | None = None, *, create: bool = False
    ) -> str | None:
        """Whose a thread is; see `ThreadStore`."""
        there = thread_id in self._logs
        if not there and not (create and self._fits(thread_id)):
            raise unknown_thread(thread_id)
        if claim is not None and not there:
            self._owners.setdefault(thread_id, claim)
        return self._owners.get(thread_id)

    async def open(
        self, thread_id: ThreadId, *, create: str | None = None, turns: int | None = None
    ) -> MemoryThreadLog:
        """Open a thread; see `ThreadStore`."""
        if thread_id not in self._logs:
            if create is None or not self._fits(thread_id):
                raise unknown_thread(thread_id)
            self._create(thread_id, create)
        return self._logs[thread_id]

    def _fits(self, thread_id: ThreadId) -> bool:
        folder = f"{self._directory}/"
        return thread_id.startswith(folder) and can_name(thread_id.removeprefix(folder).split("/"))

    async def list(
        self, limit: int, offset: int, owner: str | None = None
    ) -> tuple[Sequence[ThreadEntry], int]:
        """A page of the list, newest first, and the number of all threads; see the port."""
        listed = [x for x in self._entries.values() if owner in (None, self._owners.get(x.path))]
        entries = sorted(listed, key=lambda entry: entry.modified_at, reverse=True)
        return entries[offset : offset + limit], len(entries)

    async def rename(self, thread_id: ThreadId, name: str, *, instead_of: str | None = None) -> ThreadEntry:
        """Rename; see the port."""
        entry = self._entries.get(thread_id)
        if entry is not None and instead_of not in (None, entry.name):
            return entry
        return self._change(thread_id, name)

    async def changes(self) -> AsyncIterator[ListChange]:
        """Nobody else changes the list."""
        none: tuple[ListChange, ...] = ()
        for change in none:
            yield change

    async def begin(self, thread_id: ThreadId, *, told: bool) -> ThreadEntry | None:
        """A turn begins in a thread; see the port."""
        return await self.touch(thread_id)

    async def touch(self, thread_id: ThreadId) -> ThreadEntry:
        """Set `modified_at` to now and nothing else."""
        return self._change(thread_id, None)

    async def delete(
        self, thread_id: ThreadId, *, keep_files: bool = False
    ) -> Sequence[tuple[str, KeptState]]:
        """Forget a thread."""
        self._forget(thread_id, keep_files=keep_files)
        return ()

    async def expire(self, thread_id: ThreadId, before: datetime) -> Sequence[tuple[str, KeptState]] | None:
        """They end with the agent."""
        return None

    async def close(self) -> None:
        """Forget everything. Files of threads that were not deleted stay."""
        if self._cleaning is not None:
            await self._cleaning.close()
        await self._tasks.close()
        self._entries.clear()
        self._logs.clear()
        self._owners.clear()

    def _create(self, path: ThreadId, name: str) -> ThreadEntry:
        if len(self._logs) >= MAX_THREADS:
            self._make_room()
        now = self._clock()
        entry = self._entries[path] = ThreadEntry(path, name, now, now)
        self._logs[path] = MemoryThreadLog(path)
        return entry

    def _make_room(self) -> None:
        for entry in sorted(self._entries.values(), key=lambda entry: entry.modified_at):
            if not self._logs[entry.path].busy:
                logger.warning("%s is forgotten: only %d threads are kept", entry.path, MAX_THREADS)
                self._forget(entry.path)
                return

    def _forget(self, thread_id: ThreadId, *, keep_files: bool = False) -> None:
        self._entries.pop(thread_id, None)
        self._owners.pop(thread_id, None)
        log = self._logs.pop(thread_id, None)
        if log is not None and self._cleaning is not None and not keep_files:
            self._cleaning.gone(log.files())

    def _change(self, thread_id: ThreadId, name: str | None) -> ThreadEntry:
        entry = self._entries.get(thread_id)
        if entry is None:
            raise unknown_thread(thread_id)
        changed = replace(entry, name=name or entry.name, modified_at=self._clock())
        self._entries[thread_id] = changed
        return changed
