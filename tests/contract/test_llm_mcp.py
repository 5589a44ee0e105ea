"""MCP servers in turns of language models: real servers made with the official SDK, in the real room."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from backends.llm import create_backend as create_llm
from process_agent.agent.tools.sources import ToolOptions
from process_agent.config import load, load_providers
from process_agent.core.backend import BackendConfig
from process_agent.core.mcp_config import McpLaunch, parse_server, parse_servers
from process_agent.core.models import ModelChoice
from process_agent.core.providers import behind
from process_agent.scripted.server import ScriptedServer
from tests.contract.agent_room import AGENT, ChatClient, agent_in, chat_client
from tests.contract.codex_room import script
from tests.fakes import sdk_mcp
from tests.fakes.mcp_server import mcp_server
from tests.fakes.room import LocalRoom

DIALECTS = {
    "responses": {"backend": "llm", "provider": "openai", "model": "gpt-5.5"},
    "messages": {"backend": "llm", "provider": "anthropic", "model": "claude-x"},
    "chat": {"backend": "llm", "provider": "kimi", "model": "kimi-x"},
}
OPENAI = DIALECTS["responses"]


@pytest.fixture
async def model() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as scripted:
        yield scripted


@asynccontextmanager
async def talking(
    server: LocalRoom, model: ScriptedServer, folder: Path, tools: ToolOptions
) -> AsyncIterator[ChatClient]:
    known = load_providers(load({"HOME": str(folder)}), {})
    (folder / "work").mkdir(exist_ok=True)
    config = BackendConfig(
        AGENT,
        folder / "work",
        folder / "data",
        tuple(ModelChoice("llm", each["provider"], each["model"]) for each in DIALECTS.values()),
        providers=behind(known, model.base_url, model.api_key, "scripted model"),
        provider="scripted",
    )
    async with agent_in(server, folder, [create_llm(config)], tools=tools), chat_client(server, "ana") as ana:
        yield ana


def stdio(folder: Path, **members: Any) -> McpLaunch:
    """The server as a program, as a file of the operator's names it."""
    entry = {"command": sys.executable, "args": [sdk_mcp.__file__, str(folder)], **members}
    (launch,) = parse_servers({"mcp_servers": {"played": entry}}, "test", os.environ.get)
    return launch


def call(tool: str, kit: str = "played", **arguments: Any) -> dict[str, Any]:
    return {"call": f"{kit}__{tool}", "arguments": arguments}


async def run(ana: ChatClient, *actions: dict[str, Any], **choice: Any) -> dict[str, Any]:
    """A turn of these actions, to its end."""
    await ana.say("thread.start", script(*actions, {"report": True}), **(choice or OPENAI))
    ended = await ana.wait("turn.ended")
    assert "error" not in ended, ended
    return ended


def results(ana: ChatClient) -> list[Any]:
    return [m.get("result") or m["error"] for m in ana.all("tool_call.ended")]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_server_of_a_message_is_called_over_http_and_gone_after_the_turn(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path, dialect: str
) -> None:
    tools = ToolOptions(mcp="any")
    async with (
        sdk_mcp.http_server(tmp_path) as url,
        talking(server, model, tmp_path, tools) as ana,
    ):
        assert ana.agent.get_attribute("supports_mcp") is True
        brought = {"mcp": {"servers": [{"server_label": "town", "server_url": url}]}}
        calls = call("weather", "turn_town", town="Ulm"), call("picture", "turn_town")
        ended = await run(ana, *calls, **DIALECTS[dialect], **brought)
        assert "It rains in Ulm." in ana.texts()
        started = [(m["toolkit"], m["tool"], m["arguments"]) for m in ana.all("tool_call.started")]
        assert started[0] == ("turn_town", "weather", {"town": "Ulm"})
        assert ana.all("file_content.delta")[0]["url"].endswith("/image.png")
        assert "iVBORw0KGgo" in json.dumps(model.requests[-1].body)
        later = script(call("weather", "turn_town", town="Bonn"), {"report": True})
        await ana.say("turn.start", later, thread_id=ended["thread_id"])
        await ana.wait("turn.ended")
        assert "There is no tool 'turn_town__weather'" in json.dumps(results(ana)[-1])


