"""Rows of a thread back to events, whoever wrote them. Pure.

The delta rows of one item become one delta, put together by the published rule, and the log rows of one
call that follow each other become one; a text that nobody ended gets what its partial rows have. What is put
together has the id of its first row, which is that of its first live piece. Rows of other agents that we have
no event for are passed over.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from process_agent.core import events as e
from process_agent.core.content import ErrorInfo
from process_agent.core.events import ThreadEvent
from process_agent.core.ids import ItemId, ThreadId, TurnId
from process_agent.core.live import item_of
from process_agent.threads.cuts import fold
from process_agent.threads.fold import ItemKey
from process_agent.threads.items import DeltaKind, OpenText, OpenTool
from process_agent.threads.rows import (
    BackendState,
    Checkpoint,
    PartialText,
    Row,
    Stored,
    stable_id,
    to_stored,
)

LOST = ErrorInfo("The agent stopped while this turn was under way.", "lost")

_TICK = timedelta(microseconds=1)

_OUTSIDE = (
    e.ModelChanged,
    e.UsageUpdated,
    e.InterruptAccepted,
    e.Interrupted,
    e.SteerAccepted,
    e.SteerRejected,
)
"""Events that may carry a turn's id before it begins or after it ended."""


@dataclass(slots=True)
class _Text:
    """A text whose end was not read yet; `tail` comes from partial rows, after all of `text`."""

    first: ThreadEvent
    kind: DeltaKind
    text: str = ""
    tail: str = ""


