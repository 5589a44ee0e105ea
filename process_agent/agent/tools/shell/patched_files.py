"""The files of a patch: found, worked out, shown as a diff, written. Blocking; call it in a thread."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from process_agent.core.content import Json, TextResult
from process_agent.core.tools import ToolOutput
from process_agent.errors import ToolFailedError, WorkspaceError
from process_agent.io.beneath import read_beneath
from process_agent.wire.patch_format import (
    AddFile,
    DeleteFile,
    FileStep,
    Line,
    PatchError,
    UpdateFile,
    hunks,
    new_text,
    split_lines,
    update_lines,
)
from process_agent.workspaces.changes import PLAIN, Change, Entry
from process_agent.workspaces.files import Folder, blob_of

MAX_FILE: Final = 4 * 1024 * 1024
"""Bytes of a file that is patched."""

MAX_BYTES: Final = 64 * 1024 * 1024
"""Bytes of all files of one patch, as they were."""


@dataclass(frozen=True, slots=True)
class Target:
    """A file as it will be opened: `path` below `root`, no step of which is a link. `named` is what the patch
    calls it.
    """

    root: Path
    path: str
    named: str

    @property
    def whole(self) -> Path:
        """Its absolute path."""
        return self.root / self.path


@dataclass(slots=True)
class PatchedFile:
    """What a step does to one file, worked out."""

    target: Target
    kind: str
    diff: str
    before: bytes | None
    after: bytes | None
    move: tuple[Target, bytes | None] | None = None
    """Where the file goes, and what is there now."""

    def changes(self) -> Iterable[tuple[Target, Change, bytes | None]]:
        """The changes to make, each with the content to write."""
        if self.move is None:
            yield self.target, _change(self.target, self.before, self.after), self.after
            return
        target, there = self.move
        yield self.target, _change(self.target, self.before, None), None
        yield target, _change(target, there, self.after), self.after


def find_targets(steps: Sequence[FileStep], folder: Path) -> dict[str, Target]:
    """The files that a patch names, by name. Raises `ToolFailedError`."""
    top = folder.resolve()
    found = {}
    for step in steps:
        for name in (step.path, step.move_to if isinstance(step, UpdateFile) else None):
            if name is not None:
                found[name] = _target(name, top)
    return found


def _target(name: str, top: Path) -> Target:
    try:
        whole = Path(os.path.realpath(top / name))
    except (OSError, ValueError) as error:
        raise ToolFailedError(f"{name[:200]!r} is no path of a file.") from error
    if whole == top or whole.is_dir():
        raise ToolFailedError(f"{name[:200]} is a folder.")
    root = top
    if not whole.is_relative_to(top):  # the nearest folder there is: those above it stay as they are
        root = next(parent for parent in whole.parents if parent.is_dir())
    return Target(root, whole.relative_to(root).as_posix(), name)


def work_out(steps: Sequence[FileStep], targets: Mapping[str, Target]) -> list[PatchedFile]:
    """What the patch does to each file. Raises `ToolFailedError` where it does not fit."""
    work = _Work(targets)
    for step in steps:
        try:
            work.do(step)
        except PatchError as error:
            raise ToolFailedError(str(error)) from error
    return work.files


@dataclass(slots=True)
class _Work:
    targets: Mapping[str, Target]
    files: list[PatchedFile] = field(default_factory=list)
    _named: set[Path] = field(default_factory=set)
    _bytes: int = 0

    def do(self, step: FileStep) -> None:
        target = self._once(step.path)
        before = _read(target)
        self._bytes += len(before or b"")
        if self._bytes > MAX_BYTES:
            raise PatchError("The files of this patch are too large together; make it several.")
        match step:
            case AddFile(_, content):
                after = content.encode()
                kind = "add" if before is None else "update"
                old = None if before is None else _decoded(before, target)
                self.files.append(PatchedFile(target, kind, _whole(target, old, content), before, after))
            case DeleteFile():
                if before is None:
                    raise PatchError(f"There is no file {step.path}.")
                diff = _whole(target, _decoded(before, target, lenient=True), None)
                self.files.append(PatchedFile(target, "delete", diff, before, None))
            case UpdateFile():
                self._update(step, target, before)

    def _update(self, step: UpdateFile, target: Target, before: bytes | None) -> None:
        if before is None:
            raise PatchError(f"There is no file {step.path}; add it with '*** Add File: '.")
        old = _decoded(before, target)
        windows = "\r\n" in old and "\n" not in old.replace("\r\n", "")
        if windows:
            old = old.replace("\r\n", "\n")
        lines = update_lines(old, step)
        text = new_text(lines)
        after = (text.replace("\n", "\r\n") if windows else text).encode()
        body = hunks(lines, ended=not old or old.endswith("\n"))
        if step.move_to is None:
            diff = f"{_head(target, target)}--- a/{_name(target)}\n+++ b/{_name(target)}\n{body}"
            self.files.append(PatchedFile(target, "update", diff, before, after))
            return
        goal = self._once(step.move_to)
        names = f"--- a/{_name(target)}\n+++ b/{_name(goal)}\n" if body else ""
        renamed = f"rename from {_name(target)}\nrename to {_name(goal)}\n"
        diff = f"{_head(target, goal)}{renamed}{names}{body}"
        self.files.append(PatchedFile(target, "move", diff, before, after, (goal, _read(goal))))

    def _once(self, name: str) -> Target:
        target = self.targets[name]
        if target.whole in self._named:
            raise PatchError(f"The patch names {name} twice; put its changes together.")
        self._named.add(target.whole)
        return target


def _read(target: Target) -> bytes | None:
    if not os.path.lexists(target.whole):
        return None
    return read_beneath(target.root, PurePosixPath(target.path), MAX_FILE)


def _decoded(data: bytes, target: Target, *, lenient: bool = False) -> str:
    try:
        return data.decode(errors="replace" if lenient else "strict")
    except UnicodeDecodeError as error:
        raise PatchError(f"{target.named} is no text in UTF-8; change it with a command.") from error


def make(files: Sequence[PatchedFile]) -> ToolOutput:
    """Make the changes, those of one folder all or none. Raises `ToolFailedError`."""
    by_root: dict[Path, list[Change]] = {}
    content: dict[str, bytes] = {}
    for file in files:
        mode = _mode(file.target)
        for target, change, data in file.changes():
            by_root.setdefault(target.root, []).append(_checked(target, change, mode))
            if data is not None:
                content[blob_of(data)] = data
    for root, wanted in by_root.items():
        try:
            Folder(root, anywhere=True).make(wanted, content.__getitem__)
        except WorkspaceError as error:
            raise ToolFailedError(str(error)) from error
    named = ", ".join(_name(file.target) for file in files)
    letters = {"add": "A", "delete": "D"}
    lines = [f"{letters.get(file.kind, 'M')} {_name(_end(file))}" for file in files]
    told = "\n".join(["Success. Updated the following files:", *lines])
    return ToolOutput(TextResult(f"Changed {named}."), text=told)


def _mode(target: Target) -> int:
    """The mode of a file: a script stays one, also under another name."""
    now = Folder(target.root).state(target.path)
    return now.mode if isinstance(now, Entry) else PLAIN


def _checked(target: Target, change: Change, mode: int) -> Change:
    """The change as it is to be made now. Raises `ToolFailedError` when the file is not as it was."""
    now = Folder(target.root).state(target.path)
    same = now is None if change.before is None else isinstance(now, Entry) and now.blob == change.before.blob
    if not same:
        raise ToolFailedError(
            f"{target.named} changed in the meantime: read it again and write another patch."
        )
    after = None if change.after is None else Entry(mode, change.after.blob)
    return Change(change.path, now if isinstance(now, Entry) else None, after)


def _change(target: Target, before: bytes | None, after: bytes | None) -> Change:
    return Change(target.path, _entry(before), _entry(after))


def _entry(content: bytes | None) -> Entry | None:
    return None if content is None else Entry(PLAIN, blob_of(content))


def _end(file: PatchedFile) -> Target:
    return file.target if file.move is None else file.move[0]


def _name(target: Target) -> str:
    """As people read it: paths of other folders stay absolute, so that nobody takes them for the folder's."""
    return target.named if os.path.isabs(target.named) else os.path.normpath(target.named)


