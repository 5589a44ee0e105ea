"""Calls to the built-in toolkits: one task each, its request chunks, its answer (room protocol, 6.3)."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from process_agent.io.tasks import Tasks
from process_agent.room_server.member import CLOSE_CHUNK, Member
from process_agent.room_server.relay import is_control
from process_agent.room_server.toolkit import OPEN, OPERATION_FAILED, Call, Content, ToolError, Toolkit
from process_agent.wire import room_frames, room_offers

logger = logging.getLogger(__name__)

MAX_WAITING_BYTES = 96 * 1024 * 1024
"""Most request bytes that may wait for a toolkit. Clients that follow the pull pattern stay far below."""

MAX_WAITING_CHUNKS = 65_536
"""Most request chunks that may wait for a toolkit."""


class RequestChunks:
    """The request chunks of one call, as an async iterator. Ends when its caller closes or left."""

    def __init__(self) -> None:
        self._waiting: deque[Content] = deque()
        self._bytes = 0
        self._arrived = asyncio.Event()
        self._closed = False
        self._overflowed = False

    def push(self, chunk: Content) -> None:
        """Add a chunk; above a limit the iterator fails instead."""
        if self._closed:
            return
        self._bytes += len(chunk.data)
        if self._bytes > MAX_WAITING_BYTES or len(self._waiting) >= MAX_WAITING_CHUNKS:
            self._overflowed = True
            self._waiting.clear()
            self.close()
            return
        self._waiting.append(chunk)
        self._arrived.set()

    def close(self) -> None:
        """No more chunks will come."""
        self._closed = True
        self._arrived.set()

    def __aiter__(self) -> RequestChunks:
        return self

    async def __anext__(self) -> Content:
        while not self._waiting:
            if self._overflowed:
                raise ToolError("more request chunks than the room keeps; send data when it is pulled")
            if self._closed:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        chunk = self._waiting.popleft()
        self._bytes -= len(chunk.data)
        return chunk


DONE_ALL_THE_SAME: Final = frozenset((room_offers.INSERT_ROWS,))
"""What is done once it is here, also when its caller is gone: agents do not wait for the answer."""


class BuiltinCall:
    """One call to a built-in toolkit."""

    def __init__(self, member: Member, request_id: int, call: Call, on_end: Callable[[], None]) -> None:
        self._member = member
        self._request_id = request_id
        self._call = call
        self._on_end = on_end
        self._chunks = RequestChunks()
        self._task: asyncio.Task[None] | None = None
        self._toolkit = ""
        prefix = room_frames.write_json(call.tool_call_id)
        self._prefix = b'{"tool_call_id":' + prefix + b',"chunk":'

    def start(self, toolkit: Toolkit, tasks: Tasks) -> None:
        """Run the tool in a task of its own."""
        self._toolkit = toolkit.name
        run = self._stream(toolkit) if self._call.tool in toolkit.streamed else self._unary(toolkit)
        self._task = tasks.start(run, f"{toolkit.name}.{self._call.tool}")
        self._task.add_done_callback(lambda _: self._on_end())

    def request_chunk(self, chunk: msgspec.Raw, data: bytes) -> None:
        """The caller sent a chunk."""
        if is_control(chunk, "close"):
            self._chunks.close()
            return
        header = room_frames.read_json(chunk)
        self._chunks.push(Content(header if isinstance(header, dict) else {}, data))

    def caller_left(self) -> None:
        """The caller's connection ended: nobody waits for the outcome."""
        self._chunks.close()
        done_all_the_same = f"{self._toolkit}.{self._call.tool}" in DONE_ALL_THE_SAME
        if self._task is not None and not done_all_the_same:
            self._task.cancel()

    async def _unary(self, toolkit: Toolkit) -> None:
        try:
            content = await toolkit.call(self._call)
        except ToolError as error:
            self._member.respond_error(self._request_id, error)
        except Exception as error:  # noqa: BLE001 - a toolkit's defect must not leave the caller waiting
            self._member.respond_error(self._request_id, self._defect(error))
        else:
            self._member.respond(self._request_id, content)

    async def _stream(self, toolkit: Toolkit) -> None:
        self._member.respond(self._request_id, OPEN)
        try:
            await toolkit.stream(self._call, self._chunks, self._send)
        except ToolError as error:
            self._post_error(error)
        except Exception as error:  # noqa: BLE001 - a toolkit's defect must not leave the caller waiting
            self._post_error(self._defect(error))
        self._post(bytes(CLOSE_CHUNK))

    async def _send(self, chunk: Content) -> None:
        await self._member.outlet.drained()
        self._post(room_frames.write_json(chunk.header), chunk.data)

    def _post(self, chunk: bytes, data: bytes = b"") -> None:
        self._member.post("room.tool_call_response_chunk", self._prefix + chunk + b"}", data)

    def _post_error(self, error: ToolError) -> None:
        self._post(room_frames.write_json({"type": "error", "text": error.text, "code": error.code}))

    def _defect(self, error: Exception) -> ToolError:
        logger.error("%s of room %s failed", self._call.tool, self._call.caller.room, exc_info=error)
        return ToolError(f"the room failed: {type(error).__name__}", code=OPERATION_FAILED)
