"""Files of the message that is being written: read here, kept by the room until the message is sent.

They go into the room's storage as Studio's do, each in a folder of its own below `uploads/`. What was taken
there and never sent is removed again. Without a room a file travels within the message.
"""

from __future__ import annotations

import asyncio
import base64
import mimetypes
import os
import re
import shlex
import stat
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from process_agent.core.content import FilePart
from process_agent.core.room_addresses import room_address
from process_agent.core.room_ports import RoomFiles
from process_agent.errors import ProcessError, RoomError, UsageError

MAX_FILES = 20
"""Files of one message; the agent fetches no more."""

MAX_BYTES = 64 * 1024 * 1024
"""Of one file: of a larger one the agent makes no copy."""

MAX_EMBEDDED = 6 * 1024 * 1024
"""Bytes of one file that travels within the message."""

MAX_EMBEDDED_TOTAL = 16 * 1024 * 1024
"""Bytes of all of them together."""

REMOVE_SECONDS = 5.0
"""How long the removal of what was never sent may take when the conversation ends."""

FOLDER = "uploads"
NAME_CHARACTERS = 60
"""Of four bytes each they still are a name that disks take."""

ENDING_CHARACTERS = 16
"""Of a name that is cut, its ending is kept up to this length."""

_UNFIT = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]+')


@dataclass(frozen=True, slots=True)
class Attached:
    """A file of the message: kept by the room at `path`, or, with `path` None, within `url` itself."""

    name: str
    size: int
    url: str = field(repr=False)
    path: str | None = None

    @property
    def part(self) -> FilePart:
        """What stands for it in a message."""
        return FilePart(self.url, self.name[:200])


class Attaching:
    """The files that wait for the next message. `files` is the room's storage, None without one."""

    def __init__(
        self,
        files: RoomFiles | None = None,
        *,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex[:8],
    ) -> None:
        self.pending: list[Attached] = []
        self._files = files
        self._new_id = new_id

    async def attach(self, paths: Sequence[Path]) -> list[Attached]:
        """Take files, all or none of them.

        Raises `UsageError` for one that cannot be read or is too much, `RoomError` when the room does not
        keep it.
        """
        if len(self.pending) + len(paths) > MAX_FILES:
            raise UsageError(f"A message can have at most {MAX_FILES} files.")
        taken: list[Attached] = []
        try:
            for path in paths:
                data = await asyncio.to_thread(read_file, path)
                await self._keep(path.name, data, taken)
        except BaseException:
            await self._remove(taken)
            raise
        self.pending.extend(taken)
        return taken

    def take(self) -> tuple[Attached, ...]:
        """The files for a message that is sent now; they wait no more."""
        taken, self.pending = tuple(self.pending), []
        return taken

    def give_back(self, files: Sequence[Attached]) -> None:
        """The message could not be sent: its files wait for the next one."""
        self.pending[:0] = files

    async def detach(self, ref: str) -> list[Attached]:
        """Take the file back that `ref` names, by number or name; all of them when it is empty.

        Raises `UsageError` when there is no such file, `RoomError` when the room does not remove it.
        """
        gone = self.pending if not ref else [self._named(ref)]
        if not gone:
            raise UsageError("Nothing is attached.")
        gone = list(gone)
        self.pending = [one for one in self.pending if one not in gone]
        if stayed := await self._remove(gone):
            raise RoomError(f"{', '.join(stayed)} could not be removed, and stays in the room.")
        return gone

    async def close(self) -> list[str]:
        """Remove what was never sent; returns the paths of what had to stay in the room."""
        return await self._remove(self.take())

    async def _keep(self, name: str, data: bytes, taken: list[Attached]) -> None:
        if self._files is None:
            taken.append(self._embedded(name, data, taken))
            return
        path = path_for(name, self._new_id())
        # Known before it is written: one whose writing is cut short may be there all the same.
        taken.append(Attached(name, len(data), room_address(path), path))
        await self._files.write(path, data, mime_type=mimetypes.guess_type(name)[0], replace=False)

    def _embedded(self, name: str, data: bytes, taken: Sequence[Attached]) -> Attached:
        total = len(data) + sum(one.size for one in (*self.pending, *taken))
        if len(data) > MAX_EMBEDDED or total > MAX_EMBEDDED_TOTAL:
            raise UsageError(
                f"{name} is too large: without a room a file can have {MAX_EMBEDDED // 2**20} MiB, and those"
                f" of a message {MAX_EMBEDDED_TOTAL // 2**20} MiB.",
                fix="--room NAME keeps larger ones.",
            )
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return Attached(name, len(data), f"data:{kind};base64,{base64.b64encode(data).decode()}")

    async def _remove(self, gone: Sequence[Attached]) -> list[str]:
        """Remove files from the room; returns the paths of those that stayed."""
        paths = [one.path for one in gone if one.path is not None]
        if self._files is None or not paths:
            return []
        stayed = dict.fromkeys(paths)
        with suppress(TimeoutError):
            async with asyncio.timeout(REMOVE_SECONDS):
                for path in paths:
                    with suppress(ProcessError):  # the caller hears of what stayed
                        await self._files.delete(path)
                        del stayed[path]
        return list(stayed)

    def _named(self, ref: str) -> Attached:
        if ref.isdecimal() and 1 <= int(ref) <= len(self.pending):
            return self.pending[int(ref) - 1]
        found = [one for one in self.pending if one.name == ref]
        if len(found) == 1:
            return found[0]
        names = ", ".join(f"{number} {one.name}" for number, one in enumerate(self.pending, 1))
        raise UsageError(f"No one file is called {ref[:200]!r}; attached: {names or 'nothing'}.")


