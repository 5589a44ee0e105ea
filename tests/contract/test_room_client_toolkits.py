"""Toolkits hosted by published clients, and the room's own list of toolkits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.hosted_toolkit import HostedToolkit
from tests.fakes.raw_client import raw_client
from tests.fakes.room import local_room

OPEN = {"type": "control", "method": "open"}
CLOSE = {"type": "control", "method": "close", "status_code": 1000}


async def test_a_hosted_tool_is_listed_and_called(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, room.client("bot", "agent") as bot, room.client("al") as alice:
        math = HostedToolkit(bot, "math")
        await math.register()
        listed = {toolkit.name: toolkit for toolkit in await alice.list_toolkits()}
        assert listed["math"].participant_id == bot.local_participant.id
        assert [tool.name for tool in listed["math"].tools] == ["add"]
        assert {"messaging", "queues", "developer", "services"} <= set(listed)
        async with asyncio.TaskGroup() as group:
            calling = group.create_task(alice.invoke(toolkit="math", tool="add", input={"a": 1, "b": 2}))
            message_id, call, _ = await math.calls.get()
            assert (call["name"], call["caller_id"]) == ("add", alice.local_participant.id)
            assert call["arguments"] == {"type": "json", "json": {"a": 1, "b": 2}}
            await math.respond(message_id, {"type": "json", "json": {"sum": 3}})
        assert calling.result().json == {"sum": 3}


async def test_binary_arguments_and_answers_pass_unchanged(tmp_path: Path) -> None:
    from meshagent.api.messaging import BinaryContent

    data = bytes(range(256)) * 2000
    async with local_room(tmp_path) as room, room.client("bot", "agent") as bot, room.client("al") as alice:
        toolkit = HostedToolkit(bot, "echo")
        await toolkit.register(tools=("back",))
        async with asyncio.TaskGroup() as group:
            content = BinaryContent(data=data, headers={"n": 1})
            calling = group.create_task(alice.invoke(toolkit="echo", tool="back", input=content))
            group.create_task(toolkit.answer_next(lambda call, tail: (call["arguments"], tail[::-1])))
        assert (calling.result().headers, calling.result().data) == ({"n": 1}, data[::-1])


async def test_a_streamed_call_passes_both_ways_and_ends(tmp_path: Path) -> None:
    from meshagent.api.messaging import JsonContent

    async def numbers() -> AsyncIterator[Any]:
        for n in range(3):
            yield JsonContent(json={"n": n})

    async with local_room(tmp_path) as room, room.client("bot", "agent") as bot, room.client("al") as alice:
        toolkit = HostedToolkit(bot, "double")
        await toolkit.register(tools=("run",))
        async with asyncio.TaskGroup() as group:
            calling = group.create_task(alice.invoke(toolkit="double", tool="run", input=numbers()))
            message_id, call, _ = await toolkit.calls.get()
            assert call["arguments"] == OPEN
            await toolkit.respond(message_id, OPEN)
        got: list[Any] = []
        async with asyncio.TaskGroup() as group:
            group.create_task(_collect(calling.result(), got))
            while (chunk := (await toolkit.chunks.get())[0])["chunk"]["type"] == "json":
                assert chunk["tool_call_id"] == call["tool_call_id"]
                value = {"n": chunk["chunk"]["json"]["n"] * 2}
                await toolkit.send_chunk(message_id, call["tool_call_id"], {"type": "json", "json": value})
            assert chunk["chunk"] == CLOSE
            await toolkit.send_chunk(message_id, call["tool_call_id"], CLOSE)
        assert got == [{"n": 0}, {"n": 2}, {"n": 4}]


async def test_events_of_a_plain_call_reach_its_caller(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, room.client("bot", "agent") as bot:
        toolkit = HostedToolkit(bot, "slow")
        await toolkit.register(tools=("work",))
        async with raw_client(room.ws_url(), room.token("raw")) as caller:
            arguments = {"type": "json", "json": {}}
            request = await caller.invoke("slow", "work", arguments, tool_call_id="mine")
            message_id, call, _ = await toolkit.calls.get()
            event = {"no": "content", "at": "all"}
            await toolkit.send_chunk(message_id, call["tool_call_id"], event)
            await toolkit.respond(message_id, {"type": "empty"})
            header, _, _ = await caller.receive_type("room.tool_call_response_chunk")
            assert header == {"tool_call_id": "mine", "chunk": event}
            _, _, answered = await caller.receive_type("__response__")
            assert answered == request


async def test_errors_of_a_host_reach_its_caller(tmp_path: Path) -> None:
    from meshagent.api import RoomException

    async with local_room(tmp_path) as room, room.client("bot", "agent") as bot, room.client("al") as alice:
        toolkit = HostedToolkit(bot, "math")
        await toolkit.register()
        async with asyncio.TaskGroup() as group:
            calling = group.create_task(_error(alice.invoke(toolkit="math", tool="add", input={})))
            group.create_task(
                toolkit.answer_next(lambda *_: ({"type": "error", "text": "no", "code": 1005}, b""))
            )
        assert isinstance(calling.result(), RoomException)
        assert (str(calling.result()), calling.result().code) == ("no", 1005)


async def test_open_calls_fail_when_the_host_leaves(tmp_path: Path) -> None:
    from meshagent.api.messaging import JsonContent

    async def input_() -> AsyncIterator[Any]:
        yield JsonContent(json={})
        await asyncio.Event().wait()

    async with local_room(tmp_path) as room, room.client("al") as alice, asyncio.TaskGroup() as group:
        async with room.client("bot", "agent") as bot:
            toolkit = HostedToolkit(bot, "math")
            await toolkit.register()
            plain = group.create_task(_error(alice.invoke(toolkit="math", tool="add", input={})))
            await toolkit.calls.get()
            streaming = group.create_task(alice.invoke(toolkit="math", tool="add", input=input_()))
            message_id, _, _ = await toolkit.calls.get()
            await toolkit.respond(message_id, OPEN)
            stream = await streaming
        assert (await plain).code == 1008
        chunks = [chunk async for chunk in stream]
        assert [chunk.to_json()["type"] for chunk in chunks] == ["error", "control"]
        assert "math" not in {toolkit.name for toolkit in await alice.list_toolkits()}


async def test_a_caller_that_leaves_closes_its_streams_at_the_host(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, room.client("bot", "agent") as bot:
        toolkit = HostedToolkit(bot, "math")
        await toolkit.register()
        async with raw_client(room.ws_url(), room.token("raw")) as caller:
            await caller.invoke("math", "add", OPEN, tool_call_id="t")
            message_id, _, _ = await toolkit.calls.get()
            await toolkit.respond(message_id, OPEN)
        assert (await toolkit.chunks.get())[0]["chunk"] == CLOSE


async def test_private_toolkits_are_for_those_who_know_the_host(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, room.client("bot", "agent") as bot, room.client("al") as alice:
        toolkit = HostedToolkit(alice, "browser")
        await toolkit.register(public=False)
        assert "browser" in {listed.name for listed in await alice.list_toolkits()}
        assert "browser" not in {listed.name for listed in await bot.list_toolkits()}
        host = alice.local_participant.id
        for who in ({"participant_id": host}, {"participant_name": "al"}):
            assert [listed.name for listed in await bot.list_toolkits(**who)] == ["browser"]
        assert await bot.list_toolkits(participant_id="client", timeout=0) == []
        assert (await _error(bot.invoke(toolkit="browser", tool="add", input={}))).code == 1002
        async with asyncio.TaskGroup() as group:
            calling = group.create_task(
                bot.invoke(toolkit="browser", tool="add", input={}, participant_id=host, on_behalf_of_id="x")
            )
            group.create_task(toolkit.answer_next(lambda call, _: ({"type": "json", "json": call}, b"")))
        assert calling.result().json["on_behalf_of_id"] == "x"
        refused = alice.invoke(
            toolkit="browser", tool="add", input={}, participant_id=host, on_behalf_of_id="x"
        )
        assert (await _error(refused)).code == 1001


async def test_a_listing_waits_for_a_toolkit_as_long_as_asked(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, room.client("bot", "agent") as bot, room.client("al") as alice:
        async with asyncio.TaskGroup() as group:
            listing = group.create_task(bot.list_toolkits(participant_name="al", timeout=30))
            await bot.queues.list()
            await HostedToolkit(alice, "browser").register(public=False)
        assert [listed.name for listed in listing.result()] == ["browser"]


async def test_a_toolkit_is_gone_after_unregister(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, room.client("bot", "agent") as bot, room.client("al") as alice:
        toolkit = HostedToolkit(bot, "math")
        await toolkit.register()
        assert (await _error(toolkit.register())).code == 1004
        other = HostedToolkit(alice, "other")
        other.registration = toolkit.registration
        assert (await _error(other.unregister())).code == 1003
        await toolkit.unregister()
        assert (await _error(alice.invoke(toolkit="math", tool="add", input={}))).code == 1002


async def test_hosting_needs_its_grant_and_calling_too(tmp_path: Path) -> None:
    hosts = {"agents": {"register_public_toolkit": False}}
    calls = {"agents": {"allowed_toolkits": ["ma*"]}}
    async with (
        local_room(tmp_path) as room,
        room.client("bot", "agent") as bot,
        room.client("limited", api=hosts) as limited,
        room.client("caller", api=calls) as caller,
    ):
        assert (await _error(HostedToolkit(limited, "mine").register())).code == 1001
        await HostedToolkit(limited, "own").register(public=False)
        await HostedToolkit(bot, "other").register()
        assert (await _error(caller.invoke(toolkit="other", tool="add", input={}))).code == 1001
        toolkit = HostedToolkit(bot, "math")
        await toolkit.register()
        async with asyncio.TaskGroup() as group:
            calling = group.create_task(caller.invoke(toolkit="math", tool="add", input={}))
            group.create_task(toolkit.answer_next(lambda *_: ({"type": "text", "text": "ok"}, b"")))
        assert calling.result().text == "ok"


async def test_nobody_hosts_messaging(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, room.client("mallory") as mallory:
        request = {"name": "messaging", "public": True, "tools": {}}
        assert (await _error(mallory.send_request("room.register_toolkit", request))).code == 1004


async def test_a_stranger_cannot_speak_in_anothers_call(tmp_path: Path) -> None:
    """The host's call id is the server's own, so naming the caller's leads nowhere."""
    async with local_room(tmp_path) as room, room.client("bot", "agent") as bot:
        toolkit = HostedToolkit(bot, "math")
        await toolkit.register()
        async with (
            raw_client(room.ws_url(), room.token("al")) as alice,
            raw_client(room.ws_url(), room.token("mallory")) as mallory,
        ):
            request = await alice.invoke("math", "add", OPEN, tool_call_id="known")
            message_id, call, _ = await toolkit.calls.get()
            assert call["tool_call_id"] != "known"
            await toolkit.respond(message_id, OPEN)
            chunk = {"tool_call_id": "known", "chunk": {"type": "json", "json": {"from": "mallory"}}}
            forged = {"tool_call_id": call["tool_call_id"], "chunk": chunk["chunk"]}
            for header in (chunk, forged):
                await mallory.post("room.tool_call_request_chunk", header)
                await mallory.post("room.tool_call_response_chunk", header)
            await mallory.post("room.tool_call_response", {"type": "empty"}, id_=message_id)
            await mallory.call("queues", "list", {})
            await alice.post("room.tool_call_request_chunk", {"tool_call_id": "known", "chunk": CLOSE})
            assert (await toolkit.chunks.get())[0]["chunk"] == CLOSE
            await toolkit.send_chunk(message_id, call["tool_call_id"], CLOSE)
            answers = [await alice.receive(), await alice.receive()]
            assert [(type_, id_ == request) for type_, _, _, id_ in answers] == [
                ("__response__", True),
                ("room.tool_call_response_chunk", False),
            ]
            assert answers[1][1]["chunk"] == CLOSE


async def _collect(stream: Any, into: list[Any]) -> None:
    into.extend([chunk.json async for chunk in stream if chunk.to_json()["type"] == "json"])


async def _error(awaitable: Any) -> Any:
    from meshagent.api import RoomException

    with pytest.raises(RoomException) as error:
        await awaitable
    return error.value
