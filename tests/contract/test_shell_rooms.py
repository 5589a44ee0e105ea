"""A language model with a shell in the real room: cards, `/approve`, `/diff`, `/undo`, Codex in between."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from backends.codex import create_backend as create_codex
from backends.llm import create_backend as create_llm
from process_agent.agent.tools.sources import ToolOptions
from process_agent.config import load, load_providers
from process_agent.core.backend import Backend, BackendConfig
from process_agent.core.models import ModelChoice
from process_agent.core.providers import behind
from process_agent.scripted.server import ScriptedServer
from tests.contract.agent_room import AGENT, agent_in, chat_client
from tests.contract.codex_room import script
from tests.contract.test_codex_undo import committed, diff, said, turn
from tests.contract.test_llm_switching import CODEX, OPENAI, of_codex, told
from tests.contract.test_shell_commands import gone
from tests.fakes.room import LocalRoom

SHELL = ToolOptions(shell=True, advanced_shell=True)


@pytest.fixture
async def model() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as scripted:
        yield scripted


def backends(
    model: ScriptedServer, folder: Path, *names: str, skills: tuple[Path, ...] = ()
) -> Sequence[Backend]:
    """Those named, with the scripted model behind them."""
    (folder / "work").mkdir(exist_ok=True)
    known = load_providers(load({"HOME": str(folder)}), {})
    makers = {
        "llm": (create_llm, ModelChoice("llm", "openai", "gpt-5.5")),
        "codex": (create_codex, ModelChoice("codex", None, "gpt-5.5")),
    }
    return [
        maker(
            BackendConfig(
                AGENT,
                folder / "work",
                folder / "data",
                (choice,),
                providers=behind(known, model.base_url, model.api_key, "scripted model"),
                provider="scripted",
                base_url=model.base_url,
                api_key=model.api_key,
                skill_dirs=skills,
                environment={n: os.environ[n] for n in ("PATH", "HOME", "LANG") if n in os.environ},
            )
        )
        for maker, choice in (makers[name] for name in names)
    ]


async def begun(ana: Any, text: str, **choice: str) -> str:
    """A new thread, once its first turn has ended."""
    await ana.say("thread.start", text, **choice)
    thread = (await ana.wait("thread.started"))["thread_id"]
    await ana.wait("turn.ended")
    return str(thread)


@pytest.mark.timeout(300)
async def test_a_command_is_a_card_in_the_room_and_is_approved_by_word(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    made = backends(model, tmp_path, "llm")
    async with agent_in(server, tmp_path, made, tools=SHELL) as agent, chat_client(server, "ana") as ana:
        line = f"shell, advanced-shell: workspace-write, network off, in {tmp_path}/work"
        assert dict(agent.ready.shell) == {"shell": line}
        wants = {"call": "shell", "arguments": {"command": f"echo x > {outside}; echo done"}}
        wants["arguments"] |= {  # type: ignore[operator]
            "sandbox_permissions": "require_escalated",
            "justification": "May I write outside?",
        }
        await ana.say("thread.start", script(wants, {"report": True}))
        thread = (await ana.wait("thread.started"))["thread_id"]
        asked = await ana.wait("tool_call.approval_requested")
        assert asked["tool"] == "shell"
        assert asked["arguments"]["command"].startswith(f"echo x > {outside}")
        assert asked["metadata"]["process"]["approval_reason"] == "May I write outside?"
        assert asked["metadata"]["process"]["decisions"] == [
            "accept",
            "accept_for_session",
            "decline",
            "cancel",
        ]
        assert not outside.exists()
        await ana.say("turn.steer", "/approve session", thread_id=thread, turn_id=asked["turn_id"])
        ended = await ana.wait("tool_call.ended", item_id=asked["item_id"])
        assert ended["result"]["json"]["stdout"] == "done\n"
        assert ended["result"]["json"]["exit_code"] == 0
        await ana.wait("turn.ended")
        assert outside.read_text() == "x\n"
        logs = [line["text"] for m in ana.all("tool_call.log_delta") for line in m["lines"]]
        assert "done\n" in logs
        await turn(ana, thread, script(wants))
        assert len(ana.all("tool_call.approval_requested")) == 1, "for the session"


@pytest.mark.timeout(300)
async def test_what_a_turn_changed_is_shown_and_taken_back(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    made, work = backends(model, tmp_path, "llm"), tmp_path / "work"
    (work / "a.txt").write_text("one\n")
    async with agent_in(server, tmp_path, made, tools=SHELL), chat_client(server, "ana") as ana:
        thread = await begun(ana, script({"say": "ready"}))
        patch = "*** Begin Patch\n*** Add File: c.txt\n+patched\n*** End Patch"
        await turn(ana, thread, script({"run": "echo two >> a.txt"}, {"patch": patch}, {"say": "done"}))
        started = [m for m in ana.all("tool_call.started") if m["tool"] == "apply_patch"]
        assert "+++ b/c.txt" in started[-1]["arguments"]["patch"]
        asked = await turn(ana, thread, "/diff")
        assert "2 files" in said(ana, asked)
        for line in ("+two", "+patched"):
            assert line in diff(ana, asked)
        undone = await turn(ana, thread, "/undo")
        assert "Took back what a turn changed: 2 files" in said(ana, undone)
        assert sorted(path.name for path in work.iterdir()) == ["a.txt"]
        assert (work / "a.txt").read_text() == "one\n"
        before = len(model.requests)
        await turn(ana, thread, script({"say": "I see"}))
        note = "The user took back the file changes of an earlier turn"
        assert json.dumps(model.requests[before].body).count(note) == 1
        await turn(ana, thread, "/redo")
        assert (work / "c.txt").read_text() == "patched\n"


@pytest.mark.timeout(400)
async def test_a_model_works_codex_edits_and_the_model_knows_all_of_it(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    made, work = backends(model, tmp_path, "llm", "codex"), tmp_path / "work"
    (work / "AGENTS.md").write_text("Use tabs-1.")
    async with agent_in(server, tmp_path, made, tools=SHELL) as agent, chat_client(server, "ana") as ana:
        assert agent.ready.shell[0][1].endswith("/work, for llm; codex has its own")
        first = script({"run": "printf 'apples-%d' 41 | tee a.txt"}, {"say": "The model was here."})
        thread = await begun(ana, first, **OPENAI)
        patch = "*** Begin Patch\n*** Update File: a.txt\n@@\n-apples-41\n+pears\n*** End Patch"
        second = script({"patch": patch}, {"run": "printf 'answer-%d' 42"}, {"say": "Codex was here."})
        await ana.say("turn.start", second, thread_id=thread, **CODEX)
        ended = await ana.wait("turn.ended")
        assert "error" not in ended, ended
        assert (work / "a.txt").read_text() == "pears\n"
        (work / "AGENTS.md").write_text("Use tabs-2.")
        await ana.say("turn.start", script({"report": True}), thread_id=thread, **OPENAI)
        ended = await ana.wait("turn.ended")
        assert "error" not in ended, ended
    asked = list(model.requests)
    codex = next(request for request in asked if of_codex(request))
    names = [tool["name"] for tool in codex.body["tools"]]
    assert names.count("exec_command") == 1, "Codex has its own commands and no other"
    assert not {"kill_session", "list_sessions", "shell"} & set(names)
    for once in ("tee a.txt", "apples-41", "The model was here."):
        assert told(codex).count(once) == 1, (once, told(codex))
    last = asked[-1]
    assert not of_codex(last)
    rules = [json.dumps(request.body) for request in (asked[0], codex, last)]
    assert [text.count("tabs-1") for text in rules] == [1, 1, 0], "Codex reads the file itself"
    assert rules[2].count("tabs-2") == 1, "an edit applies at the next turn"
    for once in ("tee a.txt", "The model was here.", "+pears", "answer-%d", "answer-42", "Codex was here."):
        assert told(last).count(once) == 1, (once, told(last))
    calls = [item["name"] for item in last.body["input"] if item.get("type") == "function_call"]
    assert calls == ["exec_command", "apply_patch", "shell"]


@pytest.mark.timeout(300)
async def test_a_thread_with_a_work_tree_of_its_own_writes_there_alone(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    made, work = backends(model, tmp_path, "llm"), tmp_path / "work"
    (work / "a.txt").write_text("one\n")
    committed(work)
    agent = agent_in(server, tmp_path, made, tools=SHELL, workspace="per-thread")
    async with agent, chat_client(server, "ana") as ana:
        patch = "*** Begin Patch\n*** Add File: c.txt\n+patched\n*** End Patch"
        does = script({"run": f"pwd; echo two >> a.txt; echo no >> {work}/a.txt"}, {"patch": patch})
        await begun(ana, does)
        ended = next(m for m in ana.all("tool_call.ended") if m["tool"] == "exec_command")
        place = Path(ended["result"]["json"]["stdout"].splitlines()[0])
        assert place != work
        assert (place / "a.txt").read_text() == "one\ntwo\n"
        assert (place / "c.txt").read_text() == "patched\n"
        assert (work / "a.txt").read_text() == "one\n"
        assert not (work / "c.txt").exists()


@pytest.mark.timeout(300)
async def test_skills_are_in_the_instructions_and_read_by_a_tool(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    place = tmp_path / "skills/deploy"
    place.mkdir(parents=True)
    (place / "SKILL.md").write_text("---\nname: deploy\ndescription: How the app goes out\n---\nPush it.\n")
    made = backends(model, tmp_path, "llm", skills=(place.parent,))
    async with agent_in(server, tmp_path, made, skills=(place.parent,)), chat_client(server, "ana") as ana:
        await begun(ana, script({"call": "read_skill", "arguments": {"name": "deploy"}}, {"report": True}))
        assert "Push it." in ana.texts()
        assert f"- deploy: How the app goes out ({place})" in model.requests[0].body["instructions"]
        (started,) = [m for m in ana.all("tool_call.started") if m["tool"] == "read_skill"]
        assert started["toolkit"] == "skills"


@pytest.mark.timeout(300)
async def test_a_stopped_turn_ends_the_sessions_of_its_thread(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    made = backends(model, tmp_path, "llm")
    async with agent_in(server, tmp_path, made, tools=SHELL) as agent, chat_client(server, "ana") as ana:
        lasting = {"call": "exec_command", "arguments": {"cmd": "sleep 309", "yield_time_ms": 200}}
        thread = await begun(ana, script(lasting))
        shell = agent._shell
        assert shell is not None
        assert shell.sandbox._mark is not None
        source = await ana.say("turn.start", script({"run": "echo begun; sleep 310"}), thread_id=thread)
        accepted = await ana.wait("turn.start.accepted", source_message_id=source)
        await ana.wait("tool_call.log_delta", turn_id=accepted["turn_id"])
        await ana.send("turn.interrupt", thread_id=thread, turn_id=accepted["turn_id"])
        await ana.wait("turn.ended", turn_id=accepted["turn_id"])
        assert await gone(shell.sandbox._mark.word, "sleep 3")
