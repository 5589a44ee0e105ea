"""The end of a table whose rows belong to groups, and where the last groups begin. Blocking.

Few columns of the rows before the end tell both; then the rows that are wanted are taken in one go. So the
costs are those of these few columns and of what is returned, at any length of the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from process_agent.core.groups import EndFound, GroupsAsked, LastGroups
from process_agent.core.room import ArrowTable
from process_agent.room_server.datasets import arrow, ranges
from process_agent.room_server.datasets.refusals import attempt
from process_agent.room_server.datasets.stored_rows import StoredRows
from process_agent.room_server.toolkit import ToolError

BACK_FIRST: Final = 8_192
"""Rows before the end among which the last groups are looked for first; then twice as many each time."""

MAX_LOOKED_BYTES: Final = 64 * 1024 * 1024
"""What the columns that are looked through may take; those of a thread take about 10 MB for all rows."""

ROWS_OF_GROUP: Final = 8
"""Rows that a group has, about: for few groups fewer rows are looked at first."""

_NONE: Final = -1
"""Stands for a kind that a row does not have, which one of a kind that nobody asked for is not."""


def answer(asked: GroupsAsked, rows: StoredRows) -> tuple[dict[str, Any], bytes]:
    """What is asked of the end of the rows as it is sent: an Arrow stream, and another one of the rows of the
    last groups behind it. Raises `ToolError`.
    """
    found = read_end(asked, rows)
    data = _stream(found.rows)
    said: dict[str, Any] = {"kind": "end", "total": found.total, "first": found.first, "whole": found.whole}
    if not found.whole:
        said["places"] = list(found.places)
    if (groups := found.groups) is not None:
        said["groups"] = {
            "start": groups.start,
            "at": len(data),
            "ordered": groups.ordered,
            "full": groups.full,
            "cut": groups.cut,
        }
        data += _stream(groups.rows)
    return said, data


def read_end(asked: GroupsAsked, rows: StoredRows) -> EndFound:
    """What is asked of the end of the rows. Raises `ToolError`."""
    schema = rows.schema(asked.columns)
    if rows.total <= asked.whole:
        everything = rows.at(schema, range(rows.total), ranges.MAX_BYTES)
        if everything is not None:
            return EndFound(rows.total, 0, True, everything, range(rows.total))
    found: EndFound = attempt(lambda: _looked_at(asked, rows, schema))
    return found


def _looked_at(asked: GroupsAsked, rows: StoredRows, schema: pa.Schema) -> EndFound:
    seen = _Seen(asked, rows)
    start, ordered, full, cut = seen.beginning() if asked.groups else (rows.total, True, False, False)
    shown: Sequence[int] = range(start, min(rows.total, start + asked.first))
    looked = min(asked.rows, rows.total)
    while True:
        picked = seen.picked(looked)
        places = sorted({*picked, *shown})
        found = rows.at(schema, places, ranges.MAX_BYTES)
        if found is not None:
            break
        if not shown:
            looked = max(1, looked // 4)
        shown = ()  # they can be read by their place
    at = {place: index for index, place in enumerate(places)}

    def of(chosen: Sequence[int]) -> pa.Table:
        return found.take(pa.array([at[place] for place in chosen], pa.int64()))

    begin = LastGroups(start, of(shown), ordered, full, cut) if asked.groups else None
    return EndFound(rows.total, rows.total - looked, False, of(picked), picked, begin)


class _Seen:
    """The last rows of a table, by few columns; `start` is the place of the first of them."""

    def __init__(self, asked: GroupsAsked, rows: StoredRows) -> None:
        self._asked = asked
        self._rows = rows
        names = dict.fromkeys((asked.group, asked.kind, asked.number, *asked.greatest))
        self._schema = rows.schema(list(names))
        _check(asked, self._schema)
        self._bytes = 0
        self._start = rows.total
        self._parts: list[pa.Table] = []
        kinds = (*asked.wanted, *asked.over, *asked.latest, *asked.joining, asked.cut)
        self._kinds = list(dict.fromkeys(kinds))
        first = min(BACK_FIRST, asked.groups * ROWS_OF_GROUP) if asked.groups else 0
        self._go_back(max(asked.rows, first))

    def _go_back(self, count: int) -> None:
        start = max(0, self._start - count)
        batches = []
        for batch in self._rows.between(self._schema, start, self._start):
            self._bytes += batch.nbytes
            if self._bytes > MAX_LOOKED_BYTES:
                raise ToolError(f"group, kind and number of the rows take more than {MAX_LOOKED_BYTES} bytes")
            batches.append(batch)
        before = _plain(pa.Table.from_batches(batches, self._schema))
        # What a row is, is looked up once: from now on kinds are numbers.
        at, name = self._schema.get_field_index(self._asked.kind), self._asked.kind
        known: Any = pa.array(self._kinds, before.column(at).type)
        codes: Any = pc.index_in(before.column(at), value_set=known)
        codes = pc.if_else(pc.is_valid(before.column(at)), codes, pa.scalar(_NONE, pa.int32()))
        self._parts.insert(0, before.set_column(at, name, codes))
        self._table: Any = pa.concat_tables(self._parts).combine_chunks()
        self._start = start

    def _among(self, kinds: Any, values: Sequence[str]) -> Any:
        codes = pa.array([self._kinds.index(value) for value in values], pa.int32())
        return pc.is_in(kinds, value_set=codes)

    def picked(self, looked: int) -> list[int]:
        """Places of the rows that are wanted of the last ones."""
        rows, asked = self._table.slice(self._table.num_rows - looked), self._asked
        group, kind, number = (rows.column(name) for name in (asked.group, asked.kind, asked.number))
        ends = pc.indices_nonzero(pc.and_(self._among(kind, asked.over), pc.is_valid(group)))
        over: Any = group.take(ends)
        going_on = pc.and_(pc.is_valid(group), pc.invert(pc.is_in(group, value_set=over.combine_chunks())))
        wanted = pc.or_(
            self._among(kind, asked.wanted), pc.is_in(kind, value_set=pa.array([_NONE], pa.int32()))
        )
        places = set(pc.indices_nonzero(pc.or_(wanted, going_on)).to_pylist())
        columns: list[Any] = [rows.column(name) for name in asked.greatest]
        columns += [pc.if_else(self._among(kind, (one,)), number, None) for one in asked.latest]
        places |= {pc.index(column, pc.max(column)).as_py() for column in columns} - {-1}
        # Whoever has a row of a group that is over must see that it is.
        said = dict(zip(over.to_pylist(), ends.to_pylist(), strict=True))
        places |= {said[name] for place in places if (name := group[place].as_py()) in said}
        begin = self._rows.total - looked
        return [begin + place for place in sorted(places)]

    def beginning(self) -> tuple[int, bool, bool, bool]:
        """Where the last groups begin, whether the numbers grow from there on, and whether there are other
        groups before, or a row that cuts them off.
        """
        while True:
            at, full, cut = self._beginning()
            seen = self._rows.total - self._start
            if full or cut or self._start == 0 or seen >= self._asked.most:
                break
            self._go_back(min(seen, self._asked.most - seen))
        numbers = self._table.column(self._asked.number).slice(at).drop_null()
        ordered = len(numbers) < 2 or pc.all(pc.less(numbers[:-1], numbers[1:])).as_py()
        return self._start + at, bool(ordered), full, cut

    def _beginning(self) -> tuple[int, bool, bool]:
        asked, rows = self._asked, self._table
        group, kind = rows.column(asked.group), rows.column(asked.kind)
        counted = pc.is_valid(rows.column(asked.number))
        cuts = pc.indices_nonzero(pc.and_(counted, self._among(kind, (asked.cut,))))
        cut = cuts[-1].as_py() if len(cuts) else -1
        begin = pc.and_(pc.and_(counted, pc.is_valid(group)), pc.invert(self._among(kind, asked.joining)))
        backwards = pc.indices_nonzero(begin)[::-1]
        # Codes are given out in the order in which values come first: the last group's is 0.
        codes: Any = group.take(backwards).combine_chunks().dictionary_encode().indices
        beyond = pc.index(codes, pa.scalar(asked.groups, codes.type)).as_py()
        last = backwards[beyond].as_py() if beyond >= 0 else -1
        return max(cut, last) + 1, last > cut, cut >= last and cut >= 0


def _check(asked: GroupsAsked, schema: pa.Schema) -> None:
    """Refuse columns that cannot be what they are asked for as, before any row is read."""
    types = {field.name: _value_type(field.type) for field in schema}
    for role, name in (("group", asked.group), ("kind", asked.kind)):
        if not (pa.types.is_string(types[name]) or pa.types.is_large_string(types[name])):
            raise ToolError(f"the column {name!r}, asked for as {role}, has no texts")
    for name in (asked.number, *asked.greatest):
        if not (pa.types.is_integer(types[name]) or pa.types.is_timestamp(types[name])):
            raise ToolError(f"the column {name!r} has neither whole numbers nor times")


def _value_type(found: pa.DataType) -> pa.DataType:
    return found.value_type if isinstance(found, pa.DictionaryType) else found


def _plain(rows: pa.Table) -> pa.Table:
    """With the values themselves where a column has a dictionary."""
    return rows.cast(pa.schema([pa.field(each.name, _value_type(each.type)) for each in rows.schema]))


def _stream(rows: ArrowTable) -> bytes:
    table = pa.table(rows)
    return arrow.encode_batches(table.schema, table.to_batches())
