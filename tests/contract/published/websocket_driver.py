"""Like `driver`, with the published client for websocket channels in place of the one for rooms."""

from __future__ import annotations

import asyncio
from typing import Any

import driver  # type: ignore[import-not-found]  # beside this file, where it runs
from meshagent.agents.chat_client import WebSocketChatClient


class WebsocketClient(driver.Client):  # type: ignore[misc]
    """One connection; it comes back by itself."""

    def __init__(self, name: str, url: str, headers: dict[str, str], protocols: list[str]) -> None:
        self.name = name
        self.sessions: dict[str, Any] = {}
        self.waiting: dict[str, asyncio.Task[Any]] = {}
        self.chat = WebSocketChatClient(
            url=url, headers=headers, protocols=tuple(protocols), timeout=20, reconnect_initial_delay=0.05
        )

    async def enter(self) -> None:
        self.chat.add_event_listener(self._event)
        await self.chat.start()

    async def leave(self) -> None:
        await self.chat.stop()


class Commands(driver.Commands):  # type: ignore[misc]
    """See `driver.Commands`."""

    async def join(self, client: str, **made: Any) -> None:
        joined = self.clients[client] = WebsocketClient(client, **made)
        await joined.enter()


if __name__ == "__main__":
    driver.Commands = Commands
    asyncio.run(driver.main())
