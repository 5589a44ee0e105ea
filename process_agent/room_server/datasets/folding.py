"""Folding tails into their tables, in the background: a few large appends in the place of many small ones."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

from process_agent.io.tasks import Tasks
from process_agent.room_server.datasets.durable import write_file
from process_agent.room_server.datasets.engine import Engine
from process_agent.room_server.datasets.names import TableKey
from process_agent.room_server.datasets.refusals import is_refusal
from process_agent.room_server.datasets.tails import RETRY_SECONDS, Entry, Tail, Tails
from process_agent.room_server.toolkit import NOT_FOUND, ToolError

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.5
"""How often tails are looked at while there are any."""

CLOSE_SECONDS: Final = 5.0
"""How long closing a room folds; what is left stays in the log for the next start."""

ASIDE: Final = ".refused"
"""Where rows go that were answered and that Lance does not take, below the room's datasets folder."""

AT_ONCE: Final = 4
"""Tables folded at once when a room closes; while it runs, one at a time."""

type Run = Callable[..., Awaitable[Any]]
"""Runs blocking work in a thread."""

type Fold = Callable[[TableKey], Awaitable[None]]


class Folding:
    """Folds what is due. `fold` takes a table's write lock and folds its tail; it raises `ToolError`."""

    def __init__(self, tails: Tails, fold: Fold) -> None:
        self._tails = tails
        self._fold = fold
        self._tasks = Tasks("folding")
        self._running = False
        self._closed = False
        self._now = asyncio.Event()

    def wake(self, *, urgent: bool) -> None:
        """There is a tail; an urgent one is not left until the next look."""
        if urgent:
            self._now.set()
        if not self._running and not self._closed:
            self._running = True
            self._tasks.start(self._run(), "fold")

    async def close(self) -> None:
        """Stop, then fold everything, as far as the time allows."""
        self._closed = True
        await self._tasks.close()
        waiting = self._tails.waiting()
        deadline = asyncio.get_running_loop().time() + CLOSE_SECONDS

        async def work() -> None:
            while waiting and asyncio.get_running_loop().time() < deadline:
                await self._try(waiting.pop())

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        if self._tails:
            logger.info("%d tables have rows in the log for the next start", len(self._tails.waiting()))

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._tails:
                for key in self._tails.due(loop.time()):
                    began = loop.time()
                    if not self._tails.is_due(key, began):
                        continue  # rows came meanwhile: it waits until the room is at rest
                    await self._try(key)
                    if not self._tails.crowded:
                        # Never more than half of the time: whoever waits for an answer goes first.
                        await asyncio.sleep(loop.time() - began)
                await self._look()
        finally:
            self._running = False

    async def _look(self) -> None:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self._now.wait()
        except TimeoutError:
            return
        finally:
            self._now.clear()

    async def _try(self, key: TableKey) -> None:
        try:
            await self._fold(key)
        except (ToolError, OSError) as error:
            tail = self._tails.get(key)
            if tail is not None:
                tail.retry = asyncio.get_running_loop().time() + RETRY_SECONDS
            logger.error("rows of table %s stay in the log for now: %s", key.label, error)


class TailFold:
    """Folds the tail of one table. The caller holds the table's write lock."""

    def __init__(self, tails: Tails, engine: Engine, run: Run, root: Path) -> None:
        self._tails = tails
        self._engine = engine
        self._run = run
        self._root = root

    async def fold(self, key: TableKey) -> None:
        """Put the rows into the table, each exactly once, whatever became of an earlier try.

        Raises `ToolError`; the rows then stay in the tail.
        """
        tail = self._tails.get(key)
        if tail is None:
            return
        await tail.landed()
        try:
            await self._fold(key, tail)
        except ToolError as error:
            if error.code != NOT_FOUND or await self._run(key.path(self._root).is_dir):
                raise
            logger.error("%d rows for table %s, which is gone, are dropped", tail.rows, key.label)
            await self.discard(key)

    async def discard(self, key: TableKey) -> None:
        """Forget the rows of a table that is gone. Raises `ToolError` when the log cannot say so."""
        tail = self._tails.get(key)
        if tail is not None:
            await tail.landed()
            await self._tails.folded(key, tail, list(tail.entries))

    async def _fold(self, key: TableKey, tail: Tail) -> None:
        path, label = key.path(self._root), key.label
        if tail.begun is not None:
            until = await self._run(self._engine.folded_since, path, label, tail.begun)
            done = [entry for entry in tail.entries if entry.position <= until]
            if done:
                await self._tails.folded(key, tail, done)
        entries = list(tail.entries)
        if not entries:
            await self._tails.mark(key, tail)
            return
        if tail.begun is None:
            dataset = await self._run(self._engine.open, path, label)
            await self._tails.begin(key, tail, dataset.version)
        try:
            await self._append(key, entries)
        except ToolError as error:
            if not is_refusal(error):
                raise
            for entry in entries:
                await self._append_or_set_aside(key, entry)
        await self._tails.folded(key, tail, entries)

    async def _append(self, key: TableKey, entries: Sequence[Entry]) -> None:
        rows = [entry.data for entry in entries]
        await self._run(self._engine.fold, key.path(self._root), key.label, rows, entries[-1].position)

    async def _append_or_set_aside(self, key: TableKey, entry: Entry) -> None:
        """Rows that Lance does not take after all must not lock up the table: they go to a file."""
        try:
            await self._append(key, [entry])
        except ToolError as error:
            if not is_refusal(error):
                raise
            aside = self._root / ASIDE / f"{entry.position:020d}.arrow"
            await self._run(write_file, aside, entry.data)
            logger.error("%d rows of table %s are set aside in %s: %s", entry.rows, key.label, aside, error)
