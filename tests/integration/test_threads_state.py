"""What backends keep with a thread: durable with it, unseen by people, gone when it is cleared or deleted."""

from __future__ import annotations

import json

import pytest

from process_agent.core import events as e
from process_agent.core.backend import AgentMessage, UserMessage
from process_agent.core.ids import MessageId
from process_agent.core.room import TableRef
from process_agent.threads.encoded import EncodedRows
from process_agent.threads.opening import TAIL_ROWS
from process_agent.threads.rows import STATE, Row
from tests.fakes.thread_house import House, append, crash, replayed


async def test_each_backend_finds_what_it_kept_last(house: House) -> None:
    _, log, say = await house.thread()
    assert await log.kept() == {}
    append(log, say.begin())
    log.keep("codex", {"thread": "c1"})
    log.keep("other", {"n": 1})
    log.keep("codex", {"thread": "c2"})
    append(log, say.end())
    await crash(house, log)
    again = await house.agent().open(say.thread_id)
    assert await again.kept() == {"codex": {"thread": "c2"}, "other": {"n": 1}}
    assert await again.ever_kept() == [
        ("codex", {"thread": "c1"}),
        ("other", {"n": 1}),
        ("codex", {"thread": "c2"}),
    ]


async def test_nobody_is_shown_it_and_published_readers_pass_over_it(house: House) -> None:
    _, log, say = await house.thread()
    append(log, say.begin())
    log.keep("codex", {"thread": "c1"})
    append(log, say.text("hi"), say.end())
    assert STATE not in str(await replayed(log))
    (row,) = [row for row in house.datasets.thread(say.thread_id) if row["item_id"] == STATE]
    assert row["type"] == "meshagent.agent.thread.event"
    assert json.loads(row["data"])["event"]["type"] == STATE
    assert row["turn_id"] is None


async def test_it_is_found_in_a_long_thread(house: House) -> None:
    _, log, say = await house.thread()
    log.keep("codex", {"thread": "c1"})
    for number in range(TAIL_ROWS // 2):
        append(log, say.begin(turn=f"u{number}"), say.text("x", turn=f"u{number}"), say.end(f"u{number}"))
    await crash(house, log)
    assert await (await house.agent().open(say.thread_id)).kept() == {"codex": {"thread": "c1"}}


async def test_a_cleared_thread_keeps_nothing_and_knows_what_was_kept(house: House) -> None:
    _, log, say = await house.thread()
    log.keep("codex", {"thread": "c1"})
    append(log, say.say(e.ThreadCleared(MessageId("asked")), None))
    assert await log.kept() == {}
    assert await log.ever_kept() == [("codex", {"thread": "c1"})]
    await crash(house, log)
    again = await house.agent().open(say.thread_id)
    assert await again.kept() == {}
    again.keep("codex", {"thread": "c2"})
    await crash(house, again)
    assert await (await house.agent().open(say.thread_id)).kept() == {"codex": {"thread": "c2"}}


async def test_a_deleted_thread_says_what_was_kept(house: House) -> None:
    store, log, say = await house.thread()
    append(log, say.begin())
    log.keep("codex", {"thread": "c1"})
    assert await store.delete(say.thread_id) == [("codex", {"thread": "c1"})]


@pytest.mark.parametrize(
    "event", [{}, {"backend": "codex"}, {"backend": 1, "state": {}}, {"backend": "codex", "state": "x"}]
)
async def test_rows_that_pretend_to_be_state_say_nothing(house: House, event: dict[str, object]) -> None:
    _, log, say = await house.thread()
    log.keep("codex", {"thread": "c1"})
    await crash(house, log)
    data = json.dumps({"type": "meshagent.agent.thread.event", "event": {"type": STATE, **event}})
    forged = Row(None, STATE, "meshagent.agent.thread.event", (1 << 52) + 1, house.clock(), data)
    await house.datasets.insert(TableRef("t1", ("agents", "bot", "threads")), EncodedRows([forged]))
    again = await house.agent().open(say.thread_id)
    assert await again.kept() == {"codex": {"thread": "c1"}}
    assert await replayed(again) == []


async def test_history_says_where_it_comes_from(house: House) -> None:
    _, log, say = await house.thread()
    append(log, say.begin(), say.text("hi"), say.end())
    said, answered = await log.history()
    assert isinstance(said, UserMessage)
    assert isinstance(answered, AgentMessage)
    assert (said.turn_id, answered.turn_id, answered.item_id) == ("u1", "u1", "i1")
