"""What the last rows of a thread say to one who goes on with it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from process_agent.core import events as e
from process_agent.core.backend import KeptState
from process_agent.core.events import ThreadEvent
from process_agent.core.ids import ThreadId, TurnId
from process_agent.core.models import ModelChoice
from process_agent.threads.reading import Reading
from process_agent.threads.rows import STATE, BackendState, Checkpoint, Row, to_stored
from process_agent.threads.sequence import Sequence as RowNumbers
from process_agent.threads.window import CLEARED
from process_agent.wire.agent_messages import PREFIX

MODEL_CHANGED = PREFIX + "model.changed"
USAGE = PREFIX + "usage.updated"
OVER = (PREFIX + "turn.ended", PREFIX + "turn.start.rejected")
"""Rows after which a turn is over."""

_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Known:
    """The model chosen last, and what each backend kept last; None where rows before these may say it."""

    model: ModelChoice | None = None
    model_known: bool = True
    kept: Mapping[str, KeptState] | None = None
    place: int = -1
    """Where the checkpoint is that this stands on; there is none below 0."""


@dataclass(frozen=True, slots=True)
class Tail:
    """What the end of a table of `total` rows says: how rows go on, which turns were lost, what has to be
    known of those before it, and the usage told last.
    """

    sequence: RowNumbers
    known: Known
    latest: datetime = _EPOCH
    lost: tuple[ThreadEvent, ...] = ()
    usage: ThreadEvent | None = None
    left: frozenset[TurnId] = frozenset()
    """Turns under way that others run."""
    total: int = 0


type OthersRun = Callable[[int], bool]
"""Whether somebody else may still run the turn of a row with this number."""


@dataclass(frozen=True, slots=True)
class Under:
    """Turns that rows, in the order of their numbers, show under way, each with its rows; those in `left` are
    run by others.
    """

    turns: Mapping[TurnId, Sequence[Row]]
    latest: datetime
    left: frozenset[TurnId] = field(default=frozenset())


def under_way(thread_id: ThreadId, rows: Sequence[Row], others_run: OthersRun) -> Under:
    """Which turns are under way. Only the rows of those that no row says are over are looked into: nearly all
    are over, and reading a row takes much longer than its type.
    """
    over = {row.turn_id for row in rows if row.type in OVER}
    theirs: dict[str, list[Row]] = {}
    for row in rows:
        if row.turn_id is not None and row.turn_id not in over:
            theirs.setdefault(row.turn_id, []).append(row)
    latest = max((row.timestamp for row in rows), default=_EPOCH)
    found = [turn for each in theirs.values() for turn in _read(thread_id, each).open_turns()]
    turns = {turn: theirs[turn] for turn in found}
    # The latest row of a turn first: it is what tells that its agent was there.
    left = [turn for turn, mine in turns.items() if any(others_run(row.sequence) for row in reversed(mine))]
    return Under(turns, latest, frozenset(left))


def closing(thread_id: ThreadId, rows: Iterable[Row], latest: datetime) -> list[ThreadEvent]:
    """What ends a turn that nobody runs, not before `latest`; `rows` are those of the turn."""
    return _read(thread_id, sorted(rows, key=lambda row: row.sequence)).closing((), latest)


def known_of(rows: Sequence[Row], places: Mapping[int, int], *, complete: bool) -> Known:
    """What rows, in the order of their numbers, and the last true checkpoint among them say. They are those
    of the end of a table that matter, and `places` says where they are; all of the table if `complete`.
    """
    true = [found for row in rows if (found := _checkpoint(row, rows, places)) is not None]
    last = max(true, key=lambda found: found.place, default=None)
    place = -1 if last is None else last.place
    after = [row for row in rows if places.get(row.sequence, 0) > place]
    model = model_of(after) or (None if last is None else last.model)
    sure = complete or last is not None
    kept = kept_of(after, {} if last is None else last.kept)
    kept_sure = sure or any(row.type == CLEARED for row in after)
    return Known(model, sure or model is not None, kept if kept_sure else None, place)


def _checkpoint(row: Row, rows: Sequence[Row], places: Mapping[int, int]) -> Checkpoint | None:
    """That of a row, unless somebody wrote before it of whom its writer did not know, or decided something
    before it and wrote it later: the latest decision counts, not the one that came last.
    """
    found = to_stored(row) if row.item_id == STATE else None
    if not isinstance(found, Checkpoint) or places.get(row.sequence) != found.place:
        return None
    before = (each for each in rows if each.sequence < row.sequence and _decides(each))
    return None if any(places.get(each.sequence, -1) > found.place for each in before) else found


def _decides(row: Row) -> bool:
    return row.type in (MODEL_CHANGED, CLEARED) or row.item_id == STATE


def model_of(rows: Iterable[Row]) -> ModelChoice | None:
    """The model chosen last, among rows in the order of their numbers."""
    models = [model for row in rows if row.type == MODEL_CHANGED and (model := _model(row)) is not None]
    return models[-1] if models else None


def kept_of(rows: Iterable[Row], before: Mapping[str, KeptState] | None = None) -> dict[str, KeptState]:
    """What each backend kept last, unless the thread was cleared after it."""
    kept = dict(before or {})
    for row in rows:
        if row.type == CLEARED:
            kept.clear()
        elif row.item_id == STATE and isinstance(stored := to_stored(row), BackendState):
            kept[stored.backend] = stored.state
    return kept


def usage_of(rows: Sequence[Row]) -> ThreadEvent | None:
    """The usage told last, unless the thread was cleared after it."""
    for row in reversed(rows):
        if row.type == CLEARED:
            return None
        if row.type == USAGE:
            stored = to_stored(row)
            return stored if isinstance(stored, ThreadEvent) else None
    return None


def _read(thread_id: ThreadId, rows: Iterable[Row]) -> Reading:
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
