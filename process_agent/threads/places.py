"""Rows of a table by their place: in one call where the room can, else as the published protocol has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Literal

import pyarrow as pa

from process_agent.core.room import ByPlace, Datasets, Places, TableRef

_FORMS: Final[dict[pa.DataType, Literal["i", "q"]]] = {pa.int32(): "i", pa.int64(): "q"}
"""Struct types of the whole numbers that are read from Arrow's memory; others are rare."""


@dataclass(frozen=True, slots=True)
class End:
    """The last rows of a table that has `total`, the first of them at `first`."""

    rows: pa.Table
    first: int
    total: int


async def last_rows(
    datasets: Datasets, ref: TableRef, columns: Sequence[str], limit: int, *, compact: bool = False
) -> End:
    """The last rows, at most `limit`. Raises `RoomError` as `Datasets` does."""
    found = await _at_once(datasets, ref, columns, limit, None, compact)
    if found is not None:
        return End(pa.table(found.rows), found.first, found.total)
    total = await datasets.count(ref)
    first = max(0, total - limit)
    if total == 0:
        return End(pa.table({}), 0, 0)
    rows = await _searched(datasets, ref, columns, first, total - first)
    return End(rows, first, first + rows.num_rows)


async def rows_from(
    datasets: Datasets,
    ref: TableRef,
    columns: Sequence[str],
    first: int,
    limit: int,
    *,
    compact: bool = False,
) -> pa.Table:
    """Rows from a place on: at most `limit`, fewer where they are large, none at the end of the table. Raises
    `RoomError` as `Datasets` does.
    """
    found = await _at_once(datasets, ref, columns, limit, first, compact)
    if found is not None:
        return pa.table(found.rows)
    return await _searched(datasets, ref, columns, first, limit)


async def _at_once(
    datasets: Datasets, ref: TableRef, columns: Sequence[str], limit: int, first: int | None, compact: bool
) -> Places | None:
    if not isinstance(datasets, ByPlace):
        return None
    return await datasets.read(ref, columns, limit, first=first, compact=compact)


async def _searched(
    datasets: Datasets, ref: TableRef, columns: Sequence[str], first: int, limit: int
) -> pa.Table:
    batches = [
        pa.table(batch) async for batch in datasets.search(ref, columns=columns, offset=first, limit=limit)
    ]
    return pa.concat_tables(batches) if batches else pa.table({})


def values(column: Any) -> list[Any]:
    """The values of a column; those of a dictionary are made once each."""
    found: list[Any] = []
    for chunk in column.chunks:
        if pa.types.is_dictionary(chunk.type):
            words = chunk.dictionary.to_pylist()
            found += [None if code is None else words[code] for code in _numbers(chunk.indices)]
        elif isinstance(chunk, pa.ExtensionArray):
            found += _values(chunk.storage)
        else:
            found += _values(chunk)
    return found


def _values(array: Any) -> list[Any]:
    if pa.types.is_int64(array.type):
        return _numbers(array)
    if pa.types.is_string(array.type):
        return _texts(array, "i")
    return _texts(array, "q") if pa.types.is_large_string(array.type) else array.to_pylist()


def _texts(array: Any, offset: str) -> list[Any]:
    """Texts, whose ends have the struct type `offset`. Arrow's own conversion takes five times as long."""
    if not len(array) or (data := array.buffers()[2]) is None:
        return list(array.to_pylist())
    memory: Any = memoryview(array.buffers()[1])
    ends = memory.cast(offset)[array.offset : array.offset + len(array) + 1].tolist()
    first = ends[0]
    raw = data.slice(first, ends[-1] - first).to_pybytes()
    places = pairwise(ends) if first == 0 else pairwise([end - first for end in ends])
    if raw.isascii():
        text = raw.decode()
        found: list[Any] = [text[start:end] for start, end in places]
    else:
        found = [raw[start:end].decode() for start, end in places]
    if array.null_count:
        found = [
            text if there else None for text, there in zip(found, array.is_valid().to_pylist(), strict=True)
        ]
    return found


def _numbers(array: Any) -> list[Any]:
    """Whole numbers; Arrow's own conversion makes an object of its own for each first."""
    form = _FORMS.get(array.type)
    if array.null_count or not len(array) or form is None:
        return list(array.to_pylist())
    numbers: Any = memoryview(array.buffers()[1]).cast(form)
    return list(numbers[array.offset : array.offset + len(array)])
