"""Rows encoded here are, for Arrow, the rows they were made of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from process_agent.threads.encoded import EncodedRows
from process_agent.threads.rows import Row, from_table
from process_agent.threads.schema import THREAD

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
moments = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
made = st.builds(Row, st.none() | texts, texts, texts, st.integers(0, 2**53), moments, texts)


def arrow_of(rows: list[Row]) -> pa.Table:
    cells = [[r.turn_id, r.item_id, r.type, r.sequence, r.timestamp, r.data, None] for r in rows]
    columns: list[Any] = []
    for values, field in zip(zip(*cells, strict=True), THREAD, strict=True):
        extension = isinstance(field.type, pa.BaseExtensionType)
        storage: Any = pa.array(values, field.type.storage_type if extension else field.type)
        columns.append(pa.ExtensionArray.from_storage(field.type, storage) if extension else storage)
    return pa.Table.from_arrays(columns, schema=THREAD)


@given(st.lists(made, min_size=1, max_size=20))
def test_arrow_reads_the_rows_that_were_given(rows: list[Row]) -> None:
    table = pa.table(EncodedRows(rows))
    table.validate(full=True)
    assert table.schema.equals(THREAD, check_metadata=True)
    assert table.equals(arrow_of(rows))
    assert list(from_table(EncodedRows(rows))) == rows


def test_no_rows_are_a_stream_too() -> None:
    table = pa.table(EncodedRows([]))
    assert table.num_rows == 0
    assert table.schema.equals(THREAD, check_metadata=True)


def test_many_rows_and_long_texts() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [Row(None if n % 3 else "t", f"i{n}", "a", n, moment, "é" * (n % 700)) for n in range(5000)]
    assert pa.table(EncodedRows(rows)).equals(arrow_of(rows))
