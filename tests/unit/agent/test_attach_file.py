"""`attach_file` shows files of the working folder, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from process_agent.agent.tools import attach
from process_agent.agent.tools.attach import Attaching, workplace
from process_agent.agent.tools.tool import Call
from process_agent.core.events import BackendEvent, FileShown, ToolRef
from process_agent.core.ids import ItemId
from process_agent.errors import ToolFailedError
from tests.fakes.memory_room import MemoryFiles
from tests.fakes.tools import run, scope, text_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    (folder / "out").mkdir(parents=True)
    (folder / "out" / "chart.png").write_bytes(b"png")
    (folder / ".env").write_bytes(b"KEY=1")
    (folder / "data").mkdir()
    (folder / "data" / "key").write_bytes(b"key")
    (tmp_path / "other").write_bytes(b"other")
    return folder


def attaching(folder: Path, files: MemoryFiles) -> Attaching:
    return Attaching(files, workplace(folder, [folder / "data"]), "bot")


async def test_a_file_is_kept_in_the_room_and_shown(folder: Path) -> None:
    files, told = MemoryFiles(), list[BackendEvent]()
    tool = attaching(folder, files).tool()
    for number, path in enumerate(("out/chart.png", f"{folder}/out/chart.png", "./out//chart.png"), 1):
        said = text_of(await run(tool, lambda _, event: told.append(event), path=path))
        shown = told[-1]
        assert isinstance(shown, FileShown)
        assert shown.url in said
        name = "chart.png" if number == 1 else f"chart-{number}.png"
        assert shown.url.endswith(f"/{name}")
        assert shown.url.startswith("room:///agents/bot/files/")
        assert files.files[shown.url.removeprefix("room:///")] == b"png"
    assert len(files.files) == 3, "nothing is written over"


async def test_the_folder_may_be_named_through_a_link(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder)
    tool = attaching(link, MemoryFiles()).tool()
    assert "room:///" in text_of(await run(tool, path=f"{link}/out/chart.png"))
    with pytest.raises(ToolFailedError, match="kept from commands"):
        await run(tool, path=f"{link}/data/key")


async def test_a_turn_with_a_folder_of_its_own_shows_files_of_that(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "a.txt").write_bytes(b"own")
    (folder / "a.txt").write_bytes(b"shared")
    files = MemoryFiles()
    tool = attaching(folder, files).tool()
    ref = ToolRef(ItemId("i"), "chat", "attach_file")
    mine = replace(scope(), folder=own)
    await tool.run(Call(ref, {"path": f"{own}/a.txt"}, mine, lambda *_: None))
    assert [*files.files.values()] == [b"own"]
    with pytest.raises(ToolFailedError, match="outside"):
        await tool.run(Call(ref, {"path": f"{folder}/a.txt"}, mine, lambda *_: None))


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("../other", "is not the path"),
        ("out/../../other", "is not the path"),
        ("/etc/passwd", "outside the working folder"),
        (".env", "Hidden files"),
        ("out/.x/y", "Hidden files"),
        ("data/key", "kept from commands"),
        (".", "is not the path"),
        ("a\0b", "is not the path"),
        ("out", "is not a file"),
        ("", "path must be text"),
    ],
)
async def test_what_may_not_be_shown(folder: Path, path: str, said: str) -> None:
    files = MemoryFiles()
    with pytest.raises(ToolFailedError, match=said):
        await run(attaching(folder, files).tool(), path=path)
    assert not files.files


async def test_files_have_a_limit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attach, "MAX_FILE", 2)
    with pytest.raises(ToolFailedError, match="more than 2 bytes"):
        await run(attaching(folder, MemoryFiles()).tool(), path="out/chart.png")
