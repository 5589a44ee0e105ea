"""Threads that the published agent's own storage wrote into our room, as ours read them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from process_agent.core import events as e
from process_agent.core.backend import AgentMessage, ToolCall, UserMessage
from process_agent.core.content import JsonResult, plain_text
from process_agent.core.ids import ThreadId
from process_agent.core.room import TableRef
from process_agent.rooms.join import JoinedRoom, JoinTarget, join_room
from process_agent.threads.kept.lines import ThreadLine, read, write
from process_agent.threads.kept.rows import StoredRow
from process_agent.threads.kept.transfer import Importing, Media, exported
from process_agent.threads.store import DatasetThreadStore
from process_agent.wire.agent_messages import PREFIX
from tests.contract.published.install import for_published
from tests.contract.published.program import Program
from tests.fakes.room import ROOM, LocalRoom
from tests.fakes.thread_events import Speaker, texts
from tests.fakes.thread_house import append

pytestmark = for_published

FOLDER = "dataset://agents/bot/threads"
WORK, ENDS = ThreadId(f"{FOLDER}/work"), ThreadId(f"{FOLDER}/ends")
ANSWER = 'Fixed 1 0 0 ha ha, "quoted", ünï 💡\n\nof them.'


CANCELLED = {"message": "turn cancelled", "code": "cancelled"}
"""How the published agent ends a turn that was stopped; with Codex there is no error. A turn for which steers
wait goes on after it was interrupted.
"""


def asked(turn: str, text: str) -> list[dict[str, Any]]:
    """A turn up to its beginning."""
    content, source = [{"type": "text", "text": text}], f"source {turn}"
    return [
        {"type": "turn.start", "message_id": source, "content": content, "sender_name": "ana"},
        {"type": "turn.start.accepted", "turn_id": turn, "source_message_id": source, "content": content},
        {"type": "turn.started", "turn_id": turn, "source_message_id": source},
    ]


def content(kind: str, turn: str, *deltas: str, ended: bool = True) -> list[dict[str, Any]]:
    """A text, or a thought."""
    of = {"turn_id": turn, "item_id": f"{kind} {turn}", "provider": "openai", "model": "big"}
    said = [{"type": f"{kind}_content.delta", "text": delta, **of} for delta in deltas]
    end = [{"type": f"{kind}_content.ended", **of}] if ended else []
    return [{"type": f"{kind}_content.started", **of}, *said, *end]


def called(turn: str) -> list[dict[str, Any]]:
    """A tool, from its first sign to its result."""
    of: dict[str, Any] = {"turn_id": turn, "item_id": f"tool {turn}", "call_id": "call 1"}
    tool = {**of, "toolkit": "shell", "tool": "shell"}
    named = {**tool, "arguments": {"command": "pytest -q"}}
    lines = [{"source": "stdout", "text": "1 failed"}]
    return [
        {"type": "tool_call.pending", **named},
        {"type": "tool_call.in_progress", **named},
        {"type": "tool_call.started", **named},
        {"type": "tool_call.log_delta", **of, "lines": lines},
        {"type": "tool_call.ended", **tool, "result": {"type": "json", "json": {"exit_code": 1}}},
    ]


def used(turn: str) -> dict[str, Any]:
    window = {"used_tokens": 10, "max_tokens": 1_000, "remaining_tokens": 990}
    usage = {"input_tokens": 8.0, "output_tokens": 2.0}
    return {"type": "usage.updated", "turn_id": turn, "usage": usage, "context_window": window}


WRITTEN: dict[ThreadId, list[dict[str, Any]]] = {
    WORK: [
        *asked("one", "fix the test"),
        *content("reasoning", "one", "I look ", "into it"),
        *called("one"),
        *content("text", "one", ANSWER[:9], ANSWER[9:]),
        used("one"),
        {"type": "turn.ended", "turn_id": "one"},
        *asked("two", "and the other one"),
        *content("text", "two", "That one was fine."),
        {"type": "turn.ended", "turn_id": "two"},
    ],
    ENDS: [
        *asked("fails", "do what cannot be done"),
        *content("text", "fails", "I tr", ended=False),
        {"type": "turn.ended", "turn_id": "fails", "error": {"message": "no model", "code": "bad_model"}},
        *asked("stopped", "count to a million"),
        *content("text", "stopped", "1 2 3", ended=False),
        {"type": "turn.interrupt", "message_id": "stop", "turn_id": "stopped"},
        {"type": "turn.interrupted", "turn_id": "stopped", "source_message_id": "stop"},
        {"type": "turn.ended", "turn_id": "stopped", "error": CANCELLED},
        *asked("by codex", "count again"),
        *content("text", "by codex", "1 2", ended=False),
        {"type": "turn.interrupted", "turn_id": "by codex", "source_message_id": "source by codex"},
        {"type": "turn.ended", "turn_id": "by codex"},
        *asked("went on", "stop, and do that instead"),
        {"type": "turn.interrupted", "turn_id": "went on", "source_message_id": "stop"},
        *content("text", "went on", "Done that."),
        {"type": "turn.ended", "turn_id": "went on"},
    ],
}


@dataclass
class Written:
    """Our store in a room where a published agent was before."""

    room: JoinedRoom
    store: DatasetThreadStore

    async def events(self, thread: ThreadId) -> list[e.ThreadEvent]:
        return [event async for event in (await self.store.open(thread)).replay()]

    async def lines(self, thread: ThreadId) -> list[str]:
        (entry,) = [each for each in (await self.store.list(10, 0))[0] if each.path == thread]
        lines = exported(self.room.datasets, ref(thread), entry, None, Media(self.store.images))
        return [write(line) async for line in lines]


def ref(thread: ThreadId) -> TableRef:
    *namespace, name = thread.removeprefix("dataset://").split("/")
    return TableRef(name, tuple(namespace))


@pytest.fixture
async def written(server: LocalRoom, published: Program) -> AsyncIterator[Written]:
    for thread, messages in WRITTEN.items():
        bodies = [
            {"thread_id": thread, **message, "type": PREFIX + str(message["type"])} for message in messages
        ]
        writing = published.call(
            "write_thread",
            url=server.ws_url(),
            token=server.token("bot", "agent"),
            folder=FOLDER,
            thread=thread,
            name=thread.rsplit("/", 1)[-1],
            bodies=bodies,
        )
        await asyncio.wrap_future(writing)
    async with join_room(JoinTarget(ROOM, server.url, server.token("bot", "agent"))) as room:
        store = DatasetThreadStore(
            room.datasets, "bot", clock=lambda: datetime.now(UTC), new_id=lambda: str(uuid.uuid4())
        )
        await store.start()
        yield Written(room, store)
        await store.close()


def bodies[Body](events: Iterable[e.ThreadEvent], kind: type[Body], turn: str) -> list[Body]:
    return [event.body for event in events if event.turn_id == turn and isinstance(event.body, kind)]


async def test_they_are_listed_newest_first(written: Written) -> None:
    page, total = await written.store.list(10, 0)
    assert [(entry.path, entry.name) for entry in page] == [(ENDS, "ends"), (WORK, "work")]
    assert total == 2


async def test_they_are_replayed_with_all_that_was_said_and_done(written: Written) -> None:
    events = await written.events(WORK)
    assert texts(events) == {("one", "text one"): ANSWER, ("two", "text two"): "That one was fine."}
    thought = "".join(body.text for body in bodies(events, e.ReasoningDelta, "one"))
    (started,), (ended,) = bodies(events, e.ToolStarted, "one"), bodies(events, e.ToolEnded, "one")
    (log,), (usage,) = bodies(events, e.ToolLog, "one"), bodies(events, e.UsageUpdated, "one")
    assert thought == "I look into it"
    assert (started.ref.tool, started.arguments) == ("shell", {"command": "pytest -q"})
    assert "".join(line.text for line in log.lines).strip() == "1 failed"
    assert ended.result == JsonResult({"exit_code": 1})
    assert (usage.usage.input, usage.usage.output) == (8, 2)
    (begun,) = bodies(events, e.TurnRequested, "one")
    assert (plain_text(begun.content), begun.sender_name) == ("fix the test", "ana")
    ends = [bodies(events, e.TurnEnded, turn)[-1].reason for turn in ("one", "two")]
    assert ends == [e.EndReason.COMPLETED] * 2


async def test_a_turn_that_failed_and_one_that_was_stopped_are_told_so(written: Written) -> None:
    events = await written.events(ENDS)
    (failed,), (stopped,) = bodies(events, e.TurnEnded, "fails"), bodies(events, e.TurnEnded, "stopped")
    assert failed.reason == e.EndReason.FAILED
    assert failed.error is not None
    assert (failed.error.message, failed.error.code) == ("no model", "bad_model")
    assert stopped.reason == e.EndReason.INTERRUPTED
    (by_codex,), (went_on,) = bodies(events, e.TurnEnded, "by codex"), bodies(events, e.TurnEnded, "went on")
    assert (by_codex.reason, went_on.reason) == (e.EndReason.INTERRUPTED, e.EndReason.COMPLETED)
    said = {turn: text for (turn, _), text in texts(events).items()}
    assert said == {"fails": "I tr", "stopped": "1 2 3", "by codex": "1 2", "went on": "Done that."}


async def test_a_model_is_told_them_as_they_were(written: Written) -> None:
    history = await (await written.store.open(WORK)).history()
    told = [
        plain_text(item.content) if isinstance(item, UserMessage) else item.text
        for item in history
        if isinstance(item, UserMessage | AgentMessage)
    ]
    assert told == ["fix the test", ANSWER, "and the other one", "That one was fine."]
    (call,) = [item for item in history if isinstance(item, ToolCall)]
    assert (call.ref.tool, call.arguments) == ("shell", {"command": "pytest -q"})


async def test_they_are_exported_and_imported_again_to_the_letter(written: Written) -> None:
    lines = await written.lines(WORK)
    thread, *rows = list(read(lines))
    assert isinstance(thread, ThreadLine)
    assert (thread.entry.path, thread.entry.name) == (WORK, "work")
    assert [row.sequence for row in rows if isinstance(row, StoredRow)] == list(range(len(rows)))
    importing = Importing(
        written.room.datasets,
        ("agents", "other", "threads"),
        Media(written.store.images),
        clock=lambda: datetime.now(UTC),
        new_id=lambda: str(uuid.uuid4()),
    )
    (taken,) = [each async for each in importing.take(read(lines))]
    assert taken.rows == len(rows)


async def test_ours_goes_on_and_the_published_agent_reads_both(
    written: Written, server: LocalRoom, published: Program
) -> None:
    log, say = await written.store.open(WORK), Speaker(WORK)
    append(
        log, say.begin("go on", "three"), say.text("Here I am.", item="i3", turn="three"), say.end("three")
    )
    await log.flush()
    reading = published.call(
        "read_thread", url=server.ws_url(), token=server.token("reader", "agent"), thread=WORK
    )
    read_back = await asyncio.wrap_future(reading)
    ends = [each["turn_id"] for each in read_back if each["type"] == PREFIX + "turn.ended"]
    said = [each["text"] for each in read_back if each["type"] == PREFIX + "text_content.delta"]
    assert ends == ["one", "two", "three"]
    assert said == [ANSWER, "That one was fine.", "Here I am."]
