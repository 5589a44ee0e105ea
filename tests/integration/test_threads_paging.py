"""Pages of a long thread: each turn on one of them, and reading one costs what it holds."""

from __future__ import annotations

import pytest

from process_agent.core import events as e
from process_agent.core.ids import MessageId
from process_agent.core.store import Page, ThreadLog
from process_agent.errors import RoomRequestError
from process_agent.threads.memory import MemoryThreadStore
from tests.fakes.datasets import MemoryDatasets, PlacedDatasets
from tests.fakes.grouped_datasets import GroupedDatasets
from tests.fakes.thread_events import Speaker
from tests.fakes.thread_house import House, append


@pytest.fixture(params=["room", "memory"])
async def kept(request: pytest.FixtureRequest, house: House) -> tuple[ThreadLog, Speaker]:
    if request.param == "room":
        _, log, say = await house.thread()
        return log, say
    store = MemoryThreadStore("bot", clock=house.clock, new_id=lambda: "t1")
    entry = await store.create("x")
    return await store.open(entry.path), Speaker(entry.path, house.clock)


def turns(log: ThreadLog, say: Speaker, count: int) -> None:
    for number in range(count):
        append(log, say.begin(turn=f"u{number}"), say.text(f"text {number}", turn=f"u{number}"))  # type: ignore[arg-type]
        append(log, say.end(f"u{number}"))  # type: ignore[arg-type]


async def page(log: ThreadLog, before: str | None, limit: int) -> tuple[list[e.ThreadEvent], str | None]:
    older: list[str] = []
    events = [event async for event in log.replay(None, Page(before, limit, older.append))]
    return events, older[0] if older else None


def ended(events: list[e.ThreadEvent]) -> list[str | None]:
    return [x.turn_id for x in events if isinstance(x.body, e.TurnEnded)]


@pytest.mark.parametrize("limit", [1, 3, 4, 10, 11])
async def test_pages_hold_every_event_once(kept: tuple[ThreadLog, Speaker], limit: int) -> None:
    log, say = kept
    turns(log, say, 10)
    everything = [x.message_id async for x in log.replay()]
    events, older = await page(log, None, limit)
    pages = [events]
    while older is not None:
        events, older = await page(log, older, limit)
        pages.insert(0, events)
    assert [x.message_id for events in pages for x in events] == everything
    assert [len(ended(events)) for events in pages[1:]] == [limit] * (len(pages) - 1)


async def test_a_turn_that_waited_does_not_split_the_one_that_ran(kept: tuple[ThreadLog, Speaker]) -> None:
    log, say = kept
    asked = say.begin(turn="u1")
    append(log, say.begin(turn="u0"), asked[:2], say.text("first", turn="u0"), say.end("u0"))  # type: ignore[arg-type]
    append(log, asked[2:], say.text("second", turn="u1"), say.end("u1"))  # type: ignore[arg-type]
    events, older = await page(log, None, 1)
    assert ended(events) == ["u1"]
    assert isinstance(events[0].body, e.TurnStarted)
    events, older = await page(log, older, 1)
    assert ended(events) == ["u0"]
    assert {x.turn_id for x in events} == {"u0", "u1"}
    assert older is None


async def test_cursors_that_are_not_ours_or_no_more(kept: tuple[ThreadLog, Speaker]) -> None:
    log, say = kept
    turns(log, say, 4)
    _, older = await page(log, None, 2)
    assert older is not None
    key, _, row = older.partition(".")
    for forged in (row, f"x.{row}", f"{key}.", f"{key}.-1", f"{key}.1e3", f"{key}.{'9' * 40}", "", "u1"):
        with pytest.raises(RoomRequestError, match="cannot be shown any more"):
            await page(log, forged, 2)
    append(log, say.say(e.ThreadCleared(MessageId("m")), None))  # type: ignore[arg-type]
    with pytest.raises(RoomRequestError, match="cannot be shown any more"):
        await page(log, older, 2)
    assert await page(log, None, 2) == ([], None)


async def test_a_page_costs_what_it_holds(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("process_agent.threads.table.PAGE_ROWS", 16)
    _, log, say = await house.thread()
    turns(log, say, 100)
    _, older = await page(log, None, 2)
    house.datasets.calls.clear()
    await page(log, older, 2)
    near = len(house.datasets.calls)
    assert near > 1
    for _ in range(40):
        _, older = await page(log, older, 2)
    house.datasets.calls.clear()
    await page(log, older, 2)
    assert len(house.datasets.calls) <= near + 1


async def test_a_long_thread_says_where_it_goes_on(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("process_agent.threads.table.MAX_TURNS", 3)
    _, log, say = await house.thread()
    turns(log, say, 3)
    assert (await page(log, None, 50))[1] is None
    append(log, say.begin(turn="u3"), say.end("u3"))
    events, older = await page(log, None, 50)
    assert ended(events) == ["u1", "u2", "u3"]
    assert older is not None


@pytest.mark.parametrize(
    ("datasets", "calls"),
    [(MemoryDatasets, ["count", "search"]), (PlacedDatasets, ["read"]), (GroupedDatasets, ["end"])],
)
async def test_a_short_thread_is_opened_and_shown_with_one_read_of_its_rows(
    house: House, datasets: type[MemoryDatasets], calls: list[str]
) -> None:
    house.datasets = datasets()
    store, log, say = await house.thread()
    turns(log, say, 5)
    before = [event async for event in log.replay()]
    await log.close()
    house.datasets.calls.clear()
    again = await store.open(log.thread_id)
    shown = again.replay(None, Page(as_opened=True))
    assert [event async for event in shown] == before
    assert [call for call, _ in house.datasets.calls] == calls


@pytest.mark.parametrize(("datasets", "calls"), [(PlacedDatasets, 3), (GroupedDatasets, 1)])
async def test_the_first_event_of_a_long_thread_takes_as_many_calls_at_any_length(
    house: House, monkeypatch: pytest.MonkeyPatch, datasets: type[MemoryDatasets], calls: int
) -> None:
    monkeypatch.setattr("process_agent.threads.opening.WHOLE_ROWS", 16)
    monkeypatch.setattr("process_agent.threads.opening.FIRST_ROWS", 3)
    monkeypatch.setattr("process_agent.threads.opening.TAIL_ROWS", 16)
    monkeypatch.setattr("process_agent.threads.table.MAX_TURNS", 5)
    house.datasets = datasets()
    store, log, say = await house.thread()
    append(log, say.say(e.ModelChanged(None, "codex", "openai", "m"), None))
    made = []
    for first in (0, 20, 60):
        for number in range(first, max(2 * first, 20)):
            append(log, say.begin(turn=f"u{number}"), say.end(f"u{number}"))
        await log.close()
        house.datasets.calls.clear()
        log = await store.open(log.thread_id)
        shown = log.replay(None, Page(as_opened=True))
        await anext(shown)
        made.append(len(house.datasets.calls))
        assert len([event async for event in shown]) == 4 * 5 - 1
    assert made == [calls] * 3


async def test_what_another_agent_writes_before_the_first_replay_is_in_it(house: House) -> None:
    store, log, say = await house.thread()
    turns(log, say, 2)
    await log.close()
    first = await store.open(log.thread_id)
    other = await house.agent().open(log.thread_id)
    append(other, say.begin(turn="theirs"), say.end("theirs"))
    await other.flush()
    assert ended([event async for event in first.replay()]) == ["u0", "u1", "theirs"]
