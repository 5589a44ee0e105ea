"""`process service serve`: called into rooms by the published program's own webhooks."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import httpx
import pytest
from meshagent.api.room_server_client import RoomException
from meshagent.api.services import send_webhook

from process_agent import config
from process_agent.channels.specs import parse_channels
from process_agent.cli.checked import checked
from process_agent.cli.rule_flags import rules_options
from process_agent.cli.serving import Serving
from process_agent.services.call_server import CallPlace, CallServer
from process_agent.services.calls import CallRules
from process_agent.wire.participant_token import ParticipantToken, encode
from process_agent.wire.room_calls import MAX_BYTES
from tests.contract.agent_room import AGENT, ChatClient, chat_client
from tests.fakes.program import Loaded, Program
from tests.fakes.room import ROOM, LocalRoom, local_room
from tests.fakes.talk import SLOW, talking

SECRET = "a secret of thirty-two characters"
FLAGS = f"--agent-name {AGENT} --channel chat --backend llm --provider scripted"


class Served:
    """An agent that can be called, and who calls it: the published `send_webhook`."""

    def __init__(self, room: LocalRoom, serving: Serving, stop: asyncio.Event, url: str) -> None:
        self.room = room
        self.serving = serving
        self.stop = stop
        self.url = url

    async def call(
        self,
        room: str = ROOM,
        *,
        url: str | None = None,
        event: str = "room.call",
        secret: str | None = SECRET,
        token: str | None = None,
    ) -> None:
        """Raises `RoomException` when it is refused."""
        data = {
            "room_name": room,
            "room_url": url or self.room.ws_url(room),
            "token": token or self.room.token(AGENT, "agent", room),
            "arguments": {},
        }
        async with aiohttp.ClientSession() as session:
            await send_webhook(session, url=self.url, event=event, data=data, secret=secret)


@asynccontextmanager
async def served(folder: Path, max_rooms: int = 8) -> AsyncIterator[Served]:
    options = checked(
        room=None,
        agent_name=AGENT,
        channels=parse_channels(["chat"]),
        backends=["llm"],
        models=None,
        provider=["scripted"],
        working_dir=folder,
        sandbox="read-only",
        approvals="ask",
        approval_seconds=30,
        network=False,
        rules=rules_options(None, None, None, None),
        local=False,
        data_dir=folder / "data",
        join_seconds=15,
        thread_dir=None,
        thread_storage="dataset",
        json=False,
        started=0,
    )
    stop = asyncio.Event()
    async with local_room(folder) as room:
        serving = Serving(
            options, config.load({"HOME": str(folder)}), CallRules(AGENT, room.url, max_rooms), stop
        )
        server = CallServer(CallPlace("127.0.0.1", 0, "/agent", SECRET), serving.answer)
        await server.start()
        try:
            yield Served(room, serving, stop, f"http://127.0.0.1:{server.port}/agent")
        finally:
            stop.set()
            await serving.drain()
            await server.stop()
            await serving.close()


async def ready(client: ChatClient) -> None:
    """Wait until the agent says of itself that it answers, as clients do."""
    messaging = client._client.messaging
    changed = asyncio.Event()
    messaging.on("participant_attributes_updated", lambda **_: changed.set())
    while not client.agent.get_attribute("supports_agent_messages"):
        changed.clear()
        await changed.wait()


def agents_seen(client: ChatClient) -> int:
    found = client._client.messaging.remote_participants
    return sum(each.get_attribute("name") == AGENT for each in found)


async def test_called_it_joins_answers_and_is_not_there_twice(tmp_path: Path) -> None:
    async with served(tmp_path) as here:
        await here.call()
        async with chat_client(here.room, "ana") as ana:
            await here.call()
            await ready(ana)
            await ana.say("thread.start", "say called")
            ended = await ana.wait("turn.ended")
            assert ended.get("error") is None, ended
            assert ana.texts() == "called"
            assert agents_seen(ana) == 1, "the same call twice is one agent"
            here.stop.set()
            await here.serving.drain()
            with pytest.raises(RoomException, match="503"):
                await here.call("another")


async def test_calls_that_are_refused(tmp_path: Path) -> None:
    async with served(tmp_path, max_rooms=1) as here:
        with pytest.raises(RoomException, match="401"):
            await here.call(secret=None)
        with pytest.raises(RoomException, match="401"):
            await here.call(secret="another of thirty-two characters!")
        with pytest.raises(RoomException, match="403"):
            await here.call(url="ws://127.0.0.1:9/rooms/demo")
        await here.call(event="room.started")
        async with httpx.AsyncClient() as plain:
            base = here.url.removesuffix("/agent")
            assert (await plain.get(base)).json() == {"ok": True}
            assert (await plain.get(f"{base}/healthz")).status_code == 200
            assert (await plain.get(here.url)).status_code == 405
            long = await plain.post(here.url, content=b"x" * (MAX_BYTES + 1))
            assert long.status_code == 413
        await here.call("first")
        with pytest.raises(RoomException, match="503"):
            await here.call("second")


async def test_a_room_that_refuses_the_agent_can_be_called_into_again(tmp_path: Path) -> None:
    async with served(tmp_path, max_rooms=1) as here:
        token = ParticipantToken(AGENT, ROOM, "agent", {})
        await here.call(token=encode(token, "not the key that the room has.."))
        await here.serving.drain()
        await here.call()
        async with chat_client(here.room, "ana") as ana:
            await ready(ana)


ROOMS = ("red", "blue")


@pytest.mark.timeout(300, func_only=True)
async def test_the_program_itself_with_codex_in_two_rooms(program: Program) -> None:
    """Started as people do it, called by the published code, stopped by SIGTERM in the middle of a turn."""
    program.environment["MESHAGENT_WEBHOOK_SECRET"] = SECRET
    state = json.loads(await _run(program, "room start --port 0 --json"))
    serve = (
        f"service serve --agent-name {AGENT} --channel chat --backend codex --local --port 0 --max-rooms 2"
    )
    with program.running(serve) as (child, said):
        url = next(line.split()[1] for line in said.splitlines() if line.startswith("calls"))
        await asyncio.gather(*(_call(program, state["url"], url, room) for room in ROOMS))
        answers = await asyncio.gather(
            *(_run(program, f"chat --room {room} --message", f"run expr 600 + {len(room)}") for room in ROOMS)
        )
        assert ["603" in answers[0], "604" in answers[1]] == [True, True], answers
        with pytest.raises(RoomException, match="503"):
            await _call(program, state["url"], url, "green")
        async with talking(program, "--room red", SLOW) as talk:
            await talk.until("half ")
            child.send_signal(signal.SIGTERM)
            ended = await talk.end()
        assert ended["type"].endswith(".turn.ended"), "the person who listened heard the end"
        assert ended["metadata"] == {"process": {"reason": "interrupted"}}
        assert await asyncio.to_thread(child.wait, 20) == 0
        assert child.stdout is not None
        printed = child.stdout.read()
        assert [f"{AGENT} has left {room}" in printed for room in ROOMS] == [True, True]


async def _run(program: Program, command: str, *more: str) -> str:
    done = await asyncio.to_thread(program.run, command, *more)
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


async def _call(program: Program, server: str, url: str, room: str) -> None:
    token = await _run(program, f"token --room {room} --identity {AGENT} --role agent")
    data = {
        "room_name": room,
        "room_url": server.replace("http", "ws", 1) + f"/rooms/{room}",
        "token": token.strip(),
    }
    async with aiohttp.ClientSession() as session:
        await send_webhook(session, url=url, event="room.call", data=data, secret=SECRET)


@pytest.mark.parametrize(
    ("variables", "said"),
    [({}, "Anybody could call"), ({"MESHAGENT_WEBHOOK_SECRET": "short"}, "can be guessed")],
)
def test_without_a_good_secret_it_does_not_listen(
    tmp_path: Path, variables: dict[str, str], said: str
) -> None:
    program = Loaded(tmp_path / "home", PROCESS_DATA_DIR=str(tmp_path / "data"), **variables)
    ended = program.run(f"service serve {FLAGS}")
    assert (ended.returncode, said in ended.stderr) == (2, True), ended
