"""The table of one thread in the room's dataset: inserting, reading its end, and streaming its last turns."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from process_agent.core import events as e
from process_agent.core.backend import KeptState
from process_agent.core.events import ThreadEvent
from process_agent.core.ids import Clock, ThreadId, TurnId
from process_agent.core.models import ModelChoice
from process_agent.core.room import Datasets, InOrder, TableRef
from process_agent.errors import RoomRequestError
from process_agent.io.tables import complete
from process_agent.threads.encoded import EncodedRows
from process_agent.threads.paths import NOT_FOUND
from process_agent.threads.reading import Reading
from process_agent.threads.room_files import KINDS, MAX_FILES, files_of
from process_agent.threads.rows import STATE, BackendState, Row, from_table, to_stored
from process_agent.threads.schema import THREAD
from process_agent.threads.sequence import Sequence as RowNumbers
from process_agent.threads.sequence import choose_writer, writer_of
from process_agent.threads.upkeep import full_at
from process_agent.threads.window import CLEARED, Window
from process_agent.wire.agent_messages import PREFIX

MAX_TURNS = 1000
"""Turns that a replay goes back at most."""

MAX_ROWS = 100_000
"""Rows that a replay goes back at most."""

TAIL_ROWS = 512
"""Rows at the end of the table that are looked at when a thread is opened."""

FIRST_ROWS = 100
"""Requests among which the first is looked for: those of several writers need not be in order."""

PAGE_ROWS = 2048
"""Rows read at a time."""

_LIGHT = ("sequence", "turn_id", "item_id", "type")
_MODEL_CHANGED = PREFIX + "model.changed"
_ENDED = PREFIX + "turn.ended"
_REQUESTED = PREFIX + "turn.start"
_USAGE = PREFIX + "usage.updated"
IMAGES = PREFIX + "image_generation.completed"


_FULL = ("turn_id", "item_id", "type", "sequence", "timestamp", "data")
_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Tail:
    """What the end of a table says: how rows go on, which turns were lost, the model chosen last, the usage
    told last, and what backends kept (None: it has to be looked for).

    `complete` means that it was the whole table.
    """

    sequence: RowNumbers
    latest: datetime = _EPOCH
    lost: tuple[ThreadEvent, ...] = ()
    model: ModelChoice | None = None
    usage: ThreadEvent | None = None
    kept: Mapping[str, KeptState] | None = None
    complete: bool = True
    left: frozenset[TurnId] = frozenset()
    """Turns under way that others run."""


type OthersRun = Callable[[int], bool]
"""Whether somebody else may still run the turn of a row with this number."""


class ThreadTable:
    """One thread's rows. Every method raises `RoomError` as `Datasets` does."""

    def __init__(self, datasets: Datasets, ref: TableRef, thread_id: ThreadId) -> None:
        self._datasets = datasets
        self._ref = ref
        self._thread_id = thread_id
        self._whole: list[Row] | None = None
        """All rows, as `tail` read them, for the replay that mostly follows at once."""
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
        self._whole = None
        try:
            await self._datasets.insert(self._ref, EncodedRows(rows))
        except RoomRequestError as error:
            # A table of another program, or an older one, may lack columns: it gets them.
            if error.code == NOT_FOUND or not await complete(self._datasets, self._ref, THREAD):
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
        """Compact small fragments."""
        await self._datasets.optimize(self._ref, full_at=full_at(self._compacted, self.row_count))
        self._compacted = self.row_count

    # --- Reading the end -------------------------------------------------------------------------

    async def tail(self, clock: Clock, others_run: OthersRun, writer: int | None = None) -> Tail:
        """Read the end of the table. A turn of which `others_run` a row, by its number, is not lost. With a
        `writer`, that is the part in our numbers; else one that is in none of the rows read.
        """
        total = self.row_count = self._compacted = await self._datasets.count(self._ref)
        if total == 0:
            return Tail(RowNumbers(clock, choose_writer(()) if writer is None else writer), kept={})
        rows = [row async for row in self._page(max(0, total - TAIL_ROWS), TAIL_ROWS)]
        self._whole = list(rows) if len(rows) == total else None
        rows.sort(key=lambda row: row.sequence)
        highest = rows[-1].sequence if rows else -1
        if writer is None:
            writer = choose_writer({writer_of(row.sequence) for row in rows})
        numbers = RowNumbers(clock, writer, highest)
        lost, left = await self._lost(rows, others_run, complete=total <= TAIL_ROWS)
        latest = max((row.timestamp for row in rows), default=_EPOCH)
        models = [model for row in rows if row.type == _MODEL_CHANGED and (model := _model(row)) is not None]
        model, usage = models[-1] if models else None, _usage(rows)
        complete = total <= TAIL_ROWS
        kept = _kept(rows)
        known = complete or kept or any(row.type == CLEARED for row in rows)
        return Tail(numbers, latest, lost, model, usage, kept if known else None, complete, left)

    async def _lost(
        self, rows: list[Row], others_run: OthersRun, *, complete: bool
    ) -> tuple[tuple[ThreadEvent, ...], frozenset[TurnId]]:
        """What ends the turns that nobody runs, and the turns that others run."""
        reading = _read(self._thread_id, rows)
        turns = reading.open_turns()
        # The latest row of a turn first: it is what tells that its agent was there.
        latest = rows[::-1]
        left = frozenset(
            turn for turn in turns if any(row.turn_id == turn and others_run(row.sequence) for row in latest)
        )
        if complete or not turns:
            return tuple(reading.closing(left)), left
        # Part of these turns lies before the rows at hand: read each of them whole.
        lost: list[ThreadEvent] = []
        for turn in [turn for turn in turns if turn not in left]:
            theirs = [row async for row in self._where(f"turn_id = {quoted(turn)}")]
            lost += _read(self._thread_id, sorted(theirs, key=lambda row: row.sequence)).closing(())
        return tuple(lost), left

    async def model(self) -> ModelChoice | None:
        """The model chosen last in the whole table."""
        rows = [row async for row in self._where(f"type = {quoted(_MODEL_CHANGED)}")]
        models = [_model(row) for row in sorted(rows, key=lambda row: row.sequence)]
        return models[-1] if models else None

    async def kept(self) -> Mapping[str, KeptState]:
        """What each backend kept last, in the whole table."""
        where = f"item_id = {quoted(STATE)} OR type = {quoted(CLEARED)}"
        return _kept(sorted([row async for row in self._where(where)], key=lambda row: row.sequence))

    async def ever_kept(self) -> Sequence[tuple[str, KeptState]]:
        """All that backends kept."""
        found = [to_stored(row) async for row in self._where(f"item_id = {quoted(STATE)}")]
        return [(each.backend, each.state) for each in found if isinstance(each, BackendState)]

    async def began(self) -> str | None:
        """The name of who sent the first request of the thread, as far as its rows tell."""
        found: list[Row] = []
        where = f"type = {quoted(_REQUESTED)}"
        async for batch in self._datasets.search(self._ref, where=where, columns=_FULL, limit=FIRST_ROWS):
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

    async def window(self, since: str | None, before: int | None = None, limit: int | None = None) -> Window:
        """Where the rows of the last turns are, or of the last before a row; at most `limit` turns and never
        more than `MAX_TURNS`.
        """
        total = await self._datasets.count(self._ref)
        held = await self._held(total)
        if before is not None:
            total = min(total, before)
        window = Window(total, total, min(limit or MAX_TURNS, MAX_TURNS), since, held=held)
        while window.start > 0 and not window.enough:
            start = max(0, window.start - PAGE_ROWS, total - MAX_ROWS)
            if start == window.start:
                break
            window.go_back(await self._light(window, start), start)
        if window.first_match is not None and window.sorted:
            window.start = max(window.start, window.first_match)
        return window

    async def _held(self, total: int) -> Sequence[Row] | None:
        """All rows of a short table: one read to find the window and to stream it; none after `tail`."""
        whole, self._whole = self._whole, None
        if whole is not None and len(whole) == total:
            return whole
        return [row async for row in self._page(0, total)] if 0 < total <= TAIL_ROWS else None

    async def _light(self, window: Window, start: int) -> Sequence[Row]:
        """The rows before the window, from `start` on; without their data, unless they are held."""
        if window.held is not None:
            return window.held[start : window.start]
        return [row async for row in self._page(start, window.start - start, _LIGHT)]

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
        position = window.start
        while position < window.total:
            count = min(PAGE_ROWS, window.total - position)
            async for row in self._page(position, count):
                yield row
            position += count

    async def _page(self, offset: int, limit: int, columns: Sequence[str] = _FULL) -> AsyncIterator[Row]:
        async for batch in self._datasets.search(self._ref, columns=columns, offset=offset, limit=limit):
            for row in from_table(batch):
                yield row

    async def _where(self, where: str) -> AsyncIterator[Row]:
        async for batch in self._datasets.search(self._ref, where=where, columns=_FULL):
            for row in from_table(batch):
                yield row


