"""Export, import, search, counting and documents over tables in memory."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

from process_agent.core import events as e
from process_agent.core.content import GeneratedImage
from process_agent.core.ids import ItemId, ThreadId
from process_agent.core.room import TableRef
from process_agent.core.room_ports import RoomImage
from process_agent.core.store import ThreadEntry
from process_agent.errors import RoomError, UsageError
from process_agent.threads.images import TABLE, ImageTable
from process_agent.threads.kept.counting import amount_of
from process_agent.threads.kept.lines import ImageLine, read, write
from process_agent.threads.kept.looking import Counted, Match, matches_in, pattern_of
from process_agent.threads.kept.transfer import Imported, Importing, Media, exported
from process_agent.threads.kept.whole import events_of, pictures_of
from tests.fakes.thread_events import START
from tests.fakes.thread_house import House, append

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
NAMESPACE = ("agents", "bot", "threads")


def images_of(house: House) -> ImageTable:
    return ImageTable(
        house.datasets,
        "bot",
        clock=house.clock,
        new_id=lambda: "new-image" if house.datasets.tables.get(TABLE) else "image",
    )


async def written(house: House, path: ThreadId, name: str = "New Chat") -> list[str]:
    ref = TableRef(path.rsplit("/", 1)[-1], NAMESPACE)
    entry = ThreadEntry(path, name, START, START)
    return [write(line) async for line in exported(house.datasets, ref, entry, None, Media(images_of(house)))]


async def brought(house: House, lines: Iterable[str]) -> list[Imported]:
    importing = Importing(
        house.datasets, NAMESPACE, Media(images_of(house)), clock=house.clock, new_id=lambda: "fresh"
    )
    return [each async for each in importing.take(read(lines))]


async def talk(house: House) -> ThreadId:
    """A thread with a message in pieces, a tool, an image, and a state of a backend."""
    store, log, speaker = await house.thread()
    address = await images_of(house).keep(RoomImage(PNG, "image/png"), log.thread_id)
    ref = e.ToolRef(ItemId("tool"), "codex", "shell")
    append(
        log,
        speaker.begin("where is the needle?"),
        [
            speaker.say(e.ToolStarted(ref, {"command": "grep needle", "n": 1.5})),
            speaker.say(e.ToolEnded(ref)),
            speaker.say(e.ImageCompleted(ItemId("pic"), (GeneratedImage(address, "image/png"),))),
        ],
        speaker.text("In the hay", "stack, nee", "dle and all."),
        speaker.end(),
    )
    log.keep("codex", {"thread": "codex-1"})
    await log.flush()
    await store.close()
    return log.thread_id


async def test_a_thread_goes_to_another_room_and_back_without_loss() -> None:
    house, other = House(), House()
    path = await talk(house)
    lines = await written(house, path, "Hay")
    assert any(isinstance(line, ImageLine) for line in read(lines))
    (imported,) = await brought(other, lines)
    assert (imported.entry.path, imported.entry.name) == (path, "Hay")
    assert await written(other, path, "Hay") == lines
    assert [row["data"] for row in other.datasets.rows(TABLE)] == [PNG]
    log = await other.agent().open(path)
    assert await log.kept() == {}, "what a backend kept for itself stays where it was"


async def test_nothing_is_written_over() -> None:
    house = House()
    path = await talk(house)
    before = house.datasets.thread(path)
    (imported,) = await brought(house, await written(house, path))
    assert imported.entry.path == f"{path.rsplit('/', 1)[0]}/fresh"
    assert house.datasets.thread(path) == before
    copy = house.datasets.thread(imported.entry.path)
    assert {json.loads(row["data"])["thread_id"] for row in copy} == {imported.entry.path}
    uris = [json.loads(row["data"])["images"][0]["uri"] for row in copy if "image_gen" in row["type"]]
    assert uris == ["dataset://images?id=new-image"], "a copy has an image of its own"
    await house.agent().delete(imported.entry.path)
    assert len(house.datasets.rows(TABLE)) == 1, "that of the first is still there"


async def test_an_import_that_fails_leaves_nothing() -> None:
    house, other = House(), House()
    lines = await written(house, await talk(house))
    other.datasets.failures = [RoomError("gone")] * 9
    with pytest.raises(RoomError):
        await brought(other, lines)
    assert [ref.name for ref in other.datasets.tables if ref.namespace == NAMESPACE] == ["index"]


HEAD = (
    '{"process":"thread","version":1,"path":"p","name":"n",'
    '"created_at":"2026-01-01","modified_at":"2026-01-01"}'
)
ROW = '{"row":{"turn_id":null,"item_id":"i","type":"t","sequence":%s,"timestamp":"2026-01-01","data":%s}}'


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([HEAD.replace("1,", "2,", 1)], "update"),
        ([ROW % (1, "{}")], "begins"),
        ([HEAD, ROW % (1, "{}"), ROW % (1, "{}")], "Line 3"),
        ([HEAD, ROW % (-1, "{}")], "number"),
        ([HEAD, ROW % (1 << 53, "{}")], "number"),
        ([HEAD, ROW % (1, "[]")], "message"),
        ([HEAD, ROW % (1, '"{"')], "Line 2"),
        ([HEAD, '{"other":1}'], "no thread, row, image or file"),
        ([HEAD, '{"image":{"id":"a","mime_type":"text/html","data":"PGI+"}}'], "image"),
        ([HEAD, "nothing"], "Line 2"),
        ([HEAD.replace('"p"', '"\\ud800"')], "Line 1"),
    ],
)
def test_a_damaged_file_is_refused_with_the_line(lines: list[str], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        list(read(lines))


async def found(house: House, path: ThreadId, text: str, most: int = 1000) -> list[Match]:
    ref, counted = TableRef(path.rsplit("/", 1)[-1], NAMESPACE), Counted(most)
    pattern = pattern_of(text, regex=True, case=False)
    return [each async for each in matches_in(house.datasets, ref, path, pattern, counted)]


async def test_what_was_said_in_pieces_is_found_whole() -> None:
    house = House()
    path = await talk(house)
    matches = await found(house, path, "NEEDLE")
    assert [match.said.who for match in matches] == ["user", "shell", "agent"]
    assert matches[-1].excerpt == "In the haystack, needle and all."
    assert await found(house, path, "nothing of it") == []


async def test_a_search_reads_no_more_than_it_may() -> None:
    house = House()
    path = await talk(house)
    counted = Counted(1)
    ref = TableRef(path.rsplit("/", 1)[-1], NAMESPACE)
    pattern = pattern_of("needle", regex=False, case=False)
    assert [each async for each in matches_in(house.datasets, ref, path, pattern, counted)]
    assert counted.enough


async def test_how_much_there_is() -> None:
    house = House()
    path = await talk(house)
    ref = TableRef(path.rsplit("/", 1)[-1], NAMESPACE)
    amount = await amount_of(house.datasets, ref, Counted(1000))
    rows = house.datasets.thread(path)
    assert (amount.threads, amount.rows, amount.started, amount.ended) == (1, len(rows), 1, 1)
    assert amount.bytes == sum(len(row["data"].encode()) for row in rows)
    assert amount.complete
    assert not (await amount_of(house.datasets, ref, Counted(0))).complete


async def test_a_document_has_everything_and_its_images() -> None:
    house = House()
    path = await talk(house)
    ref = TableRef(path.rsplit("/", 1)[-1], NAMESPACE)
    events, cut = await events_of(house.datasets, ref, path)
    assert not cut
    assert any(isinstance(event.body, e.TurnEnded) for event in events)
    pictures = await pictures_of(events, images_of(house))
    assert [kind for kind, _ in pictures.values()] == ["image/png"]
