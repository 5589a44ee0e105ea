"""A small MCP server over streamable HTTP, for tests: one tool, and what it was sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class PlayedMcp:
    """`calls` are the arguments of each call of its tool, `headers` those of each request."""

    url: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await _read(reader):
                method, headers, body = request
                self.headers.append(headers)
                status, answer = (202, b"") if method == "POST" else (405, b"")
                message = json.loads(body) if body else {}
                if method == "POST" and "id" in message:
                    result = {"jsonrpc": "2.0", "id": message["id"], "result": self._result(message)}
                    status, answer = 200, json.dumps(result).encode()
                head = f"HTTP/1.1 {status} OK\r\ncontent-type: application/json\r\n"
                writer.write(f"{head}content-length: {len(answer)}\r\n\r\n".encode() + answer)
                await writer.drain()
        finally:
            writer.close()

    def _result(self, message: dict[str, Any]) -> dict[str, Any]:
        match message["method"]:
            case "initialize":
                version = message["params"]["protocolVersion"]
                server = {"name": "played", "version": "1"}
                return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": server}
            case "tools/list":
                tool = {
                    "name": "weather",
                    "description": "Tells the weather",
                    "inputSchema": {"type": "object", "properties": {"town": {"type": "string"}}},
                    "annotations": {"readOnlyHint": True},
                }
                return {"tools": [tool, {**tool, "name": "hidden"}]}
            case "tools/call":
                self.calls.append(message["params"]["arguments"])
                return {"content": [{"type": "text", "text": "It rains."}], "isError": False}
        return {}


async def _read(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes] | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    except asyncio.IncompleteReadError:
        return None
    fields = dict(line.split(": ", 1) for line in head[1:] if line)
    headers = {name.lower(): value for name, value in fields.items()}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return head[0].split(" ")[0], headers, body


@asynccontextmanager
async def mcp_server() -> AsyncIterator[PlayedMcp]:
    """A server on a free port of this machine."""
    played = PlayedMcp()
    server = await asyncio.start_server(played.serve, "127.0.0.1", 0)
    played.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"
    try:
        yield played
    finally:
        server.close()
