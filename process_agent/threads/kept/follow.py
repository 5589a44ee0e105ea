"""Rows that come to a thread."""

from __future__ import annotations

from collections.abc import AsyncIterator

from process_agent.core.room import Datasets, TableRef
from process_agent.threads.kept.rows import all_rows
from process_agent.threads.rows import Row, from_table

_COLUMNS = ("turn_id", "item_id", "type", "sequence", "timestamp", "data")


async def rows_since(datasets: Datasets, ref: TableRef, first: int) -> AsyncIterator[Row]:
    """The rows from the row `first` on that are there now. Raises `RoomError`."""
    async for batch in all_rows(datasets, ref, first=first, columns=_COLUMNS):
        for row in from_table(batch):
            yield row
