"""What many bring at once is taken in bit by bit, so that each hears of it before the last is worked out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from process_agent.io.tasks import rounds

logger = logging.getLogger(__name__)

FIRST_ROUND: Final = 8
"""Pieces taken at first. What they bring about is sent before the next are taken, twice as many each time:
where rounds of the event loop are long, because there is other work too, the last do not wait for many.
"""

ROUNDS_TO_TELL: Final = 3
"""Rounds in which what is said about a piece gets to the socket."""

HOLD_SECONDS: Final = 2.0
"""How long heavy work waits for an intake that does not come to rest."""


class Intake:
    """Takes pieces in, in the order they came. One event loop only."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._taken = 0
        self._most = FIRST_ROUND
        self._round = False
        self._rest = asyncio.Event()
        self._rest.set()

    def enter(self, take: Callable[[], None]) -> None:
        """Take this in: at once, or in one of the next rounds when much comes together."""
        if not self._round:
            self._round = True
            self._soon()
        if self._waiting or self._taken >= self._most:
            self._waiting.append(take)
            self._rest.clear()
            return
        self._taken += 1
        take()

    def take_all(self) -> None:
        """Take in what waits, now."""
        while self._waiting:
            self._waiting.popleft()()
        self._rest.set()

    async def calm(self) -> None:
        """Return when what was taken in has been told and nothing waits, after `HOLD_SECONDS` in any case.

        For work that takes the processor while people wait for an answer.
        """
        await rounds(ROUNDS_TO_TELL)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HOLD_SECONDS):
                await self._rest.wait()

    def _soon(self) -> None:
        """The next but one round of the loop: what was taken wakes its sender in the next."""
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, self._next_round)

    def _next_round(self) -> None:
        self._most = 2 * self._most if self._waiting else FIRST_ROUND
        pieces = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
        self._taken = len(pieces)
        self._round = bool(pieces)
        if pieces:
            self._soon()
        if not self._waiting:
            self._rest.set()
        for take in pieces:
            try:
                take()
            except Exception:
                logger.exception("a piece of work was not taken in")  # those behind it are others'
