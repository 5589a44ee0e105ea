"""What the thread store does not have yet: the items of the turn that runs.

Deltas are folded into their item as they pass, so that somebody who opens the thread now sees each open
item as one piece, and so that items a backend left open can be closed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from process_agent.core import events as e
from process_agent.core.content import ErrorInfo, LogLine
from process_agent.core.ids import ItemId, TurnId

MAX_LOG = 500
"""Pieces of a running tool's output kept for late viewers; the whole output is in the store."""

MAX_ARGUMENTS = 1 << 20
"""Characters of the arguments a model is writing that are kept for late viewers; longer ones come whole."""

MAX_FINISHED = 512
"""Events of finished items kept for viewers that open the thread without loading it."""

type ItemKey = tuple[TurnId | None, ItemId]


def item_of(body: e.EventBody) -> ItemId | None:
    """The item an event is about, if any."""
    match body:
        case (
            e.TextStarted(item_id)
            | e.TextDelta(item_id)
            | e.TextEnded(item_id)
            | e.ReasoningStarted(item_id)
            | e.ReasoningDelta(item_id)
            | e.ReasoningEnded(item_id)
            | e.FileShown(item_id)
            | e.ImageStarted(item_id)
            | e.ImagePartial(item_id)
            | e.ImageCompleted(item_id)
            | e.ImageFailed(item_id)
        ):
            return item_id
        case (
            e.ToolArguments(ref)
            | e.ToolStarted(ref)
            | e.ToolLog(ref)
            | e.ToolEnded(ref)
            | e.ApprovalRequested(ref)
            | e.ApprovalDecided(ref)
        ):
            return ref.item_id
        case _:
            return None


@dataclass(slots=True)
class _Text:
    """An open message or an open piece of reasoning."""

    started: e.ThreadEvent | None
    delta: e.ThreadEvent | None = None
    chunks: list[str] = field(default_factory=list)

    def add(self, event: e.ThreadEvent, text: str) -> None:
        self.delta = self.delta or event
        self.chunks.append(text)

    def events(self) -> Iterator[e.ThreadEvent]:
        if self.started is not None:
            yield self.started
        if self.delta is not None and isinstance(self.delta.body, e.TextDelta | e.ReasoningDelta):
            text = "".join(self.chunks)
            self.chunks = [text]
            yield replace(self.delta, body=replace(self.delta.body, text=text))


@dataclass(slots=True)
class _Tool:
    """An open tool call."""

    started: e.ThreadEvent
    ref: e.ToolRef
    first_log: e.ThreadEvent | None = None
    lines: list[LogLine] = field(default_factory=list)
    left_out: int = 0
    approval: e.ThreadEvent | None = None

    def log(self, event: e.ThreadEvent, lines: tuple[LogLine, ...]) -> None:
        self.first_log = self.first_log or event
        self.lines.extend(lines)
        if len(self.lines) > 2 * MAX_LOG:
            self.left_out += len(self.lines) - MAX_LOG
            del self.lines[:-MAX_LOG]

    def events(self) -> Iterator[e.ThreadEvent]:
        yield self.started
        if self.first_log is not None:
            yield replace(self.first_log, body=self._shown())
        if self.approval is not None:
            yield self.approval

    def _shown(self) -> e.ToolLog:
        left_out = self.left_out + max(len(self.lines) - MAX_LOG, 0)
        if not left_out:
            return e.ToolLog(self.ref, tuple(self.lines))
        notice = LogLine(f"… {left_out} earlier pieces of output are shown when the tool has ended\n")
        return e.ToolLog(self.ref, (notice, *self.lines[-MAX_LOG:]), skipped=left_out - 1)


@dataclass(slots=True)
class _Call:
    """A tool call whose arguments the model is writing; `chunks` is None once they are too long to keep."""

    first: e.ThreadEvent
    ref: e.ToolRef
    chunks: list[str] | None = field(default_factory=list)
    size: int = 0

    def add(self, text: str) -> None:
        self.size += len(text)
        if self.size > MAX_ARGUMENTS:
            self.chunks = None
        elif self.chunks is not None:
            self.chunks.append(text)

    def events(self) -> Iterator[e.ThreadEvent]:
        if self.chunks is not None:
            text = "".join(self.chunks)
            self.chunks = [text]
            yield replace(self.first, body=e.ToolArguments(self.ref, text))


@dataclass(slots=True)
class _Image:
    """An image that is being made, and the last picture of it."""

    started: e.ThreadEvent
    partial: e.ThreadEvent | None = None

    def events(self) -> Iterator[e.ThreadEvent]:
        yield self.started
        if self.partial is not None:
            yield self.partial


type _Open = _Text | _Tool | _Call | _Image