def _head(old: Target, new: Target) -> str:
    return f"diff --git a/{_name(old)} b/{_name(new)}\n"


def _whole(target: Target, old: str | None, new: str | None) -> str:
    """The diff of a file that is added, replaced or deleted."""
    before, after = split_lines(old or ""), split_lines(new or "")
    lines: list[Line] = [("-", line) for line in before]
    lines += [("+", line) for line in after]
    body = hunks(lines, ended=not old or old.endswith("\n"))
    name, mode = _name(target), ""
    if old is None:
        mode = "new file mode 100644\n"
    elif new is None:
        mode = "deleted file mode 100644\n"
    from_, to = "/dev/null" if old is None else f"a/{name}", "/dev/null" if new is None else f"b/{name}"
    return f"{_head(target, target)}{mode}" + (f"--- {from_}\n+++ {to}\n{body}" if body else "")


def view(files: Sequence[PatchedFile]) -> Mapping[str, Json]:
    """The patch as people see one of Codex's."""
    changes: list[Json] = []
    for file in files:
        change: dict[str, Json] = {"path": str(file.target.whole), "kind": file.kind, "diff": file.diff}
        if file.move is not None:
            change["move_path"] = str(file.move[0].whole)
        changes.append(change)
    return {"patch": "".join(file.diff for file in files), "changes": changes}
