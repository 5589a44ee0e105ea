"""Starting and ending Codex: accounts, bad programs, the sandbox, and what is left behind."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from backends.codex import client
from process_agent.core.backend import ToolkitInfo
from process_agent.core.content import JsonResult
from process_agent.core.decisions import Decision
from process_agent.core.events import ApprovalRequested, EndReason, UsageUpdated
from process_agent.core.models import ModelChoice
from process_agent.errors import AuthError, BackendError
from process_agent.io.child import Child
from process_agent.scripted.server import ScriptedServer
from tests.contract.codex_room import codex_room, script


def program(folder: Path, text: str) -> str:
    path = folder / "codex"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


async def start(base: Path, **settings: Any) -> None:
    async with codex_room(base, **settings):
        raise AssertionError("it started")


async def test_without_a_model_it_is_the_documented_one(tmp_path: Path) -> None:
    async with (
        ScriptedServer() as model,
        codex_room(tmp_path, connect=False, base_url=model.base_url, api_key=model.api_key) as room,
    ):
        assert room.backend.default_model() == ModelChoice("codex", "openai", "gpt-5.5")
        (provider,) = room.backend.models()
        assert [each.name for each in provider.models if each.active] == ["gpt-5.5"]


async def test_without_credentials_it_says_the_three_ways(tmp_path: Path) -> None:
    with pytest.raises(AuthError) as missing:
        await start(tmp_path, connect=False)
    assert missing.value.exit_code == 3
    for way in ("OPENAI_API_KEY", "process login codex", "--provider scripted"):
        assert way in str(missing.value)


async def test_a_codex_folder_without_a_login_is_no_login(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.toml").write_text('model = "gpt-5.5"\n')
    with pytest.raises(AuthError):
        await start(tmp_path, connect=False, environment={"CODEX_HOME": str(home)})


async def test_the_users_own_provider_and_model_are_used(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    async with codex_room(tmp_path) as other:
        (home / "config.toml").write_text(
            'model = "gpt-5.5"\nmodel_provider = "mine"\nsandbox_mode = "read-only"\n'
            f'[model_providers.mine]\nname = "Mine"\nbase_url = "{other.model.base_url}"\n'
            f'wire_api = "responses"\nexperimental_bearer_token = "{other.model.api_key}"\n'
        )
        base = tmp_path / "second"
        base.mkdir()
        async with codex_room(base, connect=False, environment={"CODEX_HOME": str(home)}) as room:
            assert dict(room.summary.lines)["account"] == "provider of the user's Codex configuration"
            assert dict(room.summary.lines)["model"] == "gpt-5.5"
            read = f"cat {home}/config.toml; touch made"
            told = await room.turn(await room.thread(), script({"run": read}, {"report": True}))
            assert other.model.requests[-1].body["model"] == "gpt-5.5"
            assert "Permission denied" in told.text
            assert other.model.api_key not in told.text
            assert (room.folder / "made").exists(), "our sandbox setting wins over the user's"


MCP_SERVER = """
import json, os, sys

with open(os.path.join(os.path.dirname(__file__), "started"), "a") as file:
    file.write("x")
