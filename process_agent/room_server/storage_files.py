"""Files of one room on disk, blocking. Every path that comes in is checked; nothing follows a symbolic link.

<root>/files/      the files, under the names people gave them
<root>/incoming/   uploads that are not finished; emptied at the start
"""

from __future__ import annotations

import contextlib
import errno
import mimetypes
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from process_agent.room_server.toolkit import ToolError

NOT_THERE: Final = 3001
RECURSIVE_REQUIRED: Final = 3002
BAD_PATH: Final = 3004
THERE_ALREADY: Final = 3005

MAX_PATH: Final = 1_024
MAX_NAME: Final = 255
"""Bytes of a whole path and of one name in it."""

MAX_ENTRIES: Final = 10_000
"""Entries of one listing."""

_MIME_ATTRIBUTE: Final = "user.process.mime_type"
_UNKNOWN_MIME: Final = "application/octet-stream"


def clean_path(raw: object) -> str:
    """A path relative to the files folder, `/` between its parts, empty for the folder itself.

    Raises `ToolError` 3004 for anything that could lead outside or confuse a reader.
    """
    if not isinstance(raw, str):
        raise ToolError("path must be a string", code=BAD_PATH)
    parts = [part for part in raw.split("/") if part not in ("", ".")]
    path = "/".join(parts)
    try:
        encoded = path.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ToolError("the path is not valid Unicode text", code=BAD_PATH) from error
    if ".." in parts or "\\" in path or any(ord(char) < 32 or ord(char) == 127 for char in path):
        raise ToolError(f"not a path in this room: {raw[:100]!r}", code=BAD_PATH)
    if len(encoded) > MAX_PATH or any(len(part.encode()) > MAX_NAME for part in parts):
        raise ToolError("the path is too long", code=BAD_PATH)
    return path


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An open file of `size` bytes. A file that is replaced does not change under its readers."""

    name: str
    mime_type: str
    size: int
    file: BinaryIO


class Files:
    """The files below one root."""

    def __init__(self, root: Path) -> None:
        self._files = root / "files"
        self._incoming = root / "incoming"

    def start(self) -> None:
        """Make the folders and forget unfinished uploads."""
        shutil.rmtree(self._incoming, ignore_errors=True)
        self._files.mkdir(parents=True, exist_ok=True)
        self._incoming.mkdir(parents=True, exist_ok=True)

    def entries(self, path: str) -> list[dict[str, Any]]:
        """A folder's entries by name; a missing folder, or a file, has none."""
        folder = self._locate(path)
        try:
            with os.scandir(folder) as found:
                names = sorted(entry.name for entry in found if not entry.is_symlink())[:MAX_ENTRIES]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [entry for name in names if (entry := self._describe(folder / name, name)) is not None]

    def describe(self, path: str) -> dict[str, Any] | None:
        """One entry, or None."""
        target = self._locate(path)
        return self._describe(target, target.name if path else "")

    def open(self, path: str) -> StoredFile:
        """Open a file for reading. Raises `ToolError` 3001."""
        target = self._locate(path)
        try:
            descriptor = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            raise _missing(path) from error
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            os.close(descriptor)
            raise ToolError(f"{path!r} is not a file", code=NOT_THERE)
        mime_type = _mime_type(descriptor, target.name)
        return StoredFile(target.name, mime_type, found.st_size, os.fdopen(descriptor, "rb"))

    def begin(self, path: str, *, overwrite: bool) -> Path:
        """Check that a file may be put here and return a new empty file to fill. Raises `ToolError`."""
        if not path:
            raise ToolError("an upload needs a file name", code=BAD_PATH)
        self._refuse_to_replace(self._locate(path), path, overwrite)
        unfinished = self._incoming / uuid.uuid4().hex
        unfinished.touch(0o600)
        return unfinished

    def finish(self, unfinished: Path, path: str, mime_type: str | None, *, overwrite: bool) -> None:
        """Put a filled file in its place, in one step and for good."""
        target = self._locate(path)
        with unfinished.open("rb+") as file:
            if mime_type:
                with contextlib.suppress(OSError, AttributeError):
                    os.setxattr(file.fileno(), _MIME_ATTRIBUTE, mime_type.encode()[:255])
            os.fsync(file.fileno())
        self._make_folder(target.parent, path)
        self._refuse_to_replace(target, path, overwrite)
        if overwrite:
            unfinished.replace(target)
        else:
            self._link_new(unfinished, target, path)
        _sync_folder(target.parent)

    def delete(self, path: str, *, recursive: bool) -> None:
        """Remove a file, an empty folder, or with `recursive` a whole folder."""
        if not path:
            raise ToolError("the root folder cannot be deleted", code=BAD_PATH)
        target = self._locate(path)
        try:
            if not target.is_dir():
                target.unlink()
            elif recursive:
                gone = self._incoming / uuid.uuid4().hex
                target.rename(gone)
                shutil.rmtree(gone, ignore_errors=True)
            else:
                target.rmdir()
        except FileNotFoundError as error:
            raise _missing(path) from error
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                raise ToolError(f"folder {path!r} is not empty", code=RECURSIVE_REQUIRED) from error
            raise ToolError(f"{path!r} cannot be deleted: {error.strerror}") from error
        _sync_folder(target.parent)

    def move(self, source: str, destination: str, *, overwrite: bool) -> None:
        """Give a file or folder another path."""
        if not source or not destination or f"{destination}/".startswith(f"{source}/"):
            raise ToolError(f"cannot move {source!r} to {destination!r}", code=BAD_PATH)
        origin, target = self._locate(source), self._locate(destination)
        if not origin.exists():
            raise _missing(source)
        self._make_folder(target.parent, destination)
        self._refuse_to_replace(target, destination, overwrite)
        try:
            origin.rename(target)
        except OSError as error:
            raise ToolError(f"cannot move {source!r} to {destination!r}: {error.strerror}") from error
        _sync_folder(target.parent)
        _sync_folder(origin.parent)

    def is_folder(self, path: str) -> bool:
        """Whether a folder is there."""
        return self._locate(path).is_dir()

    def _locate(self, path: str) -> Path:
        """The place on disk, none of its existing parts a symbolic link."""
        current = self._files
        for part in path.split("/") if path else ():
            current = current / part
            if current.is_symlink():
                raise ToolError(f"not a path in this room: {path!r}", code=BAD_PATH)
        return current

    def _make_folder(self, folder: Path, path: str) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise ToolError(f"{path!r} lies below a file", code=BAD_PATH) from error

    def _refuse_to_replace(self, target: Path, path: str, overwrite: bool) -> None:
        if target.is_dir():
            raise ToolError(f"{path!r} is a folder", code=THERE_ALREADY)
        if target.exists() and not overwrite:
            raise ToolError(f"{path!r} already exists", code=THERE_ALREADY)

    def _link_new(self, unfinished: Path, target: Path, path: str) -> None:
        try:
            os.link(unfinished, target)
            unfinished.unlink()
        except FileExistsError as error:
            raise ToolError(f"{path!r} already exists", code=THERE_ALREADY) from error
        except OSError:
            unfinished.rename(target)  # a file system without hard links

    def _describe(self, target: Path, name: str) -> dict[str, Any] | None:
        try:
            found = target.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        folder = stat.S_ISDIR(found.st_mode)
        if not folder and not stat.S_ISREG(found.st_mode):
            return None
        entry: dict[str, Any] = {"name": name, "is_folder": folder}
        if not folder:
            entry["size"] = found.st_size
        entry["created_at"] = _moment(min(found.st_ctime, found.st_mtime))
        entry["updated_at"] = _moment(found.st_mtime)
        return entry


def read_pieces(file: BinaryIO, size: int, piece: int) -> Iterator[bytes]:
    """`size` bytes of a file in pieces. Raises `ToolError` when it ends early."""
    left = size
    while left > 0:
        data = file.read(min(piece, left))
        if not data:
            raise ToolError("the file changed while it was read")
        left -= len(data)
        yield data


def _mime_type(descriptor: int, name: str) -> str:
    with contextlib.suppress(OSError, AttributeError, UnicodeDecodeError):
        return os.getxattr(descriptor, _MIME_ATTRIBUTE).decode()
    return mimetypes.guess_type(name)[0] or _UNKNOWN_MIME


def _missing(path: str) -> ToolError:
    return ToolError(f"{path!r} does not exist", code=NOT_THERE)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
