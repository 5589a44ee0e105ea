"""The end of a thread's table for one who opens it: in one call where the room can, else by place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import pyarrow as pa

from process_agent.core.groups import ByGroups, GroupsAsked, LastGroups
from process_agent.core.room import ArrowTable, Datasets, TableRef
from process_agent.threads.ends import MODEL_CHANGED, OVER, USAGE
from process_agent.threads.places import last_rows, values
from process_agent.threads.rows import THREAD_EVENT, Row, from_table
from process_agent.threads.window import ASKED, CLEARED, Ahead, Window

TAIL_ROWS = 512
"""Rows at the end of the table that are looked at when a thread is opened."""

WHOLE_ROWS = 128
"""Rows of a thread that is read whole, in a room that can give what is needed of a longer one."""

FIRST_ROWS = 16
"""Rows that are shown first: the first event need not wait for many."""

MAX_ROWS = 100_000
"""Rows that a replay goes back at most."""

FULL: Final = ("turn_id", "item_id", "type", "sequence", "timestamp", "data")


@dataclass(frozen=True, slots=True)
class Opening:
    """What was read. `rows` are those of the last ones, from the place `first` on, that say how a thread goes
    on, in the order of their numbers; `places` has where they are, by number. All rows are in `held` where
    these are the whole table. `window` is where the turns to be shown are.
    """

    total: int
    first: int
    rows: Sequence[Row]
    places: Mapping[int, int]
    held: Sequence[Row] | None = None
    window: Window | None = None


async def opening(datasets: Datasets, ref: TableRef, turns: int) -> Opening:
    """Read it; `turns` are to be shown, if any. Raises `RoomError` as `Datasets` does."""
    if isinstance(datasets, ByGroups):
        found = await datasets.end(ref, _asked(turns))
        if found is not None:
            window = None if found.groups is None else _window(found.total, found.groups, turns)
            return _opening(found.total, found.first, found.rows, found.places, window)
    end = await last_rows(datasets, ref, FULL, TAIL_ROWS)
    return _opening(end.total, end.first, end.rows, range(end.first, end.total))


async def last_turns(datasets: Datasets, ref: TableRef, turns: int, first: int) -> Window | None:
    """Where the last turns begin, with the `first` rows from there on; None where the room cannot. Raises
    `RoomError` as `Datasets` does.
    """
    if not isinstance(datasets, ByGroups):
        return None
    asked = replace(_asked(turns), whole=0, rows=1, wanted=(), latest=(), greatest=(), first=first)
    found = await datasets.end(ref, asked)
    return None if found is None or found.groups is None else _window(found.total, found.groups, turns)


def _window(total: int, groups: LastGroups, turns: int) -> Window:
    shown = pa.table(groups.rows)
    ahead = Ahead(list(from_table(shown)), shown.num_rows)
    window = Window(total, groups.start, turns, sorted=groups.ordered, ahead=ahead)
    window.cleared, window.full = groups.cut, groups.full
    return window


def _opening(
    total: int, first: int, found: ArrowTable, places: Sequence[int], window: Window | None = None
) -> Opening:
    table = pa.table(found)
    rows = list(from_table(table))
    numbers = values(table.column("sequence")) if rows else []
    at = {number: place for number, place in zip(numbers, places, strict=False) if number is not None}
    ordered = sorted(rows, key=lambda row: row.sequence)
    return Opening(total, first, ordered, at, rows if len(rows) == total else None, window)


async def short(datasets: Datasets, ref: TableRef, total: int) -> tuple[int, list[Row] | None]:
    """All rows of a table that has `total`, and may have others by now; None where it is too long. Raises
    `RoomError` as `Datasets` does.
    """
    if total > TAIL_ROWS:
        return total, None
    end = await last_rows(datasets, ref, FULL, TAIL_ROWS)
    return end.total, list(from_table(end.rows)) if end.first == 0 else None


def _asked(turns: int) -> GroupsAsked:
    return GroupsAsked(
        columns=FULL,
        whole=WHOLE_ROWS,
        rows=TAIL_ROWS,
        group="turn_id",
        kind="type",
        number="sequence",
        wanted=(THREAD_EVENT, CLEARED),
        over=OVER,
        latest=(MODEL_CHANGED, USAGE),
        greatest=("sequence", "timestamp"),
        groups=turns,
        joining=ASKED,
        cut=CLEARED,
        first=FIRST_ROWS,
        most=MAX_ROWS,
    )
