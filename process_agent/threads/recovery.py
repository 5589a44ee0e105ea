"""Closing the turns that nobody runs any more: when an agent starts, and later when others turn out gone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from process_agent.core.ids import ThreadId
from process_agent.errors import RoomError
from process_agent.io.tasks import Tasks
from process_agent.threads.leases import ThreadLease

logger = logging.getLogger(__name__)

RECOVER_FIRST = 16
"""Threads, the latest changed, whose lost turns are closed before `start` returns."""

RECOVER_LATER = 500
"""Threads that are looked at for lost turns in all; older ones are closed when somebody goes on with them."""

_LOOK_EVERY = 5.0
_AT_ONCE = 4

type RecoverOne = Callable[[ThreadId], Awaitable[bool]]
"""Closes the lost turns of a thread; whether turns are left to others. Raises `RoomError`."""


class Recovery:
    """Of one agent's threads."""

    def __init__(self, lease: ThreadLease, recover_one: RecoverOne, tasks: Tasks) -> None:
        self._lease = lease
        self._recover_one = recover_one
        self._tasks = tasks

    async def start(self, threads: Sequence[ThreadId]) -> None:
        """Look at the first of these threads now, at others soon; and at those again whose turns others ran,
        until they are over.
        """
        left = await self._recover(threads[:RECOVER_FIRST])
        rest = threads[RECOVER_FIRST:RECOVER_LATER]
        if left or rest:
            self._tasks.start(self._later(left, rest), "recovery")

    async def _later(self, left: list[ThreadId], rest: Sequence[ThreadId]) -> None:
        left = [*left, *await self._recover(rest)]
        while left:
            await asyncio.sleep(_LOOK_EVERY)
            try:
                await self._lease.read()
            except RoomError as error:
                logger.info("the leases of other agents cannot be read: %s", error)
                continue
            left = await self._recover(left)

    async def _recover(self, threads: Sequence[ThreadId]) -> list[ThreadId]:
        """Which threads have turns that are left to others."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(thread_id: ThreadId) -> bool:
            async with gate:
                try:
                    return await self._recover_one(thread_id)
                except RoomError as error:
                    logger.warning("lost turns of %s are not closed: %s", thread_id, error)
                    return False

        left = await asyncio.gather(*map(one, threads))
        return [thread_id for thread_id, is_left in zip(threads, left, strict=True) if is_left]
