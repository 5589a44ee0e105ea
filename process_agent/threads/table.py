"""The table of one thread in the room's dataset: inserting, reading its end, and streaming its last turns."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Any

import pyarrow as pa

from process_agent.core import events as e
from process_agent.core.backend import KeptState
from process_agent.core.events import ThreadEvent
from process_agent.core.ids import Clock, ThreadId
from process_agent.core.room import Datasets, InOrder, TableRef
from process_agent.errors import RoomRequestError
from process_agent.io.tables import complete as complete_table
from process_agent.threads.encoded import EncodedRows
from process_agent.threads.ends import (
    MODEL_CHANGED,
    Known,
    OthersRun,
    Tail,
    Under,
    closing,
    kept_of,
    known_of,
    model_of,
    under_way,
    usage_of,
)
from process_agent.threads.indexing import Indexing
from process_agent.threads.opening import FULL, MAX_ROWS, last_turns, opening, short
from process_agent.threads.paths import NOT_FOUND
from process_agent.threads.places import last_rows, rows_from
from process_agent.threads.room_files import KINDS, MAX_FILES, files_of
from process_agent.threads.rows import STATE, BackendState, Row, from_table, to_stored
from process_agent.threads.schema import THREAD
from process_agent.threads.sequence import Sequence as RowNumbers
from process_agent.threads.sequence import choose_writer, writer_of
from process_agent.threads.upkeep import full_at
from process_agent.threads.window import CLEARED, Light, Window
from process_agent.wire.agent_messages import PREFIX

MAX_TURNS = 1000
"""Turns that a replay goes back at most."""

FIRST_REQUESTS = 100
"""Requests among which the first is looked for: those of several writers need not be in order."""

PAGE_ROWS = 2048
"""Rows read at a time."""

LIGHT_ROWS = 8_192
"""Rows at the end of the table among which the last turns are looked for first, by few columns."""

FIRST_PAGE_ROWS = 64
"""Rows that a replay reads first, so that the first event need not wait for many."""

_LIGHT = ("sequence", "turn_id", "type")
_ENDED = PREFIX + "turn.ended"
_REQUESTED = PREFIX + "turn.start"
IMAGES = PREFIX + "image_generation.completed"


class ThreadTable:
    """One thread's rows. Every method raises `RoomError` as `Datasets` does."""

    def __init__(
        self, datasets: Datasets, ref: TableRef, thread_id: ThreadId, indexing: Indexing | None = None
    ) -> None:
        self._datasets = datasets
        self._indexing = indexing
        self._ref = ref
        self._thread_id = thread_id
        self._whole: Sequence[Row] | None = None
        """All rows, as `tail` read them, for the replay that mostly follows at once,"""
        self._ahead: Window | None = None
        """or where the rows of that replay are."""
        self.row_count = 0
        """Rows there were when `tail` read them, and that were inserted since."""
        self._compacted = 0

    # --- Writing ---------------------------------------------------------------------------------

    @property
    def in_order(self) -> bool:
        """Whether inserts are; see `core.room.InOrder`."""
        return isinstance(self._datasets, InOrder) and self._datasets.in_order

    async def insert(self, rows: Sequence[Row]) -> None:
        """Append rows."""
        self._whole = self._ahead = None
        try:
            await self._datasets.insert(self._ref, EncodedRows(rows))
        except RoomRequestError as error:
            # A table of another program, or an older one, may lack columns: it gets them.
            if error.code == NOT_FOUND or not await complete_table(self._datasets, self._ref, THREAD):
                raise
            await self._datasets.insert(self._ref, EncodedRows(rows))
        self.row_count += len(rows)

    async def landed(self, rows: Sequence[Row]) -> set[int]:
        """Which numbers of these rows are in the table."""
        numbers = [row.sequence for row in rows]
        where = f"sequence >= {min(numbers)} AND sequence <= {max(numbers)}"
        found: set[int] = set()
        async for batch in self._datasets.search(self._ref, where=where, columns=["sequence"]):
            found.update(row["sequence"] for row in pa.table(batch).to_pylist())
        return found & set(numbers)

    async def ended(self, turns: Collection[str], *, but_by: int) -> set[str]:
        """Which of these turns have an end that another writer wrote."""
        if not turns:
            return set()
        where = f"type = {quoted(_ENDED)} AND turn_id IN ({', '.join(map(quoted, sorted(turns)))})"
        found: set[str] = set()
        async for batch in self._datasets.search(self._ref, where=where, columns=["turn_id", "sequence"]):
            rows = pa.table(batch).to_pylist()
            found.update(row["turn_id"] for row in rows if writer_of(row["sequence"]) != but_by)
        return found

    async def optimize(self) -> None:
        """Compact small fragments; indexes are seen to afterwards, in the background."""
        rows = self.row_count
        refresh = self._indexing is None or self._indexing.refreshes(self._ref, rows)
        full = full_at(self._compacted, rows)
        await self._datasets.optimize(self._ref, full_at=full, refresh_indexes=refresh)
        self._compacted = rows
        if self._indexing is not None:
            self._indexing.compacted(self._ref, rows, refreshed=refresh)

    # --- Reading the end -------------------------------------------------------------------------

    async def tail(
        self, clock: Clock, others_run: OthersRun, writer: int | None = None, turns: int | None = 0
    ) -> Tail:
        """Read the end of the table. A turn of which `others_run` a row, by its number, is not lost. With a
        `writer`, that is the part in our numbers; else one that is in none of the rows read. A replay of so
        many `turns`, or of as many as there may be (None), follows at once.
        """
        end = await opening(self._datasets, self._ref, _at_most(turns))
        self.row_count = self._compacted = end.total
        self._whole, self._ahead = end.held, end.window
        complete, rows = end.first == 0, end.rows
        highest = rows[-1].sequence if rows else -1
        if writer is None:
            writer = choose_writer({writer_of(row.sequence) for row in rows})
        under = under_way(self._thread_id, rows, others_run)
        return Tail(
            RowNumbers(clock, writer, highest),
            known_of(rows, end.places, complete=complete),
            under.latest,
            await self._lost(under, complete=complete),
            usage_of(rows),
            under.left,
            end.total,
        )

    async def _lost(self, under: Under, *, complete: bool) -> tuple[ThreadEvent, ...]:
        """What ends the turns that nobody runs."""
        lost: list[ThreadEvent] = []
        for turn, rows in under.turns.items():
            if turn not in under.left:
                # Part of a turn may lie before the rows at hand: it is read whole.
                whole = rows if complete else [row async for row in self._where(f"turn_id = {quoted(turn)}")]
                lost += closing(self._thread_id, whole, under.latest)
        return tuple(lost)

    async def known(self) -> Known:
        """The model chosen last, and what each backend kept last: the whole table is searched for them."""
        kinds = f"type = {quoted(MODEL_CHANGED)} OR type = {quoted(CLEARED)}"
        found = [row async for row in self._where(f"item_id = {quoted(STATE)} OR {kinds}")]
        rows = sorted(found, key=lambda row: row.sequence)
        return Known(model_of(rows), kept=kept_of(rows))

    async def ever_kept(self) -> Sequence[tuple[str, KeptState]]:
        """All that backends kept."""
        found = [to_stored(row) async for row in self._where(f"item_id = {quoted(STATE)}")]
        return [(each.backend, each.state) for each in found if isinstance(each, BackendState)]

    async def began(self) -> str | None:
        """The name of who sent the first request of the thread, as far as its rows tell."""
        found: list[Row] = []
        where = f"type = {quoted(_REQUESTED)}"
        async for batch in self._datasets.search(self._ref, where=where, columns=FULL, limit=FIRST_REQUESTS):
            found += from_table(batch)
        first = min(found, key=lambda row: row.sequence, default=None)
        stored = None if first is None else to_stored(first)
        body = stored.body if isinstance(stored, ThreadEvent) else None
        return body.sender_name if isinstance(body, e.TurnRequested) else None

    async def images(self) -> Sequence[str]:
        """Addresses of the images that were made in the thread."""
        rows = [to_stored(row) async for row in self._where(f"type = {quoted(IMAGES)}")]
        bodies = [row.body for row in rows if isinstance(row, ThreadEvent)]
        return [image.uri for body in bodies if isinstance(body, e.ImageCompleted) for image in body.images]

    async def files(self) -> set[str]:
        """Paths of the files in the room's storage that belong to the thread."""
        kinds, found = ", ".join(map(quoted, KINDS)), set[str]()
        async for row in self._where(f"type IN ({kinds})"):
            stored = to_stored(row)
            if isinstance(stored, ThreadEvent) and len(found) < MAX_FILES:
                found.update(files_of(stored.body))
        return found

    # --- Reading the last turns ------------------------------------------------------------------

    async def window(
        self,
        since: str | None,
        before: int | None = None,
        limit: int | None = None,
        *,
        as_opened: bool = False,
    ) -> Window:
        """Where the rows of the last turns are, or of the last before a row; at most `limit` turns and never
        more than `MAX_TURNS`. With `as_opened` what `tail` read of a short table is not read again.
        """
        turns = _at_most(limit or None)
        ahead, self._ahead = self._ahead, None
        if ahead is not None and as_opened and since is None and before is None and ahead.limit == turns:
            return ahead
        held = await self._held(as_opened=as_opened)
        if held is not None:
            total = len(held) if before is None else min(len(held), before)
            window = Window(total, total, turns, since, held=held)
            window.go_back(Light.of(held[:total]), 0)
        else:
            window = await self._found(Window(0, 0, turns, since), before)
        if window.first_match is not None and window.sorted:
            window.start = max(window.start, window.first_match)
        return window

    async def _held(self, *, as_opened: bool) -> Sequence[Row] | None:
        """All rows of a short table, also to stream them from."""
        whole, self._whole = self._whole, None
        if whole is not None and as_opened:
            return whole
        total, held = await short(self._datasets, self._ref, self.row_count)
        self.row_count = max(self.row_count, total)
        return held

    async def _found(self, window: Window, before: int | None) -> Window:
        """Look for the last turns from the end of a long table on, or from a row on."""
        if before is None and window.since is None:
            found = await last_turns(self._datasets, self._ref, window.limit, FIRST_PAGE_ROWS)
            if found is not None:
                return found
        columns = _LIGHT if window.since is None else (*_LIGHT, "item_id")
        if before is None:
            end = await last_rows(self._datasets, self._ref, columns, LIGHT_ROWS, compact=True)
            window.total = end.total
            window.go_back(Light.of_table(end.rows), end.first)
        else:
            window.total = window.start = before
        last = window.total
        while window.start > 0 and not window.enough:
            start = max(0, window.start - PAGE_ROWS, last - MAX_ROWS)
            if start == window.start:
                break
            window.go_back(await self._light(columns, start, window.start), start)
        return window

    async def _light(self, columns: Sequence[str], start: int, until: int) -> Light:
        """Rows without their data."""
        parts: list[Light] = []
        while start < until:
            rows = await rows_from(self._datasets, self._ref, columns, start, until - start, compact=True)
            if not rows.num_rows:
                break
            parts.append(Light.of_table(rows))
            start += rows.num_rows
        return Light.together(parts)

    async def rows(self, window: Window, later: Callable[[int], bool]) -> AsyncIterator[Row]:
        """The rows of a window, in order, from the first of its `since` on, without those that `later` tells
        by their number.

        None at all when `since` is not among them, unless the thread was cleared after it: then everything
        since then, with the clearing itself.
        """
        found = window.since is None
        async for row in self._rows(window, window.since, later):
            found = True
            yield row
        if not found and window.cleared:
            window.start -= 1
            async for row in self._rows(window, None, later):
                yield row

    async def _rows(
        self, window: Window, since: str | None, later: Callable[[int], bool]
    ) -> AsyncIterator[Row]:
        if window.sorted:
            found = self._stream(window)
        else:
            found = _each(sorted([row async for row in self._stream(window)], key=lambda row: row.sequence))
        skipping, last = since is not None, -1
        async for row in found:
            if skipping and since not in (row.turn_id, row.item_id) and not _is_message(row, since):
                continue
            skipping = False
            if row.sequence > last and not later(row.sequence):
                last = row.sequence
                yield row

    async def _stream(self, window: Window) -> AsyncIterator[Row]:
        if window.held is not None:
            for row in window.held[window.start : window.total]:
                yield row
            return
        position, count = window.start, FIRST_PAGE_ROWS
        if window.ahead is not None:
            for row in window.ahead.rows:
                yield row
            position, count = position + window.ahead.count, PAGE_ROWS
        while position < window.total:
            limit = min(count, window.total - position)
            rows = await rows_from(self._datasets, self._ref, FULL, position, limit)
            if not rows.num_rows:
                return
            for row in from_table(rows):
                yield row
            position, count = position + rows.num_rows, PAGE_ROWS

    async def _where(self, where: str) -> AsyncIterator[Row]:
        async for batch in self._datasets.search(self._ref, where=where, columns=FULL):
            for row in from_table(batch):
                yield row


def quoted(text: str) -> str:
    """A SQL string."""
    return "'" + text.replace("'", "''") + "'"


def _at_most(turns: int | None) -> int:
    return MAX_TURNS if turns is None else min(turns, MAX_TURNS)


def _is_message(row: Row, message_id: str | None) -> bool:
    """Whether the row of an item is this message; its id is in the data only."""
    if message_id is None or message_id not in row.data:
        return False
    stored: Any = to_stored(row)
    return isinstance(stored, ThreadEvent) and stored.message_id == message_id


async def _each(rows: list[Row]) -> AsyncIterator[Row]:
    for row in rows:
        yield row
