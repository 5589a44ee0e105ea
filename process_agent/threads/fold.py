"""What of a turn's events becomes rows, and when (agent protocol, section 6.3). Pure.

Deltas are gathered into their item: a text becomes one delta row with all of it and its end, a tool call its
start with the latest arguments, its log and its end. While an item is open, `tick` gives what of it is not
stored yet, so that little is lost when the agent dies. Live-only events are not stored.
"""

from __future__ import annotations

from process_agent.core import events as e
from process_agent.core.events import ThreadEvent
from process_agent.core.ids import ItemId, TurnId
from process_agent.core.redaction import NOTHING, Redaction
from process_agent.threads.items import DeltaKind, OpenText, OpenTool, failed_image
from process_agent.threads.rows import Stored

type ItemKey = tuple[TurnId | None, ItemId]


class Fold:
    """The open items of one thread. One event in, the rows it completes out."""

    def __init__(self, redaction: Redaction = NOTHING) -> None:
        self._redaction = redaction
        self._texts: dict[ItemKey, OpenText] = {}
        self._tools: dict[ItemKey, OpenTool] = {}
        self._usage: dict[TurnId | None, ThreadEvent] = {}
        self._unfinished: dict[ItemKey, ThreadEvent] = {}

    @property
    def unsaved(self) -> bool:
        """Whether a tick would store anything."""
        return any(item.unsaved for item in self._items())

    def tick(self) -> list[Stored]:
        """Rows for what the open items have beyond what is stored."""
        rows: list[Stored] = []
        for item in self._items():
            if item.unsaved:
                rows += item.tick()
        return rows

    def _items(self) -> list[OpenText | OpenTool]:
        return [*self._texts.values(), *self._tools.values()]

    def open_events(self) -> list[ThreadEvent]:
        """The open items, each whole, and the latest usage."""
        texts = [event for text in self._texts.values() for event in text.whole()]
        tools = [event for tool in self._tools.values() for event in tool.whole()]
        return texts + tools + list(self._usage.values())

    def open_items(self) -> set[ItemKey]:
        """Which items are open."""
        return {*self._texts, *self._tools}

    def add(self, event: ThreadEvent) -> list[Stored]:
        """Take one event in."""
        match event.body:
            case e.Working() | e.Status():
                return []
            case e.TextStarted(item, phase):
                return self._start(event, item, e.TextDelta, phase)
            case e.ReasoningStarted(item):
                return self._start(event, item, e.ReasoningDelta, None)
            case e.TextDelta(item, text, phase):
                self._write(event, item, e.TextDelta).add(event, text, phase)
                return []
            case e.ReasoningDelta(item, text):
                self._write(event, item, e.ReasoningDelta).add(event, text, None)
                return []
            case e.TextEnded(item) | e.ReasoningEnded(item):
                open_text = self._texts.pop((event.turn_id, item), None)
                return [*(open_text.rest() if open_text else []), event]
            case _:
                return self._add_other(event)

    def _add_other(self, event: ThreadEvent) -> list[Stored]:
        match event.body:
            case e.ToolStarted(ref):
                return self._start_tool(event, ref)
            case e.ToolLog(ref, lines):
                tool = self._tools.get((event.turn_id, ref.item_id))
                if tool is None:
                    tool = self._tools[event.turn_id, ref.item_id] = OpenTool.unannounced(
                        event, ref, self._redaction
                    )
                tool.log(event, lines)
                return []
            case e.ToolEnded(ref):
                tool = self._tools.pop((event.turn_id, ref.item_id), None)
                if tool is None and self._never_started(event, ref, event.body):
                    return []
                return [*(tool or OpenTool.unannounced(event, ref, self._redaction)).rest(), event]
            case e.ApprovalRequested(ref) | e.ApprovalDecided(ref):
                # What is asked or decided about a call comes after its start, also in the rows.
                tool = self._tools.get((event.turn_id, ref.item_id))
                return [*(tool.tick() if tool else []), event]
            case e.UsageUpdated():
                self._usage[event.turn_id] = event
                return []
            case e.TurnEnded(reason):
                return [*self._close(event, reason), event]
            case _:
                return self._add_rest(event)

    def _add_rest(self, event: ThreadEvent) -> list[Stored]:
        """Calls whose arguments are being written, and images, become rows when they are done; the rest
        at once.
        """
        match event.body:
            case e.ToolArguments(ref) if (event.turn_id, ref.item_id) not in self._tools:
                self._unfinished[event.turn_id, ref.item_id] = event
            case e.ImageStarted(item) | e.ImagePartial(item):
                self._unfinished.setdefault((event.turn_id, item), event)
            case e.ImageCompleted(item) | e.ImageFailed(item):
                self._unfinished.pop((event.turn_id, item), None)
                return [event]
            case e.ToolArguments():
                pass
            case _:
                return [event]
        return []

    def _never_started(self, event: ThreadEvent, ref: e.ToolRef, ended: e.ToolEnded) -> bool:
        """Whether a call was given up while the model was writing its arguments: readers need not know."""
        begun = self._unfinished.pop((event.turn_id, ref.item_id), None)
        return begun is not None and ended.error is not None

    def _start(self, event: ThreadEvent, item: ItemId, kind: DeltaKind, phase: e.Phase) -> list[Stored]:
        key = (event.turn_id, item)
        before = self._texts.get(key)
        self._texts[key] = OpenText(item, kind, event, phase, redaction=self._redaction)
        # A second start begins the text anew; readers of the rows so far need to hear of it.
        return [event] if before is not None and (before.stored or before.partial) else []

    def _write(self, event: ThreadEvent, item: ItemId, kind: DeltaKind) -> OpenText:
        text = self._texts.get((event.turn_id, item))
        if text is None:
            text = self._texts[event.turn_id, item] = OpenText(item, kind, event, redaction=self._redaction)
        return text

    def _start_tool(self, event: ThreadEvent, ref: e.ToolRef) -> list[Stored]:
        key = (event.turn_id, ref.item_id)
        tool = self._tools.get(key)
        self._unfinished.pop(key, None)
        if tool is None:
            self._tools[key] = OpenTool(ref, event, event, redaction=self._redaction)
        else:
            tool.restart(event)
        return []

    def _close(self, ended: ThreadEvent, reason: e.EndReason) -> list[Stored]:
        """Rows that end what the turn left open."""
        rows: list[Stored] = []
        for key in [key for key in self._texts if key[0] == ended.turn_id]:
            text = self._texts.pop(key)
            rows += [*text.rest(), text.ended(ended)]
        for key in [key for key in self._tools if key[0] == ended.turn_id]:
            tool = self._tools.pop(key)
            rows += [*tool.rest(), tool.ended(ended, reason)]
        for key in [key for key in self._unfinished if key[0] == ended.turn_id]:
            image = self._unfinished.pop(key)
            if not isinstance(image.body, e.ToolArguments):
                rows.append(failed_image(key[1], ended, reason))
        usage = self._usage.pop(ended.turn_id, None)
        return rows if usage is None else [*rows, usage]
