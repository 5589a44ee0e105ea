"""The log and the store of threads over tables in memory."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from process_agent.core import events as e
from process_agent.core.backend import AgentMessage, ToolCall, UserMessage
from process_agent.core.content import ErrorInfo, JsonResult, LogLine, TextPart
from process_agent.core.ids import ItemId, MessageId, ThreadId
from process_agent.core.models import ModelChoice
from process_agent.core.room import TableRef
from process_agent.core.usage import Usage
from process_agent.errors import RoomError, RoomRequestError
from process_agent.threads.log import DatasetThreadLog
from process_agent.threads.rows import to_row, to_table
from process_agent.threads.schema import THREAD
from process_agent.threads.store import DatasetThreadStore
from tests.fakes.datasets import MemoryDatasets
from tests.fakes.thread_events import START, Speaker, TestClock, texts

REF = e.ToolRef(ItemId("tool1"), "codex", "shell", "codex")


class House:
    """A store over tables that outlive it; `agent()` is a new process of the agent."""

    def __init__(self) -> None:
        self.datasets = MemoryDatasets()
        self.clock = TestClock()
        self._ids = itertools.count(1)
        self.stores: list[DatasetThreadStore] = []

    def agent(self, **options: Any) -> DatasetThreadStore:
        store = DatasetThreadStore(
            self.datasets, "bot", clock=self.clock, new_id=lambda: f"t{next(self._ids)}", **options
        )
        self.stores.append(store)
        return store

    async def thread(self, name: str = "New Chat") -> tuple[DatasetThreadStore, DatasetThreadLog, Speaker]:
        store = self.agent()
        await store.start()
        entry = await store.create(name)
        return store, await store.open(entry.path), Speaker(entry.path, self.clock)

    def kinds(self, thread: str) -> list[str]:
        return [row["type"].removeprefix("meshagent.agent.") for row in self.datasets.thread(thread)]


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    yield house
    for store in house.stores:
        await store.close()


async def replayed(log: DatasetThreadLog, since: str | None = None) -> list[e.ThreadEvent]:
    return [event async for event in log.replay(since)]


def append(log: DatasetThreadLog, *groups: list[e.ThreadEvent] | e.ThreadEvent) -> None:
    for group in groups:
        for event in group if isinstance(group, list) else [group]:
            log.append(event)


# --- Rows ---------------------------------------------------------------------------------------


async def test_a_turn_becomes_the_documented_rows(house: House) -> None:
    _, log, say = await house.thread()
    append(log, say.begin())
    append(log, say.say(e.Working("Thinking")), say.say(e.Status("Thinking", "steerable")))
    append(log, say.say(e.ToolStarted(REF, {"command": "ls"})))
    append(log, say.say(e.ToolLog(REF, (LogLine("a\n"),))), say.say(e.ToolLog(REF, (LogLine("b\n"),))))
    append(log, say.say(e.ToolEnded(REF, JsonResult({"exit_code": 0}))))
    append(log, say.text("7 ", "7 ", "7 and ha ", "ha ", "ha"))
    append(log, say.say(e.UsageUpdated(Usage(input=1))), say.say(e.UsageUpdated(Usage(input=2))), say.end())
    await log.flush()
    rows = house.datasets.thread(say.thread_id)
    assert house.kinds(say.thread_id) == [
        "turn.start", "turn.start.accepted", "turn.started", "tool_call.started", "tool_call.log_delta",
        "tool_call.ended", "text_content.delta", "text_content.ended", "usage.updated", "turn.ended",
    ]  # fmt: skip
    numbers = [row["sequence"] for row in rows]
    assert numbers == sorted(set(numbers))
    assert [row["item_id"] for row in rows][3:8] == ["tool1", "tool1", "tool1", "i1", "i1"]
    assert rows[0]["item_id"] == "source-u1"
    assert {row["turn_id"] for row in rows} == {"u1"}
    delta = json.loads(rows[6]["data"])
    assert delta["text"] == "7 7 7 and ha ha ha"
    assert "created_at" not in delta
    assert delta["provider"] is None
    assert delta["metadata"] == {}
    assert json.loads(rows[8]["data"])["usage"]["input_tokens"] == 2


async def test_a_short_turn_is_one_insert(house: House) -> None:
    _, log, say = await house.thread()
    append(log, say.begin(), say.text("hello"), say.end())
    await log.flush()
    assert [call for call in house.datasets.calls if call[0] == "insert"] == [("insert", "t1")]


async def test_what_streams_is_stored_within_a_second_and_whole_at_the_end(house: House) -> None:
    _, log, say = await house.thread()
    append(log, say.begin(), say.deltas("ha ", "ha ", "ha "))
    append(log, say.say(e.ToolStarted(REF, {})), say.say(e.ToolLog(REF, (LogLine("working\n"),))))
    await house.datasets.until(lambda: "tool_call.log_delta" in house.kinds(say.thread_id))
    other = await house.agent(others_here=lambda: True).open(say.thread_id)
    assert texts(await replayed(other)) == {("u1", "i1"): "ha ha ha "}
    append(log, say.deltas("ha", "!"), say.say(e.TextEnded(ItemId("i1"))), say.end())
    await log.flush()
    assert texts(await replayed(log)) == {("u1", "i1"): "ha ha ha ha!"}


async def test_a_flush_stores_open_items_too(house: House) -> None:
    _, log, say = await house.thread()
    append(log, say.begin(), say.deltas("half"), say.say(e.ToolStarted(REF, {})))
    await log.flush()
    await crash(house, log)
    events = await replayed(await house.agent().open(say.thread_id))
    assert texts(events) == {("u1", "i1"): "half"}
    assert [type(event.body) for event in events].count(e.ToolStarted) == 1


async def test_the_end_of_a_turn_ends_its_items(house: House) -> None:
    _, log, say = await house.thread()
    append(log, say.begin(), say.deltas("half"), say.say(e.ToolStarted(REF, {"command": "sleep"})))
    append(log, say.end(reason=e.EndReason.INTERRUPTED))
    await log.flush()
    ended = [event.body for event in await replayed(log) if isinstance(event.body, e.ToolEnded)]
    assert [body.error.code for body in ended if body.error] == ["cancelled"]
    assert house.kinds(say.thread_id)[-5:] == [
        "text_content.delta", "text_content.ended", "tool_call.started", "tool_call.ended", "turn.ended",
    ]  # fmt: skip


async def test_a_log_beyond_its_limit_says_what_is_left_out(house: House) -> None:
    _, log, say = await house.thread()
    append(log, say.begin(), say.say(e.ToolStarted(REF, {})))
    for _ in range(30):
        append(log, say.say(e.ToolLog(REF, (LogLine("x" * 100_000),))))
    append(log, say.say(e.ToolEnded(REF)), say.end())
    await log.flush()
    lines = [line for ev in await replayed(log) if isinstance(ev.body, e.ToolLog) for line in ev.body.lines]
    assert sum(len(line.text) for line in lines) < 1_100_000
    assert "2,000,000 more characters" in lines[-1].text


async def test_a_decision_comes_after_the_start_of_its_call(house: House) -> None:
    _, log, say = await house.thread()
    append(log, say.begin(), say.say(e.ToolStarted(REF, {"command": "rm"})))
    append(log, say.say(e.ApprovalRequested(REF, {"command": "rm"}, "why")))
    append(log, say.say(e.ApprovalDecided(REF, True, "Ana")), say.say(e.ToolEnded(REF)), say.end())
    events = [type(event.body).__name__ for event in await replayed(log)]
    assert events[3:] == ["ToolStarted", "ApprovalRequested", "ApprovalDecided", "ToolEnded", "TurnEnded"]


async def test_changed_arguments_are_stored_once_more_at_the_end(house: House) -> None:
    _, log, say = await house.thread()
    append(log, say.begin(), *[say.say(e.ToolStarted(REF, {"diff": "+" * n})) for n in (1, 2)])
    await house.datasets.until(lambda: "tool_call.started" in house.kinds(say.thread_id))
    append(log, *[say.say(e.ToolStarted(REF, {"diff": "+" * n})) for n in (3, 4)])
    append(log, say.say(e.ToolEnded(REF)), say.end())
    starts = [event.body for event in await replayed(log) if isinstance(event.body, e.ToolStarted)]
    assert [body.arguments["diff"] for body in starts] == ["++", "++++"]


async def test_half_surrogates_from_a_client_do_not_stop_the_log(house: House) -> None:
    _, log, say = await house.thread()
    append(log, say.say(e.TurnRequested((TextPart("\ud800!"),), "Ana"), "u\udfff", "m\ud800"))
    append(log, say.begin(), say.end())
    await log.flush()
    assert len(house.kinds(say.thread_id)) == 5
    assert (await replayed(log))[0].body == e.TurnRequested((TextPart("\ud800!"),), "Ana")


# --- Replay -------------------------------------------------------------------------------------


async def test_replay_gives_back_what_was_said_in_order(house: House) -> None:
    _, log, say = await house.thread()
    said = [*say.begin(), *say.text("hello ", "world"), say.end()]
    append(log, said)
    events = await replayed(log)
    assert [type(event.body).__name__ for event in events] == [
        "TurnRequested", "TurnAccepted", "TurnStarted", "TextDelta", "TextEnded", "TurnEnded",
    ]  # fmt: skip
    kept = [*said[:3], *said[-2:]]
    assert [(ev.message_id, ev.body) for ev in [*events[:3], *events[-2:]]] == [
        (ev.message_id, ev.body) for ev in kept
    ]
    times = [event.created_at for event in events]
    assert times == sorted(times)


async def test_an_open_item_has_the_id_of_its_stored_form(house: House) -> None:
    _, log, say = await house.thread()
    append(log, say.begin(), say.deltas("one "))
    (partial,) = [event for event in await replayed(log) if isinstance(event.body, e.TextDelta)]
    append(log, say.deltas("two"), say.say(e.TextEnded(ItemId("i1"))), say.end())
    (whole,) = [event for event in await replayed(log) if isinstance(event.body, e.TextDelta)]
    assert partial.message_id == whole.message_id
    assert (partial.body, whole.body) == (
        e.TextDelta(ItemId("i1"), "one ", "final_answer"),
        e.TextDelta(ItemId("i1"), "one two", "final_answer"),
    )


async def test_a_replay_holds_what_came_before_it_and_nothing_after(house: House) -> None:
    _, log, say = await house.thread()
    append(log, say.begin(), say.deltas("one "))
    replay = log.replay()
    append(log, say.deltas("two"), say.say(e.TextEnded(ItemId("i1"))), say.end())
    await log.flush()
    events = [event async for event in replay]
    assert texts(events) == {("u1", "i1"): "one "}
    assert not [event for event in events if isinstance(event.body, e.TurnEnded)]


async def test_since_a_turn_or_a_message(house: House) -> None:
    _, log, say = await house.thread()
    for turn in ("u1", "u2", "u3"):
        append(log, say.begin(turn=turn), say.text("answer", turn=turn, item=f"i-{turn}"), say.end(turn))
    turns = [event.turn_id for event in await replayed(log, "u2")]
    assert set(turns) == {"u2", "u3"}
    assert len(turns) == 12
    assert (await replayed(log, "source-u3"))[0].message_id == "source-u3"
    everything = await replayed(log)
    delta = next(
        event for event in everything if isinstance(event.body, e.TextDelta) and event.turn_id == "u2"
    )
    assert (await replayed(log, delta.message_id))[0] == delta
    assert await replayed(log, "nowhere") == []


async def test_a_long_thread_is_replayed_from_its_last_turns(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("process_agent.threads.table.MAX_TURNS", 10)
    monkeypatch.setattr("process_agent.threads.table.PAGE_ROWS", 16)
    _, log, say = await house.thread()
    for number in range(30):
        append(log, say.begin(turn=f"u{number}"), say.end(f"u{number}"))
    events = await replayed(log)
    assert [event.turn_id for event in events if isinstance(event.body, e.TurnEnded)] == [
        f"u{number}" for number in range(20, 30)
    ]
    assert len(events) == 40
    assert len(await replayed(log, "u25")) == 20
    assert await replayed(log, "u3") == []


async def test_rows_of_two_writers_are_read_in_the_order_of_their_numbers(house: House) -> None:
    _, log, say = await house.thread()
    append(log, say.begin(), say.end())
    await log.flush()
    table = TableRef("t1", ("agents", "bot", "threads"))
    every = house.datasets.tables[table]
    house.datasets.tables[table] = every.take([2, 0, 3, 1])
    names = [type(event.body).__name__ for event in await replayed(log)]
    assert names == ["TurnRequested", "TurnAccepted", "TurnStarted", "TurnEnded"]


# --- Lost connections ---------------------------------------------------------------------------


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("process_agent.io.backoff.random.random", lambda: 1.0)
    monkeypatch.setattr("process_agent.threads.writer.Backoff", lambda ceiling: _NoWait())


class _NoWait:
    def delays(self) -> Any:
        return itertools.repeat(0.0)


@pytest.mark.usefixtures("_at_once")
async def test_every_row_is_stored_exactly_once_through_failures(house: House) -> None:
    _, log, say = await house.thread()
    house.datasets.failures = [RoomError("lost"), RoomError("lost"), RoomRequestError("busy", code=1008)]
    house.datasets.after = [RoomError("lost after writing")]
    append(log, say.begin(), say.text("one"), say.end())
    await log.flush()
    append(log, say.begin(turn="u2"), say.end("u2"))
    await log.flush()
    numbers = [row["sequence"] for row in house.datasets.thread(say.thread_id)]
    assert len(numbers) == 10
    assert numbers == sorted(set(numbers))


@pytest.mark.usefixtures("_at_once")
async def test_a_refusal_for_good_fails_the_flush_and_later_ones(house: House) -> None:
    _, log, say = await house.thread()
    house.datasets.failures = [RoomRequestError("no", code=1001)]
    append(log, say.begin())
    with pytest.raises(RoomRequestError):
        await log.flush()
    append(log, say.end())
    with pytest.raises(RoomRequestError):
        await log.flush()


async def test_a_room_away_too_long_is_an_error_and_not_endless_memory(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("process_agent.threads.writer.MAX_WAITING", 10_000)
    _, log, say = await house.thread()
    house.datasets.gate.clear()
    for number in range(20):
        append(log, say.text("x" * 1000, item=f"i{number}"))
    with pytest.raises(RoomError, match="away too long"):
        await log.flush()
    house.datasets.gate.set()


async def test_closing_gives_up_when_the_room_is_away(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("process_agent.threads.log.CLOSE_SECONDS", 0.05)
    store, log, say = await house.thread()
    house.datasets.gate.clear()
    append(log, say.begin())
    await asyncio.gather(log.close(), log.close())
    house.datasets.gate.set()
    assert await store.open(say.thread_id) is not log


# --- Crashes ------------------------------------------------------------------------------------


async def crash(house: House, log: DatasetThreadLog) -> None:
    """The process dies: what was not given to the room is gone."""
    await log.flush()
    await log._tasks.close()
    house.stores.clear()


async def test_a_killed_turn_is_closed_as_lost_with_its_text_when_the_agent_starts(house: House) -> None:
    _, log, say = await house.thread()
    append(log, say.begin(), say.say(e.ToolStarted(REF, {"command": "sleep"})))
    append(log, say.deltas("ha ", "ha ", "ha "))
    await house.datasets.until(lambda: "thread.event" in house.kinds(say.thread_id))
    append(log, say.begin(turn="u2"))
    await crash(house, log)
    store = house.agent()
    await store.start()
    kinds = house.kinds(say.thread_id)
    assert kinds.count("turn.ended") == 2
    again = await store.open(say.thread_id)
    events = await replayed(again)
    assert texts(events) == {("u1", "i1"): "ha ha ha "}
    ends = {str(event.turn_id): event.body for event in events if isinstance(event.body, e.TurnEnded)}
    assert {turn: body.reason for turn, body in ends.items()} == {"u1": "lost", "u2": "lost"}
    assert ends["u1"].error is not None
    assert [ev.body.error.code for ev in events if isinstance(ev.body, e.ToolEnded) and ev.body.error] == [
        "incomplete"
    ]
    await house.agent().start()
    assert house.kinds(say.thread_id) == kinds


async def test_opening_a_killed_thread_shows_it_lost_and_writes_nothing(house: House) -> None:
    _, log, say = await house.thread()
    append(log, say.begin(), say.deltas("half a sen"))
    await house.datasets.until(lambda: "thread.event" in house.kinds(say.thread_id))
    await crash(house, log)
    before, house.datasets.calls = house.kinds(say.thread_id), []
    again = await house.agent().open(say.thread_id)
    events = await replayed(again)
    assert texts(events) == {("u1", "i1"): "half a sen"}
    assert isinstance(events[-1].body, e.TurnEnded)
    assert events[-1].body.reason is e.EndReason.LOST
    assert await again.history() == [
        UserMessage((TextPart("hello"),), "Ana"),
        AgentMessage("half a sen", "final_answer"),
    ]
    assert {call for call, _ in house.datasets.calls} == {"count", "search"}
    assert house.kinds(say.thread_id) == before
    say2 = Speaker(say.thread_id, house.clock)
    append(again, say2.begin(turn="u9"), say2.end("u9"))
    assert texts(await replayed(again)) == {("u1", "i1"): "half a sen"}
    stored = [event for event in await replayed(again) if isinstance(event.body, e.TurnEnded)]
    assert (stored[0].turn_id, stored[0].message_id) == ("u1", events[-1].message_id)
    assert [event.turn_id for event in stored] == ["u1", "u9"]


async def test_turns_are_left_to_another_agent_of_our_name(house: House) -> None:
    _, log, say = await house.thread()
    append(log, say.begin(), say.deltas("still going"))
    await log.flush()
    store = house.agent(others_here=lambda: True)
    await store.start()
    other = await store.open(say.thread_id)
    assert not [event for event in await replayed(other) if isinstance(event.body, e.TurnEnded)]
    assert "turn.ended" not in house.kinds(say.thread_id)


async def test_turns_of_an_agent_that_goes_are_closed_after_all(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("process_agent.threads.store._LOOK_EVERY", 0.01)
    _, log, say = await house.thread()
    append(log, say.begin())
    await crash(house, log)
    there = [True]
    await house.agent(others_here=lambda: there[0]).start()
    assert "turn.ended" not in house.kinds(say.thread_id)
    there.clear()
    there.append(False)
    await house.datasets.until(lambda: "turn.ended" in house.kinds(say.thread_id))


async def test_a_clock_behind_the_writers_hides_nothing(house: House) -> None:
    _, log, say = await house.thread()
    append(log, say.begin(), say.end())
    await log.flush()
    behind = DatasetThreadStore(
        house.datasets, "bot", clock=TestClock(START - timedelta(days=1)), new_id=lambda: "x"
    )
    house.stores.append(behind)
    reader = await behind.open(say.thread_id)
    append(log, say.begin(turn="u2"), say.end("u2"))
    await log.flush()
    assert len(await replayed(reader)) == 8


async def test_a_long_lost_turn_is_found_whole(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("process_agent.threads.table.TAIL_ROWS", 4)
    _, log, say = await house.thread()
    append(log, say.begin(turn="u0"), say.end("u0"), say.begin())
    for number in range(5):
        append(log, say.text("done", item=f"i{number}"))
    await crash(house, log)
    await house.agent().start()
    assert house.kinds(say.thread_id).count("turn.ended") == 2
    assert house.kinds(say.thread_id)[-1] == "turn.ended"


# --- Two agents ---------------------------------------------------------------------------------


async def test_two_agents_on_one_thread_do_not_corrupt_it(house: House) -> None:
    _, first, say = await house.thread()
    second = await house.agent(others_here=lambda: True).open(say.thread_id)
    house.clock.__class__ = type("Still", (TestClock,), {"__call__": lambda self: self.now})
    for number in range(40):
        append(first, say.begin(turn=f"a{number}"), say.end(f"a{number}"))
        append(second, say.begin(turn=f"b{number}"), say.end(f"b{number}"))
    await asyncio.gather(first.flush(), second.flush())
    numbers = [row["sequence"] for row in house.datasets.thread(say.thread_id)]
    assert len(set(numbers)) == len(numbers) == 320
    assert len([ev for ev in await replayed(first) if isinstance(ev.body, e.TurnEnded)]) == 80


# --- What others wrote --------------------------------------------------------------------------


async def test_rows_of_the_published_agent_are_read_with_their_quirks(house: House) -> None:
    store, log, say = await house.thread()
    await log.close()
    frame = {"thread_id": say.thread_id, "turn_id": "u1", "metadata": {}, "sender_name": "bot"}
    written: list[dict[str, Any]] = [
        {"type": "turn.start", "message_id": "in1", "content": [{"type": "text", "text": "hi"}], **frame},
        {"type": "turn.start.accepted", "message_id": "a", "source_message_id": "in1",
         "content": [{"type": "text", "text": "hi"}], **frame},
        {"type": "thread.status", "message_id": "s", "status": "Thinking", **frame},
        {"type": "turn.started", "message_id": "b", "source_message_id": "in1", **frame},
        {"type": "text_content.delta", "message_id": "d1", "item_id": "i1", "text": "Hel", **frame},
        {"type": "text_content.delta", "message_id": "d2", "item_id": "i1", "text": "lo", **frame},
        {"type": "text_content.delta", "message_id": "d3", "item_id": "i1", "text": "Hello", **frame},
        {"type": "text_content.ended", "message_id": "d4", "item_id": "i1", **frame},
        {"type": "thread.event", "message_id": "x", "event": {"type": "turn.error"}, **frame},
        {"type": "tool_call.ended", "message_id": "y", "item_id": "t", "toolkit": "x", "tool": "y", **frame},
        {"type": "made.up", "message_id": "z", **frame},
        {"type": "turn.ended", "message_id": "e", **frame},
    ]  # fmt: skip
    rows: list[dict[str, Any]] = []
    for number, message in enumerate(written):
        full = {**message, "type": f"meshagent.agent.{message['type']}"}
        item = message.get("item_id", message["message_id"])
        kind = None if number == 3 else full["type"]
        rows.append({
            "turn_id": "u1", "item_id": item, "type": kind, "sequence": number, "timestamp": house.clock(),
            "data": json.dumps(full), "attachment": None,
        })  # fmt: skip
    rows.insert(4, {**rows[0], "data": "{broken", "sequence": 3})
    import pyarrow as pa

    await house.datasets.insert(
        TableRef("t1", ("agents", "bot", "threads")), pa.Table.from_pylist(rows, schema=THREAD)
    )
    log = await store.open(say.thread_id)
    events = await replayed(log)
    assert texts(events) == {("u1", "i1"): "Hello"}
    assert [type(event.body).__name__ for event in events] == [
        "TurnRequested", "TurnAccepted", "TurnStarted", "TextDelta", "TextEnded", "ToolEnded", "TurnEnded",
    ]  # fmt: skip
    history = await log.history()
    assert history[:2] == [UserMessage((TextPart("hi"),), "bot"), AgentMessage("Hello")]
    append(log, say.begin(turn="u2"), say.end("u2"))
    await log.flush()
    numbers = [row["sequence"] for row in house.datasets.thread(say.thread_id)]
    assert min(numbers[-4:]) > 11


async def test_what_was_cleared_is_not_replayed(house: House) -> None:
    store, log, say = await house.thread()
    append(log, say.begin(), say.end())
    await log.flush()
    row = to_row(say.say(e.Interrupted(MessageId("x"))), (1 << 52) + 1, house.clock())
    cleared = type(row)(None, "c", "meshagent.agent.thread.cleared", row.sequence, row.timestamp, "{}")
    await house.datasets.insert(TableRef("t1", ("agents", "bot", "threads")), to_table([cleared]))
    await log.close()
    assert await replayed(await store.open(say.thread_id)) == []


# --- History and model --------------------------------------------------------------------------


async def test_history_counts_each_input_once_and_knows_tools(house: House) -> None:
    _, log, say = await house.thread()
    append(log, say.begin("first"), say.say(e.ToolStarted(REF, {"command": "ls"})))
    append(
        log,
        say.say(e.ToolLog(REF, (LogLine("a\n"),))),
        say.say(e.ToolEnded(REF, JsonResult({"exit_code": 0}))),
    )
    steer, content = MessageId("steer1"), (TextPart("also"),)
    append(log, say.say(e.SteerAccepted(steer, content, "Ben")))
    append(
        log,
        say.say(e.SteerRequested(content, "Ben"), message_id=steer),
        say.say(e.Steered(steer, content, "Ben")),
    )
    append(log, say.text("done"), say.end())
    append(log, say.begin("queued", turn="u2"), say.begin("never", turn="u3")[:2])
    append(log, say.say(e.TurnEnded(e.EndReason.FAILED, ErrorInfo("stopped", "agent_stopped")), "u3"))
    expected = [
        UserMessage((TextPart("first"),), "Ana"),
        ToolCall(REF, {"command": "ls"}, (LogLine("a\n"),), JsonResult({"exit_code": 0})),
        UserMessage((TextPart("also"),), "Ben"),
        AgentMessage("done", "final_answer"),
    ]
    assert await log.history() == expected, "the turn under way is not in it"
    append(log, say.end("u2"))
    assert await log.history() == [*expected, UserMessage((TextPart("queued"),), "Ana")]


async def test_the_model_chosen_last(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    store, log, say = await house.thread()
    assert await log.model() is None
    append(log, say.say(e.ModelChanged(None, "codex", "openai", "gpt-5.5"), None))
    append(log, say.say(e.ModelChanged(None, "llm", None, "claude"), None))
    assert await log.model() == ModelChoice("llm", None, "claude")
    for number in range(10):
        append(log, say.begin(turn=f"u{number}"), say.end(f"u{number}"))
    await log.close()
    assert await (await store.open(say.thread_id)).model() == ModelChoice("llm", None, "claude")
    await store.close()
    monkeypatch.setattr("process_agent.threads.table.TAIL_ROWS", 5)
    assert await (await house.agent().open(say.thread_id)).model() == ModelChoice("llm", None, "claude")


# --- The list -----------------------------------------------------------------------------------


async def test_the_list_is_newest_first_and_paged(house: House) -> None:
    store = house.agent()
    await store.start()
    made = [await store.create(f"thread {number}") for number in range(5)]
    await store.touch(made[1].path)
    page, total = await store.list(3, 0)
    assert [entry.name for entry in page] == ["thread 1", "thread 4", "thread 3"]
    assert total == 5
    rest, _ = await store.list(10, 3)
    assert [entry.name for entry in rest] == ["thread 2", "thread 0"]


async def test_renaming_and_touching_keep_the_rest(house: House) -> None:
    store = house.agent()
    await store.start()
    entry = await store.create("old 'name'")
    renamed = await store.rename(entry.path, "new")
    touched = await store.touch(entry.path)
    assert (touched.name, touched.created_at) == ("new", entry.created_at)
    assert touched.modified_at > renamed.modified_at > entry.modified_at
    (listed,), _ = await store.list(10, 0)
    assert listed == touched
    (row,) = house.datasets.rows(TableRef("index", ("agents", "bot", "threads")))
    assert row["created_at"].endswith("Z")


async def test_deleting_removes_rows_and_entry_and_closes_the_log(house: House) -> None:
    store, log, say = await house.thread()
    append(log, say.begin())
    await store.delete(say.thread_id)
    assert await store.list(10, 0) == ([], 0)
    with pytest.raises(RoomRequestError):
        await store.open(say.thread_id)
    assert log.closed


@pytest.mark.parametrize(
    "path",
    [
        "dataset://agents/bot/threads/nope", "dataset://usage/records", "dataset://agents/bot/threads/index",
        "dataset://agents/other/threads/t1", "dataset://agents/bot/threads/../x", "t1", "",
        "dataset://agents/bot/threads/a'b", "tmp://agents/bot/threads/t1", "dataset://agents/bot/threads/",
    ],
)  # fmt: skip
async def test_only_threads_of_the_folder_can_be_reached(house: House, path: str) -> None:
    store = house.agent()
    await store.start()
    await house.datasets.create(TableRef("records", ("usage",)), THREAD, "create")
    with pytest.raises(RoomRequestError) as caught:
        await store.open(ThreadId(path))
    assert caught.value.code == 1003
    if not path.endswith("nope"):
        with pytest.raises(RoomRequestError):
            await store.delete(ThreadId(path))
        with pytest.raises(RoomRequestError):
            await store.rename(ThreadId(path), "x")


async def test_a_doubled_scheme_is_taken_literally(house: House) -> None:
    store = house.agent()
    await house.datasets.create(TableRef("q", ("dataset:", "agents", "bot", "threads")), THREAD, "create")
    log = await store.open(ThreadId("dataset://dataset://agents/bot/threads/q"))
    assert await replayed(log) == []


async def test_another_folder_and_the_same_log_for_the_same_thread(house: House) -> None:
    store = house.agent(directory="dataset://.threads/shared")
    await store.start()
    entry = await store.create("x")
    assert entry.path.startswith("dataset://.threads/shared/")
    assert store.directory == "dataset://.threads/shared"
    first, second = await asyncio.gather(store.open(entry.path), store.open(entry.path))
    assert first is second


async def test_the_table_is_compacted_now_and_then(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("process_agent.threads.writer.COMPACT_EVERY", 3)
    _, log, say = await house.thread()
    for number in range(7):
        append(log, say.begin(turn=f"u{number}"), say.end(f"u{number}"))
        await log.flush()
    await house.datasets.until(lambda: [call for call, _ in house.datasets.calls].count("optimize") == 2)
