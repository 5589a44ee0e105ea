"""The stream format of Arrow, as far as it is looked at without Arrow (columnar format, "Serialization and
Interprocess Communication"). Headers are flatbuffers: a table begins with the distance back to a list that
gives the place of each of its fields in it, 0 for one that is not set.
"""

from __future__ import annotations

import struct
from typing import Final

END: Final = b"\xff\xff\xff\xff\x00\x00\x00\x00"
"""The last bytes of a stream: a continuation marker and a length of nothing."""

FIRST: Final = 8
"""Bytes before the header of a message in a stream: a continuation marker and the header's length."""


def root(header: bytes, start: int = 0) -> int:
    """Position of the outermost table of a header that begins at `start`. Raises `struct.error`."""
    return start + int(struct.unpack_from("<I", header, start)[0])


def field(header: bytes, table: int, index: int) -> int | None:
    """Position of a table's field; None when it is not set. Raises `struct.error`."""
    fields = table - struct.unpack_from("<i", header, table)[0]
    (size,) = struct.unpack_from("<H", header, fields)
    slot = 4 + 2 * index
    (offset,) = struct.unpack_from("<H", header, fields + slot) if slot < size else (0,)
    return table + int(offset) if offset else None


def referred(header: bytes, table: int, index: int) -> int | None:
    """Position of the table or vector that a field refers to. Raises `struct.error`."""
    at = field(header, table, index)
    return None if at is None else at + int(struct.unpack_from("<I", header, at)[0])
