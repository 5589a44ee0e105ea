"""Files of a thread go when it is deleted through its store, whoever asked; others stay."""

from __future__ import annotations

from datetime import timedelta

import pytest

from process_agent.core import events as e
from process_agent.core.content import ContentPart, FilePart, TextPart
from process_agent.core.ids import ItemId, MessageId, ThreadId
from process_agent.core.room import TableRef
from process_agent.core.room_addresses import room_address
from process_agent.errors import RoomError, RoomRequestError
from process_agent.threads.kept import cleaning
from process_agent.threads.memory import MemoryThreadStore
from process_agent.threads.schema import THREAD
from process_agent.threads.store import DatasetThreadStore
from tests.fakes.memory_room import MemoryFiles
from tests.fakes.thread_events import Speaker
from tests.fakes.thread_house import House, append

OWN, SHARED, SHOWN = (
    "uploads/00000001/a b.png",
    "uploads/00000002/s.pdf",
    "agents/bot/files/0123456789ab/o.png",
)
FOREIGN = ("uploads/reports/2026.pdf", "notes.md", "uploads/00000001/other.png", "agents/bot/rules.md")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleaning, "QUIET_SECONDS", 0.0)


class Cleaned:
    """An agent that cleans the files of its room."""

    def __init__(self, *folders: tuple[str, ...]) -> None:
        self.house = House()
        self.files = MemoryFiles(dict.fromkeys((OWN, SHARED, SHOWN, *FOREIGN), b"x"))
        self.store: DatasetThreadStore = self.house.agent().clean(self.files, lambda: folders)

    async def thread(self, *attached: str, shown: str | None = None, said: str = "look") -> ThreadId:
        await self.store.start()
        entry = await self.store.create("a thread")
        log = await self.store.open(entry.path)
        files = tuple(FilePart(room_address(path)) for path in attached)
        content: tuple[ContentPart, ...] = (TextPart(said), *files)
        speaker = Speaker(entry.path, self.house.clock)
        append(log, speaker.say(e.TurnRequested(content, "Ana"), "u1", MessageId("m")))
        if shown is not None:
            append(log, speaker.say(e.FileShown(ItemId("i"), room_address(shown))))
        await log.flush()
        await log.close()
        return entry.path

    async def left(self) -> set[str]:
        """The files, once the agent has stopped."""
        await self.store.close()
        return set(self.files.files)


async def test_deleting_a_thread_takes_its_own_files_along() -> None:
    room = Cleaned()
    gone = await room.thread(OWN, SHARED, shown=SHOWN)
    await room.thread(SHARED)
    await room.store.delete(gone)
    assert await room.left() == {SHARED, *FOREIGN}


async def test_they_go_while_the_agent_runs() -> None:
    room = Cleaned()
    await room.store.delete(await room.thread(OWN))
    await room.store._tasks.wait()
    assert OWN not in room.files.files


async def test_old_threads_that_expire_do_the_same() -> None:
    room = Cleaned()
    gone = await room.thread(OWN, SHARED)
    room.house.clock.now += timedelta(days=100)
    assert await room.store.expire(gone, room.house.clock()) is not None
    assert await room.left() == {SHOWN, *FOREIGN}


async def test_files_are_kept_on_demand() -> None:
    room = Cleaned()
    await room.store.delete(await room.thread(OWN), keep_files=True)
    assert OWN in await room.left()


async def test_what_is_named_but_lies_elsewhere_stays() -> None:
    room = Cleaned()
    await room.store.delete(await room.thread(*FOREIGN[:2], "uploads/00000001/../reports/2026.pdf", SHOWN))
    assert await room.left() == {OWN, SHARED, SHOWN, *FOREIGN}


async def test_what_a_thread_says_in_words_keeps_a_file() -> None:
    room = Cleaned()
    gone = await room.thread(OWN, SHARED)
    await room.thread(said="see uploads/00000001/a%20b.png of yesterday")
    await room.store.delete(gone)
    left = await room.left()
    assert OWN in left
    assert SHARED not in left


async def test_copies_keep_what_their_source_had_until_they_go_too() -> None:
    room = Cleaned()
    source = await room.thread(OWN, shown=SHOWN)
    copy = await room.store.fork(source)
    await room.store.delete(source)
    await room.store._tasks.wait()
    assert {OWN, SHOWN} <= set(room.files.files)
    await room.store.delete(copy.path)
    assert not {OWN, SHOWN} & await room.left()


async def test_threads_that_are_not_listed_and_those_of_other_agents_keep_files() -> None:
    room = Cleaned(("agents", "other", "threads"), ("nobody",))
    gone, unlisted = await room.thread(OWN, SHARED), await room.thread(OWN)
    elsewhere = await room.thread(SHARED)
    rows = room.house.datasets.tables
    name = elsewhere.rsplit("/", 1)[-1]
    rows[TableRef(name, ("agents", "other", "threads"))] = rows.pop(
        TableRef(name, ("agents", "bot", "threads"))
    )
    await room.store._index.remove(unlisted)
    await room.store._index.remove(elsewhere)
    odd = TableRef("numbers", ("agents", "bot", "threads"))
    await room.house.datasets.create(odd, THREAD.remove(5), "create")
    await room.store.delete(gone)
    assert {OWN, SHARED} <= await room.left()


async def test_it_is_tried_again_after_a_lost_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Cleaned()
    failures = iter([RoomError("lost"), RoomError("lost")])
    delete = room.files.delete

    async def failing(path: str) -> None:
        if (error := next(failures, None)) is not None:
            raise error
        await delete(path)

    monkeypatch.setattr(room.files, "delete", failing)
    await room.store.delete(await room.thread(OWN))
    await room.store._tasks.wait()
    assert OWN not in room.files.files


async def test_a_room_that_refuses_keeps_its_files(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    room = Cleaned()

    async def refuse(path: str) -> None:
        raise RoomRequestError("no", code=1001)

    monkeypatch.setattr(room.files, "delete", refuse)
    await room.store.delete(await room.thread(OWN))
    await room.store._tasks.wait()
    assert "1 files of deleted threads stay in the room: no" in caplog.text


async def test_too_many_other_rows_keep_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleaning, "MAX_ROWS", 1)
    room = Cleaned()
    gone = await room.thread(OWN)
    await room.thread()
    await room.store.delete(gone)
    assert OWN in await room.left()


async def test_threads_in_memory_clean_up_too() -> None:
    house, files = House(), MemoryFiles(dict.fromkeys((OWN, SHARED, "uploads/00000003/c.txt"), b"x"))
    kept = Cleaned()
    await kept.thread(SHARED)
    stored = cleaning.StoredThreads(kept.house.datasets, lambda: [("agents", "bot", "threads")])
    store = MemoryThreadStore("bot", clock=house.clock, new_id=iter("abc").__next__)
    store.clean(files, stored.unused)
    for attached in ((OWN, SHARED, "uploads/00000003/c.txt"), ("uploads/00000003/c.txt",)):
        entry = await store.create("a thread")
        content = tuple(FilePart(room_address(path)) for path in attached)
        said = Speaker(entry.path).say(e.TurnRequested(content, "Ana"), "u1", MessageId("m"))
        (await store.open(entry.path)).append(said)
    second, first = (await store.list(2, 0))[0]
    await store.delete(first.path)
    await store._tasks.wait()
    assert set(files.files) == {SHARED, "uploads/00000003/c.txt"}
    await store.delete(second.path, keep_files=True)
    await store.close()
    assert set(files.files) == {SHARED, "uploads/00000003/c.txt"}
