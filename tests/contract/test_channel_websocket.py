"""The published websocket client and command line, unmodified, talk to our websocket channel."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from process_agent.channels.specs import WebsocketSpec
from process_agent.channels.websocket.door import WebsocketOptions
from process_agent.core import events as e
from process_agent.core.ids import ItemId
from tests.contract.published import install
from tests.contract.published.install import for_published
from tests.contract.published.program import STOP_SECONDS, Participant, Program, PublishedError
from tests.fakes.backend import FakeBackend
from tests.fakes.memory_messaging import MemoryMessaging
from tests.fakes.memory_store import MemoryThreadStore
from tests.fakes.socket_room import AGENT, KEY, SocketRoom, token

pytestmark = for_published
ITEM = ItemId("answer")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    driver = Path(__file__).parent / "published" / "websocket_driver.py"
    command = [str(install.python_programs() / "python"), str(driver)]
    started = Program(command, tmp_path_factory.mktemp("published"))
    yield started
    started.stop()


@pytest.fixture
async def room(tmp_path: Path) -> SocketRoom:
    return SocketRoom(tmp_path)


@asynccontextmanager
async def connected(
    program: Program,
    port: int,
    name: str,
    *,
    headers: dict[str, str] | None = None,
    protocols: Sequence[str] = ("meshagent-msgpack",),
) -> AsyncIterator[Participant]:
    """A published client. Fails when the agent sent what the published models refuse."""
    client = Participant(program, name)
    sent = {"Authorization": f"Bearer {token(name)}"} if headers is None else headers
    url = f"ws://127.0.0.1:{port}/messages"
    with program.listening(name, client.take):
        await client.do("join", url=url, headers=sent, protocols=list(protocols))
        try:
            yield client
        finally:
            with suppress(PublishedError):  # one that has lost its connection cannot say goodbye
                async with asyncio.timeout(STOP_SECONDS):
                    await client.do("leave")
    assert client.problems == []


async def test_a_new_thread_and_its_next_turn(program: Program, room: SocketRoom) -> None:
    async with room.agent() as port, connected(program, port, "ana") as ana:
        session = await ana.session()
        asked = session.doing("ask", text="hello")
        turn = await room.backend.turn(0)
        assert turn.input.sender_name == "ana"
        await ana.wait("thread.status", mode="steerable")
        turn.say(e.TextStarted(ITEM, "final_answer"))
        for piece in ("1", "0", "0", " ha", " ha", "\n", "\n"):
            turn.say(e.TextDelta(ITEM, piece, "final_answer"))
        turn.say(e.TextEnded(ITEM, "final_answer"))
        turn.end()
        assert await asked == "100 ha ha\n\n"
        assert await session.shown() == [("me", "hello"), ("agent", "100 ha ha\n\n")]
        asked = session.doing("ask", text="and now?")
        (await room.backend.turn(1)).answer("the same", "second")
        assert await asked == "the same"
        state = await session.state()
        assert (state["connection"], state["pending"], state["active_turn"]) == ("connected", [], None)


async def test_the_list_models_and_an_approval(program: Program, room: SocketRoom) -> None:
    async with room.agent() as port, connected(program, port, "ana") as ana:
        session = await ana.start("do it")
        turn = await room.backend.turn(0)
        ref = e.ToolRef(ITEM, "codex", "shell")
        turn.say(
            e.ToolStarted(ref, {"command": "rm x"}), e.ApprovalRequested(ref, {"command": "rm x"}, "why")
        )
        asked = await ana.wait("tool_call.approval_requested")
        what = {name: asked[name] for name in ("thread_id", "turn_id", "item_id")}
        await ana.send("tool_call.approve", **what)
        await session.do("models")
        assert [decision.value for _, decision in turn.decisions] == ["accept"]
        turn.say(e.ToolEnded(ref))
        turn.end()
        await ana.wait("turn.ended")
        thread = await session.path()
        await session.do("rename", thread=thread, name="Named")
        listed = await session.do("threads", limit=10, offset=0)
        assert [(entry["path"], entry["name"]) for entry in listed["threads"]] == [(thread, "Named")]


async def test_two_websockets_and_a_person_in_the_room_share_a_thread(
    program: Program, room: SocketRoom
) -> None:
    async with (
        room.agent() as port,
        connected(program, port, "ana") as ana,
        connected(program, port, "ben") as ben,
    ):
        cleo = room.messaging.join("cleo")
        session = await ana.session()
        asked = session.doing("ask", text="first")
        (await room.backend.turn(0)).answer("one", "i1")
        assert await asked == "one"
        thread = await session.path()
        cleo.send("thread.open", thread_id=thread)
        theirs = await ben.open(thread, load=True)
        await ben.wait("thread.loaded")
        expected = [("ana", "first"), ("agent", "one")]
        assert await theirs.shown() == expected
        asked = theirs.doing("ask", text="second")
        (await room.backend.turn(1)).answer("two", "i2")
        assert await asked == "two"
        await ana.wait("turn.ended", turn_id=room.backend.turns[1].input.turn_id)
        await cleo.wait("turn.ended")
        assert await session.shown() == [
            ("me", "first"),
            ("agent", "one"),
            ("ben", "second"),
            ("agent", "two"),
        ]
        assert cleo.text("i2") == "two"


async def test_a_client_comes_back_to_the_next_agent(program: Program, room: SocketRoom) -> None:
    first = room.agent()
    port = await first.__aenter__()
    async with connected(program, port, "ana") as ana:
        session = await ana.session()
        asked = session.doing("ask", text="before")
        (await room.backend.turn(0)).answer("one", "i1")
        assert await asked == "one"
        await first.__aexit__(None, None, None)
        await ana.wait("connection.status", status="reconnecting")
        again = SocketRoom(room.folder, MemoryMessaging(), MemoryThreadStore(room.store.rows), FakeBackend())
        async with again.agent(specs=[WebsocketSpec(port)]):
            await ana.wait("connection.status", status="reconnected")
            await ana.wait("thread.loaded")
            asked = session.doing("ask", text="after")
            (await again.backend.turn(0)).answer("two", "i2")
            assert await asked == "two"
            shown = await session.shown()
            assert shown == [("me", "before"), ("agent", "one"), ("me", "after"), ("agent", "two")]


async def test_the_ways_to_say_who_one_is(program: Program, room: SocketRoom) -> None:
    page = {"protocols": ("meshagent-msgpack", f"meshagent-agent.{token('ana')}"), "headers": {}}
    async with room.agent() as port:
        async with connected(program, port, "ana", **page) as ana:  # type: ignore[arg-type]
            await ana.start("hello")
            assert (await room.backend.turn(0)).input.sender_name == "ana"
        for wrong, status in ((token(agents=("other",)), 403), (token(expires=1), 401)):
            with pytest.raises(PublishedError, match=str(status)):
                async with connected(program, port, "eve", headers={"Authorization": f"Bearer {wrong}"}):
                    pass


@pytest.mark.parametrize("auth", ["jwt", "none"])
async def test_the_published_command_line(room: SocketRoom, auth: Any, tmp_path: Path) -> None:
    async with room.agent(WebsocketOptions(auth, keys=(KEY,))) as port:
        words = ["process", "use", "--room", "demo", "--agent-name", AGENT, "--user", "ana"]
        words += ["--websocket-url", f"ws://127.0.0.1:{port}/messages", "--websocket-auth", auth]
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "MESHAGENT_SECRET": KEY}
        child = await asyncio.create_subprocess_exec(
            str(install.python_programs() / "meshagent"),
            *words,
            "--message",
            "hello there",
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        turn = await room.backend.turn(0)
        assert turn.text == "hello there"
        assert turn.input.sender_name == ("ana" if auth == "jwt" else "websocket-user")
        turn.answer("good morning")
        said, _ = await child.communicate()
        assert (said.decode(), child.returncode) == ("good morning\n", 0)