class Reading:
    """Takes rows in order and gives the events they make."""

    def __init__(self, thread_id: ThreadId) -> None:
        self._thread_id = thread_id
        self._texts: dict[ItemKey, _Text] = {}
        self._tools: dict[ItemKey, OpenTool] = {}
        self._logs: dict[ItemKey, ThreadEvent] = {}
        self._turns: dict[TurnId, None] = {}
        self._ended: set[TurnId] = set()
        self._stopped: TurnId | None = None
        self._time = datetime.fromtimestamp(0, UTC)

    def feed(self, row: Row) -> list[ThreadEvent]:
        """The events this row completes. Their times grow: Flutter sorts by them and may swap equal ones."""
        stored = to_stored(row)
        return [] if stored is None else [self._in_time(event) for event in self._take(stored)]

    def finish(self, without: Collection[ItemKey] = ()) -> list[ThreadEvent]:
        """The texts and logs nobody ended, each as one delta, but for those in `without`."""
        left = [
            event
            for key, text in self._texts.items()
            if key not in without
            for event in _whole(text, over=False)
        ]
        left += [log for key, log in self._logs.items() if key not in without]
        return [self._in_time(event) for event in left]

    def open_turns(self) -> list[TurnId]:
        """The turns that have not ended."""
        return list(self._turns)

    def closing(self, running: Collection[TurnId], latest: datetime | None = None) -> list[ThreadEvent]:
        """What to store so that every turn that is not among `running` has ended, and its items with it, not
        before `latest`.

        Made twice from the same rows, it is the same.
        """
        self._time = self._time if latest is None else max(self._time, latest)
        return [event for turn in self._turns if turn not in running for event in self._close(turn)]

    def _take(self, stored: Stored) -> list[ThreadEvent]:
        if isinstance(stored, PartialText):
            self._take_partial(stored)
            return []
        if isinstance(stored, BackendState | Checkpoint):
            return []
        event, body = stored, stored.body
        if isinstance(body, e.TurnEnded) and event.turn_id in self._ended:
            return []  # closed as lost by another agent, while this one was away too long
        event = self._as_stopped(event)
        self._note_turn(event)
        if isinstance(body, e.ToolLog):
            self._gather(event, body)
            return []
        return [*self._log_before(event), *self._take_other(event, event.body)]

    def _take_other(self, event: ThreadEvent, body: e.EventBody) -> list[ThreadEvent]:
        match body:
            case e.TextStarted(item) | e.ReasoningStarted(item):
                self._texts.pop((event.turn_id, item), None)
                return []
            case e.TextDelta(item, text) | e.ReasoningDelta(item, text):
                open_text = self._text(event, item)
                open_text.text, open_text.tail = fold(open_text.text, text), ""
                return []
            case e.TextEnded(item) | e.ReasoningEnded(item):
                ended = self._texts.pop((event.turn_id, item), None)
                return [*([] if ended is None else _whole(replace(ended, tail=""))), event]
            case e.ToolStarted(ref):
                self._tools[event.turn_id, ref.item_id] = OpenTool(ref, event, event)
            case e.ToolEnded(ref):
                self._tools.pop((event.turn_id, ref.item_id), None)
            case e.TurnEnded():
                return [*self._give_up(event.turn_id), event]
            case e.Status() | e.Working():
                return []
        return [event]

    def _as_stopped(self, event: ThreadEvent) -> ThreadEvent:
        """Published agents with Codex tell of a turn that was stopped only that it was interrupted, right
        before its end; one that goes on after that has completed.
        """
        stopped = self._stopped is not None and self._stopped == event.turn_id
        self._stopped = event.turn_id if isinstance(event.body, e.Interrupted) else None
        if stopped and event.body == e.TurnEnded(e.EndReason.COMPLETED):
            return replace(event, body=e.TurnEnded(e.EndReason.INTERRUPTED))
        return event

    def _gather(self, event: ThreadEvent, body: e.ToolLog) -> None:
        key = (event.turn_id, body.ref.item_id)
        before = self._logs.get(key)
        if before is not None and isinstance(before.body, e.ToolLog):
            event = replace(before, body=e.ToolLog(before.body.ref, before.body.lines + body.lines))
        self._logs[key] = event

    def _log_before(self, event: ThreadEvent) -> list[ThreadEvent]:
        """The log of the call that an event is about."""
        item = item_of(event.body)
        log = None if item is None else self._logs.pop((event.turn_id, item), None)
        return [] if log is None else [log]

    def _take_partial(self, partial: PartialText) -> None:
        body = partial.delta.body
        if isinstance(body, e.TextDelta | e.ReasoningDelta):
            text = self._text(partial.delta, body.item_id)
            if partial.offset == len(text.text):
                text.tail = body.text

    def _text(self, event: ThreadEvent, item: ItemId) -> _Text:
        key = (event.turn_id, item)
        if key not in self._texts:
            kind = e.TextDelta if isinstance(event.body, e.TextDelta) else e.ReasoningDelta
            self._texts[key] = _Text(event, kind)
        return self._texts[key]

    def _note_turn(self, event: ThreadEvent) -> None:
        turn = event.turn_id
        if turn is None:
            return
        if isinstance(event.body, e.TurnEnded | e.TurnRejected):
            self._turns.pop(turn, None)
            self._ended.add(turn)
        elif turn not in self._ended and not isinstance(event.body, _OUTSIDE):
            self._turns.setdefault(turn)

    def _give_up(self, turn: TurnId | None) -> list[ThreadEvent]:
        """The texts and logs of a turn that ended without ending them."""
        keys = [key for key in self._texts if key[0] == turn]
        for key in [key for key in self._tools if key[0] == turn]:
            del self._tools[key]
        logs = [self._logs.pop(key) for key in list(self._logs) if key[0] == turn]
        return [*(event for key in keys for event in _whole(self._texts.pop(key))), *logs]

    def _close(self, turn: TurnId) -> list[ThreadEvent]:
        at = ThreadEvent(
            message_id=stable_id(self._thread_id, turn, "lost"),
            thread_id=self._thread_id,
            turn_id=turn,
            created_at=self._time,
            body=e.TurnEnded(e.EndReason.LOST, LOST),
        )
        rows: list[ThreadEvent] = []
        for (of, item), text in self._texts.items():
            if of == turn:
                rows += [*_tail(text), OpenText(item, text.kind, at).ended(at)]
        tools = [tool.ended(at, e.EndReason.LOST) for (of, _), tool in self._tools.items() if of == turn]
        return [*rows, *tools, at]

    def _in_time(self, event: ThreadEvent) -> ThreadEvent:
        self._time = max(self._time + _TICK, event.created_at)
        return event if event.created_at == self._time else replace(event, created_at=self._time)


def _whole(text: _Text, *, over: bool = True) -> list[ThreadEvent]:
    return [
        replace(delta, body=replace(delta.body, whole=over))
        for delta in _delta(text, text.first, text.text + text.tail)
        if isinstance(delta.body, e.TextDelta | e.ReasoningDelta)
    ]


def _tail(text: _Text) -> list[ThreadEvent]:
    """What only partial rows have, as the delta row it would have become."""
    at, start = text.first, len(text.text)
    item = text.first.body.item_id if isinstance(text.first.body, e.TextDelta | e.ReasoningDelta) else ""
    return _delta(text, replace(at, message_id=stable_id(at.thread_id, at.turn_id, item, start)), text.tail)


def _delta(text: _Text, frame: ThreadEvent, content: str) -> list[ThreadEvent]:
    body = text.first.body
    if not content:
        return []
    if isinstance(body, e.TextDelta):
        return [replace(frame, body=e.TextDelta(body.item_id, content, body.phase))]
    if isinstance(body, e.ReasoningDelta):
        return [replace(frame, body=e.ReasoningDelta(body.item_id, content))]
    return []
