"""Snapshots around turns with the real git: what changed, taking it back, and who else was there."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from process_agent.core.ids import ThreadId, TurnId
from process_agent.core.workspace import FileAnswer, FileCommand, Workspace
from process_agent.errors import WorkspaceError
from process_agent.workspaces import answers, snapshots
from process_agent.workspaces.changes import Change
from process_agent.workspaces.commands import FileCommands
from process_agent.workspaces.shared import SharedWorkspaces

A, B = ThreadId("a"), ThreadId("b")
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}


class Bench:
    """A folder, the workspaces of an agent there, and what turns do."""

    def __init__(self, base: Path, folder: Path) -> None:
        self.folder = folder
        self.home = base / "home"
        self.turns = 0
        self.workspaces = self._opened()

    def _opened(self) -> SharedWorkspaces:
        return SharedWorkspaces(self.folder, self.home, ENVIRONMENT)

    async def restart(self) -> None:
        await self.workspaces.close()
        self.workspaces = self._opened()

    def of(self, thread: ThreadId = A) -> Workspace:
        return self.workspaces.of(thread)

    async def begin(self, thread: ThreadId = A) -> TurnId:
        """A turn has begun, and its model thought long enough for a snapshot."""
        self.turns += 1
        turn = TurnId(f"t{self.turns}")
        await self.of(thread).turn_begins(turn)
        watch = self.workspaces._tracked.running[turn]
        await watch.before
        return turn

    async def end(self, turn: TurnId, thread: ThreadId = A) -> None:
        self.of(thread).turn_ends(turn, used_tools=True)
        await self.workspaces._tracked.settled()

    async def turn(self, work: Callable[[], object], thread: ThreadId = A) -> None:
        turn = await self.begin(thread)
        work()
        await self.end(turn, thread)

    async def ask(self, command: FileCommand, thread: ThreadId = A) -> FileAnswer:
        return await self.of(thread).carry_out(command)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())

    def read(self, name: str) -> str | None:
        path = self.folder / name
        return path.read_bytes().decode() if path.is_file() else None


@asynccontextmanager
async def at_work(base: Path, folder: Path | None = None) -> AsyncIterator[Bench]:
    place = folder or base / "work"
    place.mkdir(exist_ok=True)
    bench = Bench(base, place)
    try:
        yield bench
    finally:
        await bench.workspaces.close()


def git(folder: Path, *arguments: str) -> str:
    own = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main")
    done = subprocess.run(["git", *own, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


async def test_each_undo_takes_a_turn_back_and_redo_brings_it_again(tmp_path: Path) -> None:
    async with at_work(tmp_path) as bench:
        bench.write("a.txt", "one\r\n")
        (bench.folder / "run.sh").write_text("#!/bin/sh\n")

        def first() -> None:
            bench.write("a.txt", "two\r\n")
            bench.write("new/deep/b.bin", "\0")
            (bench.folder / "run.sh").chmod(0o755)

        def second() -> None:
            (bench.folder / "a.txt").rename(bench.folder / "moved.txt")
            (bench.folder / "link").symlink_to("moved.txt")

        await bench.turn(first)
        await bench.turn(second)
        shown = await bench.ask(FileCommand.DIFF)
        assert "rename from a.txt" in (shown.diff or "")
        assert "3 files" in shown.text
        whole = await bench.ask(FileCommand.DIFF_THREAD)
        assert "Binary files /dev/null and b/new/deep/b.bin differ" in (whole.diff or "")
        assert "old mode 100644\nnew mode 100755" in (whole.diff or "")
        assert "2 turns" in whole.text

        back = await bench.ask(FileCommand.UNDO)
        assert back.note is not None
        assert "moved.txt" in back.note
        assert (bench.read("a.txt"), bench.read("moved.txt")) == ("two\r\n", None)
        assert not (bench.folder / "link").is_symlink()
        await bench.restart()  # what is kept outlives the agent
        await bench.ask(FileCommand.UNDO)
        assert bench.read("a.txt") == "one\r\n"
        assert not (bench.folder / "new").exists()
        assert not os.access(bench.folder / "run.sh", os.X_OK)
        assert (await bench.ask(FileCommand.UNDO)).text == answers.ALL_BACK

        await bench.ask(FileCommand.REDO)
        assert bench.read("new/deep/b.bin") == "\0"
        await bench.ask(FileCommand.REDO)
        assert (bench.folder / "link").readlink() == Path("moved.txt")
        assert (await bench.ask(FileCommand.REDO)).text == answers.NOTHING_AGAIN
        assert sorted(p.name for p in bench.folder.iterdir()) == ["link", "moved.txt", "new", "run.sh"]


async def test_what_others_changed_since_is_named_and_nothing_is_touched(tmp_path: Path) -> None:
    async with at_work(tmp_path) as bench:
        bench.write("a.txt", "old")

        def work() -> None:
            bench.write("a.txt", "turn")
            bench.write("b.txt", "turn")

        await bench.turn(work)
        bench.write("b.txt", "mine")
        said = await bench.ask(FileCommand.UNDO)
        assert "`b.txt`: changed since" in said.text
        assert said.note is None
        assert (bench.read("a.txt"), bench.read("b.txt")) == ("turn", "mine")
        bench.write("b.txt", "turn")
        await bench.ask(FileCommand.UNDO)
        assert (bench.read("a.txt"), bench.read("b.txt")) == ("old", None)


async def test_what_people_change_between_turns_is_no_turn_s(tmp_path: Path) -> None:
    async with at_work(tmp_path) as bench:
        await bench.turn(lambda: bench.write("a.txt", "turn"))
        bench.write("a.txt", "person")
        bench.write("mine.txt", "person")
        await bench.turn(lambda: bench.write("b.txt", "turn"))
        await bench.ask(FileCommand.UNDO)
        assert (bench.read("b.txt"), bench.read("mine.txt")) == (None, "person")
        assert "changed since" in (await bench.ask(FileCommand.UNDO)).text
        assert bench.read("a.txt") == "person"


async def test_a_file_is_never_put_where_somebody_needs_the_place(tmp_path: Path) -> None:
    async with at_work(tmp_path) as bench:
        bench.write("d/a", "old")
        await bench.turn(lambda: (bench.folder / "d/a").unlink())
        (bench.folder / "d").rmdir()
        outside = tmp_path / "outside"
        outside.mkdir()
        (bench.folder / "d").symlink_to(outside)
        said = await bench.ask(FileCommand.UNDO)
        assert "`d` is in its way" in said.text
        assert list(outside.iterdir()) == []


async def test_a_change_while_the_turn_began_is_not_taken_back(tmp_path: Path) -> None:
    async with at_work(tmp_path) as bench:
        await bench.workspaces.start()
        await bench.of().carry_out(FileCommand.DIFF)
        await bench.of().turn_begins(TurnId("fast"))
        bench.write("a.txt", "before the snapshot was taken")
        watch = bench.workspaces._tracked.running[TurnId("fast")]
        before = await watch.before
        assert before is not None
        assert "a.txt" in before.touched
        bench.write("a.txt", "after it")
        await bench.end(TurnId("fast"))
        said = await bench.ask(FileCommand.UNDO)
        assert "changed just when the turn began" in said.text
        assert bench.read("a.txt") == "after it"
        assert "Not certain: `a.txt`" in (await bench.ask(FileCommand.DIFF)).text


async def test_turns_of_two_threads_at_once(tmp_path: Path) -> None:
    async with at_work(tmp_path) as bench:
        one, two = await bench.begin(A), await bench.begin(B)
        bench.write("both", "x")
        assert "works in the same folder" in (await bench.ask(FileCommand.UNDO, A)).text
        await bench.end(one, A)
        bench.write("only-b", "x")
        await bench.end(two, B)
        for thread in (A, B):
            assert "`both`: a turn of another thread" in (await bench.ask(FileCommand.UNDO, thread)).text
        # One that changed nothing is in nobody's way.
        one, two = await bench.begin(A), await bench.begin(B)
        bench.write("mine", "x")
        await bench.end(one, A)
        bench.of(B).turn_ends(two, used_tools=False)
        await bench.ask(FileCommand.UNDO, A)
        assert bench.read("mine") is None


async def test_the_running_turn_s_diff_so_far(tmp_path: Path) -> None:
    async with at_work(tmp_path) as bench:
        turn = await bench.begin()
        assert "no file changed" in (await bench.ask(FileCommand.DIFF)).text
        bench.write("a.txt", "x\n")
        shown = await bench.ask(FileCommand.DIFF)
        assert shown.text.startswith("The running turn so far: 1 file changed, 1 line added")
        assert "+x" in (shown.diff or "")
        await bench.end(turn)


async def test_the_user_s_repository_is_not_touched_and_its_settings_do_not_apply(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / ".gitignore").write_text("*.log\n")
    (folder / "kept.log").write_text("kept\n")
    (folder / "a.txt").write_bytes(b"one\r\n")
    git(folder, "add", "-f", ".")
    git(folder, "commit", "-qm", "first")
    git(folder, "config", "core.autocrlf", "true")
    git(folder, "config", "filter.bad.clean", "touch ran")
    (folder / ".gitattributes").write_text("* text=auto filter=bad working-tree-encoding=UTF-16\n")
    hook = folder / ".git/hooks/pre-commit"
    hook.write_text("#!/bin/sh\ntouch ran\n")
    hook.chmod(0o755)
    before = {p: p.read_bytes() for p in (folder / ".git").rglob("*") if p.is_file()}
    async with at_work(tmp_path, folder) as bench:

        def work() -> None:
            bench.write("a.txt", "two\r\n")
            bench.write("kept.log", "more\n")
            bench.write("new.log", "ignored\n")

        await bench.turn(work)
        assert "+two" in ((await bench.ask(FileCommand.DIFF)).diff or "")
        await bench.ask(FileCommand.UNDO)
        assert (bench.read("a.txt"), bench.read("kept.log")) == ("one\r\n", "kept\n")
        assert bench.read("new.log") == "ignored\n"
        (folder / ".gitattributes").unlink()
        bench.write("kept.log", "again\n")
        bench.write("new.txt", "x")
        said = await bench.ask(FileCommand.DIFF_UNCOMMITTED)
        assert "+again" in (said.diff or "")
        assert "Not known to Git (1): `new.txt`" in said.text
    assert {p: p.read_bytes() for p in (folder / ".git").rglob("*") if p.is_file()} == before
    assert not (folder / "ran").exists()


async def test_a_folder_inside_a_repository_and_repositories_inside_it(tmp_path: Path) -> None:
    top = tmp_path / "repo"
    folder = top / "sub"
    folder.mkdir(parents=True)
    git(top, "init", "-q")
    (top / ".gitignore").write_text("*.tmp\n")
    (top / "outside.txt").write_text("x")
    (folder / "nested").mkdir()
    git(folder / "nested", "init", "-q")
    async with at_work(tmp_path, folder) as bench:

        def work() -> None:
            bench.write("a.txt", "x\n")
            bench.write("a.tmp", "ignored")
            bench.write("nested/b.txt", "not looked into")
            (top / "outside.txt").write_text("y")

        await bench.turn(work)
        shown = await bench.ask(FileCommand.DIFF)
        assert "diff --git a/a.txt b/a.txt" in (shown.diff or "")
        assert "1 file" in shown.text
        assert "not looked into: `nested/`" in shown.text
        whole = await bench.ask(FileCommand.DIFF_THREAD)
        assert whole.diff == shown.diff
        await bench.ask(FileCommand.UNDO)
        assert bench.read("a.txt") is None
        assert (top / "outside.txt").read_text() == "y"


async def test_what_is_too_large_is_only_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "MAX_FILE", 10)
    async with at_work(tmp_path) as bench:
        bench.write("big", "x" * 20)
        await bench.turn(lambda: bench.write("big", "y" * 20))
        said = await bench.ask(FileCommand.UNDO)
        assert "`big`: it is too large to be kept" in said.text
        assert bench.read("big") == "y" * 20


async def test_without_snapshots_patches_are_shown_and_nothing_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "MAX_FILES", 1)
    async with at_work(tmp_path) as bench:
        bench.write("a", "")
        bench.write("b", "")
        with pytest.raises(WorkspaceError, match="more than 1 files"):
            await bench.ask(FileCommand.DIFF)
        await bench.of().turn_begins(TurnId("t"))
        bench.of().turn_ends(TurnId("t"), used_tools=True, patches="diff --git a/x b/x\n")
        shown = await bench.ask(FileCommand.DIFF)
        assert shown.diff == "diff --git a/x b/x\n"
        assert "What its commands changed is not known" in shown.text
        with pytest.raises(WorkspaceError, match="not kept here"):
            await bench.ask(FileCommand.UNDO)


async def test_without_git_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    workspaces = SharedWorkspaces(tmp_path / "work", tmp_path / "home", {"PATH": "/nonexistent"})
    with pytest.raises(WorkspaceError, match="git was not found on PATH"):
        await workspaces.of(A).carry_out(FileCommand.UNDO)
    await workspaces.close()


async def test_two_agents_of_one_name_do_not_share_what_they_keep(tmp_path: Path) -> None:
    async with at_work(tmp_path) as bench:
        await bench.ask(FileCommand.DIFF)
        second = SharedWorkspaces(bench.folder, bench.home, ENVIRONMENT)
        with pytest.raises(WorkspaceError, match="another agent of this name"):
            await second.of(A).carry_out(FileCommand.UNDO)
        await second.close()


async def test_all_or_nothing_when_the_disk_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with at_work(tmp_path) as bench:
        for name in ("a", "b"):
            bench.write(name, "old")

        def work() -> None:
            for name in ("a", "b"):
                bench.write(name, "new")

        await bench.turn(work)
        real = os.replace

        def full(source: str, target: str, **folders: int) -> None:
            if target == "b":
                raise OSError(28, "No space left on device")
            real(source, target, **folders)

        monkeypatch.setattr(os, "replace", full)
        with pytest.raises(WorkspaceError, match="b cannot be written: No space left"):
            await bench.ask(FileCommand.UNDO)
        assert (bench.read("a"), bench.read("b")) == ("new", "new")
        monkeypatch.setattr(os, "replace", real)
        await bench.ask(FileCommand.UNDO)
        assert (bench.read("a"), bench.read("b")) == ("old", "old")


async def test_an_undo_is_finished_even_if_nobody_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with at_work(tmp_path) as bench:
        await bench.turn(lambda: bench.write("a", "new"))
        begun, make = asyncio.Event(), FileCommands._make

        async def making(commands: FileCommands, wanted: Sequence[Change]) -> dict[str, str]:
            begun.set()
            return await make(commands, wanted)

        monkeypatch.setattr(FileCommands, "_make", making)
        asking = asyncio.create_task(bench.ask(FileCommand.UNDO))
        await begun.wait()
        asking.cancel()
        async with bench.workspaces._tracked.writing:
            assert bench.read("a") is None
        await bench.ask(FileCommand.REDO)
        assert bench.read("a") == "new"
