"""Our membership against the real local room server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pyarrow as pa
import pytest

from process_agent.core.content import Json
from process_agent.core.participants import Participant
from process_agent.core.room import IncomingStream, InOrder, RoomMessage, TableRef
from process_agent.errors import AuthError, RoomError, RoomRequestError, UsageError
from process_agent.io.tasks import Tasks
from process_agent.room_server.datasets.arrow import read_own
from process_agent.room_server.datasets.log_records import ROWS, decode
from process_agent.rooms.join import JoinedRoom, JoinTarget, join_room
from tests.fakes.room import ROOM, LocalRoom


@asynccontextmanager
async def joined(server: LocalRoom, name: str, role: str = "user") -> AsyncIterator[JoinedRoom]:
    async with join_room(JoinTarget(ROOM, server.url, server.token(name, role))) as room:
        yield room


async def meet(room: JoinedRoom, name: str) -> Participant:
    """The participant of this name, as soon as it is here."""
    seen = asyncio.Event()
    stop = room.messaging.on_joined(lambda participant: seen.set())
    async with asyncio.timeout(10):
        while True:
            for participant in room.messaging.participants():
                if participant.name == name:
                    stop()
                    return participant
            seen.clear()
            await seen.wait()


async def test_two_members_see_each_other_and_talk(server: LocalRoom) -> None:
    async with joined(server, "bot", "agent") as bot, joined(server, "ana") as ana:
        assert (bot.name, bot.messaging.me.role, bot.messaging.me.name) == (ROOM, "agent", "bot")
        await bot.messaging.set_attributes({"supports_agent_messages": True})
        there = await meet(ana, "bot")
        assert there.role == "agent"
        inbox: asyncio.Queue[RoomMessage] = asyncio.Queue()
        stop = bot.messaging.on_message(inbox.put_nowait)
        for number in range(20):
            await ana.messaging.send(there.id, "agent-message", {"n": number, "text": "ünï\n"})
        got = [await asyncio.wait_for(inbox.get(), 5) for _ in range(20)]
        assert [message.body["n"] for message in got] == list(range(20))
        assert got[0].type == "agent-message"
        assert got[0].sender is not None
        assert got[0].sender.name == "ana"
        stop()
        stop()


async def test_one_who_leaves_is_told_of_and_cannot_be_reached(server: LocalRoom) -> None:
    async with joined(server, "bot") as bot:
        left = asyncio.Event()
        bot.messaging.on_left(lambda participant: left.set())
        async with joined(server, "ana"):
            ana = await meet(bot, "ana")
            assert bot.messaging.participant(ana.id) == ana
        await asyncio.wait_for(left.wait(), 5)
        with pytest.raises(RoomRequestError) as caught:
            await bot.messaging.send(ana.id, "agent-message", {})
        assert caught.value.code == 1003


type Serve = Callable[[IncomingStream], Coroutine[Any, Any, None]]


def answer(room: JoinedRoom, group: asyncio.TaskGroup, serve: Serve) -> None:
    """Serve each stream that is opened to this member."""

    def opened(stream: IncomingStream) -> None:
        group.create_task(serve(stream))

    room.messaging.on_stream(opened)


async def echo(stream: IncomingStream) -> None:
    await stream.accept()
    async for kind, body in stream.messages():
        await stream.send(kind, {**body, "back": True})


async def test_streams_in_both_directions(server: LocalRoom) -> None:
    async with (
        joined(server, "bot", "agent") as bot,
        joined(server, "ana") as ana,
        asyncio.TaskGroup() as group,
    ):
        opened: list[tuple[str, Any, str | None]] = []

        def serve(stream: IncomingStream) -> None:
            opened.append((stream.type, stream.body, stream.sender.name if stream.sender else None))
            group.create_task(echo(stream))

        bot.messaging.on_stream(serve)
        await meet(bot, "ana")
        there = await meet(ana, "bot")
        first: dict[str, Json] = {"thread_id": "t"}
        stream = await ana.messaging.open_stream(there.id, "meshagent.chat.thread.subscribe", first)
        assert opened == [("meshagent.chat.thread.subscribe", first, "ana")]
        for number in range(5):
            await stream.send("agent-message", {"n": number})
        messages = stream.messages()
        for number in range(5):
            assert await anext(messages) == ("agent-message", {"n": number, "back": True})
        await stream.close()
        await stream.close()
        with pytest.raises(RoomError):
            await stream.send("agent-message", {})


async def refuse(stream: IncomingStream) -> None:
    await stream.reject("not that kind")


async def test_a_rejected_stream_says_why(server: LocalRoom) -> None:
    async with (
        joined(server, "bot", "agent") as bot,
        joined(server, "ana") as ana,
        asyncio.TaskGroup() as group,
    ):
        answer(bot, group, refuse)
        there = await meet(ana, "bot")
        with pytest.raises(RoomRequestError, match="not that kind"):
            await ana.messaging.open_stream(there.id, "x", {})


async def test_the_agent_ends_a_stream_and_the_client_hears_of_it(server: LocalRoom) -> None:
    async with (
        joined(server, "bot", "agent") as bot,
        joined(server, "ana") as ana,
        asyncio.TaskGroup() as group,
    ):

        async def brief(stream: IncomingStream) -> None:
            await stream.accept()
            await stream.send("agent-message", {"last": True})
            await stream.close()

        answer(bot, group, brief)
        there = await meet(ana, "bot")
        stream = await ana.messaging.open_stream(there.id, "x", {})
        assert [body async for _, body in stream.messages()] == [{"last": True}]


async def test_a_client_that_leaves_ends_its_streams(server: LocalRoom) -> None:
    async with joined(server, "bot", "agent") as bot:
        over = asyncio.Event()

        async def listen(stream: IncomingStream) -> None:
            await stream.accept()
            async for _ in stream.messages():
                pass
            over.set()

        async with asyncio.TaskGroup() as group:
            answer(bot, group, listen)
            async with joined(server, "ana") as ana:
                there = await meet(ana, "bot")
                await ana.messaging.open_stream(there.id, "x", {})
            await asyncio.wait_for(over.wait(), 5)


async def test_a_restarted_server_is_joined_again_and_streams_end(server: LocalRoom) -> None:
    async with (
        joined(server, "bot", "agent") as bot,
        joined(server, "ana") as ana,
        asyncio.TaskGroup() as group,
    ):
        answer(bot, group, echo)
        there = await meet(ana, "bot")
        stream = await ana.messaging.open_stream(there.id, "x", {})
        ending = group.create_task(anext(stream.messages(), None))
        await server.restart()
        assert await asyncio.wait_for(ending, 10) is None
        again = await meet(ana, "bot")
        assert again.id != there.id
        inbox: asyncio.Queue[RoomMessage] = asyncio.Queue()
        bot.messaging.on_message(inbox.put_nowait)
        await meet(bot, "ana")
        await ana.messaging.send(again.id, "agent-message", {"still": "here"})
        assert (await asyncio.wait_for(inbox.get(), 5)).body == {"still": "here"}
        fresh = await ana.messaging.open_stream(again.id, "x", {})
        await fresh.send("agent-message", {"n": 1})
        assert await anext(fresh.messages()) == ("agent-message", {"n": 1, "back": True})
        await fresh.close()


@pytest.mark.parametrize("kind", ["foreign", "expired", "other room"])
async def test_refused_tokens(server: LocalRoom, kind: str) -> None:
    token = {
        "foreign": "eyJhbGciOiJIUzI1NiJ9.eyJuYW1lIjoieCIsImdyYW50cyI6W119.AAAA",
        "expired": server.token("bot", seconds=-10),
        "other room": server.token("bot", room="other"),
    }[kind]
    with pytest.raises((AuthError, UsageError)) as caught:
        async with join_room(JoinTarget(ROOM, server.url, token), join_seconds=5):
            pass
    assert caught.value.exit_code == 3
    assert token not in str(caught.value)
    if kind == "expired":
        assert "expired" in str(caught.value)
    if kind == "other room":
        assert "'other'" in str(caught.value)


async def test_rows_inserted_in_one_call_are_checked_like_any_others(server: LocalRoom) -> None:
    columns: list[pa.Field[Any]] = [pa.field("id", pa.string(), nullable=False), pa.field("n", pa.int64())]
    schema = pa.schema(columns)
    table = TableRef("t", ("a",))
    async with joined(server, "bot", "agent") as bot:
        await bot.datasets.create(table, schema, "create")
        await bot.datasets.insert(table, pa.table({"n": pa.array([1], pa.int32()), "id": ["x"]}))
        await bot.datasets.insert(table, pa.table({"id": [str(n) for n in range(30_000)]}))  # many packets
        for wrong in (pa.table({"nope": [1]}), pa.table({"n": [1]}), pa.table({"id": [["x"]]})):
            with pytest.raises(RoomRequestError):
                await bot.datasets.insert(table, wrong)
        with pytest.raises(RoomRequestError) as refused:
            await bot.datasets.insert(TableRef("none"), pa.table({"n": [1]}))
        assert refused.value.code == 1003
        found = [batch async for batch in bot.datasets.search(table, limit=2)]
        assert [row for batch in found for row in pa.table(batch).to_pylist()] == [
            {"id": "x", "n": 1},
            {"id": "0", "n": None},
        ]
        assert await bot.datasets.count(table) == 30_001


def rows_in_the_log(server: LocalRoom, table: str) -> int:
    """Rows of a table that outlive the server, should it be killed now."""
    files = (server.paths.rooms / ROOM / "datasets" / ".log").glob("*.rows")
    records = [record for file in sorted(files) for _, record in decode(file.read_bytes())]
    return sum(read_own(x.payload).num_rows for x in records if x.kind == ROWS and x.key.name == table)


async def test_rows_that_were_sent_before_a_message_are_stored_whatever_becomes_of_the_sender(
    server: LocalRoom,
) -> None:
    table = TableRef("rows", ("agents", "bot"))
    schema = pa.schema([pa.field("n", pa.int64())])
    async with joined(server, "ana") as ana:
        async with joined(server, "bot", "agent") as bot:
            await bot.datasets.create(table, schema, "create")
            there = await meet(bot, "ana")
            told: asyncio.Queue[RoomMessage] = asyncio.Queue()
            ana.messaging.on_message(told.put_nowait)
            messaging: Any = bot.messaging
            for way in (bot.datasets, messaging):
                assert isinstance(way, InOrder)
                assert way.in_order
            for number in range(20):
                rows = pa.table({"n": [number]}, schema=schema)
                tasks = Tasks("test")
                tasks.begin(bot.datasets.insert(table, rows), "insert")
                await bot.messaging.send(there.id, "accepted", {"n": number})
                if number == 19:  # as `kill -9` does: nothing is said, nothing is waited for
                    assert (await asyncio.wait_for(told.get(), 5)).body["n"] == number
                    messaging._room.connection._current._cut()
                    await tasks.close()
                else:
                    await asyncio.wait_for(told.get(), 5)
                    assert number == 0 or rows_in_the_log(server, "rows") == number + 1
                    await tasks.wait()
        async with asyncio.timeout(10):
            while await ana.datasets.count(table) < 20:
                pass
