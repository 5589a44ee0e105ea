"""`/diff` and `/undo` with the real Codex: changes by commands too, and what the model hears of it."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from process_agent.scripted.server import ScriptedServer
from tests.contract.agent_room import ChatClient, agent_in, chat_client
from tests.fakes.room import LocalRoom


@pytest.fixture
async def model() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as scripted:
        yield scripted


def script(*actions: dict[str, Any]) -> str:
    """A prompt the scripted model follows to the letter, after a command that takes a moment."""
    return f"```script\n{json.dumps([{'run': 'true'}, *actions])}\n```"


def committed(folder: Path) -> None:
    """Make a repository of the folder."""
    own = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    for command in (("init", "-q", "-b", "main"), ("add", "."), (*own, "commit", "-qm", "first")):
        subprocess.run(["git", *command], cwd=folder, check=True)


async def turn(ana: ChatClient, thread: str, text: str) -> str:
    """Run a turn to its end; returns its id."""
    source = await ana.say("turn.start", text, thread_id=thread)
    accepted = await ana.wait("turn.start.accepted", source_message_id=source)
    await ana.wait("turn.ended", turn_id=accepted["turn_id"])
    return str(accepted["turn_id"])


def said(ana: ChatClient, turn_id: str) -> str:
    return "".join(m["text"] for m in ana.all("text_content.delta") if m["turn_id"] == turn_id)


def diff(ana: ChatClient, turn_id: str) -> str:
    (call,) = [
        m for m in ana.all("tool_call.started") if m["turn_id"] == turn_id and m["tool"] == "diff_updated"
    ]
    return str(call["arguments"]["diff"])


async def test_what_commands_changed_is_shown_and_taken_back_and_the_model_hears_it_once(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "a.txt").write_text("one\n")
    async with agent_in(server, tmp_path, model=model), chat_client(server, "ana") as ana:
        await ana.say("thread.start", script({"say": "ready"}))
        thread = (await ana.wait("thread.started"))["thread_id"]
        await ana.wait("turn.ended", turn_id=(await ana.wait("turn.started"))["turn_id"])
        await turn(
            ana,
            thread,
            script(
                {"run": "echo two >> a.txt; mkdir d; echo new > d/b.txt"},
                {"write": "c.txt", "content": "patched\n"},
                {"say": "done"},
            ),
        )
        asked = await turn(ana, thread, "/diff")
        assert "3 files" in said(ana, asked)
        shown = diff(ana, asked)
        for line in ("+two", "+++ b/d/b.txt", "+patched"):
            assert line in shown

        undone = await turn(ana, thread, "/undo")
        assert "Took back what a turn changed: 3 files" in said(ana, undone)
        assert "-two" in diff(ana, undone)
        assert (work / "a.txt").read_text() == "one\n"
        assert sorted(path.name for path in work.iterdir()) == ["a.txt"]

        before = len(model.requests)
        await turn(ana, thread, script({"say": "I see"}))
        note = "The user took back the file changes of an earlier turn"
        assert json.dumps(model.requests[before].body).count(note) == 1
        await turn(ana, thread, "/redo")
        assert (work / "c.txt").read_text() == "patched\n"
    # Another agent of this name: what is kept of turns, and what the model must know, outlive the first.
    async with agent_in(server, tmp_path, model=model), chat_client(server, "ben") as ben:
        before = len(model.requests)
        assert said(ben, await turn(ben, thread, "/retry")).endswith("I see")
        body = json.dumps(model.requests[before].body)
        assert body.count(note) == 1
        assert body.count("The user brought back the file changes") == 1
        await turn(ben, thread, "/undo")
        assert sorted(path.name for path in work.iterdir()) == ["a.txt"]


async def test_two_threads_in_work_trees_of_their_own(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "a.txt").write_text("one\n")
    (work / "AGENTS.md").write_text("Be kind.\n")
    await asyncio.to_thread(committed, work)
    async with (
        agent_in(server, tmp_path, model=model, workspace="per-thread"),
        chat_client(server, "ana") as ana,
    ):
        threads = []
        for name in ("first", "second"):
            source = await ana.say("thread.start", script({"say": f"{name} is ready"}))
            thread = (await ana.wait("thread.started", source_message_id=source))["thread_id"]
            started = await ana.wait("turn.started", source_message_id=source)
            await ana.wait("turn.ended", turn_id=started["turn_id"])
            assert "This thread works in" in said(ana, started["turn_id"])
            threads.append(thread)
        assert "Be kind." in json.dumps(model.requests[-1].body)
        look = "pwd; echo {0} >> a.txt; git status --short; git diff | tail -1; "
        leave = f"touch {work}/escaped; git commit -qam no && echo committed"
        commands = look + leave
        turns = [
            await turn(ana, thread, script({"run": commands.format(name)}, {"report": True}))
            for name, thread in zip("xy", threads, strict=True)
        ]
        trees = sorted((tmp_path / "work.threads").iterdir())
        assert len(trees) == 2
        for name, turn_id in zip("xy", turns, strict=True):
            output = said(ana, turn_id)
            assert any(f"{tree}\n" in output for tree in trees)
            assert f"+{name}" in output
            assert "M a.txt" in output
            assert "committed" not in output  # Git's own files are not commands' to write
        assert sorted(path.name for path in work.iterdir()) == [".git", "AGENTS.md", "a.txt"]
        assert {(tree / "a.txt").read_text() for tree in trees} == {"one\nx\n", "one\ny\n"}
        shown = diff(ana, await turn(ana, threads[0], "/diff"))
        assert "+x" in shown
        await turn(ana, threads[1], "/undo")
        assert {(tree / "a.txt").read_text() for tree in trees} == {"one\nx\n", "one\n"}
        await ana.send("thread.delete", thread_id=threads[1])
        await ana.wait("thread.deleted")
    assert [(tree / "a.txt").read_text() for tree in trees if tree.exists()] == ["one\nx\n"]
