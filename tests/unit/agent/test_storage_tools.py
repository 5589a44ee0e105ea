"""The room's files as tools: what is hidden stays hidden, what is lost for good asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from process_agent.agent.shelf import Shelf
from process_agent.agent.tools import storage
from process_agent.agent.tools.attach import workplace
from process_agent.agent.tools.storage import StorageTools, room_path
from process_agent.agent.tools.tool import Tool
from process_agent.core.content import Json
from process_agent.core.tools import ToolOutput
from process_agent.errors import RoomRequestError, ToolFailedError
from tests.fakes.memory_room import MemoryFiles
from tests.fakes.tools import run, scope, text_of

PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 20


class Storage:
    def __init__(self, folder: Path, *, read_only: bool = False, ask_always: bool = False) -> None:
        self.room = MemoryFiles(
            {"a.txt": b"hi", "in/b.bin": b"\xff\0", "in/p.png": PNG, ".emails/x": b"mail"}
        )
        work = folder / "work"
        (work / "out").mkdir(parents=True)
        (work / "out" / "made.bin").write_bytes(b"\0made")
        (work / ".env").write_bytes(b"secret")
        tools = StorageTools(
            self.room,
            workplace(work, []),
            Shelf(folder / "kept"),
            read_only=read_only,
            ask_always=ask_always,
        )
        self.tools = {tool.spec.name: tool for tool in tools.toolkit().tools}

    def __getitem__(self, name: str) -> Tool:
        return self.tools[name]

    def asks(self, name: str, **arguments: Json) -> str | None:
        need = self.tools[name].planned(arguments, scope()).need
        return None if need is None else need.reason


async def test_listing_and_reading(tmp_path: Path) -> None:
    there = Storage(tmp_path)
    assert text_of(await run(there["list"])) == "a.txt (2 bytes)\nin/"
    assert text_of(await run(there["list"], path="/in/")) == "b.bin (2 bytes)\np.png (28 bytes)"
    assert text_of(await run(there["list"], path="gone")) == "There is nothing in gone."
    assert text_of(await run(there["read"], path="room:///a.txt")) == "hi"
    image = await run(there["read"], path="in/p.png")
    assert isinstance(image, ToolOutput)
    assert len(image.images) == 1
    assert f"a copy at {tmp_path}/kept/" in text_of(await run(there["read"], path="in/b.bin"))
    with pytest.raises(RoomRequestError):
        await run(there["read"], path="gone.txt")


async def test_long_texts_come_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "MAX_TEXT", 4)
    there = Storage(tmp_path)
    there.room.files["long.txt"] = b"0123456789"
    first = text_of(await run(there["read"], path="long.txt"))
    assert first.startswith("0123\n[Characters 0 to 4 of 10; go on with offset. Commands find a copy at ")
    assert text_of(await run(there["read"], path="long.txt", offset=8)).startswith("89\n[Characters 8 to 10")


async def test_writing_text_and_files_of_the_working_folder(tmp_path: Path) -> None:
    there = Storage(tmp_path)
    await run(there["write"], path="new/x.md", content="# ü")
    await run(there["write"], path="made.bin", file="out/made.bin")
    assert there.room.files["new/x.md"] == "# ü".encode()
    assert there.room.files["made.bin"] == b"\0made"
    for arguments, said in (
        ({"path": "y"}, "Give either"),
        ({"path": "y", "content": "a", "file": "out/made.bin"}, "Give either"),
        ({"path": "y", "file": "../work/out/made.bin"}, "is not the path"),
        ({"path": "y", "file": ".env"}, "Hidden"),
        ({"path": "y", "content": 5}, "must be text"),
    ):
        with pytest.raises(ToolFailedError, match=said):
            await run(there["write"], **arguments)
    with pytest.raises(RoomRequestError, match="already"):
        await run(there["write"], path="a.txt", content="over")


async def test_what_is_lost_for_good_asks(tmp_path: Path) -> None:
    there = Storage(tmp_path)
    assert there.asks("delete", path="a.txt") == "deletes a.txt, a file of the room, for good."
    assert (
        there.asks("write", path="a.txt", content="x", replace=True) == "replaces a.txt, a file of the room."
    )
    assert there.asks("write", path="own.txt", content="x") is None
    await run(there["write"], path="own.txt", content="x")
    await run(there["write"], path="own.txt", content="y", replace=True)
    assert there.room.files["own.txt"] == b"y", "what the thread wrote itself is replaced unasked"
    strict = Storage(tmp_path / "strict", ask_always=True)
    assert strict.asks("write", path="new.txt", content="x") == "writes new.txt, a file of the room."
    assert [*Storage(tmp_path / "quiet", read_only=True).tools] == ["list", "read"]


@pytest.mark.parametrize(
    "path", ["../x", "a/../../x", ".emails/x", "a/.git/x", "room:///.emails/x", "room:///%2eemails/x", "a\\b",
             "a\nb", "", "/", "x" * 2_000]
)  # fmt: skip
def test_what_is_no_path_for_a_tool(path: str) -> None:
    with pytest.raises(ToolFailedError):
        room_path(path)


def test_a_path_may_be_written_in_any_way() -> None:
    assert room_path("room:///a%20b/c.txt") == room_path("/a b//./c.txt") == "a b/c.txt"
    assert room_path("", folder=True) == ""
