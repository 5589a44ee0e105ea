"""Streamed answers over real sockets: time limits, sizes, interrupts, connections that are used again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext

import pytest

from process_agent.errors import HttpError
from process_agent.io import http_stream
from process_agent.io.http_stream import HttpAnswer, HttpLimits, HttpStreams, Outgoing
from process_agent.io.interruption import Interrupted, Interruption

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"

type Play = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class Server:
    """Plays one answer to each request; counts connections, and says when a client has left."""

    def __init__(self, play: Play) -> None:
        self.play = play
        self.url = ""
        self.connections = 0
        self.left = asyncio.Event()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(x for x in head.lower().split(b"\r\n") if x.startswith(b"content-length"))
                await reader.readexactly(int(length.split(b":")[1]))
                await self.play(reader, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.left.set()
            writer.close()


@asynccontextmanager
async def serving(play: Play) -> AsyncIterator[Server]:
    server = Server(play)
    listening = await asyncio.start_server(server.handle, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/secret-place"
    try:
        yield server
    finally:
        listening.close()


@asynccontextmanager
async def asking(
    url: str, limits: HttpLimits | None = None, interruption: Interruption | None = None
) -> AsyncIterator[HttpAnswer]:
    streams = HttpStreams(limits=limits)
    outgoing = Outgoing(url, {"authorization": "Bearer sk-secret"}, b"{}")
    answer = streams.post(outgoing, interruption or Interruption())
    try:
        yield answer
    finally:
        await answer.close()
        await streams.close()


async def read(answer: HttpAnswer) -> bytes:
    assert await answer.open() == 200
    return b"".join([piece async for piece in answer.pieces()])


def plays(*parts: bytes | None) -> Play:
    """Send these; None is a silence without end."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            if part is None:
                await writer.drain()
                await reader.read()  # until the client leaves
                return
            writer.write(part)

    return play


async def test_the_whole_body_arrives_however_it_is_cut() -> None:
    pieces = [bytes([65 + n % 26]) * (n % 7 + 1) for n in range(200)]

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        for number, piece in enumerate(pieces):
            writer.write(chunk(piece))
            if number % 20 == 0:
                await writer.drain()
                await asyncio.sleep(0.001)
        writer.write(END)

    async with serving(play) as server, asking(server.url) as answer:
        assert await read(answer) == b"".join(pieces)


@pytest.mark.parametrize(
    ("parts", "limits", "kind"),
    [
        ([None], HttpLimits(first=0.05), "silent"),
        ([HEAD, None], HttpLimits(first=0.05), "silent"),
        ([HEAD, chunk(b"a"), None], HttpLimits(idle=0.05), "silent"),
        ([HEAD, chunk(b"a"), None], HttpLimits(idle=5, whole=0.1), "long"),
        ([HEAD, b"nonsense\r\n"], HttpLimits(), "cut"),
        ([b"nonsense\r\n\r\n"], HttpLimits(), "cut"),
    ],
)
async def test_what_goes_wrong_has_a_kind_and_names_no_secret(
    parts: list[bytes | None], limits: HttpLimits, kind: str
) -> None:
    async with serving(plays(*parts)) as server:
        with pytest.raises(HttpError) as caught:
            async with asking(server.url, limits) as answer:
                await read(answer)
        await server.left.wait()
    assert caught.value.kind == kind
    assert "secret" not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)


async def test_the_head_of_an_answer_gives_no_more_time_until_it_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends: list[float] = []
    loop = asyncio.get_running_loop()

    class Noting(Interruption):
        async def wait[T](self, call: Callable[[], Awaitable[T]], seconds: float | None = None) -> T:
            assert seconds is not None
            ends.append(loop.time() + seconds)
            return await super().wait(call, seconds)

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        monkeypatch.setattr(loop, "time", lambda now=loop.time: now() + 30)
        writer.write(HEAD + chunk(b"a") + END)

    async with serving(play) as server, asking(server.url, HttpLimits(first=60), Noting()) as answer:
        assert await read(answer) == b"a"
    head, beginning, *_ = ends
    assert beginning == pytest.approx(head, abs=1)


async def test_a_server_that_takes_no_connection_in_time() -> None:
    """It listens, and says nothing of the encryption that was asked for."""
    async with serving(plays(None)) as server:
        url = server.url.replace("http://", "https://")
        with pytest.raises(HttpError) as caught:
            async with asking(url, HttpLimits(connect=0.05)) as answer:
                await answer.open()
    assert caught.value.kind == "connect"


