"""Reads and changes files below one folder, never through a link and never outside.

Every folder on the way is opened by itself, refusing links, and work goes on from there: a folder that
somebody replaces by a link at the wrong moment leads nowhere.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from process_agent.errors import WorkspaceError
from process_agent.workspaces.changes import EXECUTABLE, LINK, PLAIN, Change, Entry, Odd, State, inside

type ReadBlob = Callable[[str], bytes]
"""Content by its hash."""

_CHUNK: Final = 1 << 20
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NOT_A_FOLDER: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


class Folder:
    """The files of a workspace. `modes` are permissions that files had which are put back; `anywhere` when
    files that belong to a repository itself may be changed too.
    """

    def __init__(self, root: Path, modes: Mapping[str, int] | None = None, *, anywhere: bool = False) -> None:
        self._root = root
        self._modes = modes or {}
        self._anywhere = anywhere

    def state(self, path: str) -> State:
        """What is at a path now. A folder is no file: nothing is there, and `obstacle` sees what it holds."""
        with contextlib.ExitStack() as leaving:
            folder = self._parent(leaving, path)
            if folder is None:
                return None
            return _state(folder, path.rpartition("/")[2])

    def obstacle(self, change: Change, going: frozenset[str]) -> str | None:
        """What is in the way of a file that is to be written, when the files `going` are removed first: a
        folder with other files where the file should be, or a file where its folder should be.
        """
        if change.after is None:
            return None
        parts = change.path.split("/")
        for end in range(1, len(parts)):
            above = "/".join(parts[:end])
            if self.state(above) is not None and not self._is_folder(above) and above not in going:
                return above
        if self._is_folder(change.path):
            return next((p for p in self._files_below(change.path) if p not in going), None)
        return None

    def make(self, changes: Sequence[Change], read: ReadBlob) -> None:
        """Make all of these changes, or none.

        Raises `WorkspaceError` when one cannot be made, after those before it were taken back.
        """
        ordered = [c for c in changes if c.after is None] + [c for c in changes if c.after is not None]
        done: list[Change] = []
        try:
            for change in ordered:
                self._make(change, read)
                done.append(change)
        except OSError as error:
            failed = change.path
            self._take_back(done, read, failed, error)
            raise WorkspaceError(f"{failed} cannot be written: {error.strerror or error}.") from error

    def _take_back(self, done: list[Change], read: ReadBlob, failed: str, cause: OSError) -> None:
        left: list[str] = []
        for change in [c for c in done if c.before is None] + [c for c in done if c.before is not None]:
            try:
                self._make(change.inverted, read)
            except OSError:
                left.append(change.path)
        if left:
            raise WorkspaceError(
                f"{failed} cannot be written: {cause.strerror or cause}. Changed already, and not put "
                f"back: {', '.join(left)}."
            ) from cause

    def _make(self, change: Change, read: ReadBlob) -> None:
        if not inside(change.path, anywhere=self._anywhere):
            raise PermissionError(errno.EPERM, "this path is not in the workspace")
        name = change.path.rpartition("/")[2]
        with contextlib.ExitStack() as leaving:
            if change.after is None:
                folder = self._parent(leaving, change.path)
                if folder is not None:
                    os.unlink(name, dir_fd=folder)
                self._remove_empty_above(change.path)
                return
            self._remove_empty(change.path)
            folder = self._parent(leaving, change.path, create=True)
            if folder is None:
                raise NotADirectoryError(errno.ENOTDIR, "a file is where its folder should be")
            _write(folder, name, change.after, read(change.after.blob), self._modes.get(change.path))

    # --- Folders ---------------------------------------------------------------------------------

    def _parent(self, leaving: contextlib.ExitStack, path: str, *, create: bool = False) -> int | None:
        """The open folder that a path is in; None when it is not there, or is no folder."""
        here = os.open(self._root, _FOLDER & ~os.O_NOFOLLOW)
        leaving.callback(os.close, here)
        for part in path.split("/")[:-1]:
            try:
                if create:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, dir_fd=here)
                here = os.open(part, _FOLDER, dir_fd=here)
            except OSError as error:
                if error.errno in _NOT_A_FOLDER:
                    return None
                raise
            leaving.callback(os.close, here)
        return here

    def _is_folder(self, path: str) -> bool:
        with contextlib.ExitStack() as leaving:
            return self._parent(leaving, f"{path}/x") is not None

    def _files_below(self, path: str) -> Iterator[str]:
        with contextlib.ExitStack() as leaving:
            folder = self._parent(leaving, f"{path}/x")
            if folder is None:
                return
            for name in os.listdir(folder):
                below = f"{path}/{name}"
                kind = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
                if stat.S_ISDIR(kind):
                    yield from self._files_below(below)
                else:
                    yield below

    def _remove_empty(self, path: str) -> None:
        """Remove the folder at a path with the empty folders below it; one that holds a file stays."""
        with contextlib.ExitStack() as leaving:
            folder = self._parent(leaving, f"{path}/x")
            if folder is None:
                return
            for name in os.listdir(folder):
                self._remove_empty(f"{path}/{name}")
            parent = self._parent(leaving, path)
            if parent is not None:
                with contextlib.suppress(OSError):
                    os.rmdir(path.rpartition("/")[2], dir_fd=parent)

    def _remove_empty_above(self, path: str) -> None:
        """A folder whose last file went goes too."""
        while "/" in path:
            path = path.rpartition("/")[0]
            with contextlib.ExitStack() as leaving:
                parent = self._parent(leaving, path)
                if parent is None:
                    continue
                try:
                    os.rmdir(path.rpartition("/")[2], dir_fd=parent)
                except OSError:
                    return


def _state(folder: int, name: str) -> State:
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISLNK(found.st_mode):
            target = os.fsencode(os.readlink(name, dir_fd=folder))
            return Entry(LINK, blob_of(target))
        if not stat.S_ISREG(found.st_mode):
            return None if stat.S_ISDIR(found.st_mode) else Odd.ODD
        with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        return Entry(EXECUTABLE if found.st_mode & stat.S_IXUSR else PLAIN, digest.hexdigest())
    except FileNotFoundError:
        return None
    except OSError:
        return Odd.ODD


def blob_of(content: bytes) -> str:
    """The name Git gives this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _write(folder: int, name: str, entry: Entry, content: bytes, mode: int | None) -> None:
    """Put a file or a link in its place in one step, so that nobody sees half of it."""
    beside = f".process-{secrets.token_hex(8)}"
    try:
        if entry.mode == LINK:
            os.symlink(os.fsdecode(content), beside, dir_fd=folder)
        else:
            _write_file(folder, name, beside, entry, content, mode)
        os.replace(beside, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside, dir_fd=folder)
        raise


def _write_file(folder: int, name: str, beside: str, entry: Entry, content: bytes, mode: int | None) -> None:
    runs = entry.mode == EXECUTABLE
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(beside, flags, 0o777 if runs else 0o666, dir_fd=folder)
    with open(handle, "wb") as file:
        wanted = mode if mode is not None else _permissions(folder, name)
        if wanted is not None:
            wanted &= 0o777
            os.fchmod(file.fileno(), (wanted | (wanted & 0o444) >> 2) if runs else wanted & ~0o111)
        file.write(content)


def _permissions(folder: int, name: str) -> int | None:
    """Those of the file that is replaced."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return stat.S_IMODE(found.st_mode) if stat.S_ISREG(found.st_mode) else None
