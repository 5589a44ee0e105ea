"""Messaging streams between published clients through the local room."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.room import local_room, participant


def stream_requests(client: Any) -> asyncio.Queue[Any]:
    queue: asyncio.Queue[Any] = asyncio.Queue()
    client.messaging.on("stream_requested", lambda request: queue.put_nowait(request))
    return queue


async def open_stream(alice: Any, bob: Any) -> tuple[Any, Any]:
    """A stream from alice to bob: her end and his."""
    await alice.messaging.enable()
    await bob.messaging.enable()
    requests = stream_requests(bob)
    to = await participant(alice, "bob")
    async with asyncio.TaskGroup() as group:
        opening = group.create_task(alice.messaging.stream(to=to, type="subscribe", message={"n": 0}))
        request = await requests.get()
        assert (request.type, request.message) == ("subscribe", {"n": 0})
        assert request.from_participant_id == alice.local_participant.id
        theirs = await request.accept()
    return opening.result(), theirs


async def test_both_ends_send_in_order(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, room.client("alice") as alice, room.client("bob") as bob:
        hers, his = await open_stream(alice, bob)
        for n in range(50):
            his.send_message_nowait(type="delta", message={"n": n, "text": "x" * n * 100})
            hers.send_message_nowait(type="ask", message={"n": n}, attachment=b"a" * n)
        assert [(await hers.receive()).message["n"] for _ in range(50)] == list(range(50))
        assert [len((await his.receive()).attachment or b"") for _ in range(50)] == list(range(50))
        await hers.close()
        assert type(await his.receive()).__name__ == "MessagingStreamClientDisconnected"


async def test_the_one_who_accepted_closes(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, room.client("alice") as alice, room.client("bob") as bob:
        hers, his = await open_stream(alice, bob)
        await his.close()
        assert type(await hers.receive()).__name__ == "MessagingStreamClientDisconnected"
        assert await hers.receive() is None


async def test_the_opener_disconnects(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, room.client("bob") as bob:
        async with room.client("alice") as alice:
            _, his = await open_stream(alice, bob)
        assert type(await his.receive()).__name__ == "MessagingStreamClientDisconnected"


async def test_the_one_who_accepted_disconnects(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, room.client("alice") as alice:
        async with room.client("bob") as bob:
            hers, _ = await open_stream(alice, bob)
        assert type(await hers.receive()).__name__ == "MessagingStreamClientDisconnected"
        assert await hers.receive() is None


async def test_a_rejected_stream_is_an_error_for_its_opener(tmp_path: Path) -> None:
    from meshagent.api import RoomException

    async with local_room(tmp_path) as room, room.client("alice") as alice, room.client("bob") as bob:
        await alice.messaging.enable()
        await bob.messaging.enable()
        requests = stream_requests(bob)
        to = await participant(alice, "bob")
        async with asyncio.TaskGroup() as group:
            opening = group.create_task(_fails(alice.messaging.stream(to=to, type="s", message={})))
            await (await requests.get()).reject(message="busy")
        assert isinstance(opening.result(), RoomException)
        assert "busy" in str(opening.result())


async def test_one_who_leaves_before_accepting_fails_the_opener(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, room.client("alice") as alice:
        async with asyncio.TaskGroup() as group, room.client("bob") as bob:
            await alice.messaging.enable()
            await bob.messaging.enable()
            requests = stream_requests(bob)
            to = await participant(alice, "bob")
            opening = group.create_task(_fails(alice.messaging.stream(to=to, type="s", message={})))
            await requests.get()
        assert opening.result().code == 1003


async def test_an_unknown_recipient_is_not_found(tmp_path: Path) -> None:
    from meshagent.api import RoomException

    async with local_room(tmp_path) as room, room.client("alice") as alice:
        await alice.messaging.enable()
        with pytest.raises(RoomException) as error:
            await alice.messaging.stream(
                to=alice.local_participant.__class__(id="nobody", attributes={}, room=alice),
                type="s",
                message={},
            )
        assert error.value.code == 1003


async def test_one_participant_streams_to_itself(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, room.client("alice") as alice:
        await alice.messaging.enable()
        requests = stream_requests(alice)
        async with asyncio.TaskGroup() as group:
            opening = group.create_task(
                alice.messaging.stream(to=alice.local_participant, type="s", message={})
            )
            there = await (await requests.get()).accept()
        here = opening.result()
        here.send_message_nowait(type="a", message={"n": 1})
        assert (await there.receive()).message == {"n": 1}


async def _fails(awaitable: Any) -> Any:
    from meshagent.api import RoomException

    with pytest.raises(RoomException) as error:
        await awaitable
    return error.value
