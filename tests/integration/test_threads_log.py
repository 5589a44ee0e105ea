"""The log of a thread over tables in memory: rows, replays and lost connections."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

import pytest

from process_agent.core import events as e
from process_agent.core.content import ErrorInfo, GeneratedImage, JsonResult, LogLine, TextPart
from process_agent.core.decisions import Decision
from process_agent.core.ids import ItemId
from process_agent.core.room import TableRef
from process_agent.core.speaker import Limits
from process_agent.core.usage import Usage
from process_agent.errors import RoomError, RoomRequestError
from process_agent.threads.budget import MAX_WAITING, Budget
from process_agent.wire.agent_messages.limits import MAX_MESSAGE
from tests.fakes.thread_events import texts
from tests.fakes.thread_house import House, append, crash, replayed

REF = e.ToolRef(ItemId("tool1"), "codex", "shell", "codex")


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


async def test_what_ended_goes_with_what_comes_next(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("process_agent.threads.log.LATER", 3600.0)
    _, log, say = await house.thread()
    append(log, say.begin())
    await log.flush()
    house.datasets.calls.clear()
    append(log, say.text("first", item="a"), say.text("second", item="b"))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not [call for call in house.datasets.calls if call[0] == "insert"]
    append(log, say.begin(turn="u2"))  # what people ask does not wait
    await house.datasets.until(lambda: "text_content.ended" in house.kinds(say.thread_id))
    assert [call for call in house.datasets.calls if call[0] == "insert"] == [("insert", "t1")]
    assert house.kinds(say.thread_id)[-1] == "turn.started"


async def test_a_turn_after_one_whose_end_was_waited_for_is_one_insert_too(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("process_agent.threads.log.SOON", 3600.0)
    _, log, say = await house.thread()
    house.datasets.gate.clear()
    append(log, say.begin(), say.text("hello"), say.end())
    ends = [asyncio.create_task(log.flush())]
    await house.datasets.until(lambda: ("insert", "t1") in house.datasets.calls)
    ends.append(asyncio.create_task(log.flush()))  # one more waits while the rows are on their way
    await asyncio.sleep(0)
    house.datasets.gate.set()
    await asyncio.gather(*ends)
    house.datasets.calls.clear()
    append(log, say.begin(turn="u2"))
    for _ in range(10):
        await asyncio.sleep(0)
    append(log, say.text("again", turn="u2"), say.end(turn="u2"))
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
    append(log, say.say(e.ApprovalDecided(REF, Decision.ACCEPT, "Ana")), say.say(e.ToolEnded(REF)), say.end())
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


async def test_arguments_are_stored_once_the_call_begins(house: House) -> None:
    _, log, say = await house.thread()
    other = e.ToolRef(ItemId("tool2"), "search", "find")
    append(log, say.begin(), say.say(e.ToolArguments(REF, '{"a":')), say.say(e.ToolArguments(REF, "1}")))
    await log.flush()
    assert house.kinds(say.thread_id) == ["turn.start", "turn.start.accepted", "turn.started"]
    append(log, say.say(e.ToolStarted(REF, {"a": 1})), say.say(e.ToolEnded(REF, JsonResult({}))))
    given_up = e.ToolEnded(other, error=ErrorInfo("over", "incomplete"))
    append(log, say.say(e.ToolArguments(other, "{")), say.say(given_up), say.end())
    await log.flush()
    assert house.kinds(say.thread_id)[3:] == ["tool_call.started", "tool_call.ended", "turn.ended"]
    assert json.loads(house.datasets.thread(say.thread_id)[3]["data"])["arguments"] == {"a": 1}


async def test_images_are_stored_when_they_are_made_or_failed(house: House) -> None:
    _, log, say = await house.thread()
    made, lost = ItemId("image1"), ItemId("image2")
    append(log, say.begin(), say.say(e.ImageStarted(made)))
    append(log, say.say(e.ImagePartial(made, GeneratedImage("data:,x"), 0)))
    append(log, say.say(e.ImageCompleted(made, (GeneratedImage("dataset://images?id=1", "image/png"),))))
    append(log, say.say(e.ImageStarted(lost)), say.end())
    await log.flush()
    kinds = ["image_generation.completed", "image_generation.failed", "turn.ended"]
    assert house.kinds(say.thread_id)[3:] == kinds
    shown = [x.body for x in await replayed(log) if isinstance(x.body, e.ImageCompleted | e.ImageFailed)]
    assert isinstance(shown[0], e.ImageCompleted)
    assert shown[0].images[0].uri == "dataset://images?id=1"
    assert isinstance(shown[1], e.ImageFailed)
    assert (shown[1].item_id, shown[1].error.code) == (lost, "incomplete")


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


async def test_a_room_away_too_long_is_an_error_and_not_endless_memory(house: House) -> None:
    _, log, say = await house.thread(budget=Budget(10_000))
    house.datasets.gate.clear()
    for number in range(20):
        append(log, say.text("x" * 1000, item=f"i{number}"))
    with pytest.raises(RoomError, match="away too long"):
        await log.flush()
    house.datasets.gate.set()


async def test_a_log_that_gives_up_while_rows_gather_says_only_why(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    _, log, say = await house.thread(budget=Budget(1_000))
    append(log, say.text("x", item="small"))
    await asyncio.sleep(0)  # the writer gathers
    append(log, say.text("x" * 2_000, item="large"))
    for _ in range(10):
        await asyncio.sleep(0)  # it wakes up, and there is nothing to write
    with pytest.raises(RoomError, match="away too long"):
        await log.flush()
    assert [record.exc_info for record in caplog.records] == [None] * len(caplog.records)


def test_what_may_wait_for_a_turn_fits_into_what_may_wait_to_be_stored() -> None:
    requested_accepted_started = 3
    limits = Limits()
    assert requested_accepted_started * MAX_MESSAGE + 2 * limits.queued_size <= MAX_WAITING


async def test_closing_gives_up_when_the_room_is_away(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("process_agent.threads.log.CLOSE_SECONDS", 0.05)
    store, log, say = await house.thread()
    house.datasets.gate.clear()
    append(log, say.begin())
    await asyncio.gather(log.close(), log.close())
    house.datasets.gate.set()
    assert await store.open(say.thread_id) is not log