def paths_in(text: str) -> list[Path]:
    """The files that a line names: all of it, when it is the name of one file, else word by word, with
    quotes and backslashes as in a shell. Raises `UsageError`.
    """
    whole = Path(text).expanduser()
    try:
        if whole.is_file():
            return [whole]
        return [Path(word).expanduser() for word in shlex.split(text)]
    except (ValueError, RuntimeError, OSError) as error:
        raise UsageError(f"/attach: {error}.", fix="Put names with blanks in quotes.") from error


def check_files(paths: Sequence[Path]) -> None:
    """See that files can be attached, before anything is done. Raises `UsageError`."""
    if len(paths) > MAX_FILES:
        raise UsageError(f"A message can have at most {MAX_FILES} files.")
    for path in paths:
        os.close(_opened(path))


def read_file(path: Path) -> bytes:
    """A whole file. Raises `UsageError` for what is no file, cannot be read, or has too many bytes."""
    with open(_opened(path), "rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise _too_large(path)
    return data


def path_for(name: str, unique: str) -> str:
    """Where the room keeps a file: in a folder of its own, so that it keeps its name. The agent attaches
    nothing that is hidden, so that the name does not begin with a dot.
    """
    plain = _UNFIT.sub("_", name).lstrip(". \t\n").strip()
    if len(plain) > NAME_CHARACTERS:
        stem, dot, ending = plain.rpartition(".")
        ending = dot + ending if stem and len(ending) < ENDING_CHARACTERS else ""
        plain = plain[: NAME_CHARACTERS - len(ending)] + ending
    # A name of the disk that is no UTF-8 has halves of characters, which no message can hold.
    return f"{FOLDER}/{unique}/{plain.encode(errors='replace').decode().replace('?', '_') or 'file'}"


def _opened(path: Path) -> int:
    """A descriptor of a regular file; a pipe or a device is not waited for."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"{path} cannot be attached: {why}.") from error
    found = os.fstat(opened)
    if stat.S_ISREG(found.st_mode) and found.st_size <= MAX_BYTES:
        return opened
    os.close(opened)
    if stat.S_ISREG(found.st_mode):
        raise _too_large(path)
    raise UsageError(f"{path} cannot be attached: it is not a file.")


def _too_large(path: Path) -> UsageError:
    return UsageError(f"{path} is too large: a file can have at most {MAX_BYTES // 2**20} MiB.")
