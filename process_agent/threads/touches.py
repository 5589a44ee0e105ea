"""When the list of threads learns that threads were used: one look and one update for many of them.

An update of the list costs a room as much processor time as all the rows of a short turn. A thread that was
not touched lately is touched at once; further touches of it, and of others that come while the list is busy,
wait for each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from process_agent.core.ids import ThreadId
from process_agent.core.store import ThreadEntry
from process_agent.errors import ProcessError
from process_agent.io.tasks import Tasks
from process_agent.threads.paths import unknown_thread

AGAIN_SECONDS = 1.0
"""Least seconds between two touches of one thread; what comes between is one touch at the end of them."""

SPACE_SECONDS = 0.1
"""Seconds the list is left alone after each update."""

MANY = 8
MANY_SPACE_SECONDS = 0.5
"""The same after an update of so many threads: where many turns end at once, they wait for each other."""

CLOSE_SECONDS = 5.0
"""How long closing waits for the list."""

MAX_TOGETHER = 100
"""Threads in one update."""

type TouchAll = Callable[[Sequence[ThreadId]], Awaitable[Mapping[ThreadId, ThreadEntry]]]
"""Touches threads, and returns the entry of each."""


class Touches:
    """The touches of one list that are on their way. Not thread-safe."""

    def __init__(self, touch_all: TouchAll) -> None:
        self._touch_all = touch_all
        self._waiting: dict[ThreadId, asyncio.Future[ThreadEntry]] = {}
        self._last: dict[ThreadId, float] = {}
        self._tasks = Tasks("touches")
        self._working: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()

    async def touch(self, path: ThreadId) -> ThreadEntry:
        """Touch a thread soon; its entry then. Raises `RoomError` when the list cannot be changed, with code
        1003 when the thread is removed meanwhile.
        """
        waiting = self._waiting.get(path)
        if waiting is None:
            waiting = self._waiting[path] = asyncio.get_running_loop().create_future()
            self._wake.set()
        if self._working is None:
            self._working = self._tasks.start(self._work(), "touch")
        return await asyncio.shield(waiting)

    def forget(self, path: ThreadId) -> None:
        """The thread is removed."""
        waiting = self._waiting.pop(path, None)
        if waiting is not None:
            _fail(waiting, unknown_thread(path))

    async def close(self) -> None:
        """Touch what waits, at once, and take nothing more. Idempotent."""
        self._closing.set()
        self._wake.set()
        if self._working is not None:
            await asyncio.wait([self._working], timeout=CLOSE_SECONDS)
        await self._tasks.close()

    async def _work(self) -> None:
        try:
            while self._waiting:
                if due := self._due():
                    await self._touch(due)
                    await _wait(self._closing, SPACE_SECONDS if len(due) < MANY else MANY_SPACE_SECONDS)
                elif not self._closing.is_set():
                    self._wake.clear()
                    now = asyncio.get_running_loop().time()
                    await _wait(self._wake, min(map(self._due_at, self._waiting)) - now)
        finally:
            self._working = None
            for path in tuple(self._waiting):
                self.forget(path)

    def _due_at(self, path: ThreadId) -> float:
        return self._last.get(path, float("-inf")) + AGAIN_SECONDS

    def _due(self) -> list[ThreadId]:
        now = asyncio.get_running_loop().time()
        self._last = {path: at for path, at in self._last.items() if now < at + AGAIN_SECONDS}
        hurry = self._closing.is_set()
        return [path for path in self._waiting if hurry or path not in self._last][:MAX_TOGETHER]

    async def _touch(self, paths: Sequence[ThreadId]) -> None:
        futures = {path: self._waiting.pop(path) for path in paths}
        self._last.update(dict.fromkeys(paths, asyncio.get_running_loop().time()))
        try:
            entries = await self._touch_all(paths)
        except ProcessError as error:
            for waiting in futures.values():
                _fail(waiting, error)
        else:
            for path, waiting in futures.items():
                waiting.set_result(entries[path])
        finally:
            for path, waiting in futures.items():
                if not waiting.done():  # cancelled, or a defect: nobody must wait for ever
                    _fail(waiting, unknown_thread(path))


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, so long at most."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


def _fail(waiting: asyncio.Future[ThreadEntry], error: ProcessError) -> None:
    waiting.set_exception(error)
    waiting.exception()  # whoever waited may be gone; that is no reason to complain
