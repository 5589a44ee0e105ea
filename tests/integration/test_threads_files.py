"""Which files threads speak of, and which go with the last of them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_agent.core import events as e
from process_agent.core.content import ContentPart, FilePart, TextPart
from process_agent.core.ids import MessageId
from process_agent.core.room import TableRef
from process_agent.threads.kept.files import folders_in, folders_of, remove, unused
from process_agent.threads.kept.looking import Counted
from tests.fakes.memory_room import MemoryFiles
from tests.fakes.thread_house import House, append

MINE, SHOWN = "uploads/3f2a", "agents/my bot/files/0123456789ab"


@pytest.mark.parametrize(
    "text",
    [
        f"room:///{MINE}/a%20picture.png", f"see /{MINE}/a.png!", f"[a](room:///{MINE}/b.png)",
        f"'{MINE}/x y'",        "room:///uploads%2F3f2a%2Fa.png",
    ],
)  # fmt: skip
def test_a_folder_is_found_in_addresses_and_in_words(text: str) -> None:
    assert list(folders_in(json.dumps({"content": [{"url": text}]}))) == [MINE]


def test_other_folders_are_none() -> None:
    assert list(folders_in(json.dumps({"text": "my files/ and uploads, room:///notes/files/x"}))) == []
    shown = json.dumps({"url": "room:///agents/my%20bot/files/0123456789ab/out.png"})
    assert list(folders_in(shown)) == [SHOWN]


@given(st.text(max_size=50))
def test_nothing_is_too_odd_to_be_looked_at(text: str) -> None:
    list(folders_in(text))
    list(folders_in(json.dumps({"uploads/": text})))


async def thread_with(house: House, *urls: str, files: MemoryFiles | None = None) -> TableRef:
    """A thread in which somebody attached these, by an agent that cleans `files`."""
    _, log, speaker = await house.thread()
    content: tuple[ContentPart, ...] = (TextPart("look"), *(FilePart(url) for url in urls))
    append(log, [speaker.say(e.TurnRequested(content, "Ana"), "u1", MessageId("m"))])
    await log.flush()
    return TableRef(log.thread_id.rsplit("/", 1)[-1], ("agents", "bot", "threads"))


async def test_what_another_thread_speaks_of_stays() -> None:
    house = House()
    first = await thread_with(house, f"room:///{MINE}/a.png", "room:///uploads/shared/b.png")
    second = await thread_with(house, "room:///uploads/shared/b.png")
    folders = await folders_of(house.datasets, first, Counted(100))
    assert folders == {MINE, "uploads/shared"}
    gone = TableRef("gone", ("agents", "bot", "threads"))
    assert await unused(house.datasets, folders, [gone, second], Counted(100)) == {MINE}
    counted = Counted(1)
    await unused(house.datasets, folders, [second], counted)
    assert counted.enough, "who did not look at all knows nothing"


async def test_files_are_removed_one_by_one() -> None:
    files = MemoryFiles(dict.fromkeys((f"{MINE}/a.png", f"{MINE}/b.png", f"{SHOWN}/c.png"), b"x"))
    wanted = [f"{MINE}/a.png", f"{SHOWN}/c.png", "uploads/none/gone.png"]
    assert [path async for path in remove(files, wanted)] == [f"{SHOWN}/c.png", f"{MINE}/a.png"]
    assert list(files.files) == [f"{MINE}/b.png"], "somebody else put it there"
