"""Where Codex connects to: behind a proxy that writes down every host, only the model's is seen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

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


async def test_with_a_login_only_its_provider_is_spoken_to(tmp_path: Path) -> None:
    """Codex by itself would fetch catalogues of plugins from GitHub and chatgpt.com."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "auth.json").write_text(json.dumps({"OPENAI_API_KEY": "sk-not-a-key"}))
    (home / "config.toml").write_text(
        'model = "gpt-5.5"\nmodel_provider = "mine"\n[model_providers.mine]\nname = "Mine"\n'
        'base_url = "https://api.openai.com/v1"\nrequires_openai_auth = true\n'
        "request_max_retries = 0\nstream_max_retries = 0\n"
    )
    async with proxied() as (proxy, environment):
        own = {**environment, "CODEX_HOME": str(home)}
        async with codex_room(tmp_path, connect=False, environment=own) as room:
            assert proxy.hosts == [], "a start asks nobody"
            told = await room.turn(await room.thread(), "say hello")
            assert told.end.reason is EndReason.FAILED
        assert set(proxy.hosts) == {"api.openai.com"}
