"""The only place that starts asyncio tasks.

A `Tasks` scope belongs to one owner. It names its tasks, keeps them referenced, reports what they raise to
one place, and ends them all when the owner closes it. Use `asyncio.TaskGroup` instead where the tasks end
with a block of code.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

logger = logging.getLogger(__name__)

type OnFailure = Callable[[str, BaseException], None]
"""Called with the task's name and what it raised."""


class Tasks:
    """Tasks of one owner. Not thread-safe; use it from the event loop's thread."""

    def __init__(self, owner: str, *, on_failure: OnFailure | None = None) -> None:
        self._owner = owner
        self._on_failure = on_failure or _log_failure
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    def start[T](self, coroutine: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Run a coroutine in the background. Raises RuntimeError once the scope is closed."""
        if self._closed:
            coroutine.close()
            raise RuntimeError(f"{self._owner} is closed and cannot start {name}")
        task = asyncio.create_task(coroutine, name=f"{self._owner}: {name}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def begin(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None] | None:
        """Run a coroutine at once, as far as it gets without waiting. The task that does the rest, if any."""
        task = self.ahead(coroutine, name)
        return None if task.done() else task

    def ahead[T](self, coroutine: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Run a coroutine at once, as far as it gets without waiting. Its task, which may be done."""
        if self._closed:
            coroutine.close()
            raise RuntimeError(f"{self._owner} is closed and cannot start {name}")
        loop = asyncio.get_running_loop()
        task = asyncio.Task(coroutine, loop=loop, name=f"{self._owner}: {name}", eager_start=True)
        if task.done():
            self._ended(task)
        else:
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        return task

    async def close(self) -> None:
        """Cancel what still runs and wait for it. Idempotent; safe to call from one of the tasks."""
        self._closed = True
        current = asyncio.current_task()
        pending = [task for task in self._tasks if task is not current]
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    async def wait(self) -> None:
        """Wait until all tasks that run now have ended, without cancelling them."""
        current = asyncio.current_task()
        await asyncio.gather(*(t for t in self._tasks if t is not current), return_exceptions=True)

    def __len__(self) -> int:
        return len(self._tasks)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._on_failure(task.get_name(), error)


async def rounds(number: int) -> None:
    """Let the event loop come round so many times: what is on its way to somebody gets to the socket."""
    for _ in range(number):
        await asyncio.sleep(0)


def _log_failure(name: str, error: BaseException) -> None:
    logger.error("%s failed", name, exc_info=error)
