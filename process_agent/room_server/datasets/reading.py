"""Reading one Lance table: what to select, in which order, at what cost. Blocking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import lance
import pyarrow as pa

from process_agent.room_server.datasets import arrow, values, where
from process_agent.room_server.datasets.refusals import attempt, engine_error
from process_agent.room_server.toolkit import ToolError

DEFAULT_NEIGHBOURS: Final = 10
"""Rows a vector search returns without a limit."""

_READ_BUFFER: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Selection:
    """What to read: a condition, texts to find, a vector to be near to, columns, and a window of rows."""

    where: str | None = None
    text: str | None = None
    text_columns: tuple[str, ...] | None = None
    vector: tuple[float, ...] | None = None
    select: tuple[str, ...] | None = None
    offset: int | None = None
    limit: int | None = None


def scan(dataset: lance.LanceDataset, chosen: Selection) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """The schema and the rows of a search, in table order unless it ranks. Raises `ToolError`."""
    logical = arrow.logical_schema(dataset.schema)
    options = scan_options(dataset, chosen)
    if chosen.limit == 0:
        del options["limit"]
    scanner = attempt(lambda: dataset.scanner(**options))
    produced = attempt(lambda: scanner.projected_schema)
    schema = pa.schema(
        [_as_declared(field, logical) for field in produced],
        metadata=dict((logical.metadata or {}).items()) or None,
    )

    def batches() -> Iterator[pa.RecordBatch]:
        if chosen.limit == 0:
            return
        try:
            for batch in scanner.to_batches():
                yield arrow.relabel(batch, schema)
        except (ValueError, OSError) as error:
            raise engine_error(error) from error

    return schema, batches()


def scan_options(dataset: lance.LanceDataset, chosen: Selection) -> dict[str, Any]:
    """Arguments of Lance's scanner. Limit and offset go down to it, so that a tail costs what it returns."""
    physical = dataset.schema
    options: dict[str, Any] = {
        "batch_size_bytes": arrow.CHUNK_BYTES,
        "io_buffer_size": _READ_BUFFER,
        "batch_readahead": 2,
        "scan_in_order": True,
        "prefilter": True,
    }
    if chosen.select is not None:
        options["columns"] = _known_columns(chosen.select, physical)
    conditions = [where.check(chosen.where, physical)] if chosen.where and chosen.where.strip() else []
    limit, offset = chosen.limit, chosen.offset
    if chosen.vector is not None:
        count = DEFAULT_NEIGHBOURS if limit is None else limit
        options["nearest"] = {
            "column": _vector_column(physical, len(chosen.vector)),
            "q": list(chosen.vector),
            "k": max(1, count + (offset or 0)),
        }
    if chosen.text:
        ranked = chosen.vector is None and _text_query(dataset, chosen)
        if ranked:
            options["full_text_query"] = ranked
        else:
            conditions.append(_contains(physical, chosen))
    if conditions:
        options["filter"] = " AND ".join(f"({condition})" for condition in conditions)
    return options | {
        key: value for key, value in (("limit", limit), ("offset", offset)) if value is not None
    }


def count_rows(dataset: lance.LanceDataset, chosen: Selection) -> int:
    """How many rows a search without limit returns."""
    if chosen.text or chosen.vector is not None:
        _, batches = scan(dataset, chosen)
        return sum(batch.num_rows for batch in batches)
    condition = where.check(chosen.where, dataset.schema) if chosen.where and chosen.where.strip() else None
    return int(attempt(lambda: dataset.count_rows(condition)))


def read_all(dataset: lance.LanceDataset, condition: str | None = None) -> pa.Table:
    """All rows, logical."""
    return to_logical(
        attempt(lambda: dataset.to_table(filter=condition)), arrow.logical_schema(dataset.schema)
    )


def to_logical(rows: pa.Table, logical: pa.Schema) -> pa.Table:
    """Stored rows under the table's logical schema."""
    return pa.Table.from_batches([arrow.relabel(batch, logical) for batch in rows.to_batches()], logical)


def _as_declared(field: pa.Field[Any], logical: pa.Schema) -> pa.Field[Any]:
    index = logical.get_field_index(field.name)
    if index < 0:
        return field
    declared = logical.field(index)
    return declared if arrow.storage_type(declared.type) == arrow.storage_type(field.type) else field


def _known_columns(names: Sequence[str], physical: pa.Schema) -> list[str]:
    for name in names:
        if physical.get_field_index(name) < 0 and physical.get_field_index(name.split(".")[0]) < 0:
            raise ToolError(f"column {name!r} does not exist in the table")
    return list(names)


def _vector_column(physical: pa.Schema, length: int) -> str:
    for field in physical:
        if pa.types.is_fixed_size_list(field.type) and field.type.list_size == length:
            return str(field.name)
    raise ToolError(f"the table has no column of vectors with {length} numbers")


def _text_columns(physical: pa.Schema, chosen: Selection) -> list[str]:
    texts = [
        field.name
        for field in physical
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
    ]
    wanted = texts if chosen.text_columns is None else [name for name in chosen.text_columns if name in texts]
    if not wanted:
        raise ToolError("there is no text column to search")
    return wanted


def _text_query(dataset: lance.LanceDataset, chosen: Selection) -> dict[str, Any] | None:
    """A ranked query when the columns have a full-text index."""
    wanted = set(_text_columns(dataset.schema, chosen))
    indexed = {
        name
        for index in dataset.describe_indices()
        if str(index.index_type).lower() == "inverted"
        for name in index.field_names
    }
    columns = sorted(wanted & indexed)
    return {"query": chosen.text, "columns": columns} if columns else None


def _contains(physical: pa.Schema, chosen: Selection) -> str:
    """Without an index: rows where one of the columns contains the text, whatever the case."""
    needle = values.quote((chosen.text or "").lower())
    return " OR ".join(f"contains(lower({quoted(n)}), {needle})" for n in _text_columns(physical, chosen))


def quoted(name: str) -> str:
    """A column name for the SQL engine inside Lance."""
    return "`" + name.replace("`", "``") + "`"
