"""A work tree for each thread, with the real git."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from process_agent.agent.assemble import AgentConfig, create_workspaces
from process_agent.core.backend import BackendConfig
from process_agent.core.ids import ThreadId, TurnId
from process_agent.core.workspace import FileCommand, Workspace
from process_agent.errors import UsageError, WorkspaceError
from process_agent.workspaces.places import Places, branch_name
from process_agent.workspaces.worktrees import ThreadWorktrees

A, B = ThreadId("dataset://a"), ThreadId("dataset://b")
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}


def git(folder: Path, *arguments: str) -> str:
    own = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always")
    done = subprocess.run(["git", *own, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def repository(folder: Path) -> Path:
    """A repository with one commit."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "a.txt").write_text("one\n")
    (folder / "sub").mkdir()
    (folder / "sub/b.txt").write_text("b\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return folder


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return repository(tmp_path / "repo")


@asynccontextmanager
async def worktrees(folder: Path, base: Path, beside: Path | None = None) -> AsyncIterator[ThreadWorktrees]:
    made = ThreadWorktrees(folder, base / "home", Places(base / "places"), ENVIRONMENT, beside)
    await made.start()
    try:
        yield made
    finally:
        await made.close()


async def turn(workspace: Workspace, name: str, work: dict[str, str]) -> str | None:
    said = await workspace.prepare("Fix the Löwen test!")
    await workspace.turn_begins(TurnId(name))
    await workspace.carry_out(FileCommand.DIFF)  # its model thinks
    for path, text in work.items():
        (workspace.folder / path).write_text(text)
    workspace.turn_ends(TurnId(name), used_tools=True)
    return said


async def test_two_threads_change_the_same_file_without_disturbing_one_another(
    repo: Path, tmp_path: Path
) -> None:
    (repo / "new.txt").write_text("not committed")
    async with worktrees(repo, tmp_path) as made:
        said = await turn(made.of(A), "t1", {"a.txt": "of a\n"})
        assert said is not None
        name = branch_name("Fix the Löwen test!", A)
        assert name.startswith("process/fix-the-lowen-test-")
        assert f"on the branch `{name}`" in said
        assert "of `main`" in said
        assert "Without 1 file that is not committed" in said
        assert await turn(made.of(B), "t2", {"a.txt": "of b\n"}) is not None
        assert await turn(made.of(A), "t3", {"a.txt": "of a again\n"}) is None
        assert "+of b" in ((await made.of(B).carry_out(FileCommand.DIFF)).diff or "")
        await made.of(A).carry_out(FileCommand.UNDO)
        assert (made.of(A).folder / "a.txt").read_text() == "of a\n"
        assert (made.of(B).folder / "a.txt").read_text() == "of b\n"
        assert (repo / "a.txt").read_text() == "one\n"
        assert made.of(A).folder.parent == tmp_path / "repo.threads"
        folder = made.of(A).folder
        place = made.places.of(A)
        assert place is not None
        assert (place.folder, place.branch, place.repository) == (folder, name, repo)
    async with worktrees(repo, tmp_path) as again:
        assert await again.of(A).prepare("whatever it is called now") is None
        assert again.of(A).folder == folder
        await again.of(A).carry_out(FileCommand.UNDO)
        assert (folder / "a.txt").read_text() == "one\n"
        with pytest.raises(WorkspaceError, match="no work tree yet"):
            await again.of(ThreadId("new")).carry_out(FileCommand.DIFF)


async def test_a_work_tree_goes_with_its_thread_when_nothing_is_lost(
    repo: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with worktrees(repo, tmp_path) as made:
        await made.of(A).prepare("A")
        tree = made.of(A).folder
        (tree / "a.txt").write_text("work\n")
        with caplog.at_level(logging.WARNING):
            await made.remove(A)
        assert "changes that were not committed" in caplog.text
        git(tree, "commit", "-qam", "work")
        await made.remove(A)
        assert "commits that are on no other branch" in caplog.text
        assert tree.is_dir()
        git(repo, "merge", "-q", git(tree, "branch", "--show-current"))
        await made.remove(A)
        assert not tree.exists()
        assert not tree.parent.exists()
        assert git(repo, "branch", "--list", "process/*") == ""
        assert made.places.of(A) is None
        await made.remove(B)  # one that never had a turn


async def test_repositories_that_commands_made_are_not_asked_when_a_thread_goes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    library = repository(tmp_path / "library")
    repo = repository(tmp_path / "repo")
    git(repo, "submodule", "--quiet", "add", str(library), "library")
    git(repo, "commit", "-qm", "with a submodule")
    async with worktrees(repo, tmp_path) as made:
        said = await made.of(A).prepare("A")
        assert "submodules are not checked out" in (said or "")
        nested = made.of(A).folder / "library"
        git(nested, "init", "-q")
        git(nested, "config", "core.fsmonitor", f"touch {tmp_path}/ran")
        with caplog.at_level(logging.WARNING):
            await made.remove(A)
        assert "its submodules hold files" in caplog.text
        assert nested.is_dir()
    assert not (tmp_path / "ran").exists()


async def test_a_folder_inside_a_repository(repo: Path, tmp_path: Path) -> None:
    async with worktrees(repo / "sub", tmp_path) as made:
        await turn(made.of(A), "t1", {"b.txt": "changed\n"})
        assert made.of(A).folder.name == "sub"
        assert "--- a/b.txt" in ((await made.of(A).carry_out(FileCommand.DIFF)).diff or "")
        await made.of(A).carry_out(FileCommand.UNDO)
        assert (made.of(A).folder / "b.txt").read_text() == "b\n"
    (repo / "fresh").mkdir()
    with pytest.raises(UsageError, match="not part of the last commit"):
        async with worktrees(repo / "fresh", tmp_path):
            pass


async def test_a_bare_repository(repo: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(repo), "bare.git")
    async with worktrees(tmp_path / "bare.git", tmp_path) as made:
        await made.of(A).prepare("A")
        assert (made.of(A).folder / "a.txt").read_text() == "one\n"
        assert made.of(A).folder.parent == tmp_path / "bare.git.threads"


async def test_a_sparse_repository_stays_sparse(repo: Path, tmp_path: Path) -> None:
    git(repo, "sparse-checkout", "set", "--no-cone", "/a.txt")
    async with worktrees(repo, tmp_path) as made:
        await made.of(A).prepare("A")
        assert sorted(path.name for path in made.of(A).folder.iterdir()) == [".git", "a.txt"]


async def test_where_no_work_tree_can_be_made(tmp_path: Path, repo: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    with pytest.raises(UsageError, match="is in no Git repository"):
        async with worktrees(plain, tmp_path):
            pass
    git(plain, "init", "-q")
    with pytest.raises(UsageError, match="nothing was committed"):
        async with worktrees(plain, tmp_path):
            pass
    (tmp_path / "file").write_text("")
    async with worktrees(repo, tmp_path, tmp_path / "file") as made:
        with pytest.raises(WorkspaceError, match="--worktrees FOLDER"):
            await made.of(A).prepare("A")


@pytest.mark.parametrize(
    ("beside", "said"),
    [
        ("data", "commands cannot read .*/data"),
        ("data/below/it", "commands cannot read .*/data"),
        ("link/below", "commands cannot read .*/data"),
        ("home/.ssh", "commands cannot read .*/.ssh"),
        ("repo/trees", "would find the files of every thread"),
        ("link-to-repo/.git/trees", "would find the files of every thread"),
    ],
)
async def test_where_work_trees_are_refused(repo: Path, tmp_path: Path, beside: str, said: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to("data")
    (tmp_path / "link-to-repo").symlink_to("repo")
    environment = {**ENVIRONMENT, "HOME": str(tmp_path / "home")}
    backend = BackendConfig("bot", repo, tmp_path / "data", environment=environment)
    config = AgentConfig("bot", backend, (), workspace="per-thread", worktrees=tmp_path / beside)
    with pytest.raises(UsageError, match=said):
        await create_workspaces(config).start()
    assert [*(tmp_path / "data").iterdir()] == []
    await create_workspaces(replace(config, worktrees=tmp_path / "data-trees")).start()


async def test_a_work_tree_that_somebody_removed_is_made_again(repo: Path, tmp_path: Path) -> None:
    async with worktrees(repo, tmp_path) as made:
        await made.of(A).prepare("A")
        tree = made.of(A).folder
        (tree / "a.txt").write_text("committed\n")
        git(tree, "commit", "-qam", "work")
        shutil.rmtree(tree)
        said = await made.of(A).prepare("A")
        assert "was gone. It was made again" in (said or "")
        assert (tree / "a.txt").read_text() == "committed\n"
        shutil.rmtree(tree)
        git(repo, "worktree", "prune")
        git(repo, "branch", "-D", git(repo, "branch", "--list", "process/*"))
        assert "its branch is gone too" in (await made.of(A).prepare("A") or "")
        assert (tree / "a.txt").read_text() == "one\n"


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Fix it, please!", "fix-it-please"),
        ("日本", "thread"),
        ("../../x", "x"),
        ("-" * 80 + "a" * 80, "a" * 40),
    ],
)
def test_branches_have_readable_names(title: str, slug: str) -> None:
    name = branch_name(title, A)
    assert name.rpartition("-")[0] == f"process/{slug}"
    assert branch_name(title, B) != name
