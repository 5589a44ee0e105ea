"""What streams of one item and may wait a moment to go together: text, output, arguments, an image.

Each flow takes the events of its kind and gives back fewer that say the same. The first event out has the id
of the first one in, so that a replay that repeats it is recognised; texts and logs that were sent before are
cut at the same places again, as `channels.sent_pieces` says.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from process_agent.channels.sent_pieces import Connection, Way
from process_agent.core.content import LogLine
from process_agent.core.events import (
    ImagePartial,
    ReasoningDelta,
    TextDelta,
    ThreadEvent,
    ToolArguments,
    ToolLog,
)
from process_agent.core.ids import ItemId, MessageId, TurnId
from process_agent.core.recut import Recut

type FlowKey = tuple[TurnId | None, ItemId, str]
"""The turn and item a flow belongs to, and what it carries."""


MAX_BEHIND = 64
"""Pieces in which a viewer is sent what another connection of its name was sent before; one that is further
behind gets all of it in one.
"""


class Flow(Protocol):
    """`next_at` is when it may send again, `second` when it sent last, `size` how many characters wait.

    `first` is the id of its first event, when an event with that id begins the item anew.
    """

    next_at: float
    second: int
    size: int
    first: MessageId | None

    def add(self, event: ThreadEvent, now: float) -> None:
        """One more event waits."""
        ...

    def take(self, now: float, *, final: bool = False) -> list[ThreadEvent]:
        """What may go; with `final` all of it."""
        ...


def flow_of(event: ThreadEvent) -> FlowKey | None:
    """Which flow an event belongs to; None for one that is never merged."""
    match event.body:
        case TextDelta(item_id) | ReasoningDelta(item_id):
            return text_of(event.turn_id, item_id)
        case ToolLog(ref):
            return log_of(event.turn_id, ref.item_id)
        case ToolArguments(ref):
            return arguments_of(event.turn_id, ref.item_id)
        case ImagePartial(item_id):
            return image_of(event.turn_id, item_id)
        case _:
            return None


def is_whole(event: ThreadEvent) -> bool:
    """Whether a text is told again, to its end."""
    return isinstance(event.body, TextDelta | ReasoningDelta) and event.body.whole


def text_of(turn_id: TurnId | None, item_id: ItemId) -> FlowKey:
    """The flow of an item's text or reasoning."""
    return (turn_id, item_id, "text")


def log_of(turn_id: TurnId | None, item_id: ItemId) -> FlowKey:
    """The flow of a tool's output."""
    return (turn_id, item_id, "log")


def arguments_of(turn_id: TurnId | None, item_id: ItemId) -> FlowKey:
    """The flow of a tool call's arguments."""
    return (turn_id, item_id, "arguments")


def image_of(turn_id: TurnId | None, item_id: ItemId) -> FlowKey:
    """The flow of an image that is being made."""
    return (turn_id, item_id, "image")


def new_flow(key: FlowKey, connection: Connection) -> Flow:
    """An empty flow."""
    match key[2]:
        case "text":
            return _Text(connection)
        case "log":
            return _Log(connection)
        case "arguments":
            return _Arguments(connection)
        case _:
            return _Image()


class _Text:
    """Text of one item, cut by `core.recut`."""

    __slots__ = ("_chunks", "_connection", "_last", "_recut", "_way", "first", "next_at", "second", "size")

    def __init__(self, connection: Connection) -> None:
        self.next_at = 0.0
        self.second = -1
        self.size = 0
        self.first: MessageId | None = None
        self._connection = connection
        self._way: Way | None = None
        self._recut = Recut()
        self._chunks: list[str] = []
        self._last: ThreadEvent | None = None

    def add(self, event: ThreadEvent, now: float) -> None:
        if isinstance(event.body, TextDelta | ReasoningDelta):
            if self._way is None:
                self.first = event.message_id
                self._way = self._connection.begin(event.message_id, now)
            self._last = event
            self._chunks.append(event.body.text)
            self.size += len(event.body.text)

    def take(self, now: float, *, final: bool = False) -> list[ThreadEvent]:
        way = self._way
        if way is None:
            return []
        text = "".join(self._chunks)
        self._chunks.clear()
        self.size = 0
        pieces = self._again(way, text)
        if final or way.leads(self._recut.length):
            pieces += self._recut.take("", final=final)
        events = [self._piece(way, piece, now) for piece in pieces]
        if final:
            way.over()
        return events

    def _again(self, way: Way, text: str) -> list[str]:
        """What others of this name were sent, or this one before, in the same pieces."""
        places = way.places(self._recut.length + len(text))
        if len(places) > MAX_BEHIND and way.begun and self._recut.may_jump(text, places[-1]):
            way.skip_to(places[-1])
            places = places[-1:]
        return self._recut.follow(text, places)

    def _piece(self, way: Way, text: str, now: float) -> ThreadEvent:
        event = self._last
        if event is None or not isinstance(event.body, TextDelta | ReasoningDelta):
            raise ValueError("text without a delta")
        message_id = way.go(way.at + len(text), now)
        return replace(event, message_id=message_id, body=replace(event.body, text=text))


