"""Whose threads are whose, over restarts: the dataset store and the one in memory."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from process_agent.core import events as e
from process_agent.core.ids import MessageId, ThreadId
from process_agent.core.room import TableRef
from process_agent.core.store import ThreadStore
from process_agent.errors import RoomRequestError
from process_agent.threads.memory import MemoryThreadStore
from process_agent.threads.schema import OWNERS
from tests.fakes.thread_house import House, append

ANA, BEN = "name:ana", "name:b'en"
OWNERS_TABLE = TableRef("owners", ("agents", "bot", "threads"))


@pytest.fixture(params=["dataset", "memory"])
async def store(request: pytest.FixtureRequest, house: House) -> ThreadStore:
    if request.param == "memory":
        ids = iter(f"t{number}" for number in range(100))
        return MemoryThreadStore("bot", clock=house.clock, new_id=lambda: next(ids))
    made = house.agent(apart=True)
    await made.start()
    return made


async def test_each_lists_its_own_threads_page_by_page(store: ThreadStore) -> None:
    for number in range(7):
        await store.create(f"ana {number}", ANA)
        await store.create(f"ben {number}", BEN)
    await store.create("nobody's")
    pages = [await store.list(3, offset, ANA) for offset in (0, 3, 6, 9)]
    assert [total for _, total in pages] == [7, 7, 7, 7]
    names = [entry.name for entries, _ in pages for entry in entries]
    assert names == [f"ana {number}" for number in reversed(range(7))]
    assert [entry.name for entry in (await store.list(1, 0, BEN))[0]] == ["ben 6"]
    assert await store.list(10, 0, "name:carl") == ([], 0)
    assert (await store.list(100, 0))[1] == 15


async def test_a_thread_that_is_nobodys_is_nobodys_who_asks_for_it(store: ThreadStore) -> None:
    entry = await store.create("found")
    assert await store.owner(entry.path) is None
    for create in (False, True):
        assert await store.owner(entry.path, ANA, create=create) is None
    assert await store.list(9, 0, ANA) == ([], 0)


async def test_what_is_not_there_cannot_be_claimed_unless_it_is_about_to_be(store: ThreadStore) -> None:
    missing = ThreadId(f"{store.directory}/nothing")
    for path in (missing, ThreadId(f"{store.directory}/../x"), ThreadId("dataset://emails")):
        with pytest.raises(RoomRequestError, match="There is no thread"):
            await store.owner(path, ANA)
    with pytest.raises(RoomRequestError, match="There is no thread"):
        await store.owner(ThreadId("dataset://elsewhere/x"), ANA, create=True)
    assert await store.owner(missing, ANA, create=True) == ANA
    await store.open(missing, create="made")
    assert [x.name for x in (await store.list(9, 0, ANA))[0]] == ["made"]


async def test_a_deleted_thread_is_nobodys(store: ThreadStore) -> None:
    entry = await store.create("short", ANA)
    await store.delete(entry.path)
    assert await store.owner(entry.path, BEN, create=True) == BEN
    assert await store.list(9, 0, ANA) == ([], 0)


async def test_owners_survive_the_agent(house: House) -> None:
    before = house.agent(apart=True)
    await before.start()
    mine = await before.create("mine", ANA)
    await before.close()
    after = house.agent(apart=True)
    await after.start()
    assert await after.owner(mine.path, BEN) == ANA
    assert [x.name for x in (await after.list(9, 0, ANA))[0]] == ["mine"]


async def test_threads_from_before_are_those_of_who_began_them(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """Ben writes to Ana's thread while threads are everybody's, and comes first when they are not."""
    _, log, say = await house.thread("hers")
    mine, empty = await house.stores[0].create("ben's"), await house.stores[0].create("empty")
    requested, *rest = say.begin("from ben", "u2")
    assert isinstance(requested.body, e.TurnRequested)
    from_ben = replace(requested, body=replace(requested.body, sender_name="b'en"))
    append(log, say.begin("from ana"), say.end(), [from_ben, *rest], say.end("u2"))
    append(log, say.say(e.ThreadCleared(MessageId("cleared")), None))
    append(other := await house.stores[0].open(mine.path), [replace(from_ben, thread_id=mine.path)])
    await log.close()
    await other.close()
    await house.stores[0].close()
    apart = house.agent(apart=True)
    await apart.start()
    assert await apart.owner(log.thread_id, BEN) == "name:Ana"
    assert await apart.owner(log.thread_id, BEN, create=True) == "name:Ana"
    assert await apart.owner(mine.path, ANA) == BEN
    assert await apart.owner(empty.path, BEN) is None
    await apart._tasks.wait()
    assert "1 threads from before belong to nobody" in caplog.text
    assert str(empty.path) in caplog.text
    listed = [[x.name for x in (await apart.list(9, 0, who))[0]] for who in ("name:Ana", BEN)]
    assert listed == [["hers"], ["ben's"]], "nobody asked for them first"


async def test_of_two_agents_that_claim_at_once_the_first_counts(house: House) -> None:
    store = house.agent(apart=True)
    await store.start()
    entry = await store.create("fought for")
    claims = [(ANA, "2026-01-01T10:00:00.000002Z"), (BEN, "2026-01-01T10:00:00.000001Z")]
    rows = [{"path": entry.path, "owner": owner, "claimed_at": at} for owner, at in claims]
    await house.datasets.insert(OWNERS_TABLE, pa.Table.from_pylist(rows, schema=OWNERS))
    assert await store.owner(entry.path, ANA) == BEN


async def test_nothing_is_written_about_owners_where_threads_are_everybodys(house: House) -> None:
    store = house.agent()
    await store.start()
    await store.create("all of ours")
    assert OWNERS_TABLE not in house.datasets.tables
    with pytest.raises(RoomRequestError):
        await store.open(ThreadId(f"{store.directory}/owners"))
