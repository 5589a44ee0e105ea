"""Arrow in and out: IPC of untrusted callers, extension types, casting, batch sizes.

Lance does not know every Arrow extension type, and stores JSON columns lossily (keys sorted, `1.10` becomes
`1.1`). So each table has two schemas: the *logical* one its author gave, and the *physical* one Lance sees,
with extension types replaced by their storage. A physical field whose logical form differs carries it, as
the IPC bytes of that one field, in its own metadata: added, dropped and branched columns keep theirs.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.ipc

from process_agent.room_server.toolkit import ToolError
from process_agent.wire import arrow_ipc

MIME: Final = "application/vnd.apache.arrow.stream"
CHUNK_BYTES: Final = 512 * 1024
"""Size of a data chunk that is aimed at; a single larger row still travels in one."""

MAX_EXPANSION: Final = 1 << 30
"""Bytes that columns a write leaves out may take when they are filled."""

MAX_ROWS: Final = 50_000_000
"""Rows of one batch; rows of nothing cost no bytes."""

_LOGICAL: Final = b"process:arrow-field"
_SCHEMA_LOGICAL: Final = b"process:arrow-schema"
type Metadata = dict[bytes | str, bytes | str]

_EXTENSION: Final = (b"ARROW:extension:name", b"ARROW:extension:metadata")


def encode_schema(schema: pa.Schema) -> bytes:
    """An IPC stream that holds only the schema."""
    return schema.serialize().to_pybytes() + arrow_ipc.END


def decode_schema(data: bytes) -> pa.Schema:
    """The schema of an IPC stream. Raises `ToolError`."""
    try:
        with pa.ipc.open_stream(pa.BufferReader(data)) as reader:
            return _readable(reader.schema)
    except (pa.ArrowException, ValueError, OSError) as error:
        raise ToolError(f"not an Arrow stream: {error}") from error


def encode_batches(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> bytes:
    """A complete IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def decode_table(data: bytes) -> pa.Table:
    """All rows of an IPC stream, fully validated: offsets from outside must not reach native code.

    Raises `ToolError`.
    """
    batches: list[pa.RecordBatch] = []
    try:
        _refuse_compression(data)
        with pa.ipc.open_stream(pa.BufferReader(data)) as reader:
            schema = _readable(reader.schema)
            for batch in reader:
                check_batch(batch)
                batches.append(batch)
    except (pa.ArrowException, ValueError, OSError, MemoryError) as error:
        raise ToolError(f"not a valid Arrow stream: {error}") from error
    return pa.Table.from_batches(batches, schema)


def check_batch(batch: pa.RecordBatch) -> None:
    """Raise `ToolError` for too many rows, and `ArrowException` for what must not reach native code."""
    if batch.num_rows > MAX_ROWS:
        raise ToolError(f"a batch has at most {MAX_ROWS} rows")
    batch.validate(full=True)


def read_own(data: bytes) -> pa.Table:
    """All rows of an IPC stream that we wrote ourselves."""
    with pa.ipc.open_stream(pa.py_buffer(data)) as reader:
        return reader.read_all()


def _refuse_compression(data: bytes) -> None:
    """See `refuse_compressed`."""
    reader = pa.ipc.MessageReader.open_stream(pa.BufferReader(data))
    while True:
        try:
            message = reader.read_next_message()
        except StopIteration:
            return
        if message.type != "schema":
            refuse_compressed(message)


def refuse_compressed(message: Any) -> None:
    """Raise `ToolError` for compressed buffers: a few bytes could unpack to any size, before we see it.

    The place of the mark in a message's flatbuffer is from the Arrow columnar format: `Message.header` is
    field 2, `RecordBatch.compression` field 3, `DictionaryBatch.data` field 1.
    """
    raw = message.metadata.to_pybytes()
    try:
        header = arrow_ipc.referred(raw, arrow_ipc.root(raw), 2)
        if message.type == "dictionary" and header is not None:
            header = arrow_ipc.referred(raw, header, 1)
        if header is None or arrow_ipc.field(raw, header, 3) is not None:
            raise ToolError("send Arrow streams without compression")
    except struct.error as error:
        raise ToolError("not a valid Arrow stream") from error


def _readable(schema: pa.Schema) -> pa.Schema:
    """The same schema. Raises UnicodeDecodeError for names, at any depth, that are no text."""
    fields: list[pa.Field[Any]] = list(schema)
    while fields:
        field = fields.pop()
        _ = field.name
        fields.extend(field.type.field(i) for i in range(field.type.num_fields))
    return schema


