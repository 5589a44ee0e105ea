"""Records of the log of rows that are not in their tables yet. Pure.

    record = 4 bytes length of the body, 4 bytes CRC-32 of the body, body           (big-endian)
    body   = 1 byte kind, 8 bytes position, 4 bytes length of the key, key (JSON), payload

Positions grow from record to record. The key is the table: `[[namespace…], branch, name]`. Payloads:

    ROWS     an Arrow IPC stream of rows as Lance will store them
    FOLDING  {"version": V, "until": P}: rows up to P are about to be appended to the table, which is at V
    FOLDED   {"until": P}: rows up to P are in the table, or gone with it
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from process_agent.room_server.datasets.names import Place, TableKey

ROWS: Final = b"r"
FOLDING: Final = b"b"
FOLDED: Final = b"f"
_KINDS: Final = frozenset((ROWS, FOLDING, FOLDED))

MAX_BODY: Final = 64 * 1024 * 1024
"""Bytes of one record; larger ones are taken for damage."""

_FRAME: Final = struct.Struct(">II")
_BODY: Final = struct.Struct(">cQI")


@dataclass(frozen=True, slots=True)
class Record:
    """One record as found in the log."""

    kind: bytes
    position: int
    key: TableKey
    payload: bytes

    @property
    def fields(self) -> dict[str, int]:
        """The numbers of a FOLDING or FOLDED record."""
        found: dict[str, int] = json.loads(self.payload)
        return found


def encode(record: Record) -> bytes:
    """The bytes of one record. Raises ValueError for one that is too large."""
    place = record.key.place
    key = json.dumps([place.namespace, place.branch, record.key.name], separators=(",", ":")).encode()
    body = _BODY.pack(record.kind, record.position, len(key)) + key + record.payload
    if len(body) > MAX_BODY:
        raise ValueError(f"a record of {len(body)} bytes")
    return _FRAME.pack(len(body), zlib.crc32(body)) + body


def encode_fields(fields: dict[str, int]) -> bytes:
    """The payload of a FOLDING or FOLDED record."""
    return json.dumps(fields, separators=(",", ":")).encode()


def decode(data: bytes, after: int = -1) -> Iterator[tuple[int, Record]]:
    """Whole records with the offset behind each; ends at the first that is torn or damaged.

    `after` is the position of the record before; positions that do not grow are damage, too.
    """
    offset = 0
    while offset + _FRAME.size <= len(data):
        length, checksum = _FRAME.unpack_from(data, offset)
        begin = offset + _FRAME.size
        body = data[begin : begin + length]
        if len(body) != length or not _BODY.size <= length <= MAX_BODY or zlib.crc32(body) != checksum:
            return
        record = _record(body)
        if record is None or record.position <= after:
            return
        after, offset = record.position, begin + length
        yield offset, record


def _record(body: bytes) -> Record | None:
    kind, position, size = _BODY.unpack_from(body)
    payload = _BODY.size + size
    if kind not in _KINDS or payload > len(body):
        return None
    try:
        key = _key(json.loads(body[_BODY.size : payload]))
    except ValueError:
        return None
    return None if key is None else Record(kind, position, key, body[payload:])


def _key(raw: Any) -> TableKey | None:
    match raw:
        case [[*namespace], str(branch), str(name)] if all(isinstance(part, str) for part in namespace):
            return TableKey(Place(tuple(namespace), branch), name)
    return None
