"""Rows that come as their table has them: they are looked through, and stored byte for byte.

A caller who knows a table sends its very schema. Then what Lance will store differs from what was sent in the
schema message alone, which is known, and neither has the rest to be taken apart nor put together again: a
sixth of the processor time of an insert of a few rows, while people wait for the message behind it.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.ipc

from process_agent.room_server.datasets import arrow
from process_agent.room_server.datasets.shapes import Shape
from process_agent.room_server.toolkit import ToolError
from process_agent.wire.arrow_ipc import END


@dataclass(frozen=True, slots=True)
class StoredRows:
    """Rows as an Arrow stream under the schema that Lance stores."""

    rows: int
    stream: bytes


def as_stored(sent: bytes, shape: Shape) -> StoredRows | None:
    """The rows of a caller's Arrow stream, fully validated; None when they are not in the table's own schema,
    or the stream goes on behind them. Raises `ToolError` for what no table can have.
    """
    if not shape.logged or not sent.startswith(shape.sent) or not sent.endswith(END):
        return None
    batches = pa.py_buffer(memoryview(sent)[len(shape.sent) : -len(END)])
    reader, rows = pa.BufferReader(batches), 0
    try:
        while reader.tell() < batches.size:
            rows += _checked(pa.ipc.read_message(reader), shape)
    except (pa.ArrowException, EOFError, ValueError, OSError, MemoryError) as error:
        raise ToolError(f"not a valid Arrow stream: {error}") from error
    return StoredRows(rows, shape.stored + sent[len(shape.sent) :])


def _checked(message: pa.ipc.Message, shape: Shape) -> int:
    """The number of rows in a message. Raises `ToolError`, `ArrowException` or another ValueError."""
    if message.type != "record batch":
        raise ToolError(f"not a valid Arrow stream: {message.type} among the rows")
    arrow.refuse_compressed(message)
    batch = pa.ipc.read_record_batch(message, shape.logical)
    arrow.check_batch(batch)
    for index, field in enumerate(shape.physical):
        if not field.nullable:
            arrow.check_nulls(batch.column(index), field)
    return batch.num_rows