# Logical and physical schemas


def physical_schema(logical: pa.Schema) -> pa.Schema:
    """The schema Lance stores for a logical one."""
    fields = [_physical_field(field) for field in logical]
    metadata: Metadata = _entries(logical)
    if metadata and not _plain(metadata):
        bare = pa.schema([], metadata=metadata)
        metadata = {_SCHEMA_LOGICAL: _pack(bare)}
    return pa.schema(fields, metadata=metadata or None)


def logical_schema(physical: pa.Schema) -> pa.Schema:
    """The schema the table's author gave."""
    metadata: Metadata = _entries(physical)
    packed = (physical.metadata or {}).get(_SCHEMA_LOGICAL)
    if packed is not None:
        metadata = _entries(_unpack(packed))
    return pa.schema([_logical_field(field) for field in physical], metadata=metadata or None)


def _physical_field(field: pa.Field[Any]) -> pa.Field[Any]:
    stripped = storage_field(field)
    if stripped.equals(field, check_metadata=True) and _plain(field.metadata or {}):
        return field
    metadata: Metadata = _entries(stripped)
    metadata[_LOGICAL] = _pack(pa.schema([field]))
    return stripped.with_metadata(metadata)


def _logical_field(field: pa.Field[Any]) -> pa.Field[Any]:
    packed = (field.metadata or {}).get(_LOGICAL)
    if packed is None:
        return field
    logical = _unpack(packed).field(0)
    return logical.with_name(field.name).with_nullable(field.nullable)


def storage_field(field: pa.Field[Any]) -> pa.Field[Any]:
    """A field without extension types, at any depth, and without metadata that is no text."""
    metadata = {
        key: value
        for key, value in (field.metadata or {}).items()
        if key not in _EXTENSION and _is_text(key) and _is_text(value)
    }
    return pa.field(field.name, storage_type(field.type), field.nullable, metadata or None)


def storage_type(kind: Any) -> Any:
    """A type without extension types, at any depth."""
    if isinstance(kind, pa.BaseExtensionType):
        return storage_type(kind.storage_type)
    if pa.types.is_struct(kind):
        return pa.struct([storage_field(kind.field(i)) for i in range(kind.num_fields)])
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(storage_field(kind.value_field), kind.list_size)
    if pa.types.is_large_list(kind):
        return pa.large_list(storage_field(kind.value_field))
    if pa.types.is_list(kind):
        return pa.list_(storage_field(kind.value_field))
    if pa.types.is_map(kind):
        return pa.map_(storage_field(kind.key_field), storage_field(kind.item_field), kind.keys_sorted)
    return kind


def _entries(owner: pa.Schema | pa.Field[Any]) -> Metadata:
    return dict((owner.metadata or {}).items())


def _pack(schema: pa.Schema) -> bytes:
    return base64.b64encode(schema.serialize().to_pybytes())


def _unpack(packed: bytes) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(packed)))


def _plain(metadata: Mapping[Any, Any]) -> bool:
    """Whether Lance, which keeps metadata as an unordered map of text, gives it back as it was."""
    return len(metadata) < 2 and all(_is_text(k) and _is_text(v) for k, v in metadata.items())


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


# Rows between the two


class _Relabelled:
    """A batch offered under another schema of the same layout (the Arrow PyCapsule protocol)."""

    def __init__(self, batch: Any, schema: pa.Schema) -> None:
        self._batch = batch
        self._schema = schema

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[Any, Any]:
        _, array = self._batch.__arrow_c_array__()
        return self._schema.__arrow_c_schema__(), array


