"""Queues, stored files and hosted toolkits of our membership, in the real local room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from process_agent.core.content import Json
from process_agent.core.room_ports import HostedTool, HostedToolkit, ToolCaller, ToolHandler
from process_agent.errors import RoomRequestError, ToolFailedError
from process_agent.rooms.join import JoinedRoom, JoinTarget, join_room
from tests.fakes.room import ROOM, LocalRoom, participant


@asynccontextmanager
async def joined(server: LocalRoom, name: str = "bot", role: str = "agent") -> AsyncIterator[JoinedRoom]:
    async with join_room(JoinTarget(ROOM, server.url, server.token(name, role))) as room:
        yield room


async def back(room: JoinedRoom) -> asyncio.Event:
    """Set when the connection is taken up again."""
    online = asyncio.Event()
    room.on_connection_change(lambda up: online.set() if up else None)
    return online


# --- Queues ---------------------------------------------------------------------------------------


async def test_items_are_received_once_and_in_order(server: LocalRoom) -> None:
    async with joined(server) as bot, server.client("ana") as ana:
        await ana.queues.send(name="work", message={"prompt": "ä"})
        await bot.queues.send("work", "text")
        assert [await bot.queues.receive("work") for _ in range(2)] == [{"prompt": "ä"}, "text"]
        assert await ana.queues.receive(name="work", wait=False) is None


async def test_a_receive_waits_through_a_restart_of_the_room(server: LocalRoom) -> None:
    async with joined(server) as bot:
        online = await back(bot)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(bot.queues.receive("work"))
            await server.restart()
            await online.wait()
            await bot.queues.send("work", {"n": 1})
        assert waiting.result() == {"n": 1}


async def test_a_cancelled_receive_takes_nothing(server: LocalRoom) -> None:
    async with joined(server) as bot, server.client("ana") as ana:
        waiting = asyncio.ensure_future(bot.queues.receive("work"))
        await bot.queues.send("other", {})  # the receive is at the room by now
        waiting.cancel()
        await asyncio.wait([waiting])
        await ana.queues.send(name="work", message={"n": 1})
        assert await ana.queues.receive(name="work") == {"n": 1}


async def test_the_next_receive_takes_up_one_that_was_cancelled(server: LocalRoom) -> None:
    async with joined(server) as bot, server.client("ana") as ana:
        for _ in range(3):
            waiting = asyncio.ensure_future(bot.queues.receive("work"))
            await bot.queues.send("other", {})
            waiting.cancel()
            await asyncio.wait([waiting])
        taken = asyncio.ensure_future(bot.queues.receive("work"))
        await bot.queues.send("other", {})
        await ana.queues.send(name="work", message={"n": 1})
        assert await taken == {"n": 1}
        await ana.queues.send(name="work", message={"n": 2})
        assert await ana.queues.receive(name="work", wait=False) == {"n": 2}


async def test_a_receive_the_room_refuses_says_so(server: LocalRoom) -> None:
    async with joined(server) as bot, server.client("ana") as ana:
        waiting = asyncio.ensure_future(bot.queues.receive("work"))
        await bot.queues.send("other", {})
        await ana.queues.close(name="work")
        with pytest.raises(RoomRequestError, match="cannot receive from the queue work"):
            await waiting


# --- Files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"short", bytes(range(256)) * 1000])
async def test_a_file_is_written_and_read_whole(server: LocalRoom, data: bytes) -> None:
    async with joined(server) as bot, server.client("ana") as ana:
        await bot.files.write("notes/deep/a.bin", b"old", mime_type="text/plain")
        await bot.files.write("notes/deep/a.bin", data)
        assert await bot.files.read("notes/deep/a.bin", len(data)) == data
        assert (await ana.storage.download(path="notes/deep/a.bin")).data == data


async def test_a_file_that_is_missing_or_too_large_is_refused(server: LocalRoom) -> None:
    async with joined(server) as bot:
        await bot.files.write("large", bytes(200_001))
        with pytest.raises(RoomRequestError, match="more than 200000 bytes"):
            await bot.files.read("large", 200_000)
        for path in ("nothing", "nothing/here", "../secret"):
            with pytest.raises(RoomRequestError):
                await bot.files.read(path, 1000)
        assert len(await bot.files.read("large", 200_001)) == 200_001


# --- Toolkits -------------------------------------------------------------------------------------


def toolkit(handler: ToolHandler, name: str = "greeter") -> HostedToolkit:
    schema: dict[str, Json] = {
        "type": "object",
        "properties": {"who": {"type": "string"}},
        "required": ["who"],
    }
    tool = HostedTool("greet", "Greet", "greets somebody", schema, handler)
    return HostedToolkit(name, name.title(), "for tests", (tool,))


async def greet(caller: ToolCaller, arguments: Mapping[str, Json]) -> str:
    if arguments.get("who") == "nobody":
        raise ToolFailedError("there is nobody", fix="Name somebody.")
    name = "somebody" if caller.participant is None else caller.participant.name
    return f"{name} greets {arguments.get('who')}"


async def test_a_hosted_tool_is_listed_and_called(server: LocalRoom) -> None:
    async with joined(server) as bot, server.client("ana") as ana:
        await bot.toolkits.host(toolkit(greet))
        listed = {found.name: found for found in await ana.agents.list_toolkits()}["greeter"]
        tool = listed.get_tool("greet")
        assert (listed.title, tool.title, tool.description) == ("Greeter", "Greet", "greets somebody")
        assert tool.input_spec.schema["required"] == ["who"]
        answer = await ana.agents.invoke_tool(toolkit="greeter", tool="greet", input={"who": "Bo"})
        assert answer.text == "somebody greets Bo"
        await ana.messaging.enable()
        await participant(ana, "bot")
        answer = await ana.agents.invoke_tool(toolkit="greeter", tool="greet", input={"who": "Bo"})
        assert answer.text == "ana greets Bo"


async def test_a_tool_that_fails_says_why(server: LocalRoom) -> None:
    from meshagent.api import RoomException

    async def broken(caller: ToolCaller, arguments: Mapping[str, Json]) -> str:
        raise ZeroDivisionError("inside")

    async with joined(server) as bot, server.client("ana") as ana:
        await bot.toolkits.host(toolkit(greet))
        await bot.toolkits.host(toolkit(broken, "broken"))
        for name, tool, value, text in (
            ("greeter", "greet", {"who": "nobody"}, "there is nobody Name somebody."),
            ("greeter", "other", {}, "greeter has no tool 'other'"),
            ("greeter", "greet", "text", "greet takes a JSON object"),
            ("broken", "greet", {}, "greet failed"),
        ):
            with pytest.raises(RoomException) as error:
                await ana.agents.invoke_tool(toolkit=name, tool=tool, input=value)
            assert str(error.value) == text


async def test_a_tool_is_registered_again_after_a_restart(server: LocalRoom) -> None:
    async with joined(server) as bot:
        cancelled = asyncio.Event()
        started = asyncio.Event()

        async def slow(caller: ToolCaller, arguments: Mapping[str, Json]) -> str:
            if arguments.get("who") != "slow":
                return "quick"
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            return ""

        await bot.toolkits.host(toolkit(slow))
        online = await back(bot)
        async with server.client("ana") as ana:
            calling = asyncio.ensure_future(
                ana.agents.invoke_tool(toolkit="greeter", tool="greet", input={"who": "slow"})
            )
            await started.wait()
            await server.restart()
            await cancelled.wait()
            await asyncio.wait([calling])
            assert calling.exception() is not None
            await online.wait()
            await ana.wait_until_connected()
            while "greeter" not in {found.name for found in await ana.agents.list_toolkits()}:
                await bot.queues.send("other", {})
            answer = await ana.agents.invoke_tool(toolkit="greeter", tool="greet", input={"who": "x"})
            assert answer.text == "quick"


async def test_a_call_ends_with_its_caller(server: LocalRoom) -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def slow(caller: ToolCaller, arguments: Mapping[str, Json]) -> str:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return ""

    async with joined(server) as bot:
        await bot.toolkits.host(toolkit(slow))
        async with server.client("ana") as ana:
            await ana.messaging.enable()
            await participant(ana, "bot")
            call = ana.agents.invoke_tool(toolkit="greeter", tool="greet", input={})
            calling = asyncio.ensure_future(call)
            await started.wait()
        await cancelled.wait()
        await asyncio.wait([calling])
        calling.exception()


async def test_a_toolkit_that_is_withdrawn_ends_its_calls(server: LocalRoom) -> None:
    from meshagent.api import RoomException

    started = asyncio.Event()

    async def slow(caller: ToolCaller, arguments: Mapping[str, Json]) -> str:
        started.set()
        await asyncio.Event().wait()
        return ""

    async with joined(server) as bot, server.client("ana") as ana:
        withdraw = await bot.toolkits.host(toolkit(slow))
        calling = asyncio.ensure_future(ana.agents.invoke_tool(toolkit="greeter", tool="greet", input={}))
        await started.wait()
        await withdraw()
        await withdraw()
        with pytest.raises(RoomException, match="was withdrawn"):
            await calling
        assert "greeter" not in {found.name for found in await ana.agents.list_toolkits()}
        await bot.toolkits.host(toolkit(greet))
        answer = await ana.agents.invoke_tool(toolkit="greeter", tool="greet", input={"who": "x"})
        assert answer.text == "somebody greets x"


async def test_a_toolkit_name_in_use_by_us_is_refused(server: LocalRoom) -> None:
    async with joined(server) as bot, server.client("ana") as ana:
        await bot.toolkits.host(toolkit(greet))
        with pytest.raises(RoomRequestError):
            await bot.toolkits.host(toolkit(greet))
        answer = await ana.agents.invoke_tool(toolkit="greeter", tool="greet", input={"who": "x"})
        assert answer.text == "somebody greets x"
