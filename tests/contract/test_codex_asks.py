"""What the real Codex asks where its configuration lets it: for permissions, and what the form of a real MCP
server asks. Decided by people in the room, declined, and not answered.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from process_agent.core.events import EndReason
from process_agent.scripted.server import ScriptedServer
from tests.contract.agent_room import AGENT, ChatClient, agent_in, chat_client
from tests.contract.codex_room import codex_room, script
from tests.contract.test_codex_approvals import begun, outcome
from tests.fakes import asking_mcp_server
from tests.fakes.room import LocalRoom

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
async def model() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as scripted:
        yield scripted


def configured(base: Path, text: str) -> None:
    """Codex's own configuration, in the home that an agent with the scripted model has."""
    home = base / "data" / "codex" / AGENT
    home.mkdir(parents=True)
    (home / "config.toml").write_text(text)


def trying(base: Path) -> dict[str, Any]:
    """Tries to write outside of the working folder, and to read the room's data."""
    return {"run": f"touch {base}/outside/made; ls {base}/data"}


def wants(base: Path) -> list[dict[str, Any]]:
    """Asks for both, and tries them."""
    wanted = {"file_system": {"write": [f"{base}/outside"], "read": [f"{base}/data"]}}
    arguments = {"permissions": wanted, "reason": "It is needed."}
    return [{"call": "request_permissions", "arguments": arguments}, trying(base), {"report": True}]


PERMISSIONS = "[features]\nrequest_permissions_tool = true\n"
ASK = {"call": "ask", "namespace": "mcp__asker", "arguments": {}}
SERVER = (
    f'[mcp_servers.asker]\ncommand = "{sys.executable}"\nargs = {json.dumps([asking_mcp_server.__file__])}\n'
)


async def said(ana: ChatClient, thread: str, *actions: dict[str, Any]) -> str:
    """A further turn of the thread."""
    source = await ana.say("turn.start", script(*actions), thread_id=thread)
    return str((await ana.wait("turn.started", source_message_id=source))["turn_id"])


def answered(ana: ChatClient) -> dict[str, Any]:
    """What the server got last."""
    told = json.loads(ana.texts().rpartition("answer ")[2])
    return {key: value for key, value in told.items() if value is not None}


async def test_permissions_are_given_in_the_room(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    configured(tmp_path, PERMISSIONS)
    made = tmp_path / "outside" / "made"
    made.parent.mkdir()
    async with agent_in(server, tmp_path, model=model), chat_client(server, "ana") as ana:
        thread, turn = await begun(ana, {"say": "Hello."})
        await outcome(ana, turn)
        for typed, line, now, later in (
            ("/deny", "Declined by ana\n", False, False),
            ("/approve", "Approved by ana\n", True, False),
            ("/approve session", "Approved for the session by ana\n", True, True),
        ):
            turn = await said(ana, thread, *wants(tmp_path))
            asked = await ana.wait("tool_call.approval_requested")
            assert asked["tool"] == "request_permissions"
            assert {str(made.parent), "It is needed."} <= set(_texts(asked))
            await ana.say("turn.start", typed, thread_id=thread)
            assert (await ana.wait("tool_call.log_delta"))["lines"][0]["text"] == line
            assert await outcome(ana, turn) is None
            assert made.exists() is now
            made.unlink(missing_ok=True)
            assert await outcome(ana, await said(ana, thread, trying(tmp_path), {"say": "over"})) is None
            assert made.exists() is later
        assert len(ana.all("tool_call.approval_requested")) == 3
        results = [x["result"]["json"]["stdout"] for x in ana.all("tool_call.ended") if x["tool"] == "shell"]
        refusals = ["cannot open directory" in result for result in results]
        assert refusals == [True] * 6, "what is hidden stays hidden, whoever says yes"


async def test_with_approvals_off_permissions_are_refused(tmp_path: Path) -> None:
    configured(tmp_path, PERMISSIONS)
    (tmp_path / "outside").mkdir()
    async with codex_room(tmp_path, approvals="deny") as room:
        told = await room.turn(await room.thread(), script(*wants(tmp_path)))
        assert told.end.reason is EndReason.COMPLETED
        assert not (tmp_path / "outside" / "made").exists()
        assert "cannot open directory" in told.text


async def test_a_form_is_filled_in_in_the_chat(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    configured(tmp_path, SERVER)
    async with agent_in(server, tmp_path, model=model), chat_client(server, "ana") as ana:
        thread, turn = await begun(ana, ASK, {"report": True})
        asked = await ana.wait("tool_call.approval_requested")
        questions = asked["metadata"]["process"]["questions"]
        assert [question["id"] for question in questions] == ["count", "name", "size"], "Codex sorts them"
        assert "Tell me about the box." in json.dumps(asked)
        for text in ("many", "7", "Ada's box", "2"):
            source = await ana.say("turn.start", text, thread_id=thread)
            await ana.wait("turn.started", source_message_id=source)
        assert await outcome(ana, turn) is None
        given = {"name": "Ada's box", "size": "large", "count": 7}
        assert answered(ana) == {"action": "accept", "content": given}
        turn = await said(ana, thread, ASK, {"report": True})
        await ana.wait("tool_call.approval_requested")
        await ana.say("turn.start", "/deny", thread_id=thread)
        assert await outcome(ana, turn) is None
        assert answered(ana) == {"action": "decline"}


async def test_nobody_answers(server: LocalRoom, model: ScriptedServer, tmp_path: Path) -> None:
    configured(tmp_path, PERMISSIONS + SERVER)
    (tmp_path / "outside").mkdir()
    async with (
        agent_in(server, tmp_path, model=model, approval_seconds=0.2),
        chat_client(server, "ana") as ana,
    ):
        _, turn = await begun(ana, *wants(tmp_path), ASK, {"report": True})
        assert await outcome(ana, turn) is None
        assert len(ana.all("tool_call.approval_requested")) == 2
        assert not (tmp_path / "outside" / "made").exists()
        assert answered(ana) == {"action": "cancel"}


def _texts(value: object) -> list[str]:
    """All texts in a message."""
    match value:
        case str():
            return [value]
        case dict():
            return [text for each in value.values() for text in _texts(each)]
        case list():
            return [text for each in value for text in _texts(each)]
    return []