class LiveTurn:
    """The items of one running turn. Feed it every event of the turn that viewers see."""

    def __init__(self) -> None:
        self._open: dict[ItemId, _Open] = {}
        self._finished: list[e.ThreadEvent] = []

    def is_open(self, item_id: ItemId) -> bool:
        """Whether the item was started and has not ended."""
        return item_id in self._open

    def note(self, event: e.ThreadEvent) -> None:
        """Fold an event in; constant time."""
        match event.body:
            case e.TextDelta(item_id, text) | e.ReasoningDelta(item_id, text):
                self._text(item_id).add(event, text)
            case e.ToolLog(ref, lines):
                tool = self._open.get(ref.item_id)
                if isinstance(tool, _Tool):
                    tool.log(event, lines)
            case e.TextStarted(item_id) | e.ReasoningStarted(item_id):
                self._open[item_id] = _Text(event)
            case e.TextEnded(item_id) | e.ReasoningEnded(item_id):
                self._finish(item_id, event)
            case _:
                self._note_other(event)

    def _note_other(self, event: e.ThreadEvent) -> None:
        match event.body:
            case e.ToolArguments(ref, text):
                call = self._open.setdefault(ref.item_id, _Call(event, ref))
                if isinstance(call, _Call):  # of a call that has begun, the whole arguments are known
                    call.add(text)
            case e.ImageStarted(item_id):
                self._open[item_id] = _Image(event)
            case e.ImagePartial(item_id):
                image = self._open.get(item_id)
                if isinstance(image, _Image):
                    image.partial = event
            case e.ImageCompleted(item_id) | e.ImageFailed(item_id):
                self._open.pop(item_id, None)
                self._keep(event)
            case _:
                self._note_tool(event)

    def _note_tool(self, event: e.ThreadEvent) -> None:
        match event.body:
            case e.ToolStarted(ref):
                tool = self._open.get(ref.item_id)
                if isinstance(tool, _Tool):
                    tool.started = replace(tool.started, body=event.body)
                else:
                    self._open[ref.item_id] = _Tool(event, ref)
            case e.ApprovalRequested(ref):
                tool = self._open.get(ref.item_id)
                if isinstance(tool, _Tool):
                    tool.approval = event
                else:
                    started = replace(event, body=e.ToolStarted(ref, event.body.arguments))
                    self._open[ref.item_id] = _Tool(started, ref, approval=event)
            case e.ApprovalDecided(ref):
                tool = self._open.get(ref.item_id)
                if isinstance(tool, _Tool):
                    tool.approval = None
                self._keep(event)
            case e.ToolEnded(ref):
                self._finish(ref.item_id, event)
            case e.Working() | e.Status() | e.TurnEnded() | e.InterruptAccepted():
                pass
            case _:
                self._keep(event)

    def open_events(self) -> list[e.ThreadEvent]:
        """Each open item so far, its text as one delta that keeps the id of the first."""
        return [event for item in self._open.values() for event in item.events()]

    def all_events(self) -> list[e.ThreadEvent]:
        """The turn so far: what is finished (the last `MAX_FINISHED` events), then the open items."""
        return [*self._finished, *self.open_events()]

    def closing(self) -> list[e.BackendEvent]:
        """What ends the open items of a turn that ended without ending them."""
        unfinished = ErrorInfo("The turn ended before this was done.", "incomplete")
        bodies: list[e.BackendEvent] = []
        for item_id, item in self._open.items():
            if isinstance(item, _Tool | _Call):
                bodies.append(e.ToolEnded(item.ref, error=unfinished))
            elif isinstance(item, _Image):
                bodies.append(e.ImageFailed(item_id, unfinished))
            elif _is_reasoning(item):
                bodies.append(e.ReasoningEnded(item_id))
            else:
                bodies.append(e.TextEnded(item_id))
        return bodies

    def _text(self, item_id: ItemId) -> _Text:
        item = self._open.get(item_id)
        if not isinstance(item, _Text):
            item = self._open[item_id] = _Text(None)
        return item

    def _finish(self, item_id: ItemId, event: e.ThreadEvent) -> None:
        item = self._open.pop(item_id, None)
        if item is not None:
            for past in item.events():
                if isinstance(past.body, e.TextDelta | e.ReasoningDelta):
                    self._keep(replace(past, body=replace(past.body, whole=True)))
                elif not isinstance(
                    past.body, e.ToolLog | e.ToolArguments
                ):  # the end of a call has all of it
                    self._keep(past)
        self._keep(event)

    def _keep(self, event: e.ThreadEvent) -> None:
        self._finished.append(event)
        if len(self._finished) > 2 * MAX_FINISHED:
            del self._finished[:-MAX_FINISHED]


def _is_reasoning(item: _Text) -> bool:
    sample = item.started or item.delta
    return sample is not None and isinstance(sample.body, e.ReasoningStarted | e.ReasoningDelta)
