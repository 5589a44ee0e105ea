"""The published client as a program of its own, driven by a test; and one participant in it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.contract.agent_room import AGENT, PREFIX
from tests.contract.published import install
from tests.fakes.room import LocalRoom

STOP_SECONDS = 15.0
WAIT_SECONDS = 15.0
"""Longer than a busy machine needs; a test that waits in vain says what came instead."""
NOT_MODELLED = {PREFIX + "thread.start.rejected"}
"""Sent for Dart and Flutter on purpose; the published Python models do not have it."""

type Take = Callable[[dict[str, Any]], None]


class PublishedError(Exception):
    """What the published client raised."""

    def __init__(self, text: str, code: Any) -> None:
        super().__init__(text)
        self.code = code


class Program:
    """A child that answers one JSON line to each. Its events go to the client they name."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        kept = ("PATH", "LANG", "HOME", "TMPDIR")
        env = {name: os.environ[name] for name in kept if name in os.environ}
        self._errors = (folder / "published.log").open("w+")
        self._child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, env=env, text=True
        )
        self._answers: dict[int, Future[Any]] = {0: Future()}
        self._takers: dict[str, Take] = {}
        self._last = 0
        self._lock = threading.Lock()
        self._taking = threading.Lock()
        self._thread = threading.Thread(target=self._read, name="published client", daemon=True)
        self._thread.start()
        self._answers[0].result(60)

    def call(self, do: str, **fields: Any) -> Future[Any]:
        """Ask for something; the result raises PublishedError with what the client raised."""
        answer: Future[Any] = Future()
        with self._lock:
            self._last += 1
            number = self._last
            self._answers[number] = answer
            assert self._child.stdin is not None
            self._child.stdin.write(json.dumps({"id": number, "do": do, **fields}) + "\n")
            self._child.stdin.flush()
        return answer

    @contextmanager
    def listening(self, client: str, take: Take) -> Iterator[None]:
        """Events of a client go to `take`, and never after the block: its event loop may be closed then."""
        with self._taking:
            self._takers[client] = take
        try:
            yield
        finally:
            with self._taking:
                self._takers.pop(client, None)

    def stop(self) -> None:
        assert self._child.stdin is not None
        self._child.stdin.close()
        try:
            self._child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._thread.join(STOP_SECONDS)
        assert self._child.stdout is not None
        self._child.stdout.close()
        self._errors.close()

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            said = json.loads(line)
            if "client" in said:
                with self._taking:
                    if (take := self._takers.get(said["client"])) is not None:
                        take(said)
            elif "ready" in said:
                self._answers.pop(0).set_result(None)
            else:
                with suppress(InvalidStateError):  # cancelled: nobody waits for it any more
                    _settle(self._answers.pop(said["id"]), said)
        self._errors.flush()
        self._errors.seek(0)
        last = PublishedError(f"the published client ended: {self._errors.read()[-2000:]}", None)
        for answer in self._answers.values():
            with suppress(Exception):
                answer.set_exception(last)


def _settle(answer: Future[Any], said: dict[str, Any]) -> None:
    if "error" in said:
        answer.set_exception(PublishedError(said["error"], said["code"]))
    else:
        answer.set_result(said["value"])


@contextmanager
def python_client(folder: Path) -> Iterator[Program]:
    """The published Python chat client."""
    driver = Path(__file__).with_name("driver.py")
    program = Program([str(install.python_programs() / "python"), str(driver)], folder)
    try:
        yield program
    finally:
        program.stop()


@contextmanager
def node_client(folder: Path) -> Iterator[Program]:
    """The published npm client."""
    driver = Path(__file__).with_name("driver.cjs")
    program = Program([install.node(), str(driver), str(install.node_modules())], folder)
    try:
        yield program
    finally:
        program.stop()


