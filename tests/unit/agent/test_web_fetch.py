"""Pages of the web as a tool: what is read, what is refused, what asks."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from process_agent.agent.shelf import Shelf
from process_agent.agent.tools import web
from process_agent.agent.tools.tool import Call, Plan
from process_agent.agent.tools.web import WebTools
from process_agent.core.addresses import is_public
from process_agent.core.events import ToolRef
from process_agent.core.ids import ItemId
from process_agent.core.tools import ToolOutput
from process_agent.errors import ToolFailedError
from process_agent.io import fetch
from tests.fakes.tools import scope, text_of
from tests.fakes.web_site import Site, site

PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 20
HTML = b"""<html><head><title>Pears &amp; more</title><style>p {}</style></head><body><script>evil()</script>
<h1>Pears</h1><p>They are <b>sweet</b>, see <a href="/more">more</a>.</p>
<ul><li>one</li></ul></body></html>"""

PAGES = {
    "/": ("200 OK\ncontent-type: text/html; charset=utf-8", HTML),
    "/packed": ("200 OK\ncontent-type: text/html\ncontent-encoding: gzip", gzip.compress(HTML)),
    "/bomb": ("200 OK\ncontent-type: text/plain\ncontent-encoding: gzip", gzip.compress(b"0" * 50_000_000)),
    "/brotli": ("200 OK\ncontent-type: text/plain\ncontent-encoding: br", b"??"),
    "/latin": ("200 OK\ncontent-type: text/plain; charset=latin-1", "Müller".encode("latin-1")),
    "/odd": ("200 OK\ncontent-type: text/plain; charset=no-such", b"odd"),
    "/long": ("200 OK\ncontent-type: text/plain", b"a" * 60_000),
    "/image": ("200 OK\ncontent-type: image/png", PNG),
    "/a.pdf": ("200 OK\ncontent-type: application/pdf", b"%PDF-1.7"),
    "/deep": ("200 OK\ncontent-type: text/html", b"<div>" * 5_000 + b"deep"),
    "/there": ("302 Found\nlocation: /latin", b""),
    "/round": ("302 Found\nlocation: /round", b""),
    "/inside": ("302 Found\nlocation: http://169.254.169.254/latest/meta-data", b""),
    "/file": ("302 Found\nlocation: file:///etc/passwd", b""),
}


async def plan(tools: WebTools, **arguments: Any) -> Plan:
    (tool,) = tools.toolkit().tools
    assert tool.prepare is not None
    return await tool.prepare(arguments, scope())


async def read(tools: WebTools, url: str, **arguments: Any) -> ToolOutput:
    """Fetch as if somebody allowed it."""
    given = {"url": url, **arguments}
    found = await plan(tools, **given)
    return await found.run(Call(ToolRef(ItemId("i"), "web_fetch", "fetch"), given, scope(), lambda *_: None))


@pytest.fixture
def open_doors(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine counts as public, the rest of the inside does not."""
    real = is_public
    monkeypatch.setattr(fetch, "is_public", lambda address: address == "127.0.0.1" or real(address))


async def test_pages_are_read_as_markdown_text_and_images(open_doors: None, tmp_path: Path) -> None:
    tools = WebTools(Shelf(tmp_path))
    async with site(PAGES) as there:
        for path in ("/", "/packed"):
            text = text_of(await read(tools, there.url + path))
            assert text.startswith(f"{there.url}{path}\n\n# Pears & more\n\n# Pears")
            assert "They are **sweet**, see [more](/more).\n\n- one" in text
            assert "evil" not in text
        assert "Müller" in text_of(await read(tools, f"{there.url}/there"))
        assert "odd" in text_of(await read(tools, f"{there.url}/odd"))
        assert "deep" in text_of(await read(tools, f"{there.url}/deep"))
        image = await read(tools, f"{there.url}/image")
        assert image.images[0].startswith("data:image/png;base64,")
        assert f"Commands find a copy at {tmp_path}/" in text_of(await read(tools, f"{there.url}/a.pdf"))
    assert "cookie" not in "".join(there.heads).lower()


async def test_what_is_long_is_read_on_and_what_unpacks_without_end_is_cut(open_doors: None) -> None:
    tools = WebTools()
    async with site(PAGES) as there:
        first = text_of(await read(tools, f"{there.url}/long"))
        assert first.endswith("[Characters 0 to 50000 of 60000; go on with offset.]")
        rest = text_of(await read(tools, f"{there.url}/long", offset=50_000))
        assert rest.endswith("[Characters 50000 to 60000 of 60000.]")
        bomb = text_of(await read(tools, f"{there.url}/bomb"))
        assert f"[The page was cut after {fetch.MAX_BYTES:,} bytes.]" in bomb


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/gone", "HTTP 404"),
        ("/round", "more than 5 times"),
        ("/inside", "not a public address"),
        ("/file", "Only pages at http:// and https://"),
        ("/brotli", "packed as 'br'"),
        ("/a.pdf", "of the kind application/pdf"),
    ],
)
async def test_what_cannot_be_read_says_why(open_doors: None, path: str, why: str) -> None:
    async with site(PAGES) as there:
        with pytest.raises(ToolFailedError, match=why):
            await read(WebTools(), there.url + path)


