"""What a viewer knows of one thread: a pure reducer from thread events to turns and items.

Exactness: the text of an item is the concatenation of its deltas, for any split. Idempotence: an event
whose message id was seen does nothing, and a turn that ended takes no more output, so a replay that
overlaps what came live changes nothing. Where live and stored forms have different message ids, `rewind`
forgets unfinished turns before they are replayed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from process_agent.core.content import ErrorInfo
from process_agent.core.events import (
    ApprovalDecided,
    ApprovalRequested,
    EndReason,
    EventBody,
    FileShown,
    Interrupted,
    ModelChanged,
    ReasoningDelta,
    ReasoningEnded,
    ReasoningStarted,
    Status,
    SteerAccepted,
    Steered,
    SteerRejected,
    SteerRequested,
    TextDelta,
    TextEnded,
    TextStarted,
    ThreadEvent,
    ToolEnded,
    ToolLog,
    ToolStarted,
    TurnAccepted,
    TurnEnded,
    TurnRejected,
    TurnRequested,
    TurnStarted,
    UsageUpdated,
)
from process_agent.core.ids import MessageId, TurnId
from process_agent.viewer.items import (
    FileItem,
    InputState,
    Item,
    MessageItem,
    ReasoningItem,
    ToolItem,
    ToolState,
    Turn,
    TurnState,
    UserItem,
)

DEFAULT_TURN_LIMIT = 1_000
"""Turns a transcript keeps; the oldest are forgotten first."""

SEEN_LIMIT = 20_000
"""Message ids of one turn that are remembered; older ones are forgotten first."""


@dataclass(frozen=True, slots=True)
class Change:
    """What one event did: the turn and the item it touched, where there are any."""

    event: ThreadEvent
    turn: Turn | None = None
    item: Item | None = None


class Transcript:
    """The turns of one thread, built from its events."""

    def __init__(self, *, turn_limit: int = DEFAULT_TURN_LIMIT) -> None:
        self._turn_limit = turn_limit
        self._turns: dict[TurnId, Turn] = {}
        self._seen: dict[TurnId | None, _Seen] = {}
        self.status = Status()
        self.model: ModelChanged | None = None

    @property
    def turns(self) -> tuple[Turn, ...]:
        """Turns in the order they were accepted."""
        return tuple(self._turns.values())

    def turn(self, turn_id: TurnId) -> Turn | None:
        """The turn of this id."""
        return self._turns.get(turn_id)

    @property
    def running(self) -> Turn | None:
        """The turn that runs or waits for approval."""
        for turn in reversed(self._turns.values()):
            if turn.state in (TurnState.RUNNING, TurnState.WAITING):
                return turn
        return None

    def waiting_tools(self) -> Iterator[tuple[Turn, ToolItem]]:
        """Tool calls that wait for an approval, oldest first."""
        for turn in self._turns.values():
            if turn.state is TurnState.ENDED:
                continue
            for item in turn.items.values():
                if isinstance(item, ToolItem) and item.state is ToolState.WAITING:
                    yield turn, item

    @property
    def resume_point(self) -> TurnId | None:
        """Where a replay must begin to bring this transcript up to date; None when it knows no turn."""
        done: TurnId | None = None
        for turn in self._turns.values():
            if turn.state is TurnState.ENDED:
                done = turn.id
            elif turn.state is not TurnState.REFUSED:
                return (
                    done or turn.id
                )  # turns that ended since, beside this one, are known when they come again
        return done

    def rewind(self) -> None:
        """Forget what a replay from `resume_point` will bring again: everything about unfinished turns."""
        for turn in self.turns:
            if turn.state not in (TurnState.ENDED, TurnState.REFUSED):
                del self._turns[turn.id]
                self._seen.pop(turn.id, None)
        self._seen.pop(None, None)
        self.status = Status()

    def apply(self, event: ThreadEvent) -> Change | None:
        """Take an event in. None when it was seen before or comes after its turn's end."""
        seen = self._seen.get(event.turn_id)
        if seen is None:
            seen = self._seen[event.turn_id] = _Seen()
        if not seen.add(event.message_id):
            return None
        if event.turn_id is None:
            return self._apply_to_thread(event)
        if isinstance(event.body, Status):
            self.status = event.body
            return Change(event, self._turns.get(event.turn_id))
        turn = self._turns.get(event.turn_id)
        if turn is None:
            turn = self._add(event.turn_id)
        elif turn.state is TurnState.ENDED and not isinstance(event.body, SteerRejected):
            return None
        item = _reduce(turn, event, event.body)
        self._after(turn, event.body)
        return Change(event, turn, item)

    def _apply_to_thread(self, event: ThreadEvent) -> Change:
        match event.body:
            case Status():
                self.status = event.body
            case ModelChanged():
                self.model = event.body
            case TurnRejected(source=source, error=error):
                turn = self._add(TurnId(source))
                _refuse(turn, source, error)
                return Change(event, turn)
        return Change(event)

    def _add(self, turn_id: TurnId) -> Turn:
        turn = self._turns[turn_id] = Turn(turn_id)
        while len(self._turns) > self._turn_limit:
            oldest = next(iter(self._turns))
            del self._turns[oldest]
            self._seen.pop(oldest, None)
        return turn

    def _after(self, turn: Turn, body: EventBody) -> None:
        if isinstance(body, ModelChanged):
            self.model = body
        if turn.state is TurnState.ENDED:
            self._seen[turn.id] = _Seen()
            if self.running is None:
                self.status = Status()


