"""Queues, logs and the empty toolkits, with published clients."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.raw_client import raw_client
from tests.fakes.room import local_room


async def test_messages_wait_in_order_and_survive_a_restart(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room:
        async with room.client("alice") as alice:
            await alice.queues.open(name="work")
            await alice.queues.open(name="work")
            for n in range(3):
                await alice.queues.send(name="work", message={"n": n, "text": "ö"})
            assert [(queue.name, queue.size) for queue in await alice.queues.list()] == [("work", 3)]
        await room.restart()
        async with room.client("bob") as bob:
            got = [await bob.queues.receive(name="work", wait=False) for _ in range(4)]
            assert got == [*({"n": n, "text": "ö"} for n in range(3)), None]


async def test_a_receiver_waits_for_a_message(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, room.client("alice") as alice, room.client("bob") as bob:
        async with asyncio.TaskGroup() as group:
            first = group.create_task(bob.queues.receive(name="work"))
            await bob.queues.list()
            second = group.create_task(bob.queues.receive(name="work"))
            await bob.queues.list()
            await alice.queues.send(name="work", message={"n": 1})
            await alice.queues.send(name="work", message={"n": 2})
        assert (first.result(), second.result()) == ({"n": 1}, {"n": 2})


async def test_a_receiver_that_left_takes_nothing(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, room.client("alice") as alice:
        async with raw_client(room.ws_url(), room.token("raw")) as raw:
            await raw.invoke("queues", "receive", {"type": "json", "json": {"name": "work"}})
            await raw.call("queues", "list", {})
        await alice.queues.list()
        await alice.queues.send(name="work", message={"n": 1})
        assert await alice.queues.receive(name="work") == {"n": 1}


async def test_drain_empties_and_close_removes(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, room.client("alice") as alice:
        await alice.queues.send(name="a", message={})
        await alice.queues.drain(name="a")
        assert [(queue.name, queue.size) for queue in await alice.queues.list()] == [("a", 0)]
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(_code(alice.queues.receive(name="a")))
            await alice.queues.list()
            await alice.queues.close(name="a")
        assert waiting.result() == 5001
        assert await alice.queues.list() == []
        for missing in (
            alice.queues.receive(name="a", create=False),
            alice.queues.send(name="a", message={}, create=False),
            alice.queues.close(name="a"),
            alice.queues.drain(name="a"),
        ):
            assert await _code(missing) == 5001


async def test_queues_of_rooms_are_apart(tmp_path: Path) -> None:
    async with (
        local_room(tmp_path) as room,
        room.client("a") as here,
        room.client("a", room="other") as there,
    ):
        await here.queues.send(name="q", message={"n": 1})
        assert await there.queues.receive(name="q", wait=False) is None


async def test_grants_name_the_queues(tmp_path: Path) -> None:
    api = {"queues": {"send": ["in-*"], "receive": ["out"], "list": False}}
    async with local_room(tmp_path) as room, room.client("alice", api=api) as alice:
        await alice.queues.send(name="in-1", message={})
        await alice.queues.receive(name="out", wait=False)
        for refused in (
            alice.queues.send(name="out", message={}),
            alice.queues.receive(name="in-1", wait=False),
            alice.queues.list(),
        ):
            assert await _code(refused) == 1001


async def test_bad_queue_requests_are_refused(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, raw_client(room.ws_url(), room.token("raw")) as raw:
        for value in ({}, {"name": ""}, {"name": 5}, {"name": "q" * 300}, {"name": "q", "message": 5}):
            assert (await raw.call("queues", "send", value))["code"] == 1002


async def test_log_lines_reach_who_watches(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, room.client("alice") as alice, room.client("bob") as bob:
        logs = bob.developer.logs()
        async with asyncio.TaskGroup() as group:
            first = group.create_task(anext(logs))
            await bob.queues.list()
            await alice.developer.log(type="custom", data={"n": 1})
        assert (first.result().type, first.result().data) == ("custom", {"n": 1})
        await alice.invoke(toolkit="developer", tool="info", input={"message": "hi", "extra": {"a": 1}})
        line = await anext(logs)
        assert (line.type, line.data) == ("info", {"message": "hi", "extra": {"a": 1}})
        await logs.aclose()


async def test_what_a_local_room_has_none_of_is_empty(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, room.client("alice") as alice:
        services = await alice.services.list()
        assert services.services == []
        assert await alice.containers.list() == []


async def _code(awaitable: Any) -> int:
    from meshagent.api import RoomException

    with pytest.raises(RoomException) as error:
        await awaitable
    assert error.value.code is not None
    return int(error.value.code)
