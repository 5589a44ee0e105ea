"""Published clients while something goes wrong: the room's server restarts, a client vanishes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from process_agent.core import events as e
from process_agent.core.content import LogLine
from process_agent.core.ids import ItemId
from tests.contract.agent_room import agent_in
from tests.contract.published.install import for_published
from tests.contract.published.program import Program, joined
from tests.contract.test_published_rooms import both_transports
from tests.fakes.backend import FakeBackend
from tests.fakes.room import LocalRoom

pytestmark = for_published


ITEM = ItemId("answer")


DELTAS = {
    e.TextDelta: "text_content.delta",
    e.ReasoningDelta: "reasoning_content.delta",
    e.ToolLog: "tool_call.log_delta",
}


@both_transports
async def test_the_room_server_restarts_while_a_turn_runs(
    published: Program, server: LocalRoom, tmp_path: Path, streams: bool
) -> None:
    """The client keeps what it shows and opens the thread again from its last completed turn on."""
    backend = FakeBackend()
    async with (
        agent_in(server, tmp_path, [backend]),
        joined(published, server, "ana", streams=streams) as ana,
    ):
        session = await ana.session()
        asked = session.doing("ask", text="first")
        (await backend.turn(0)).answer("one", "first answer")
        assert await asked == "one"
        source = await session.do("say", text="second")
        await ana.wait("turn.started", source_message_id=source)
        turn = await backend.turn(1)
        ref = e.ToolRef(ItemId("shell"), "codex", "shell", "codex")
        turn.say(e.TextStarted(ITEM), e.TextDelta(ITEM, "before, "), e.TextEnded(ITEM))
        turn.say(e.ToolStarted(ref, {}), e.ToolLog(ref, (LogLine("1\n"), LogLine("2\n"))))
        await ana.wait("tool_call.log_delta")
        await server.restart()
        away = ItemId("away")
        turn.say(e.TextStarted(away), e.TextDelta(away, "meanwhile, "), e.TextEnded(away))
        await ana.wait("connection.status", status="reconnected")
        await ana.wait("thread.loaded", since_turn=backend.turns[0].input.turn_id)
        after = ItemId("after")
        turn.say(e.ToolEnded(ref), e.TextStarted(after), e.TextDelta(after, "and after"), e.TextEnded(after))
        turn.end()
        await ana.wait("turn.ended", turn_id=turn.input.turn_id)
        shown = [("me", "first"), ("agent", "one"), ("me", "second")]
        assert await session.shown() == [
            *shown,
            *(("agent", x) for x in ("before, ", "meanwhile, ", "and after")),
        ]
        state = await session.state()
        logs = [m["lines"] for m in state["messages"] if m["type"].endswith("tool_call.log_delta")]
        assert [[line["text"] for line in lines] for lines in logs] == [["1\n", "2\n"]]
        assert state["status"] is None
        assert len({x["turn_id"] for x in ana.all("turn.ended")}) == 2
        await session.do("say", text="third")
        (await backend.turn(2)).answer("three", "third answer")
        await ana.wait("turn.ended", turn_id=(await backend.turn(2)).input.turn_id)
        assert (await session.shown())[-2:] == [("me", "third"), ("agent", "three")]


@both_transports
@pytest.mark.parametrize("over", [False, True], ids=["open", "over"])
async def test_the_room_server_restarts_in_the_middle_of_a_text(
    published: Program, server: LocalRoom, tmp_path: Path, streams: bool, over: bool
) -> None:
    """The text goes on when the client is back, or is over by then; so are the thoughts and the output."""
    backend = FakeBackend()
    async with (
        agent_in(server, tmp_path, [backend]),
        joined(published, server, "ana", streams=streams) as ana,
    ):
        session = await ana.start("hello")
        turn = await backend.turn(0)
        ref, thought = e.ToolRef(ItemId("shell"), "codex", "shell", "codex"), ItemId("thought")
        turn.say(e.ReasoningStarted(thought), e.ToolStarted(ref, {}), e.TextStarted(ITEM))
        for number in range(3):  # in pieces of their own
            for body in (
                e.ReasoningDelta(thought, f"hm {number}, "),
                e.ToolLog(ref, (LogLine(f"{number}\n"),)),
                e.TextDelta(ITEM, f"before {number}, "),
            ):
                turn.say(body)
                await ana.wait(DELTAS[type(body)])
        await server.restart()
        turn.say(e.TextDelta(ITEM, "meanwhile, "), e.ReasoningDelta(thought, "aha"))
        turn.say(e.ToolLog(ref, (LogLine("meanwhile\n"),)))
        ends = (
            e.TextDelta(ITEM, "and after"),
            e.TextEnded(ITEM),
            e.ReasoningEnded(thought),
            e.ToolEnded(ref),
        )
        if over:
            turn.say(*ends)
        await ana.wait("thread.loaded")
        if not over:
            turn.say(*ends)
        turn.end()
        await ana.wait("turn.ended")
        text = "before 0, before 1, before 2, meanwhile, and after"
        assert await session.shown() == [("me", "hello"), ("agent", text)]
        messages = (await session.state())["messages"]
        thoughts = [m["text"] for m in messages if m["type"].endswith("reasoning_content.delta")]
        assert thoughts == ["hm 0, hm 1, hm 2, aha"]
        logs = [m["lines"] for m in messages if m["type"].endswith("tool_call.log_delta")]
        assert [[line["text"] for line in lines] for lines in logs] == [["0\n", "1\n", "2\n", "meanwhile\n"]]


async def test_who_vanishes_stops_nothing(published: Program, server: LocalRoom, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with agent_in(server, tmp_path, [backend]) as agent, joined(published, server, "ben") as ben:
        async with server.client("watcher") as watcher:
            await watcher.messaging.enable()
            gone = asyncio.Event()
            watcher.messaging.on("participant_removed", lambda **_: gone.set())
            async with joined(published, server, "ana") as ana:
                session = await ana.start("long work")
                thread = await session.path()
                turn = await backend.turn(0)
                turn.say(e.TextStarted(ITEM), e.TextDelta(ITEM, "half "))
                await ana.wait("text_content.delta")
            await gone.wait()
        turn.say(e.TextDelta(ITEM, "and half"), e.TextEnded(ITEM))
        turn.end()
        seen = await ben.open(thread, load=True)
        await ben.wait("thread.loaded")
        if not ben.all("turn.ended"):
            await ben.wait("turn.ended")
        assert await seen.shown() == [("ana", "long work"), ("agent", "half and half")]
        assert agent is not None
