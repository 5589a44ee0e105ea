"""Logging in to MeshAgent against a stand-in of its REST API; httpx is the browser."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from process_agent import config
from process_agent.cli import login_meshagent as meshagent
from process_agent.errors import AuthError, UsageError
from process_agent.io.small_http import Asking, Reply, SmallServer
from process_agent.rooms import oauth
from process_agent.rooms.credentials import JoinWish, TokenRequest, resolve
from process_agent.rooms.login import login_file, read_login
from process_agent.rooms.signing_in import keep, renewed, sign_in
from tests.fakes.accounts import CLIENT_ID, Accounts, accounts
from tests.fakes.program import Program


@pytest.fixture
async def rest() -> AsyncIterator[tuple[str, Accounts]]:
    async with accounts() as there:
        yield there


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


class Browser:
    """Opens the page it is shown, in a thread, and follows it to our callback."""

    def __init__(self) -> None:
        self.answers: list[httpx.Response] = []
        self._threads: list[threading.Thread] = []

    def show(self, url: str) -> None:
        thread = threading.Thread(
            target=lambda: self.answers.append(httpx.get(url, follow_redirects=True, trust_env=False))
        )
        self._threads.append(thread)
        thread.start()

    def close(self) -> None:
        for thread in self._threads:
            thread.join(10)


@pytest.fixture
def browser() -> Iterator[Browser]:
    opened = Browser()
    yield opened
    opened.close()


def client(url: str) -> oauth.OAuthClient:
    return oauth.OAuthClient(url, CLIENT_ID)


async def test_sign_in_keep_and_use(tmp_path: Path, rest: tuple[str, Accounts], browser: Browser) -> None:
    url, there = rest
    session = await sign_in(client(url), browser.show, free_port())
    path = login_file(tmp_path)
    login = await keep(path, client(url), session)
    assert login.access_token in there.access
    assert login.who == "Ana, ana@example.com"
    browser.close()
    assert browser.answers[0].text.startswith("You are logged in")
    settings = config.load({"HOME": str(tmp_path), "MESHAGENT_PROJECT_ID": "p1"})
    wish = JoinWish("demo", "ana")
    assert isinstance(resolve(wish, settings, read_login(path, None), time.time()), TokenRequest)


async def test_a_session_is_renewed_when_it_ends(
    tmp_path: Path, rest: tuple[str, Accounts], browser: Browser
) -> None:
    url, there = rest
    there.lifetime = 60
    path = login_file(tmp_path)
    old = await keep(path, client(url), await sign_in(client(url), browser.show, free_port()))
    there.lifetime = 3600
    new = await renewed(path, old, client(url), time.time())
    assert new.access_token != old.access_token
    assert new.expires is not None
    assert new.expires > time.time() + 3000
    assert await renewed(path, new, client(url), time.time()) is new
    # The old refresh token is used up, and somebody else has renewed already.
    there.refresh.clear()
    assert (await renewed(path, old, client(url), time.time())).access_token == new.access_token
    with pytest.raises(AuthError, match="invalid_grant"):
        await renewed(path, old, client(url), time.time() + 10_000)


async def test_what_refuses_a_sign_in(rest: tuple[str, Accounts], browser: Browser) -> None:
    url, there = rest
    there.refuse["/oauth/token"] = 400
    with pytest.raises(AuthError, match="refused the login"):
        await sign_in(client(url), browser.show, free_port())


async def test_a_taken_port_is_said(rest: tuple[str, Accounts]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match="come back"):
            await sign_in(client(rest[0]), lambda url: None, port)


async def test_without_a_client_of_ours_it_says_what_to_do(tmp_path: Path) -> None:
    place = meshagent.account(config.load({"HOME": str(tmp_path)}))
    with pytest.raises(UsageError, match="MESHAGENT_OAUTH_CLIENT_ID"):
        await meshagent.in_browser(place)


async def test_the_small_server_bears_anything() -> None:
    seen: list[Asking] = []

    def answer(asking: Asking) -> Reply:
        seen.append(asking)
        return Reply(200, "yes")

    server = SmallServer(["127.0.0.1"], 0, answer)
    await server.start()
    try:
        async with httpx.AsyncClient(trust_env=False) as http:
            base = f"http://127.0.0.1:{server.port}"
            assert (await http.get(f"{base}/a?b=c")).text == "yes\n"
            assert (await http.head(base)).text == ""
            assert (await http.post(base, content=b"x" * 100_000)).status_code == 405
        for bad in (b"\x00\x01\x02\r\n\r\n", b"GET /" + b"a" * 40_000, b""):
            assert await _said(server.port, bad) == b""
    finally:
        await server.close()
    assert [each.target for each in seen] == ["/a?b=c", "/"]


async def _said(port: int, sent: bytes) -> bytes:
    """The answer to these bytes, and then the end; an aborted connection says nothing."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        writer.write_eof()
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def test_the_commands_with_an_api_key(tmp_path: Path) -> None:
    program = Program(tmp_path / "home")
    key = "ma-AAAAAAAAAAAAAAAAAAAAAQ-AAAAAAAAAAAAAAAAAAAAAg-secret.part"
    project = "00000000-0000-0000-0000-000000000002"
    assert program.run("login --status").returncode == 3
    done = program.run("login --api-key", stdin=f"{key}\n")
    assert done.returncode == 0
    assert "secret" not in done.stdout + done.stderr
    status = json.loads(program.run("login --status --json").stdout)
    assert (status["project"], status["api_keys_of"], status["session"]) == (project, [project], False)
    assert program.run("login --api-key", stdin="not a key").returncode != 0
    assert program.run("login --api-key --project-id p2", stdin=f"{key}\n").returncode == 2
    assert "Logged out" in program.run("logout").stdout
    assert program.run("login meshagent --status").returncode == 3
    assert "--local --data-dir 'a b'" in program.run("setup --data-dir", "a b", stdin="1\n3\n").stdout
