"""How connections begin, are refused, end and come back; published and raw clients."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from process_agent.wire import participant_token
from process_agent.wire.participant_token import ParticipantToken
from tests.fakes.raw_client import raw_client
from tests.fakes.room import ROOM, LocalRoom, local_room, participant


async def test_a_client_learns_who_and_where_it_is(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, room.client("alice") as alice:
        assert alice.room_name == ROOM
        assert alice.room_url == room.ws_url()
        assert alice.local_participant.get_attribute("name") == "alice"
        assert alice.session_id


def _bad_tokens(room: LocalRoom) -> dict[str, str]:
    claims = participant_token.encode(ParticipantToken("alice", ROOM, "user", {}), room.key)
    grants = [{"name": "room", "scope": ROOM}, {"name": "api", "scope": {}}]
    return {
        "expired": room.token("alice", seconds=-1),
        "for another room": room.token("alice", room="other"),
        "of a foreign key": jwt.encode({"name": "alice", "grants": grants}, "f" * 64, algorithm="HS256"),
        "unsigned": jwt.encode({"name": "alice", "grants": grants}, "", algorithm="none"),
        "without a name": jwt.encode({"grants": grants}, room.key, algorithm="HS256"),
        "without grants": jwt.encode({"name": "alice"}, room.key, algorithm="HS256"),
        "without a room": jwt.encode({"name": "a", "grants": []}, room.key, algorithm="HS256"),
        "with a broken signature": claims[:-3] + ("abc" if claims[-3:] != "abc" else "abd"),
        "for studio": jwt.encode(
            {"name": "a", "room": ROOM, "grants": grants, "aud": "studio"}, room.key, algorithm="HS256"
        ),
        "no token at all": "nonsense",
    }


async def test_bad_tokens_are_refused_with_403(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room:
        for what, token in _bad_tokens(room).items():
            with pytest.raises(InvalidStatus) as refused:
                async with raw_client(room.ws_url(), token):
                    pass
            assert refused.value.response.status_code == 403, what
        with pytest.raises(InvalidStatus) as refused:
            async with raw_client(room.ws_url(), None):
                pass
        assert refused.value.response.status_code == 403


@pytest.mark.parametrize("what", ["expired", "of a foreign key", "for another room"])
async def test_a_refused_published_client_gives_up_at_once(tmp_path: Path, what: str) -> None:
    from meshagent.api import RoomClient, RoomException, WebSocketClientProtocol

    async with local_room(tmp_path) as room:
        protocol: Any = WebSocketClientProtocol(url=room.ws_url(), token=_bad_tokens(room)[what])
        with pytest.raises(RoomException, match="403"):
            async with asyncio.timeout(5), RoomClient(protocol_factory=protocol.create_factory()):
                pass


async def test_a_name_that_no_room_can_have_is_refused(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room:
        for name in ("..", "UPPER", "-a", "a_b", "x" * 64):
            with pytest.raises(InvalidStatus) as refused:
                async with raw_client(room.ws_url(name.replace("/", "%2f")), room.token("alice", room=name)):
                    pass
            assert refused.value.response.status_code in (403, 404)
        assert not room.paths.rooms.exists() or list(room.paths.rooms.iterdir()) == []


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}]
)
async def test_foreign_hosts_and_origins_are_refused(tmp_path: Path, headers: dict[str, str]) -> None:
    from websockets.asyncio.client import connect
    from websockets.datastructures import Headers

    async with local_room(tmp_path) as room:
        wanted = Headers({"Authorization": f"Bearer {room.token('alice')}"})
        url = room.ws_url().replace("127.0.0.1", headers.get("Host", "127.0.0.1"))
        if "Origin" in headers:
            wanted["Origin"] = headers["Origin"]
        there: dict[str, Any] = {"host": "127.0.0.1", "port": room.port, "proxy": None}
        with pytest.raises(InvalidStatus) as refused:
            async with connect(url, additional_headers=wanted, **there):
                pass
        assert refused.value.response.status_code == 403


async def test_compression_is_declined(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, raw_client(room.ws_url(), room.token("a")) as client:
        assert client.socket.response is not None
        assert "Sec-WebSocket-Extensions" not in client.socket.response.headers


async def test_a_text_frame_ends_only_its_connection(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, room.client("alice") as alice:
        async with raw_client(room.ws_url(), room.token("raw")) as client:
            await client.socket.send("hello")
            with pytest.raises(ConnectionClosed):
                await client.receive()
            assert client.socket.close_code == 1003
        await alice.messaging.enable()
        assert await alice.list_toolkits()


async def test_an_oversized_frame_ends_its_connection_with_1009(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, raw_client(room.ws_url(), room.token("raw")) as client:
        with contextlib.suppress(ConnectionClosed):
            await client.socket.send(b"x" * (5 * 1024 * 1024))
        await client.socket.wait_closed()
        assert client.socket.close_code == 1009


def _packet(message_id: int, number: int, rest: bytes) -> bytes:
    return message_id.to_bytes(8) + number.to_bytes(4) + rest


@pytest.mark.parametrize(
    ("packets", "code"),
    [
        ([b"short"], 1002),
        ([b"\0" * 11], 1002),
        ([_packet(1, 1, b"payload without header")], 1002),
        ([_packet(1, 0, (2**31).to_bytes(4) + b"huge")], 1009),
        ([_packet(1, 0, (2).to_bytes(4) + b"a"), _packet(2, 0, bytes(4) + b"b")], 1002),
        ([_packet(1, 0, bytes(4) + b"\xff\xfe")], 1002),
    ],
)
async def test_malformed_packets_end_their_connection(
    tmp_path: Path, packets: list[bytes], code: int
) -> None:
    async with local_room(tmp_path) as room, raw_client(room.ws_url(), room.token("raw")) as client:
        for packet in packets:
            await client.socket.send(packet)
        with pytest.raises(ConnectionClosed):
            await client.receive()
        assert client.socket.close_code == code


async def test_unknown_messages_and_tools_are_answered(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, raw_client(room.ws_url(), room.token("raw")) as client:
        for toolkit, tool in (("nonsense", "x"), ("queues", "x"), ("messaging", "x"), ("containers", "exec")):
            assert (await client.call(toolkit, tool, {}))["code"] == 1002
        sent = await client.post("room.call", {"name": "x", "url": "http://127.0.0.1:1"})
        header, _, id_ = await client.receive_type("__response__")
        assert (header["type"], header["code"], id_) == ("error", 1002, sent)


@pytest.mark.parametrize(
    "payload",
    [b"", b"short", (99).to_bytes(8) + b"{}", (2).to_bytes(8) + b"[]", (1).to_bytes(8) + b"{"]
    + [len(text).to_bytes(8) + text for text in (b'{"toolkit": 5, "tool": "x"}', b'{"toolkit": "queues"}')],
)
async def test_malformed_messages_are_answered_and_harm_nothing(tmp_path: Path, payload: bytes) -> None:
    async with local_room(tmp_path) as room, raw_client(room.ws_url(), room.token("raw")) as client:
        for type_ in ("room.invoke_tool", "room.register_toolkit", "room.tool_call_request_chunk"):
            sent = await client.post_payload(type_, payload)
            if b"toolkit" not in payload or type_ != "room.tool_call_request_chunk":
                header, _, id_ = await client.receive_type("__response__")
                assert (header["type"], header["code"], id_) == ("error", 1002, sent)
        await client.post("set_attributes", {"big": "x" * 300_000})
        assert (await client.receive_type("__response__"))[0]["code"] == 1002
        assert (await client.call("queues", "list", {}))["json"] == {"queues": []}


async def test_a_token_without_scopes_can_do_nothing(tmp_path: Path) -> None:
    from meshagent.api import RoomException

    async with local_room(tmp_path) as room, room.client("alice", api={}) as alice:
        for call in (
            alice.queues.send(name="q", message={}),
            alice.queues.list(),
            alice.services.list(),
            alice.storage.list(path=""),
            alice.datasets.list_tables(),
            alice.developer.log(type="t", data={}),
            alice.messaging.broadcast_message(type="t", message={}),
        ):
            with pytest.raises(RoomException) as refused:
                await call
            assert refused.value.code == 1001


async def test_clients_come_back_after_a_restart(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, room.client("alice") as alice, room.client("bob") as bob:
        await alice.local_participant.set_attribute("mood", "good")
        await alice.messaging.enable()
        await bob.messaging.enable()
        await participant(bob, "alice")
        before = alice.local_participant.id
        back = [_event(client, "reconnected") for client in (alice, bob)]
        await room.restart()
        for event in back:
            await event.wait()
        assert alice.local_participant.id != before
        again = await participant(bob, "alice")
        assert again.get_attribute("mood") == "good"
        got: asyncio.Queue[Any] = asyncio.Queue()
        alice.messaging.on("message", lambda message: got.put_nowait(message))
        await bob.messaging.send_message(to=again, type="t", message={"after": True})
        assert (await got.get()).message == {"after": True}


async def test_a_stopping_server_sends_no_close_frame(tmp_path: Path) -> None:
    async with local_room(tmp_path) as room, raw_client(room.ws_url(), room.token("raw")) as client:
        await room.restart()
        with pytest.raises(ConnectionClosedError):
            await client.receive()
        assert client.socket.close_code == 1006


async def test_one_who_does_not_read_is_dropped_and_the_sender_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("process_agent.room_server.websocket.MAX_BACKLOG_BYTES", 1024 * 1024)
    async with local_room(tmp_path) as room, raw_client(room.ws_url(), room.token("fast")) as fast:
        reader, writer = await asyncio.open_connection("127.0.0.1", room.port, limit=1024)
        writer.write(_upgrade(room))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(_client_frames(b'{"toolkit":"messaging","tool":"enable","arguments":{"type":"empty"}}'))
        await fast.call("messaging", "enable", {})
        slow = await _other(fast)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        text = '{"text": "' + "x" * 500_000 + '"}'
        code = None
        until = time.monotonic() + 30
        while code is None and time.monotonic() < until:
            message = {"to_participant_id": slow, "type": "t", "message_json": text}
            code = (await fast.call("messaging", "send", message)).get("code")
        assert code == 1003
        writer.transport.abort()


async def test_one_who_answers_no_ping_is_dropped_without_a_close_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("process_agent.room_server.server.PING_SECONDS", 0.05)
    async with local_room(tmp_path) as room:
        reader, writer = await asyncio.open_connection("127.0.0.1", room.port)
        writer.write(_upgrade(room))
        await reader.readuntil(b"\r\n\r\n")
        received = b""
        with contextlib.suppress(ConnectionResetError):
            received = await reader.read()
        opcodes = []
        while received:
            opcodes.append(received[0])
            received = (
                received[2 + received[1] :]
                if received[1] < 126
                else received[4 + int.from_bytes(received[2:4]) :]
            )
        assert 0x89 in opcodes, "it was pinged"
        assert 0x88 not in opcodes, "no close frame"
        writer.close()


async def _other(client: Any) -> str:
    """The id of the only other participant, as soon as it is enabled."""
    while True:
        header, _, _ = await client.receive_type("messaging.send")
        if header["type"] == "messaging.enabled" and header["message"]["participants"]:
            return str(header["message"]["participants"][0]["id"])
        if header["type"] == "participant.enabled":
            return str(header["message"]["id"])


def _upgrade(room: LocalRoom) -> bytes:
    return (
        f"GET /rooms/{ROOM} HTTP/1.1\r\nHost: 127.0.0.1:{room.port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        f"Authorization: Bearer {room.token('slow')}\r\n\r\n"
    ).encode()


def _client_frames(header: bytes) -> bytes:
    """An invoke in masked websocket frames, the mask being zero."""
    from process_agent.wire import room_frames

    message = room_frames.Message(1, "room.invoke_tool", room_frames.pack_payload(header))
    return b"".join(
        bytes((0x82, 0x80 | len(packet))) + bytes(4) + packet for packet in room_frames.split(message)
    )


def _event(client: Any, name: str) -> asyncio.Event:
    event = asyncio.Event()
    client.on(name, lambda **_: event.set())
    return event
