"""Queues of a joined room: the `Queues` port over the published client."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from process_agent.core.content import Json
from process_agent.errors import RoomClosedError, RoomError, RoomRequestError
from process_agent.io.backoff import Backoff
from process_agent.io.tasks import Tasks
from process_agent.rooms.requests import Room

logger = logging.getLogger(__name__)

CLOSE_SECONDS = 2.0
"""How long `close` waits for items that are on their way back to their queue."""

_RETRY = Backoff()
_EMPTY_SECONDS = 0.2


class RoomQueues:
    """See `core.room_ports.Queues`.

    The room has no way to take a waiting receive back. One that nobody waits for any more is therefore kept:
    the next `receive` of the same queue takes it up, and an item that comes before that is sent back to the
    end of its queue.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._client = room.client.queues
        self._left: dict[str, list[asyncio.Task[Json]]] = {}
        self._receives = Tasks("queues", on_failure=_raised_to_receiver)
        self._sends = Tasks("queues")

    async def receive(self, name: str) -> Json:
        """Take the next item, waiting for one without a limit, lost connections included.

        Raises `RoomRequestError` when the room refuses it and `RoomClosedError` when the room is left.
        Cancelled, it takes nothing: an item that comes all the same goes back to the end of its queue.
        """
        left = self._left.get(name)
        # Taken up with the callback still to come, a list may stay empty until it does.
        taking = left.pop() if left else self._receives.start(self._take(name), f"receive from {name}")
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            self._leave(name, taking)
            raise

    async def send(self, name: str, message: Json) -> None:
        """Append an item, an object or a text; the queue is made if it is missing."""
        item: Any = message
        with self._room.request(f"send to the queue {name}"):
            await self._client.send(name=name, message=item)

    async def close(self) -> None:
        """Take nothing any more. Items on their way back arrive within `CLOSE_SECONDS`."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._sends.wait()
        except TimeoutError:
            logger.warning("an item may not be back in its queue")
        await self._receives.close()
        await self._sends.close()

    async def _take(self, name: str) -> Json:
        delays = _RETRY.delays()
        while True:
            await self._room.until_connected()
            try:
                with self._room.request(f"receive from the queue {name}"):
                    item: Json = await self._client.receive(name=name)
            except (RoomRequestError, RoomClosedError):
                raise
            except RoomError:
                logger.info("receiving from %s again after a lost connection", name)
                await asyncio.sleep(next(delays))
                continue
            if item is not None:
                return item
            await asyncio.sleep(_EMPTY_SECONDS)  # a room that answers although there is nothing

    def _leave(self, name: str, taking: asyncio.Task[Json]) -> None:
        self._left.setdefault(name, []).append(taking)
        taking.add_done_callback(lambda _: self._came(name, taking))

    def _came(self, name: str, taking: asyncio.Task[Json]) -> None:
        left = self._left.get(name, [])
        if taking not in left:  # another receive took it up
            return
        left.remove(taking)
        if not left:
            del self._left[name]
        if not taking.cancelled() and taking.exception() is None:
            self._sends.start(self._return(name, taking.result()), f"return an item to {name}")

    async def _return(self, name: str, item: Json) -> None:
        try:
            await self.send(name, item)
        except RoomError as error:
            logger.error("an item of the queue %s is lost: %s", name, error)


def _raised_to_receiver(name: str, error: BaseException) -> None:
    logger.debug("%s ended: %s", name, error)
