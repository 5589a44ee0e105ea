"""Published clients talk to each other through the local room."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.room import local_room, participant


def messages(client: Any) -> asyncio.Queue[Any]:
    """The messages a client gets, from now on."""
    queue: asyncio.Queue[Any] = asyncio.Queue()
    client.messaging.on("message", lambda message: queue.put_nowait(message))
    return queue


async def test_two_clients_exchange_messages(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, room.client("alice") as alice, room.client("bob") as bob:
        await alice.messaging.enable()
        await bob.messaging.enable()
        got = messages(bob)
        to = await participant(alice, "bob")
        sent = {"type": "greeting", "message": {"text": "hi ö"}, "attachment": b"\0raw"}
        await alice.messaging.send_message(to=to, **sent)
        message = await got.get()
        assert {name: getattr(message, name) for name in sent} == sent
        assert message.from_participant_id == alice.local_participant.id


async def test_messages_of_any_size_arrive_in_the_order_they_were_sent(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, room.client("alice") as alice, room.client("bob") as bob:
        await alice.messaging.enable()
        await bob.messaging.enable()
        got = messages(bob)
        to = await participant(alice, "bob")
        sizes = [0, 1, 1000, 1100, 70_000, 3_000_000, 5]
        for size in sizes:
            alice.messaging.send_message_nowait(to=to, type="size", message={"text": "x" * size})
        assert [len((await got.get()).message["text"]) for _ in sizes] == sizes


async def test_messages_that_are_not_strict_json_arrive(tmp_path: Path) -> None:
    """Python's encoder writes NaN and half surrogates; NaN has no form in JSON and becomes null."""
    async with local_room(tmp_path) as room, room.client("alice") as alice, room.client("bob") as bob:
        await alice.messaging.enable()
        await bob.messaging.enable()
        got = messages(bob)
        to = await participant(alice, "bob")
        odd = {"half": "\ud800", "number": float("nan"), "big": 10**40}
        await alice.messaging.send_message(to=to, type="odd", message=odd)
        assert (await got.get()).message == {"half": "\ud800", "number": None, "big": 10**40}


async def test_broadcast_reaches_all_others(tmp_path: Path) -> None:
    async with (
        local_room(tmp_path) as room,
        room.client("alice") as alice,
        room.client("bob") as bob,
        room.client("carol") as carol,
        room.client("alice", room="other") as elsewhere,
    ):
        clients = (alice, bob, carol, elsewhere)
        for client in clients:
            await client.messaging.enable()
        inboxes = [messages(client) for client in clients]
        await alice.messaging.broadcast_message(type="news", message={"n": 1})
        for inbox in inboxes[1:3]:
            assert (await inbox.get()).message == {"n": 1}
        assert inboxes[0].empty()
        assert inboxes[3].empty()


async def test_presence_and_attributes(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, room.client("alice") as alice:
        await alice.messaging.enable()
        async with room.client("bot", role="agent") as bot:
            await bot.local_participant.set_attribute("supports", True)
            await bot.messaging.enable()
            seen = await participant(alice, "bot")
            assert (seen.role, seen.get_attribute("supports")) == ("agent", True)
            updated = asyncio.Event()
            alice.messaging.on("participant_attributes_updated", lambda participant: updated.set())
            await bot.local_participant.set_attribute("supports", None)
            await updated.wait()
            assert seen.get_attribute("supports") is None
            gone = asyncio.Event()
            alice.messaging.on("participant_removed", lambda participant: gone.set())
        await gone.wait()
        assert alice.messaging.get_participants() == []


async def test_nobody_takes_anothers_name_or_presence(tmp_path: Path) -> None:
    from meshagent.api import RoomException

    async with local_room(tmp_path) as room, room.client("alice") as alice, room.client("mallory") as mallory:
        await alice.messaging.enable()
        await mallory.messaging.enable()
        to = await participant(mallory, "alice")
        await mallory.local_participant.set_attribute("name", "admin")
        for type_ in ("participant.disabled", "participant.attributes", "messaging.enabled", "dismiss"):
            with pytest.raises(RoomException) as refused:
                await mallory.messaging.send_message(to=to, type=type_, message={"id": "x"})
            assert refused.value.code == 1001
        assert [p.get_attribute("name") for p in alice.messaging.get_participants()] == ["mallory"]


async def test_a_recipient_that_left_is_offline(tmp_path: Path) -> None:
    from meshagent.api import RoomException

    async with local_room(tmp_path) as room, room.client("alice") as alice:
        await alice.messaging.enable()
        async with room.client("bob") as bob:
            await bob.messaging.enable()
            to = await participant(alice, "bob")
            removed = asyncio.Event()
            alice.messaging.on("participant_removed", lambda participant: removed.set())
            await bob.messaging.disable()
            await removed.wait()
        with pytest.raises(RoomException) as error:
            await alice.messaging.send_message(to=to, type="t", message={})
        assert error.value.code == 1003


@pytest.mark.parametrize(
    "message",
    [
        {"type": "t", "message_json": "{}"},
        {"to_participant_id": 7, "type": "t", "message_json": "{}"},
        {"to_participant_id": "SELF", "message_json": "{}"},
        {"to_participant_id": "SELF", "type": "t"},
        {"to_participant_id": "SELF", "type": "t", "message_json": "[]"},
        {"to_participant_id": "SELF", "type": "t", "message_json": "{"},
        {"to_participant_id": "SELF", "type": "t", "message_json": "{}", "attachment_base64": "é"},
        {"to_participant_id": "SELF", "type": "t", "message_json": "{}", "attachment_base64": 5},
    ],
)
async def test_malformed_messages_are_answered_with_an_error(tmp_path: Path, message: dict[str, Any]) -> None:
    from meshagent.api import RoomException

    async with local_room(tmp_path) as room, room.client("alice") as alice:
        await alice.messaging.enable()
        if message.get("to_participant_id") == "SELF":
            message = {**message, "to_participant_id": alice.local_participant.id}
        with pytest.raises(RoomException) as error:
            await alice.invoke(toolkit="messaging", tool="send", input=message)
        assert error.value.code in (1002, 1003)
