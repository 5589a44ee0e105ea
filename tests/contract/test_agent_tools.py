"""Tools of an agent in the local room, with the real Codex and published clients."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from process_agent.agent.tools.sources import ToolOptions
from process_agent.core.backend import SandboxMode
from process_agent.core.mcp import McpMode
from process_agent.scripted.server import ScriptedServer
from tests.contract.agent_room import AGENT, agent_in, chat_client
from tests.contract.codex_room import script
from tests.fakes.hosted_toolkit import HostedToolkit
from tests.fakes.mcp_server import mcp_server
from tests.fakes.room import LocalRoom, local_room
from tests.unit.codex.replay import PNG

IMAGE = b64decode(PNG.partition(",")[2])


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LocalRoom]:
    async with local_room(tmp_path) as server:
        yield server


@pytest.fixture
async def model() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as model:
        yield model


async def test_a_file_codex_made_is_shown_and_fetched(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    attach = {"call": "attach_file", "namespace": "chat", "arguments": {"path": "out/a b.txt"}}
    secret = {"call": "attach_file", "namespace": "chat", "arguments": {"path": "link.txt"}}
    prompt = script(
        {"run": "mkdir out && printf made > 'out/a b.txt' && ln -s ../room-data link.txt"},
        attach,
        secret,
        {"report": True},
    )
    async with agent_in(server, tmp_path, model=model), chat_client(server, "ana") as ana:
        await ana.say("thread.start", prompt)
        shown = await ana.wait("file_content.delta")
        ended = await ana.wait("turn.ended")
        assert "error" not in ended
        tools = [m for m in ana.all("tool_call.started") if m["tool"] == "attach_file"]
        assert [(m["namespace"], m["toolkit"], m["arguments"]) for m in tools] == [
            ("meshagent", "chat", {"path": "out/a b.txt"}),
            ("meshagent", "chat", {"path": "link.txt"}),
        ]
        (refused,) = [m["error"] for m in ana.all("tool_call.ended") if m.get("error")]
        assert "links are not followed" in refused["message"]
        async with server.client("ben") as ben:
            path = unquote(shown["url"].removeprefix("room:///"))
            found = await ben.storage.download(path=path)
            assert (found.data, found.name) == (b"made", "a b.txt")
        await ana.send("capabilities_request", thread_id=ended["thread_id"])
        kits = (await ana.wait("capabilities_response"))["toolkits"]
        assert ("chat", ["attach_file"]) in [(k["name"], [t["name"] for t in k["tools"]]) for k in kits]


@pytest.mark.parametrize("sandbox", ["workspace-write", "read-only"])
async def test_an_attached_pdf_is_read_by_a_command(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path, sandbox: SandboxMode
) -> None:
    at = f"{tmp_path}/copies/{AGENT}/*/*/report.pdf"
    prompt = script({"run": f"head -c 8 {at}; echo; rm {at} || ls {at}"}, {"report": True})
    async with (
        agent_in(server, tmp_path, model=model, sandbox=sandbox),
        chat_client(server, "ana") as ana,
        server.client("ben") as ben,
    ):
        await ben.storage.upload(path="in/report.pdf", data=b"%PDF-1.7\n\x00\xff")
        text = {"type": "text", "text": prompt}
        file = {"type": "file", "url": "room:///in/report.pdf", "name": "../report.pdf"}
        await ana.send("thread.start", content=[text, file])
        ended = await ana.wait("turn.ended")
        assert "error" not in ended
        (path,) = (tmp_path / "copies").rglob("report.pdf")
        assert f"[The file ../report.pdf is at {path}; commands can read it.]" in str(model.requests[0].body)
        assert "%PDF-1.7" in ana.texts()
        assert "Read-only file system" in ana.texts(), "commands cannot change what people sent"
        await ana.send("thread.delete", thread_id=ended["thread_id"])
        await ana.wait("thread.deleted")
        assert not [*(tmp_path / "copies").rglob("*.pdf")]


def calling(tool: str, **arguments: object) -> dict[str, object]:
    return {"call": tool, "namespace": "math", "arguments": arguments}


async def test_a_toolkit_of_a_published_client_is_called_through_the_room(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    prompt = script(calling("add", a=1, b=2), calling("plot"), calling("add"), {"report": True})
    async with server.client("bot", "agent") as bot:
        await bot.messaging.enable()
        math = HostedToolkit(bot, "math")
        await math.register(tools=("add", "plot"))
        async with (
            agent_in(server, tmp_path, model=model, tools=ToolOptions(("math",))),
            chat_client(server, "ana") as ana,
        ):
            await ana.say("thread.start", prompt)
            message_id, call, _ = await math.calls.get()
            assert call["arguments"] == {"type": "json", "json": {"a": 1, "b": 2}}
            await math.respond(message_id, {"type": "json", "json": {"sum": 3}})
            file = {"type": "file", "name": "plot.png", "mime_type": "image/png"}
            await math.answer_next(lambda *_: (file, IMAGE))
            await math.answer_next(lambda *_: ({"type": "error", "text": "no numbers", "code": 1002}, b""))
            ended = await ana.wait("turn.ended")
            assert "error" not in ended
            done = ana.all("tool_call.ended")
            assert done[0]["result"] == {"type": "json", "json": {"sum": 3}}
            assert "no numbers" in done[2]["error"]["message"]
            (shown,) = [message["url"] for message in ana.all("file_content.delta")]
            assert (await bot.storage.download(path=shown.removeprefix("room:///"))).data == IMAGE
            outputs = [x["output"] for x in model.requests[-1].body["input"] if x["type"].endswith("_output")]
            assert outputs[0] == '{"sum": 3}'
            assert [part["type"] for part in outputs[1]] == ["input_text", "input_image"]
            assert "no numbers" in str(outputs[2])
            await ana.send("capabilities_request", thread_id=ended["thread_id"])
            kits = (await ana.wait("capabilities_response"))["toolkits"]
            assert "math" in [kit["name"] for kit in kits]


async def test_hosts_that_never_answer_and_hosts_that_vanish_hold_no_turn(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    options = ToolOptions(("math",), seconds=0.5)
    async with (
        agent_host(server) as (bot, math),
        agent_in(server, tmp_path, model=model, tools=options),
        chat_client(server, "ana") as ana,
    ):
        await ana.say("thread.start", script(calling("add"), calling("add"), {"report": True}))
        await math.calls.get()
        await math.calls.get()
        await bot.__aexit__(None, None, None)
        ended = await ana.wait("turn.ended")
        assert "error" not in ended
        late, gone = (message["error"] for message in ana.all("tool_call.ended"))
        assert (late["code"], gone["code"]) == ("timeout", "tool_failed")
        await ana.say("turn.start", script(calling("add")), thread_id=ended["thread_id"])
        await ana.wait("turn.ended")
        assert "Nobody in the room hosts math now" in ana.all("tool_call.ended")[2]["error"]["message"]


async def test_a_tool_found_by_search_asks_the_people_in_the_room(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    search = {"call": "search", "namespace": "room_tools", "arguments": {"query": "add"}}
    arguments = {"toolkit": "math", "tool": "add", "arguments": {"a": 1}}
    call = {"call": "call", "namespace": "room_tools", "arguments": arguments}
    async with (
        agent_host(server) as (_, math),
        agent_in(server, tmp_path, model=model, tools=ToolOptions(search="room")),
        chat_client(server, "ana") as ana,
    ):
        await ana.say("thread.start", script(search, call, call, {"report": True}))
        asked = await ana.wait("tool_call.approval_requested")
        assert (asked["toolkit"], asked["tool"], asked["arguments"]) == ("room_tools", "call", arguments)
        about = {
            "thread_id": asked["thread_id"],
            "turn_id": asked["turn_id"],
            "item_id": asked["item_id"],
        }
        await ana.wait("thread.status", status="Waiting for approval")
        assert math.calls.empty()
        session = {"process": {"decision": "accept_for_session"}}
        await ana.send("tool_call.approve", **about, metadata=session)
        for number in (3, 4):
            await math.answer_next(lambda *_, n=number: ({"type": "text", "text": f"is {n}"}, b""))
        await ana.wait("turn.ended")
        assert "is 3" in ana.texts()
        assert "is 4" in ana.texts()
        assert len(ana.all("tool_call.approval_requested")) == 1
        await ana.say("turn.start", script(call), thread_id=asked["thread_id"])
        await math.answer_next(lambda *_: ({"type": "empty"}, b""))
        await ana.wait("turn.ended")
        await ana.say("thread.start", script(call, {"report": True}))
        again = await ana.wait("tool_call.approval_requested")
        about = {
            "thread_id": again["thread_id"],
            "turn_id": again["turn_id"],
            "item_id": again["item_id"],
        }
        await ana.send("tool_call.reject", **about)
        ended = await ana.wait("turn.ended")
        assert "error" not in ended
        assert "Declined" in ana.texts()
        assert math.calls.empty()


async def test_an_interrupt_ends_a_call_of_a_room_tool(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    async with (
        agent_host(server) as (_, math),
        agent_in(server, tmp_path, model=model, tools=ToolOptions(("math",))),
        chat_client(server, "ana") as ana,
    ):
        await ana.say("thread.start", script(calling("add")))
        started = await ana.wait("turn.started")
        await math.calls.get()
        about = {"thread_id": started["thread_id"], "turn_id": started["turn_id"]}
        await ana.send("turn.interrupt", **about)
        ended = await ana.wait("turn.ended")
        assert ended["error"]["code"] == "cancelled"
        assert ana.all("tool_call.ended")[0]["error"]["code"] == "interrupted"


@pytest.mark.parametrize("mode", ["none", "any"])
async def test_servers_of_a_message_are_used_where_the_operator_allows_it(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path, mode: McpMode
) -> None:
    call = {"call": "weather", "namespace": "mcp__turn_town", "arguments": {"town": "Ulm"}}
    text = {"type": "text", "text": script(call, {"report": True})}
    async with (
        mcp_server() as mcp,
        agent_in(server, tmp_path, model=model, tools=ToolOptions(mcp=mode)),
        chat_client(server, "ana") as ana,
    ):
        said = bool(ana.agent.get_attribute("supports_mcp"))
        servers = [{"server_label": "town", "server_url": mcp.url, "authorization": "s3cret"}]
        await ana.send("thread.start", content=[text], mcp={"servers": servers})
        if mode == "none":
            refused = await ana.wait("thread.start.rejected")
            assert (said, refused["error"]["code"], mcp.headers) == (False, "unsupported_mcp", [])
        else:
            await ana.wait("turn.ended")
            assert said
            assert "It rains." in ana.texts()
        assert "s3cret" not in str(ana.got)


@asynccontextmanager
async def agent_host(server: LocalRoom) -> AsyncIterator[tuple[Any, HostedToolkit]]:
    """A published client that hosts the toolkit `math`; it may leave before the end."""
    bot = server.client("bot", "agent")
    await bot.__aenter__()
    await bot.messaging.enable()
    math = HostedToolkit(bot, "math")
    await math.register()
    try:
        yield bot, math
    finally:
        if not bot.is_closed:
            await bot.__aexit__(None, None, None)
