"""The websocket channel of a whole agent, over real sockets."""

from __future__ import annotations

import asyncio
import http.client
import json
import random
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from process_agent.channels import outbox
from process_agent.channels.specs import ChatSpec, WebsocketSpec
from process_agent.channels.websocket import channel as module
from process_agent.channels.websocket import server
from process_agent.channels.websocket.door import WebsocketOptions
from process_agent.core import events as e
from process_agent.core.events import EndReason
from process_agent.core.ids import ItemId
from process_agent.errors import RoomError, UsageError
from tests.fakes.socket_room import KEY, SocketRoom, token
from tests.fakes.websocket_client import PREFIX, socket_client

ITEM = ItemId("answer")


@pytest.fixture
async def room(tmp_path: Path) -> SocketRoom:
    return SocketRoom(tmp_path)


async def refusal(port: int, *arguments: Any, **more: Any) -> int:
    with pytest.raises(InvalidStatus) as refused:
        async with socket_client(port, *arguments, **more):
            pass
    return refused.value.response.status_code


async def outcome(port: int) -> int:
    try:
        async with socket_client(port, token()):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


def get(port: int, path: str, host: str | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={} if host is None else {"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


async def test_a_turn_over_a_websocket(room: SocketRoom) -> None:
    async with room.agent() as port, socket_client(port, token()) as ana:
        assert ana.connected["type"] == f"{PREFIX}connection.status"
        assert ana.connected["status"] == "connected"
        assert ana.connection.subprotocol == "meshagent-msgpack"
        asked = await ana.say("thread.start", "hello")
        started = await ana.wait("thread.started", source_message_id=asked)
        turn = await room.backend.turn(0)
        assert (turn.text, turn.input.sender_name) == ("hello", "ana")
        turn.answer("hi Ana")
        ended = await ana.wait("turn.ended")
        assert ended["thread_id"] == started["thread_id"]
        assert ana.text() == "hi Ana"
        assert all(value is not None for message in ana.got for value in message.values())
        opened = await ana.send("thread.open", thread_id=started["thread_id"], load=True)
        await ana.wait("thread.loaded", source_message_id=opened)
        await ana.send("models.request")
        assert (await ana.wait("models.response"))["providers"]


async def test_frames_are_compressed_and_who_answers_no_ping_is_gone(
    room: SocketRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert server.PING_SECONDS == 30
    monkeypatch.setattr(server, "PING_SECONDS", 0.3)
    given_up = asyncio.Event()
    unanswered = server.Link.keepalive_timeout

    def noted(link: server.Link) -> None:
        unanswered(link)
        given_up.set()

    monkeypatch.setattr(server.Link, "keepalive_timeout", noted)
    async with room.agent() as port, socket_client(port, token()) as ana:
        assert [extension.name for extension in ana.connection.protocol.extensions] == ["permessage-deflate"]
        async with socket_client(port, token("gone")) as gone:
            gone.connection.transport.pause_reading()
            await given_up.wait()
            gone.connection.transport.resume_reading()
            assert await gone.closed() == 1006
        await ana.send("models.request")
        assert await ana.wait("models.response")


async def test_two_sockets_and_a_chat_viewer_see_one_thread(room: SocketRoom) -> None:
    async with (
        room.agent() as port,
        socket_client(port, token("ana")) as ana,
        socket_client(port, token("ana")) as again,
    ):
        assert ana.id != again.id
        ben = room.messaging.join("ben")
        await ana.say("thread.start", "hello")
        thread = (await ana.wait("thread.started"))["thread_id"]
        await again.send("thread.open", thread_id=thread)
        ben.send("thread.open", thread_id=thread)
        turn = await room.backend.turn(0)
        await again.wait("turn.started")
        await ben.wait("turn.started")
        turn.answer("for all")
        for viewer in (ana, again):
            await viewer.wait("turn.ended")
            assert viewer.text() == "for all"
        await ben.wait("turn.ended")
        assert ben.text() == "for all"
        assert [m["message_id"] for m in ana.all("turn.ended")] == [
            m["message_id"] for m in ben.all("turn.ended")
        ]
        before = len(again.got)
        await ana.send("thread.list")
        assert (await ana.wait("thread.listed"))["total"] == 1
        await again.send("models.request")
        await again.wait("models.response")
        assert [m["type"] for m in again.got[before:] if m["type"].endswith("thread.listed")] == []


async def test_who_hangs_up_has_left(room: SocketRoom) -> None:
    async with room.agent() as port:
        async with socket_client(port, token()) as ana:
            await ana.say("thread.start", "hello")
            await ana.wait("turn.started")
        ben = room.messaging.join("ben")
        async with socket_client(port, token()) as again:
            await again.send("thread.list")
            thread = (await again.wait("thread.listed"))["threads"][0]["path"]
        ben.send("thread.open", thread_id=thread)
        (await room.backend.turn(0)).answer("nobody of the web is here")
        await ben.wait("turn.ended")
        assert ben.text() == "nobody of the web is here"
        assert room.websocket.who(ana.id) is None  # type: ignore[arg-type]


async def test_the_token_says_who_may_approve(room: SocketRoom) -> None:
    async with (
        room.agent() as port,
        socket_client(port, token("ana")) as ana,
        socket_client(port, token("robot", "agent")) as robot,
    ):
        await ana.say("thread.start", "do it")
        thread = (await ana.wait("thread.started"))["thread_id"]
        await robot.send("thread.open", thread_id=thread)
        turn = await room.backend.turn(0)
        ref = e.ToolRef(ITEM, "codex", "shell")
        turn.say(e.ToolStarted(ref, {}), e.ApprovalRequested(ref, {}, None))
        asked = await robot.wait("tool_call.approval_requested")
        what = {"thread_id": thread, "turn_id": asked["turn_id"], "item_id": asked["item_id"]}
        await robot.send("tool_call.approve", **what)
        await robot.send("models.request")
        await robot.wait("models.response")
        assert turn.decisions == []
        await ana.send("tool_call.reject", **what)
        await ana.send("models.request")
        await ana.wait("models.response")
        assert [(item, decision.value) for item, decision in turn.decisions] == [(ITEM, "decline")]
        turn.end()
        await ana.wait("turn.ended")


@pytest.mark.parametrize(
    ("way", "answered"),
    [
        ({"query": "?token={}"}, "meshagent-msgpack"),
        ({"protocols": ["meshagent-msgpack", "meshagent-agent.{}"]}, "meshagent-msgpack"),
        ({"protocols": ["meshagent-token.{}", "meshagent-msgpack"]}, "meshagent-token.{}"),
        ({"protocols": ["bearer.{}"]}, "bearer.{}"),
        ({"headers": {"Authorization": "bearer {}"}, "protocols": []}, None),
    ],
)
async def test_tokens_come_in_any_of_the_published_ways(
    room: SocketRoom, way: dict[str, Any], answered: str | None
) -> None:
    good = token()
    filled: dict[str, Any] = json.loads(json.dumps(way).replace("{}", good))
    async with room.agent() as port, socket_client(port, **filled) as client:
        assert client.connection.subprotocol == (None if answered is None else answered.replace("{}", good))
        await client.send("models.request")
        await client.wait("models.response")


async def test_who_does_not_come_in(room: SocketRoom) -> None:
    async with room.agent() as port:
        assert await refusal(port) == 401
        assert await refusal(port, "nonsense") == 401
        assert await refusal(port, token(expires=int(time.time()) - 1)) == 401
        assert await refusal(port, token(extra={"aud": "studio"})) == 401
        assert await refusal(port, token(agents=())) == 403
        assert await refusal(port, token(agents=("other",))) == 403
        assert await refusal(port, token(room="elsewhere")) == 403
        assert await refusal(port, token(), headers={"Origin": "https://evil.example"}) == 403
        assert await refusal(port, token(), headers={"Host": "evil.example"}) in (400, 403)
        assert (
            await refusal(port, headers={"Authorization": f"Basic {token()}"}, query=f"?token={token()}")
            == 401
        )
        assert await refusal(port, headers={"X-Meshagent-User": "ana"}) == 401
        async with socket_client(
            port, token(room="demo"), headers={"Origin": "http://localhost:5173"}
        ) as page:
            await page.send("models.request")
            await page.wait("models.response")


async def test_healthz_answers_who_knows_the_name(room: SocketRoom) -> None:
    async with room.agent() as port:
        assert await asyncio.to_thread(get, port, "/healthz") == (200, b"ok\n")
        assert (await asyncio.to_thread(get, port, "/healthz", "evil.example"))[0] == 403
        assert (await asyncio.to_thread(get, port, "/"))[0] == 404


async def test_iap_takes_the_name_from_the_proxy(room: SocketRoom) -> None:
    options = WebsocketOptions("iap", origins=("https://studio.example",))
    async with room.agent(options) as port:
        assert await refusal(port) == 401
        assert await refusal(port, token()) == 401
        proxy = {"X-MESHAGENT-USER": "ana@example.com"}
        assert await refusal(port, headers={**proxy, "Origin": "https://evil.example"}) == 403
        async with socket_client(port, headers={**proxy, "Origin": "https://studio.example"}) as ana:
            await ana.say("thread.start", "hello")
            turn = await room.backend.turn(0)
            assert turn.input.sender_name == "ana@example.com"
            assert (await ana.wait("turn.started"))["sender_name"] == "ana@example.com"
            turn.answer("hi")
            assert (await ana.wait("text_content.delta"))["text"] == "hi"
            await ana.wait("turn.ended")


async def test_none_asks_for_nothing_but_keeps_pages_out(room: SocketRoom) -> None:
    async with room.agent(WebsocketOptions("none")) as port:
        assert await refusal(port, headers={"Origin": "http://localhost:5173"}) == 403
        async with socket_client(port, headers={"Origin": f"http://127.0.0.1:{port}"}) as anybody:
            await anybody.say("thread.start", "hello")
            assert (await room.backend.turn(0)).input.sender_name == "websocket-user"


@pytest.mark.parametrize(
    "frame",
    [
        "text",
        b"",
        b"\xc1",
        msgspec.msgpack.encode([1]),
        msgspec.msgpack.encode({"type": 1}),
        msgspec.msgpack.encode({"type": f"{PREFIX}turn.start"}),
        msgspec.msgpack.encode({"type": f"{PREFIX}thread.open", "thread_id": {"a": b"x"}}),
        b"\x91" * 100,
    ],
)
async def test_frames_that_are_no_agent_message_end_the_connection(
    room: SocketRoom, frame: str | bytes
) -> None:
    async with room.agent() as port, socket_client(port, token()) as ana:
        await ana.connection.send(frame)
        assert await ana.closed() == 1003


async def test_types_nobody_knows_are_left_alone(room: SocketRoom) -> None:
    async with room.agent() as port, socket_client(port, token()) as ana:
        await ana.send("dance")
        await ana.send_map({"type": "something.else"})
        await ana.send("models.request")
        await ana.wait("models.response")


async def test_a_frame_above_the_limit_ends_the_connection(room: SocketRoom) -> None:
    async with room.agent() as port, socket_client(port, token()) as ana:
        with suppress(ConnectionClosed):  # it may be refused before all of it left
            await ana.connection.send(b"\xc6" + bytes(64 * 2**20))
        assert await ana.closed() == 1009
        async with socket_client(port, token()) as again:
            await again.send("models.request")
            await again.wait("models.response")


async def test_a_participant_cannot_speak_for_another(room: SocketRoom) -> None:
    async with room.agent() as port, socket_client(port, token("eve")) as eve:
        await eve.say("thread.start", "hello", sender_name="ana", sender={"id": "x"}, to_participant_id="y")
        assert (await room.backend.turn(0)).input.sender_name == "eve"
        await eve.send("participant.disconnect", participant_id="somebody")
        await eve.send("models.request")
        await eve.wait("models.response")


async def test_who_reads_too_slowly_is_dropped_and_slows_nobody(
    room: SocketRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "MAX_MESSAGES", 50)
    async with room.agent() as port, socket_client(port, token()) as ana:
        await ana.say("thread.start", "hello")
        thread = (await ana.wait("thread.started"))["thread_id"]
        turn = await room.backend.turn(0)
        async with socket_client(port, token("slow")) as slow:
            await slow.send("thread.open", thread_id=thread)
            await slow.wait("turn.started")
            slow.connection.transport.pause_reading()
            noise = random.Random(1).randbytes(200_000).hex()  # compression makes nothing of it
            for number in range(120):
                item = ItemId(f"i{number}")
                turn.say(e.TextStarted(item, None), e.TextDelta(item, noise, None), e.TextEnded(item, None))
                await ana.wait("text_content.ended", item_id=item)
            slow.connection.transport.resume_reading()
            assert await slow.closed() == 1006
            assert slow.all("turn.ended") == []
        turn.end()
        await ana.wait("turn.ended")


async def test_connections_are_counted(room: SocketRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 1)
    async with room.agent() as port:
        async with socket_client(port, token()):
            assert await refusal(port, token()) == 503
        async with asyncio.timeout(10):
            while await outcome(port) == 503:
                pass


async def test_the_end_of_the_agent_is_an_end_clients_come_back_from(room: SocketRoom) -> None:
    agent = room.agent()
    port = await agent.__aenter__()
    async with socket_client(port, token()) as ana:
        await ana.say("thread.start", "hello")
        turn = await room.backend.turn(0)
        leaving = asyncio.ensure_future(agent.__aexit__(None, None, None))
        await turn.interrupted.wait()
        turn.end(EndReason.INTERRUPTED)
        assert await ana.closed() == 1001
        assert len(ana.all("turn.ended")) == 1
        await leaving
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5).close()


async def test_a_client_that_reads_nothing_does_not_keep_the_agent(
    room: SocketRoom, caplog: pytest.LogCaptureFixture
) -> None:
    agent = room.agent()
    port = await agent.__aenter__()
    async with socket_client(port, token()) as ana:
        await ana.say("thread.start", "hello")
        await ana.wait("turn.started")
        ana.connection.transport.pause_reading()
        turn = await room.backend.turn(0)
        noise = random.Random(1).randbytes(2_000_000).hex()
        for number in range(8):
            item = ItemId(f"i{number}")
            turn.say(e.TextStarted(item, None), e.TextDelta(item, noise, None), e.TextEnded(item, None))
        turn.end()
        await agent.__aexit__(None, None, None)
        assert [record.name for record in caplog.records if record.levelname == "ERROR"] == []
        ana.connection.transport.resume_reading()
        assert await ana.closed() == 1006


async def test_a_port_in_use_is_told(room: SocketRoom) -> None:
    async with room.agent() as port:
        other = SocketRoom(room.folder)
        with pytest.raises(RoomError, match=f"Port {port} on 127.0.0.1 is in use"):
            async with other.agent(specs=[ChatSpec(), WebsocketSpec(port)]):
                pass


@pytest.mark.parametrize(
    ("options", "host", "said"),
    [
        (WebsocketOptions("jwt"), "127.0.0.1", "no key"),
        (WebsocketOptions("none"), "0.0.0.0", "could command the agent"),
        (WebsocketOptions("none"), "::", "could command the agent"),
        (WebsocketOptions(keys=(KEY,)), "203.0.113.7", "not possible to listen"),
    ],
)
async def test_what_would_be_open_to_all_or_to_nobody_is_refused(
    room: SocketRoom, options: WebsocketOptions, host: str, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        async with room.agent(options, [WebsocketSpec(0, host)]):
            pass
