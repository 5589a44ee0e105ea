"""Where Codex connects to: only to the model's host.

Behind a proxy that writes down every host, and, as not everybody heeds a proxy, in a network of its own where
every packet is seen (`tests.fakes.watched_network`).
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from process_agent.core.events import ContextCompacted, EndReason
from tests.contract.codex_room import codex_room, script

MODEL = "model.example"


class Proxy:
    """An HTTP proxy that knows one host, the model's, refuses the others, and remembers all of them."""

    def __init__(self) -> None:
        self.hosts: list[str] = []
        self.model = ("127.0.0.1", 0)
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            method, target, _ = (await reader.readline()).decode().split(" ", 2)
            host = target.rpartition(":")[0] if method == "CONNECT" else str(urlsplit(target).hostname)
            self.hosts.append(host)
            if host != MODEL or method == "CONNECT":
                writer.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                return
            from_model, to_model = await asyncio.open_connection(*self.model)
            to_model.write(f"{method} {urlsplit(target).path} HTTP/1.1\r\nconnection: close\r\n".encode())
            await asyncio.gather(copy(reader, to_model), copy(from_model, writer))
        except (ValueError, ConnectionError):
            pass  # whoever asked has left
        finally:
            writer.close()


async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Until the source ends; without headers that keep a connection for a request we would not see."""
    while data := await source.read(65536):
        sink.write(data.replace(b"connection: keep-alive", b"x-connection: none"))
        await sink.drain()
    sink.close()


@asynccontextmanager
async def proxied() -> AsyncIterator[tuple[Proxy, dict[str, str]]]:
    """A proxy and the environment that makes programs use it."""
    proxy = Proxy()
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        names = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
        yield proxy, dict.fromkeys(names, url)


async def test_with_a_key_only_the_model_is_spoken_to(tmp_path: Path) -> None:
    """At the start, in turns with commands and patches, for a title and for a compaction."""
    async with codex_room(tmp_path) as other, proxied() as (proxy, environment):
        address = urlsplit(other.model.base_url)
        assert address.hostname is not None
        assert address.port is not None
        proxy.model = (address.hostname, address.port)
        base = tmp_path / "second"
        base.mkdir()
        provider = {"base_url": f"http://{MODEL}{address.path}", "api_key": other.model.api_key}
        async with codex_room(base, connect=False, environment=environment, **provider) as room:
            assert proxy.hosts == [], "a start asks nobody"
            thread = await room.thread()
            told = await room.turn(
                thread, script({"run": "echo hi"}, {"write": "a", "content": "a\n"}, {"report": True})
            )
            assert told.end.reason is EndReason.COMPLETED
            assert await room.backend.title("A day at the sea") is not None
            assert (await room.turn(thread, None, compact=True)).of(ContextCompacted)
        assert set(proxy.hosts) == {MODEL}
        assert len(proxy.hosts) == len(other.model.requests)


def log_in(home: Path) -> None:
    """A Codex folder with a key for OpenAI."""
    home.mkdir()
    (home / "auth.json").write_text(json.dumps({"OPENAI_API_KEY": "sk-not-a-key"}))
    (home / "config.toml").write_text(
        'model = "gpt-5.5"\nmodel_provider = "mine"\n[model_providers.mine]\nname = "Mine"\n'
        'base_url = "https://api.openai.com/v1"\nrequires_openai_auth = true\n'
        "request_max_retries = 0\nstream_max_retries = 0\n"
    )


async def test_with_a_login_only_its_provider_is_spoken_to(tmp_path: Path) -> None:
    """Codex by itself would fetch catalogues of plugins from GitHub and chatgpt.com."""
    home = tmp_path / "home"
    log_in(home)
    async with proxied() as (proxy, environment):
        own = {**environment, "CODEX_HOME": str(home)}
        async with codex_room(tmp_path, connect=False, environment=own) as room:
            assert proxy.hosts == [], "a start asks nobody"
            told = await room.turn(await room.thread(), "say hello")
            assert told.end.reason is EndReason.FAILED
        assert set(proxy.hosts) == {"api.openai.com"}


WATCHED = """
import asyncio, json, socket, sys
from pathlib import Path
from tests.fakes.watched_network import Watch, enter
try:
    enter()
except OSError as error:
    print(error, file=sys.stderr)
    sys.exit(77)
from process_agent.scripted.server import ScriptedServer
from tests.contract.codex_room import codex_room, script

async def main():
    watch, base, home = Watch(), Path(sys.argv[1]), sys.argv[2]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as noise:
        noise.sendto(b"seen?", ("192.0.2.1", 9))
    own = dict(connect=False, environment={"CODEX_HOME": home}) if home else {}
    async with ScriptedServer() as model, codex_room(base, model=model, **own) as room:
        thread = await room.thread()
        actions = ({"run": "echo hi"}, {"write": "a", "content": "a\\n"}, {"report": True})
        ends = [(await room.turn(thread, script(*actions))).end.reason]
        if not home:
            await room.backend.title("A day at the sea")
            ends.append((await room.turn(thread, None, compact=True)).end.reason)
    watch.close()
    port = int(model.base_url.rpartition(":")[2].partition("/")[0])
    tried = [(a.what, a.address, "model" if a.port == port else a.port) for a in sorted(watch.attempts)]
    print(json.dumps([ends, tried]))

asyncio.run(main())
"""


def watched(base: Path, home: Path | None = None) -> tuple[list[str], set[tuple[str, str, str | int]]]:
    """How turns ended in a network where all is seen, and what was tried there, the test's noise left out."""
    ran = subprocess.run(
        [sys.executable, "-c", WATCHED, str(base), str(home or "")],
        capture_output=True, text=True, timeout=60, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    if ran.returncode == 77 and not os.environ.get("CI"):
        pytest.skip(f"this machine allows no network of one's own: {ran.stderr}")
    assert ran.returncode == 0, ran.stderr
    ends, tried = json.loads(ran.stdout)
    found = {tuple(each) for each in tried}
    assert ("udp", "192.0.2.1", 9) in found, "packets are seen"
    return ends, found - {("udp", "192.0.2.1", 9)}


@pytest.mark.skipif(sys.platform != "linux", reason="network namespaces are Linux's")
def test_with_a_key_no_packet_goes_elsewhere_whether_by_the_proxy_or_not(tmp_path: Path) -> None:
    ends, tried = watched(tmp_path)
    assert ends == ["completed", "completed"]
    assert tried == {("tcp", "127.0.0.1", "model")}


@pytest.mark.skipif(sys.platform != "linux", reason="network namespaces are Linux's")
def test_with_a_login_no_other_name_is_asked_for(tmp_path: Path) -> None:
    log_in(tmp_path / "home")
    ends, tried = watched(tmp_path, tmp_path / "home")
    assert ends == ["failed"]
    assert {name for name, _, _ in tried} == {"api.openai.com"}
