"""The room queue a channel lives on: taking its items, putting them back, and where those go that failed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from datetime import UTC

from process_agent.core.content import ErrorInfo, Json
from process_agent.core.ids import Clock
from process_agent.core.room_ports import Queues
from process_agent.errors import RoomClosedError, RoomError, RoomRequestError
from process_agent.io.backoff import Backoff

logger = logging.getLogger(__name__)

FAILED = ".failed"
"""Added to the queue's name: where items go that cannot become a turn, or whose answer cannot be sent."""

_RETRY = Backoff()


class OwnQueue:
    """One queue, with one reader."""

    def __init__(self, queues: Queues, name: str, clock: Clock) -> None:
        self._queues = queues
        self._name = name
        self._clock = clock

    async def items(self, places: asyncio.Semaphore) -> AsyncGenerator[Json]:
        """The items, each taken once one of `places` is free and keeping it; whoever gets the item releases
        it. Ends when the room is left for good.
        """
        delays = _RETRY.delays()
        while True:
            await places.acquire()
            try:
                item = await self._queues.receive(self._name)
            except RoomClosedError:
                return
            except RoomRequestError as error:
                places.release()
                logger.warning("%s", error)
                await asyncio.sleep(next(delays))
                continue
            delays = _RETRY.delays()
            yield item

    async def put_back(self, item: Json) -> None:
        """The item is for a later agent; it goes to the end of the queue."""
        await self._send(self._name, item)

    async def fail(self, item: Json, error: ErrorInfo) -> None:
        """Report what failed, with the reason, in the queue for that."""
        logger.warning("an item of the queue %s failed: %s", self._name, error.message)
        report: dict[str, Json] = {
            "queue": self._name,
            "item": item,
            "error": {"message": error.message, "code": error.code},
            "failed_at": self._clock().astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        }
        await self._send(self._name + FAILED, report)

    async def _send(self, queue: str, message: Json) -> None:
        """Send, again after a lost connection: then an item may be there twice."""
        for delay in _RETRY.delays():
            try:
                await self._queues.send(queue, message)
            except (RoomRequestError, RoomClosedError) as error:
                logger.error("an item is lost: %s: %.500s", error, message)
            except RoomError as error:
                logger.info("sending to %s again: %s", queue, error)
                await asyncio.sleep(delay)
                continue
            return
