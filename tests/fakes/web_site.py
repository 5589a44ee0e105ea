"""A site on this machine: what it answers by path, and who asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Site:
    """`pages` are whole answers, head and body, by path; `{url}` in a head stands for its address."""

    pages: Mapping[str, tuple[str, bytes]]
    url: str = ""
    asked: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split(" ")[1]
            self.asked.append(path)
            self.heads.append(head)
            fields, body = self.pages.get(path, ("404 Not Found", b""))
            first, *rest = fields.replace("{url}", self.url).split("\n")
            lines = [f"HTTP/1.1 {first}", *rest, f"content-length: {len(body)}", "connection: close"]
            writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has seen enough
        finally:
            writer.close()


@asynccontextmanager
async def site(pages: Mapping[str, tuple[str, bytes]]) -> AsyncIterator[Site]:
    """A site on a free port."""
    found = Site(pages)
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield found
