"""Lets heavy work begin when a crowd has passed: what many ask for at the same time is done once all of them
were answered, for it would take the processor that the answers need.
"""

from __future__ import annotations

import asyncio
from typing import Final

FEW: Final = 4
"""So many within `QUIET_SECONDS` are no crowd."""

QUIET_SECONDS: Final = 0.01
"""A crowd has passed when nobody came for so long."""

HOLD_SECONDS: Final = 0.2
"""Nobody waits longer, whoever else comes."""

ROUNDS_TO_TELL: Final = 3
"""Rounds of the event loop in which an answer gets to the socket, and what the socket brought to us."""


class Lull:
    """One event loop only."""

    def __init__(self) -> None:
        self._last = float("-inf")
        self._came = 0
        self._passed: asyncio.Future[None] | None = None
        self._until = 0.0

    def come(self) -> bool:
        """Somebody comes. Whether they are a crowd by now."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._came = self._came + 1 if now - self._last < QUIET_SECONDS else 1
        self._last = now
        if self._passed is None and self._came > FEW:
            self._passed = loop.create_future()
            self._until = now + HOLD_SECONDS
            loop.call_at(min(now + QUIET_SECONDS, self._until), self._look)
        return self._passed is not None

    async def passed(self) -> None:
        """Return when no crowd is there, or none any more."""
        if self._passed is not None:
            await asyncio.shield(self._passed)

    def _look(self, rounds: int = ROUNDS_TO_TELL) -> None:
        """Let all go on, unless somebody came just now, or is about to: rounds may take long."""
        loop, passed = asyncio.get_running_loop(), self._passed
        due = min(self._last + QUIET_SECONDS, self._until)
        if passed is not None and loop.time() < due:
            loop.call_at(due, self._look)
        elif passed is not None and rounds:
            loop.call_soon(self._look, rounds - 1)
        elif passed is not None:
            self._passed, self._came = None, 0
            passed.set_result(None)
