"""`python -m benchmarks.bare_join URL TOKEN`: the least an agent can do in a room: join and stay."""

from __future__ import annotations

import asyncio
import sys

from meshagent.api.room_server_client import RoomClient
from meshagent.api.websocket_protocol import WebSocketClientProtocol


async def main(url: str, token: str) -> None:
    client = RoomClient(protocol_factory=lambda: WebSocketClientProtocol(url=url, token=token))
    client.messaging.enable()
    async with client:
        await client.wait_for_close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
