"""What a backend that opens a thread has to know, from the thread's events. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from process_agent.core import events as e
from process_agent.core.backend import AgentMessage, HistoryItem, ToolCall, UserMessage
from process_agent.core.content import ContentPart, ErrorInfo, TextPart, TextResult, plain_text
from process_agent.core.events import ThreadEvent
from process_agent.core.ids import ItemId, MessageId, TurnId
from process_agent.core.recalled import made_images
from process_agent.core.slash import CommandName, parse
from process_agent.core.turn_output import NOTICE
from process_agent.core.workspace import TOOLKIT, for_model
from process_agent.threads.fold import ItemKey

_UNFINISHED = ErrorInfo("The turn ended before this did.", "incomplete")

SUMMARY = "The conversation so far was shortened. A model left this summary of it:\n\n"
"""Before the summary that stands for the earlier conversation."""

MAX_KEPT = 80_000
"""Characters of people's messages that stay beside a summary, the newest: 20,000 tokens."""


class History:
    """Gathers history items from events in order.

    What a participant said counts once, where its turn started: a request, its acceptance and its start all
    carry it. A turn that never started and said nothing was never seen by a model and is left out, and so is
    a command, which the agent answered without one. Where the context was compacted and the backend told
    how, its summary stands for what agent and tools did before, beside the newest of what people said.
    """

    def __init__(self, running: Collection[TurnId] = ()) -> None:
        self._running = running
        self._items: list[HistoryItem] = []
        self._said: dict[MessageId, tuple[TurnId | None, UserMessage]] = {}
        self._heard: set[MessageId] = set()
        self._tools: dict[ItemKey, ToolCall] = {}
        self._commands: set[TurnId] = set()
        self._summary: UserMessage | None = None
        self._uncompacted: list[HistoryItem] = []
        """What there was before the last compaction, of which so many items are left before its summary:"""
        self._compacted = 0

    def items(self) -> Sequence[HistoryItem]:
        """All of it, oldest first; calls that nobody ended count as failed."""
        unfinished = [replace(call, error=_UNFINISHED) for call in self._tools.values()]
        return [*self._items, *unfinished]

    def add(self, event: ThreadEvent) -> None:
        """Take the next event in; those of running turns and of commands are left out."""
        turn = event.turn_id
        if isinstance(event.body, e.TurnStarted) and event.body.replaces is not None:
            self._drop(event.body.replaces)
        if turn is not None and turn in self._running:
            return
        match event.body:
            case e.ThreadCleared():
                self._forget()
            case e.ContextCompacted(checkpoint, _, str(summary)):
                self._compact(summary, turn, ItemId(checkpoint))
            case e.TurnStarted(source, content) if turn and _is_command(event, content):
                self._said.pop(source, None)
                self._commands.add(turn)
            case e.ToolEnded(ref, TextResult(text)) if turn in self._commands and ref.toolkit == TOOLKIT:
                self._items.append(UserMessage((for_model(text),), None))
            case _ if turn is None or turn not in self._commands:
                self._add_said(event)

    def _add_said(self, event: ThreadEvent) -> None:
        match event.body:
            case e.TurnRequested(content, sender):
                self._say(event.message_id, event.turn_id, UserMessage(content, sender, at=event.created_at))
            case e.TurnAccepted(source, content, sender):
                self._say(source, event.turn_id, UserMessage(content, sender, at=event.created_at))
            case e.SteerRequested(content, sender):
                self._say(event.message_id, None, UserMessage(content, sender, at=event.created_at))
            case e.SteerAccepted(source, content, sender):
                self._say(source, None, UserMessage(content, sender, at=event.created_at))
            case e.TurnStarted(source, content, sender) | e.Steered(source, content, sender):
                self._say(source, event.turn_id, UserMessage(content, sender, at=event.created_at))
                self._hear(source, event.turn_id)
            case e.TextDelta(item) if item.startswith(NOTICE):
                return
            case e.TextDelta(item, text, phase):
                self._hear_turn(event.turn_id)
                if text.strip():
                    self._items.append(AgentMessage(text, phase, event.turn_id, item))
            case _:
                self._add_tool(event)

    def _add_tool(self, event: ThreadEvent) -> None:
        match event.body:
            case e.ToolStarted(ref, arguments):
                self._hear_turn(event.turn_id)
                log = self._call(event.turn_id, ref).log
                self._tools[event.turn_id, ref.item_id] = ToolCall(ref, arguments, log, turn_id=event.turn_id)
            case e.ToolLog(ref, lines):
                call = self._call(event.turn_id, ref)
                self._tools[event.turn_id, ref.item_id] = replace(call, ref=ref, log=call.log + lines)
            case e.ToolEnded(ref, result, error):
                call = self._call(event.turn_id, ref)
                self._tools.pop((event.turn_id, ref.item_id), None)
                self._items.append(replace(call, ref=ref, result=result, error=error))
            case e.ImageCompleted(_, images) if images:
                self._hear_turn(event.turn_id)
                self._items.append(made_images(event.body, event.turn_id))
            case _:
                return

    def _compact(self, summary: str, turn: TurnId | None, checkpoint: ItemId) -> None:
        kept: list[HistoryItem] = []
        room = MAX_KEPT
        for item in reversed(self._items):
            if isinstance(item, UserMessage):
                room -= len(plain_text(item.content))
                if room < 0:
                    break
                kept.insert(0, item)
        if self._summary in kept:
            kept.remove(self._summary)
        self._uncompacted, self._compacted = self._items, len(kept)
        self._summary = UserMessage((TextPart(SUMMARY + summary),), None, turn, checkpoint)
        self._items = [*kept, self._summary]

    def _drop(self, turn: TurnId) -> None:
        """A turn that is asked again was never there; nor was a summary that it is in."""
        if any(item.turn_id == turn for item in self._uncompacted):
            self._items = [*self._uncompacted, *self._items[self._compacted + 1 :]]
            self._uncompacted, self._summary = [], None
            for item in self._items:
                if isinstance(item, UserMessage) and item.item_id is not None:
                    self._summary = item
        self._items = [item for item in self._items if item.turn_id != turn or item is self._summary]
        self._tools = {key: call for key, call in self._tools.items() if key[0] != turn}
        self._said = {source: said for source, said in self._said.items() if said[0] != turn}

    def _forget(self) -> None:
        self._uncompacted = []
        self._items = []
        self._said.clear()
        self._tools.clear()

    def _call(self, turn: TurnId | None, ref: e.ToolRef) -> ToolCall:
        return self._tools.get((turn, ref.item_id), ToolCall(ref, {}, turn_id=turn))

    def _say(self, source: MessageId, turn: TurnId | None, message: UserMessage) -> None:
        if message.content and source not in self._heard:
            self._said[source] = (turn, message)

    def _hear(self, source: MessageId, turn: TurnId | None) -> None:
        said = self._said.pop(source, None)
        self._heard.add(source)
        if said is not None:
            self._items.append(replace(said[1], turn_id=turn))

    def _hear_turn(self, turn: TurnId | None) -> None:
        """A turn that does something has started, even if no row says so. Steers (of no turn here) wait."""
        for source in [source for source, (of, _) in self._said.items() if of == turn and turn is not None]:
            self._hear(source, turn)


def _is_command(started: ThreadEvent, content: tuple[ContentPart, ...]) -> bool:
    """Whether a turn was for the agent itself: its start names no model, or it only compacts."""
    command = parse(content)
    return command is not None and (started.model is None or command.name is CommandName.COMPACT)
