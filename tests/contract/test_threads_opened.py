"""A long thread in the real local room opens in one call, while another agent writes on in it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from process_agent.core import events as e
from process_agent.core.groups import EndFound, GroupsAsked
from process_agent.core.ids import ThreadId
from process_agent.core.room import TableRef
from process_agent.core.store import Page
from process_agent.rooms.datasets import RoomDatasets
from process_agent.threads.store import DatasetThreadStore
from tests.contract.test_threads_local_room import agent, append, speaker
from tests.fakes.room import LocalRoom

TURNS = 150
SHOWN = 110


async def shown_while_another_writes(
    store: DatasetThreadStore, other: DatasetThreadStore, path: ThreadId, turn: str
) -> tuple[list[e.ThreadEvent], list[str]]:
    """The last turns, and where older ones are."""
    older: list[str] = []
    say, log, writing = speaker(path), await store.open(path, turns=SHOWN), await other.open(path)
    append(writing, *say.begin(turn=turn), say.end(turn))
    await writing.flush()
    page = Page(limit=SHOWN, as_opened=True, on_older=older.append)
    shown = [event async for event in log.replay(None, page)]
    await log.close()
    await writing.close()
    return shown, [cursor.split(".")[1] for cursor in older]


async def write(store: DatasetThreadStore, path: ThreadId) -> None:
    say, log = speaker(path), await store.open(path)
    for number in range(TURNS):
        turn = f"u{number}"
        append(log, *say.begin(turn=turn), *say.text("x", turn=turn, item=f"i-{turn}"), say.end(turn))
        if number in (0, 60, 140):  # some rows are in Lance, some in the log
            await log.flush()
    await log.close()


async def test_it_shows_each_row_once(server: LocalRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[GroupsAsked]()
    async with agent(server) as (store, _), agent(server, alone=False) as (other, _):
        entry = await store.create("long")
        await write(store, entry.path)
        monkeypatch.setattr(RoomDatasets, "end", counted(asked))
        shown, older = await shown_while_another_writes(store, other, entry.path, "first")
        assert [groups.groups for groups in asked] == [SHOWN, 1000]
        assert ended(shown) == [f"u{number}" for number in range(TURNS - SHOWN, TURNS)]
        assert len({event.message_id for event in shown}) == len(shown)

        # A room that cannot do that is asked as the protocol has it, and shows what came until then.
        monkeypatch.setattr(RoomDatasets, "end", none)
        monkeypatch.setattr(RoomDatasets, "read", none)
        by_the_protocol, place = await shown_while_another_writes(store, other, entry.path, "second")
        assert ended(by_the_protocol)[-2:] == ["first", "second"]
        monkeypatch.undo()
        at_once, the_same = await shown_while_another_writes(store, other, entry.path, "third")
        assert ids(at_once) == ids(by_the_protocol)
        assert older != place == the_same


async def test_who_comes_later_needs_one_call_too(server: LocalRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[GroupsAsked]()
    async with agent(server) as (store, _):
        entry = await store.create("long")
        await write(store, entry.path)
        log = await store.open(entry.path)
        monkeypatch.setattr(RoomDatasets, "end", counted(asked))
        shown = [event async for event in log.replay(None, Page(limit=20))]
        assert ended(shown) == [f"u{number}" for number in range(TURNS - 20, TURNS)]
        assert [(groups.groups, groups.wanted) for groups in asked] == [(20, ())]
        monkeypatch.setattr(RoomDatasets, "end", none)
        assert ids([event async for event in log.replay(None, Page(limit=20))]) == ids(shown)
        await log.close()


def counted(asked: list[GroupsAsked]) -> Callable[..., Awaitable[EndFound | None]]:
    end = RoomDatasets.end

    async def counting(self: RoomDatasets, table: TableRef, groups: GroupsAsked) -> EndFound | None:
        asked.append(groups)
        return await end(self, table, groups)

    return counting


async def none(*_: object, **__: object) -> None:
    return None


def ended(events: list[e.ThreadEvent]) -> list[str | None]:
    return [event.turn_id for event in events if isinstance(event.body, e.TurnEnded)]


def ids(events: list[e.ThreadEvent]) -> list[str]:
    return [event.message_id for event in events]
