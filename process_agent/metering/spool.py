"""Records on their way to the room, in files of this machine: whoever is killed has lost none.

Each run of an agent writes files of its own and holds a lock on them. A file that nobody holds is of a run
that is gone.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from process_agent.core.usage import UsageRecord

logger = logging.getLogger(__name__)

MAX_BYTES: Final = 64 << 20
"""Bytes of one file; what comes after is in memory only."""

_SUFFIX: Final = ".ndjson"


@dataclass(frozen=True, slots=True)
class SpoolFile:
    """A file that is complete, with the handle that keeps others from it."""

    path: Path
    handle: int

    def remove(self) -> None:
        """What was in it is in the room."""
        with suppress(OSError):
            self.path.unlink()
        self.release()

    def release(self) -> None:
        """Leave it to the next run."""
        os.close(self.handle)


def folder_of(root: Path, project: str, room: str, agent: str) -> Path:
    """Where the files of an agent in a room are, below the data folder; the names may hold anything."""
    return root / "usage" / sha256(json.dumps([project, room, agent]).encode()).hexdigest()[:32]


class Spool:
    """The files of one run in the folder of its agent. Writing to the system's cache takes some 20 µs and
    outlives the process, though not a power cut.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._run = secrets.token_hex(6)
        self._count = 0
        self._size = 0
        self._file: SpoolFile | None = None
        self._broken = False

    def append(self, record: UsageRecord) -> None:
        """Write a record. Raises nothing: without the file the record is kept in memory only."""
        if self._broken or self._size > MAX_BYTES:
            return
        line = msgspec.json.encode(record) + b"\n"
        try:
            if self._file is None:
                self._file = self._new()
            os.write(self._file.handle, line)
            self._size += len(line)
        except OSError as error:
            self._broken = True
            logger.warning("usage that is not in the room yet is kept in memory only: %s", error)

    def cut(self) -> SpoolFile | None:
        """What was written by now; further records go to another file."""
        file, self._file, self._size = self._file, None, 0
        return file

    def abandoned(self) -> Iterator[tuple[SpoolFile, list[UsageRecord]]]:
        """Files of runs that are gone, with their records. Whoever takes one removes or releases it."""
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            if path.name.startswith(self._run):
                continue
            try:
                handle = os.open(path, os.O_RDWR)
            except OSError:
                continue  # gone meanwhile
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                found = list(_records(path))
            except OSError:
                os.close(handle)
                continue
            yield SpoolFile(path, handle), found

    def close(self) -> None:
        """Let go of what is not in the room: the next run brings it there."""
        if (file := self.cut()) is not None:
            file.release()

    def _new(self) -> SpoolFile:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"{self._run}-{self._count}{_SUFFIX}"
        self._count += 1
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return SpoolFile(path, handle)


def waiting(folder: Path) -> list[UsageRecord]:
    """Everything in a folder that is not known to be in the room. Takes no locks and changes nothing."""
    return [record for path in sorted(folder.glob(f"*{_SUFFIX}")) for record in _records(path)]


def _records(path: Path) -> Iterator[UsageRecord]:
    try:
        content = path.read_bytes()
    except OSError:
        return
    for line in content.splitlines():
        try:
            yield msgspec.json.decode(line, type=UsageRecord)
        except (msgspec.DecodeError, msgspec.ValidationError):
            logger.warning("a line of %s cannot be read and is left out", path.name)
