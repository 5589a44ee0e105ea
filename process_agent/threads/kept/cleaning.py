"""Files of deleted threads are removed, off the way of everything else, once nobody is seen to need them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Final

from process_agent.core.room import Datasets, TableRef
from process_agent.core.room_ports import RoomFiles
from process_agent.errors import RoomClosedError, RoomError, RoomRequestError
from process_agent.io.tasks import Tasks
from process_agent.threads.index import entries_of
from process_agent.threads.kept.files import LOOK_PAUSE, remove, unused
from process_agent.threads.kept.looking import Counted
from process_agent.threads.paths import NOT_FOUND, RESERVED, table_of
from process_agent.threads.room_files import folder_of
from process_agent.threads.schema import INDEX_TABLE

logger = logging.getLogger(__name__)

QUIET_SECONDS: Final = 5.0
"""How long after a deletion the other threads are looked at, for that one and those that come meanwhile."""

MAX_ROWS: Final = 1_000_000
"""Rows of other threads that are read; with more of them files stay."""

MAX_PENDING: Final = 100_000
"""Files that wait to be removed; those of threads deleted beyond that stay."""

ATTEMPTS: Final = 5
"""Times it is tried again after a lost connection."""

CLOSE_SECONDS: Final = 5.0
"""How long a stopping agent tries to remove what waits."""

type Folders = Callable[[], Iterable[tuple[str, ...]]]
"""Namespaces of threads."""

type Unused = Callable[[set[str], float], Awaitable[set[str] | None]]
"""Those of these folders of files of which no thread speaks, or None when not all could be looked at; with
seconds to pause between two pages of rows.
"""


class FileCleaning:
    """Of the threads that one agent deletes."""

    def __init__(self, files: RoomFiles, unused: Unused, tasks: Tasks) -> None:
        self._files = files
        self._unused = unused
        self._tasks = tasks
        self._pending: set[str] = set()
        self._working: asyncio.Task[None] | None = None

    def gone(self, paths: Iterable[str]) -> None:
        """The thread that these files belonged to is deleted."""
        self._pending.update(paths)
        if len(self._pending) > MAX_PENDING:
            logger.warning("too many files of deleted threads wait to be removed: some stay in the room")
            self._pending = set(sorted(self._pending)[:MAX_PENDING])
        if self._pending and self._working is None:
            self._working = self._tasks.start(self._work(), "files of deleted threads")

    async def close(self) -> None:
        """Remove what waits, if that can be done soon. Idempotent."""
        if self._working is not None:
            self._working.cancel()
            await asyncio.wait([self._working])
        if not self._pending:
            return
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._clean(pause=0.0)
        except (TimeoutError, RoomError) as error:
            left = len(self._pending)
            logger.warning(
                "%d files of deleted threads stay in the room: %s", left, str(error) or "it took too long"
            )

    async def _work(self) -> None:
        try:
            failures = 0
            while self._pending:
                await asyncio.sleep(QUIET_SECONDS)
                try:
                    await self._clean(LOOK_PAUSE)
                    failures = 0
                except (RoomRequestError, RoomClosedError):
                    raise
                except RoomError:
                    failures += 1
                    if failures == ATTEMPTS:
                        raise
        except RoomError as error:
            logger.warning("%d files of deleted threads stay in the room: %s", len(self._pending), error)
            self._pending.clear()
        finally:
            self._working = None

    async def _clean(self, pause: float) -> None:
        """Remove what waits, but for what other threads speak of. What is not done yet waits on."""
        paths = set(self._pending)
        left = await self._unused({folder_of(path) for path in paths}, pause)
        if left is None:
            logger.warning(
                "files of deleted threads stay in the room: other threads have more than %d rows", MAX_ROWS
            )
        alone = [path for path in paths if left is not None and folder_of(path) in left]
        self._pending -= paths - set(alone)
        async for path in remove(self._files, alone):
            logger.info("the file %s is removed: its thread was deleted", path)
            self._pending.discard(path)
        self._pending -= set(alone)


class StoredThreads:
    """The threads in these folders of the room's tables, and what they speak of."""

    def __init__(self, datasets: Datasets, folders: Folders) -> None:
        self._datasets = datasets
        self._folders = folders

    async def unused(self, folders: set[str], pause: float) -> set[str] | None:
        """See `Unused`; also threads that come while others are looked at count. Raises `RoomError`."""
        counted, seen = Counted(MAX_ROWS), set[TableRef]()
        while folders and (new := [ref async for ref in self._all() if ref not in seen]):
            seen.update(new)
            folders = await unused(self._datasets, folders, new, counted, pause)
            if counted.enough:
                return None
        return folders

    async def _all(self) -> AsyncIterator[TableRef]:
        for namespace in dict.fromkeys(self._folders()):
            async for ref in threads_in(self._datasets, namespace):
                yield ref


async def threads_in(datasets: Datasets, namespace: tuple[str, ...]) -> AsyncIterator[TableRef]:
    """The tables of threads in a folder, also of those that are not listed, and of those listed in folders
    below. Raises `RoomError`.
    """
    found = dict.fromkeys(
        TableRef(name, namespace) for name in await datasets.list_tables(namespace) if name not in RESERVED
    )
    try:
        for entry in await entries_of(datasets, TableRef(INDEX_TABLE, namespace)):
            with suppress(RoomRequestError):  # somebody wrote a path there that is none of a thread
                found[table_of(entry.path, namespace)] = None
    except RoomRequestError as error:
        if error.code != NOT_FOUND:
            raise
    for ref in found:
        yield ref
