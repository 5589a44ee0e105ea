"""Files of a thread go along when it is exported, and are there again when it is imported."""

from __future__ import annotations

import json
from base64 import b64encode

import pytest

from process_agent.core import events as e
from process_agent.core.content import ContentPart, FilePart, TextPart
from process_agent.core.ids import MessageId
from process_agent.core.room import TableRef
from process_agent.core.room_addresses import room_address
from process_agent.core.store import ThreadEntry
from process_agent.errors import RoomError, UsageError
from process_agent.threads.images import ImageTable
from process_agent.threads.kept.carried import Limits, with_addresses
from process_agent.threads.kept.lines import read, write
from process_agent.threads.kept.transfer import Imported, Importing, Media, exported
from tests.fakes.memory_room import MemoryFiles
from tests.fakes.thread_events import START
from tests.fakes.thread_house import House, append

NAMESPACE = ("agents", "bot", "threads")
ONE, GONE = "uploads/0000000a/a b.txt", "uploads/0000000b/gone.txt"


def images_of(house: House) -> ImageTable:
    return ImageTable(house.datasets, "bot", clock=house.clock, new_id=lambda: "image")


async def lines_of(house: House, files: MemoryFiles | None, limits: Limits | None = None) -> list[str]:
    """A thread in which somebody attached a file that is there and one that is not."""
    _, log, speaker = await house.thread()
    files_said = (FilePart(room_address(path)) for path in (ONE, GONE))
    content: tuple[ContentPart, ...] = (TextPart("look"), *files_said)
    append(log, speaker.say(e.TurnRequested(content, "Ana"), "u1", MessageId("m")))
    await log.flush()
    ref = TableRef(log.thread_id.rsplit("/", 1)[-1], NAMESPACE)
    media = Media(images_of(house), files, limits or Limits())
    entry = ThreadEntry(log.thread_id, "a thread", START, START)
    return [write(line) async for line in exported(house.datasets, ref, entry, None, media)]


async def brought(house: House, lines: list[str], files: MemoryFiles | None) -> Imported:
    media = Media(images_of(house), files)
    ids = iter(("ffffffff-eeee", "99999999"))
    importing = Importing(house.datasets, NAMESPACE, media, clock=house.clock, new_id=ids.__next__)
    (found,) = [each async for each in importing.take(read(lines))]
    return found


async def test_files_are_there_again_in_another_room() -> None:
    limits, there = Limits(), MemoryFiles({ONE: b"hello"})
    lines = await lines_of(House(), there, limits)
    assert json.loads(lines[1]) == {"file": {"path": ONE, "data": b64encode(b"hello").decode()}}
    assert list(limits.left_out) == [GONE]
    elsewhere, files = House(), MemoryFiles()
    found = await brought(elsewhere, lines, files)
    assert files.files == {ONE: b"hello"}
    assert room_address(ONE) in elsewhere.datasets.thread(found.entry.path)[0]["data"]
    await brought(elsewhere, lines, files)
    assert files.files == {ONE: b"hello"}, "it is there already"


async def test_a_file_of_another_is_not_written_over() -> None:
    lines = await lines_of(House(), MemoryFiles({ONE: b"hello"}))
    elsewhere, files = House(), MemoryFiles({ONE: b"something else"})
    found = await brought(elsewhere, lines, files)
    beside = "uploads/ffffffff/a b.txt"
    assert files.files == {ONE: b"something else", beside: b"hello"}
    data = elsewhere.datasets.thread(found.entry.path)[0]["data"]
    assert room_address(beside) in data
    assert room_address(ONE) not in data


async def test_an_import_that_fails_leaves_no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = await lines_of(House(), MemoryFiles({ONE: b"hello"}))
    elsewhere, files = House(), MemoryFiles()

    async def failing(table: TableRef, rows: object) -> None:
        raise RoomError("lost")

    monkeypatch.setattr(elsewhere.datasets, "insert", failing)
    with pytest.raises(RoomError):
        await brought(elsewhere, lines, files)
    assert not files.files


async def test_files_are_left_out_on_demand_and_where_they_are_too_large() -> None:
    assert len(await lines_of(House(), None)) == 2
    limits = Limits(each=4)
    assert len(await lines_of(House(), MemoryFiles({ONE: b"hello"}), limits)) == 2
    assert "more than 4 bytes" in limits.left_out[ONE]
    lines = await lines_of(House(), MemoryFiles({ONE: b"hello"}))
    await brought(House(), lines, None)


@pytest.mark.parametrize(
    "path", ["notes.txt", "uploads/reports/x", "uploads/0000000a/../x", "uploads/0000000a/a/b", "../x", ""]
)
def test_a_hostile_file_writes_nowhere_else(path: str) -> None:
    times = {"created_at": "2026-05-01T00:00:00Z", "modified_at": "2026-05-01T00:00:00Z"}
    head = {"process": "thread", "version": 1, "path": "dataset://x/y", "name": "n", **times}
    line = {"file": {"path": path, "data": ""}}
    with pytest.raises(UsageError, match="Line 2"):
        list(read([json.dumps(head), json.dumps(line)]))


def test_only_whole_addresses_are_rewritten() -> None:
    moved = {ONE: "uploads/ffffffff/a b.txt"}
    words = f"see {room_address(ONE)}"
    said = {"content": [{"url": room_address(ONE)}], "text": words, "n": 1}
    expected = {"content": [{"url": room_address(moved[ONE])}], "text": words, "n": 1}
    assert with_addresses(said, moved) == expected
