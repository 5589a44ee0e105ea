"""A Git work tree of its own for each thread, on a branch of its own, made with the thread's first turn."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from process_agent.core.ids import ThreadId, TurnId
from process_agent.core.workspace import FileAnswer, FileCommand, Workspace
from process_agent.errors import UsageError, WorkspaceError
from process_agent.io.private_places import resolved
from process_agent.io.tasks import Tasks
from process_agent.workspaces.answers import named
from process_agent.workspaces.commands import FileCommands
from process_agent.workspaces.git import Git, lines_of
from process_agent.workspaces.places import Place, Places, branch_name
from process_agent.workspaces.shared import tracked_folder
from process_agent.workspaces.tracked import TrackedFolder

logger = logging.getLogger(__name__)

CHECKOUT_SECONDS: Final = 110.0
"""How long it may take to write the files of a work tree."""

CLOSE_SECONDS: Final = 5.0
"""How long a stopping agent waits for work trees to be removed."""

_STATUS: Final = ("--porcelain", "-z", "--ignore-submodules=all", "--untracked-files=all")

SHARED_FIX: Final = "Name another folder with --working-dir, or choose --workspace shared."
_PLACE: Final = "Name a folder outside of it with --worktrees FOLDER."


@dataclass(frozen=True, slots=True)
class Repository:
    """Where work trees come from. `root` is the top of the user's work tree, or a bare repository; `below` is
    the way from there to the working folder.
    """

    root: Path
    below: str
    git: Git


class ThreadWorktrees:
    """Implements the port `Workspaces`: each thread works in a work tree of the repository at `folder`.

    Work trees are made in `beside`, or beside the repository in `REPOSITORY.threads`. (Not below the data
    folder, which commands cannot read, nor inside the repository, where its tools would find them.)
    """

    def __init__(
        self,
        folder: Path,
        home: Path,
        places: Places,
        environment: Mapping[str, str],
        beside: Path | None = None,
        private: Sequence[Path] = (),
    ) -> None:
        self._folder = folder
        self._home = home
        self._environment = environment
        self._beside = beside
        self._private = private
        self._repository: Repository | None = None
        self._workspaces: dict[ThreadId, ThreadWorktree] = {}
        self._tasks = Tasks("work trees")
        self.places = places
        self.making = asyncio.Lock()

    async def start(self) -> None:
        """See that work trees can be made of the folder. Raises `UsageError`."""
        git = Git(self._folder, self._environment, seconds=CHECKOUT_SECONDS)
        try:
            self._repository = await _repository(git)
        except WorkspaceError as error:
            raise UsageError(f"--workspace per-thread cannot be used: {error}.", fix=SHARED_FIX) from error
        self._check_place()

    def _check_place(self) -> None:
        root, beside = resolved(self.repository.root), resolved(self._place_of_trees())
        kept = next((place for place in map(resolved, self._private) if beside.is_relative_to(place)), None)
        if kept is not None:
            raise UsageError(
                f"Work trees cannot be made in {beside}: commands cannot read {kept}.", fix=_PLACE
            )
        if beside.is_relative_to(root):
            raise UsageError(
                f"Work trees cannot be made in {beside}: programs that look through the repository {root} "
                "would find the files of every thread.",
                fix=_PLACE,
            )

    def _place_of_trees(self) -> Path:
        root = self.repository.root
        return self._beside or root.with_name(f"{root.name}.threads")

    @property
    def repository(self) -> Repository:
        """Known once started."""
        if self._repository is None:
            raise RuntimeError("the work trees were not started")
        return self._repository

    def of(self, thread_id: ThreadId) -> Workspace:
        """The work tree of a thread, there or not."""
        if thread_id not in self._workspaces:
            self._workspaces[thread_id] = ThreadWorktree(thread_id, self)
        return self._workspaces[thread_id]

    def tracked(self, place: Place) -> TrackedFolder:
        """The files of a work tree, as they are looked after."""
        return tracked_folder(place.folder, self._home, self._environment)

    def planned(self, thread_id: ThreadId, title: str) -> Place:
        """Where a thread will work."""
        repository, branch = self.repository, branch_name(title, thread_id)
        tree = self._place_of_trees() / branch.rpartition("/")[2]
        return Place(thread_id, repository.root, tree, branch, "", repository.below)

    async def remove(self, thread_id: ThreadId) -> None:
        """Remove the thread's work tree and branch where nothing would be lost; else keep them and say so.
        What was begun is finished, also when the agent stops.
        """
        await asyncio.shield(self._tasks.start(self._remove(thread_id), "remove a work tree"))

    async def _remove(self, thread_id: ThreadId) -> None:
        workspace = self._workspaces.pop(thread_id, None)
        if workspace is not None:
            await workspace.close()
        place = self.places.of(thread_id, self.repository.root)
        if place is None:
            return
        async with self.making:
            try:
                kept = await self._removed(place)
            except WorkspaceError as error:
                kept = str(error)
        if kept is None:
            self.places.forget(place)
        else:
            logger.warning("the work tree %s of a deleted thread is kept: %s", place.tree, kept)

    async def _removed(self, place: Place) -> str | None:
        """Remove it, or say why it stays."""
        git, branch = self.repository.git, f"refs/heads/{place.branch}"
        if place.tree.is_dir() and (kept := await _unsaved(Git(place.tree, self._environment))):
            return kept
        exists = (await git.ask("rev-parse", "--verify", "--quiet", branch)).code == 0
        others = (f"--exclude={place.branch}", "--branches", "--remotes", "--tags", "HEAD")
        if exists and await git("rev-list", "--max-count=1", branch, "--not", *others):
            return f"its branch {place.branch} holds commits that are on no other branch"
        if place.tree.is_dir():
            await git("worktree", "remove", "--force", str(place.tree))  # looked at above, and with more care
        else:
            await git("worktree", "prune")
        if exists:
            await git("branch", "--quiet", "-D", place.branch)
        with contextlib.suppress(OSError):
            place.tree.parent.rmdir()
        return None

    async def close(self) -> None:
        """Finish removing, and stop taking snapshots. Idempotent."""
        if len(self._tasks):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._tasks.wait()
        await self._tasks.close()
        for workspace in self._workspaces.values():
            await workspace.close()


class ThreadWorktree:
    """Implements the port `Workspace`."""

    def __init__(self, thread_id: ThreadId, owner: ThreadWorktrees) -> None:
        self._thread_id = thread_id
        self._owner = owner
        self._tracked: TrackedFolder | None = None

    @property
    def folder(self) -> Path:
        """Where commands run."""
        if self._tracked is None:
            raise RuntimeError("the work tree was not prepared")
        return self._tracked.snapshots.folder

    async def prepare(self, title: str) -> str | None:
        """Make the work tree with the first turn, and again should it be gone."""
        if self._tracked is not None and self._tracked.snapshots.folder.is_dir():
            return None
        owner = self._owner
        async with owner.making:
            place = owner.places.of(self._thread_id, owner.repository.root)
            said = None
            if place is None:
                place, said = await _made(owner.repository, owner.planned(self._thread_id, title))
            elif not place.folder.is_dir():
                said = await _made_again(owner.repository, place)
            if said is not None:
                owner.places.keep(place)
        if self._tracked is None:
            self._tracked = owner.tracked(place)
            self._tracked.start()
        return said

    async def turn_begins(self, turn_id: TurnId) -> None:
        """See the port."""
        if self._tracked is not None:
            await self._tracked.turn_begins(self._thread_id, turn_id)

    def turn_ends(self, turn_id: TurnId, *, used_tools: bool, patches: str | None = None) -> None:
        """See the port."""
        if self._tracked is not None:
            self._tracked.turn_ends(turn_id, used_tools=used_tools, patches=patches)

    async def carry_out(self, command: FileCommand) -> FileAnswer:
        """See the port. Before the first turn there is nothing to look at."""
        if self._tracked is None:
            place = self._owner.places.of(self._thread_id, self._owner.repository.root)
            if place is None or not place.folder.is_dir():
                raise WorkspaceError("This thread has no work tree yet; its first turn makes one.")
            self._tracked = self._owner.tracked(place)
        return await FileCommands(self._thread_id, self._tracked).carry_out(command)

    async def close(self) -> None:
        """Stop taking snapshots. Idempotent."""
        if self._tracked is not None:
            await self._tracked.close()


# --- Git -----------------------------------------------------------------------------------------


async def _repository(git: Git) -> Repository:
    """The repository at a folder. Raises `WorkspaceError` with half a sentence."""
    asked = await git.ask("rev-parse", "--is-bare-repository", "--show-prefix")
    if asked.code != 0:
        raise WorkspaceError(f"{git.folder} is in no Git repository")
    bare, below, *_ = asked.output.decode("utf-8", "surrogateescape").split("\n")
    root = git.folder
    if bare != "true":
        top = await git("rev-parse", "--show-toplevel")
        root = Path(top.decode("utf-8", "surrogateescape").rstrip("\n"))
    if (await git.ask("rev-parse", "--verify", "--quiet", "HEAD")).code != 0:
        raise WorkspaceError(f"nothing was committed in {root} yet")
    below = below.strip("/")
    if below and (await git.ask("cat-file", "-e", f"HEAD:{below}")).code != 0:
        raise WorkspaceError(f"{git.folder} is not part of the last commit of {root}")
    return Repository(root, below, replace(git, folder=root))


async def _made(repository: Repository, place: Place) -> tuple[Place, str]:
    """Make a work tree; returns what to say. Raises `WorkspaceError`."""
    git = repository.git
    base = (await git("rev-parse", "HEAD")).decode().strip()
    place = replace(place, base=base)
    try:
        place.tree.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise WorkspaceError(
            f"The thread's work tree cannot be made: {place.tree.parent} cannot be written ({reason}).",
            fix="Let the agent make it elsewhere with --worktrees FOLDER.",
        ) from error
    there = (await git.ask("rev-parse", "--verify", "--quiet", f"refs/heads/{place.branch}")).code == 0
    branch = [str(place.tree), place.branch] if there else ["-b", place.branch, str(place.tree), base]
    try:
        await git("worktree", "add", "--quiet", *branch)
    except WorkspaceError as error:
        raise WorkspaceError(f"The thread's work tree cannot be made: {error}.") from error
    return place, "\n\n".join([await _introduction(repository, place), *await _missing(repository, place)])


async def _unsaved(there: Git) -> str | None:
    """Why a work tree cannot go without loss. Repositories in it are not asked: a command may have made them,
    and what their settings name would run outside its sandbox.
    """
    if await there("status", *_STATUS):
        return "it holds changes that were not committed"
    tracked = lines_of(await there("ls-files", "--stage", "-z"))
    modules = [entry.partition("\t")[2] for entry in tracked if entry.startswith("160000 ")]
    if any((there.folder / path).is_dir() and any((there.folder / path).iterdir()) for path in modules):
        return "its submodules hold files"
    return None


async def _introduction(repository: Repository, place: Place) -> str:
    on = (await repository.git.ask("symbolic-ref", "--short", "--quiet", "HEAD")).output.decode().strip()
    of = f" of `{on}`" if on else ""
    return (
        f"This thread works in {named(str(place.folder))}, on the branch `{place.branch}`, made from "
        f"`{place.base[:10]}`{of}."
    )


async def _missing(repository: Repository, place: Place) -> list[str]:
    """What somebody might expect in the work tree in vain."""
    missing = []
    if (place.tree / ".gitmodules").is_file():
        missing.append("Its submodules are not checked out there: `git submodule update --init` does that.")
    status = await repository.git.ask("status", *_STATUS)
    changed = len(lines_of(status.output)) if status.code == 0 else 0
    if changed:
        what = "1 file that is" if changed == 1 else f"{changed:,} files that are"
        missing.append(f"Without {what} not committed in {named(str(repository.root))}.")
    return missing


async def _made_again(repository: Repository, place: Place) -> str:
    """The work tree of a thread that somebody removed. Raises `WorkspaceError`."""
    git = repository.git
    await git.ask("worktree", "prune")
    there = (await git.ask("rev-parse", "--verify", "--quiet", f"refs/heads/{place.branch}")).code == 0
    branch = [str(place.tree), place.branch] if there else ["-b", place.branch, str(place.tree), place.base]
    try:
        await git("worktree", "add", "--quiet", *branch)
    except WorkspaceError as error:
        raise WorkspaceError(f"The thread's work tree {place.tree} is gone: {error}.") from error
    kept = "as its branch has it" if there else f"from `{place.base[:10]}`, for its branch is gone too"
    return (
        f"The work tree of this thread was gone. It was made again in {named(str(place.folder))}, {kept}; "
        "what was not committed there is lost."
    )
