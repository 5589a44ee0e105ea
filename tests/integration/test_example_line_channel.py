"""The example channel program, run for real: a child of a whole agent, and visitors on its port."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from process_agent.agent.assemble import Agent, AgentConfig, started
from process_agent.agent.channels import AgentRoom, ChannelOptions
from process_agent.channels.specs import ChatSpec, CommandSpec
from process_agent.core import events as e
from process_agent.core.backend import BackendConfig
from process_agent.core.content import ErrorInfo
from process_agent.core.events import EndReason
from process_agent.core.ids import ItemId
from tests.fakes.backend import FakeBackend
from tests.fakes.memory_messaging import MemoryMessaging
from tests.fakes.memory_store import MemoryThreadStore

EXAMPLE = Path(__file__).parents[2] / "examples" / "line_channel" / "line_channel.py"


class Listening(logging.Handler):
    """Finds the port in what the program prints, which goes to the agent's log."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.port: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def emit(self, record: logging.LogRecord) -> None:
        found = re.search(r"listening on 127\.0\.0\.1:(\d+)", record.getMessage())
        if found and not self.port.done():
            self.port.set_result(int(found[1]))


class Line:
    """A visitor."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    def say(self, text: str) -> None:
        self.writer.write(text.encode() + b"\n")

    async def hears(self) -> str:
        """Everything up to the next prompt."""
        return (await self._reader.readuntil(b"> ")).decode().removesuffix("> ")


class House:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.messaging = MemoryMessaging()
        self.backend = FakeBackend()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Callable[[], AbstractAsyncContextManager[Line]]]:
        listening = Listening()
        log = logging.getLogger("process_agent.channels.command.program")
        log.addHandler(listening)
        config = AgentConfig(
            "bot",
            BackendConfig("bot", self.folder, self.folder),
            backends=("codex",),
            channels=(ChatSpec(), CommandSpec((sys.executable, str(EXAMPLE), "0"))),
            channel_options=ChannelOptions(environment={"PATH": os.environ["PATH"]}, folder=self.folder),
        )
        room = AgentRoom(self.messaging, MemoryThreadStore())
        level = log.level
        log.setLevel(logging.INFO)
        try:
            async with started([self.backend]) as backends, Agent(config, room, backends):
                port = await listening.port

                @asynccontextmanager
                async def connect() -> AsyncIterator[Line]:
                    line = Line(*await asyncio.open_connection("127.0.0.1", port))
                    try:
                        assert await line.hears() == ""
                        yield line
                    finally:
                        line.writer.close()

                yield connect
        finally:
            log.setLevel(level)
            log.removeHandler(listening)


@pytest.fixture
async def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def test_two_visitors_talk_to_the_agent(house: House) -> None:
    async with house.running() as connect, connect() as ana, connect() as ben:
        ana.say("hello")
        turn = await house.backend.turn(0)
        assert turn.text == "hello"
        item = ItemId("i")
        turn.say(
            e.TextStarted(item), e.TextDelta(item, "good "), e.TextDelta(item, "morning"), e.TextEnded(item)
        )
        turn.end()
        assert await ana.hears() == "good morning\n"
        ben.say("and me?")
        other = await house.backend.turn(1)
        assert other.thread_id != turn.thread_id
        other.answer("you too")
        assert await ben.hears() == "you too\n"
        ana.say("more")
        again = await house.backend.turn(2)
        assert (again.thread_id, again.input.sender_name) == (turn.thread_id, turn.input.sender_name)
        again.say(e.TurnEnded(EndReason.FAILED, ErrorInfo("no more", "failed")))
        assert await ana.hears() == "[no more]\n"


async def test_a_person_in_the_room_approves_for_a_visitor(house: House) -> None:
    async with house.running() as connect, connect() as ana:
        boss = house.messaging.join("boss")
        boss.send("thread.watch")
        ana.say("do it")
        turn = await house.backend.turn(0)
        boss.send("thread.open", thread_id=turn.thread_id)
        ref = e.ToolRef(ItemId("t"), "codex", "shell")
        turn.say(e.ToolStarted(ref, {}), e.ApprovalRequested(ref, {}, None))
        asked = await boss.wait("tool_call.approval_requested")
        what = {name: asked[name] for name in ("thread_id", "turn_id", "item_id")}
        boss.send("tool_call.approve", **what)
        turn.say(e.ToolEnded(ref))
        turn.answer("done")
        said = await ana.hears()
        assert "has to approve" in said
        assert said.endswith("done\n")
        assert [decision.value for _, decision in turn.decisions] == ["accept"]
