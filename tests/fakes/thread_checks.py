"""What the logs of threads and the screens of viewers are compared by."""

from __future__ import annotations

from collections import Counter

from process_agent.core import events as e
from process_agent.core import requests as r
from process_agent.core.content import ErrorInfo, plain_text
from process_agent.core.ids import ItemId, TurnId
from process_agent.core.live import item_of
from process_agent.core.slash import parse
from process_agent.core.workspace import FileCommand

WHOLE_TURN = [
    e.TurnRequested,
    e.TurnAccepted,
    e.TurnStarted,
    e.TextStarted,
    e.TextDelta,
    e.TextEnded,
    e.TurnEnded,
]

CLEARING = (e.Status, e.TurnEnded)

DIRECT = (
    e.TurnRejected,
    e.SteerRejected,
    e.InterruptAccepted,
    e.SteerAccepted,
    e.Steered,
    e.ModelChanged,
    e.ThreadCleared,
)
"""Told to one who asked, viewer or not."""

FOR_ONE = (e.ClientToolRequested, e.ClientToolCancelled, e.SecretRequested)
"""Told to the sender of the turn alone, and stored nowhere."""


def clears(event: e.ThreadEvent, request: r.ClearThread) -> bool:
    return event.body == e.ThreadCleared(request.envelope.message_id)


def commands(log: list[e.ThreadEvent]) -> set[TurnId | None]:
    """Turns that the agent answered itself."""
    return {
        x.turn_id
        for x in log
        if isinstance(x.body, e.TurnStarted) and x.model is None and parse(x.body.content)
    }


def about_files(log: list[e.ThreadEvent]) -> set[TurnId | None]:
    """Those of them that the workspace answers, in its own time."""
    asked = [x for x in log if isinstance(x.body, e.TurnStarted) and x.turn_id in commands(log)]
    words = tuple(command.value for command in FileCommand)
    return {x.turn_id for x in asked if plain_text(x.body.content) in words}  # type: ignore[union-attr]


def plain(events: list[e.ThreadEvent]) -> list[e.ThreadEvent]:
    """Events about no item that belong into the log."""
    live_only = (e.Status, *DIRECT, *FOR_ONE)
    return [x for x in events if item_of(x.body) is None and not isinstance(x.body, live_only)]


def texts(events: list[e.ThreadEvent]) -> dict[tuple[TurnId | None, ItemId], str]:
    """What each message says, and the arguments of each call that has not begun."""
    texts: dict[tuple[TurnId | None, ItemId], str] = {}
    for event in events:
        match event.body:
            case e.TextDelta(item_id, text) | e.ToolArguments(e.ToolRef(item_id), text):
                key = event.turn_id, item_id
                texts[key] = texts.get(key, "") + text
            case e.ToolStarted(ref) | e.ToolEnded(ref):
                texts.pop((event.turn_id, ref.item_id), None)
            case _:
                pass
    return texts


def images(events: list[e.ThreadEvent]) -> Counter[tuple[TurnId | None, e.EventBody]]:
    """The images that were made, and those that were not."""
    return Counter(
        (x.turn_id, x.body) for x in events if isinstance(x.body, e.ImageCompleted | e.ImageFailed)
    )


def open_turns(log: list[e.ThreadEvent]) -> list[TurnId]:
    """Turns that were accepted and have not ended."""
    accepted = [x.turn_id for x in log if isinstance(x.body, e.TurnAccepted)]
    ended = {x.turn_id for x in log if isinstance(x.body, e.TurnEnded)}
    return [turn for turn in accepted if turn is not None and turn not in ended]


def open_items(log: list[e.ThreadEvent], turn_id: TurnId | None) -> list[e.EventBody]:
    """What ends the items that a turn left open."""
    open_now: dict[ItemId, e.EventBody] = {}
    over = ErrorInfo("The turn ended before this did.", "incomplete")
    for event in log:
        if event.turn_id != turn_id:
            continue
        match event.body:
            case e.TextStarted(item_id):
                open_now[item_id] = e.TextEnded(item_id)
            case e.ImageStarted(item_id):
                open_now[item_id] = e.ImageFailed(item_id, over)
            case e.ToolStarted(ref) | e.ToolArguments(ref):
                open_now[ref.item_id] = e.ToolEnded(ref, error=over)
            case e.TextEnded(item_id) | e.ImageCompleted(item_id) | e.ImageFailed(item_id):
                open_now.pop(item_id, None)
            case e.ToolEnded(ref):
                open_now.pop(ref.item_id, None)
            case _:
                pass
    return list(open_now.values())


def items_are_closed(log: list[e.ThreadEvent]) -> None:
    """Whatever began is over."""
    for turn_id in {event.turn_id for event in log}:
        assert open_items(log, turn_id) == []
