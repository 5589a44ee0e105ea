"""Pages in the real browser and an agent's websocket: whose may connect, and how a page says who it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from process_agent.channels.websocket.door import WebsocketAuth, WebsocketOptions
from tests.fakes.socket_room import KEY, SocketRoom, token

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = pytest.mark.asyncio(loop_scope="session")

FOREIGN = "https://evil.example"
HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\nConnection: close\r\n\r\n"
PAGE = f"{HEAD}<!doctype html>".encode()

REFUSED = {"opened": None, "code": 1006}
CONNECT = """
([url, protocols]) => new Promise(resolve => {
    const socket = new WebSocket(url, protocols);
    socket.binaryType = "arraybuffer";
    let opened = null;
    socket.onopen = () => { opened = socket.protocol; };
    socket.onmessage = event => { resolve({opened, bytes: event.data.byteLength, text: typeof event.data}); };
    socket.onclose = event => resolve({opened, code: event.code});
})
"""


async def connect(page: Page, port: int, *protocols: str) -> Any:
    """What a page gets from the agent."""
    return await page.evaluate(CONNECT, [f"ws://127.0.0.1:{port}/messages", list(protocols)])


@asynccontextmanager
async def page_of_this_machine(browser: Browser) -> AsyncIterator[Page]:
    """A page that another server on loopback served."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(PAGE)
        await writer.drain()
        writer.close()

    context = await browser.new_context()
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        page = await context.new_page()
        await page.goto(f"http://localhost:{server.sockets[0].getsockname()[1]}/")
        yield page
        await context.close()


@asynccontextmanager
async def foreign_page(browser: Browser) -> AsyncIterator[Page]:
    """A page of another site, to whom somebody has given the permission to reach this machine."""
    context = await browser.new_context()
    await context.grant_permissions(["local-network-access"], origin=FOREIGN)
    await context.route(
        f"{FOREIGN}/**", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html")
    )
    page = await context.new_page()
    await page.goto(f"{FOREIGN}/")
    yield page
    await context.close()


async def test_a_page_of_this_machine_shows_its_token_as_a_subprotocol(
    browser: Browser, tmp_path: Path
) -> None:
    async with SocketRoom(tmp_path).agent() as port, page_of_this_machine(browser) as page:
        first = await connect(page, port, "meshagent-msgpack", f"meshagent-agent.{token()}")
        assert (first["opened"], first["text"]) == ("meshagent-msgpack", "object")
        assert first["bytes"] > 50
        assert await connect(page, port, "meshagent-msgpack") == REFUSED


async def test_a_foreign_page_comes_in_only_when_the_operator_named_it(
    browser: Browser, tmp_path: Path
) -> None:
    wanted = ("meshagent-msgpack", f"meshagent-agent.{token()}")
    async with foreign_page(browser) as page:
        auths: tuple[WebsocketAuth, ...] = ("jwt", "none")
        for auth in auths:
            async with SocketRoom(tmp_path).agent(WebsocketOptions(auth, (KEY,))) as port:
                assert await connect(page, port, *wanted) == REFUSED
            async with SocketRoom(tmp_path).agent(WebsocketOptions(auth, (KEY,), (FOREIGN,))) as port:
                assert (await connect(page, port, *wanted))["opened"] == "meshagent-msgpack"
