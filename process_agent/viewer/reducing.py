"""What each event does to the turn and the item it is about. Pure; `transcript` keeps the turns."""

from __future__ import annotations

from datetime import datetime

from process_agent.core.content import ErrorInfo
from process_agent.core.events import (
    ApprovalDecided,
    ApprovalRequested,
    ContextCompacted,
    EndReason,
    EventBody,
    FileShown,
    ImageCompleted,
    ImageFailed,
    ImagePartial,
    ImageStarted,
    Interrupted,
    ModelChanged,
    ReasoningDelta,
    ReasoningEnded,
    ReasoningStarted,
    SecretRequested,
    SteerAccepted,
    Steered,
    SteerRejected,
    SteerRequested,
    TextDelta,
    TextEnded,
    TextStarted,
    ThreadEvent,
    ToolArguments,
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
from process_agent.core.ids import ItemId, MessageId
from process_agent.core.turn_output import OF_APPROVALS
from process_agent.viewer.items import (
    AskedSecret,
    CompactionItem,
    FileItem,
    ImageItem,
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


def reduce_event(turn: Turn, event: ThreadEvent, body: EventBody) -> Item | None:
    """Take an event of a turn in. Returns the item it touched."""
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
        # What is asked and decided is shown with its tool call; other clients have the words only.
        return None if body.item_id.startswith(OF_APPROVALS) else _reduce_text(turn, body)
    if isinstance(body, ReasoningStarted | ReasoningDelta | ReasoningEnded):
        return _reduce_reasoning(turn, body)
    if isinstance(body, _TOOL):
        return _reduce_tool(turn, body)
    if isinstance(body, ImageStarted | ImagePartial | ImageCompleted | ImageFailed):
        return _reduce_image(turn, body)
    if isinstance(body, ContextCompacted):
        return compact(turn, body)
    if isinstance(body, FileShown):
        item = turn.items.setdefault(body.item_id, FileItem(body.item_id))
        if isinstance(item, FileItem):
            item.urls.append(body.url)
        return item
    return None


def _reduce_state(turn: Turn, at: datetime, body: EventBody) -> None:
    match body:
        case UsageUpdated(usage, context, cost):
            turn.usage, turn.context = usage, context
            turn.cost = turn.cost if cost is None else cost
        case SecretRequested(ask_id):
            turn.secrets[ask_id] = AskedSecret(turn.id, body)
        case TurnRejected(source=source, error=error):
            refuse_turn(turn, source, error)
        case TurnEnded(reason=reason, error=error):
            _end(turn, at, reason, error)
        case ModelChanged(backend=backend, provider=provider, model=model):
            turn.backend, turn.provider, turn.model = backend, provider, model
        case Interrupted():
            turn.end = EndReason.INTERRUPTED


def refuse_turn(turn: Turn, source: MessageId, error: ErrorInfo) -> None:
    """The turn was refused; so was what asked for it."""
    turn.state, turn.error = TurnState.REFUSED, error
    item = turn.items.setdefault(source, UserItem(source, (), None))
    if isinstance(item, UserItem):
        item.state, item.error = InputState.REFUSED, error


def _end(turn: Turn, at: datetime, reason: EndReason, error: ErrorInfo | None) -> None:
    turn.state, turn.ended_at, turn.end, turn.error = TurnState.ENDED, at, reason, error
    turn.secrets.clear()
    for item in turn.items.values():
        match item:
            case MessageItem() | ReasoningItem():
                item.done = True
            case ToolItem(state=ToolState.RUNNING | ToolState.WAITING) | ImageItem(state=ToolState.RUNNING):
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


def _reduce_image(turn: Turn, body: ImageStarted | ImagePartial | ImageCompleted | ImageFailed) -> Item:
    item = turn.items.setdefault(body.item_id, ImageItem(body.item_id))
    if not isinstance(item, ImageItem):
        return item
    match body:
        case ImageStarted(arguments={"prompt": str(prompt)}):
            item.prompt = prompt
        case ImagePartial(image=image):
            item.partial = image
        case ImageCompleted(images=images, prompt=prompt):
            item.images, item.partial, item.state = images, None, ToolState.DONE
            item.prompt = prompt or item.prompt
        case ImageFailed(error=error):
            item.error, item.partial, item.state = error, None, ToolState.FAILED
    return item


def compact(turn: Turn, body: ContextCompacted) -> Item:
    """The model's memory of the thread was shortened."""
    turn.compacted, turn.context = True, None
    item_id = ItemId(body.checkpoint_id)
    return turn.items.setdefault(item_id, CompactionItem(item_id, body.automatic, body.summary))


type _Tool = ToolArguments | ToolStarted | ToolLog | ToolEnded | ApprovalRequested | ApprovalDecided

_TOOL = (ToolArguments, ToolStarted, ToolLog, ToolEnded, ApprovalRequested, ApprovalDecided)


def _reduce_tool(turn: Turn, body: _Tool) -> Item:
    item = turn.items.setdefault(body.ref.item_id, ToolItem(body.ref))
    if not isinstance(item, ToolItem):
        return item
    match body:
        case ToolArguments(delta=delta):
            item.written.add(delta)
        case ToolStarted(arguments=arguments):
            item.ref, item.arguments = body.ref, arguments
            item.written.clear()
        case ToolLog(lines=lines):
            item.log.extend(lines)
        case ToolEnded(result=result, error=error):
            item.result, item.error = result, error
            item.state = ToolState.FAILED if error is not None else ToolState.DONE
        case ApprovalRequested(arguments=arguments):
            # A request may name less than the call it is about, like a folder instead of the whole patch.
            item.arguments = {**item.arguments, **arguments}
            item.request, item.state = body, ToolState.WAITING
            turn.state = TurnState.WAITING
        case ApprovalDecided():
            item.decided = body
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
