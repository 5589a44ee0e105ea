"""Nothing outside a folder is read, whatever lies in it."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import pytest

from process_agent.errors import ToolFailedError
from process_agent.io.beneath import read_beneath


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "key").write_bytes(b"secret")
    folder = tmp_path / "work"
    (folder / "out").mkdir(parents=True)
    (folder / "out" / "a.txt").write_bytes(b"hello")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "inside").symlink_to(folder / "out" / "a.txt")
    (folder / "folder").symlink_to(tmp_path / "private")
    os.mkfifo(folder / "pipe")
    return folder


def test_a_file_is_read_through_folders(place: Path) -> None:
    assert read_beneath(place, PurePosixPath("out/a.txt"), 5) == b"hello"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("link", "links are not followed"),
        ("inside", "links are not followed"),
        ("folder/key", "links are not followed"),
        ("out/a.txt/b", "links are not followed"),
        ("gone", "There is no gone"),
        ("out/gone", "There is no out/gone"),
        ("out", "out is not a file"),
        ("pipe", "pipe is not a file"),
    ],
)
def test_what_is_no_file_there_is_refused(place: Path, path: str, said: str) -> None:
    with pytest.raises(ToolFailedError, match=said):
        read_beneath(place, PurePosixPath(path), 100)


def test_a_file_above_the_limit_is_refused(place: Path) -> None:
    with pytest.raises(ToolFailedError, match="more than 4 bytes"):
        read_beneath(place, PurePosixPath("out/a.txt"), 4)
