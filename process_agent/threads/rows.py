"""Thread events to rows of the thread table, and back."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from process_agent.core.backend import KeptState
from process_agent.core.content import Json
from process_agent.core.events import ReasoningDelta, SteerAccepted, TextDelta, ThreadEvent, ToolLog
from process_agent.core.ids import MessageId, ThreadId, TurnId
from process_agent.core.models import ModelChoice
from process_agent.core.redaction import NOTHING, Redaction
from process_agent.core.room import ArrowTable
from process_agent.errors import WireError
from process_agent.threads.places import values
from process_agent.wire.agent_messages import PREFIX, decode_event, encode_event

_MOMENT: Any = pa.timestamp("us", tz="UTC")
_NAMESPACE = uuid.UUID("6f6bb6ac-6a5c-4d7e-9f3b-2a44f4f8f4d1")
_EPOCH = datetime.fromtimestamp(0, UTC)
PARTIAL = "process.partial_text"
"""Type of the event in a row of `PartialText`."""
STATE = "process.backend_state"
"""Type of the event in a row of `BackendState`, and item of the row, so that it is found in a long table."""
CHECKPOINT = "process.checkpoint"
"""Type of the event in a row of `Checkpoint`; its item is that of states, which it repeats."""

_CHOICE = ("backend", "provider", "model", "effort")
_STREAMED = (TextDelta, ReasoningDelta, ToolLog)

THREAD_EVENT = PREFIX + "thread.event"


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `data` is JSON text without `created_at`, which `timestamp` holds."""

    turn_id: str | None
    item_id: str
    type: str
    sequence: int
    timestamp: datetime
    data: str

    @property
    def kind(self) -> str:
        """The type without its prefix: `turn.started`."""
        return self.type.removeprefix(PREFIX)


@dataclass(frozen=True, slots=True)
class PartialText:
    """Text of an item that streams and is not in its delta rows yet, kept in case nobody ends the item.

    Stored as a `thread.event`, which every reader but ours passes over; void once the item has a later row.
    `delta` is a `TextDelta` or `ReasoningDelta`; `offset` counts the characters in the rows before it.
    """

    delta: ThreadEvent
    offset: int


@dataclass(frozen=True, slots=True)
class BackendState:
    """What a backend keeps with the thread for itself; a `thread.event` too."""

    thread_id: ThreadId
    backend: str
    state: KeptState
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What has to be known of the rows before it, near the end of a long thread; a `thread.event` too.
    `place` is where its writer put it, counted from the first row: true unless somebody else wrote meanwhile,
    of whose rows it does not know.
    """

    thread_id: ThreadId
    model: ModelChoice | None
    kept: Mapping[str, KeptState]
    place: int
    created_at: datetime


type Stored = ThreadEvent | PartialText | BackendState | Checkpoint


def stable_id(thread_id: ThreadId, turn_id: TurnId | None, *parts: object) -> MessageId:
    """A message id that is the same whenever the same thing is folded again."""
    return MessageId(str(uuid.uuid5(_NAMESPACE, "\n".join([thread_id, turn_id or "", *map(str, parts)]))))


# --- Writing -----------------------------------------------------------------------------------


def to_row(stored: Stored, sequence: int, timestamp: datetime, redaction: Redaction = NOTHING) -> Row:
    """The row of what is to be stored. What streams has been redacted as it came."""
    message = _message_of(stored, sequence)
    if redaction and isinstance(stored, ThreadEvent) and not isinstance(stored.body, _STREAMED):
        message = {name: redaction.field(name, value) for name, value in message.items()}
    message.pop("created_at", None)
    item_id = STATE if isinstance(stored, BackendState | Checkpoint) else message.get("item_id")
    turn_id = message.get("turn_id")
    return Row(
        turn_id=_clean(turn_id) if isinstance(turn_id, str) else None,
        item_id=_clean(str(item_id or message["message_id"])),
        type=str(message["type"]),
        sequence=sequence,
        timestamp=timestamp,
        data=json.dumps(message, separators=(",", ":")),
    )


def moment_of(stored: Stored) -> datetime:
    """When it was said."""
    return stored.delta.created_at if isinstance(stored, PartialText) else stored.created_at


def _message_of(stored: Stored, sequence: int) -> dict[str, Json]:
    match stored:
        case PartialText():
            return _partial_message(stored)
        case BackendState():
            event: dict[str, Json] = {"type": STATE, "backend": stored.backend, "state": dict(stored.state)}
            return _own_message(stored.thread_id, event, sequence)
        case Checkpoint():
            return _own_message(stored.thread_id, _checkpoint_event(stored), sequence)
        case _:
            return encode_event(_as_kept(stored))


def _own_message(thread_id: ThreadId, event: dict[str, Json], sequence: int) -> dict[str, Json]:
    return {
        "type": THREAD_EVENT,
        "message_id": stable_id(thread_id, None, event["type"], sequence),
        "thread_id": thread_id,
        "turn_id": None,
        "event": event,
    }


def _checkpoint_event(checkpoint: Checkpoint) -> dict[str, Json]:
    model: Json = None
    if (choice := checkpoint.model) is not None:
        model = {name: getattr(choice, name) for name in _CHOICE}
    kept: Json = {backend: dict(state) for backend, state in checkpoint.kept.items()}
    return {"type": CHECKPOINT, "model": model, "kept": kept, "place": checkpoint.place}


def _as_kept(event: ThreadEvent) -> ThreadEvent:
    """An accepted steer is kept without its content, which the row of the steer itself holds."""
    if isinstance(event.body, SteerAccepted):
        return replace(event, body=SteerAccepted(event.body.source, (), event.body.sender_name))
    return event


def _partial_message(partial: PartialText) -> dict[str, Json]:
    delta = encode_event(partial.delta)
    kept = ("type", "item_id", "text", "phase", "provider", "model")
    event: dict[str, Json] = {key: delta[key] for key in kept if key in delta}
    event = {**event, "delta_type": event["type"], "type": PARTIAL, "offset": partial.offset}
    same = ("message_id", "metadata", "sender_name", "thread_id", "turn_id")
    return {"type": THREAD_EVENT, **{key: delta[key] for key in same}, "event": event}


def _clean(text: str) -> str:
    """Columns are UTF-8; ids come from clients, who may send half surrogates."""
    return text.encode("utf-8", "replace").decode()


# --- Reading -----------------------------------------------------------------------------------


def from_table(table: ArrowTable) -> Iterator[Row]:
    """The rows of a table that may lack columns or hold rows of others; unreadable ones are left out."""
    columns = pa.table(table)
    names = ("turn_id", "item_id", "type", "sequence", "data")
    cells = zip(*(_column(columns, name) for name in names), _moments(columns), strict=True)
    for turn_id, item_id, kind, sequence, data, moment in cells:
        if not isinstance(sequence, int):
            continue
        if kind is None:
            kind = (_message(data) or {}).get("type")
        yield Row(
            turn_id=turn_id,
            item_id=str(item_id or ""),
            type=str(kind or ""),
            sequence=sequence,
            timestamp=moment,
            data=data if isinstance(data, str) else "",
        )


def _column(table: pa.Table, name: str) -> list[Any]:
    return values(table.column(name)) if name in table.column_names else [None] * table.num_rows


def _moments(table: pa.Table) -> list[datetime]:
    """The times of the rows; Arrow's own conversion looks for time zone packages at every value."""
    if "timestamp" not in table.column_names:
        return [_EPOCH] * table.num_rows
    since = table.column("timestamp")
    if since.type != _MOMENT:
        since = since.cast(_MOMENT)
    numbers = values(pa.chunked_array([chunk.view(pa.int64()) for chunk in since.chunks], pa.int64()))
    return [_EPOCH + timedelta(microseconds=value or 0) for value in numbers]


