"""Rows of the thread table as an Arrow stream, written here for the few columns that table has.

Going through Arrow's own builders takes ten times the processor time for the few rows of a turn, and somebody
waits for the message behind them. Layout: the Arrow columnar format, "Serialization and Interprocess
Communication". Everything of the record batch's header that does not depend on the rows is taken from a
header that Arrow itself made.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pyarrow as pa

from process_agent.threads.rows import Row
from process_agent.threads.schema import DATA, THREAD
from process_agent.wire.arrow_ipc import END, FIRST, field, referred, root

_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_ALIGNED: Final = 8
_COUNT: Final = 4
"""Bytes before the first element of a vector."""
_PAIR: Final = 16
"""Bytes of a field node (length, nulls), and of a buffer (offset, length)."""

type _Column = tuple[int, tuple[bytes, ...]]
"""How many nulls a column has, and its buffers."""


class EncodedRows:
    """Rows as an Arrow stream: `core.room.ArrowTable` and `core.room.ArrowStream`."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def ipc_stream(self) -> bytes:
        """The whole stream. Raises UnicodeEncodeError for text that UTF-8 does not have."""
        return b"".join((_SCHEMA, *([_batch(self._rows)] if self._rows else []), END))

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Arrow C stream capsule."""
        with pa.ipc.open_stream(self.ipc_stream()) as reader:
            whole: Any = reader.read_all()
        return whole.__arrow_c_stream__(requested_schema)


def _batch(rows: Sequence[Row]) -> bytes:
    header = bytearray(_TEMPLATE.header)
    at, length, buffers = _TEMPLATE.buffers, 0, []
    for place, (nulls, column) in enumerate(_columns(rows)):
        struct.pack_into("<qq", header, _TEMPLATE.nodes + place * _PAIR, len(rows), nulls)
        for buffer in column:
            struct.pack_into("<qq", header, at, length, len(buffer))
            at += _PAIR
            padded = buffer + bytes(-len(buffer) % _ALIGNED)
            length += len(padded)
            buffers.append(padded)
    struct.pack_into("<q", header, _TEMPLATE.rows, len(rows))
    struct.pack_into("<q", header, _TEMPLATE.body_length, length)
    return b"".join((header, *buffers))


def _columns(rows: Sequence[Row]) -> Iterable[_Column]:
    """In the order of `THREAD`."""
    yield _texts([row.turn_id for row in rows], "i")
    yield _texts([row.item_id for row in rows], "i")
    yield _texts([row.type for row in rows], "i")
    yield _numbers([row.sequence for row in rows])
    yield _numbers([(row.timestamp - _EPOCH) // _MICROSECOND for row in rows])
    yield _texts([row.data for row in rows], "q")
    yield _texts([None] * len(rows), "q")


def _texts(values: Sequence[str | None], size: str) -> _Column:
    """Text with offsets of a struct type, and a bitmap of what is there if something is not."""
    texts = [b"" if value is None else value.encode() for value in values]
    offsets, end = [0], 0
    for text in texts:
        end += len(text)
        offsets.append(end)
    nulls = values.count(None)
    there = sum(1 << place for place, value in enumerate(values) if value is not None) if nulls else 0
    bitmap = there.to_bytes((len(values) + 7) // 8, "little") if nulls else b""
    return nulls, (bitmap, struct.pack(f"<{len(offsets)}{size}", *offsets), b"".join(texts))


def _numbers(values: Sequence[int]) -> _Column:
    return 0, (b"", struct.pack(f"<{len(values)}q", *values))


class _Template:
    """The header of a record batch of the thread table, and where in it the numbers are."""

    def __init__(self, message: bytes) -> None:
        size = struct.unpack_from("<i", message, FIRST - 4)[0]
        header = self.header = message[: FIRST + size]
        envelope = root(header, FIRST)
        batch = _set(referred(header, envelope, 2))
        self.body_length = _set(field(header, envelope, 3))
        self.rows = _set(field(header, batch, 0))
        self.nodes = _set(referred(header, batch, 1)) + _COUNT
        self.buffers = _set(referred(header, batch, 2)) + _COUNT


def _set(place: int | None) -> int:
    if place is None:
        raise ValueError("Arrow writes the header of a record batch in another way than it is known here")
    return place


def _sample() -> bytes:
    """One row, as Arrow writes it; what type a column's storage has among others does not show."""
    kinds = [DATA.storage_type if each.type == DATA else each.type for each in THREAD]
    row = {field.name: 1 if pa.types.is_int64(field.type) else None for field in THREAD} | {
        "timestamp": _EPOCH
    }
    stored = pa.schema(list(zip(THREAD.names, kinds, strict=True)))
    return pa.RecordBatch.from_pylist([row], schema=stored).serialize().to_pybytes()


_SCHEMA: Final = THREAD.serialize().to_pybytes()
_TEMPLATE: Final = _Template(_sample())
