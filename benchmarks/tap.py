"""A tap between one agent and the room: what goes over its connection, counted as the room gets it.

An agent is given the tap's address for the room's. Every packet is passed on as it is; beside that it is read
with the codec of the room protocol. So the same is counted for any agent, and no agent is asked. Figures of
time and processor time are never taken through a tap, which has a cost of its own.
"""

from __future__ import annotations

import asyncio
import io
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import pyarrow as pa
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request, Response

from process_agent.errors import WireError
from process_agent.wire import room_frames

DATASET = "dataset"
BESIDE = ("index", "usage", "leases", "owners", "images")
"""Tables beside those of threads, which have names of their own each."""

READ_AT_ONCE = ("read_rows", "read_end")
"""Tools of the local room alone, whose rows come with the answer."""

HEADERS = ("authorization",)
"""Of the request that joins, those that are passed on beside the path."""

MAX_PACKET = 8 << 20
"""Bytes of one packet; published clients and the room send far smaller ones."""

type Read = Callable[[bytes], None]


@dataclass
class Traffic:
    """What went over. Bytes are payloads of websocket messages, both ways; rows are those of Arrow tables.

    `calls` counts calls of the dataset toolkit by tool and table ("thread" is any of a thread's own),
    `others` all other calls by toolkit and tool.
    """

    calls: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    rows_written: int = 0
    rows_read: int = 0
    table_bytes: int = 0
    bytes: int = 0

    def copy(self) -> Traffic:
        """As it is now."""
        return Traffic(
            Counter(self.calls),
            Counter(self.others),
            self.rows_written,
            self.rows_read,
            self.table_bytes,
            self.bytes,
        )

    def since(self, before: Traffic) -> Traffic:
        """What was added since a copy was made."""
        return Traffic(
            self.calls - before.calls,
            self.others - before.others,
            self.rows_written - before.rows_written,
            self.rows_read - before.rows_read,
            self.table_bytes - before.table_bytes,
            self.bytes - before.bytes,
        )