def to_stored(row: Row) -> Stored | None:
    """What a row says, or None when it says nothing we know: other agents store more than we show."""
    message = _message(row.data)
    if message is None:
        return None
    message["type"] = message.get("type") or row.type
    message.pop("created_at", None)
    if message["type"] == THREAD_EVENT:
        return (
            _partial(message, row.timestamp)
            or _state(message, row.timestamp)
            or _checkpoint(message, row.timestamp)
        )
    try:
        return decode_event(message, row.timestamp)
    except WireError:
        return None


def _partial(message: dict[str, Any], moment: datetime) -> PartialText | None:
    event = message.get("event")
    if not isinstance(event, dict) or event.get("type") != PARTIAL:
        return None
    offset = event.get("offset")
    try:
        delta = decode_event({**message, **event, "type": event.get("delta_type")}, moment)
    except WireError:
        return None
    if delta is None or not isinstance(delta.body, TextDelta | ReasoningDelta) or not isinstance(offset, int):
        return None
    return PartialText(delta, offset)


def _state(message: dict[str, Any], moment: datetime) -> BackendState | None:
    event = message.get("event")
    if not isinstance(event, dict) or event.get("type") != STATE:
        return None
    backend, state = event.get("backend"), event.get("state")
    if not isinstance(backend, str) or not isinstance(state, dict):
        return None
    return BackendState(ThreadId(str(message.get("thread_id"))), backend, state, moment)


def _checkpoint(message: dict[str, Any], moment: datetime) -> Checkpoint | None:
    event = message.get("event")
    if not isinstance(event, dict) or event.get("type") != CHECKPOINT:
        return None
    model, kept, place = event.get("model"), event.get("kept"), event.get("place")
    if not isinstance(kept, dict) or not all(isinstance(state, dict) for state in kept.values()):
        return None
    choice = None if model is None else _choice(model)
    if not isinstance(place, int) or (choice is None) != (model is None):
        return None
    return Checkpoint(ThreadId(str(message.get("thread_id"))), choice, kept, place, moment)


def _choice(model: object) -> ModelChoice | None:
    names: list[Any] = [model.get(name) for name in _CHOICE] if isinstance(model, dict) else [None]
    if not isinstance(names[0], str) or not all(name is None or isinstance(name, str) for name in names):
        return None
    return ModelChoice(*names)


def _message(data: object) -> dict[str, Any] | None:
    if not isinstance(data, str):
        return None
    try:
        message = json.loads(data)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None
