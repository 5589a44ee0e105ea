"""Tables in memory whose end can be read with its groups: `core.groups.ByGroups`, row by row from the end."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from process_agent.core.groups import EndFound, GroupsAsked, LastGroups
from process_agent.core.room import TableRef
from tests.fakes.datasets import PlacedDatasets


def picked(rows: Sequence[dict[str, Any]], asked: GroupsAsked) -> list[int]:
    """Which of these last rows are wanted."""
    over = {row[asked.group]: place for place, row in enumerate(rows) if row[asked.kind] in asked.over}
    places = set()
    for place, row in enumerate(rows):
        if (
            row[asked.kind] is None
            or row[asked.kind] in asked.wanted
            or (row[asked.group] is not None and row[asked.group] not in over)
        ):
            places.add(place)
    columns = [[row[name] for row in rows] for name in asked.greatest]
    columns += [
        [row[asked.number] if row[asked.kind] == one else None for row in rows] for one in asked.latest
    ]
    for values in columns:
        known = [value for value in values if value is not None]
        if known:
            places.add(values.index(max(known)))
    ends = {over.get(rows[place][asked.group] or "", place) for place in places}
    return sorted(places | ends)


def beginning(rows: Sequence[dict[str, Any]], asked: GroupsAsked) -> tuple[int, bool, bool, bool]:
    """Where the last groups begin, whether their numbers grow, and why not before."""
    groups: set[str] = set()
    start, full, cut, numbers = len(rows), False, False, list[int]()
    for place in range(len(rows) - 1, -1, -1):
        number, group, kind = (rows[place][name] for name in (asked.number, asked.group, asked.kind))
        if number is not None and kind == asked.cut:
            cut = True
            break
        if number is not None and group is not None and kind not in asked.joining and group not in groups:
            if len(groups) == asked.groups:
                full = True
                break
            groups.add(group)
        start = place
        numbers += [number] if number is not None else []
    ordered = all(later > earlier for later, earlier in itertools.pairwise(numbers))
    return start, ordered, full, cut


class GroupedDatasets(PlacedDatasets):
    """See above."""

    async def end(self, table: TableRef, asked: GroupsAsked) -> EndFound | None:
        self._note("end", table)
        there = self._table(table)
        given, total = there.select(list(asked.columns)), there.num_rows
        if total <= asked.whole:
            return EndFound(total, 0, True, given, range(total))
        rows = there.to_pylist()
        first = max(0, total - asked.rows)
        places = [first + place for place in picked(rows[first:], asked)]
        tail = given.take(pa.array(places, pa.int64()))
        if not asked.groups:
            return EndFound(total, first, False, tail, places)
        back = max(0, total - asked.most)
        start, ordered, full, cut = beginning(rows[back:], asked)
        shown = given.slice(back + start, asked.first)
        return EndFound(
            total, first, False, tail, places, LastGroups(back + start, shown, ordered, full, cut)
        )