class Reading:
    """Reads one connection of an agent, both directions of it."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._up, self._down = room_frames.PacketJoiner(), room_frames.PacketJoiner()
        self._asked: dict[int, str] = {}
        """The tools of dataset calls that are not answered, by their message ids."""
        self._streams: dict[str, str] = {}
        """The tools of dataset calls by their ids, which their chunks have."""

    def sent(self, packet: bytes) -> None:
        """A packet from the agent to the room."""
        self._traffic.bytes += len(packet)
        message = self._up.feed(packet)
        if message is None:
            return
        if message.type == "room.invoke_tool":
            header, data = _opened(message)
            self._called(message.id, header, data, len(message.payload))
        elif message.type == "room.tool_call_request_chunk":
            header, data = _opened(message)
            tool = self._streams.get(str(header.get("tool_call_id")))
            if tool is not None:
                fields = _fields(header.get("chunk"))
                self._traffic.table_bytes += len(message.payload)
                self._traffic.rows_written += _rows(fields, data)
                if fields.get("kind") == "start":
                    self._note(tool, fields)

    def received(self, packet: bytes) -> None:
        """A packet from the room to the agent."""
        self._traffic.bytes += len(packet)
        message = self._down.feed(packet)
        if message is None:
            return
        if message.type == "__response__" and message.id in self._asked:
            self._traffic.table_bytes += len(message.payload)
            if self._asked.pop(message.id) in READ_AT_ONCE:
                self._traffic.rows_read += _count(_opened(message)[1])
        elif message.type == "room.tool_call_response_chunk":
            header, data = _opened(message)
            if str(header.get("tool_call_id")) in self._streams:
                self._traffic.table_bytes += len(message.payload)
                self._traffic.rows_read += _rows(_fields(header.get("chunk")), data)

    def _called(self, number: int, header: dict[str, Any], data: bytes, size: int) -> None:
        toolkit, tool = str(header.get("toolkit")), str(header.get("tool"))
        if toolkit != DATASET:
            self._traffic.others[f"{toolkit}.{tool}"] += 1
            return
        self._traffic.table_bytes += size
        self._asked[number] = tool
        self._streams[str(header.get("tool_call_id"))] = tool
        arguments = header.get("arguments")
        if not (isinstance(arguments, dict) and arguments.get("type") == "control"):
            self._note(tool, _fields(arguments))  # others say it in their first chunk
        if tool == "insert_rows":  # the local room's own: the rows come with the call
            self._traffic.rows_written += _count(data)

    def _note(self, tool: str, fields: dict[str, Any]) -> None:
        table = fields.get("table") or fields.get("name")
        self._traffic.calls[f"{tool} {table if table in BESIDE else 'thread'}"] += 1


class Tap:
    """See the module. `traffic` grows from the first connection on, over all of them."""

    def __init__(self, room_url: str) -> None:
        self._room_url = room_url.replace("http", "ws", 1)
        self._rooms: dict[ServerConnection, ClientConnection] = {}
        self.traffic = Traffic()
        self.url = ""
        self.defect: Exception | None = None
        """What could not be counted; the agent was served all the same."""

    def check(self) -> None:
        """Raise what could not be counted."""
        if self.defect is not None:
            raise RuntimeError(f"not everything was counted: {self.defect}") from self.defect

    async def admit(self, agent: ServerConnection, request: Request) -> Response | None:
        """Open the same connection to the room; what the room refuses is refused."""
        try:
            self._rooms[agent] = await connect(
                self._room_url + request.path,
                additional_headers={
                    name: request.headers[name] for name in HEADERS if name in request.headers
                },
                compression=None,
                max_size=MAX_PACKET,
            )
        except InvalidStatus as refused:
            return agent.respond(HTTPStatus(refused.response.status_code), "")
        return None

    async def handle(self, agent: ServerConnection) -> None:
        """One connection of an agent."""
        reading = Reading(self.traffic)
        async with self._rooms.pop(agent) as room:
            ways = [
                asyncio.ensure_future(self._pass(agent, room, reading.sent)),
                asyncio.ensure_future(self._pass(room, agent, reading.received)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()

    async def _pass(
        self,
        source: ServerConnection | ClientConnection,
        target: ServerConnection | ClientConnection,
        read: Any,
    ) -> None:
        try:
            async for packet in source:
                await target.send(packet)
                if isinstance(packet, bytes):
                    self._read(read, packet)
        except ConnectionClosed:
            return

    def _read(self, read: Read, packet: bytes) -> None:
        try:
            read(packet)
        except (WireError, pa.ArrowException) as error:
            self.defect = self.defect or error


@asynccontextmanager
async def tapped(room_url: str) -> AsyncIterator[Tap]:
    """A tap before the room server with this `http://` address, on a free port of loopback."""
    tap = Tap(room_url)
    async with serve(
        tap.handle, "127.0.0.1", 0, process_request=tap.admit, compression=None, max_size=MAX_PACKET
    ) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        tap.url = f"http://127.0.0.1:{port}"
        yield tap


def _opened(message: room_frames.Message) -> tuple[dict[str, Any], bytes]:
    header, data = room_frames.unpack_payload(message.payload)
    fields = room_frames.read_json(header)
    return (fields if isinstance(fields, dict) else {}), data


def _fields(content: object) -> dict[str, Any]:
    """What the arguments or a chunk of a call say, beside their data."""
    if not isinstance(content, dict):
        return {}
    fields = content.get("json") if content.get("type") == "json" else content.get("headers")
    return fields if isinstance(fields, dict) else {}


def _rows(fields: dict[str, Any], data: bytes) -> int:
    """Rows in a chunk: those of an Arrow table, or of a list."""
    if fields.get("kind") == "rows":
        return len(fields["rows"])
    return _count(data) if fields.get("kind") == "data" else 0


def _count(data: bytes) -> int:
    """Rows of Arrow streams that follow one another."""
    source, rows = io.BytesIO(data), 0
    while source.tell() < len(data):
        with pa.ipc.open_stream(source) as stream:
            rows += sum(batch.num_rows for batch in stream)
    return rows
