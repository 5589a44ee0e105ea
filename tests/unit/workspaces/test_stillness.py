from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from process_agent.workspaces import stillness
from process_agent.workspaces.stillness import MAX_ENTRIES, look


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stillness, "UNSETTLED", -1_000_000_000)


def make(folder: Path) -> None:
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "deep").write_text("one")
    (folder / "link").symlink_to("a")
    (folder / ".git").mkdir()


def test_a_folder_that_stays_as_it_is_looks_the_same(tmp_path: Path) -> None:
    make(tmp_path)
    seen = look(tmp_path)
    assert seen is not None
    (tmp_path / ".git" / "index").write_text("of Git")
    (tmp_path / "a" / "b" / "deep").read_text()
    assert look(tmp_path) == seen


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "new").write_text(""),
        lambda folder: (folder / "a" / "b" / "deep").unlink(),
        lambda folder: (folder / "a" / "b" / "deep").write_text("two"),
        lambda folder: (folder / "a" / "b" / "deep").chmod(0o700),
        lambda folder: (folder / "a" / "b" / "deep").rename(folder / "a" / "b" / "moved"),
        lambda folder: (folder / "a" / "b" / "empty").mkdir(),
        lambda folder: [(folder / "link").unlink(), (folder / "link").symlink_to("a/b")],
        lambda folder: os.utime(folder / "a" / "b" / "deep", ns=(1, 1)),
    ],
)
def test_every_change_is_seen(tmp_path: Path, change: Callable[[Path], object]) -> None:
    make(tmp_path)
    before = look(tmp_path)
    change(tmp_path)
    assert look(tmp_path) != before


def test_a_file_with_its_old_time_and_size_put_back_is_seen(tmp_path: Path) -> None:
    """Times of content can be set; the time of that cannot."""
    file = tmp_path / "file"
    file.write_text("one")
    before, at = look(tmp_path), file.stat()
    file.write_text("two")
    os.utime(file, ns=(at.st_atime_ns, at.st_mtime_ns))
    assert look(tmp_path) != before


def test_what_is_too_much_too_fresh_or_not_there_is_for_git(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert look(tmp_path / "missing") is None
    for number in range(MAX_ENTRIES):
        (tmp_path / str(number)).touch()
    assert look(tmp_path) is not None
    (tmp_path / "one more").touch()
    assert look(tmp_path) is None
    (tmp_path / "one more").unlink()
    monkeypatch.setattr(stillness, "UNSETTLED", time.time_ns())
    assert look(tmp_path) is None
