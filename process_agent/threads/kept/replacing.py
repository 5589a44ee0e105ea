"""The rows of a thread in the place of those it had, with which older versions of its table go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from process_agent.core.room import Datasets, TableRef
from process_agent.errors import RoomError, RoomRequestError
from process_agent.threads.kept.rows import StoredRow, all_rows, batches, stored_rows, to_table
from process_agent.threads.paths import NOT_FOUND
from process_agent.threads.schema import THREAD


def copy_of(ref: TableRef) -> TableRef:
    """Where a table is written anew before it takes the other's place."""
    return TableRef(f"{ref.name}.scrubbed", ref.namespace)


async def read_rows(datasets: Datasets, ref: TableRef, *, put_right: bool = True) -> list[StoredRow]:
    """All rows of a thread. With `put_right`, one whose replacing broke off between the old table and the new
    is made whole first. Raises `RoomError`.
    """
    try:
        await datasets.schema(ref)
    except RoomRequestError as error:
        known = await datasets.list_tables(ref.namespace) if put_right and error.code == NOT_FOUND else ()
        if copy_of(ref).name not in known:
            raise
        await datasets.rename(copy_of(ref), ref.name)
    return [row async for batch in all_rows(datasets, ref) for row in stored_rows(batch)]


async def put(
    datasets: Datasets, ref: TableRef, rows: Iterator[StoredRow] | Sequence[StoredRow], before: int
) -> None:
    """Put rows in the place of all `before` rows of a table, whose older versions go with it. At any moment
    the old or the new rows are there whole. Raises `RoomError`, and when somebody wrote meanwhile.

    Checkpoints say where they stand, which is no longer true: they go, and the next writer makes others.
    """
    copy = copy_of(ref)
    await datasets.drop(copy)
    await datasets.create(copy, THREAD, "create")
    try:
        for batch in batches(row for row in rows if not row.is_checkpoint):
            await datasets.insert(copy, to_table(batch))
        if await datasets.count(ref) != before:
            raise RoomError("Somebody wrote in the thread meanwhile; nothing was changed.", fix="Try again.")
    except BaseException:
        await datasets.drop(copy)
        raise
    await datasets.drop(ref)
    await datasets.rename(copy, ref.name)
