"""Waiting that another task can end at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Interrupted(Exception):
    """Somebody asked for an end of what was waited for."""


class Interruption:
    """One task waits through `wait`; `ask`, from any task of the loop, ends this and all later waiting.

    Nothing but the awaited call is cancelled: not the task that waits, wherever else it may be.
    """

    def __init__(self) -> None:
        self.asked = False
        self._limit: asyncio.Timeout | None = None

    def ask(self) -> None:
        """End the waiting. Idempotent."""
        self.asked = True
        if self._limit is not None:
            self._limit.reschedule(asyncio.get_running_loop().time())

    async def wait[T](self, call: Callable[[], Awaitable[T]], seconds: float | None = None) -> T:
        """What `call()` returns. Raises `Interrupted`, and `TimeoutError` after `seconds`."""
        if self.asked:
            raise Interrupted
        try:
            async with asyncio.timeout(seconds) as self._limit:
                return await call()
        except TimeoutError:
            if self.asked:
                raise Interrupted from None
            raise
        finally:
            self._limit = None
