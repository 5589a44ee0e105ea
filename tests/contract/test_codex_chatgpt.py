"""`process login codex` with a ChatGPT account, both ways, and turns of that account; OpenAI is played."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import codex_cli_bin
import httpx
import pytest

from process_agent.io.codex_program import OVERRIDE
from process_agent.scripted.server import ScriptedServer
from tests.contract.codex_room import codex_room
from tests.contract.test_codex_login import PROCESS, environment
from tests.fakes.chatgpt import ACCOUNT, CODE, EMAIL, USER_CODE, ChatGpt, chatgpt


@pytest.fixture
async def openai(tmp_path: Path, model: ScriptedServer) -> AsyncIterator[ChatGpt]:
    with chatgpt(tmp_path, model.base_url, model.api_key) as one:
        yield one


@pytest.fixture
def home(tmp_path: Path, openai: ChatGpt) -> Path:
    """Codex's folder, with the address of that ChatGPT."""
    folder = tmp_path / "codex-home"
    folder.mkdir()
    (folder / "config.toml").write_text(
        f'chatgpt_base_url = "{openai.url}/backend-api"\n[features]\nenable_request_compression = false\n'
    )
    return folder


@pytest.fixture
def variables(tmp_path: Path, openai: ChatGpt) -> dict[str, str]:
    """For the real Codex, which asks that issuer instead of OpenAI's and trusts it."""
    real = Path(codex_cli_bin.bundled_codex_path())
    program = tmp_path / "codex"
    program.write_text(f'#!/bin/sh\nCODEX_APP_SERVER_LOGIN_ISSUER={openai.url} exec "{real}" "$@"\n')
    program.chmod(0o755)
    return {OVERRIDE: str(program), "CODEX_CA_CERTIFICATE": str(openai.authority)}


async def test_the_code_of_a_device_and_then_a_turn_of_the_account(
    tmp_path: Path, openai: ChatGpt, home: Path, variables: dict[str, str]
) -> None:
    def enter_the_code(said: list[str]) -> bool:
        if not any(USER_CODE in line for line in said):
            return False
        assert any(f"{openai.url}/codex/device" in line for line in said)
        openai.granted.set()
        return True

    said = await asyncio.to_thread(log_in, [str(home), "--device-code"], variables, enter_the_code)
    assert said == f"Logged in: ChatGPT login (plus), {EMAIL}, kept in {home}\n"
    assert (home / "auth.json").stat().st_mode & 0o077 == 0
    async with codex_room(tmp_path, connect=False, home=home, environment=variables) as room:
        assert dict(room.summary.lines)["account"] == "ChatGPT login (plus)"
        told = await room.turn(await room.thread(), "say one")
        assert told.text == "one"
    sent = openai.headers[-1]
    assert (sent["authorization"], sent["chatgpt-account-id"]) == (f"Bearer {openai.access_token}", ACCOUNT)


async def test_the_browser_comes_back_with_a_code(
    openai: ChatGpt, home: Path, variables: dict[str, str]
) -> None:
    def follow(said: list[str]) -> bool:
        pages = [line.strip() for line in said if "/oauth/authorize?" in line]
        if not pages:
            return False
        asked = {name: each[0] for name, each in parse_qs(urlsplit(pages[0]).query).items()}
        assert pages[0].startswith(f"{openai.url}/oauth/authorize?")
        assert urlsplit(asked["redirect_uri"]).hostname in ("127.0.0.1", "localhost")
        back = {"code": CODE, "state": asked["state"]}
        wrong = httpx.get(asked["redirect_uri"], params=back | {"state": "forged"}, trust_env=False)
        assert wrong.status_code == 400, "an answer to a question of somebody else"
        httpx.get(asked["redirect_uri"], params=back, trust_env=False, follow_redirects=True)
        return True

    said = await asyncio.to_thread(log_in, [str(home)], variables, follow)
    assert said == f"Logged in: ChatGPT login (plus), {EMAIL}, kept in {home}\n"
    stored = json.loads((home / "auth.json").read_text())
    assert stored["tokens"]["access_token"] == openai.access_token


def log_in(arguments: list[str], variables: dict[str, str], person: Callable[[list[str]], bool]) -> str:
    """Run the command; `person` sees its lines until they know what to do. The last line."""
    program = subprocess.Popen(
        [*PROCESS, "login", "codex", "--codex-home", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**environment(), **variables, "NO_PROXY": "127.0.0.1,localhost"},
    )
    said: list[str] = []
    acted = False
    try:
        assert program.stdout is not None
        for line in program.stdout:
            said.append(line)
            acted = acted or person(said)
        assert program.wait(20) == 0, said
    finally:
        program.kill()
        program.communicate()
    assert acted, said
    return said[-1]