def quoted(text: str) -> str:
    """A SQL string."""
    return "'" + text.replace("'", "''") + "'"


def _read(thread_id: ThreadId, rows: Collection[Row]) -> Reading:
    reading = Reading(thread_id)
    for row in rows:
        reading.feed(row)
    return reading


def _model(row: Row) -> ModelChoice | None:
    stored = to_stored(row)
    if not isinstance(stored, ThreadEvent) or not isinstance(stored.body, e.ModelChanged):
        return None
    changed = stored.body
    return ModelChoice(changed.backend, changed.provider or None, changed.model or None, changed.effort)


def _kept(rows: Iterable[Row]) -> dict[str, KeptState]:
    """What each backend kept last, unless the thread was cleared after it."""
    kept: dict[str, KeptState] = {}
    for row in rows:
        if row.type == CLEARED:
            kept.clear()
        elif row.item_id == STATE and isinstance(stored := to_stored(row), BackendState):
            kept[stored.backend] = stored.state
    return kept


def _usage(rows: Sequence[Row]) -> ThreadEvent | None:
    """The usage told last, unless the thread was cleared after it."""
    for row in reversed(rows):
        if row.type == CLEARED:
            return None
        if row.type == _USAGE:
            stored = to_stored(row)
            return stored if isinstance(stored, ThreadEvent) else None
    return None


def _is_message(row: Row, message_id: str | None) -> bool:
    """Whether the row of an item is this message; its id is in the data only."""
    if message_id is None or message_id not in row.data:
        return False
    stored: Any = to_stored(row)
    return isinstance(stored, ThreadEvent) and stored.message_id == message_id


async def _each(rows: list[Row]) -> AsyncIterator[Row]:
    for row in rows:
        yield row
