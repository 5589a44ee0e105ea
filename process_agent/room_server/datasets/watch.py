"""Who watches a table, and what happened to it since they last asked.

Writers publish after the commit, while they hold the table's write lock; a watch is registered under the
same lock. So a watch sees each change after its first snapshot exactly once, in order, and nobody polls.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from process_agent.room_server.datasets.engine import Outcome
from process_agent.room_server.toolkit import INVALID_STATE, ToolError

MAX_WAITING_BYTES: Final = 64 * 1024 * 1024
"""Changed rows one watch keeps for a reader that does not ask for them; then the watch ends."""

MAX_WAITING: Final = 10_000
"""Changes one watch keeps."""

MAX_WATCHES: Final = 1_000
"""Watches of one table."""


@dataclass(frozen=True, slots=True)
class Event:
    """Rows that changed between two versions."""

    change_type: str
    begin_version: int
    end_version: int
    rows: pa.Table


class Watch:
    """One reader's view of a table. `next` waits; `add`, `fail` and `close` wake it."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._error: ToolError | None = None
        self._closed = False

    def add(self, event: Event) -> None:
        """Queue a change; a reader that fell too far behind is told so instead."""
        if self._error is not None or self._closed:
            return
        self._bytes += event.rows.nbytes
        self._events.append(event)
        if self._bytes > MAX_WAITING_BYTES or len(self._events) > MAX_WAITING:
            self._events.clear()
            self.fail(ToolError("this watch fell too far behind; open it again", code=INVALID_STATE))
        self._wake.set()

    def fail(self, error: ToolError) -> None:
        """End the watch; changes queued before are still delivered."""
        self._error = self._error or error
        self._wake.set()

    def close(self) -> None:
        """The reader has gone."""
        self._closed = True
        self._wake.set()

    async def next(self) -> Event | None:
        """The next change, or None after `close`. Raises the error given to `fail`."""
        while not self._closed:
            if self._events:
                event = self._events.popleft()
                self._bytes -= event.rows.nbytes
                return event
            if self._error is not None:
                raise self._error
            self._wake.clear()
            await self._wake.wait()
        return None


class Feed:
    """The watches of one table."""

    def __init__(self) -> None:
        self._watches: set[Watch] = set()

    def __bool__(self) -> bool:
        return bool(self._watches)

    def join(self) -> Watch:
        """A new watch. Raises `ToolError` when there are too many."""
        if len(self._watches) >= MAX_WATCHES:
            raise ToolError(f"a table has at most {MAX_WATCHES} watches", code=INVALID_STATE)
        watch = Watch()
        self._watches.add(watch)
        return watch

    def leave(self, watch: Watch) -> None:
        """Forget a watch."""
        self._watches.discard(watch)

    def publish(self, outcome: Outcome) -> None:
        """Tell everybody."""
        for change in outcome.changes:
            if change.rows.num_rows == 0:
                continue
            event = Event(change.change_type, outcome.begin_version, outcome.end_version, change.rows)
            for watch in self._watches:
                watch.add(event)

    def fail(self, error: ToolError) -> None:
        """The table has gone."""
        for watch in self._watches:
            watch.fail(error)
