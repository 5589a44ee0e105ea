"""HTTP to places that strangers name: every host is looked up, every address checked, and the connection goes
to the address that was checked.

No proxy of the environment is used: it would connect to whatever it is told.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Final

import httpx

from process_agent.core.addresses import is_public
from process_agent.errors import ToolFailedError

MAX_ANSWER: Final = 64 * 1024 * 1024
"""Bytes of one answer, however long it is streamed."""

LOOKUP_SECONDS: Final = 10.0

type Allowed = Callable[[str], bool]
"""Whether an address, as a number, may be connected to."""


def anywhere(address: str) -> bool:
    """Every address may be connected to."""
    return True


class CheckedTransport(httpx.AsyncBaseTransport):
    """Connects to `allowed` addresses only; raises `ToolFailedError` for all others. Whoever makes it closes
    it. Meant for the requests of one purpose: connections are kept by address and not by name.
    """

    def __init__(self, allowed: Allowed = is_public, *, limit: int = MAX_ANSWER) -> None:
        self._allowed = allowed
        self._limit = limit
        self._inner = httpx.AsyncHTTPTransport(retries=0, trust_env=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx."""
        host = request.url.host
        if self._allowed is not anywhere:
            address = await checked_address(host, request.url.port, self._allowed)
            # The header Host was made from the name, and TLS asks for the name too.
            request.extensions = {**request.extensions, "sni_hostname": host}
            request.url = request.url.copy_with(host=address)
        response = await self._inner.handle_async_request(request)
        if isinstance(response.stream, httpx.AsyncByteStream):
            response.stream = _Limited(response.stream, self._limit)
        return response

    async def aclose(self) -> None:
        """See httpx."""
        await self._inner.aclose()


async def checked_address(host: str, port: int | None, allowed: Allowed = is_public) -> str:
    """The address to connect to. One address of a name that is not allowed refuses the name: what a name
    means may change from one moment to the next. Raises `ToolFailedError`.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(LOOKUP_SECONDS):
            found = await loop.getaddrinfo(host, port or 0, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise ToolFailedError(f"{host[:200]} could not be looked up in {LOOKUP_SECONDS:g} s.") from None
    except (OSError, UnicodeError):
        raise ToolFailedError(f"There is no host {host[:200]}.") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not addresses or not all(allowed(address) for address in addresses):
        raise ToolFailedError(
            f"{host[:200]} is not a public address: only the internet is reached from here."
        )
    return addresses[0]


class _Limited(httpx.AsyncByteStream):
    """A stream that is cut with an error where it gets too long."""

    def __init__(self, stream: httpx.AsyncByteStream, limit: int) -> None:
        self._stream = stream
        self._left = limit
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            self._left -= len(piece)
            if self._left < 0:
                raise ToolFailedError(f"The answer has more than {self._limit:,} bytes.")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()