class _Seen:
    """Message ids, bounded by `SEEN_LIMIT`."""

    __slots__ = ("_ids", "_order")

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._order: deque[str] = deque()

    def add(self, message_id: str) -> bool:
        """False when it is there already. An empty id is never remembered."""
        if not message_id:
            return True
        if message_id in self._ids:
            return False
        self._ids.add(message_id)
        self._order.append(message_id)
        if len(self._order) > SEEN_LIMIT:
            self._ids.discard(self._order.popleft())
        return True


def _reduce(turn: Turn, event: ThreadEvent, body: EventBody) -> Item | None:
    if isinstance(body, _SAID):
        return _reduce_input(turn, event, body)
    if isinstance(body, SteerRejected):
        return _refuse_steer(turn, body)
    item = _reduce_output(turn, body)
    if item is None:
        _reduce_state(turn, event.created_at, body)
    elif turn.state is TurnState.QUEUED:
        turn.state = TurnState.RUNNING  # opened in the middle, so its start was not seen
    return item


def _reduce_output(turn: Turn, body: EventBody) -> Item | None:
    if isinstance(body, TextStarted | TextDelta | TextEnded):
        return _reduce_text(turn, body)
    if isinstance(body, ReasoningStarted | ReasoningDelta | ReasoningEnded):
        return _reduce_reasoning(turn, body)
    if isinstance(body, ToolStarted | ToolLog | ToolEnded | ApprovalRequested | ApprovalDecided):
        return _reduce_tool(turn, body)
    if isinstance(body, FileShown):
        item = turn.items.setdefault(body.item_id, FileItem(body.item_id))
        if isinstance(item, FileItem):
            item.urls.append(body.url)
        return item
    return None


def _reduce_state(turn: Turn, at: datetime, body: EventBody) -> None:
    match body:
        case UsageUpdated(usage=usage, context=context):
            turn.usage, turn.context = usage, context
        case TurnRejected(source=source, error=error):
            _refuse(turn, source, error)
        case TurnEnded(reason=reason, error=error):
            _end(turn, at, reason, error)
        case ModelChanged(backend=backend, provider=provider, model=model):
            turn.backend, turn.provider, turn.model = backend, provider, model
        case Interrupted():
            turn.end = EndReason.INTERRUPTED


def _refuse(turn: Turn, source: MessageId, error: ErrorInfo) -> None:
    turn.state, turn.error = TurnState.REFUSED, error
    item = turn.items.setdefault(source, UserItem(source, (), None))
    if isinstance(item, UserItem):
        item.state, item.error = InputState.REFUSED, error


