"""Tools of an agent in the local room, with the real Codex and published clients."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from process_agent.core.backend import SandboxMode
from process_agent.scripted.server import ScriptedServer
from tests.contract.agent_room import AGENT, agent_in, chat_client
from tests.contract.codex_room import script
from tests.fakes.room import LocalRoom, local_room


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
