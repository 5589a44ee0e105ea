"""What differs from the last commit, with the real git."""

from __future__ import annotations

import os
from pathlib import Path

from process_agent.core.workspace import FileCommand
from tests.integration.test_workspace_undo import at_work, git


async def test_one_line_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "a.txt").write_text("one\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    (folder / "a.txt").write_text("two\n")
    async with at_work(tmp_path, folder) as bench:
        told = await bench.ask(FileCommand.DIFF_UNCOMMITTED)
    assert told.text == "Since the last commit: 1 line added, 1 removed in files Git knows."


async def test_a_change_that_no_time_tells(tmp_path: Path) -> None:
    """A file written again within a tick of the clock, at the same length: Git has to look into it."""
    folder = tmp_path / "work"
    folder.mkdir()
    git(folder, "init", "-q")
    git(folder, "config", "core.trustctime", "false")
    git(folder, "config", "core.checkStat", "minimal")
    file, at = folder / "a.txt", (1_700_000_000, 1_700_000_000)
    file.write_text("one\n")
    os.utime(file, at)
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    os.utime(folder / ".git" / "index", at)
    file.write_text("two\n")
    os.utime(file, at)
    async with at_work(tmp_path, folder) as bench:
        told = await bench.ask(FileCommand.DIFF_UNCOMMITTED)
    assert told.text == "Since the last commit: 1 line added, 1 removed in files Git knows."