async def test_a_server_that_is_not_there() -> None:
    async with serving(plays()) as server:
        url = server.url
    with pytest.raises(HttpError, match="cannot be reached: it refused") as caught:
        async with asking(url) as answer:
            await answer.open()
    assert caught.value.kind == "connect"


async def test_an_answer_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_stream, "MAX_ANSWER", 1000)
    async with serving(plays(HEAD, chunk(b"x" * 2000), None)) as server, asking(server.url) as answer:
        with pytest.raises(HttpError, match="larger than 1000 bytes"):
            await read(answer)


@pytest.mark.parametrize("parts", [[None], [HEAD, None], [HEAD, chunk(b"a"), None]])
async def test_an_interrupt_ends_every_kind_of_waiting_and_closes_the_connection(
    parts: list[bytes | None],
) -> None:
    interruption = Interruption()
    async with serving(plays(*parts)) as server:
        async with asking(server.url, interruption=interruption) as answer:
            asyncio.get_running_loop().call_later(0.05, interruption.ask)
            with pytest.raises(Interrupted):
                await read(answer)
        await server.left.wait()
        with pytest.raises(Interrupted):
            await interruption.wait(asyncio.Event().wait)


async def test_the_body_of_an_error_is_read_to_its_limit() -> None:
    head = HEAD.replace(b"200 OK", b"500 Oops")
    async with (
        serving(plays(head, chunk(b"x" * 100_000), None)) as server,
        asking(server.url, HttpLimits(idle=0.05)) as answer,
    ):
        assert await answer.open() == 500
        assert len(await answer.error_body()) == http_stream.MAX_ERROR


async def test_a_connection_is_used_again_once_the_rest_was_read() -> None:
    async with serving(plays(HEAD, chunk(b"a"), END)) as server:
        streams = HttpStreams()
        for _ in range(3):
            answer = streams.post(Outgoing(server.url, {}, b"{}"), Interruption())
            await answer.open()
            async for _piece in answer.pieces():
                break
            await answer.drain(2.0)
        assert server.connections == 1
        await streams.close()


def flows(pieces: int) -> Play:
    """Send so many, one soon after the other, and then an end."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        for number in range(pieces):
            writer.write(chunk(b"piece %d, " % number))
            await writer.drain()
            await asyncio.sleep(0.001)
        writer.write(END)

    return play


async def test_a_fast_stream_is_read_in_windows_and_its_connection_is_good_for_more() -> None:
    """A socket that went on keeping little to itself would hold back the short second answer for ever."""
    async with serving(flows(200)) as server:
        streams = HttpStreams()
        for _ in range(2):
            answer = streams.post(Outgoing(server.url, {}, b"{}"), Interruption())
            await answer.open()
            pieces = [piece async for piece in answer.pieces()]
            assert b"".join(pieces) == b"".join(b"piece %d, " % number for number in range(200))
            assert len(pieces) < 100
            await answer.drain(2.0)
        assert server.connections == 1
        server.play = plays(HEAD, chunk(b"short"), END)
        answer = streams.post(Outgoing(server.url, {}, b"{}"), Interruption())
        assert await read(answer) == b"short"
        await answer.close()
        await streams.close()


async def test_an_interrupt_ends_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_stream, "WINDOW_SECONDS", 60.0)
    interruption = Interruption()
    async with serving(flows(50)) as server, asking(server.url, interruption=interruption) as answer:
        await answer.open()
        asyncio.get_running_loop().call_later(0.2, interruption.ask)
        with pytest.raises(Interrupted):
            async for _piece in answer.pieces():
                pass


@pytest.mark.parametrize("ending", [END, None])
async def test_an_end_waits_for_no_window(ending: bytes | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one that came with the last piece nor that of the connection."""
    monkeypatch.setattr(http_stream, "WINDOW_SECONDS", 60.0)
    heard = asyncio.Semaphore(0)

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        for number in range(http_stream.STEADY + 1):
            last = number == http_stream.STEADY
            writer.write(chunk(b"a") + (ending or b"" if last else b""))
            await heard.acquire()
        if ending is None:
            writer.close()

    got = []
    cut = pytest.raises(HttpError, match="broke") if ending is None else nullcontext()
    async with asyncio.timeout(20), serving(play) as server, asking(server.url) as answer:
        await answer.open()
        with cut:
            async for piece in answer.pieces():
                got.append(piece)
                heard.release()
    assert b"".join(got) == b"a" * (http_stream.STEADY + 1)
