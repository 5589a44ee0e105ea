"""Removes what is kept of an agent's usage longer than it shall be."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa

from process_agent.core.room import Datasets
from process_agent.errors import RoomRequestError
from process_agent.metering.reading import NOT_FOUND, literal
from process_agent.metering.records import table_of


async def prune(datasets: Datasets, agent: str, before: datetime, *, dry_run: bool) -> int:
    """Remove the rows of before then, and return how many they are; with `dry_run` they stay. An agent
    without a table has none. Raises `RoomError` as `Datasets` does.
    """
    table, where = table_of(agent), f"at < {literal(before)}"
    found = 0
    try:
        async for batch in datasets.search(table, where=where, columns=["id"]):
            found += pa.table(batch).num_rows
    except RoomRequestError as error:
        if error.code != NOT_FOUND:
            raise
    if found and not dry_run:
        await datasets.delete(table, where)
        await datasets.optimize(table)
    return found
