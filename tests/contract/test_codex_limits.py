"""What a provider says of a login's limits in its answers reaches the people in the room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.contract.codex_room import codex_room

HEADERS = (
    b"\r\nx-codex-primary-used-percent: 91.4\r\nx-codex-primary-window-minutes: 300"
    b"\r\nx-codex-primary-reset-at: 1795178040\r\nx-codex-secondary-used-percent: 12"
    b"\r\nx-codex-secondary-window-minutes: 10080"
)


@asynccontextmanager
async def telling_limits(model_url: str) -> AsyncIterator[str]:
    """The address of a server that passes everything on to the model and adds headers to its answers."""
    target = urlsplit(model_url)

    async def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_model, to_model = await asyncio.open_connection(target.hostname, target.port)

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter, added: bytes) -> None:
            while data := await source.read(65536):
                sink.write(data.replace(b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK" + added))
            sink.close()

        await asyncio.gather(
            copy(reader, to_model, b""), copy(from_model, writer, HEADERS), return_exceptions=True
        )

    server = await asyncio.start_server(passed_on, "127.0.0.1", 0)
    async with server:
        yield model_url.replace(str(target.port), str(server.sockets[0].getsockname()[1]))


async def test_a_login_that_comes_near_its_limit_says_so_once(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    async with codex_room(tmp_path) as other, telling_limits(other.model.base_url) as url:
        (home / "config.toml").write_text(
            'model = "gpt-5.5"\nmodel_provider = "mine"\n'
            f'[model_providers.mine]\nname = "Mine"\nbase_url = "{url}"\nwire_api = "responses"\n'
            f'experimental_bearer_token = "{other.model.api_key}"\n'
        )
        base = tmp_path / "second"
        base.mkdir()
        async with codex_room(base, connect=False, environment={"CODEX_HOME": str(home)}) as room:
            thread = await room.thread()
            told = await room.turn(thread, "say hello")
            assert told.text == "hello"
            texts = [str(start.arguments["message"]) for start, _ in told.tools("warning")]
            assert "91 % of the 5-hour limit of this Codex login is used; it begins anew on" in " ".join(
                texts
            )
            assert not (await room.turn(thread, "say again")).tools("warning")
