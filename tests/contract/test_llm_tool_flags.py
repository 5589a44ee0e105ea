"""Every flag for tools, typed with a language model: what it is offered, and what its calls give back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from process_agent.scripted.server import ScriptedServer
from tests.contract.agent_room import AGENT, chat_client
from tests.contract.codex_room import script
from tests.fakes.hosted_toolkit import HostedToolkit
from tests.fakes.mcp_server import mcp_server
from tests.fakes.program import Loaded, Program
from tests.fakes.room import ROOM, LocalRoom

JOIN = (
    f"join --room {ROOM} --agent-name {AGENT} --channel chat --backend llm --model gpt-5.5 --approvals auto"
)


@dataclass(frozen=True)
class Flag:
    """A flag as it is typed, the tools that it offers, and calls of theirs with a part of each result."""

    typed: str
    tools: tuple[str, ...]
    calls: tuple[tuple[str, dict[str, Any], str], ...] = ()


RUN = "printf 'ran-%d' 42"

FLAGS = {
    "one by one": (
        Flag("--shell", ("shell", "apply_patch"), (("shell", {"command": ["sh", "-c", RUN]}, "ran-42"),)),
        Flag("--require-toolkit math", ("math__add",), (("math__add", {}, "the sum is 5"),)),
        Flag(
            "--storage",
            ("storage__list", "storage__read", "storage__write", "storage__delete"),
            (
                ("storage__write", {"path": "a/b.txt", "content": "pears"}, "a/b.txt"),
                ("storage__read", {"path": "a/b.txt"}, "pears"),
            ),
        ),
        Flag("--web-search", ("web_search",)),
        Flag(
            "--mcp-server played={mcp}",
            ("played__weather", "played__hidden"),
            (("played__weather", {}, "It rains."),),
        ),
        Flag("--skill-dir {skills}", ("read_skill",), (("read_skill", {"name": "pears"}, "Peel them."),)),
    ),
    "found and going on": (
        Flag(
            "--advanced-shell",
            ("exec_command", "write_stdin", "list_sessions", "kill_session", "apply_patch"),
            (("exec_command", {"cmd": RUN}, "ran-42"),),
        ),
        Flag(
            "--tool-search room",
            ("room_tools__search", "room_tools__call"),
            (
                ("room_tools__search", {"query": "adds"}, "math"),
                ("room_tools__call", {"toolkit": "math", "tool": "add", "arguments": {}}, "the sum is 5"),
            ),
        ),
        Flag(
            "--read-only-storage",
            ("storage__list", "storage__read"),
            (("storage__list", {}, "notes.txt"),),
        ),
        Flag(
            "--web-fetch",
            ("web_fetch__fetch",),
            (("web_fetch__fetch", {"url": "http://127.0.0.1:9/"}, "127.0.0.1"),),
        ),
        Flag("--image-generation gpt-image-1", ("image_generation",)),
        Flag("--mcp-any", ()),
    ),
}


@pytest.mark.timeout(180)
@pytest.mark.parametrize("together", FLAGS)
async def test_each_flag_offers_its_tools_and_what_they_give_back_is_in_the_next_request(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path, together: str
) -> None:
    flags = FLAGS[together]
    async with mcp_server() as mcp, _host(server), server.client("carl") as carl:
        await carl.storage.upload(path="notes.txt", data=b"kept", overwrite=True)
        typed = " ".join(flag.typed for flag in flags).format(mcp=mcp.url, skills=_skills(tmp_path))
        agent = _program(server, model, tmp_path, AGENT, "agent")
        person = _program(server, model, tmp_path, "ana", "user")
        async with _running(agent, f"{JOIN} {typed}") as said:
            assert "gpt-5.5" in said
            assert ("messages may bring servers at any address" in said) == ("--mcp-any" in typed)
            calls = [call for flag in flags for call in flag.calls]
            actions = [{"call": name, "arguments": arguments} for name, arguments, _ in calls]
            told = await asyncio.to_thread(
                person.run, f"chat --room {ROOM} --message", script(*actions, {"say": "done"})
            )
            assert (told.returncode, told.stdout.strip().endswith("done")) == (0, True), told.stderr
            asked = _asked(model)
            assert sorted(_names(asked["tools"])) == sorted(
                {"chat__attach_file", *(name for flag in flags for name in flag.tools)}
            )
            for name, _, wanted in calls:
                assert wanted in _output(asked["input"], name), name
            if "--mcp-any" in typed:
                await _with_a_server_of_its_own(server, model, mcp.url)


async def _with_a_server_of_its_own(server: LocalRoom, model: ScriptedServer, url: str) -> None:
    """A message brings an MCP server, which no flag of a terminal does."""
    brought = {"mcp": {"servers": [{"server_label": "town", "server_url": url}]}}
    async with chat_client(server, "ben") as ben:
        text = script({"call": "turn_town__weather", "arguments": {}}, {"say": "done"})
        await ben.say("thread.start", text, **brought)
        ended = await ben.wait("turn.ended")
        assert "error" not in ended, ended
    asked = _asked(model)
    assert "turn_town__weather" in _names(asked["tools"])
    assert "It rains." in _output(asked["input"], "turn_town__weather")


def _asked(model: ScriptedServer) -> dict[str, Any]:
    """The last request of a turn; those that name a thread offer no tools."""
    found: dict[str, Any] = [each.body for each in model.requests if each.body.get("tools")][-1]
    return found


def _names(tools: Sequence[dict[str, Any]]) -> list[str]:
    """Of a tool of the provider its type is the name."""
    return [tool.get("name") or tool["type"] for tool in tools]


def _output(items: Sequence[dict[str, Any]], name: str) -> str:
    """What the last call of a tool gave back."""
    call_id = [item["call_id"] for item in items if item.get("name") == name][-1]
    (output,) = [i["output"] for i in items if i["type"].endswith("_output") and i["call_id"] == call_id]
    return json.dumps(output)


def _skills(folder: Path) -> Path:
    skill = folder / "skills" / "pears"
    skill.mkdir(parents=True)
    (skill / "SKILL.md").write_text("---\nname: pears\ndescription: How to eat pears.\n---\nPeel them.\n")
    return skill.parent


def _program(server: LocalRoom, model: ScriptedServer, folder: Path, name: str, role: str) -> Program:
    return Loaded(
        folder / name,
        OPENAI_BASE_URL=model.base_url,
        OPENAI_API_KEY=model.api_key,
        MESHAGENT_API_URL=server.url,
        MESHAGENT_TOKEN=server.token(name, role),
        PROCESS_DATA_DIR=str(folder / f"{name}-data"),
    )


@asynccontextmanager
async def _running(program: Program, command: str) -> AsyncIterator[str]:
    """The program beside the room in this process."""
    running = program.running(command)
    _, said = await asyncio.to_thread(running.__enter__)
    try:
        yield said
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


@asynccontextmanager
async def _host(server: LocalRoom) -> AsyncIterator[None]:
    """Somebody hosts the toolkit `math` and answers every call of it."""
    async with server.client("host", "agent") as client:
        kit = HostedToolkit(client, "math")
        await kit.register()

        async def answering() -> None:
            while True:
                await kit.answer_next(lambda *_: ({"type": "text", "text": "the sum is 5"}, b""))

        answers = asyncio.create_task(answering())
        try:
            yield
        finally:
            answers.cancel()
