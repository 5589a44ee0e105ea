"""Threads over crashes, with a second agent, with rows of others, and their list."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from process_agent.core import events as e
from process_agent.core.backend import AgentMessage, UserMessage
from process_agent.core.content import TextPart
from process_agent.core.ids import ItemId, ThreadId
from process_agent.core.room import TableRef
from process_agent.errors import RoomRequestError
from process_agent.threads.schema import THREAD
from process_agent.threads.store import DatasetThreadStore
from tests.fakes.thread_events import START, Speaker, TestClock, texts
from tests.fakes.thread_house import House, append, crash, replayed

REF = e.ToolRef(ItemId("tool1"), "codex", "shell", "codex")


# --- Crashes ------------------------------------------------------------------------------------


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
    monkeypatch.setattr("process_agent.threads.recovery._LOOK_EVERY", 0.01)
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
    monkeypatch.setattr("process_agent.threads.opening.TAIL_ROWS", 4)
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


async def test_a_rename_that_expects_a_name_changes_no_other(house: House) -> None:
    store = house.agent()
    await store.start()
    made = await store.create("first words")
    assert (await store.rename(made.path, "A title", instead_of="first words")).name == "A title"
    assert (await store.rename(made.path, "Late", instead_of="first words")).name == "A title"
    await store.delete(made.path)
    with pytest.raises(RoomRequestError, match="There is no thread"):
        await store.rename(made.path, "Late", instead_of="A title")
    assert (await store.list(10, 0))[1] == 0


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
    assert await store.list(10, 0) == ([], 0)


async def test_a_thread_that_nobody_listed_is_listed_when_it_is_renamed(house: House) -> None:
    store = house.agent()
    await store.start()
    made = await store.create("one")
    await house.datasets.delete(TableRef("index", ("agents", "bot", "threads")), f"path = '{made.path}'")
    assert (await store.rename(made.path, "two")).name == "two"
    assert [entry.name for entry in (await store.list(10, 0))[0]] == ["two"]


async def test_a_thread_is_made_under_the_id_somebody_gave_it(house: House) -> None:
    store = house.agent()
    await store.start()
    thread = ThreadId("dataset://agents/bot/threads/reports/2026-11-21")
    with pytest.raises(RoomRequestError, match="There is no thread"):
        await store.open(thread)
    log = await store.open(thread, create="Reports")
    assert await store.open(thread, create="Other") is log
    entries, total = await store.list(10, 0)
    assert [(entry.path, entry.name) for entry in entries] == [(thread, "Reports")]
    assert total == 1
    await log.close()
    await store.open(thread, create="Other")
    assert (await store.list(10, 0))[0][0].name == "Reports"


@pytest.mark.parametrize(
    "path",
    [
        "dataset://agents/other/threads/x",
        "dataset://agents/bot/threads/index",
        "dataset://agents/bot/threads/../x",
        "dataset://agents/bot/threads/",
        "dataset://agents/bot/threads/a b",
        "dataset://agents/bot/threads/x.thread",
        "dataset://dataset://agents/bot/threads/x",
        "tmp://agents/bot/threads/x",
        "agents/bot/threads/x",
    ],
)
async def test_no_thread_is_made_elsewhere_or_under_an_odd_id(house: House, path: str) -> None:
    store = house.agent()
    await store.start()
    with pytest.raises(RoomRequestError, match="There is no thread") as refused:
        await store.open(ThreadId(path), create="x")
    assert refused.value.code == 1003
    assert (await store.list(10, 0))[1] == 0
    assert [call for call in house.datasets.calls if call[0] == "create"] == [
        ("create", "index"),
        ("create", "leases"),
    ]


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


async def test_the_table_is_not_compacted_while_a_turn_runs(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("process_agent.threads.writer.COMPACT_EVERY", 3)
    monkeypatch.setattr("process_agent.threads.writer.COMPACT_ANYWAY", 9)
    _, log, say = await house.thread()
    calls = house.datasets.calls

    async def stored(*events: Any) -> int:
        append(log, *events)
        await log.flush()
        await log._tasks.wait()
        return [call for call, _ in calls].count("optimize")

    assert await stored(say.begin(turn="u1")) == 0
    for number in range(7):
        assert await stored(*say.text("x", turn="u1", item=f"i{number}")) == 0
    assert await stored(say.end("u1")) == 1
    assert await stored(say.begin(turn="u2")) == 1
    for number in range(8):
        assert await stored(*say.text("x", turn="u2", item=f"j{number}")) == 1 + (number == 7)