async def test_resources_are_listed_and_read_without_asking(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    tools = ToolOptions(servers=(stdio(tmp_path),))
    async with talking(server, model, tmp_path, tools) as ana:
        uris = ("played://rivers", "played://maps/ulm", "played://nothing", "no address")
        reads = [call("read_mcp_resource", uri=uri) for uri in uris]
        await run(ana, call("list_mcp_resources"), *reads)
        listed, text, image, unknown, wrong = results(ana)
        assert listed["text"].splitlines() == [
            "played://rivers - rivers (text/plain): The rivers of the country.",
            "played://maps/{town} - town_map (image/png)",
        ]
        assert text["text"] == "played://rivers:\nDonau, Rhein"
        assert "is shown in the conversation" in image["text"]
        assert "Unknown resource" in json.dumps(unknown)
        assert "'no address' is not the address of a resource." in json.dumps(wrong)
        assert ana.all("tool_call.approval_requested") == []
        assert "iVBORw0KGgo" in json.dumps(model.requests[-1].body)


async def test_what_does_more_than_read_asks_once_a_session(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    tools = ToolOptions(servers=(stdio(tmp_path),))
    async with talking(server, model, tmp_path, tools) as ana:
        await ana.say("thread.start", script(call("note", text="a"), call("note", text="b")), **OPENAI)
        asked = await ana.wait("tool_call.approval_requested")
        assert not (tmp_path / "notes").exists()
        about = {name: asked[name] for name in ("thread_id", "turn_id", "item_id")}
        session = {"process": {"decision": "accept_for_session"}}
        await ana.send("tool_call.approve", **about, metadata=session)
        ended = await ana.wait("turn.ended")
        assert "error" not in ended
    assert len(ana.all("tool_call.approval_requested")) == 1
    assert (tmp_path / "notes").read_text() == "b"


async def test_a_program_is_one_for_all_turns_gets_only_what_is_named_and_comes_back_when_it_died(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORD", "pear")
    monkeypatch.setenv("UNNAMED_SECRET", "s3cret")
    tools = ToolOptions(servers=(stdio(tmp_path, env_vars=["WORD"]),))
    async with talking(server, model, tmp_path, tools) as ana:
        await run(ana, call("about"))
        await run(ana, call("about"), call("die"), call("about"), call("fail"))
        first, second, died, third, failed = results(ana)
        one, two, three = (each["json"] for each in (first, second, third))
        assert one["pid"] == two["pid"] != three["pid"]
        assert one["word"] == "pear"
        assert "UNNAMED_SECRET" not in one["names"]
        assert died["message"] == "The MCP server played cannot be used: its program ended: it hurts."
        assert "no such town" in failed["message"]
    for about in (one, three):
        with pytest.raises(ProcessLookupError):
            os.kill(about["pid"], 0)


async def test_an_interrupt_tells_the_server_and_what_it_asks_is_asked_in_the_room(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    tools = ToolOptions(servers=(stdio(tmp_path),))
    async with talking(server, model, tmp_path, tools) as ana:
        await ana.say("thread.start", script(call("order"), {"report": True}), **OPENAI)
        asked = await ana.wait("tool_call.approval_requested")
        await ana.say("turn.start", "42", thread_id=asked["thread_id"])
        ended = await ana.wait("turn.ended", turn_id=asked["turn_id"])
        assert "error" not in ended
        assert "accept 42" in ana.texts()
        await ana.say("thread.start", script(call("wait")), **OPENAI)
        await ana.wait("tool_call.log_delta")
        started = ana.all("turn.started")[-1]
        await ana.send("turn.interrupt", thread_id=started["thread_id"], turn_id=started["turn_id"])
        await ana.wait("turn.ended", turn_id=started["turn_id"])
        async with asyncio.timeout(10):
            while not (tmp_path / "cancelled").exists():  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_servers_that_cannot_be_used_are_named_and_the_turn_goes_on(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    missing = parse_server("gone=no-such-program --flag", os.environ.get)
    async with mcp_server() as inside:
        url = inside.url.replace("http://127.0.0.1", "https://localhost.example")
        async with talking(server, model, tmp_path, ToolOptions(mcp="public", servers=(missing,))) as ana:
            refused = {"mcp": {"servers": [{"server_label": "in", "server_url": inside.url}]}}
            await ana.say("thread.start", "hello", **OPENAI, **refused)
            rejected = await ana.wait("turn.start.rejected")
            assert rejected["error"]["code"] == "unsupported_mcp"
            brought = {"mcp": {"servers": [{"server_label": "town", "server_url": f"{url}?key=s3cret"}]}}
            ended = await run(ana, {"say": "hi"}, **OPENAI, **brought)
            assert "The MCP server gone cannot be used: there is no program 'no-such-program'." in ana.texts()
            assert "The MCP server turn_town cannot be used" in ana.texts()
            assert "s3cret" not in ana.texts()
            await ana.say("turn.start", script({"say": "again"}), thread_id=ended["thread_id"])
            await ana.wait("turn.ended")
            assert ana.texts().count("The MCP server gone cannot be used") == 1
        assert inside.headers == []
