"""`process login codex` and `logout`, with the real Codex; and logins that change while an agent runs.

Nothing here reaches the network: what would is pointed at a proxy that refuses.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from process_agent.core.events import EndReason
from tests.contract.codex_room import codex_room
from tests.fakes.chatgpt import callback_port

KEY = "sk-of-nobody-0123456789"
PROCESS = [sys.executable, "-c", "from process_agent.cli import main; main()"]


def environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "HTTPS_PROXY": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1"}


def process(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROCESS, *arguments], input=given, capture_output=True, text=True, env=environment(), timeout=60
    )


def status(*flags: str) -> tuple[int, dict[str, Any]]:
    told = process("login", "codex", "--status", "--json", *flags)
    return told.returncode, json.loads(told.stdout)


def test_a_key_comes_from_stdin_is_kept_by_codex_and_forgotten(tmp_path: Path) -> None:
    home = tmp_path / "codex"
    where = ("--codex-home", str(home))
    code, state = status(*where)
    assert (code, state["logged_in"]) == (3, False)
    told = process("login", "codex", "--api-key", *where, given=f"{KEY}\n")
    assert (told.returncode, told.stdout) == (0, f"Logged in: API key, kept in {home}\n")
    assert KEY not in told.stdout + told.stderr
    assert (home / "auth.json").stat().st_mode & 0o077 == 0
    assert status(*where) == (0, {"logged_in": True, "account": "API key", "home": str(home)})
    assert process("logout", "codex", *where).stdout == f"Logged out of API key in {home}.\n"
    assert status(*where)[0] == 3
    assert process("logout", "codex", *where).stdout == f"There was no login in {home}.\n"


@pytest.mark.parametrize(
    ("arguments", "given", "code", "said"),
    [
        (("codex", "--device-code"), "", 3, "could not begin the login"),
        (("codex", "--api-key"), " \n", 2, "is no API key"),
        (("codex", "--api-key"), f"{KEY} and more", 2, "is no API key"),
        (("codex", "--api-key", "--device-code"), KEY, 2, "exclude each other"),
        (("claude",), "", 2, "no backend 'claude'"),
    ],
)
def test_what_does_not_come_to_a_login_says_why(
    arguments: tuple[str, ...], given: str, code: int, said: str
) -> None:
    told = process("login", *arguments, given=given)
    assert (told.returncode, said in told.stderr) == (code, True), told.stderr
    assert KEY not in told.stdout + told.stderr
    assert "http" not in told.stderr, "no address of a server"


def test_the_browser_is_told_where_to_go_and_ctrl_c_gives_up(tmp_path: Path) -> None:
    arguments = [*PROCESS, "login", "codex", "--codex-home", str(tmp_path / "codex")]
    with callback_port():
        program = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
        )
        try:
            assert program.stdout is not None
            page = next(line.strip() for line in program.stdout if "https://" in line)
            assert page.startswith("https://auth.openai.com/oauth/authorize?")
            program.send_signal(signal.SIGINT)
            _, said = program.communicate(timeout=30)
        finally:
            program.kill()
            program.wait()
    assert program.returncode == 130
    assert "Given up; nothing was changed." in said
    assert not (tmp_path / "codex" / "auth.json").exists()


async def test_a_refused_login_ends_the_turn_with_the_way_out_and_a_new_one_counts(tmp_path: Path) -> None:
    home, base = tmp_path / "home", tmp_path / "second"
    home.mkdir()
    base.mkdir()

    def log_in(key: str) -> None:
        (home / "auth.json").write_text(json.dumps({"auth_mode": "apikey", "OPENAI_API_KEY": key}))

    async with codex_room(tmp_path) as other:
        (home / "config.toml").write_text(
            f'model = "gpt-5.5"\nmodel_provider = "mine"\n[model_providers.mine]\nname = "Mine"\n'
            f'base_url = "{other.model.base_url}"\nwire_api = "responses"\nrequires_openai_auth = true\n'
            "request_max_retries = 0\nstream_max_retries = 0\n"
        )
        log_in("expired")
        async with codex_room(base, connect=False, home=home) as room:
            assert dict(room.summary.lines)["account"] == "API key of the Codex login"
            thread = await room.thread()
            told = await room.turn(thread, "say one")
            assert told.end.reason is EndReason.FAILED
            assert told.end.error is not None
            assert told.end.error.code == "unauthorized"
            assert "`process login codex`" in told.end.error.message
            log_in(other.model.api_key)
            assert (await room.turn(thread, "say two")).text == "two"
