"""Which rows of a thread a replay reads: found from the end backwards, by few columns. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from process_agent.threads.rows import Row
from process_agent.wire.agent_messages import PREFIX

CLEARED = PREFIX + "thread.cleared"

_ASKED = (PREFIX + "turn.start", PREFIX + "turn.start.accepted")
"""Rows of a turn that can lie among those of the turns before it, while which it waited."""


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

    def go_back(self, page: Sequence[Row], start: int) -> None:
        """Extend it by the page before it, which begins at `start`."""
        first = start
        for position in range(len(page) - 1, -1, -1):
            row = page[position]
            if row.type == CLEARED:
                self.cleared, first = True, start + position + 1
                break
            if row.turn_id is not None and row.type not in _ASKED:
                if row.turn_id not in self.turns and len(self.turns) >= self.limit:
                    self.full, first = True, start + position + 1
                    break
                self.turns.add(row.turn_id)
            self.sorted = self.sorted and (self.lowest is None or row.sequence < self.lowest)
            self.lowest = row.sequence if self.lowest is None else min(self.lowest, row.sequence)
            if self.since is not None and self.since in (row.turn_id, row.item_id):
                self.first_match = start + position
        self.start = first
