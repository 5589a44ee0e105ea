"""Calls a built-in toolkit of the room directly, the way the hub does, without connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pyarrow as pa

from process_agent.io.tasks import Tasks
from process_agent.room_server.datasets import arrow
from process_agent.room_server.toolkit import (
    OPEN,
    Call,
    Caller,
    Content,
    Toolkit,
    binary_content,
    json_content,
)

CALLER = Caller("p1", "ann", "user", "demo")


class Stream:
    """One streamed call: `push` request chunks, `take` response chunks."""

    def __init__(self, toolkit: Toolkit, tool: str, caller: Caller) -> None:
        self._requests: asyncio.Queue[Content | None] = asyncio.Queue()
        self._responses: asyncio.Queue[Content] = asyncio.Queue()
        self._run = toolkit.stream(Call(caller, tool, OPEN, "t1"), self._chunks(), self._send)
        self._tasks = Tasks("streamed call")
        self.error: Exception | None = None

    async def __aenter__(self) -> Stream:
        self._tasks.start(self._guarded(), "stream")
        return self

    async def __aexit__(self, *error: Any) -> None:
        self.close()
        if error[0] is None:
            await self._tasks.wait()
        await self._tasks.close()

    async def _guarded(self) -> None:
        try:
            await self._run
        except Exception as error:  # noqa: BLE001 - kept for the test to look at
            self.error = error
        self._responses.put_nowait(Content({"type": "control", "method": "close"}))

    def push(self, headers: Mapping[str, Any], data: bytes = b"") -> None:
        self._requests.put_nowait(binary_content(headers, data))

    def push_json(self, value: Mapping[str, Any]) -> None:
        self._requests.put_nowait(json_content(value))

    def close(self) -> None:
        self._requests.put_nowait(None)

    async def take(self) -> Content:
        """The next response chunk. Raises the tool's error once it ended with one."""
        content = await self._responses.get()
        if content.type == "control" and self.error is not None:
            raise self.error
        return content

    async def _chunks(self) -> AsyncIterator[Content]:
        while (chunk := await self._requests.get()) is not None:
            yield chunk

    async def _send(self, chunk: Content) -> None:
        self._responses.put_nowait(chunk)


async def call(toolkit: Toolkit, tool: str, caller: Caller = CALLER, **arguments: Any) -> Content:
    return await toolkit.call(Call(caller, tool, json_content(arguments)))


async def write(
    toolkit: Toolkit,
    tool: str,
    start: Mapping[str, Any],
    *tables: pa.Table,
    schema: pa.Schema | None = None,
    caller: Caller = CALLER,
) -> None:
    """A write stream of the dataset toolkit, rows sent as they are pulled."""
    async with Stream(toolkit, tool, caller) as stream:
        stream.push({"kind": "start", **start}, arrow.encode_schema(schema) if schema else b"")
        waiting = list(tables)
        while (content := await stream.take()).type != "control":
            assert content.headers == {"kind": "pull"}
            if waiting:
                table = waiting.pop(0)
                data = arrow.encode_batches(table.schema, table.to_batches())
                stream.push({"kind": "data", "content_type": arrow.MIME}, data)
            else:
                stream.close()


async def read(
    toolkit: Toolkit, tool: str, start: Mapping[str, Any], caller: Caller = CALLER
) -> list[pa.Table]:
    """A read stream of the dataset toolkit: one table for each data chunk."""
    found: list[pa.Table] = []
    async with Stream(toolkit, tool, caller) as stream:
        stream.push({"kind": "start", **start})
        stream.push({"kind": "pull"})
        while (content := await stream.take()).type != "control":
            found.append(arrow.decode_table(content.data))
            stream.push({"kind": "pull"})
    return found
