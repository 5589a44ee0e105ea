"""The table `usage` of an agent: one row for each answer of a provider. A table of ours, unknown to published
agents, beside the folder of the agent's threads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pyarrow as pa

from process_agent.core.room import ArrowTable, TableRef
from process_agent.core.usage import Usage, UsageRecord

NAME: Final = "usage"

MAX_IMAGES: Final = 10_000
"""Images of one call, as far as they are believed."""

_COUNTS: Final = {
    "input_tokens": "input",
    "cached_tokens": "cached",
    "cache_written_tokens": "written",
    "output_tokens": "output",
    "reasoning_tokens": "reasoning",
    "web_searches": "searches",
}
"""Columns, and what of the usage is in them; null where nobody told."""

_LATER: Final = ("images", "unpriced_pieces")
"""Columns that tables of earlier versions lack. Rows from then have no price for any search."""

VERSION: Final = 3
"""Of the table. 1 had no `web_searches`, 2 none of `_LATER`."""

_MAY_LACK: Final = frozenset((*_LATER, "web_searches"))

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_TEXTS: Final = ("id", "agent", "thread", "turn", "backend", "provider", "model", "purpose")

_COLUMNS: list[Any] = [
    pa.field("id", pa.string(), nullable=False),
    pa.field("at", pa.timestamp("us", tz="UTC"), nullable=False),
    *(pa.field(name, pa.string(), nullable=False) for name in _TEXTS[1:]),
    pa.field("whole", pa.bool_(), nullable=False),
    pa.field("response_id", pa.string()),
    *(pa.field(name, pa.int64()) for name in _COUNTS),
    pa.field("cost", pa.float64()),
    *(pa.field(name, pa.int64()) for name in _LATER),
]
USAGE: pa.Schema = pa.schema(_COLUMNS)


def table_of(agent: str) -> TableRef:
    """The table of an agent."""
    return TableRef(NAME, ("agents", agent))


def to_table(records: Sequence[UsageRecord], columns: Collection[str] = frozenset(USAGE.names)) -> pa.Table:
    """Rows, for a table that has these columns."""
    rows = pa.Table.from_pylist([_row(record) for record in records], schema=USAGE)
    return rows.select([name for name in USAGE.names if name in columns or name not in _MAY_LACK])


def from_table(batch: ArrowTable) -> Iterator[UsageRecord]:
    """Records; rows that are none of ours are left out. Column by column, which is ten times as fast."""
    table = pa.table(batch)
    if not set(USAGE.names) - _MAY_LACK <= set(table.column_names):
        return
    # Times as numbers: Arrow takes 20 µs to make one of Python's.
    times = table["at"].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_pylist()
    texts, counts, others = (
        zip(*(_cells(table, name) for name in names), strict=True)
        for names in (_TEXTS, _COUNTS, ("whole", "response_id", "cost"))
    )
    later = zip(*(_cells(table, name) for name in _LATER), strict=True)
    for at, said, told, (whole, response_id, cost), (images, pieces) in zip(
        times, texts, counts, others, later, strict=True
    ):
        if at is None or not all(isinstance(text, str) for text in said):
            continue  # anybody who may write the room's tables can have written the row
        usage = (
            None
            if told[0] is None
            else Usage(
                **{part: count or 0 for part, count in zip(_COUNTS.values(), told, strict=True)},
                images=("",) * min(images or 0, MAX_IMAGES),
            )
        )
        named = dict(zip(_TEXTS, said, strict=True))
        moment = _EPOCH + timedelta(microseconds=at)
        yield UsageRecord(
            **named,
            at=moment,
            whole=bool(whole),
            response_id=response_id,
            usage=usage,
            cost=cost,
            unpriced_pieces=(usage.searches if usage else 0) if pieces is None else pieces,
        )


def each_once(records: Iterable[UsageRecord]) -> list[UsageRecord]:
    """The records without repetitions, in order of time."""
    found = {record.id: record for record in records}
    return sorted(found.values(), key=lambda record: record.at)


def _row(record: UsageRecord) -> dict[str, Any]:
    usage = record.usage
    return {
        **{name: getattr(record, name) for name in _TEXTS},
        "at": record.at,
        "whole": record.whole,
        "response_id": record.response_id,
        **{name: None if usage is None else getattr(usage, part) for name, part in _COUNTS.items()},
        "cost": record.cost,
        "images": None if usage is None else len(usage.images),
        "unpriced_pieces": record.unpriced_pieces,
    }


def _cells(table: pa.Table, name: str) -> list[Any]:
    return table[name].to_pylist() if name in table.column_names else [None] * table.num_rows