@pytest.mark.parametrize(
    "inside",
    [
        *("http://127.0.0.1:{port}/", "http://localhost:{port}/", "http://[::1]:{port}/"),
        *("http://127.1:{port}/", "http://2130706433:{port}/", "http://0x7f000001:{port}/"),
        *("http://[::ffff:127.0.0.1]:{port}/", "http://0.0.0.0:{port}/", "http://inside.example:{port}/"),
    ],
)
async def test_nothing_inside_is_reached_by_any_spelling_or_name(
    inside: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def lookup(host: Any, *arguments: Any, **named: Any) -> Any:
        return real("127.0.0.1" if host == "inside.example" else host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    async with site(PAGES) as there:
        port = there.url.rpartition(":")[2]
        with pytest.raises(ToolFailedError, match="not a public address"):
            await read(WebTools(), inside.format(port=port))
        assert there.asked == []


async def test_a_name_is_looked_up_once_and_what_was_checked_is_connected_to(
    open_doors: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = socket.getaddrinfo

    def lookup(host: Any, *arguments: Any, **named: Any) -> Any:
        asked.append(host)
        return real("127.0.0.1" if host == "moves.example" else host, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    async with site(PAGES) as there:
        port = there.url.rpartition(":")[2]
        await read(WebTools(), f"http://moves.example:{port}/latin")
    assert asked.count("moves.example") == 1
    assert f"Host: moves.example:{port}".lower() in there.heads[0].lower()


async def test_one_inside_address_of_a_name_refuses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def lookup(*_: Any, **__: Any) -> Any:
        return [(2, 1, 6, "", (address, 0)) for address in ("93.184.216.34", "10.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(ToolFailedError, match="not a public address"):
        await read(WebTools(), "http://both.example/")


async def test_an_address_that_nobody_wrote_asks_for_its_host(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = await plan(WebTools(), url="https://Pears.example/?secret=1#top")
    assert asked.need is not None
    assert asked.need.lasting
    assert "https://Pears.example/?secret=1, an address that nobody wrote here" in asked.need.reason
    written = {"https://pears.example/a?b=1"}

    async def was_written(url: str, _: object) -> bool:
        return web.same(url) in written

    monkeypatch.setattr(web, "_was_written", was_written)
    assert (await plan(WebTools(), url="HTTPS://PEARS.example/a?b=1#x")).need is None
    always = await plan(WebTools(ask_always=True), url="https://pears.example/a?b=1")
    assert always.need is not None
    assert not always.need.lasting
    for url in ("ftp://x.example", "https://u:p@x.example", "https://x.example/a b", "x", 3):
        with pytest.raises(ToolFailedError):
            await plan(WebTools(), url=url)


async def test_a_site_that_says_nothing_is_given_up(
    open_doors: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "TIMES", httpx.Timeout(0.05))

    async def silent(self: Site, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    monkeypatch.setattr(Site, "serve", silent)
    async with site(PAGES) as there:
        with pytest.raises(ToolFailedError, match="does not answer in time"):
            await read(WebTools(), there.url)


def certificate(folder: Path, name: str) -> Path:
    """A certificate of a host with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    plain = serialization.NoEncryption()
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    file.write_bytes(made.public_bytes(pem) + key.private_bytes(pem, pkcs8, plain))
    return file


@pytest.mark.parametrize(("host", "fits"), [("moves.example", True), ("other.example", False)])
async def test_tls_is_about_the_name_and_not_the_address_that_was_checked(
    open_doors: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: str, fits: bool
) -> None:
    real, file = socket.getaddrinfo, certificate(tmp_path, "moves.example")

    def lookup(name: Any, *arguments: Any, **named: Any) -> Any:
        return real("127.0.0.1" if str(name).endswith(".example") else name, *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    trusting = partial(httpx.AsyncHTTPTransport, verify=ssl.create_default_context(cafile=str(file)))
    monkeypatch.setattr(httpx, "AsyncHTTPTransport", trusting)
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(file)
    found = Site(PAGES)
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0, ssl=serving)
    async with server:
        url = f"https://{host}:{server.sockets[0].getsockname()[1]}/latin"
        if fits:
            assert "Müller" in text_of(await read(WebTools(), url))
        else:
            with pytest.raises(ToolFailedError, match="the connection failed"):
                await read(WebTools(), url)
            assert found.asked == []
