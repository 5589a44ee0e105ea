"""Which rows of a thread a replay reads: found from the end backwards, by few columns. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

import pyarrow as pa

from process_agent.threads.places import values
from process_agent.threads.rows import Row
from process_agent.wire.agent_messages import PREFIX

CLEARED = PREFIX + "thread.cleared"

ASKED = (PREFIX + "turn.start", PREFIX + "turn.start.accepted")
"""Rows of a turn that can lie among those of the turns before it, while which it waited."""


@dataclass(frozen=True, slots=True)
class Light:
    """What turns are found by: some columns of rows that follow each other. Rows that no agent
    can have written have no number.
    """

    numbers: Sequence[int | None] = ()
    turns: Sequence[str | None] = ()
    types: Sequence[str | None] = ()
    items: Sequence[str | None] | None = None

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Light:
        """Those of whole rows."""
        return cls(
            [row.sequence for row in rows],
            [row.turn_id for row in rows],
            [row.type for row in rows],
            [row.item_id for row in rows],
        )

    @classmethod
    def of_table(cls, table: pa.Table) -> Light:
        """Those of rows as they were read, which may lack columns."""
        there = {name: values(table.column(name)) for name in table.column_names}
        nothing: list[None] = [None] * table.num_rows
        numbers = there.get("sequence", nothing)
        return cls(numbers, there.get("turn_id", nothing), there.get("type", nothing), there.get("item_id"))

    @classmethod
    def together(cls, parts: Sequence[Light]) -> Light:
        """Several that follow each other as one."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            [*chain.from_iterable(part.numbers for part in parts)],
            [*chain.from_iterable(part.turns for part in parts)],
            [*chain.from_iterable(part.types for part in parts)],
            [*chain.from_iterable(part.items or () for part in parts)],
        )


@dataclass(frozen=True, slots=True)
class Ahead:
    """The first rows of a window, which were read with the opening of the thread: `count`, with those that no
    agent can have written.
    """

    rows: Sequence[Row]
    count: int


@dataclass(slots=True)
class Window:
    """The rows `[start, total)` in table order, which is the order of their numbers if `sorted`; at most
    `limit` turns. `full` says that there are more turns before them, `cleared` that what is before them
    counts as gone; `held` are the rows of the whole table, where it is short.
    """

    total: int
    start: int
    limit: int
    since: str | None = None
    turns: set[str] = field(default_factory=set)
    first_match: int | None = None
    lowest: int | None = None
    sorted: bool = True
    cleared: bool = False
    full: bool = False
    held: Sequence[Row] | None = None
    ahead: Ahead | None = None

    @property
    def enough(self) -> bool:
        """Whether nothing before `start` belongs to it."""
        # A turn's rows lie close together: a page before its first row without another ends the search.
        found = self.first_match is not None and self.first_match > self.start
        return self.cleared or self.full or found

    @property
    def older(self) -> bool:
        """Whether there are rows before it that are not gone."""
        return self.start > 0 and not self.cleared

    def go_back(self, page: Light, start: int) -> None:
        """Extend it by the page before it, which begins at `start`."""
        first = start
        for index in range(len(page.numbers) - 1, -1, -1):
            number, turn, kind = page.numbers[index], page.turns[index], page.types[index]
            if number is None:
                continue
            if kind == CLEARED:
                self.cleared, first = True, start + index + 1
                break
            if turn is not None and turn not in self.turns and kind not in ASKED:
                if len(self.turns) >= self.limit:
                    self.full, first = True, start + index + 1
                    break
                self.turns.add(turn)
            self.sorted = self.sorted and (self.lowest is None or number < self.lowest)
            self.lowest = number if self.lowest is None else min(self.lowest, number)
            if self.since is not None and self.since in (turn, page.items and page.items[index]):
                self.first_match = start + index
        self.start = first
