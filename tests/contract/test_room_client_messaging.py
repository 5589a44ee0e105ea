"""Published clients talk to each other through the local room."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.fakes.room import local_room, participant


async def test_two_clients_exchange_messages(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, room.client("alice") as alice, room.client("bob") as bob:
        await alice.messaging.enable()
        await bob.messaging.enable()
        got: asyncio.Queue[Any] = asyncio.Queue()
        bob.messaging.on("message", lambda message: got.put_nowait(message))
        to = await participant(alice, "bob")
        await alice.messaging.send_message(
            to=to, type="greeting", message={"text": "hi"}, attachment=b"\0raw"
        )
        message = await got.get()
        assert {name: getattr(message, name) for name in sent} == sent
        assert message.from_participant_id == alice.local_participant.id