TOOL = {"name": "weigh", "description": "Weighs\\na thing.", "inputSchema": {"type": "object"}}
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    server = {"name": "scales", "title": "The scales", "version": "1"}
    version = (asked.get("params") or {}).get("protocolVersion")
    results = {
        "initialize": {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": server},
        "tools/list": {"tools": [TOOL]},
    }
    answer = {"jsonrpc": "2.0", "id": asked["id"], "result": results.get(asked["method"], {})}
    print(json.dumps(answer), flush=True)
"""


async def test_the_users_servers_and_limits_count(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "server.py").write_text(MCP_SERVER)
    async with codex_room(tmp_path) as other:
        (home / "config.toml").write_text(
            'model = "gpt-5.5"\nmodel_provider = "mine"\nmodel_auto_compact_token_limit = 9000\n'
            f'[model_providers.mine]\nname = "Mine"\nbase_url = "{other.model.base_url}"\n'
            f'wire_api = "responses"\nexperimental_bearer_token = "{other.model.api_key}"\n'
            f'[mcp_servers.scales]\ncommand = "{sys.executable}"\nargs = ["{home}/server.py"]\n'
        )
        base = tmp_path / "second"
        base.mkdir()
        async with codex_room(base, connect=False, environment={"CODEX_HOME": str(home)}) as room:
            await room.backend.listed()
            own, scales = room.backend.toolkits()
            assert own.name == "codex"
            assert scales == ToolkitInfo("scales", "The scales", (("weigh", "Weighs a thing."),))
            told = await room.turn(await room.thread(), script({"tokens": 100}, {"say": "hello"}))
            context = told.of(UsageUpdated)[-1].context
            assert context is not None
            assert context.compacts_at == 9_000
            before = len((home / "started").read_text())
            assert await room.backend.title("What do my things weigh?") == "What do my things weigh?"
            assert len((home / "started").read_text()) == before, "a title needs no servers"


async def test_a_key_and_an_address_make_a_provider(tmp_path: Path) -> None:
    async with codex_room(tmp_path) as other:
        base = tmp_path / "second"
        base.mkdir()
        key = {"base_url": other.model.base_url, "api_key": other.model.api_key}
        async with codex_room(base, connect=False, **key) as room:
            assert dict(room.summary.lines)["account"] == "API key, 127.0.0.1"
            assert (await room.turn(await room.thread(), "say hello")).text == "hello"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo codex-cli 0.100.1", "too old"),
        ("echo something else", "does not say its version"),
        ("echo broken >&2; exit 4", "ended with 4: broken"),
        (
            '[ "$1" = --version ] && echo codex-cli 0.163.0 || { echo "no room left" >&2; exit 9; }',
            "no room left",
        ),
    ],
)
async def test_a_bad_program_is_refused_with_what_it_said(tmp_path: Path, text: str, said: str) -> None:
    environment = {"PROCESS_CODEX_BINARY": program(tmp_path, text)}
    settings = {"base_url": "http://127.0.0.1:1/v1", "api_key": "k", "environment": environment}
    with pytest.raises(BackendError, match=said) as refused:
        await start(tmp_path, connect=False, **settings)
    assert refused.value.exit_code == 5


async def test_a_missing_program_and_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="/nowhere/codex"):
        await start(tmp_path, environment={"PROCESS_CODEX_BINARY": "/nowhere/codex"})
    with pytest.raises(BackendError, match="does not exist"):
        await start(tmp_path, working_dir=tmp_path / "missing")
    (tmp_path / "file").write_text("")
    with pytest.raises(BackendError, match="cannot be used") as refused:
        await start(tmp_path, data_dir=tmp_path / "file")
    assert "--data-dir" in str(refused.value)


@pytest.mark.parametrize("sandbox", ["read-only", "workspace-write"])
async def test_commands_see_no_secret(tmp_path: Path, sandbox: str) -> None:
    """Not the model's key, not the login, not the data folder; not even outside the sandbox by approval."""
    async with codex_room(tmp_path, sandbox=sandbox) as room:
        (room.data / "signing-key").write_text("room-secret")
        login = Path(os.environ["HOME"]) / ".codex"
        login.mkdir()
        (login / "auth.json").write_text("login-secret")
        command = (
            f"env; cat /proc/*/environ; cat {room.data}/signing-key {login}/auth.json; ls -a {room.data}; "
            f"(echo > /dev/tcp/{room.model.base_url[7:-3].replace(':', '/')}) && echo connected"
        )
        thread = await room.thread()
        told = await room.turn(
            thread,
            script({"run": command}, {"run": command.partition("(")[0], "escalate": "x"}, {"report": True}),
            lambda e: (
                thread.decide(e.ref.item_id, Decision.ACCEPT) if isinstance(e, ApprovalRequested) else None
            ),
        )
        outputs = [str(ended.result) for _, ended in told.tools("shell")]
        assert len(outputs) == 2
        for output in outputs:
            assert "PATH=" in output
            for secret in (room.model.api_key, "room-secret", "login-secret", "connected"):
                assert secret not in output


async def test_commands_can_write_in_the_folder_and_their_own_temporary_folder_only(tmp_path: Path) -> None:
    async with codex_room(tmp_path) as room:
        outside = tmp_path / "outside"
        command = f"touch inside; mktemp > /dev/null && echo temporary; touch {outside} || echo refused"
        told = await room.turn(await room.thread(), script({"run": command}, {"report": True}))
        ((_, ended),) = told.tools("shell")
        assert isinstance(ended.result, JsonResult)
        assert isinstance(ended.result.json, dict)
        words = str(ended.result.json["stdout"])
        assert "temporary" in words
        assert "refused" in words
        assert (room.folder / "inside").exists()
        assert not outside.exists()


async def test_network_is_off_unless_asked_for(tmp_path: Path) -> None:
    for network in (False, True):
        base = tmp_path / str(network)
        base.mkdir()
        async with codex_room(base, network=network) as room:
            address = room.model.base_url[7:-3].replace(":", "/")
            command = f"(echo > /dev/tcp/{address}) 2>/dev/null && echo connected || echo refused"
            told = await room.turn(await room.thread(), script({"run": command}, {"report": True}))
            assert told.text.strip() == ("connected" if network else "refused")


async def test_project_instructions_reach_the_model(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "AGENTS.md").write_text("Always answer in verse.")
    async with codex_room(tmp_path) as room:
        await room.turn(await room.thread(), "say hi", rules="You are in a room.")
        texts = str([i for i in room.model.requests[-1].body["input"] if i.get("role") == "developer"])
        assert texts.index("You are in a room.") < texts.index("Always answer in verse.")
        assert str(room.model.requests[-1].body).count("Always answer in verse.") == 1


@pytest.mark.parametrize("approvals", ["deny", "ask"])
async def test_where_the_sandbox_does_not_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, approvals: str
) -> None:
    async def broken(*_: object) -> str:
        return "bwrap: Creating new namespace failed"

    monkeypatch.setattr(client, "probe_sandbox", broken)
    if approvals == "deny":
        with pytest.raises(BackendError, match="namespace") as refused:
            await start(tmp_path, approvals="deny")
        assert "--sandbox full-access" in str(refused.value)
        return
    async with codex_room(tmp_path) as room:
        assert "asks first" in dict(room.summary.lines)["sandbox"]
        thread = await room.thread()
        asked: list[ApprovalRequested] = []

        def decline(event: object) -> object:
            if not isinstance(event, ApprovalRequested):
                return None
            asked.append(event)
            return thread.decide(event.ref.item_id, Decision.DECLINE)

        await room.turn(
            thread, script({"run": "ls"}, {"write": "a", "content": "a\n"}, {"say": "over"}), decline
        )
        assert [event.ref.tool for event in asked] == ["shell", "apply_patch"]
        assert list(room.folder.iterdir()) == []


async def test_a_codex_that_cannot_come_back_fails_the_turn_and_not_the_agent(tmp_path: Path) -> None:
    async with codex_room(tmp_path) as room:
        thread = await room.thread()
        assert (await room.turn(thread, "say one")).text == "one"
        real, launch = Child.spawn, room.backend._launch
        assert launch is not None
        os.kill(room.app_server(), signal.SIGKILL)
        launch.command.arguments[0] = "/nowhere/codex"  # type: ignore[index]
        told = await room.turn(thread, "say two")
        assert told.end.reason is EndReason.FAILED
        assert told.end.error is not None
        assert "/nowhere/codex" in told.end.error.message
        launch.command.arguments[0] = str(launch.program.path)  # type: ignore[index]
        assert (await room.turn(thread, "say three")).text == "three"
        assert Child.spawn == real
