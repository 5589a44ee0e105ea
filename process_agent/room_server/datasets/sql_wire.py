"""Frames between the room server and the child process that runs SQL. Pure.

    frame = 1 byte kind, 4 bytes length (big-endian), payload

The parent sends one `REQUEST` (JSON) and one `PARAMETERS` (Arrow IPC or empty). The child answers with
`FAILED` (JSON: text), or `QUERY` (schema as IPC) followed by `ROWS` (IPC each), or `STATEMENT` (JSON: target,
action, rows) followed by `ROWS`; `END` is the last frame of both.
"""

from __future__ import annotations

import struct
from typing import Final

REQUEST: Final = b"r"
PARAMETERS: Final = b"p"
QUERY: Final = b"q"
STATEMENT: Final = b"s"
ROWS: Final = b"b"
END: Final = b"e"
FAILED: Final = b"f"

HEADER: Final = struct.Struct(">cI")
MAX_PAYLOAD: Final = 256 * 1024 * 1024


def frame(kind: bytes, payload: bytes = b"") -> bytes:
    """One frame."""
    return HEADER.pack(kind, len(payload)) + payload


class Frames:
    """Takes bytes as they come, gives whole frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Add bytes."""
        self._buffer += data

    def next(self) -> tuple[bytes, bytes] | None:
        """The next whole frame as kind and payload, or None. Raises ValueError for an oversized one."""
        if len(self._buffer) < HEADER.size:
            return None
        kind, length = HEADER.unpack_from(self._buffer)
        if length > MAX_PAYLOAD:
            raise ValueError(f"a frame of {length} bytes")
        end = HEADER.size + length
        if len(self._buffer) < end:
            return None
        payload = bytes(self._buffer[HEADER.size : end])
        del self._buffer[:end]
        return kind, payload
