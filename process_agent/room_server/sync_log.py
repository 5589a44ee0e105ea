"""One synchronised document on disk: a log of its updates, blocking.

    record = 4 bytes length, 4 bytes CRC-32, payload        (big-endian)

The first payload is JSON, `{"path", "schema"}`; each further one is a Yjs update. A torn last record, what a
crash leaves, ends the log.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_FRAME: Final = struct.Struct(">II")


@dataclass(frozen=True, slots=True)
class Stored:
    """A document as found: its schema and the updates that make it."""

    schema: dict[str, Any]
    updates: list[bytes]
    size: int


class Log:
    """The log of the document with a path."""

    def __init__(self, root: Path, path: str) -> None:
        self._path = path
        self._file = root / f"{hashlib.sha256(path.encode()).hexdigest()}.ydoc"

    def read(self) -> Stored | None:
        """Everything, or None for a document that was never stored."""
        try:
            data = self._file.read_bytes()
        except FileNotFoundError:
            return None
        records = list(_records(data))
        if not records:
            return None
        header = json.loads(records[0])
        return Stored(header["schema"], records[1:], len(data))

    def write(self, schema: dict[str, Any], updates: Iterable[bytes]) -> int:
        """Replace the log in one step; returns its bytes."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        header = json.dumps({"path": self._path, "schema": schema}).encode()
        data = b"".join(_record(payload) for payload in (header, *updates))
        unfinished = self._file.with_suffix(".new")
        with unfinished.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._file)
        return len(data)

    def append(self, updates: Iterable[bytes]) -> int:
        """Add updates; returns the bytes added."""
        data = b"".join(_record(update) for update in updates)
        with self._file.open("ab") as file:
            file.write(data)
            file.flush()
            os.fdatasync(file.fileno())
        return len(data)


def _record(payload: bytes) -> bytes:
    return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def _records(data: bytes) -> Iterator[bytes]:
    position = 0
    while position + _FRAME.size <= len(data):
        length, checksum = _FRAME.unpack_from(data, position)
        payload = data[position + _FRAME.size : position + _FRAME.size + length]
        if len(payload) != length or zlib.crc32(payload) != checksum:
            return
        yield payload
        position += _FRAME.size + length
