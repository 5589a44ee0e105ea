"""A web server that waits for nobody: half-sent requests, idle connections, more of them than it takes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from process_agent.io.tasks import Tasks
from process_agent.io.web_server import HastyHttp, QuietServer, bind

type Opened = tuple[asyncio.StreamReader, asyncio.StreamWriter]

PATIENT = 3600.0
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


@asynccontextmanager
async def server(seconds: float, connections: int = 8) -> AsyncIterator[int]:
    """One whose only page says how many bytes it was sent; its port."""

    class Http(HastyHttp):
        request_seconds = seconds
        max_connections = connections

    async def page(request: Request) -> Response:
        return PlainTextResponse(str(len(await request.body())))

    app = Starlette(routes=[Route("/", page, methods=["GET", "POST"])])
    config = uvicorn.Config(
        app, http=Http, ws="none", lifespan="off", log_config=None, log_level=logging.WARNING
    )
    listener, running, tasks = bind("127.0.0.1", 0, ""), QuietServer(config), Tasks("server")
    tasks.start(running.serve(sockets=[listener]), "serve")
    await running.ready.wait()
    try:
        yield listener.getsockname()[1]
    finally:
        running.leave()
        await tasks.wait()
        listener.close()


async def opened(port: int, sent: bytes = b"") -> Opened:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    await writer.drain()
    return reader, writer


async def until_cut(connection: Opened) -> bytes:
    """What comes until the server ends the connection."""
    reader, writer = connection
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST / HTTP/1.1\r\nhost: x\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf",
        b"POST /nowhere HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf",
        GET + b"POST / HTTP/1.1\r\nhost",
    ],
    ids=["nothing", "half a head", "half a body", "half a body for nobody", "half a second request"],
)
async def test_half_a_request_is_not_waited_for(sent: bytes) -> None:
    async with server(0.1) as port:
        said = await until_cut(await opened(port, sent))
    assert said.count(b"200 OK") == sent.count(GET)


async def test_a_request_that_drips_is_not_waited_for() -> None:
    """Each byte in time, the whole never."""
    async with server(0.2) as port:
        reader, writer = await opened(port, b"POST / HTTP/1.1\r\nhost: x\r\nx-long: ")
        ended = asyncio.ensure_future(reader.read())
        while not ended.done():
            writer.write(b"a")
            await asyncio.wait([ended], timeout=0.02)
        assert isinstance(ended.exception(), ConnectionResetError) or ended.result() == b""
        writer.close()


async def test_who_says_nothing_makes_way_for_who_does() -> None:
    async with server(PATIENT, connections=3) as port:
        idle = [await opened(port) for _ in range(3)]
        reader, writer = await opened(port, GET)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        assert await until_cut(idle[0]) == b"", "the one that waited longest was cut"
        for _, other in (*idle[1:], (reader, writer)):
            other.close()


async def test_requests_one_after_another_are_answered() -> None:
    async with server(PATIENT) as port:
        reader, writer = await opened(port, GET * 3)
        for _ in range(3):
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(1) == b"0"
        writer.close()
