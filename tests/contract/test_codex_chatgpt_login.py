"""`process login codex` with a ChatGPT account: the real Codex, and a stand-in for who logs people in."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from process_agent.core.events import EndReason
from tests.contract.codex_room import codex_room
from tests.fakes.chatgpt import CODE, EMAIL, ChatGpt, callback_port, chatgpt, codex_of

PROCESS = (sys.executable, "-c", "from process_agent.cli import main; main()")
ACCOUNT = f"ChatGPT login (plus), {EMAIL}"


class Typed:
    """The program, while it runs."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._child = child
        self.said = ""

    async def line(self, part: str) -> str:
        """The next line that has this part."""
        assert self._child.stdout is not None
        while line := (await self._child.stdout.readline()).decode():
            self.said += line
            if part in line:
                return line.strip()
        raise AssertionError(self.said)

    async def end(self) -> int:
        assert self._child.stdout is not None
        self.said += (await self._child.stdout.read()).decode()
        return await self._child.wait()


@asynccontextmanager
async def typed(environment: dict[str, str], *arguments: str) -> AsyncIterator[Typed]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    nowhere = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY"), "http://127.0.0.1:1")
    child = await asyncio.create_subprocess_exec(
        *PROCESS, *arguments, env={**kept, **nowhere, **environment},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield Typed(child)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def run(environment: dict[str, str], *arguments: str) -> tuple[int, str]:
    async with typed(environment, *arguments) as program:
        return await program.end(), program.said


@pytest.fixture
async def there() -> AsyncIterator[ChatGpt]:
    async with chatgpt() as stand_in:
        yield stand_in


async def test_a_device_code_logs_in_pays_for_turns_and_logs_out(there: ChatGpt, tmp_path: Path) -> None:
    environment = codex_of(there, tmp_path)
    home = tmp_path / "home"
    async with typed(environment, "login", "codex", "--device-code") as program:
        assert await program.line(there.url) == f"{there.url}/codex/device"
        assert CODE in await program.line("enter the code")
        there.entered = True
        assert await program.end() == 0
    assert f"Logged in: {ACCOUNT}, kept in {home}" in program.said
    assert "s3cret" not in program.said
    assert (home / "auth.json").stat().st_mode & 0o077 == 0
    assert (await run(environment, "login", "codex", "--status"))[1].strip() == f"{ACCOUNT}, kept in {home}"
    await a_turn(there, environment, tmp_path)
    assert await run(environment, "logout", "codex") == (0, f"Logged out of {ACCOUNT} in {home}.\n")
    assert not (home / "auth.json").exists()


async def a_turn(there: ChatGpt, environment: dict[str, str], base: Path) -> None:
    """A provider that wants OpenAI's login gets the token of this one."""
    async with codex_room(base) as other:
        other.model.api_key = there.access_token
        config = Path(environment["CODEX_HOME"]) / "config.toml"
        config.write_text(
            f'model = "gpt-5.5"\nmodel_provider = "mine"\n{config.read_text()}[model_providers.mine]\n'
            f'name = "Mine"\nbase_url = "{other.model.base_url}"\nrequires_openai_auth = true\n'
        )
        second = base / "second"
        second.mkdir()
        async with codex_room(second, connect=False, environment=environment) as room:
            assert dict(room.summary.lines)["account"] == "ChatGPT login (plus)"
            told = await room.turn(await room.thread(), "say hello")
            assert (told.end.reason, told.text) == (EndReason.COMPLETED, "hello")
            assert other.model.requests[-1].headers["chatgpt-account-id"] == "account-1"


async def test_a_browser_logs_in(there: ChatGpt, tmp_path: Path) -> None:
    environment = codex_of(there, tmp_path)
    with callback_port():
        async with typed(environment, "login", "codex") as program:
            back, given = there.sign_in(await program.line("/oauth/authorize?"))
            async with httpx.AsyncClient(trust_env=False) as browser:
                forged = await browser.get(back, params={**given, "state": "forged"})
                assert forged.status_code == 400
                landed = await browser.get(back, params=given)
                await browser.get(landed.headers["location"])
            assert await program.end() == 0
    assert f"Logged in: {ACCOUNT}, kept in {tmp_path / 'home'}" in program.said


async def test_somebody_who_says_no_in_the_browser_is_not_logged_in(there: ChatGpt, tmp_path: Path) -> None:
    with callback_port():
        async with typed(codex_of(there, tmp_path), "login", "codex") as program:
            back, given = there.sign_in(await program.line("/oauth/authorize?"))
            no = {"error": "access_denied", "error_description": "not today", "state": given["state"]}
            async with httpx.AsyncClient(trust_env=False) as browser:
                await browser.get(back, params=no)
            assert await program.end() == 3
    assert "not today" in program.said
    assert "http" not in program.said.partition("Waiting")[2], "no address of a server"
    assert not (tmp_path / "home" / "auth.json").exists()


async def test_a_login_that_is_kept_though_its_account_cannot_be_looked_up_says_both(
    there: ChatGpt, tmp_path: Path
) -> None:
    there.entered, there.accounts_status = True, 503
    environment = codex_of(there, tmp_path)
    code, said = await run(environment, "login", "codex", "--device-code")
    assert code == 3
    assert "workspace routing discovery failed" in said
    assert "`process login codex --status` says whether it counts" in said
    code, said = await run(environment, "login", "codex", "--status")
    assert (code, "workspace routing discovery failed" in said) == (5, True)
    there.accounts_status = 200
    assert await run(environment, "login", "codex", "--status") == (
        0,
        f"{ACCOUNT}, kept in {tmp_path}/home\n",
    )
