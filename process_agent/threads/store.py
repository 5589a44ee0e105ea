"""The threads of one agent in the room's dataset: the `ThreadStore` port."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime

from process_agent.core.backend import KeptState
from process_agent.core.ids import Clock, IdSource, ThreadId, TurnId
from process_agent.core.participants import named
from process_agent.core.redaction import NOTHING, Redaction
from process_agent.core.room import Datasets, TableRef
from process_agent.core.room_ports import RoomFiles
from process_agent.core.store import ListChange, ThreadEntry
from process_agent.errors import RoomError, RoomRequestError
from process_agent.io.tasks import Tasks
from process_agent.threads.belongings import belongings_of
from process_agent.threads.budget import Budget
from process_agent.threads.copying import copy_rows, name_of_copy
from process_agent.threads.images import ImageTable
from process_agent.threads.index import UNNAMED, ThreadIndex
from process_agent.threads.indexing import Indexing
from process_agent.threads.kept.cleaning import FileCleaning, Folders, StoredThreads
from process_agent.threads.leases import ALONE, Presence, ThreadLease
from process_agent.threads.log import DatasetThreadLog
from process_agent.threads.owners import ThreadOwners
from process_agent.threads.paths import (
    NOT_FOUND,
    check_new,
    directory_at,
    directory_of,
    namespace_of,
    table_of,
    unknown_thread,
)
from process_agent.threads.recovery import Recovery
from process_agent.threads.schema import THREAD
from process_agent.threads.table import ThreadTable
from process_agent.threads.upkeep import Upkeep

logger = logging.getLogger(__name__)

OWNERS_FOUND = 1_000
"""Threads without an owner that are looked at when an agent starts; others when somebody asks for them."""


class DatasetThreadStore:
    """See `core.store.ThreadStore`.

    Turns under way are left to agents whose leases say that they run: see `core.leases`.
    Without `apart` threads are everybody's, and nothing is written about owners.
    """

    def __init__(
        self,
        datasets: Datasets,
        agent_name: str,
        *,
        clock: Clock,
        new_id: IdSource,
        directory: str | None = None,
        presence: Presence = ALONE,
        apart: bool = False,
    ) -> None:
        self._datasets = datasets
        self._clock = clock
        self._new_id = new_id
        self._namespace = namespace_of(directory or directory_of(agent_name))
        self._directory = directory_at(self._namespace)
        self._redaction = NOTHING
        self._index = ThreadIndex(datasets, self._namespace, clock)
        self._owners = ThreadOwners(datasets, self._namespace, clock) if apart else None
        self._images = ImageTable(datasets, agent_name, clock=clock, new_id=new_id)
        self._logs: dict[ThreadId, DatasetThreadLog] = {}
        self._budget = Budget()
        # Opening and recovering one thread take turns; a few locks serve all threads.
        self._locks = [asyncio.Lock() for _ in range(64)]
        self._tasks = Tasks("thread store")
        self._cleaning: FileCleaning | None = None
        upkeep = Upkeep(datasets, self._tasks)
        self._indexing = Indexing(datasets, self._tasks)
        self._index.wrote = self._images.wrote = upkeep.wrote
        if self._owners is not None:
            self._owners.wrote = upkeep.wrote
        self._lease = ThreadLease(
            datasets,
            self._namespace,
            clock,
            presence,
            busy=lambda: any(log.busy for log in self._logs.values()),
        )

    @property
    def directory(self) -> str:
        """The folder of the threads, like `dataset://agents/codex-agent/threads`."""
        return self._directory

    @property
    def images(self) -> ImageTable:
        """Where the room keeps the images of threads."""
        return self._images

    def redact(self, redaction: Redaction) -> DatasetThreadStore:
        """Cover secrets in what is stored of threads opened from now on. Returns itself."""
        self._redaction = redaction
        return self

    def clean(self, files: RoomFiles, folders: Folders) -> DatasetThreadStore:
        """Remove the files of threads that are deleted from now on, unless a thread in one of these folders
        speaks of them, or one of ours. Returns itself.
        """

        threads = StoredThreads(self._datasets, lambda: [self._namespace, *folders()])
        self._cleaning = FileCleaning(files, threads.unused, self._tasks)
        return self

    async def start(self) -> None:
        """Create the index if it is missing, and close turns that nobody runs any more (LOST).

        The latest `RECOVER_FIRST` threads are done on return, the others soon after. Turns that another agent
        runs are left alone, until it turns out to be gone.
        """
        await asyncio.gather(self._index.ensure(), self._lease.claim())
        if self._owners is not None:
            await self._owners.ensure()
            self._tasks.start(self._find_owners(self._owners), "owners of earlier threads")
        threads = [entry.path for entry in await self._index.all()]
        await Recovery(self._lease, self._recover_one, self._tasks).start(threads)

    async def create(self, name: str, owner: str | None = None) -> ThreadEntry:
        """Create a thread with a new id and list it; see the port."""
        entry = self._new_entry(name)
        if owner is not None:  # before it is listed: nobody else can claim it
            await self._owned().put(entry.path, owner)
        await self._create(entry)
        return entry

    async def fork(
        self,
        thread_id: ThreadId,
        name: str | None = None,
        *,
        without: Collection[TurnId] = (),
        owner: str | None = None,
    ) -> ThreadEntry:
        """Copy a thread; see the port. It is listed once it is whole."""
        ref = table_of(thread_id, self._namespace)
        await self._require(ref, thread_id)
        if (log := self._logs.get(thread_id)) is not None:
            await log.flush()
        listed = await self._index.get(thread_id)
        entry = self._new_entry(name or name_of_copy(listed.name if listed else UNNAMED))
        copy = table_of(entry.path, self._namespace)
        await self._datasets.create(copy, THREAD, "create_if_not_exists")
        try:
            source = ThreadTable(self._datasets, ref, thread_id)
            target = ThreadTable(self._datasets, copy, entry.path)
            await copy_rows(source, target, entry.path, without, self._images)
        except BaseException:
            await self._datasets.drop(copy)
            raise
        if owner is not None:  # before it is listed: nobody else can claim it
            await self._owned().put(entry.path, owner)
        await self._index.put(entry)
        return entry

    def _new_entry(self, name: str) -> ThreadEntry:
        now = self._clock()
        path = ThreadId(f"{self._directory}/{self._new_id()}")
        return ThreadEntry(path, self._redaction.name(name), now, now)

    async def owner(
        self, thread_id: ThreadId, claim: str | None = None, *, create: bool = False
    ) -> str | None:
        """Whose a thread is; see the port."""
        owners, table = self._owned(), table_of(thread_id, self._namespace)
        found = await owners.of(thread_id)
        if found is not None:
            return found
        try:
            await self._require(table, thread_id)
        except RoomRequestError:
            if not create:
                raise
            return None if claim is None else await owners.claim(thread_id, claim)
        began = named(await ThreadTable(self._datasets, table, thread_id).began())
        return None if began is None else await owners.claim(thread_id, began)

    async def owners(self) -> Mapping[ThreadId, str]:
        """Whose the threads are that are somebody's."""
        return await self._owned().all()

    async def assign(self, thread_id: ThreadId, owner: str) -> str:
        """Make a thread that is nobody's somebody's; says whose it is then. Raises `RoomRequestError`."""
        await self._require(table_of(thread_id, self._namespace), thread_id)
        await self._owned().ensure()
        return await self._owned().claim(thread_id, owner)

    async def _find_owners(self, owners: ThreadOwners) -> None:
        """Threads from before participants had their own become those of who began them."""
        try:
            known = await owners.all()
            entries = [entry for entry in await self._index.all() if entry.path not in known]
            left = [entry for entry in entries[:OWNERS_FOUND] if await self.owner(entry.path) is None]
        except RoomError as error:
            logger.warning("whose the threads from before are is not known: %s", error)
            return
        if left or len(entries) > OWNERS_FOUND:
            logger.warning(
                "%d threads from before belong to nobody, like %s. `process threads owners` lists them, "
                "`process threads assign THREAD NAME` makes one somebody's.",
                len(left),
                left[0].path if left else entries[-1].path,
            )

    def _owned(self) -> ThreadOwners:
        if self._owners is None:
            raise RuntimeError("the threads of this store belong to nobody")
        return self._owners

    async def _create(self, entry: ThreadEntry) -> None:
        await self._datasets.create(table_of(entry.path, self._namespace), THREAD, "create_if_not_exists")
        await self._index.put(entry)

    async def open(
        self, thread_id: ThreadId, *, create: str | None = None, turns: int | None = None
    ) -> DatasetThreadLog:
        """Open an existing thread; one that is open is the same log. Writes nothing, unless `create` names a
        thread that is missing. The first rows of its last `turns`, or of as many as a replay has, are read
        with it.

        Raises `RoomRequestError` when there is none of that id, or no thread may be made under it.
        """
        table_of(thread_id, self._namespace)
        async with self._lock(thread_id):
            log = self._logs.get(thread_id)
            if log is not None and log.closed:
                await log.close()
                log = None
            if log is None:
                log = self._logs[thread_id] = await self._make_log(thread_id, create, turns)
            return log

    async def _make_log(
        self, thread_id: ThreadId, create: str | None = None, turns: int | None = 0
    ) -> DatasetThreadLog:
        try:
            return await self._find_log(thread_id, turns)
        except RoomRequestError as error:
            if create is None or error.code != NOT_FOUND:
                raise
        check_new(thread_id, self._namespace)
        now = self._clock()
        await self._create(await self._index.get(thread_id) or ThreadEntry(thread_id, create, now, now))
        return await self._find_log(thread_id, 0)

    async def _find_log(self, thread_id: ThreadId, turns: int | None) -> DatasetThreadLog:
        table = self._table(thread_id)
        try:
            tail = await table.tail(self._clock, self._lease.others_run, self._lease.writer, turns)
            if tail.lost and await self._lease.refresh():  # an agent may have come since
                tail = await table.tail(self._clock, self._lease.others_run, self._lease.writer, turns)
        except RoomRequestError as error:
            raise unknown_thread(thread_id) from error
        return DatasetThreadLog(
            thread_id,
            table,
            tail,
            on_close=self._closed,
            lease=self._lease,
            redaction=self._redaction,
            budget=self._budget,
        )

    def _lock(self, thread_id: ThreadId) -> asyncio.Lock:
        return self._locks[hash(thread_id) % len(self._locks)]

    async def list(
        self, limit: int, offset: int, owner: str | None = None
    ) -> tuple[Sequence[ThreadEntry], int]:
        """A page of the list, newest first, and the number of all threads; see the port."""
        if owner is None:
            return await self._index.page(limit, offset)
        entries = await self._index.among(await self._owned().theirs(owner))
        return entries[offset : offset + limit], len(entries)

    async def rename(self, thread_id: ThreadId, name: str, *, instead_of: str | None = None) -> ThreadEntry:
        """Rename; see the port."""
        table = table_of(thread_id, self._namespace)
        entry = await self._index.get(thread_id)
        if entry is None and instead_of is not None:
            raise unknown_thread(thread_id)
        if entry is None:
            await self._require(table, thread_id)
        elif instead_of not in (None, entry.name):
            return entry
        return await self._index.rename(thread_id, self._redaction.name(name))

    async def _require(self, table: TableRef, thread_id: ThreadId) -> None:
        """Raise `RoomRequestError` for a thread that is not there: who can chat must not list any path."""
        try:
            await self._datasets.schema(table)
        except RoomRequestError as error:
            raise unknown_thread(thread_id) from error

    def changes(self) -> AsyncIterator[ListChange]:
        """What others do to the list; see the port."""
        return self._index.changes()

    async def begin(self, thread_id: ThreadId, *, told: bool) -> ThreadEntry | None:
        """A turn begins in a thread; see the port."""
        return await self._index.begin(thread_id, told=told)

    async def touch(self, thread_id: ThreadId) -> ThreadEntry:
        """Set `modified_at` to now and nothing else."""
        table_of(thread_id, self._namespace)
        return await self._index.touch(thread_id)

    async def delete(
        self, thread_id: ThreadId, *, keep_files: bool = False
    ) -> Sequence[tuple[str, KeptState]]:
        """Remove the rows and the entry; see the port."""
        ref = table_of(thread_id, self._namespace)
        log = self._logs.get(thread_id)
        if log is not None:
            await log.close()
        cleaning = None if keep_files else self._cleaning
        owned = await belongings_of(self._table(thread_id), thread_id, files=cleaning is not None)
        await self._index.remove(thread_id)
        await self._datasets.drop(ref)
        await self._remove_images(owned.images)
        if self._owners is not None:  # last: what is left of a thread is nobody else's
            await self._owners.remove(thread_id)
        if cleaning is not None:
            cleaning.gone(owned.files)
        return owned.kept

    async def expire(self, thread_id: ThreadId, before: datetime) -> Sequence[tuple[str, KeptState]] | None:
        """Delete a thread that nobody used since and that is not open; see the port."""
        async with self._lock(thread_id):
            entry = await self._index.get(thread_id)
            if thread_id in self._logs or entry is None or entry.modified_at >= before:
                return None
            return await self.delete(thread_id)

    async def _remove_images(self, addresses: Sequence[str]) -> None:
        try:
            await self._images.remove(addresses)
        except RoomRequestError as error:
            logger.warning("images of a deleted thread stay in the room: %s", error)

    async def close(self) -> None:
        """Flush and release every open log."""
        if self._cleaning is not None:
            await self._cleaning.close()
        await self._tasks.close()
        await self._index.close()
        await asyncio.gather(*(log.close() for log in list(self._logs.values())))
        await self._lease.close()

    def _closed(self, log: DatasetThreadLog) -> None:
        if self._logs.get(log.thread_id) is log:
            del self._logs[log.thread_id]

    # --- Recovery --------------------------------------------------------------------------------

    async def _recover_one(self, thread_id: ThreadId) -> bool:
        """Close the lost turns of a thread; whether turns are left to others."""
        async with self._lock(thread_id):
            used = self._logs.get(thread_id)
            if used is not None:
                return await self._recover_used(used)
            log = await self._make_log(thread_id)
            log.settle()
            await log.close()
            return bool(log.left)

    async def _recover_used(self, log: DatasetThreadLog) -> bool:
        if log.left:
            tail = await self._table(log.thread_id).tail(self._clock, self._lease.others_run)
            log.lose(tail.lost, tail.left)
        log.settle()
        return bool(log.left)

    def _table(self, thread_id: ThreadId) -> ThreadTable:
        table = table_of(thread_id, self._namespace)
        return ThreadTable(self._datasets, table, thread_id, self._indexing)
