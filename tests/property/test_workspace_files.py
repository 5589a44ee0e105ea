"""Turns, edits by others, undo and redo in any order, on real files: whatever was written last stays unless a
command put back exactly what it should, and nothing outside the folder is ever touched.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from process_agent.workspaces.changes import EXECUTABLE, LINK, Change, Entry, Odd, still_to_do
from process_agent.workspaces.files import Folder, blob_of

NAMES = st.sampled_from(["a", "b", "d/a", "d/b", "d/e/a", "e/a", "d"])
CONTENTS = st.sampled_from([b"", b"one\n", b"two\r\n", b"\x00\xff"])
TARGETS = st.sampled_from(["a", "d", "../outside", "../outside/kept"])
KINDS = st.sampled_from(["write", "write", "run", "link", "delete"])
STEPS = st.lists(st.tuples(KINDS, NAMES, CONTENTS, TARGETS), min_size=1, max_size=4)


class Files(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.base = Path(tempfile.mkdtemp())
        self.root, self.outside = self.base / "work", self.base / "outside"
        self.root.mkdir()
        self.outside.mkdir()
        (self.outside / "kept").write_text("kept")
        self.blobs: dict[str, bytes] = {}
        self.folder = Folder(self.root)
        self.done: list[list[Change]] = []
        self.undone: list[list[Change]] = []

    # --- What turns and people do ----------------------------------------------------------------

    @rule(steps=STEPS)
    def turn(self, steps: list[tuple[str, str, bytes, str]]) -> None:
        before = self._snapshot()
        self._edit(steps)
        after = self._snapshot()
        paths = sorted({*before, *after})
        changes = [Change(p, before.get(p), after.get(p)) for p in paths if before.get(p) != after.get(p)]
        if changes:
            self.done.append(changes)

    @rule(steps=STEPS)
    def somebody_edits(self, steps: list[tuple[str, str, bytes, str]]) -> None:
        self._edit(steps)

    @rule(name=NAMES)
    def a_folder_becomes_a_link(self, name: str) -> None:
        path = self.root / name
        if path.is_dir() and not path.is_symlink() and not path.parent.is_symlink():
            shutil.rmtree(path)
            path.symlink_to("../outside" if "/" not in name else "../../outside")

    @precondition(lambda self: self.done)
    @rule()
    def undo(self) -> None:
        if self._make([change.inverted for change in self.done[-1]]):
            self.undone.append(self.done.pop())

    @precondition(lambda self: self.undone)
    @rule()
    def redo(self) -> None:
        if self._make(self.undone[-1]):
            self.done.append(self.undone.pop())

    def _make(self, wanted: list[Change]) -> bool:
        """As the commands do it: everything, or nothing and not a byte changes."""
        before = self._snapshot()
        to_do, touched = still_to_do(wanted, self.folder.state)
        assert {c.path for c in touched} == {
            c.path for c in wanted if before.get(c.path) not in (c.before, c.after)
        }
        going = frozenset(c.path for c in to_do if c.after is None)
        if touched or any(self.folder.obstacle(change, going) for change in to_do):
            assert self._snapshot() == before
            return False
        self.folder.make(to_do, self.blobs.__getitem__)
        expected = dict(before)
        for change in wanted:
            if change.after is None:
                expected.pop(change.path, None)
            else:
                expected[change.path] = change.after
        assert self._snapshot() == expected
        return True

    # --- What always holds -----------------------------------------------------------------------

    @invariant()
    def nothing_outside_is_touched(self) -> None:
        assert sorted(os.listdir(self.outside)) == ["kept"]
        assert (self.outside / "kept").read_text() == "kept"
        assert sorted(os.listdir(self.base)) == ["outside", "work"]

    @invariant()
    def no_half_written_file_stays(self) -> None:
        assert not [name for _, _, files in os.walk(self.root) for name in files if ".process-" in name]

    def teardown(self) -> None:
        shutil.rmtree(self.base)

    def _edit(self, steps: list[tuple[str, str, bytes, str]]) -> None:
        for kind, name, content, target in steps:
            path = self.root / name
            if any(parent.is_symlink() or parent.is_file() for parent in path.parents if parent != self.root):
                continue
            if kind == "delete":
                self._gone(path)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            self._gone(path)
            if kind == "link":
                path.symlink_to(target)
            else:
                path.write_bytes(content)
                path.chmod(0o755 if kind == "run" else 0o644)

    def _gone(self, path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def _snapshot(self) -> dict[str, Entry]:
        """All files, read in a way of the test's own."""
        found = {}
        for here, folders, files in os.walk(self.root):
            links = [name for name in folders if Path(here, name).is_symlink()]
            for name in (*files, *links):
                path = Path(here, name)
                content = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
                runs = not path.is_symlink() and path.stat().st_mode & 0o100
                mode = LINK if path.is_symlink() else EXECUTABLE if runs else 0o100644
                self.blobs[blob_of(content)] = content
                found[path.relative_to(self.root).as_posix()] = Entry(mode, blob_of(content))
        return found


Files.TestCase.settings = settings(max_examples=50, stateful_step_count=25, deadline=None)
TestFiles = Files.TestCase


def test_what_is_no_file_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    folder = Folder(tmp_path)
    assert folder.state("pipe") is Odd.ODD
    assert folder.state("folder") is None
    assert folder.state("pipe/x") is None