class _Log:
    """Output of one tool."""

    __slots__ = ("_connection", "_event", "_lines", "_way", "first", "next_at", "second", "size")

    def __init__(self, connection: Connection) -> None:
        self.next_at = 0.0
        self.second = -1
        self.size = 0
        self.first: MessageId | None = None
        self._connection = connection
        self._way: Way | None = None
        self._event: ThreadEvent | None = None
        self._lines: list[LogLine] = []

    def add(self, event: ThreadEvent, now: float) -> None:
        if isinstance(event.body, ToolLog):
            if self._way is None:
                self.first = event.message_id
                self._way = self._connection.begin(event.message_id, now, event.body.skipped)
            self._event = self._event or event
            self._lines.extend(event.body.lines)
            self.size += sum(len(line.text) for line in event.body.lines)

    def take(self, now: float, *, final: bool = False) -> list[ThreadEvent]:
        way, event = self._way, self._event
        if way is None:
            return []
        pieces, start = [], way.at
        for end in _places(way, len(self._lines), final=final):
            lines = tuple(self._lines[way.at - start : end - start])
            pieces.append((way.go(end, now), lines))
        del self._lines[: way.at - start]
        if final:
            way.over()
        if event is None or not isinstance(event.body, ToolLog):
            return []
        self._event = event if self._lines else None
        self.size = sum(len(line.text) for line in self._lines)
        ref = event.body.ref
        return [replace(event, message_id=piece, body=ToolLog(ref, lines)) for piece, lines in pieces]


class _Arguments:
    """Arguments of one tool call."""

    __slots__ = ("_chunks", "_connection", "_event", "_way", "first", "next_at", "second", "size")

    def __init__(self, connection: Connection) -> None:
        self.next_at = 0.0
        self.second = -1
        self.size = 0
        self.first: MessageId | None = None
        self._connection = connection
        self._way: Way | None = None
        self._event: ThreadEvent | None = None
        self._chunks: list[str] = []

    def add(self, event: ThreadEvent, now: float) -> None:
        if isinstance(event.body, ToolArguments):
            if self._way is None:
                self.first = event.message_id
                self._way = self._connection.begin(event.message_id, now)
            self._event = self._event or event
            self._chunks.append(event.body.delta)
            self.size += len(event.body.delta)

    def take(self, now: float, *, final: bool = False) -> list[ThreadEvent]:
        way, event = self._way, self._event
        if way is None:
            return []
        text, start = "".join(self._chunks), way.at
        pieces = []
        for end in _places(way, len(text), final=final):
            piece = text[way.at - start : end - start]
            pieces.append((way.go(end, now), piece))
        rest = text[way.at - start :]
        self._chunks, self.size = [rest] if rest else [], len(rest)
        if final:
            way.over()
        if event is None or not isinstance(event.body, ToolArguments):
            return []
        self._event = event if rest else None
        ref = event.body.ref
        return [replace(event, message_id=piece, body=ToolArguments(ref, delta)) for piece, delta in pieces]


def _places(way: Way, waiting: int, *, final: bool) -> list[int]:
    """Where to cut what waits, where every client appends what it gets."""
    available = way.at + waiting
    places = way.places(available)
    if len(places) > MAX_BEHIND and way.begun:
        way.skip_to(places[-1])
        places = places[-1:]
    last = places[-1] if places else way.at
    if last < available and (final or way.leads(available)):
        places.append(available)
    return places


class _Image:
    """An image that is being made; only its newest state waits."""

    __slots__ = ("_newest", "first", "next_at", "second", "size")

    def __init__(self) -> None:
        self.next_at = 0.0
        self.second = -1
        self.size = 0
        self.first: MessageId | None = None
        self._newest: ThreadEvent | None = None

    def add(self, event: ThreadEvent, _now: float) -> None:
        if isinstance(event.body, ImagePartial):
            self._newest = event
            self.size = len(event.body.image.uri)

    def take(self, _now: float, *, final: bool = False) -> list[ThreadEvent]:
        newest, self._newest, self.size = self._newest, None, 0
        return [] if newest is None else [newest]
