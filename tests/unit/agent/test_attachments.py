"""Files people attach are fetched from the room before a backend sees them."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import time
from pathlib import Path

import pytest

from process_agent.agent import attachments
from process_agent.agent.attachments import MAX_RECALLED, Attachments
from process_agent.agent.shelf import Shelf, plain_name
from process_agent.core.backend import AgentMessage, HistoryItem, MadeImages, UserMessage
from process_agent.core.content import ContentPart, FilePart, TextPart
from process_agent.core.ids import ThreadId
from tests.fakes.memory_room import MemoryFiles

TEXT = TextPart("look at this")
THREAD = ThreadId("dataset://agents/bot/threads/1")


async def resolved(files: MemoryFiles | None, *parts: ContentPart) -> tuple[ContentPart, ...]:
    return await Attachments(files).resolve(THREAD, (TEXT, *parts))


async def test_a_room_file_becomes_a_data_url_with_its_name_and_type() -> None:
    files = MemoryFiles()
    await files.write("shots/a b.png", b"\x89PNG")
    found = await resolved(
        files, FilePart("room:///shots/a%20b.png"), FilePart("room:///shots/a%20b.png", "x")
    )
    data = base64.b64encode(b"\x89PNG").decode()
    assert found[1] == FilePart(f"data:image/png;base64,{data}", "a b.png")
    assert found[2] == FilePart(f"data:application/octet-stream;base64,{data}", "x")


async def test_what_is_not_in_the_room_is_left_alone() -> None:
    parts = (FilePart("data:text/plain,hi"), FilePart("https://example.com/x"), TextPart("room:///a"))
    assert await resolved(MemoryFiles(), *parts) == (TEXT, *parts)


async def test_what_cannot_be_fetched_is_said_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    files = MemoryFiles()
    await files.write("big.bin", b"x" * 20)
    monkeypatch.setattr(attachments, "MAX_BYTES", 10)
    missing, big = (await resolved(files, FilePart("room:///gone.txt"), FilePart("ROOM:///big.bin")))[1:]
    (homeless,) = (await resolved(None, FilePart("room:///a.txt")))[1:]
    for part, name in ((missing, "gone.txt"), (big, "big.bin"), (homeless, "a.txt")):
        assert isinstance(part, TextPart)
        assert part.text.startswith(f"[The attached file {name} could not be read: ")


async def test_files_have_a_limit_in_number_and_together(monkeypatch: pytest.MonkeyPatch) -> None:
    files = MemoryFiles()
    await files.write("a.txt", b"x" * 30)
    part = FilePart("room:///a.txt")
    monkeypatch.setattr(attachments, "MAX_FILES", 2)
    kinds = [type(each) for each in await resolved(files, part, part, part)]
    assert kinds == [TextPart, FilePart, FilePart, TextPart]
    monkeypatch.setattr(attachments, "MAX_TOTAL", 30)
    kinds = [type(each) for each in await resolved(files, part, part)]
    assert kinds == [TextPart, FilePart, TextPart]


async def test_a_room_that_does_not_answer_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(MemoryFiles):
        async def read(self, path: str, limit: int) -> bytes:
            await asyncio.Event().wait()
            return b""

    monkeypatch.setattr(attachments, "FETCH_SECONDS", 0.01)
    (part,) = (await resolved(Silent(), FilePart("room:///a.txt")))[1:]
    assert isinstance(part, TextPart)
    assert "did not send it" in part.text


async def test_every_way_to_write_an_address_is_understood() -> None:
    files = MemoryFiles({"a/b.txt": b"yes", "b.txt": b"no"})
    for url in ("room:///a/b.txt", "room://a/b.txt", "room:a/b.txt", "room:////a/b.txt"):
        (part,) = (await resolved(files, FilePart(url)))[1:]
        assert isinstance(part, FilePart)
        assert part.url.endswith(base64.b64encode(b"yes").decode())
    (part,) = (await resolved(files, FilePart("room://[")))[1:]
    assert isinstance(part, TextPart)
    assert "could not be read" in part.text


def copy_of(part: FilePart) -> bytes:
    assert part.path is not None
    return Path(part.path).read_bytes()


# --- Copies ----------------------------------------------------------------------------------------


async def test_copies_lie_where_commands_find_them(tmp_path: Path) -> None:
    files = MemoryFiles({"a.pdf": b"%PDF", "deep/a.pdf": b"other", "../x": b"tricks"})
    attachments = Attachments(files, Shelf(tmp_path / "kept"))
    parts = (FilePart("room:///a.pdf"), FilePart("room:///deep/a.pdf"), FilePart("data:text/plain,hi"))
    found = await attachments.resolve(THREAD, parts)
    paths = [Path(part.path) for part in found if isinstance(part, FilePart) and part.path]
    assert [(path.name, path.read_bytes()) for path in paths] == [
        ("a.pdf", b"%PDF"),
        ("a.pdf", b"other"),
        ("file.txt", b"hi"),
    ]
    assert all(path.is_relative_to(tmp_path / "kept") for path in paths)
    assert all(path.stat().st_mode & 0o077 == 0 for path in (paths[0], paths[0].parent))
    assert await attachments.resolve(THREAD, parts) == found, "the same file has one copy"


async def test_a_file_that_changed_is_not_written_over(tmp_path: Path) -> None:
    files = MemoryFiles({"a.csv": b"one"})
    attachments = Attachments(files, Shelf(tmp_path))
    part = FilePart("room:///a.csv")
    (first,) = await attachments.resolve(THREAD, (part,))
    files.files["a.csv"] = b"two"
    (second,) = await attachments.resolve(THREAD, (part,))
    assert isinstance(first, FilePart)
    assert isinstance(second, FilePart)
    assert first.path is not None
    assert second.path == first.path.replace("a.csv", "a-2.csv")
    assert (copy_of(first), copy_of(second)) == (b"one", b"two")


async def test_a_big_file_has_a_copy_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attachments, "MAX_BYTES", 10)
    monkeypatch.setattr(attachments, "MAX_COPY", 30)
    files = MemoryFiles({"big.bin": b"x" * 20, "huge.bin": b"x" * 40})
    big, huge = await Attachments(files, Shelf(tmp_path)).resolve(
        THREAD, (FilePart("room:///big.bin"), FilePart("room:///huge.bin"))
    )
    assert isinstance(big, FilePart)
    assert big.url == "room:///big.bin"
    assert copy_of(big) == b"x" * 20
    assert isinstance(huge, TextPart)


async def test_a_folder_that_cannot_be_written_costs_the_copy_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    files = MemoryFiles({"a.txt": b"hi"})
    (part,) = await Attachments(files, Shelf(tmp_path / "file")).resolve(THREAD, (FilePart("room:///a.txt"),))
    assert part == FilePart("data:text/plain;base64,aGk=", "a.txt")


async def test_links_in_the_way_are_not_followed(tmp_path: Path) -> None:
    kept, outside = tmp_path / "kept", tmp_path / "outside"
    outside.mkdir()
    attachments = Attachments(MemoryFiles({"a.txt": b"hi"}), Shelf(kept))
    (part,) = await attachments.resolve(THREAD, (FilePart("room:///a.txt"),))
    assert isinstance(part, FilePart)
    assert part.path is not None
    shutil.rmtree(Path(part.path).parent)
    Path(part.path).parent.symlink_to(outside)
    (again,) = await attachments.resolve(THREAD, (FilePart("room:///a.txt"),))
    assert isinstance(again, FilePart)
    assert again.path is None
    assert not [*outside.iterdir()]


async def test_what_was_said_before_has_the_paths_of_its_copies(tmp_path: Path) -> None:
    attachments = Attachments(MemoryFiles({"a.pdf": b"%PDF"}), Shelf(tmp_path))
    attached, gone = FilePart("room:///a.pdf"), FilePart("room:///gone.pdf")
    (part,) = await attachments.resolve(THREAD, (attached,))
    assert isinstance(part, FilePart)
    history: list[HistoryItem] = [UserMessage((TEXT, attached, gone), "ana"), AgentMessage("yes")]
    said, answered = await attachments.recalled(THREAD, history)
    assert isinstance(said, UserMessage)
    assert said.content == (TEXT, FilePart("room:///a.pdf", None, part.path), gone)
    assert answered == history[1]
    await attachments.forget(THREAD)
    assert await attachments.recalled(THREAD, history) == history


async def test_the_newest_images_of_before_are_fetched_and_what_fails_stays_an_address() -> None:
    files = MemoryFiles({f"{n}.png": b"%d" % n for n in range(MAX_RECALLED + 1) if n != 2})
    images = [FilePart(f"room:///{n}.png") for n in range(MAX_RECALLED + 1)]
    history: list[HistoryItem] = [
        UserMessage((TEXT, *images[:3], FilePart("room:///notes.txt")), "ana"),
        MadeImages(tuple(images[3:])),
    ]
    said, made = await Attachments(files).recalled(THREAD, history)
    assert isinstance(said, UserMessage)
    assert isinstance(made, MadeImages)
    urls = [part.url for part in (*said.content, *made.content) if isinstance(part, FilePart)]
    one, three, four = (f"data:image/png;base64,{base64.b64encode(b'%d' % n).decode()}" for n in (1, 3, 4))
    assert urls == ["room:///0.png", one, "room:///2.png", "room:///notes.txt", three, four]


async def test_a_room_that_does_not_send_images_of_before_holds_nothing_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Silent(MemoryFiles):
        async def read(self, path: str, limit: int) -> bytes:
            await asyncio.Event().wait()
            return b""

    monkeypatch.setattr(attachments, "FETCH_SECONDS", 0.01)
    history: list[HistoryItem] = [MadeImages((FilePart("room:///a.png"),))]
    assert await Attachments(Silent()).recalled(THREAD, history) == history


async def test_old_copies_and_too_many_are_removed_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(tmp_path)
    old, new, newest = [
        Path(await shelf.keep(THREAD, name, name, b"x" * 10)) for name in ("old", "new", "newest")
    ]
    os.utime(old, (1, 1))
    os.utime(new, (time.time() - 60,) * 2)
    await shelf.tidy()
    assert [path.exists() for path in (old, new, newest)] == [False, True, True]
    assert not old.parent.exists()
    monkeypatch.setattr("process_agent.agent.shelf.MAX_KEPT", 15)
    await shelf.tidy()
    assert [path.exists() for path in (new, newest)] == [False, True]


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        (".bashrc", "bashrc"),
        ("-rf", "rf"),
        ("..", "file"),
        ("a\nb\x1b[2J\udc80.txt", "a_b_[2J_.txt"),
        ("x" * 300 + ".tar.gz", "x" * 117 + ".gz"),
        ("\u202egnp.exe", "_gnp.exe"),
        ("", "file"),
    ],
)
def test_a_name_is_a_name_and_nothing_else(name: str, plain: str) -> None:
    assert plain_name(name) == plain
    assert len(plain_name("ü" * 500).encode()) <= 255
