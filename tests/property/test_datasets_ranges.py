"""Rows read by their place are those of a list, however they are spread over Lance and the log."""

from __future__ import annotations

import asyncio
import tempfile
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from process_agent.room_server.datasets import ranges, requests
from process_agent.room_server.datasets.arrow import read_own
from process_agent.room_server.datasets.engine import Outcome
from process_agent.room_server.datasets.names import Place, TableKey
from process_agent.room_server.datasets.ranges import Asked, Found, by_place
from process_agent.room_server.datasets.tables import Tables
from process_agent.room_server.toolkit import ToolError

KEY = TableKey(Place(("a",)), "t")
FIELDS: list[Any] = [("n", pa.int64()), ("kind", pa.string()), ("data", pa.large_string())]
SCHEMA = pa.schema(FIELDS)


def made(numbers: list[int]) -> pa.Table:
    columns = {
        "n": numbers,
        "kind": [None if n % 5 == 0 else f"k{n % 3}" for n in numbers],
        "data": ["x" * (n % 7) * 50 for n in numbers],
    }
    return pa.table(columns, schema=SCHEMA)


asked = st.builds(
    Asked,
    st.sampled_from([None, ("n",), ("kind", "n"), ("data", "n")]),
    st.none() | st.integers(0, 40),
    st.integers(1, 40),
    compact=st.booleans(),
)


@given(
    inserts=st.lists(st.tuples(st.integers(1, 6), st.booleans()), max_size=7),
    deleted=st.booleans(),
    reads=st.lists(asked, min_size=1, max_size=6),
    most=st.sampled_from([1, 400, 1 << 20]),
)
@settings(max_examples=25)
def test_they_are_those_of_a_list(
    inserts: list[tuple[int, bool]], deleted: bool, reads: list[Asked], most: int
) -> None:
    async def play(root: Path) -> None:
        tables, rows = Tables(root), list[int]()
        await tables.create(KEY, SCHEMA.empty_table(), "create")
        try:
            for count, fold in inserts:
                new = [len(rows) + n for n in range(count)]
                rows += new
                await tables.insert(KEY, made(new))
                if fold:
                    await tables.open(KEY)
            if deleted:
                rows = [n for n in rows if n % 4 != 1]
                await tables.write(KEY, partial(_delete, tables))
            for each in reads:
                _check(await tables.rows(KEY, partial(by_place, each)), each, rows, most)
        finally:
            await tables.close()

    with tempfile.TemporaryDirectory() as folder, patch.object(ranges, "MAX_BYTES", most):
        asyncio.run(play(Path(folder)))


def _delete(tables: Tables, path: Path, label: str, *, watched: bool) -> Outcome:
    return tables.engine.delete(path, label, "n % 4 = 1", watched=watched)


def _check(found: Found, each: Asked, rows: list[int], most: int) -> None:
    got: Any = read_own(found.data)
    assert found.total == len(rows)
    assert got.column_names == list(each.columns or SCHEMA.names)
    until = found.first + got.num_rows
    expected = made(rows[found.first : until]).select(got.column_names)
    assert got.to_pylist() == expected.to_pylist()
    if each.first is None:
        assert until == len(rows)
        assert found.first >= max(0, len(rows) - each.limit)
    else:
        assert found.first == min(each.first, len(rows))
        assert until <= found.first + each.limit
    wanted = rows[-each.limit :] if each.first is None else rows[each.first : each.first + each.limit]
    assert got.num_rows == len(wanted) or (most < 1 << 20 and 0 < got.num_rows < len(wanted))


@pytest.mark.parametrize("fields", [{}, {"limit": 0}, {"limit": ranges.MAX_ROWS + 1}, {"limit": "1"}])
def test_a_limit_is_given(fields: dict[str, Any]) -> None:
    with pytest.raises(ToolError, match="limit"):
        requests.range_of(fields)


async def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    tables = Tables(tmp_path)
    try:
        with pytest.raises(ToolError, match="does not exist"):
            await tables.rows(KEY, partial(by_place, Asked(None, None, 1)))
        await tables.create(KEY, SCHEMA.empty_table(), "create")
        await tables.insert(KEY, made([1]))
        with pytest.raises(ToolError, match="column 'm' does not exist"):
            await tables.rows(KEY, partial(by_place, Asked(("m",), None, 1)))
    finally:
        await tables.close()
