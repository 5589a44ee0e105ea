"""Indexes of long threads, which answer what a whole thread is asked for: made in the background, once.

What is asked for by place or number needs none: rows are found by position, and by number Lance passes over
whole fragments.
"""

from __future__ import annotations

import logging
from typing import Final

from process_agent.core.room import Datasets, IndexKind, TableRef
from process_agent.errors import RoomError, RoomRequestError
from process_agent.io.tasks import Tasks

logger = logging.getLogger(__name__)

INDEX_FROM: Final = 65_536
"""Rows of a thread from which on it is indexed; a question to fewer takes a few milliseconds without."""

COLUMNS: Final[dict[str, IndexKind]] = {"item_id": "BTREE", "turn_id": "BTREE", "type": "BITMAP"}
"""What conditions of a thread's reads name: the state of a backend, the rows of a turn, those of a type."""

GROWTH: Final = 16
"""A table's indexes are brought up to date when it grew by this part of the rows they know: a room may write
them anew for that. Rows they do not know are read.
"""

MAX_KNOWN: Final = 1_024
"""Tables that are remembered; those seen the longest time ago are looked at again."""

_OF_THE_TABLE = frozenset((1003, 1004, 1005))
"""Room errors that are about one table: gone, indexed by somebody else meanwhile, changed meanwhile."""


class Indexing:
    """Sees to the indexes of each long table once while it runs, one table at a time. A room that refuses is
    not asked again.
    """

    def __init__(self, datasets: Datasets, tasks: Tasks) -> None:
        self._datasets = datasets
        self._tasks = tasks
        self._indexed: dict[TableRef, int] = {}
        """Rows that the indexes of a table know, as far as we know."""
        self._due: dict[TableRef, int] = {}
        """Tables to be looked at, and their rows."""
        self._working = False
        self._refused = False

    def refreshes(self, table: TableRef, rows: int) -> bool:
        """Whether compacting a table of `rows` rows brings its indexes up to date."""
        if rows < INDEX_FROM:
            return True
        known = self._indexed.get(table)
        return known is not None and (rows - known) * GROWTH >= known

    def compacted(self, table: TableRef, rows: int, *, refreshed: bool) -> None:
        """A table of `rows` rows was compacted: its indexes are looked for when they were not yet."""
        if rows < INDEX_FROM:
            return
        if table in self._indexed:
            if refreshed:
                self._indexed[table] = rows
            return
        self._indexed[table] = rows
        while len(self._indexed) > MAX_KNOWN:
            del self._indexed[next(iter(self._indexed))]
        if not self._refused:
            self._due[table] = rows
            if not self._working:
                self._working = True
                self._tasks.start(self._work(), "indexes")

    async def _work(self) -> None:
        try:
            while self._due and not self._refused:
                table = next(iter(self._due))
                await self._see_to(table, self._due.pop(table))
        finally:
            self._due.clear()
            self._working = False

    async def _see_to(self, table: TableRef, rows: int) -> None:
        try:
            found = await self._datasets.list_indexes(table)
            there = {column: each.rows for each in found for column in each.columns[:1]}
            for column, kind in COLUMNS.items():
                if column not in there:
                    await self._datasets.create_index(table, column, kind)
                    logger.info("%s of the thread's table %s is indexed", column, table.name)
            self._indexed[table] = min([rows, *(known for known in there.values() if known is not None)])
        except RoomError as error:
            self._refused = isinstance(error, RoomRequestError) and error.code not in _OF_THE_TABLE
            logger.info("the table %s is not indexed: %s", table.name, error)
