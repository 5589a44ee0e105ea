"""`/save`: how shown files are called, which one is meant, and where it goes."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_agent.core.content import FilePart, GeneratedImage, TextPart
from process_agent.core.ids import ItemId, MessageId, TurnId
from process_agent.core.images import address_of
from process_agent.core.room_ports import RoomImage
from process_agent.errors import RoomRequestError, UsageError
from process_agent.viewer.items import FileItem, ImageItem, Turn, UserItem
from process_agent.viewer.terminal import commands as c
from process_agent.viewer.terminal import render
from process_agent.viewer.terminal.completing import completions
from process_agent.viewer.terminal.saving import Saving
from process_agent.viewer.terminal.shown import MAX_NAME, find, shown_file, shown_files
from tests.fakes.memory_room import MemoryFiles

PNG = b"\x89PNG\r\n\x1a\nabc"
EMBEDDED = "data:image/png;base64," + base64.b64encode(PNG).decode()
ROOM_IMAGE = address_of("img-1")


class Images:
    """One image of the room."""

    async def keep(self, *_: Any) -> str:
        raise AssertionError("a viewer keeps none")

    async def read(self, address: str, limit: int) -> RoomImage:
        assert (address, limit > 0) == (ROOM_IMAGE, True)
        return RoomImage(PNG, "image/png")

    async def remove(self, *_: Any) -> None:
        raise AssertionError("a viewer removes none")


def view(*urls: str) -> Any:
    """A view of a thread that shows files."""
    turn = Turn(TurnId("U"))
    turn.items[ItemId("f")] = FileItem(
        ItemId("f"), [url for url in urls if url.startswith(("room:", "http"))]
    )
    made = tuple(GeneratedImage(url, "image/png") for url in urls if not url.startswith(("room:", "http")))
    turn.items[ItemId("i")] = ImageItem(ItemId("i"), made)
    return SimpleNamespace(transcript=SimpleNamespace(turns=(turn,)))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def saving() -> Saving:
    files = MemoryFiles({"agents/bot/files/1/a b.txt": b"one", "x/chart.png": PNG})
    return Saving(files, Images())


def told(line: str) -> c.Save:
    command = c.parse(line)
    assert isinstance(command, c.Save)
    return command


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("/save", c.Save()),
        ("/save 2", c.Save("2")),
        ("/save a.txt out/", c.Save("a.txt", "out/")),
        ("/save 'a b.txt' \"c d\"", c.Save("a b.txt", "c d")),
    ],
)
def test_what_a_line_means(line: str, command: c.Save) -> None:
    assert c.parse(line) == command


@pytest.mark.parametrize("line", ["/save a b c", "/save 'a"])
def test_a_wrong_line_is_an_error(line: str) -> None:
    with pytest.raises(UsageError, match="/save"):
        c.parse(line)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("room:///agents/bot/files/1/a%20b.txt", "a b.txt"),
        ("room:///x/..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("room:///x/.bashrc", "bashrc"),
        ("room:///x/-rf", "rf"),
        ("room:///x/a%1b%5D0;x%07.txt", "a_]0;x_.txt"),
        ("room:///x/gpj%E2%80%AE.exe", "gpj_.exe"),
        ("room:///..", "file"),
        ("http://[", "["),
    ],
)
def test_names_are_plain(url: str, name: str) -> None:
    assert shown_file(url).name == name


@given(st.text(max_size=300))
def test_a_name_is_one_visible_part_of_a_path_and_its_command_names_it(text: str) -> None:
    file = shown_file(f"room:///x/{text}")
    assert file.name.isprintable()
    assert "/" not in file.name
    assert file.name[0] not in ".-~"
    assert len(file.name) <= MAX_NAME
    assert told(file.command).ref == file.name


def test_images_have_names_of_their_own() -> None:
    one, other = shown_file(EMBEDDED), shown_file(EMBEDDED + "AA==")
    assert one.name.startswith("image-")
    assert one.name.endswith(".png")
    assert one.name != other.name
    assert shown_file(ROOM_IMAGE, "image/png").name.endswith(".png")
    assert shown_file("data:text/csv,a").name.endswith(".csv")


def test_what_people_attach_is_shown_by_its_name_and_can_be_saved() -> None:
    parts = (
        TextPart("Look:"),
        FilePart("room:///uploads/1/plan.pdf", "The plan.pdf"),
        FilePart(EMBEDDED),
        FilePart("room:///uploads/2/a.png"),
    )
    item = UserItem(MessageId("u"), parts, "ana")
    shown = render.to_ansi([render.user(item, "ana", saved=True)], 100, None)
    mark = shown_file(EMBEDDED).name
    assert shown.splitlines() == [
        "› Look:",
        "  ▤ The plan.pdf  /save 'The plan.pdf'",
        f"  ▣ {mark}  /save {mark}",
        "  ▣ a.png  /save a.png",
    ]
    turn = Turn(TurnId("U1"))
    turn.items[item.id] = item
    files = shown_files([turn])
    assert find("The plan.pdf", files).url == "room:///uploads/1/plan.pdf"
    assert find("", files).url == "room:///uploads/2/a.png"


def test_which_file_is_meant() -> None:
    urls = ("room:///1/a.txt", "room:///2/b.txt", "room:///3/a.txt", "room:///4/7")
    files = shown_files(view(*urls).transcript.turns)
    assert [find(ref, files).url for ref in ("", "7", "2", "a.txt", "x/a.txt", "3", "4")] == [
        *("room:///4/7", "room:///4/7", "room:///3/a.txt", "room:///3/a.txt", "room:///3/a.txt"),
        *("room:///2/b.txt", "room:///1/a.txt"),
    ]
    for ref in ("5", "0", "nothing"):
        with pytest.raises(UsageError, match=r"there is 7, a\.txt, b\.txt"):
            find(ref, files)
    with pytest.raises(UsageError, match="No file was shown"):
        find("", [])


async def test_files_and_images_are_written_here_or_where_they_are_wanted(here: Path, saving: Saving) -> None:
    shown = view("room:///agents/bot/files/1/a%20b.txt", "room:///x/chart.png", EMBEDDED, ROOM_IMAGE)
    said = await saving.save(told("/save 'a b.txt'"), shown)
    assert said == f"Saved {here / 'a b.txt'} (3 bytes)."
    assert (here / "a b.txt").read_bytes() == b"one"
    (here / "out").mkdir()
    for line in (
        "/save chart.png out",
        "/save chart.png out/other.png",
        "/save 1 table.png",
        "/save 2 data.png",
    ):
        await saving.save(told(line), shown)
    written = ("out/chart.png", "out/other.png", "table.png", "data.png")
    assert [(here / name).read_bytes() for name in written] == [PNG] * 4


async def test_nothing_is_written_over(here: Path, saving: Saving) -> None:
    shown = view("room:///x/chart.png")
    (here / "chart.png").write_bytes(b"mine")
    (here / "link").symlink_to(here / "elsewhere")
    for line in ("/save", "/save chart.png link", f"/save chart.png {here}/chart.png"):
        with pytest.raises(UsageError, match="there already"):
            await saving.save(told(line), shown)
    assert (here / "chart.png").read_bytes() == b"mine"
    assert not (here / "elsewhere").exists()


@pytest.mark.parametrize(
    ("url", "line", "said"),
    [
        ("room:///x/chart.png", "/save 1 no/where.png", "There is no folder"),
        ("room:///x/chart.png", "/save 1 no/", "There is no folder"),
        ("https://evil.test/a.txt", "/save", "not in this room"),
        ("data:image/png;base64,%%%", "/save", "damaged"),
        ("data:image/png", "/save", "damaged"),
    ],
)
async def test_what_is_not_saved(here: Path, saving: Saving, url: str, line: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        await saving.save(told(line), view(url))
    assert os.listdir(here) == []


async def test_what_is_not_there_is_said(here: Path, saving: Saving) -> None:
    with pytest.raises(RoomRequestError):
        await saving.save(c.Save(), view("room:///x/gone.txt"))
    with pytest.raises(UsageError, match="not in this room"):
        await Saving().save(c.Save(), view("room:///x/chart.png"))
    with pytest.raises(UsageError, match="No thread is open"):
        await saving.save(c.Save(), None)
    assert os.listdir(here) == []


def test_names_complete(saving: Saving) -> None:
    names = saving.names(view("room:///x/a%20b.txt", "room:///x/chart.png", "room:///y/chart.png"))
    assert names == ["chart.png", "a b.txt"]
    assert [word for word, _, _ in completions("/save a", (), (), names)] == ["'a b.txt'"]
    assert saving.names(None) == []
