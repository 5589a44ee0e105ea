"""The table `usage` of an agent: one row for each answer of a provider. A table of ours, unknown to published
agents, beside the folder of the agent's threads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import pyarrow as pa

from process_agent.core.room import ArrowTable, TableRef
from process_agent.core.usage import Usage, UsageRecord

NAME: Final = "usage"

_COUNTS: Final = {
    "input_tokens": "input",
    "cached_tokens": "cached",
    "cache_written_tokens": "written",
    "output_tokens": "output",
    "reasoning_tokens": "reasoning",
    "web_searches": "searches",
}
"""Columns, and what of the usage is in them; null where nobody told."""

_TEXTS: Final = ("id", "agent", "thread", "turn", "backend", "provider", "model", "purpose")

_COLUMNS: list[Any] = [
    pa.field("id", pa.string(), nullable=False),
    pa.field("at", pa.timestamp("us", tz="UTC"), nullable=False),
    *(pa.field(name, pa.string(), nullable=False) for name in _TEXTS[1:]),
    pa.field("whole", pa.bool_(), nullable=False),
    pa.field("response_id", pa.string()),
    *(pa.field(name, pa.int64()) for name in _COUNTS),
    pa.field("cost", pa.float64()),
]
USAGE: pa.Schema = pa.schema(_COLUMNS)


def table_of(agent: str) -> TableRef:
    """The table of an agent."""
    return TableRef(NAME, ("agents", agent))


def to_table(records: Sequence[UsageRecord]) -> pa.Table:
    """Rows."""
    return pa.Table.from_pylist([_row(record) for record in records], schema=USAGE)


def from_table(batch: ArrowTable) -> Iterator[UsageRecord]:
    """Records; rows that are none of ours are left out."""
    for row in pa.table(batch).to_pylist():
        if (record := _record(row)) is not None:
            yield record


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
    }


def _record(row: dict[str, Any]) -> UsageRecord | None:
    """Anybody who may write the room's tables can have written the row."""
    texts: dict[str, Any] = {name: row.get(name) for name in _TEXTS}
    if row.get("at") is None or not all(isinstance(text, str) for text in texts.values()):
        return None
    counts = {part: row.get(name) for name, part in _COUNTS.items()}
    known = counts["input"] is not None
    usage = Usage(**{part: count or 0 for part, count in counts.items()}) if known else None
    whole, cost = bool(row.get("whole")), row.get("cost")
    return UsageRecord(
        **texts, at=row["at"], whole=whole, response_id=row.get("response_id"), usage=usage, cost=cost
    )
