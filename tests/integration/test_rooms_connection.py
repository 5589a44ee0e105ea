"""How a membership ends, is refused, and is taken up again, against a server that misbehaves on purpose."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from process_agent.errors import AuthError, ProcessError, RoomClosedError, RoomError
from process_agent.rooms.join import JoinedRoom, JoinTarget, join_room
from tests.fakes.raw_room import RawConnection, Step, raw_room

TOKEN = "not.a.token"


def target(url: str) -> JoinTarget:
    return JoinTarget(room="demo", base_url=url, token=TOKEN)


async def serve(connection: RawConnection) -> None:
    await connection.start()
    await connection.serve()


def close_with(code: int, reason: str = "") -> Step:
    async def step(connection: RawConnection) -> None:
        await connection.start()
        await connection.socket.close(code, reason)

    return step


async def drop(connection: RawConnection) -> None:
    await connection.start()
    connection.abort()


async def ending(room: JoinedRoom) -> ProcessError | None:
    return await asyncio.wait_for(room.closed(), 10)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "room_server_client")


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_token_is_an_auth_error_after_one_attempt(status: int) -> None:
    async with raw_room(status) as server:
        with pytest.raises(AuthError, match=f"HTTP {status}"):
            async with join_room(target(server.url)):
                pass
        assert server.requests == 1


@pytest.mark.parametrize(("status", "says"), [(404, "no room"), (423, "disabled")])
async def test_a_missing_or_disabled_room_is_final(status: int, says: str) -> None:
    async with raw_room(status) as server:
        with pytest.raises(RoomError, match=says) as caught:
            async with join_room(target(server.url)):
                pass
        assert not isinstance(caught.value, AuthError)
        assert caught.value.exit_code == 4
        assert server.requests == 1


async def test_a_room_that_is_busy_at_first_is_joined() -> None:
    async with raw_room(503, serve) as server, join_room(target(server.url)) as room:
        assert room.name == "demo"
        assert room.messaging.me.id == "p1"
        assert server.requests == 2


async def test_a_room_that_nobody_serves_ends_at_the_deadline_with_its_address() -> None:
    url = "ws://127.0.0.1:9"
    with pytest.raises(RoomError, match=r"ws://127\.0\.0\.1:9/rooms/demo cannot be reached"):
        async with join_room(target(url), join_seconds=0.3):
            pass


async def test_a_room_that_accepts_and_says_nothing_ends_at_the_deadline() -> None:
    async def silent(connection: RawConnection) -> None:
        await connection.socket.wait_closed()

    async with raw_room(silent) as server:
        with pytest.raises(RoomError, match="cannot be reached"):
            async with join_room(target(server.url), join_seconds=0.3):
                pass


@pytest.mark.parametrize("code", [1000, 1008, 4000, 4999])
async def test_final_close_codes_end_the_membership_with_the_reason(code: int) -> None:
    async with raw_room(close_with(code, "room over")) as server, join_room(target(server.url)) as room:
        error = await ending(room)
        assert isinstance(error, RoomClosedError)
        assert str(code) in str(error)
        assert "room over" in str(error)
        assert server.requests == 1


@pytest.mark.parametrize("code", [1000, 1008, 4000])
async def test_a_final_close_before_the_start_is_final_too(code: int) -> None:
    async def step(connection: RawConnection) -> None:
        await connection.socket.close(code, "not you")

    async with raw_room(step) as server:
        with pytest.raises(RoomClosedError, match="not you"):
            async with join_room(target(server.url)):
                pass
        assert server.requests == 1


@pytest.mark.parametrize("code", [1001, 1011, 1012, 1013])
async def test_closes_of_a_restarting_server_are_taken_up_again(code: int) -> None:
    async with raw_room(close_with(code), serve) as server, join_room(target(server.url)) as room:
        back = asyncio.Event()
        room.on_connection_change(lambda online: back.set() if online else None)
        await asyncio.wait_for(back.wait(), 10)
        assert room.messaging.me.id == "p2"


async def test_a_dropped_connection_is_taken_up_again_with_the_attributes() -> None:
    async with raw_room(drop, serve) as server, join_room(target(server.url)) as room:
        await room.messaging.set_attributes({"supports_agent_messages": True})
        seen: list[bool] = []
        back = asyncio.Event()

        def changed(online: bool) -> None:
            seen.append(online)
            if online:
                back.set()

        room.on_connection_change(changed)
        await asyncio.wait_for(back.wait(), 10)
        assert seen[-2:] == [False, True]
        sent = [header for kind, header in server.connections[1].received if kind == "set_attributes"]
        assert sent[0]["supports_agent_messages"] is True


async def test_a_token_refused_on_the_way_back_ends_the_membership() -> None:
    async with raw_room(drop, 401) as server, join_room(target(server.url)) as room:
        assert isinstance(await ending(room), AuthError)


async def test_leaving_is_not_an_error() -> None:
    async with raw_room(serve) as server:
        async with join_room(target(server.url)) as room:
            waiting = asyncio.create_task(room.closed())
            await asyncio.sleep(0)
        assert await waiting is None


async def test_a_text_frame_and_a_broken_packet_do_not_make_us_deaf() -> None:
    async def step(connection: RawConnection) -> None:
        await connection.start()
        await connection.socket.send("hello")
        await connection.send("room.status", {"status": "ready", "message": "still here"})
        await connection.socket.send(bytes(12) + b"\x00\x00\x00\x01\xff\xfe")
        await connection.serve()

    async with raw_room(step, serve) as server, join_room(target(server.url)) as room:
        back = asyncio.Event()
        room.on_connection_change(lambda online: back.set() if online else None)
        await asyncio.wait_for(back.wait(), 10)
        assert len(server.connections) == 2


async def test_sending_waits_and_then_fails_when_the_room_stops_reading(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("process_agent.rooms.connection.MAX_UNSENT", 8 << 20)
    monkeypatch.setattr("process_agent.rooms.connection.CLOSE_SECONDS", 0.2)
    everyone = [{"id": "b", "role": "user", "attributes": {"name": "b"}}]

    async def step(connection: RawConnection) -> None:
        await connection.start()
        await connection.roster(everyone)
        connection.socket.transport.pause_reading()
        await connection.socket.wait_closed()

    async with raw_room(step) as server:
        async with join_room(target(server.url)) as room:
            joined = asyncio.Event()
            room.messaging.on_joined(lambda participant: joined.set())
            if not room.messaging.participants():
                await asyncio.wait_for(joined.wait(), 5)
            peer = room.messaging.participants()[0].id

            async def flood() -> None:
                for _ in range(400):
                    await room.messaging.send(peer, "agent-message", {"text": "x" * 100_000})

            # Each waits for its answer, so one sender stops at the first; many together hit the limit.
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(flood(), 0.5)

            async def flood_together() -> None:
                async with asyncio.TaskGroup() as group:
                    for _ in range(400):
                        body = {"text": "x" * 1_000_000}
                        group.create_task(room.messaging.send(peer, "agent-message", body))

            with pytest.raises(ExceptionGroup) as caught:
                await flood_together()
            assert caught.group_contains(RoomError)
            started = time.monotonic()
        assert time.monotonic() - started < 3
