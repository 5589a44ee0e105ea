"""Threads that nobody used for long go by themselves: `--thread-retention`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

from process_agent.core.ids import Clock, ThreadId
from process_agent.core.store import ThreadStore
from process_agent.errors import RoomClosedError, RoomError
from process_agent.threads.kept.retention import Rule, outdated

logger = logging.getLogger(__name__)

FIRST_SECONDS: Final = 60.0
"""After the start of the agent, which has other work then."""

EVERY_SECONDS: Final = 3_600.0
"""Between two looks at the list."""

PAUSE_SECONDS: Final = 1.0
"""Between two threads, so that what people do goes first."""

MOST_LISTED: Final = 100_000
"""Threads that are looked at."""

MOST_AT_ONCE: Final = 500
"""Threads that go at one look, the oldest; others at the next."""

type Expire = Callable[[ThreadId, datetime], Awaitable[bool]]
"""Deletes a thread that was not used since then and is not open; whether it did."""


class Retention:
    """Applies a rule, look by look."""

    def __init__(self, rule: Rule, store: ThreadStore, clock: Clock) -> None:
        self._rule = rule
        self._store = store
        self._clock = clock

    async def run(self, expire: Expire) -> None:
        """Look again and again, until the room is left."""
        await asyncio.sleep(FIRST_SECONDS)
        while True:
            try:
                await self.look(expire)
            except RoomClosedError:
                return
            except RoomError as error:
                logger.warning("old threads are not removed for now: %s", error)
            await asyncio.sleep(EVERY_SECONDS)

    async def look(self, expire: Expire, pause: float = PAUSE_SECONDS) -> int:
        """Remove what is outdated now; how many there were. Raises `RoomError`."""
        entries, _ = await self._store.list(MOST_LISTED, 0)
        now, gone = self._clock(), 0
        for entry in outdated(entries, self._rule, now)[:MOST_AT_ONCE]:
            if await expire(entry.path, now - self._rule.age):
                gone += 1
                since = f"{entry.modified_at:%Y-%m-%d}"
                logger.info("%s is removed: nobody used it since %s", entry.path, since)
            await asyncio.sleep(pause)
        return gone
