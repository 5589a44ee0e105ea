"""Tables of the room that are as this version of the program needs them.

The tables of threads, their list and images have columns that published agents know; older ones may lack
some, which are added. Tables of our own have versions, each with columns that the one before had not. New
ones are marked with the version that brings them, so that a program that does not know it says so instead of
writing half of what it should.
"""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa

from process_agent.core.room import ArrowSchema, Datasets, TableRef
from process_agent.errors import NewerTableError, RoomError

MARK: Final = b"process.version"
"""Metadata of a column: the version of the table that brought it."""


def version_of(schema: pa.Schema) -> int:
    """The highest version that a column is marked with; 1 where none is."""
    marks = [(field.metadata or {}).get(MARK, b"1") for field in schema]
    return max((int(mark) for mark in marks if mark.isdigit()), default=1)


def lacking(there: pa.Schema, wanted: pa.Schema) -> pa.Schema:
    """The columns that are wanted and not there."""
    return pa.schema([field for field in wanted if field.name not in there.names])


def check_version(name: str, schema: ArrowSchema, known: int) -> pa.Schema:
    """The schema of a table of ours. Raises `RoomError` when a newer program made it what it is."""
    columns: Any = schema
    there = pa.schema(columns)
    found = version_of(there)
    if found > known:
        raise NewerTableError(
            f"The table {name} of the room has version {found}; this program knows {known}.",
            fix="Update the program: a newer one has used this room.",
        )
    return there


async def up_to_date(datasets: Datasets, table: TableRef, wanted: pa.Schema, *, version: int = 1) -> None:
    """Make a table if it is missing, and add the columns that it lacks. Raises `RoomError`, also for a table
    that a newer program made.
    """
    await datasets.create(table, wanted, "create_if_not_exists")
    await complete(datasets, table, wanted, version=version)


async def complete(datasets: Datasets, table: TableRef, wanted: pa.Schema, *, version: int = 1) -> bool:
    """Add the columns that a table lacks; whether there were any. Raises what `up_to_date` raises."""
    added = lacking(check_version(table.name, await datasets.schema(table), version), wanted)
    if not added.names:
        return False
    needed = [field.name for field in added if not field.nullable]
    if needed:
        raise RoomError(
            f"The table {table.name} of the room lacks {', '.join(needed)}: it is none of this program.",
            fix="Rename or drop it; it is made again.",
        )
    await datasets.add_columns(table, added)
    return True