def relabel(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The same buffers under another schema; only extension types, nullability and metadata may differ."""
    if batch.schema.equals(schema, check_metadata=True):
        return batch
    ours = [storage_type(kind) for kind in batch.schema.types]
    theirs = [storage_type(kind) for kind in schema.types]
    if ours != theirs:
        raise ToolError(f"columns do not fit: {batch.schema.types} and {schema.types}")
    relabelled: pa.RecordBatch = pa.record_batch(_Relabelled(batch, schema))
    return relabelled


def to_physical(table: pa.Table, logical: pa.Schema, physical: pa.Schema | None = None) -> pa.Table:
    """Rows for Lance: cast to the table's types, missing columns filled with null. Raises `ToolError`.

    `physical`, when it is at hand, saves working it out.
    """
    physical = physical_schema(logical) if physical is None else physical
    if table.schema.equals(logical):
        return _relabelled(table, physical)
    unknown = [name for name in table.schema.names if logical.get_field_index(name) < 0]
    if unknown:
        raise ToolError(f"column {unknown[0]!r} does not exist in the table")
    if len(set(table.schema.names)) != len(table.schema.names):
        raise ToolError("a column is given twice")
    stored = strip(table)
    filled = [field.type for field in physical if stored.schema.get_field_index(field.name) < 0]
    if table.num_rows * sum(map(row_width, filled)) > MAX_EXPANSION:
        raise ToolError("too many rows with missing columns; write fewer at once")
    columns = [_column(stored, field) for field in physical]
    return pa.Table.from_arrays(columns, schema=physical)


def _relabelled(table: pa.Table, physical: pa.Schema) -> pa.Table:
    """Rows of the logical schema as they are stored: the buffers stay."""
    batches: list[pa.RecordBatch] = []
    for batch in table.to_batches():
        for index, field in enumerate(physical):
            check_nulls(batch.column(index), field)
        batches.append(pa.record_batch(_Relabelled(batch, physical)))
    return pa.Table.from_batches(batches, physical)


def row_width(kind: Any) -> int:
    """Bytes one null of a type takes, about."""
    if isinstance(kind, pa.BaseExtensionType):
        return row_width(kind.storage_type)
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size) * row_width(kind.value_type)
    if pa.types.is_struct(kind):
        return sum(row_width(kind.field(i).type) for i in range(kind.num_fields))
    return int(kind.byte_width) if pa.types.is_fixed_size_binary(kind) else 8


def strip(table: pa.Table) -> pa.Table:
    """The same rows without extension types."""
    bare = pa.schema([storage_field(field) for field in table.schema])
    if bare.types == table.schema.types:
        return table
    return pa.Table.from_batches([relabel(batch, bare) for batch in table.to_batches()], bare)


def _column(table: pa.Table, field: pa.Field[Any]) -> pa.ChunkedArray[Any]:
    index = table.schema.get_field_index(field.name)
    if index < 0:
        column = pa.chunked_array([pa.nulls(table.num_rows, field.type)], field.type)
    else:
        column = table.column(index)
        if column.type != field.type:
            column = _cast(column, field)
    check_nulls(column, field)
    return column


def check_nulls(column: Any, field: pa.Field[Any]) -> None:
    """Raise `ToolError` for nulls in a column that must have none."""
    if not field.nullable and column.null_count:
        raise ToolError(f"column {field.name!r} must not be null")


def _cast(column: pa.ChunkedArray[Any], field: pa.Field[Any]) -> pa.ChunkedArray[Any]:
    try:
        return column.cast(field.type)
    except (pa.ArrowException, ValueError) as error:
        raise ToolError(f"column {field.name!r} cannot become {field.type}: {error}") from error


# Sizes


def sized(batches: Iterable[pa.RecordBatch], target: int = CHUNK_BYTES) -> Iterator[list[pa.RecordBatch]]:
    """Regroup batches into chunks of about `target` bytes, in order and without empty ones."""
    waiting: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        for piece in _pieces(batch, target):
            if waiting and size + piece.nbytes > target:
                yield waiting
                waiting, size = [], 0
            waiting.append(piece)
            size += piece.nbytes
    if waiting:
        yield waiting


def _pieces(batch: pa.RecordBatch, target: int) -> Iterator[pa.RecordBatch]:
    """Halve a batch until each piece fits: rows differ in size, an average would not bound the largest."""
    if batch.num_rows == 0:
        return
    if batch.nbytes <= target or batch.num_rows == 1:
        yield batch
        return
    half = batch.num_rows // 2
    yield from _pieces(batch.slice(0, half), target)
    yield from _pieces(batch.slice(half), target)


def combine(schema: pa.Schema, batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    """One batch of all rows, at least one batch of them (the protocol's data chunks hold one)."""
    if len(batches) == 1:
        return batches[0]
    table = pa.Table.from_batches(batches, schema).combine_chunks()
    return table.to_batches()[0]


def no_rows(schema: pa.Schema) -> pa.Table:
    """An empty table, of any types."""
    return pa.Table.from_batches([], schema)
