"""`--thread-storage codex`: Codex's records are all that is kept of threads."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from process_agent.scripted.server import ScriptedServer
from tests.contract.agent_room import ChatClient, agent_in, chat_client
from tests.fakes.program import TypedHere
from tests.fakes.room import LocalRoom

PATCH = "*** Begin Patch\n*** Add File: made.txt\n+made here\n*** End Patch"
PLAN = {"plan": [{"step": "look", "status": "completed"}, {"step": "tell", "status": "in_progress"}]}


@pytest.fixture
async def model() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as scripted:
        yield scripted


def script(*actions: dict[str, Any]) -> str:
    return f"```script\n{json.dumps(actions)}\n```"


async def turn(ana: ChatClient, thread: str | None, text: str) -> tuple[str, str]:
    """Thread and turn, once it has ended."""
    if thread is None:
        await ana.say("thread.start", text)
        thread = str((await ana.wait("thread.started"))["thread_id"])
    else:
        await ana.say("turn.start", text, thread_id=thread)
    turn_id = (await ana.wait("turn.started"))["turn_id"]
    await ana.wait("turn.ended", turn_id=turn_id)
    return thread, turn_id


async def listed(ana: ChatClient) -> dict[str, str]:
    await ana.send("thread.list", limit=10, offset=0)
    answer = await ana.wait("thread.listed")
    return {entry["path"]: entry["name"] for entry in answer["threads"]}


def codex_records(base: Path, folder: str) -> list[Path]:
    return sorted(x for x in (base / "data").rglob("rollout-*.jsonl") if folder in x.parts)


async def test_a_thread_is_what_codex_recorded(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    def joined() -> Any:
        return agent_in(server, tmp_path, model=model, approvals="auto", recorded=True)

    said = script(
        {"run": "echo it is out"},
        {"patch": PATCH},
        {"call": "update_plan", "arguments": PLAN},
        {"say": "well said"},
    )
    async with joined(), chat_client(server, "ana") as ana:
        thread, first = await turn(ana, None, said)
        assert thread.startswith("tmp://agents/codex-agent/threads/")
        await ana.send("thread.rename", thread_id=thread, name="A good name")
        await ana.wait("thread.updated")
        assert await listed(ana) == {thread: "A good name"}
        live = [x["tool"] for x in ana.all("tool_call.ended")]
    cache = model.requests[-1].body["prompt_cache_key"]

    async with joined(), chat_client(server, "ben") as ben:
        assert await listed(ben) == {thread: "A good name"}
        await ben.send("thread.open", thread_id=thread, load=True)
        await ben.wait("thread.loaded")
        assert set(live) - {"diff_updated"} == {x["tool"] for x in ben.all("tool_call.ended")}
        assert [x["turn_id"] for x in ben.all("turn.start.accepted")] == [first]
        assert [x["turn_id"] for x in ben.all("turn.started")] == [first]
        assert ben.all("turn.started")[0]["content"][0]["text"] == said
        tools = {x["tool"]: x for x in ben.all("tool_call.ended")}
        assert tools["shell"]["result"]["json"]["stdout"] == "it is out\n"
        assert "made here" in json.dumps(ben.all("tool_call.started"))
        assert "- [x] look" in json.dumps(tools["plan"])
        assert ben.texts() == "well said"
        assert len(ben.all("turn.ended")) == 1
        await turn(ben, thread, script({"say": "and again"}))
        assert model.requests[-1].body["prompt_cache_key"] == cache
        assert json.dumps(model.requests[-1].body["input"]).count("it is out\\n") == 1
        assert len(codex_records(tmp_path, "sessions")) == 1
        await ben.send("thread.delete", thread_id=thread)
        await ben.wait("thread.deleted")
        assert await listed(ben) == {}
        await ben.send("thread.open", thread_id=thread, load=True)
        refused = await ben.wait("thread.event")
        assert refused["event"]["error"]["code"] == "thread_not_available"
    assert codex_records(tmp_path, "sessions") == []
    assert not list((tmp_path / "rooms").rglob("*.lance")), "the room has no table of it"
    assert len(codex_records(tmp_path, "archived_sessions")) == 1


async def test_turns_that_ended_badly_and_a_copy(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    def joined() -> Any:
        return agent_in(server, tmp_path, model=model, approvals="auto", recorded=True)

    slow = script({"say": "tick ", "times": 2_000, "every_ms": 20})
    async with joined(), chat_client(server, "ana") as ana:
        thread, first = await turn(ana, None, script({"say": "once"}))
        await ana.say("turn.start", slow, thread_id=thread)
        second = (await ana.wait("turn.started"))["turn_id"]
        await ana.wait("text_content.delta", turn_id=second)
        await ana.send("turn.interrupt", thread_id=thread, turn_id=second)
        await ana.wait("turn.ended", turn_id=second)
        _, third = await turn(ana, thread, script({"no": "such thing"}))
        failed = ana.all("turn.ended")[-1]
        await ana.say("turn.start", "/fork", thread_id=thread)
        await ana.wait("turn.ended", turn_id=(await ana.wait("turn.started"))["turn_id"])
        (copy,) = set(await listed(ana)) - {thread}
        _, after = await turn(ana, thread, script({"say": "only in the first"}))

    async with joined(), chat_client(server, "ben") as ben:
        assert set(await listed(ben)) == {thread, copy}
        await ben.send("thread.open", thread_id=thread, load=True)
        await ben.wait("thread.loaded")
        assert [x["turn_id"] for x in ben.all("turn.ended")] == [first, second, third, after]
        assert [x["turn_id"] for x in ben.all("turn.interrupted")] == [second]
        assert ben.all("turn.ended")[2]["error"] == failed["error"]
        await ben.send("thread.delete", thread_id=thread)
        await ben.wait("thread.deleted")
    async with joined(), chat_client(server, "ben") as ben:
        await ben.send("thread.open", thread_id=copy, load=True)
        await ben.wait("thread.loaded")
        await turn(ben, copy, script({"say": "only in the copy"}))
        assert "only in the first" not in json.dumps(model.requests[-1].body)
        assert "once" in json.dumps(model.requests[-1].body)

    async with joined(), chat_client(server, "cy") as cy:
        assert set(await listed(cy)) == {copy}
        await cy.send("thread.open", thread_id=copy, load=True)
        await cy.wait("thread.loaded")
        assert [x["turn_id"] for x in cy.all("turn.ended")][:3] == [first, second, third]
        assert len(cy.all("turn.ended")) == 4
        assert cy.texts().endswith("only in the copy")
        assert "only in the first" not in cy.texts()
        assert codex_records(tmp_path, "archived_sessions") == [], "the copy has it still"
        await cy.send("thread.delete", thread_id=copy)
        await cy.wait("thread.deleted")
    assert codex_records(tmp_path, "sessions") == []


def test_what_does_not_go_with_it_is_refused(tmp_path: Path) -> None:
    program = TypedHere(tmp_path / "home", PROCESS_DATA_DIR=str(tmp_path / "data"))
    join = "join --room demo --agent-name bot --local --channel chat --thread-storage codex"
    for more in (
        "--backend chat",
        "--backend codex --backend chat",
        "--backend codex --model chat/none",
        "--backend codex --workspace per-thread",
        "--backend codex --thread-dir /x",
    ):
        refused = program.run(f"{join} {more}")
        assert refused.returncode == 2, more
        assert "--thread-storage codex" in refused.stderr
    assert not (tmp_path / "data" / "rooms").exists()


async def test_answers_that_were_asked_for_again_stay_in_the_thread(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    def joined() -> Any:
        return agent_in(server, tmp_path, model=model, approvals="auto", recorded=True)

    async with joined(), chat_client(server, "ana") as ana:
        other, alone = await turn(ana, None, script({"say": "alone"}))
        _, again = await turn(ana, other, "/retry")
        thread, first = await turn(ana, None, script({"say": "before"}))
        _, asked = await turn(ana, thread, script({"say": "the answer"}))
        _, second = await turn(ana, thread, "/retry")
        _, third = await turn(ana, thread, "/retry")
        for number in (-2, -1):
            request = model.requests[number]
            seen = json.dumps([item for item in request.body["input"] if item.get("role") == "assistant"])
            assert [seen.count(text) for text in ("before", "the answer")] == [1, 0]

    async with joined(), chat_client(server, "ben") as ben:
        await ben.send("thread.open", thread_id=other, load=True)
        await ben.wait("thread.loaded")
        assert [x["turn_id"] for x in ben.all("turn.ended")] == [alone, again]
    async with joined(), chat_client(server, "cy") as cy:
        await cy.send("thread.open", thread_id=thread, load=True)
        await cy.wait("thread.loaded")
        assert [x["turn_id"] for x in cy.all("turn.ended")] == [first, asked, second, third]
        assert cy.texts().count("the answer") == 3
        await turn(cy, thread, script({"say": "go on"}))
        heard = [item for item in model.requests[-1].body["input"] if item.get("role") == "assistant"]
        assert json.dumps(heard).count("the answer") == 1
        await cy.send("thread.delete", thread_id=thread)
        await cy.wait("thread.deleted")
        await cy.send("thread.delete", thread_id=other)
        await cy.wait("thread.deleted")
    assert codex_records(tmp_path, "sessions") == []
