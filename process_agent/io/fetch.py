"""One page of the web, by GET: hosts checked at every step, size and time limited."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urldefrag, urljoin, urlsplit

import httpx

from process_agent.core.addresses import is_public
from process_agent.errors import ToolFailedError
from process_agent.io.public_http import CheckedTransport

MAX_BYTES: Final = 6 * 1024 * 1024
"""Bytes of a page, unpacked; the rest is left out."""

MAX_REDIRECTS: Final = 5
MAX_URL: Final = 4_000

TIMES: Final = httpx.Timeout(10.0, read=20.0)

_HEADERS: Final = {
    "user-agent": "process-agent (fetches a page for a person)",
    "accept": "text/html,application/xhtml+xml,text/*;q=0.9,application/json;q=0.9,image/*;q=0.8,*/*;q=0.5",
    "accept-encoding": "gzip",
}


@dataclass(frozen=True, slots=True)
class Page:
    """What came from `url`, the last of all redirects. `kind` is its media type without parameters, `charset`
    what the server says of its text; `cut` when there was more.
    """

    url: str
    kind: str
    charset: str | None
    data: bytes = field(repr=False)
    cut: bool = False


def page_address(text: str) -> str:
    """The address of a page, without its fragment. Raises `ToolFailedError` for one that is not fetched."""
    url = urldefrag(text.strip()).url
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ToolFailedError("That is no address of a page.") from None
    if parts.scheme.lower() not in ("http", "https") or not host or port == 0:
        raise ToolFailedError("Only pages at http:// and https:// addresses are fetched.")
    if parts.username is not None or parts.password is not None:
        raise ToolFailedError("An address with a login in it is not fetched.")
    if len(url) > MAX_URL or not url.isprintable() or " " in url:
        raise ToolFailedError(f"An address has at most {MAX_URL} characters, without spaces.")
    return url


async def fetch(url: str) -> Page:
    """Get a page. No cookies, no logins, no referrer; each redirect is checked as the first address is.
    Raises `ToolFailedError`.
    """
    for _ in range(MAX_REDIRECTS + 1):
        found = await _step(page_address(url))
        if isinstance(found, Page):
            return found
        url = urljoin(url, found)
    raise ToolFailedError(f"The page leads on more than {MAX_REDIRECTS} times.")


async def _step(url: str) -> Page | str:
    """The page, or where it leads on."""
    client = httpx.AsyncClient(
        transport=CheckedTransport(is_public), timeout=TIMES, trust_env=False, headers=_HEADERS
    )
    try:
        async with client, client.stream("GET", url) as answer:
            if answer.has_redirect_location:
                return answer.headers["location"]
            if answer.status_code >= 300:
                raise ToolFailedError(f"{url} answers with HTTP {answer.status_code}.")
            data = bytearray()
            async for piece in _unpacked(answer):
                data += piece
                if len(data) > MAX_BYTES:
                    break
            kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
            return Page(url, kind, answer.charset_encoding, bytes(data[:MAX_BYTES]), len(data) > MAX_BYTES)
    except httpx.TimeoutException:
        raise ToolFailedError(f"{url} does not answer in time.") from None
    except (httpx.HTTPError, zlib.error, httpx.InvalidURL):
        raise ToolFailedError(f"{url} cannot be fetched: the connection failed.") from None


async def _unpacked(answer: httpx.Response) -> AsyncIterator[bytes]:
    """The body; what is packed is unpacked a piece at a time, however large it would become."""
    packing = answer.headers.get("content-encoding", "identity").strip().lower()
    if packing == "identity":
        async for piece in answer.aiter_raw():
            yield piece
        return
    if packing not in ("gzip", "x-gzip", "deflate"):
        raise ToolFailedError(f"The page is packed as {packing[:20]!r}, which was not asked for.")
    unpacking = zlib.decompressobj(wbits=47)
    async for piece in answer.aiter_raw():
        yield unpacking.decompress(piece, MAX_BYTES + 1)
