"""The real Codex binary against the scripted model: it must understand every kind of answer."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from codex_cli_bin import bundled_codex_path

from process_agent.io.child import Child, Command
from process_agent.io.rpc import Connection
from process_agent.scripted.server import ScriptedServer
from process_agent.wire.jsonrpc import Notification, Request

_OFF = [
    "plugins",
    "apps",
    "remote_plugin",
    "plugin_sharing",
    "tool_suggest",
    "goals",
    "multi_agent",
    "image_generation",
    "unbounded_connection_retries",
]


class Codex:
    """One thread of a running `codex app-server`; approvals are answered with `decision`."""

    def __init__(self, child: Child) -> None:
        self.decision = "accept"
        self.approvals: list[Request] = []
        self.connection = Connection(child, self._told, self._asked)
        self._notes: asyncio.Queue[Notification] = asyncio.Queue()
        self.thread_id = ""

    def _told(self, note: Notification) -> None:
        self._notes.put_nowait(note)

    def _asked(self, request: Request) -> None:
        self.approvals.append(request)
        self.connection.answer(request.id, {"decision": self.decision})

    async def start(self, folder: Path) -> None:
        info = {"name": "process", "title": "process", "version": "0"}
        await self.connection.request("initialize", {"clientInfo": info, "capabilities": {}})
        self.connection.notify("initialized")
        started = await self.connection.request("thread/start", {"cwd": str(folder)})
        self.thread_id = started["thread"]["id"]

    async def turn(self, prompt: str) -> list[Notification]:
        """Run one turn; returns every notification up to its end."""
        params = {"threadId": self.thread_id, "input": [{"type": "text", "text": prompt}]}
        await self.connection.request("turn/start", params)
        notes = []
        while True:
            notes.append(await self._notes.get())
            if notes[-1].method == "turn/completed":
                return notes


def items(notes: list[Notification], kind: str) -> list[dict[str, Any]]:
    done = [note.params["item"] for note in notes if note.method == "item/completed"]
    return [item for item in done if item["type"] == kind]


def status(notes: list[Notification]) -> str:
    return str(notes[-1].params["turn"]["status"])


@asynccontextmanager
async def codex(server: ScriptedServer, folder: Path, model: str = "gpt-5.5") -> AsyncIterator[Codex]:
    home, workspace = folder / "codex-home", folder / "workspace"
    home.mkdir()
    workspace.mkdir()
    provider = (
        f'{{name="Scripted model",base_url="{server.base_url}",env_key="SCRIPTED_KEY",'
        'wire_api="responses",request_max_retries=1,stream_max_retries=1}'
    )
    settings = [
        f'model="{model}"',
        'model_provider="scripted"',
        f"model_providers.scripted={provider}",
        'approval_policy="on-request"',
        'sandbox_mode="workspace-write"',
        'model_reasoning_summary="detailed"',
        "tools.update_plan.enabled=true",
        "analytics.enabled=false",
        "check_for_update_on_startup=false",
        'web_search="disabled"',
        *(f"features.{name}=false" for name in _OFF),
    ]
    arguments = [
        str(bundled_codex_path()),
        *(part for entry in settings for part in ("-c", entry)),
        "app-server",
    ]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "CODEX_HOME": str(home),
        "SCRIPTED_KEY": server.api_key,
        "NO_PROXY": "127.0.0.1",
    }
    child = await Child.spawn(Command(arguments, environment, workspace))
    try:
        async with asyncio.TaskGroup() as group:
            running = Codex(child)
            group.create_task(running.connection.run())
            await running.start(workspace)
            yield running
            await child.stop()
    finally:
        await child.stop()


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as running:
        yield running


async def test_the_demo_is_real(server: ScriptedServer, tmp_path: Path) -> None:
    async with codex(server, tmp_path) as agent:
        notes = await agent.turn("fix the demo")
    assert status(notes) == "completed"
    assert [item["exitCode"] for item in items(notes, "commandExecution")] == [1, 0]
    changes = [change for item in items(notes, "fileChange") for change in item["changes"]]
    assert [change["kind"]["type"] for change in changes] == ["add", "add", "update"]
    assert "+    return sum(prices) * (1 - discount)" in changes[-1]["diff"]
    plans = [note.params["plan"] for note in notes if note.method == "turn/plan/updated"]
    assert {step["status"] for step in plans[-1]} == {"completed"}
    assert len(items(notes, "reasoning")) == 2
    assert "(1 - discount)" in (tmp_path / "workspace/demo/prices.py").read_text()
    assert "The demo is fixed" in items(notes, "agentMessage")[-1]["text"]


async def test_what_people_try_first(server: ScriptedServer, tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    async with codex(server, tmp_path) as agent:
        said = items(await agent.turn("say 7 7 7 and ha ha ha"), "agentMessage")
        assert [item["text"] for item in said] == ["7 7 7 and ha ha ha"]

        notes = await agent.turn("run `echo one; exit 3`")
        (command,) = items(notes, "commandExecution")
        assert (command["exitCode"], command["aggregatedOutput"]) == (3, "one\n")
        assert "exit code **3**" in items(notes, "agentMessage")[0]["text"]

        await agent.turn("create poem.txt with the text 'ha ha\nha ha\nho ho\nha ha'")
        await agent.turn("replace `ho ho` with `hi hi` in poem.txt")
        await agent.turn("append the line 'the end' to poem.txt")
        assert (workspace / "poem.txt").read_text() == "ha ha\nha ha\nhi hi\nha ha\nthe end\n"

        notes = await agent.turn("run `echo approved` outside the sandbox")
        (asked,) = agent.approvals
        assert "scripted model" in str(asked.params)
        assert "approved" in items(notes, "agentMessage")[0]["text"]

        agent.decision = "decline"
        notes = await agent.turn("run `echo refused` outside the sandbox")
        assert "did not allow" in items(notes, "agentMessage")[0]["text"]

        notes = await agent.turn("what did I say first?")
        assert "say 7 7 7" in items(notes, "agentMessage")[0]["text"]


async def test_faults_end_turns_and_the_thread_goes_on(server: ScriptedServer, tmp_path: Path) -> None:
    async with codex(server, tmp_path) as agent:
        for prompt in ("error 400", "fail", "stop short", "disconnect"):
            assert status(await agent.turn(prompt)) == "failed", prompt
        assert status(await agent.turn("error 503 once")) == "completed"


async def test_without_apply_patch_commands_write_the_files(server: ScriptedServer, tmp_path: Path) -> None:
    async with codex(server, tmp_path, model="scripted") as agent:
        notes = await agent.turn("fix the demo")
    assert items(notes, "fileChange") == []
    assert "The demo is fixed" in items(notes, "agentMessage")[-1]["text"]


async def test_leaving_a_turn_stops_the_stream(server: ScriptedServer, tmp_path: Path) -> None:
    async with codex(server, tmp_path) as agent:
        params = {"threadId": agent.thread_id, "input": [{"type": "text", "text": "wait 60 seconds"}]}
        started = await agent.connection.request("turn/start", params)
        record = await server.wait_for_requests(1)
        steer = {
            "threadId": agent.thread_id,
            "expectedTurnId": started["turn"]["id"],
            "input": [{"type": "text", "text": "say steered"}],
        }
        await agent.connection.request("turn/steer", steer)
        await record.over.wait()
        assert not record.answered
        second = await server.wait_for_requests(2)
        await second.over.wait()
        assert second.answered
