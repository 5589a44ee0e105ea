"""Indexes of a table: the names of the protocol to those of Lance, blocking."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import lance
import pyarrow as pa

from process_agent.room_server.datasets.refusals import engine_error
from process_agent.room_server.toolkit import ALREADY_EXISTS, NOT_FOUND, ToolError

SCALAR: Final = frozenset(
    ("BTREE", "BITMAP", "LABEL_LIST", "NGRAM", "ZONEMAP", "INVERTED", "FTS", "BLOOMFILTER", "RTREE")
)
VECTOR: Final = frozenset(("IVF_PQ", "IVF_HNSW_PQ", "IVF_HNSW_SQ", "IVF_RQ"))

_VECTOR_OPTIONS: Final = (
    "metric",
    "num_partitions",
    "num_sub_vectors",
    "m",
    "ef_construction",
    "max_level",
    "num_bits",
)
_TEXT_OPTIONS: Final = (
    "with_position",
    "base_tokenizer",
    "language",
    "max_token_length",
    "lower_case",
    "stem",
    "remove_stop_words",
    "ascii_folding",
)


def create(dataset: Any, config: Mapping[str, Any]) -> None:
    """Build an index. Options that name files or other places are not passed on. Raises `ToolError`."""
    column = _column(dataset, config.get("column"))
    kind = str(config.get("index_type", "")).upper()
    name = config.get("name") or f"{column}_idx"
    if not isinstance(name, str):
        raise ToolError("name must be a string")
    replace = config.get("replace") is True
    if not replace and any(index.name == name for index in dataset.describe_indices()):
        raise ToolError(f"index {name!r} already exists", code=ALREADY_EXISTS)
    try:
        if kind in SCALAR:
            options = _options(config, _TEXT_OPTIONS) if kind in ("INVERTED", "FTS") else {}
            dataset.create_scalar_index(column, kind, name=name, replace=True, **options)
        elif kind in VECTOR:
            options = _options(config, _VECTOR_OPTIONS)
            dataset.create_index(column, kind, name=name, replace=True, **options)
        else:
            raise ToolError(f"index_type must be one of {', '.join(sorted(SCALAR | VECTOR))}")
    except (ValueError, OSError, RuntimeError, TypeError, NotImplementedError, pa.ArrowException) as error:
        raise engine_error(error) from error


def drop(dataset: lance.LanceDataset, name: str) -> None:
    """Remove an index. Raises `ToolError` 1003."""
    if all(index.name != name for index in dataset.describe_indices()):
        raise ToolError(f"index {name!r} does not exist", code=NOT_FOUND)
    dataset.drop_index(name)


def describe(dataset: lance.LanceDataset) -> list[dict[str, Any]]:
    """Entries for `list_indexes`, with exactly the keys its readers allow."""
    return [
        {
            "name": index.name,
            "columns": list(index.field_names),
            "type": str(index.index_type),
            "fields": list(index.fields),
            "type_url": index.type_url,
            "num_rows_indexed": index.num_rows_indexed,
            "num_segments": len(index.segments),
            "total_size_bytes": index.total_size_bytes,
            "details_json": json.dumps(_object(index.details), default=str),
            "statistics_json": json.dumps(_object(dataset.stats.index_stats(index.name)), default=str),
        }
        for index in dataset.describe_indices()
    ]


def _column(dataset: lance.LanceDataset, column: object) -> str:
    if isinstance(column, list) and len(column) == 1:
        column = column[0]
    if not isinstance(column, str):
        raise ToolError("an index is on one column")
    if dataset.schema.get_field_index(column) < 0:
        raise ToolError(f"column {column!r} does not exist in the table")
    return column


def _options(config: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: config[name] for name in names if config.get(name) is not None}


def _object(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}
