"""Requests whose answers are streamed, over httpx: four time limits, limits of size, an end at any moment.

Errors say what happened in words that name neither the address nor anything of the request, which holds a
key. Nothing is asked twice here: whoever knows what was shown decides about that.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Final, Protocol

import httpx

from process_agent.errors import HttpError
from process_agent.io.interruption import Interruption
from process_agent.io.tasks import Tasks

MAX_ANSWER: Final = 256 * 1024 * 1024
"""Bytes of a whole answer."""

MAX_ERROR: Final = 64 * 1024
"""Bytes that are read of an answer that is an error."""

CLOSE_SECONDS: Final = 5.0

WINDOW_SECONDS: Final = 0.026
"""How long a fast stream gathers: a little longer than the window in which viewers get one message, so that
what is read goes on to them at once.
"""

STEADY: Final = 8
"""Pieces that came fast, one after the other, before a stream gathers: no short answer's end waits."""

SMALL_BYTES: Final = 8 * 1024
"""Larger pieces are worth waking up for."""

MAX_PIECE: Final = 256 * 1024

_UNREACHABLE: Final = (
    *(httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError),
    *(httpx.UnsupportedProtocol, httpx.InvalidURL),
)


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Seconds: to connect, until the answer begins, between two pieces of it, for all of it."""

    connect: float = 10.0
    first: float = 180.0
    idle: float = 120.0
    whole: float = 3600.0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A POST. `headers` may hold a key, and are never printed."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class _Socket(Protocol):
    def setsockopt(self, level: int, option: int, value: int, /) -> None: ...


class HttpStreams:
    """Connections to servers, kept for the next request. Whoever makes it closes it."""

    def __init__(self, *, limits: HttpLimits | None = None) -> None:
        self.limits = limits or HttpLimits()
        # Time limits are our own: httpx has none for the first byte and for the whole.
        timeout = httpx.Timeout(None, connect=self.limits.connect, pool=None)
        pool = httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=60)
        self._client = httpx.AsyncClient(
            timeout=timeout, limits=pool, verify=_certificates(), trust_env=True, follow_redirects=False
        )

    def post(self, outgoing: Outgoing, interruption: Interruption) -> HttpAnswer:
        """An answer that is not asked for yet."""
        return HttpAnswer(self._client, self.limits, outgoing, interruption)

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        await self._client.aclose()


class HttpAnswer:
    """One answer. `open`, then `pieces` or `error_body`; `close` whatever happened."""

    def __init__(
        self, client: httpx.AsyncClient, limits: HttpLimits, outgoing: Outgoing, interruption: Interruption
    ) -> None:
        self._client = client
        self._limits = limits
        self._outgoing = outgoing
        self._interruption = interruption
        self._response: httpx.Response | None = None
        self._socket: _Socket | None = None
        self._pieces: AsyncGenerator[bytes] | None = None
        self._ahead: asyncio.Task[bytes | None] | None = None
        self._tasks = Tasks("HTTP answer", on_failure=lambda name, error: None)  # told to whoever reads
        self._begins_by = self._ends_at = 0.0

    async def open(self) -> int:
        """Ask, and wait for the status of the answer. Raises `HttpError`, `Interrupted`."""
        now = asyncio.get_running_loop().time()
        self._begins_by, self._ends_at = now + self._limits.first, now + self._limits.whole
        asked = self._outgoing
        request = self._client.build_request(
            "POST", asked.url, headers=dict(asked.headers), content=asked.body
        )
        self._response = await self._within(
            self._limits.first, lambda: self._client.send(request, stream=True), self._begins_by
        )
        self._socket = _socket_of(self._response)
        return self._response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers of the answer, names in lower case."""
        return {} if self._response is None else self._response.headers

    async def pieces(self) -> AsyncGenerator[bytes]:
        """The body as it arrives; what arrived together is one piece. Raises `HttpError`, `Interrupted`.

        A stream of many small pieces is read once in `WINDOW_SECONDS`: waking up for each would cost several
        times what is in it.
        """
        if self._response is None:
            return
        self._pieces = _pieces(self._response)
        size, loop = 0, asyncio.get_running_loop()
        in_a_row = 0
        while True:
            asked = loop.time()
            if size == 0:  # the head of an answer is not its beginning
                piece = await self._within(self._limits.first, self._next, self._begins_by)
            else:
                piece = await self._within(self._limits.idle, self._next, asked + self._limits.idle)
            if piece is None:
                return
            in_a_row = in_a_row + 1 if size > 0 and loop.time() - asked < WINDOW_SECONDS else 0
            whole = self._with_rest(piece)
            size += len(whole)
            if size > MAX_ANSWER:
                raise HttpError(f"The answer is larger than {MAX_ANSWER} bytes.", kind="large")
            yield whole
            if in_a_row >= STEADY and len(whole) < SMALL_BYTES:
                await self._gather()

    async def _gather(self) -> None:
        """Let the stream go on for `WINDOW_SECONDS`, waking nobody for less than `SMALL_BYTES`, though a read
        waits for them: an end of the connection and larger pieces end it. Raises `Interrupted`.
        """
        if self._ahead is None or self._ahead.done():
            return
        self._wakes_for(SMALL_BYTES)
        try:
            await self._interruption.wait(self._let_go_on)
        finally:
            self._wakes_for(1)

    async def _let_go_on(self) -> None:
        if self._socket is None or self._ahead is None:  # each piece would end it
            await asyncio.sleep(WINDOW_SECONDS)
        else:
            await asyncio.wait({self._ahead}, timeout=WINDOW_SECONDS)

    def _wakes_for(self, size: int) -> None:
        """Have the kernel keep fewer bytes to itself. Without a socket to ask, every piece wakes."""
        if self._socket is not None:
            with suppress(OSError):  # it is closed: whoever reads is told
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)

    async def _next(self) -> bytes | None:
        """The next piece, None at the end."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            return await ahead
        return None if self._pieces is None else await anext(self._pieces, None)

    def _with_rest(self, piece: bytes) -> bytes:
        """A piece with what can be read without waiting. A read that has to wait is left for later."""
        found = [piece]
        size = len(piece)
        while size < MAX_PIECE and self._pieces is not None:
            ahead = self._tasks.ahead(_one(self._pieces), "read ahead")
            if not ahead.done() or ahead.exception() is not None or (more := ahead.result()) is None:
                self._ahead = ahead
                break
            found.append(more)
            size += len(more)
        return found[0] if len(found) == 1 else b"".join(found)

    async def error_body(self) -> bytes:
        """The beginning of an answer that is an error; what cannot be read of it is left out."""
        found = bytearray()
        try:
            async for piece in self.pieces():
                found += piece
                if len(found) >= MAX_ERROR:
                    break
        except HttpError:
            pass
        return bytes(found[:MAX_ERROR])

    async def drain(self, seconds: float) -> None:
        """Read to the end what nobody needs, so that the connection can be used again, and close."""
        try:
            async with asyncio.timeout(seconds):
                while await self._next() is not None:
                    pass
        except (TimeoutError, httpx.HTTPError, httpx.StreamError):
            pass  # then it is cut off
        finally:
            await self.close()

    async def close(self) -> None:
        """Be done with it; an answer that is not at its end is cut off. Idempotent."""
        response, self._response = self._response, None
        pieces, self._pieces = self._pieces, None
        if response is None:
            return
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._tasks.close()
                if pieces is not None:
                    await pieces.aclose()
                await response.aclose()
        except (TimeoutError, httpx.HTTPError, httpx.StreamError):
            pass  # it is gone either way

    async def _within[T](self, seconds: float, call: Callable[[], Awaitable[T]], by: float) -> T:
        """What `call()` gives until the moment `by`, which ends the `seconds` that it had."""
        left = min(by, self._ends_at) - asyncio.get_running_loop().time()
        try:
            return await self._interruption.wait(call, max(left, 0.0))
        except TimeoutError as error:
            if self._ends_at <= by:
                text = f"The answer was not complete after {self._limits.whole:.0f} s."
                raise HttpError(text, kind="long") from error
            raise HttpError(f"The server said nothing for {seconds:.0f} s.", kind="silent") from error
        except (
            httpx.ConnectError,
            httpx.ConnectTimeout,
            httpx.ProxyError,
            httpx.UnsupportedProtocol,
        ) as error:
            raise HttpError(f"The server cannot be reached{_why(error)}.", kind="connect") from None
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise HttpError(f"The connection to the server broke{_why(error)}.", kind="cut") from None


@cache
def _certificates() -> ssl.SSLContext:
    """Reading the certificates of authorities takes longer than everything else a client needs."""
    return httpx.create_ssl_context()


def _socket_of(response: httpx.Response) -> _Socket | None:
    stream = response.extensions.get("network_stream")
    return None if stream is None else stream.get_extra_info("socket")


async def _one(pieces: AsyncGenerator[bytes]) -> bytes | None:
    return await anext(pieces, None)


async def _pieces(response: httpx.Response) -> AsyncGenerator[bytes]:
    plain = "content-encoding" not in response.headers
    async for piece in response.aiter_raw() if plain else response.aiter_bytes():
        yield piece


def _why(error: Exception) -> str:
    """A few words about the cause, without what may hold an address."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f": its certificate is not accepted ({cause.verify_message})"
        if isinstance(cause, ConnectionRefusedError):
            return ": it refused the connection"
        if isinstance(cause, OSError) and cause.strerror:
            return f": {cause.strerror}"
        cause = cause.__cause__ or cause.__context__
    return ""
