"""The test's end of `channel_program`: an agent with a command channel, and the program's part to play."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from process_agent.agent.assemble import Agent, AgentConfig, started
from process_agent.agent.channels import AgentRoom, ChannelOptions
from process_agent.channels.specs import ChatSpec, CommandSpec
from process_agent.core.backend import BackendConfig
from process_agent.wire.msgpack_frames import Values
from tests.fakes import channel_program
from tests.fakes.backend import FakeBackend
from tests.fakes.memory_messaging import MemoryMessaging
from tests.fakes.memory_store import MemoryThreadStore

PREFIX = "meshagent.agent."
ARGV = (sys.executable, "-I", "-S", channel_program.__file__)


class PlayedProgram:
    """One run of the program. `hello` is what the child was given; `got` the envelopes it was sent."""

    _ids = count(1)

    def __init__(
        self, hello: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.hello = hello
        self.got: list[dict[str, Any]] = []
        self._reader = reader
        self._writer = writer
        self._values = Values()
        self._waiting: list[dict[str, Any]] = []

    @property
    def environment(self) -> dict[str, str]:
        environment: dict[str, str] = self.hello["environment"]
        return environment

    def raw(self, data: bytes) -> None:
        self._writer.write(data)

    def value(self, value: Any) -> None:
        self.raw(msgspec.msgpack.encode(value))

    def prove(self) -> None:
        self.value({"capability": self.environment["MESHAGENT_CHANNEL_CAPABILITY"]})

    def send(self, kind: str, sender: str | Mapping[str, Any] | None = None, **fields: Any) -> str:
        """Send an agent message, of a sender by its id; returns the message's id."""
        message_id = f"c{next(self._ids)}"
        value: dict[str, Any] = {"data": {"type": PREFIX + kind, "message_id": message_id, **fields}}
        if sender is not None:
            named = {"id": sender, "attributes": {"name": sender}}
            value["sender"] = named if isinstance(sender, str) else sender
        self.value(value)
        return message_id

    def say(self, kind: str, text: str, sender: str | Mapping[str, Any] | None = None, **fields: Any) -> str:
        return self.send(kind, sender, content=[{"type": "text", "text": text}], **fields)

    async def next(self) -> dict[str, Any]:
        """The next envelope. Raises EOFError at the end."""
        while not self._waiting:
            data = await self._reader.read(65_536)
            if not data:
                raise EOFError
            self._waiting += [msgspec.msgpack.decode(value) for value in self._values.feed(data)]
        envelope = self._waiting.pop(0)
        self.got.append(envelope)
        return envelope

    async def wait(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The next envelope of a kind, with these values in its message."""
        while True:
            envelope = await self.next()
            data = envelope["data"]
            if data["type"] == PREFIX + kind and all(data.get(name) == v for name, v in fields.items()):
                return envelope

    async def asked(self) -> None:
        """Wait until everything sent so far was taken in."""
        source = self.send("models.request", "the test")
        await self.wait("models.response", source_message_id=source)

    async def ended(self) -> None:
        """Read to the end."""
        try:
            while True:
                await self.next()
        except EOFError:
            return

    def hang_up(self) -> None:
        self._writer.close()


class ProgramRoom:
    """The room of such an agent. `programs` are the runs that said hello, in order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.messaging = MemoryMessaging()
        self.store = MemoryThreadStore()
        self.backend = FakeBackend()
        self.programs: asyncio.Queue[PlayedProgram] = asyncio.Queue()

    @asynccontextmanager
    async def agent(
        self,
        *arguments: str,
        mode: str = "",
        environment: Mapping[str, str] | None = None,
        play: Callable[[PlayedProgram], None] = PlayedProgram.prove,
        users: bool = False,
    ) -> AsyncIterator[Agent]:
        """Run the agent. `play` is done in each run, as soon as the program said hello."""
        writers: list[asyncio.StreamWriter] = []

        async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            program = PlayedProgram(json.loads(await reader.readline()), reader, writer)
            play(program)
            self.programs.put_nowait(program)

        server = await asyncio.start_server(welcome, "127.0.0.1", 0)
        given = {"PATH": os.environ["PATH"], "TEST_PORT": str(server.sockets[0].getsockname()[1])}
        config = AgentConfig(
            "bot",
            BackendConfig("bot", self.folder, self.folder),
            backends=("codex",),
            channels=(ChatSpec(), CommandSpec((*ARGV, *arguments))),
            channel_options=ChannelOptions(
                environment={**given, "TEST_MODE": mode, **(environment or {})},
                folder=self.folder,
                program_users=users,
            ),
        )
        try:
            async with (
                started([self.backend]) as backends,
                Agent(config, AgentRoom(self.messaging, self.store), backends) as agent,
            ):
                yield agent
        finally:
            server.close()
            for writer in writers:
                writer.close()
