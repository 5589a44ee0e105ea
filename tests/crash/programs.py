"""The real programs of one room, to be killed: room server, agent, Codex, and one person who talks to it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from process_agent.core.room import RoomMessage
from process_agent.rooms.join import JoinedRoom, JoinTarget, join_room
from process_agent.scripted.server import ScriptedServer
from process_agent.wire.agent_messages import PREFIX
from tests.fakes.forked import Forked
from tests.fakes.forking import forks
from tests.fakes.program import PATIENCE, PROCESS, Loaded, Program, alive, children_of, read_until

AGENT, ROOM = "bot", "demo"
READY = "Ctrl-C stops the agent"


@dataclass
class Told:
    """Something the agent told, and when it came."""

    at: float
    kind: str
    body: dict[str, Any]


class Person:
    """Somebody in the room who sends messages to the agent and keeps what comes back."""

    def __init__(self, room: JoinedRoom) -> None:
        self.room = room
        self.told: list[Told] = []
        self._news = asyncio.Event()
        room.messaging.on_message(self._take)
        room.messaging.on_joined(lambda _: self._news.set())
        room.messaging.on_connection(lambda _: self._news.set())

    def _take(self, message: RoomMessage) -> None:
        body = dict(message.body)
        self.told.append(Told(time.monotonic(), str(body.get("type")).removeprefix(PREFIX), body))
        self._news.set()

    async def until[T](self, find: Callable[[], T | None]) -> T:
        """What is found once it is there."""
        async with asyncio.timeout(PATIENCE):
            while (found := find()) is None:
                self._news.clear()
                await self._news.wait()
            return found

    async def say(self, kind: str, **fields: Any) -> str:
        """Send a message as soon as the agent is there; returns its id."""

        def there() -> Any:
            here = (p for p in self.room.messaging.participants() if p.name == AGENT)
            return next((p for p in here if p.attributes.get("supports_agent_messages")), None)

        agent, message_id = await self.until(there), str(uuid.uuid4())
        body = {"type": PREFIX + kind, "message_id": message_id, **fields}
        await self.room.messaging.send(agent.id, "agent-message", body)
        return message_id

    def answer_to(self, source: str, *kinds: str) -> Told | None:
        """What was told about a message."""
        found = (x for x in self.told if x.body.get("source_message_id") == source and x.kind in kinds)
        return next(found, None)


@dataclass
class Programs:
    """What runs. `killed` counts what was."""

    program: Program
    model: ScriptedServer
    port: int
    leaving: AsyncExitStack
    agent: Forked | None = None
    killed: dict[str, int] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return Path(self.program.environment["PROCESS_DATA_DIR"])

    def start_room(self) -> None:
        done = self.program.run(f"room start --port {self.port}")
        assert done.returncode == 0, done.stderr

    def start_agent(self) -> None:
        command = f"join --room {ROOM} --agent-name {AGENT} --local --port {self.port} --channel chat"
        words = [PROCESS, *command.split(), "--backend", "codex", "--approvals", "auto"]
        log = self.program.home / "agent.log"
        self.agent = forks().start(words, self.program.environment, self.program.work, log)
        read_until(self.agent, READY)

    def kill(self, what: str) -> None:
        """SIGKILL, by its process id."""
        pid = {"agent": self._agent_pid, "room": self._room_pid, "codex": self._codex_pid}[what]()
        if pid is None:
            return
        os.kill(pid, signal.SIGKILL)
        self.killed[what] = self.killed.get(what, 0) + 1
        if what == "agent" and self.agent is not None:
            self.agent.communicate(timeout=PATIENCE)

    def _agent_pid(self) -> int | None:
        return None if self.agent is None or self.agent.poll() is not None else self.agent.pid

    def _room_pid(self) -> int | None:
        pid = int(json.loads((self.data / "room-server.json").read_text())["pid"])
        return pid if alive(pid) else None

    def _codex_pid(self) -> int | None:
        pid = self._agent_pid()
        for child in children_of(pid) if pid is not None else ():
            try:
                words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"app-server" in words and words[0].endswith(b"codex"):
                return child
        return None

    async def stop(self) -> None:
        if (agent := self.agent) is not None and agent.poll() is None:
            agent.terminate()
            await asyncio.to_thread(agent.communicate, timeout=PATIENCE)
        await asyncio.to_thread(self.program.stop_room)


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[Programs, Person]]:
    """A room server with an agent and a person in it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with AsyncExitStack() as leaving:
        model = await leaving.enter_async_context(ScriptedServer())
        program = Loaded(
            folder / "home",
            PROCESS_DATA_DIR=str(folder / "data"),
            OPENAI_BASE_URL=model.base_url,
            OPENAI_API_KEY=model.api_key,
        )
        programs = Programs(program, model, port, leaving)
        leaving.push_async_callback(programs.stop)
        await asyncio.to_thread(programs.start_room)
        await asyncio.to_thread(programs.start_agent)
        token = program.run(f"token --room {ROOM} --identity ana").stdout.strip()
        target = JoinTarget(ROOM, f"http://127.0.0.1:{port}", token)
        room = await leaving.enter_async_context(join_room(target))
        yield programs, Person(room)
