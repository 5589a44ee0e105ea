"""Lets a few in at a time, and everybody in turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from process_agent.core.fair_queue import FairQueue


class FairGate:
    """At most `limit` are inside. Each who waits comes in after at most one of everybody else's."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue()

    async def enter(self, who: str) -> Callable[[], None]:
        """Wait for a place; returns what gives it back, which may be called more than once."""
        if self._free > 0:
            self._free -= 1
        else:
            place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.push(who, place)
            try:
                await place
            except asyncio.CancelledError:
                if not self._waiting.remove(who, place):
                    self._leave()  # it had just got the place
                raise
        return self._once()

    def _once(self) -> Callable[[], None]:
        inside = True

        def leave() -> None:
            nonlocal inside
            if inside:
                inside = False
                self._leave()

        return leave

    def _leave(self) -> None:
        if len(self._waiting):
            self._waiting.pop().set_result(None)
        else:
            self._free += 1
