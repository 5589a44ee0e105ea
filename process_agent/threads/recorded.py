"""Threads whose history is a backend's own record (`--thread-storage codex`): nothing lies in the room.

What is under way is kept in memory, folded and replayed like the threads of `threads.memory`. A thread that
is opened later is read from the backend's record, which has what a model saw: turns with their commands,
patches, plans and ends. What the agent alone answered (`/help` and the like) is in no record.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime

from process_agent.core import events as e
from process_agent.core.backend import KeptState
from process_agent.core.ids import Clock, IdSource, ThreadId, TurnId
from process_agent.core.records import RecordedThread, RecordedTurn, Records
from process_agent.core.store import ListChange, ThreadEntry
from process_agent.errors import ProcessError, RoomError
from process_agent.io.tasks import Tasks
from process_agent.threads.copying import name_of_copy
from process_agent.threads.paths import can_name, temporary_directory_of, unknown_thread
from process_agent.threads.recorded_log import RecordedThreadLog
from process_agent.threads.register import Register, Registered

logger = logging.getLogger(__name__)

MAX_CLOSED = 50
"""Threads that nobody has open and that are still in memory; the one closed first goes first."""


class RecordedThreadStore:
    """See `core.store.ThreadStore`. `backend` is the name of the backend whose records these are."""

    def __init__(
        self,
        agent_name: str,
        backend: str,
        records: Records,
        register: Register,
        *,
        clock: Clock,
        new_id: IdSource,
    ) -> None:
        self._directory = temporary_directory_of(agent_name)
        self._backend = backend
        self._records = records
        self._register = register
        self._clock = clock
        self._new_id = new_id
        self._logs: dict[ThreadId, RecordedThreadLog] = {}
        self._closed: dict[ThreadId, None] = {}
        self._listed: set[ThreadId] = set()
        """Threads whose record the backend listed once: without it they are gone."""
        self._opening = asyncio.Lock()
        self._tasks = Tasks("recorded threads")

    @property
    def directory(self) -> str:
        """The folder of the threads."""
        return self._directory

    @property
    def images(self) -> None:
        """Images stay with their thread."""

    async def start(self) -> None:
        """Read which threads there are."""
        await asyncio.to_thread(self._register.load)

    async def create(self, name: str, owner: str | None = None) -> ThreadEntry:
        """Create a thread; its record begins with its first turn."""
        return self._create(ThreadId(f"{self._directory}/{self._new_id()}"), name, owner)

    async def fork(
        self,
        thread_id: ThreadId,
        name: str | None = None,
        *,
        without: Collection[TurnId] = (),
        owner: str | None = None,
    ) -> ThreadEntry:
        """Copy a thread; the backend copies its record with the next turn."""
        log = await self.open(thread_id)
        source = self._register.threads[thread_id]
        turns = [turn for turn in await self._turns(thread_id, source) if turn not in without]
        entry = self._create(
            ThreadId(f"{self._directory}/{self._new_id()}"), name or name_of_copy(source.name), owner
        )
        known = self._register.threads[entry.path]
        known.records, known.copied, known.model = list(source.records), len(source.records), log.chosen
        known.last = turns[-1] if turns else None
        self._logs[entry.path].fill(log, without)
        self._register.write(entry.path)
        await log.close()
        return entry

    async def owner(
        self, thread_id: ThreadId, claim: str | None = None, *, create: bool = False
    ) -> str | None:
        """Whose a thread is; see the port."""
        known = self._register.threads.get(thread_id)
        if known is None:
            if not (create and self._fits(thread_id)):
                raise unknown_thread(thread_id)
            if claim is None:
                return None
            self._create(thread_id, "", claim)
            return claim
        return known.owner

    async def open(
        self, thread_id: ThreadId, *, create: str | None = None, turns: int | None = None
    ) -> RecordedThreadLog:
        """Open a thread; see the port."""
        async with self._opening:
            log = self._logs.get(thread_id) or await self._recalled(thread_id)
            known = self._register.threads.get(thread_id)
            if log is None or known is None:
                if create is None or not self._fits(thread_id):
                    raise unknown_thread(thread_id)
                self._create(thread_id, create, None)
                log = self._logs[thread_id]
            elif not known.name and create is not None:
                known.name = create
            log.openings += 1
            self._closed.pop(thread_id, None)
            return log

    async def list(
        self, limit: int, offset: int, owner: str | None = None
    ) -> tuple[Sequence[ThreadEntry], int]:
        """A page of the list; see the port."""
        recorded = await self._recorded()
        entries = [
            self._entry(path, known, recorded.get(self._key(known) or ""))
            for path, known in self._register.threads.items()
            if owner in (None, known.owner) and self._is_there(path, known, recorded)
        ]
        entries.sort(key=lambda entry: entry.modified_at, reverse=True)
        return entries[offset : offset + limit], len(entries)

    async def rename(self, thread_id: ThreadId, name: str, *, instead_of: str | None = None) -> ThreadEntry:
        """Rename the thread and its record; see the port."""
        known = self._known(thread_id)
        if instead_of in (None, known.name):
            known.name, known.named = name, False
            self._touch(thread_id, known)
            await self._name(thread_id, known)
        return self._entry(thread_id, known)

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
        known = self._known(thread_id)
        known.modified_at = self._clock()
        return self._entry(thread_id, known)

    async def delete(
        self, thread_id: ThreadId, *, keep_files: bool = False
    ) -> Sequence[tuple[str, KeptState]]:
        """Archive the records of a thread and forget it; nothing is left for backends to drop."""
        known = self._register.threads.pop(thread_id, None)
        self._logs.pop(thread_id, None)
        self._closed.pop(thread_id, None)
        if known is not None:
            self._register.write(thread_id)
            await self._archive(known.records)
        return ()

    async def expire(self, thread_id: ThreadId, before: datetime) -> Sequence[tuple[str, KeptState]] | None:
        """They are the backend's own, which keeps them as long as it likes."""
        return None

    async def close(self) -> None:
        """Finish what is to be told the backend."""
        await self._tasks.wait()
        await self._tasks.close()
        self._logs.clear()

    # --- Memory and records ----------------------------------------------------------------------

    def _create(self, path: ThreadId, name: str, owner: str | None) -> ThreadEntry:
        now = self._clock()
        known = self._register.threads[path] = Registered(name, now, now, owner)
        self._logs[path] = self._log(path, known)
        self._register.write(path)
        return self._entry(path, known)

    def _log(self, path: ThreadId, known: Registered) -> RecordedThreadLog:
        return RecordedThreadLog(
            path,
            known,
            self._backend,
            self._records,
            lambda body: self._changed(path, known, body),
            self._register.check,
            lambda: self._close(path),
        )

    async def _recalled(self, path: ThreadId) -> RecordedThreadLog | None:
        """A thread from its records; None where there are none any more."""
        known = self._register.threads.get(path)
        if known is None or not self._is_there(path, known, await self._recorded()):
            return None
        turns = await self._turns(path, known)
        log = self._logs[path] = self._log(path, known)
        log.recall(list(turns.values()))
        return log

    async def _turns(self, path: ThreadId, known: Registered) -> dict[TurnId, RecordedTurn]:
        """What the records of a thread have of it; of what it is a copy of, up to where it was copied."""
        turns: dict[TurnId, RecordedTurn] = {}
        for number, state in enumerate(known.records):
            if number == known.copied:
                turns = _up_to(turns, known.last)
            try:
                found = await self._records.turns(state)
            except ProcessError as error:
                if number == len(known.records) - 1:
                    raise RoomError(f"The record of {path} cannot be read: {error}") from error
                logger.warning("an earlier record of %s cannot be read: %s", path, error)
                continue
            for turn in found:
                turns.setdefault(turn.turn_id, turn)
        return _up_to(turns, known.last) if len(known.records) == known.copied else turns

    async def _recorded(self) -> Mapping[str, RecordedThread]:
        try:
            return await self._records.listed()
        except ProcessError as error:
            raise RoomError(f"The records of threads cannot be listed: {error}") from error

    def _is_there(self, path: ThreadId, known: Registered, recorded: Mapping[str, RecordedThread]) -> bool:
        if self._key(known) in recorded:
            self._listed.add(path)
            return True
        log = self._logs.get(path)
        return log is not None and (log.busy or path not in self._listed)

    def _key(self, known: Registered) -> str | None:
        return self._records.key(known.records[-1]) if known.records else None

    def _entry(self, path: ThreadId, known: Registered, record: RecordedThread | None = None) -> ThreadEntry:
        own = len(known.records) > known.copied
        if record is None or not own:
            return ThreadEntry(path, known.name, known.created_at, known.modified_at)
        name = record.name if known.named and record.name else known.name
        return ThreadEntry(path, name, known.created_at, max(known.modified_at, record.modified_at))

    def _known(self, path: ThreadId) -> Registered:
        known = self._register.threads.get(path)
        if known is None:
            raise unknown_thread(path)
        return known

    def _fits(self, path: ThreadId) -> bool:
        folder = f"{self._directory}/"
        return path.startswith(folder) and can_name(path.removeprefix(folder).split("/"))

    def _touch(self, path: ThreadId, known: Registered) -> None:
        known.modified_at = self._clock()
        self._register.write(path)

    def _changed(self, path: ThreadId, known: Registered, body: e.EventBody | None) -> None:
        if self._register.threads.get(path) is not known:
            return  # deleted meanwhile
        match body:
            case e.ModelChanged():
                known.model = self._logs[path].chosen if path in self._logs else known.model
            case e.ThreadCleared():
                left, known.records, known.copied = known.records, [], 0
                self._listed.discard(path)
                self._tasks.start(self._archive(left), "archive")
            case e.TurnEnded() if not known.named:
                self._tasks.start(self._name(path, known), "name")
            case _:
                pass
        self._touch(path, known)

    async def _name(self, path: ThreadId, known: Registered) -> None:
        """Give the record the name of the thread. One that is too young gets it after its turn."""
        if not known.name or len(known.records) == known.copied:
            return
        try:
            await self._records.rename(known.records[-1], known.name)
        except ProcessError as error:
            logger.info("the record of %s is not named yet: %s", path, error)
            return
        known.named = True
        self._register.write(path)

    async def _archive(self, states: Sequence[KeptState]) -> None:
        """Archive records, but not those that a copy, or what this is a copy of, still has."""
        used = {
            self._records.key(state) for known in self._register.threads.values() for state in known.records
        }
        for state in states:
            if self._records.key(state) in used:
                continue
            try:
                await self._records.archive(state)
            except ProcessError as error:
                logger.warning("a record is not archived: %s", error)

    def _close(self, path: ThreadId) -> None:
        log = self._logs.get(path)
        if log is None:
            return
        log.openings -= 1
        if log.openings > 0 or log.busy or path not in self._listed:
            return
        self._closed[path] = None
        if len(self._closed) > MAX_CLOSED:
            first = next(iter(self._closed))
            del self._closed[first], self._logs[first]


def _up_to(turns: Mapping[TurnId, RecordedTurn], last: TurnId | None) -> dict[TurnId, RecordedTurn]:
    if last is None:
        return {}
    ids = list(turns)
    return {} if last not in ids else {each: turns[each] for each in ids[: ids.index(last) + 1]}
