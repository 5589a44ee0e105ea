"""Indexes of a table: the names of the protocol to those of Lance, blocking."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import lance
import pyarrow as pa
from lance.commit import CommitConflictError

from process_agent.room_server.datasets.durable import sync_indexes, sync_version
from process_agent.room_server.datasets.refusals import Preempted, attempt, engine_error
from process_agent.room_server.toolkit import ALREADY_EXISTS, CONFLICT, NOT_FOUND, ToolError

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


FRESH_BYTES: Final = 256 * 1024
"""Parts of an index up to this size are written anew with the rows that come to it."""


def create(dataset: Any, path: Path, config: Mapping[str, Any]) -> None:
    """Build an index of the rows in a snapshot; others may write meanwhile. Options that name files or other
    places are not passed on. Raises `ToolError`, `Preempted` when rows that it is about were replaced.
    """
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
    except CommitConflictError as error:
        raise Preempted("the table was changed while the index was built", code=CONFLICT) from error
    except (ValueError, OSError, RuntimeError, TypeError, NotImplementedError, pa.ArrowException) as error:
        raise engine_error(error) from error
    sync_indexes(dataset, path)
    sync_version(dataset, path, dataset)


def refresh(dataset: lance.LanceDataset, path: Path) -> None:
    """Take the rows that came since into the indexes; others may write meanwhile. Raises `ToolError`,
    `Preempted` as `create` does.

    Lance writes an index anew for that, 18 MB at a million rows. Here each gets a small part more, and parts
    are put together as they grow, so that each byte is written again a few times in its life.
    """
    there = {each.fragment_id: each.metadata.physical_rows for each in dataset.get_fragments()}
    for index in dataset.describe_indices():
        known = {number for part in index.segments for number in part.fragment_ids}
        rows = sum(count for number, count in there.items() if number not in known)
        if not rows:
            continue
        sizes = [part.size_bytes or 0 for part in index.segments]
        merged = parts_to_merge(sizes, sum(sizes) * rows // max(1, index.num_rows_indexed))
        options: dict[str, Any] = {"index_names": [index.name], "num_indices_to_merge": merged}
        try:
            attempt(partial(dataset.optimize.optimize_indices, **options))
        except ToolError as error:
            if isinstance(error.__cause__, CommitConflictError):
                raise Preempted(str(error), code=CONFLICT) from error
            raise
    sync_indexes(dataset, path)
    sync_version(dataset, path, dataset)


def parts_to_merge(sizes: Sequence[int], coming: int) -> int:
    """How many of the newest parts of an index, whose sizes are given the oldest first, are put together with
    the rows to come, which take about `coming` bytes: those no larger than all that is newer.
    """
    merged, newer = 0, max(FRESH_BYTES, coming)
    for size in reversed(sizes):
        if size > newer:
            break
        merged, newer = merged + 1, newer + size
    return merged


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