class Participant:
    """One participant with a published chat client. `got` has what the agent sent it, in order."""

    def __init__(self, program: Program, name: str) -> None:
        self._program = program
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._read = 0
        self._sessions = 0
        self.name = name
        self.got: list[dict[str, Any]] = []
        self.problems: list[str] = []

    async def do(self, what: str, **fields: Any) -> Any:
        return await asyncio.wrap_future(self._program.call(what, client=self.name, **fields))

    def doing(self, what: str, **fields: Any) -> asyncio.Future[Any]:
        """The same without waiting; the request has left when this returns."""
        return asyncio.wrap_future(self._program.call(what, client=self.name, **fields))

    async def start(self, text: str, **more: Any) -> Session:
        """A new thread with a first turn."""
        session = await self.session()
        await session.do("start", text=text, **more)
        return session

    async def session(self) -> Session:
        """A session without a thread."""
        self._sessions += 1
        session = Session(self, str(self._sessions))
        await session.do("session")
        return session

    async def open(self, thread: str, **more: Any) -> Session:
        self._sessions += 1
        session = Session(self, str(self._sessions))
        await session.do("open", thread=thread, **more)
        return session

    async def send(self, kind: str, **fields: Any) -> str:
        source: str = await self.do("send", body={"type": PREFIX + kind, **fields})
        return source

    async def wait(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The next message of a kind, with these values, that was not waited for yet."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                return await self._next(kind, fields)
        except TimeoutError:
            kinds = [message["type"].removeprefix(PREFIX) for message in self.got]
            raise AssertionError(f"{self.name} got no {kind} with {fields}, but {kinds}") from None

    async def _next(self, kind: str, fields: dict[str, Any]) -> dict[str, Any]:
        while True:
            while self._read < len(self.got):
                message = self.got[self._read]
                self._read += 1
                wanted = all(message.get(name) == value for name, value in fields.items())
                if message["type"] == PREFIX + kind and wanted:
                    return message
            self._news.clear()
            await self._news.wait()

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.got if message["type"] == PREFIX + kind]

    def take(self, said: dict[str, Any]) -> None:
        """Called by the thread that reads."""
        self._loop.call_soon_threadsafe(self._take, said)

    def _take(self, said: dict[str, Any]) -> None:
        self.got.append(said["event"])
        if said["problem"] is not None and said["event"]["type"] not in NOT_MODELLED:
            self.problems.append(f"{said['problem']} in {said['event']}")
        self._news.set()


class Session:
    """One thread as one participant sees it."""

    def __init__(self, participant: Participant, number: str) -> None:
        self.participant = participant
        self._number = number

    async def do(self, what: str, **fields: Any) -> Any:
        return await self.participant.do(what, session=self._number, **fields)

    def doing(self, what: str, **fields: Any) -> asyncio.Future[Any]:
        return self.participant.doing(what, session=self._number, **fields)

    async def state(self) -> dict[str, Any]:
        """What the client would show now."""
        state: dict[str, Any] = await self.do("state")
        return state

    async def path(self) -> str:
        thread: str = (await self.state())["thread"]
        return thread

    async def shown(self) -> list[tuple[str, str]]:
        """Who said what, as the client would show it. The text of an item is one message of the client; an
        input is shown once, whether it came as `turn.start`, as `turn.start.accepted`, or as both.
        """
        rows, inputs = [], set()
        for message in (await self.state())["messages"]:
            kind = message["type"].removeprefix(PREFIX)
            source = message.get("source_message_id") or message["message_id"]
            if kind == "text_content.delta":
                rows.append(("agent", message["text"]))
            elif message.get("content") and source not in inputs:
                inputs.add(source)
                rows.append((message["sender_name"] or "me", message["content"][0]["text"]))
        return rows


@asynccontextmanager
async def joined(
    program: Program, server: LocalRoom, name: str, *, streams: bool = True, agent: str = AGENT
) -> AsyncIterator[Participant]:
    """A participant of the room. Fails when the agent sent what the published models refuse."""
    client = Participant(program, name)
    made = {"url": server.ws_url(), "token": server.token(name), "agent": agent, "streams": streams}
    with program.listening(name, client.take):
        await client.do("join", **made)
        try:
            yield client
        finally:
            async with asyncio.timeout(STOP_SECONDS):
                await client.do("leave")
    assert client.problems == []
