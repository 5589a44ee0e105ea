"""The tables of threads, exactly as the published process agent has them (agent protocol, section 6).

`data` is an Arrow JSON column over large text, and both it and `attachment` ask Lance for zstd compression:
published agents compare schemas on open and add what is missing.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

_ZSTD = {"lance-encoding:compression": "zstd"}

DATA: Any = pa.json_(pa.large_string())

_THREAD: list[Any] = [
    pa.field("turn_id", pa.string()),
    pa.field("item_id", pa.string(), nullable=False),
    pa.field("type", pa.string()),
    pa.field("sequence", pa.int64(), nullable=False),
    pa.field("timestamp", pa.timestamp("us", tz="UTC"), nullable=False),
    pa.field("data", DATA, nullable=False, metadata=_ZSTD),
    pa.field("attachment", pa.large_binary(), metadata=_ZSTD),
]

THREAD: pa.Schema = pa.schema(_THREAD)
"""One row per event of a thread (section 6.2)."""

INDEX = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("name", pa.string()),
        pa.field("created_at", pa.string()),
        pa.field("modified_at", pa.string()),
    ]
)
"""One row per thread (section 6.6); times are ISO text."""

INDEX_TABLE = "index"

OWNERS = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("owner", pa.string(), nullable=False),
        pa.field("claimed_at", pa.string(), nullable=False),
    ]
)
"""Whose each thread is, where participants have their own: a table of ours, unknown to published agents. Of
several rows of one path the first claim counts.
"""

OWNERS_TABLE = "owners"

_LEASES: list[Any] = [
    pa.field("holder", pa.string(), nullable=False),
    pa.field("writer", pa.int64(), nullable=False),
    pa.field("since", pa.string(), nullable=False),
    pa.field("renewed_at", pa.string(), nullable=False),
    pa.field("process", pa.string()),
]

LEASES: pa.Schema = pa.schema(_LEASES)
"""Which agents write threads now: a table of ours; see `core.leases`. Times are ISO text."""

LEASES_TABLE = "leases"
