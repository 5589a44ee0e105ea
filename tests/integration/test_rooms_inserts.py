"""Rows go in one call to a room that offers it, and by the published protocol to every other."""

from __future__ import annotations

import pyarrow as pa
import pytest

from process_agent.core.room import ByPlace, TableRef
from process_agent.errors import RoomRequestError
from process_agent.rooms import datasets
from process_agent.rooms.join import JoinedRoom, JoinTarget, join_room
from process_agent.wire import room_offers
from tests.fakes.raw_room import RawConnection, raw_room

ROWS = pa.table({"n": [1, 2, 3]})
TABLE = TableRef("t", ("agents", "bot"))


async def serve(connection: RawConnection) -> None:
    """Take rows in one call; refuse them as a stream, so that the test need not pull them."""
    while True:
        message_id, kind, header = await connection.message()
        if kind == "room.invoke_tool":
            refused = {"type": "error", "text": "no", "code": 1002}
            answer = refused if header["tool"] == "insert" else {"type": "empty"}
            await connection.send("__response__", answer, message_id)


async def ours(connection: RawConnection) -> None:
    await connection.start(**{room_offers.MEMBER: room_offers.OURS})
    await serve(connection)


async def published(connection: RawConnection) -> None:
    await connection.start()
    await serve(connection)


def calls(connection: RawConnection) -> list[tuple[str, object]]:
    made = [header for kind, header in connection.received if kind == "room.invoke_tool"]
    return [(h["tool"], h["arguments"].get("headers")) for h in made if h["toolkit"] == "dataset"]


async def test_a_room_that_offers_it_gets_the_rows_in_one_call() -> None:
    async with raw_room(ours) as server, join_room(JoinTarget("demo", server.url, "t")) as room:
        await room.datasets.insert(TABLE, ROWS)
    [connection] = server.connections
    start = {"table": "t", "namespace": ["agents", "bot"], "branch": None}
    assert calls(connection) == [("insert_rows", start)]
    assert not any(kind == "room.tool_call_request_chunk" for kind, _ in connection.received)


async def test_any_other_room_gets_the_stream_of_the_published_protocol() -> None:
    async with raw_room(published) as server, join_room(JoinTarget("demo", server.url, "t")) as room:
        with pytest.raises(RoomRequestError):
            await room.datasets.insert(TABLE, ROWS)
    assert [tool for tool, _ in calls(server.connections[0])] == ["insert"]


def by_place(room: JoinedRoom) -> ByPlace:
    assert isinstance(room.datasets, ByPlace)
    return room.datasets


async def test_rows_are_read_by_their_place_only_where_the_room_offers_it() -> None:
    async with raw_room(published) as server, join_room(JoinTarget("demo", server.url, "t")) as room:
        assert await by_place(room).read(TABLE, ("n",), 5) is None
    assert calls(server.connections[0]) == []
    async with raw_room(ours) as server, join_room(JoinTarget("demo", server.url, "t")) as room:
        with pytest.raises(RoomRequestError, match="cannot be read"):
            await by_place(room).read(TABLE, ("n",), 5)
    assert [tool for tool, _ in calls(server.connections[0])] == ["read_rows"]


async def test_more_rows_than_fit_a_message_are_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "MAX_AT_ONCE", 8)
    async with raw_room(ours) as server, join_room(JoinTarget("demo", server.url, "t")) as room:
        with pytest.raises(RoomRequestError):
            await room.datasets.insert(TABLE, ROWS)
    assert [tool for tool, _ in calls(server.connections[0])] == ["insert"]
