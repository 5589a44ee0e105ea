"""What the agent's own threads say, as tools: toolkits `search` and `chat`."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from process_agent.agent.tools.conversation import search_toolkit
from process_agent.agent.tools.thread_list import ThreadListTools
from process_agent.agent.tools.tool import Call, Scope, Tool
from process_agent.core import events as e
from process_agent.core.content import FilePart, Json, TextPart
from process_agent.core.events import EventBody, ThreadEvent, ToolRef
from process_agent.core.ids import ItemId, MessageId, ThreadId, TurnId
from process_agent.errors import ToolFailedError
from tests.fakes.memory_store import MemoryLog, MemoryThreadStore
from tests.fakes.tools import text_of


def events(*bodies: tuple[str, EventBody]) -> list[ThreadEvent]:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        ThreadEvent(MessageId(str(n)), ThreadId("T"), TurnId(turn), now, body, model="m")
        for n, (turn, body) in enumerate(bodies)
    ]


def said(turn: str, text: str, answer: str) -> list[tuple[str, EventBody]]:
    content = (TextPart(text), FilePart("room:///a.pdf", "a.pdf"))
    return [
        (turn, e.TurnStarted(MessageId(f"in-{turn}"), content, "ana")),
        (turn, e.TurnAccepted(MessageId(f"in-{turn}"), content, "ana")),
        (turn, e.TextDelta(ItemId(f"out-{turn}"), answer, "final_answer")),
    ]


@pytest.fixture
def log() -> MemoryLog:
    compacted = ("2", e.ContextCompacted("c", False, "a summary"))
    told = events(*said("1", "My cat is ADA", "Noted."), compacted, *said("2", "x" * 9_000, "Which cat?"))
    return MemoryLog(MemoryThreadStore(), told, [])


async def call(tool: Tool, log: MemoryLog, thread: str = "T", /, **arguments: Json) -> str:
    scope = Scope(ThreadId(thread), TurnId("9"), "ana", log)
    ref = ToolRef(ItemId("i"), "kit", tool.spec.name)
    return text_of(await tool.run(Call(ref, arguments, scope, lambda *_: None)))


async def test_the_conversation_is_searched_also_where_it_was_shortened(log: MemoryLog) -> None:
    grep, range_, count = search_toolkit().tools
    assert await call(count, log) == "4"
    assert await call(grep, log, text="Cat") == "0: ana: My cat is ADA [file a.pdf]\n3: you: Which cat?"
    assert await call(grep, log, text="cat", limit=1) == (
        "[1 earlier messages contain it too.]\n3: you: Which cat?"
    )
    assert await call(grep, log, text="dog") == "No message contains it."
    assert await call(range_, log, start=1, count=1) == "1: you: Noted."
    long = await call(range_, log, start=2, count=1)
    assert long.endswith(" […]")
    assert len(long) < 4_100
    assert await call(range_, log, start=90) == "There are 4 messages."
    with pytest.raises(ToolFailedError, match="whole number"):
        await call(range_, log, start=-1)


async def test_threads_are_listed_and_found_by_name(log: MemoryLog) -> None:
    store = MemoryThreadStore()
    paths = [(await store.create(name)).path for name in ("Fix the test", "Write docs", "fix\nagain")]
    listing, grep = ThreadListTools(store).tools()
    lines = (await call(listing, log, paths[1], limit=2)).splitlines()
    assert lines[0] == "3 conversations"
    assert len(lines) == 3
    listed = await call(listing, log, paths[1])
    assert listed.count("(this one)") == 1
    assert "Write docs" in next(line for line in listed.splitlines() if "(this one)" in line)
    found = await call(grep, log, text="FIX")
    assert len(found.splitlines()) == 2
    assert "fix again" in found
    assert await call(grep, log, text="nothing") == "No conversation has it in its name."
