"""Files beneath a folder that others may fill with tricks: no step of a path follows a symbolic link.

Commands in a sandbox can put links anywhere in the folder they work in, at any moment. Each step is opened
from the one before, so that nothing checked can be exchanged afterwards. Blocking; call it in a thread.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from process_agent.errors import ToolFailedError

MAX_SAME_NAME = 1_000
"""Files of one name in one folder."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def read_beneath(root: Path, path: PurePosixPath, limit: int) -> bytes:
    """A whole file by its path below `root`. Raises `ToolFailedError` when it is no plain file there, goes
    through a link, or has more than `limit` bytes.
    """
    with _folder(root, path.parts[:-1]) as folder:
        try:
            file = os.open(
                path.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder
            )
        except OSError as error:
            raise _refused(path, error) from error
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise ToolFailedError(f"{path} is not a file.")
    with open(file, "rb") as opened:
        data = opened.read(limit + 1)
    if len(data) > limit:
        raise ToolFailedError(f"{path} has more than {limit} bytes.")
    return data


def keep_beneath(root: Path, path: PurePosixPath, data: bytes) -> PurePosixPath:
    """Write a new file below `root`, whose folders are made, and return its path: that of a file with the
    same content if one is there, else one with a number in its name where the name is taken. Nothing is
    written over, and no link followed. Raises `OSError`, and `ToolFailedError` where something is in the way.
    """
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    stem, dot, suffix = path.name.rpartition(".")
    with _folder(root, path.parts[:-1], make=True) as folder:
        for number in range(1, MAX_SAME_NAME):
            name = path.name
            if number > 1:
                name = f"{stem}-{number}.{suffix}" if dot and stem else f"{name}-{number}"
            if _kept(folder, name, data):
                return path.with_name(name)
    raise ToolFailedError(f"There are {MAX_SAME_NAME} files called {path.name} already.")


def _kept(folder: int, name: str, data: bytes) -> bool:
    """Whether the data is in a file of this name now. False when something else is."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        file = os.open(name, flags, 0o600, dir_fd=folder)
    except FileExistsError:
        return _same(folder, name, data)
    try:
        with open(file, "wb") as opened:
            opened.write(data)
    except OSError:
        os.unlink(name, dir_fd=folder)
        raise
    return True


def _same(folder: int, name: str, data: bytes) -> bool:
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return False
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_size != len(data):
            return False
        os.utime(file)  # it is in use again
        with open(file, "rb", closefd=False) as opened:
            return opened.read(len(data) + 1) == data
    finally:
        os.close(file)


@contextlib.contextmanager
def _folder(root: Path, parts: tuple[str, ...], *, make: bool = False) -> Iterator[int]:
    """The folder at the end of a path, opened step by step, and made where it is missing if so wished."""
    current = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for number, part in enumerate(parts, 1):
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, 0o700, dir_fd=current)
            try:
                below = os.open(part, _FOLDER, dir_fd=current)
            except OSError as error:
                raise _refused(PurePosixPath(*parts[:number]), error) from error
            os.close(current)
            current = below
        yield current
    finally:
        os.close(current)


def _refused(path: PurePosixPath, error: OSError) -> ToolFailedError:
    if isinstance(error, FileNotFoundError):
        return ToolFailedError(f"There is no {path}.")
    if isinstance(error, PermissionError):
        return ToolFailedError(f"{path} cannot be read: {error.strerror}.")
    return ToolFailedError(f"{path} is a link, or not what its name says; links are not followed.")
