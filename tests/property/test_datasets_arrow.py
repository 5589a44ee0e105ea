"""Arrow round trips: IPC, logical and physical schemas, chunk sizes."""

from __future__ import annotations

import struct
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_agent.room_server.datasets import arrow
from process_agent.room_server.toolkit import ToolError

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=8)
metadata = st.none() | st.dictionaries(
    st.binary(min_size=1, max_size=6), st.binary(max_size=6), min_size=1, max_size=3
)
leaves: st.SearchStrategy[Any] = st.sampled_from(
    [pa.int64(), pa.string(), pa.bool_(), pa.timestamp("us", "UTC"), pa.json_(pa.large_string()), pa.uuid()]
)


def _nested(kinds: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    inner = st.builds(lambda k, m: pa.field("item", k, metadata=m), kinds, metadata)
    return st.one_of(
        inner.map(pa.list_),
        inner.map(pa.large_list),
        inner.map(lambda field: pa.list_(field, 2)),
        st.lists(st.builds(pa.field, names, kinds, st.booleans(), metadata), min_size=1, max_size=3).map(
            pa.struct
        ),
    )


kinds = st.recursive(leaves, _nested, max_leaves=4)
schemas = st.builds(
    lambda fields, m: pa.schema(fields, metadata=m),
    st.lists(
        st.builds(pa.field, names, kinds, st.booleans(), metadata),
        min_size=1,
        max_size=4,
        unique_by=lambda field: field.name,
    ),
    metadata,
)


@given(schemas)
def test_schemas_survive_ipc_and_storage_byte_for_byte(schema: pa.Schema) -> None:
    received = arrow.decode_schema(arrow.encode_schema(schema))
    assert received.equals(schema, check_metadata=True)
    physical = arrow.physical_schema(received)
    assert not any(isinstance(kind, pa.BaseExtensionType) for kind in physical.types)
    for field in physical:
        for key, value in (field.metadata or {}).items():
            key.decode()
            value.decode()
    logical = arrow.logical_schema(physical)
    assert logical.equals(schema, check_metadata=True)
    assert arrow.encode_schema(logical) == arrow.encode_schema(schema)


@given(st.lists(st.binary(max_size=300), max_size=60), st.integers(1, 500), st.integers(1, 20))
def test_chunks_keep_every_row_in_order(rows: list[bytes], target: int, batch: int) -> None:
    table = pa.table({"b": pa.array(rows, pa.binary())})
    chunks = list(arrow.sized(table.to_batches(max_chunksize=batch), target))
    combined = [arrow.combine(table.schema, chunk) for chunk in chunks]
    assert [row for part in combined for row in part["b"].to_pylist()] == rows
    assert all(part.num_rows for part in combined)
    assert all(
        part.num_rows == 1 or sum(b.nbytes for b in c) <= target
        for part, c in zip(combined, chunks, strict=True)
    )


@given(st.binary(max_size=400))
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(ToolError):
        arrow.decode_table(data)


@given(st.data())
def test_damaged_streams_never_reach_native_code(data: st.DataObject) -> None:
    table = pa.table({"s": ["abc", None, "défg"], "l": [[1], [], [2, 3]], "n": [1, 2, 3]})
    raw = bytearray(arrow.encode_batches(table.schema, table.to_batches()))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = arrow.decode_table(bytes(raw))
    except ToolError:
        return
    found.validate(full=True)
    str(found.to_pylist())


def test_offsets_that_lie_are_refused() -> None:
    table = pa.table({"s": ["abc" * 99]})
    raw = arrow.encode_batches(table.schema, table.to_batches())
    honest, lie = struct.pack("<ii", 0, 297), struct.pack("<ii", 0, 2_000_000_000)
    with pytest.raises(ToolError, match="not a valid Arrow stream"):
        arrow.decode_table(lie.join(raw.rsplit(honest, 1)))


def test_rows_are_cast_filled_and_refused() -> None:
    schema = pa.schema([pa.field("a", pa.int8()), pa.field("j", pa.json_(pa.large_string()), nullable=False)])
    stored = arrow.to_physical(pa.table({"j": ["{}"], "a": pa.array([7], pa.int64())}), schema)
    assert stored.schema.equals(arrow.physical_schema(schema), check_metadata=True)
    assert stored.to_pylist() == [{"a": 7, "j": "{}"}]
    assert arrow.to_physical(pa.table({"j": ["{}"]}), schema).to_pylist() == [{"a": None, "j": "{}"}]
    for wrong in ({"a": [300], "j": ["{}"]}, {"a": [1]}, {"j": ["{}"], "b": [1]}, {"a": ["x"], "j": ["{}"]}):
        with pytest.raises(ToolError):
            arrow.to_physical(pa.table(wrong), schema)
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(ToolError, match="twice"):
        arrow.to_physical(twice, schema)


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
@pytest.mark.parametrize("dictionary", [False, True])
def test_compressed_streams_are_refused(codec: Any, dictionary: bool) -> None:
    column = pa.array(["x" * 1000] * 1000)
    table = pa.table({"s": column.dictionary_encode() if dictionary else column})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as writer:
        writer.write_table(table)
    with pytest.raises(ToolError, match="compression"):
        arrow.decode_table(sink.getvalue().to_pybytes())
    assert arrow.decode_table(arrow.encode_batches(table.schema, table.to_batches())).equals(table)


def test_rows_of_nothing_are_not_blown_up() -> None:
    fields: list[pa.Field[Any]] = [pa.field("n", pa.null()), pa.field("s", pa.string())]
    schema = pa.schema(fields)
    huge = pa.table({"n": pa.nulls(1 << 28)})
    with pytest.raises(ToolError, match="missing columns"):
        arrow.to_physical(huge, schema)
    assert arrow.row_width(pa.list_(pa.list_(pa.float64(), 65_536), 65_536)) == 8 * 65_536**2
