"""An event loop whose clock jumps to the next thing that is due: hours pass in milliseconds, and in order."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

_EPOCH = datetime(2026, 5, 1, 10, tzinfo=UTC)
_DEADLOCK = 3_600.0
"""Seconds without anything due: whoever is waited for will never come."""


class DeadlockError(AssertionError):
    """Everybody waits for somebody."""


class _JumpingSelector(selectors.DefaultSelector):
    """Never sleeps: what the loop would have slept is added to its clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise DeadlockError("nothing is due and nothing can become due")
        self.now += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """See the module. `moment()` is the wall clock of everybody in it."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def moment(self) -> datetime:
        return _EPOCH + timedelta(seconds=self._jumping.now)


@contextmanager
def virtual_loop() -> Iterator[VirtualLoop]:
    """A loop of one's own, closed afterwards with all that still runs in it."""
    loop = VirtualLoop()
    try:
        yield loop
    finally:
        end_loop(loop)


def end_loop(loop: asyncio.AbstractEventLoop) -> None:
    """End all that still runs in a loop, and close it."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
