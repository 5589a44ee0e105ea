"""Upkeep of the tables beside the threads: compacted after many writes, off the way of everything else.

Tables of threads are compacted by their writers, after the end of a turn. The list, owners and images change
by single rows, and each change leaves a fragment and a version behind.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from process_agent.core.room import Datasets, TableRef
from process_agent.errors import RoomError
from process_agent.io.tasks import Tasks

logger = logging.getLogger(__name__)

EVERY: Final = 256
"""Writes to a table between two compactions."""

TIERS: Final = (1_024, 32_768, 1_048_576)
"""Rows of a fragment that is full, at most times, seldom, and hardly ever."""

STEP: Final = 8_192
"""Rows of a table between two times at which the next tier is compacted; 32 times as many for the last."""

QUIET_SECONDS: Final = 5.0
"""How long after the last of them it is compacted."""


def full_at(before: int, rows: int) -> int:
    """Rows of a fragment that is left as it is, when a table had `before` rows at the last compaction and now
    has `rows`. Compacted whole each time, all of it would be written again each time.
    """
    if rows // (32 * STEP) > before // (32 * STEP):
        return TIERS[2]
    return TIERS[1] if rows // STEP > before // STEP else TIERS[0]


class Upkeep:
    """Counts writes; compacts one table at a time."""

    def __init__(
        self, datasets: Datasets, tasks: Tasks, *, every: int = EVERY, quiet_seconds: float = QUIET_SECONDS
    ) -> None:
        self._datasets = datasets
        self._tasks = tasks
        self._every = every
        self._quiet = quiet_seconds
        self._writes: dict[TableRef, int] = {}
        self._working: asyncio.Task[None] | None = None

    def wrote(self, table: TableRef) -> None:
        """A table was written to."""
        self._writes[table] = self._writes.get(table, 0) + 1
        if self._writes[table] >= self._every and self._working is None:
            self._working = self._tasks.start(self._work(), "upkeep")

    async def _work(self) -> None:
        try:
            while due := [table for table, writes in self._writes.items() if writes >= self._every]:
                await asyncio.sleep(self._quiet)
                for table in due:
                    self._writes[table] = 0
                    await self._compact(table)
        finally:
            self._working = None

    async def _compact(self, table: TableRef) -> None:
        try:
            await self._datasets.optimize(table)
        except RoomError as error:
            logger.info("the table %s was not compacted: %s", table.name, error)
