"""What the real Codex does besides writing and running commands is seen in the turn.

Hooks, searches, images looked at, warnings, and sub-agents, which are off and switched on here. Limits of a
login are in `test_codex_limits`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backends.codex import launch
from process_agent.core.content import EmptyResult, JsonResult, TextResult
from process_agent.core.events import EndReason, ToolStarted, UsageUpdated, Working
from process_agent.scripted.server import ScriptedServer
from tests.contract.codex_room import Room, Told, codex_room, script
from tests.fakes.llm_room import Calls
from tests.unit.codex.replay import PNG

CONFIG = """
model = "gpt-5.5"
model_provider = "mine"
[model_providers.mine]
name = "Mine"
base_url = "{url}"
wire_api = "responses"
requires_openai_auth = true
"""

HOOK = """
[[hooks.{event}]]
[[hooks.{event}.hooks]]
type = "command"
command = "{program}"
statusMessage = "checking {event}"
"""

EVENTS = ("SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "Stop")

SAYS = """#!/bin/sh
case "$(cat)" in
*PreToolUse*forbidden* | *forbidden*PreToolUse*) echo '{"decision": "block", "reason": "not on a Sunday"}' ;;
*) echo '{"systemMessage": "all is well"}' ;;
esac
"""


@asynccontextmanager
async def logged_in(base: Path, **settings: Any) -> AsyncIterator[Room]:
    """A Codex that has a login and a configuration of its own, with hooks that its owner trusts."""
    home = base / "home"
    home.mkdir()
    program = home / "hook"
    program.write_text(SAYS)
    program.chmod(0o755)
    async with ScriptedServer() as model:
        login = {"auth_mode": "apikey", "OPENAI_API_KEY": model.api_key}
        (home / "auth.json").write_text(json.dumps(login))
        hooks = "".join(HOOK.format(event=event, program=program) for event in EVENTS)
        config = home / "config.toml"
        config.write_text(CONFIG.format(url=model.base_url) + hooks)
        async with codex_room(base, connect=False, home=home, model=model, **settings) as room:
            server = await room.backend.server()
            listed = await server.request("hooks/list", {"cwds": [str(room.folder)]})
            trust = (
                f'[hooks.state."{hook["key"]}"]\ntrusted_hash = "{hook["currentHash"]}"\n'
                for hook in listed["data"][0]["hooks"]
            )
            config.write_text(config.read_text() + "".join(trust))
            yield room


def said(told: Told, tool: str) -> list[str]:
    """Texts of the notices of a kind."""
    return [end.result.text for _, end in told.tools(tool) if isinstance(end.result, TextResult)]


async def test_hooks_searches_images_and_warnings(tmp_path: Path) -> None:
    calls, folder = Calls(), tmp_path / "work"
    search = {"search": "weather in Ulm", "results": [{"url": "https://weather.example/", "title": "Ulm"}]}
    look = {"call": "view_image", "arguments": {"path": str(folder / "dot.png")}}
    actions = (search, look, {"run": "echo allowed"}, {"run": "echo forbidden"}, {"say": "done"})
    async with logged_in(tmp_path, web_search=True) as room:
        (folder / "dot.png").write_bytes(base64.b64decode(PNG.rpartition(",")[2]))
        thread = await room.thread()
        told = await room.turn(thread, script(*actions), meter=calls)
        assert (told.end.reason, told.text) == (EndReason.COMPLETED, "done")
        check_hooks(told)
        check_search(told, calls)
        ((start, end),) = told.tools("view_image")
        assert (start.arguments, end.result) == ({"path": str(folder / "dot.png")}, EmptyResult())
        assert "data:image/png;base64" in str(room.model.requests[-1].body["input"])
        assert not said(told, "warning")
        unknown = replace(room.backend.default_model(), model="nobody-knows-it")
        told = await room.turn(thread, "say still there", model=unknown)
        assert told.text == "still there"
        assert "nobody-knows-it" in " ".join(said(told, "warning"))


def check_hooks(told: Told) -> None:
    """Each that ran is seen with what it said, also the one that forbids; the status ends with them."""
    heard = [text for text in said(told, "notice") if text.startswith("Hook ")]
    well = "all is well"
    assert heard[:2] == [
        f"Hook sessionStart: completed. checking SessionStart {well}",
        f"Hook userPromptSubmit: completed. checking UserPromptSubmit {well}",
    ]
    assert heard[-2:] == [
        "Hook preToolUse: blocked. checking PreToolUse not on a Sunday",
        f"Hook stop: completed. checking Stop {well}",
    ]
    assert heard.count(f"Hook postToolUse: completed. checking PostToolUse {well}") == 2
    shells = {start.arguments["command"]: end for start, end in told.tools("shell")}
    assert isinstance(shells["echo allowed"].result, JsonResult)
    refused = shells["echo forbidden"].error
    assert refused is not None
    assert "blocked by PreToolUse hook: not on a Sunday" in refused.message
    statuses = [event.text for event in told.of(Working)]
    hooked = [n for n, text in enumerate(statuses) if text.startswith("Running a hook")]
    assert hooked
    assert {statuses[n + 1] for n in hooked} == {"Thinking"}, "a hook that is over runs no more"


def check_search(told: Told, calls: Calls) -> None:
    """What was searched for is told when it is over; the search is charged for with the call that made it."""
    (first, last) = [event for event in told.of(ToolStarted) if event.ref.tool == "web_search"]
    assert (first.arguments["query"], last.arguments["query"]) == ("", "weather in Ulm")
    statuses = [event.text for event in told.of(Working)]
    assert "Searching the web" in statuses
    assert [call.usage.searches for call in calls.heard if call.usage] == [1, 0, 0, 0]
    assert {event.usage.searches for event in told.of(UsageUpdated)} == {1}


@pytest.mark.parametrize(
    ("feature", "namespace", "tool"),
    [
        ("multi_agent", "multi_agent_v1", "spawn_agent"),
        ("multi_agent_v2", "collaboration", "sub_agent"),
    ],
)
async def test_sub_agents_are_seen_where_they_are_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, feature: str, namespace: str, tool: str
) -> None:
    ours = launch.settings
    monkeypatch.setattr(launch, "settings", lambda *given: [*ours(*given), "-c", f"features.{feature}=true"])
    child = {"message": script({"say": "I am the child"}), "task_name": "dig"}
    if feature == "multi_agent":
        del child["task_name"]
    async with codex_room(tmp_path) as room:
        spawn = {"call": "spawn_agent", "namespace": namespace, "arguments": child}
        told = await room.turn(await room.thread(), script(spawn, {"say": "done"}))
        assert told.end.reason is EndReason.COMPLETED
        ((start, end),) = told.tools(tool)
        if feature == "multi_agent":
            assert start.arguments["prompt"] == child["message"]
            assert "pendingInit" in str(end.result)
        else:
            assert (start.arguments["kind"], start.arguments["agent_path"]) == ("started", "/root/dig")
        assert "done" in told.text
        assert "I am the child" not in told.text, "it speaks in a thread of its own"
