"""Files people attach are fetched from the room before a backend sees them."""

from __future__ import annotations

import asyncio
import base64

import pytest

from process_agent.agent import attachments
from process_agent.agent.attachments import Attachments
from process_agent.core.content import ContentPart, FilePart, TextPart
from tests.fakes.memory_room import MemoryFiles

TEXT = TextPart("look at this")


async def resolved(files: MemoryFiles | None, *parts: ContentPart) -> tuple[ContentPart, ...]:
    return await Attachments(files).resolve((TEXT, *parts))


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
    monkeypatch.setattr(attachments, "MAX_TOTAL", 60)
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
