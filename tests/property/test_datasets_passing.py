"""Rows that are stored as they came are those that the long way would have stored, or are refused by both."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_agent.room_server.datasets import arrow
from process_agent.room_server.datasets.passing import as_stored
from process_agent.room_server.datasets.shapes import Shape
from process_agent.room_server.toolkit import ToolError
from process_agent.rooms.datasets import _stream_of
from process_agent.threads.encoded import EncodedRows
from process_agent.threads.rows import Row
from process_agent.threads.schema import INDEX, LEASES, OWNERS, THREAD
from process_agent.wire.arrow_ipc import END

SHAPE = Shape.of(arrow.physical_schema(THREAD))
NOW = datetime(2026, 1, 1, tzinfo=UTC)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
rows = st.lists(
    st.builds(
        Row,
        st.none() | texts,
        texts,
        texts,
        st.integers(0, 2**53),
        st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
        texts,
    ),
    min_size=1,
    max_size=5,
)


def long_way(sent: bytes) -> pa.Table:
    return arrow.to_physical(arrow.decode_table(sent), SHAPE.logical, SHAPE.physical)


def a_stream() -> bytes:
    return EncodedRows([Row("t", "i", "a.type", 1, NOW, '{"text": "x"}')]).ipc_stream()


@given(rows)
def test_what_is_stored_is_what_the_long_way_stores(some: list[Row]) -> None:
    sent = EncodedRows(some).ipc_stream()
    stored = as_stored(sent, SHAPE)
    assert stored is not None
    assert stored.rows == len(some)
    kept = arrow.read_own(stored.stream)
    assert kept.schema.equals(SHAPE.physical, check_metadata=True)
    assert kept.equals(long_way(sent))


@pytest.mark.parametrize(
    "schema", [THREAD, INDEX, LEASES, OWNERS], ids=["thread", "index", "leases", "owners"]
)
def test_tables_of_agents_need_no_casting(schema: pa.Schema) -> None:
    shape = Shape.of(arrow.physical_schema(arrow.decode_schema(arrow.encode_schema(schema))))
    assert shape.logged
    assert as_stored(_stream_of(arrow.no_rows(schema)), shape) is not None


@given(st.data())
def test_damaged_streams_are_refused_or_mean_the_same_both_ways(data: st.DataObject) -> None:
    sent = bytearray(a_stream())
    for place in data.draw(st.lists(st.integers(0, len(sent) - 1), min_size=1, max_size=3)):
        sent[place] = data.draw(st.integers(0, 255))
    try:
        stored = as_stored(bytes(sent), SHAPE)
    except ToolError:
        return
    if stored is not None:
        assert arrow.read_own(stored.stream).equals(long_way(bytes(sent)))


@given(st.binary(max_size=60))
def test_what_follows_the_schema_is_looked_at(rest: bytes) -> None:
    try:
        stored = as_stored(SHAPE.sent + rest + END, SHAPE)
    except ToolError:
        return
    assert stored is None or stored.rows == arrow.read_own(stored.stream).num_rows


def test_another_schema_goes_the_long_way() -> None:
    sent = arrow.encode_batches(pa.schema([("n", pa.int64())]), [])
    assert as_stored(sent, SHAPE) is None


def test_compressed_rows_are_refused() -> None:
    sink = pa.BufferOutputStream()
    table = pa.table(EncodedRows([Row("t", "i", "a.type", 1, NOW, "x" * 4000)]))
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    with pytest.raises(ToolError, match="without compression"):
        as_stored(sink.getvalue().to_pybytes(), SHAPE)


def test_nulls_are_refused_where_the_table_has_none() -> None:
    schema = pa.schema([pa.field("n", pa.int64(), nullable=False)])
    shape = Shape.of(arrow.physical_schema(schema))
    batch = pa.record_batch([pa.array([1, None])], schema=pa.schema([pa.field("n", pa.int64())]))
    body = batch.serialize().to_pybytes()
    with pytest.raises(ToolError, match="must not be null"):
        as_stored(shape.sent + body + END, shape)
