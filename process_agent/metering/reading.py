"""Reads what is kept of an agent's usage."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from process_agent.core.room import Datasets
from process_agent.core.usage import UsageRecord
from process_agent.errors import RoomRequestError
from process_agent.io.tables import check_version
from process_agent.metering.records import NAME, VERSION, each_once, from_table, table_of

NOT_FOUND = 1003
"""The room's code for a table that is not there."""


def literal(moment: datetime) -> str:
    """A time in a condition, as every room takes it."""
    return f"timestamp '{moment.astimezone(UTC).strftime('%Y-%m-%dT%H:%M:%S.%fZ')}'"


async def records_of(
    datasets: Datasets, agent: str, waiting: Sequence[UsageRecord] = (), where: str | None = None
) -> list[UsageRecord]:
    """The records of an agent, each once, in order of time: all, or those of the table that `where` chooses;
    `waiting` are those on their way to the room. Raises `RoomError` as `Datasets` does, and for a table
    of a newer program; an agent without a table has none.
    """
    found = list(waiting)
    try:
        check_version(NAME, await datasets.schema(table_of(agent)), VERSION)
        async for batch in datasets.search(table_of(agent), where=where):
            found += from_table(batch)
    except RoomRequestError as error:
        if error.code != NOT_FOUND:
            raise
    return each_once(found)
