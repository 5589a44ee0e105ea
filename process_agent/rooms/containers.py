"""The containers of a hosted room: what they printed."""

from __future__ import annotations

from collections import deque
from contextlib import aclosing
from typing import Any

from process_agent.rooms.requests import Room


class RoomContainers:
    """Logs of containers."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def log(self, container_id: str, limit: int) -> tuple[str, int]:
        """What a container printed so far, its last `limit` characters, and how many it printed in all.

        Raises `RoomRequestError`.
        """
        pieces: deque[str] = deque()
        kept = printed = 0
        with self._room.request("read the log of a container"):
            stream: Any = self._room.client.containers.logs(container_id=container_id, follow=False)
            async with aclosing(stream.logs()) as texts:
                async for text in texts:
                    pieces.append(text)
                    kept, printed = kept + len(text), printed + len(text)
                    while pieces and kept - len(pieces[0]) >= limit:
                        kept -= len(pieces.popleft())
            await stream
        return "".join(pieces)[-limit:], printed
