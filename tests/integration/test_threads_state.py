"""What backends keep with a thread: durable with it, unseen by people, gone when it is cleared or deleted."""

from __future__ import annotations

import json

import pytest

from process_agent.core import events as e
from process_agent.core.backend import AgentMessage, UserMessage
from process_agent.core.ids import MessageId
from process_agent.core.models import ModelChoice
from process_agent.core.room import TableRef
from process_agent.threads.encoded import EncodedRows
from process_agent.threads.opening import TAIL_ROWS
from process_agent.threads.rows import CHECKPOINT, STATE, Checkpoint, Row, from_table, to_stored
from tests.fakes.datasets import MemoryDatasets, PlacedDatasets
from tests.fakes.grouped_datasets import GroupedDatasets
from tests.fakes.thread_house import House, append, crash, replayed

TABLE = TableRef("t1", ("agents", "bot", "threads"))


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


@pytest.mark.parametrize("datasets", [MemoryDatasets, PlacedDatasets, GroupedDatasets])
async def test_a_turn_of_a_long_thread_begins_without_a_search(
    house: House, monkeypatch: pytest.MonkeyPatch, datasets: type[MemoryDatasets]
) -> None:
    constants = {"opening.TAIL_ROWS": 24, "opening.WHOLE_ROWS": 8, "log.CHECKPOINT_ROWS": 12}
    for name, value in {**constants, "table.MAX_TURNS": 3, "table.LIGHT_ROWS": 24}.items():
        monkeypatch.setattr(f"process_agent.threads.{name}", value)
    house.datasets = datasets()
    store, log, say = await house.thread()
    append(log, say.say(e.ModelChanged(None, "codex", "openai", "m"), None))
    log.keep("codex", {"thread": "c1"})
    costs = []
    for first, last in ((0, 10), (10, 100), (100, 1000)):
        for number in range(first, last):
            append(log, say.begin(turn=f"u{number}"), say.text("x", turn=f"u{number}"), say.end(f"u{number}"))
            await log.flush()
        await log.close()
        house.datasets.calls.clear()
        log = await store.open(say.thread_id)
        known = log.model_known, await log.model(), await log.kept()
        assert known == (True, ModelChoice("codex", "openai", "m"), {"codex": {"thread": "c1"}})
        opened = len(house.datasets.calls)
        assert len(await log.history()) == 6
        costs.append((opened, house.datasets.calls.copy()))
    assert costs[0][0] == {MemoryDatasets: 2, PlacedDatasets: 1, GroupedDatasets: 1}[datasets]
    assert costs == [costs[0]] * 3
    if datasets is not MemoryDatasets:
        assert ("search", "t1") not in costs[0][1]


async def test_what_two_agents_keep_is_told_apart(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints of an agent that does not know what another one kept meanwhile are not believed."""
    monkeypatch.setattr("process_agent.threads.opening.TAIL_ROWS", 24)
    monkeypatch.setattr("process_agent.threads.log.CHECKPOINT_ROWS", 12)
    _, mine, say = await house.thread()
    mine.keep("codex", {"thread": "old"})
    await mine.flush()
    theirs = await house.agent().open(say.thread_id)
    theirs.keep("codex", {"thread": "new"})
    append(theirs, say.say(e.ModelChanged(None, "codex", "openai", "new"), None))
    await theirs.flush()
    for number in range(40):
        append(mine, say.begin(turn=f"u{number}"), say.end(f"u{number}"))
        await mine.flush()
    assert any(CHECKPOINT in row["data"] for row in house.datasets.thread(say.thread_id)[-24:])
    again = await house.agent().open(say.thread_id)
    assert not again.model_known
    assert await again.kept() == {"codex": {"thread": "new"}}
    assert await again.model() == ModelChoice("codex", "openai", "new")
    # It is known again, and said again, for whoever opens the thread next.
    append(again, say.begin(turn="next"), say.end("next"))
    await again.close()
    house.datasets.calls.clear()
    last = await house.agent().open(say.thread_id)
    assert (last.model_known, await last.kept()) == (True, {"codex": {"thread": "new"}})
    assert [call for call, _ in house.datasets.calls] == ["count", "search"]


async def test_large_states_are_searched_for(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("process_agent.threads.log.CHECKPOINT_ROWS", 4)
    monkeypatch.setattr("process_agent.threads.log.MAX_CHECKPOINT", 300)
    _, log, say = await house.thread()
    log.keep("codex", {"thread": "x" * 300})
    for number in range(10):
        append(log, say.begin(turn=f"u{number}"), say.end(f"u{number}"))
    log.keep("codex", {})
    append(log, say.begin(turn="v"), say.end("v"), say.begin(turn="w"))
    await log.close()
    stored = [to_stored(row) for row in from_table(house.datasets.tables[TABLE])]
    told = [(place, each) for place, each in enumerate(stored) if isinstance(each, Checkpoint)]
    assert told
    assert all(each.place == place > 40 and each.kept == {"codex": {}} for place, each in told)


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
    "event",
    [
        *({}, {"backend": "codex"}, {"backend": 1, "state": {}}, {"backend": "codex", "state": "x"}),
        *({"type": CHECKPOINT, "place": 1}, {"type": CHECKPOINT, "kept": {"a": 1}, "place": 1}),
        *({"type": CHECKPOINT, "kept": {}, "place": "1"}, {"type": CHECKPOINT, "kept": {}, "place": 0}),
        {"type": CHECKPOINT, "kept": {}, "model": {"backend": 1}, "place": 1},
        {"type": CHECKPOINT, "kept": {}, "model": {"backend": "codex", "effort": 1}, "place": 1},
        {"type": CHECKPOINT, "kept": {}, "model": "codex", "place": 1},
    ],
)
async def test_rows_that_pretend_to_be_state_say_nothing(house: House, event: dict[str, object]) -> None:
    _, log, say = await house.thread()
    log.keep("codex", {"thread": "c1"})
    await crash(house, log)
    data = json.dumps({"type": "meshagent.agent.thread.event", "event": {"type": STATE, **event}})
    forged = Row(None, STATE, "meshagent.agent.thread.event", (1 << 52) + 1, house.clock(), data)
    await house.datasets.insert(TABLE, EncodedRows([forged]))
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
