"""`--storage` with the real Codex: it reads, writes and deletes files of the room, as people let it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from process_agent.agent.tools.sources import ToolOptions
from process_agent.scripted.server import ScriptedServer
from tests.contract.agent_room import ChatClient, agent_in, chat_client
from tests.contract.codex_room import script
from tests.contract.test_agent_tools import IMAGE
from tests.fakes.room import LocalRoom


def calling(tool: str, **arguments: object) -> dict[str, object]:
    return {"call": tool, "namespace": "storage", "arguments": arguments}


def outputs(model: ScriptedServer) -> list[Any]:
    """What the tools answered, as the model got it."""
    return [item["output"] for item in model.requests[-1].body["input"] if item["type"].endswith("_output")]


async def decide(ana: ChatClient, kind: str) -> str:
    """Approve or reject what is asked next; returns the reason that was shown for asking."""
    asked = await ana.wait("tool_call.approval_requested")
    about = {name: asked[name] for name in ("thread_id", "turn_id", "item_id")}
    await ana.send(f"tool_call.{kind}", **about)
    return str(asked["metadata"]["process"]["approval_reason"])


async def test_files_are_read_and_written_and_what_is_there_is_asked_about(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    prompt = script(
        {"run": "printf made > made.txt"},
        calling("write", path="notes/new.md", content="grüß"),
        calling("write", path="notes/copy.txt", file="made.txt"),
        calling("write", path="notes/new.md", content="again", replace=True),
        calling("write", path="of-ben.txt", content="mine"),
        calling("write", path="of-ben.txt", content="mine", replace=True),
        calling("delete", path="keep.txt"),
        calling("read", path="notes/new.md"),
        calling("list"),
        {"say": "done"},
    )
    async with (
        server.client("ben") as ben,
        agent_in(server, tmp_path, model=model, tools=ToolOptions(storage="write")),
        chat_client(server, "ana") as ana,
    ):
        await ben.storage.upload(path="of-ben.txt", data=b"ben's")
        await ben.storage.upload(path="keep.txt", data=b"kept")
        await ana.say("thread.start", prompt)
        assert await decide(ana, "approve") == "replaces of-ben.txt, a file of the room."
        assert await decide(ana, "reject") == "deletes keep.txt, a file of the room, for good."
        assert "error" not in await ana.wait("turn.ended")
        assert outputs(model)[1:] == [
            "notes/new.md is written (6 bytes); people find it at room:///notes/new.md.",
            "notes/copy.txt is written (4 bytes); people find it at room:///notes/copy.txt.",
            "notes/new.md is written (5 bytes); people find it at room:///notes/new.md.",
            "The room cannot write the file of-ben.txt: 'of-ben.txt' already exists",
            "of-ben.txt is written (4 bytes); people find it at room:///of-ben.txt.",
            "Declined: the tool was not called.",
            "again",
            "keep.txt (4 bytes)\nnotes/\nof-ben.txt (4 bytes)",
        ]
        kept = {
            "notes/new.md": b"again",
            "notes/copy.txt": b"made",
            "of-ben.txt": b"mine",
            "keep.txt": b"kept",
        }
        for path, data in kept.items():
            assert (await ben.storage.download(path=path)).data == data
        assert len(ana.all("tool_call.approval_requested")) == 2, "a file of its own it replaces unasked"
        shown = [told for told in ana.all("tool_call.started") if told["toolkit"] == "storage"]
        assert {told["namespace"] for told in shown} == {"meshagent"}
        assert [told["tool"] for told in shown] == [*["write"] * 5, "delete", "read", "list"]


async def test_read_only_storage_is_only_read(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    write = calling("write", path="new.txt", content="x")
    prompt = script(
        calling("list"),
        calling("read", path="in/dot.png"),
        calling("read", path="in/odd.bin"),
        calling("read", path=".hidden/mail"),
        write,
        calling("delete", path="in/odd.bin"),
        {"say": "done"},
    )
    async with (
        server.client("ben") as ben,
        agent_in(server, tmp_path, model=model, approvals="auto", tools=ToolOptions(storage="read")),
        chat_client(server, "ana") as ana,
    ):
        await ben.storage.upload(path="in/dot.png", data=IMAGE)
        await ben.storage.upload(path="in/odd.bin", data=b"\x00\xff")
        await ana.say("thread.start", prompt)
        assert "error" not in await ana.wait("turn.ended")
        listed, picture, odd, hidden, *refused = outputs(model)
        assert listed == "in/"
        assert [part["type"] for part in picture] == ["input_text", "input_image"]
        (copy,) = (tmp_path / "copies").rglob("odd.bin")
        assert (copy.read_bytes(), str(copy) in odd) == (b"\x00\xff", True)
        assert "Hidden files" in hidden
        assert refused == ["unsupported call: storagewrite", "unsupported call: storagedelete"]
        (offered,) = [tool for tool in model.requests[-1].body["tools"] if tool.get("name") == "storage"]
        assert [tool["name"] for tool in offered["tools"]] == ["list", "read"]
        assert (await ben.storage.download(path="in/odd.bin")).data == b"\x00\xff"