def _end(turn: Turn, at: datetime, reason: EndReason, error: ErrorInfo | None) -> None:
    turn.state, turn.ended_at, turn.end, turn.error = TurnState.ENDED, at, reason, error
    for item in turn.items.values():
        match item:
            case MessageItem() | ReasoningItem():
                item.done = True
            case ToolItem(state=ToolState.RUNNING | ToolState.WAITING):
                item.state = ToolState.FAILED
                code = "cancelled" if reason is EndReason.INTERRUPTED else "incomplete"
                item.error = item.error or ErrorInfo("The turn ended before this was done.", code)
            case UserItem(state=InputState.PENDING):
                item.state = InputState.TAKEN if not item.steer else InputState.REFUSED


def _reduce_text(turn: Turn, body: TextStarted | TextDelta | TextEnded) -> Item:
    item = turn.items.setdefault(body.item_id, MessageItem(body.item_id))
    if not isinstance(item, MessageItem):
        return item
    item.phase = body.phase or item.phase
    match body:
        case TextStarted():
            item.text.clear()
            item.done = False
        case TextDelta(text=text):
            if not item.done:
                item.text.add(text)
        case TextEnded():
            item.done = True
    return item


def _reduce_reasoning(turn: Turn, body: ReasoningStarted | ReasoningDelta | ReasoningEnded) -> Item:
    item = turn.items.setdefault(body.item_id, ReasoningItem(body.item_id))
    if not isinstance(item, ReasoningItem):
        return item
    match body:
        case ReasoningStarted():
            item.text.clear()
            item.done = False
        case ReasoningDelta(text=text):
            if not item.done:
                item.text.add(text)
        case ReasoningEnded():
            item.done = True
    return item


def _reduce_tool(
    turn: Turn, body: ToolStarted | ToolLog | ToolEnded | ApprovalRequested | ApprovalDecided
) -> Item:
    item = turn.items.setdefault(body.ref.item_id, ToolItem(body.ref))
    if not isinstance(item, ToolItem):
        return item
    match body:
        case ToolStarted(arguments=arguments):
            item.ref, item.arguments = body.ref, arguments
        case ToolLog(lines=lines):
            item.log.extend(lines)
        case ToolEnded(result=result, error=error):
            item.result, item.error = result, error
            item.state = ToolState.FAILED if error is not None else ToolState.DONE
        case ApprovalRequested(arguments=arguments, reason=reason):
            item.arguments = item.arguments or arguments
            item.question, item.state = reason, ToolState.WAITING
            turn.state = TurnState.WAITING
        case ApprovalDecided(accepted=accepted, by=by):
            item.accepted, item.decided_by = accepted, by
            if item.state is ToolState.WAITING:
                item.state = ToolState.RUNNING
    if turn.state is TurnState.WAITING and not _waits(turn):
        turn.state = TurnState.RUNNING
    return item


def _waits(turn: Turn) -> bool:
    return any(isinstance(i, ToolItem) and i.state is ToolState.WAITING for i in turn.items.values())


type _Said = TurnRequested | TurnAccepted | TurnStarted | SteerRequested | SteerAccepted | Steered

_SAID = (TurnRequested, TurnAccepted, TurnStarted, SteerRequested, SteerAccepted, Steered)


def _reduce_input(turn: Turn, event: ThreadEvent, body: _Said) -> Item | None:
    source = event.message_id if isinstance(body, TurnRequested | SteerRequested) else body.source
    item = turn.items.get(source)
    if item is None:
        steer = isinstance(body, SteerRequested | SteerAccepted | Steered)
        item = turn.items[source] = UserItem(source, body.content, body.sender_name, steer)
    if not isinstance(item, UserItem):
        return item
    item.content = item.content or body.content
    item.sender_name = item.sender_name or body.sender_name
    if isinstance(body, TurnStarted | Steered):
        item.state = InputState.TAKEN
    if isinstance(body, TurnStarted):
        turn.state = TurnState.RUNNING
        turn.started_at = event.created_at
        turn.provider, turn.model = event.provider or turn.provider, event.model or turn.model
    return item


def _refuse_steer(turn: Turn, body: SteerRejected) -> Item | None:
    item = turn.items.get(body.source)
    if isinstance(item, UserItem):
        item.state, item.error = InputState.REFUSED, body.error
    return item
