"""Tables for many callers at once: who may write, who is told, what runs in which thread."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final
from weakref import WeakValueDictionary

import lance
import pyarrow as pa

from process_agent.io.tasks import Tasks
from process_agent.room_server.datasets import arrow, upkeep
from process_agent.room_server.datasets.catalog import Catalog
from process_agent.room_server.datasets.engine import Engine, Outcome, append, overwrite
from process_agent.room_server.datasets.folding import Folding, TailFold
from process_agent.room_server.datasets.names import Place, TableKey
from process_agent.room_server.datasets.passing import as_stored
from process_agent.room_server.datasets.ranges import Ranges, Read
from process_agent.room_server.datasets.readers import Readers
from process_agent.room_server.datasets.refusals import Preempted, guarded, missing_table
from process_agent.room_server.datasets.shapes import Shape, Shapes
from process_agent.room_server.datasets.tails import LARGE_BYTES, Tails
from process_agent.room_server.datasets.watch import Feed, Watch
from process_agent.room_server.toolkit import ALREADY_EXISTS, ToolError

logger = logging.getLogger(__name__)

THREADS: Final = 4
"""Operations of one room that run at once; further ones wait."""

type Work = Callable[..., Outcome]
"""A method of `Engine` with everything but path, label and `watched` given."""


class Tables:
    """All tables of one room."""

    def __init__(self, root: Path) -> None:
        self.catalog = Catalog(root)
        self.engine = Engine()
        self._root = root
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="datasets")
        self._tasks = Tasks("datasets", on_failure=_report)
        self._locks: WeakValueDictionary[TableKey, asyncio.Lock] = WeakValueDictionary()
        self._tails = Tails(root)
        self._tail_fold = TailFold(self._tails, self.engine, self.run, root)
        self._folding = Folding(self._tails, self._settle)
        self._ranges = Ranges(self._tails, self.engine, self.run, self._settle, root)
        self._shapes = Shapes()
        self._tending: WeakValueDictionary[TableKey, asyncio.Lock] = WeakValueDictionary()
        self._feeds: dict[TableKey, Feed] = {}
        self._readers = Readers()
        self._writes: Counter[TableKey] = Counter()
        self._branching = asyncio.Lock()
        self._starting = asyncio.Lock()
        self._started = False

    async def run[T](self, work: Callable[..., T], *arguments: Any) -> T:
        """Run blocking work in one of the room's threads."""
        await self._ready()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, functools.partial(guarded, work, *arguments))

    async def close(self) -> None:
        """Finish the writes under way, fold what waits, stop the rest."""
        await self._tasks.wait()
        await self._folding.close()
        await self._tasks.wait()
        await self._tails.close()
        await self._tasks.close()
        await asyncio.to_thread(self._pool.shutdown)

    def path(self, key: TableKey) -> Path:
        """The folder of a table's files."""
        return key.path(self._root)

    # Reading

    async def open(self, key: TableKey, version: int | None = None) -> lance.LanceDataset:
        """A handle for reading all rows there are. Raises `ToolError` 1003."""
        await self._ready()
        if self._tails.get(key) is not None:
            await self._settle(key)
        return await self._open(key, version)

    async def rows[T](self, key: TableKey, wanted: Read[T]) -> T:
        """Some of all rows, with those that wait in the log. Raises `ToolError`."""
        await self._ready()
        with self.reading(key):
            return await self._ranges.read(key, wanted)

    async def shape(self, key: TableKey) -> Shape:
        """The schemas of a table. Raises `ToolError` 1003."""
        async with self._lock(key):
            return await self._shape(key)

    async def _shape(self, key: TableKey) -> Shape:
        shape = self._shapes.known(key)
        return self._shapes.learn(key, (await self._open(key)).schema) if shape is None else shape

    async def _open(self, key: TableKey, version: int | None = None) -> lance.LanceDataset:
        """A handle of what is in Lance."""
        return await self.run(self.engine.open, key.path(self._root), key.label, version)

    def reading(self, key: TableKey) -> AbstractContextManager[None]:
        """While this is held, files of old versions of the table stay."""
        return self._readers.reading(key)

    @contextlib.asynccontextmanager
    async def watching(self, key: TableKey) -> AsyncIterator[tuple[lance.LanceDataset, Watch]]:
        """A snapshot and all that happens after it."""
        joining = self._tasks.start(self._join(key), f"watch {key.label}")
        try:
            dataset, watch = await asyncio.shield(joining)
        except asyncio.CancelledError:
            joining.add_done_callback(functools.partial(self._leave_unseen, key))
            raise
        try:
            yield dataset, watch
        finally:
            self._leave(key, watch)

    async def _join(self, key: TableKey) -> tuple[lance.LanceDataset, Watch]:
        await self._ready()
        async with self._lock(key):
            await self._tail_fold.fold(key)
            dataset = await self._open(key)
            return dataset, self._feeds.setdefault(key, Feed()).join()

    def _leave_unseen(self, key: TableKey, joined: asyncio.Task[tuple[lance.LanceDataset, Watch]]) -> None:
        if not joined.cancelled() and joined.exception() is None:
            self._leave(key, joined.result()[1])

    def _leave(self, key: TableKey, watch: Watch) -> None:
        feed = self._feeds.get(key)
        if feed is not None:
            feed.leave(watch)
            if not feed:
                del self._feeds[key]

    # Writing

    async def write(self, key: TableKey, work: Work, *, alone: bool = False) -> Outcome:
        """Run one write, `alone` not `beside` maintenance; finished even when its caller goes away. Raises
        `ToolError`.
        """
        return await self._finish(self._write(key, work, alone=alone), f"write {key.label}")

    async def insert(self, key: TableKey, rows: pa.Table) -> None:
        """Append rows, logical, partial or as they are stored; durable on return. Raises `ToolError`."""
        await self._finish(self._insert(key, rows), f"insert {key.label}")

    def insert_at_once(self, key: TableKey, sent: bytes) -> asyncio.Future[None] | None:
        """Append rows that come as the table has them; done when they are durable. None when `insert` has to:
        somebody works on the table or watches it. Raises `ToolError`."""
        shape = self._shapes.known(key)
        busy = key in self._locks or key in self._feeds or self._tails.crowded
        rows = None if shape is None or busy or not self._started else as_stored(sent, shape)
        if rows is None or not rows.rows:
            return None
        stored = self._tails.add(key, rows.rows, rows.stream)
        self._folding.wake(urgent=self._tails.is_full(key))
        return stored

    async def create(self, key: TableKey, rows: pa.Table, mode: str) -> None:
        """Make a table with its first rows. `mode`: create, overwrite or create_if_not_exists."""
        await self._finish(self._create(key, rows, mode), f"create {key.label}")

    async def drop(self, key: TableKey, *, ignore_missing: bool) -> None:
        """Remove a table and its history."""
        await self._finish(self._drop(key, ignore_missing), f"drop {key.label}")

    async def rename(self, key: TableKey, new_name: str) -> None:
        """Give a table another name in its namespace."""
        if new_name == key.name:
            raise ToolError(f"table {key.label} has that name already", code=ALREADY_EXISTS)
        await self._finish(self._rename(key, TableKey(key.place, new_name)), f"rename {key.label}")

    async def create_branch(self, namespace: tuple[str, ...], branch: str, parent: str) -> None:
        """Branch all tables of a namespace and the ones inside it."""
        await self._finish(self._create_branch(namespace, branch, parent), f"create branch {branch}")

    async def delete_branch(self, place: Place) -> None:
        """Remove a branch with its tables."""
        await self._finish(self._delete_branch(place), f"delete branch {place.branch}")

    async def alone[T](self, key: TableKey, work: Callable[[Path, str], T]) -> T:
        """Run a maintenance step while nobody writes and no upkeep runs."""
        return await self._finish(self._alone(key, work), f"maintain {key.label}")

    async def beside[T](self, key: TableKey, work: Callable[[Path, str], T]) -> T:
        """The same beside writers; nobody writes once work was `Preempted` as often as it may be."""
        return await self._finish(self._beside(key, work), f"maintain {key.label}")

    async def _write(self, key: TableKey, work: Work, *, alone: bool) -> Outcome:
        async with self._tending_lock(key) if alone else contextlib.nullcontext(), self._lock(key):
            outcome = await self._run_write(key, work)
        self._tend_sometimes(key)
        return outcome

    async def _insert(self, key: TableKey, rows: pa.Table) -> None:
        async with self._lock(key):
            shape = await self._shape(key)
            if not shape.logged or self._feeds.get(key) or self._tails.crowded or rows.nbytes > LARGE_BYTES:
                await self._run_write(key, functools.partial(append, self.engine, rows))
                stored = None
            else:
                if not rows.schema.equals(shape.physical, check_metadata=True):
                    rows = arrow.to_physical(rows, shape.logical, shape.physical)
                data = arrow.encode_batches(rows.schema, rows.to_batches())
                stored = self._tails.add(key, rows.num_rows, data) if rows.num_rows else None
        if stored is None:
            self._tend_sometimes(key)
            return
        self._folding.wake(urgent=self._tails.is_full(key))
        await stored

    async def _settle(self, key: TableKey) -> None:
        """Fold the tail of a table, if it has one; it is finished even when its caller goes away."""
        await self._finish(self._settle_locked(key), f"fold {key.label}")

    async def _settle_locked(self, key: TableKey) -> None:
        async with self._lock(key):
            await self._tail_fold.fold(key)
        self._tend_sometimes(key)

    async def _run_write(self, key: TableKey, work: Work) -> Outcome:
        await self._tail_fold.fold(key)
        self._shapes.forget(key)
        feed = self._feeds.get(key)
        call = functools.partial(work, key.path(self._root), key.label, watched=bool(feed))
        outcome = await self.run(call)
        if feed is not None:
            feed.publish(outcome)
        return outcome

    async def _create(self, key: TableKey, rows: pa.Table, mode: str) -> None:
        async with self._lock(key):
            if await self.run(self.catalog.exists, key):
                if mode == "create_if_not_exists":
                    return
                if mode != "overwrite":
                    raise ToolError(f"table {key.label} already exists", code=ALREADY_EXISTS)
                await self._run_write(key, functools.partial(overwrite, self.engine, rows))
                return
            await self.run(self._build, key, rows)

    def _build(self, key: TableKey, rows: pa.Table) -> None:
        self.catalog.require_branch(key.place)
        unfinished = self.catalog.scratch()
        try:
            self.engine.create(unfinished, rows)
            self.catalog.publish(unfinished, key)
        except BaseException:
            self.catalog.discard(unfinished)
            raise

    async def _drop(self, key: TableKey, ignore_missing: bool) -> None:
        async with self._tending_lock(key), self._lock(key):
            if not await self.run(self.catalog.exists, key):
                if ignore_missing:
                    return
                raise missing_table(key.label)
            gone = await self.run(self.catalog.withdraw, key)
            self._went_away(key)
            await self._tail_fold.discard(key)
        await self.run(self.catalog.discard, gone)

    async def _rename(self, key: TableKey, new: TableKey) -> None:
        first, second = sorted((key, new), key=lambda each: each.name)
        async with self._tending_lock(key), self._lock(first), self._lock(second):
            if not await self.run(self.catalog.exists, key):
                raise missing_table(key.label)
            await self._tail_fold.fold(key)
            await self.run(self.catalog.rename, key, new)
            self._went_away(key)

    async def _create_branch(self, namespace: tuple[str, ...], branch: str, parent: str) -> None:
        async with self._branching:
            place = await self.run(self.catalog.begin_branch, namespace, branch, parent)
            for source in await self.run(lambda: list(self.catalog.places_below(place.on(parent)))):
                for name in await self.run(self.catalog.tables, source):
                    await self._link(TableKey(source, name), branch)
            await self.run(self.catalog.finish_branch, place, parent)

    async def _link(self, key: TableKey, branch: str) -> None:
        async with self._tending_lock(key), self._lock(key):
            if await self.run(self.catalog.exists, key):
                await self._tail_fold.fold(key)
                await self.run(self.catalog.link_table, key, branch)

    async def _delete_branch(self, place: Place) -> None:
        async with self._branching:
            places = await self.run(lambda: list(self.catalog.places_below(place)))
            keys = [
                TableKey(each, name) for each in places for name in await self.run(self.catalog.tables, each)
            ]
            await self.run(self.catalog.delete_branch, place)
            for key in {*keys, *(key for key in self._tails.waiting() if key.place in places)}:
                async with self._lock(key):
                    self._went_away(key)
                    await self._tail_fold.discard(key)

    async def _alone[T](self, key: TableKey, work: Callable[[Path, str], T]) -> T:
        async with self._tending_lock(key), self._lock(key):
            await self._tail_fold.fold(key)
            return await self.run(work, key.path(self._root), key.label)

    async def _beside[T](self, key: TableKey, work: Callable[[Path, str], T]) -> T:
        async with self._tending_lock(key):
            for _ in range(upkeep.ATTEMPTS):
                async with self._lock(key):
                    await self._tail_fold.fold(key)
                with contextlib.suppress(Preempted):
                    return await self.run(work, key.path(self._root), key.label)
        return await self._alone(key, work)

    def _went_away(self, key: TableKey) -> None:
        self.engine.forget()
        self._shapes.forget(key)
        self._writes.pop(key, None)
        feed = self._feeds.get(key)
        if feed is not None:
            feed.fail(missing_table(key.label))

    # Upkeep

    def _tend_sometimes(self, key: TableKey) -> None:
        self._writes[key] += 1
        if self._writes[key] % upkeep.EVERY == 0 and key not in self._tending:
            self._tasks.start(self._tend(key, self._tending_lock(key)), f"tend {key.label}")

    async def _tend(self, key: TableKey, tending: asyncio.Lock) -> None:
        async with tending:
            try:
                quick = await self.run(upkeep.is_quick, await self._open(key))
                async with self._lock(key) if quick else contextlib.nullcontext():
                    await self.run(upkeep.fold, await self._open(key), key.path(self._root))
                if key not in self._readers:
                    await self.run(upkeep.forget_old_versions, await self._open(key))
            except (ToolError, OSError, ValueError, RuntimeError) as error:
                logger.debug("upkeep of table %s put off: %s", key.label, error)

    # Small parts

    # Whoever needs both locks takes the tending lock first, as upkeep does; else they wait in a ring.

    def _lock(self, key: TableKey) -> asyncio.Lock:
        return self._locks.setdefault(key, asyncio.Lock())

    def _tending_lock(self, key: TableKey) -> asyncio.Lock:
        return self._tending.setdefault(key, asyncio.Lock())

    async def _finish[T](self, work: Coroutine[Any, Any, T], name: str) -> T:
        """Run a step to its end, whatever becomes of its caller. What waits in the log is known by then."""
        task: Awaitable[T] = self._tasks.start(self._when_ready(work), name)
        return await asyncio.shield(task)

    async def _when_ready[T](self, work: Coroutine[Any, Any, T]) -> T:
        try:
            await self._ready()
        except BaseException:
            work.close()
            raise
        return await work

    async def _ready(self) -> None:
        """The folders are mended and the log is read, or it is done now."""
        if self._started:
            return
        async with self._starting:
            if not self._started:
                await asyncio.to_thread(self.catalog.start)
                await self._tails.start(self._folded_since)
                self._started = True
                if self._tails:
                    self._folding.wake(urgent=False)

    def _folded_since(self, key: TableKey, version: int | None) -> int | None:
        """See `tails.FoldedSince`."""
        path = key.path(self._root)
        if not path.is_dir():
            return None
        return 0 if version is None else self.engine.folded_since(path, key.label, version)


def _report(name: str, error: BaseException) -> None:
    """Failures go to the caller who waits; only what is no answer is logged."""
    if not isinstance(error, ToolError):
        logger.error("%s failed", name, exc_info=error)
