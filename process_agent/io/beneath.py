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


@contextlib.contextmanager
def _folder(root: Path, parts: tuple[str, ...]) -> Iterator[int]:
    """The folder at the end of a path, opened step by step."""
    current = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for number, part in enumerate(parts, 1):
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
