"""Notifications of one Codex turn as events. Pure: the caller brings the clock.

Promises: an item that was started is ended before the turn, the turn ends once, no kind of item vanishes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from backends.codex.compaction import Compactions
from backends.codex.failures import turn_error
from backends.codex.frame import Frame
from backends.codex.images import OpenImage
from backends.codex.items import CODEX, MESHAGENT, file_change_view, outcome, tool_view
from backends.codex.notices import notice_of
from backends.codex.shapes import as_dict
from backends.codex.standing import DiffCard, PlanCard
from backends.codex.texts import OpenReasoning, OpenText, fragments_text, input_text, phase_of
from backends.codex.tools import OpenTool
from backends.codex.unseen import RawCalls
from backends.codex.usage import TurnUsage
from process_agent.core.content import ErrorInfo, TextResult
from process_agent.core.events import (
    BackendEvent,
    EndReason,
    ToolEnded,
    ToolRef,
    ToolStarted,
    TurnEnded,
    Working,
)
from process_agent.core.ids import ItemId

type Params = Mapping[str, Any]
type Item = Mapping[str, Any]
type Events = list[BackendEvent]
type Open = OpenText | OpenReasoning | OpenTool | OpenImage

MAX_NOTICES: Final = 100
"""Notices of one turn; more are dropped."""

COMPACTING: Final = "Compacting context"

_TEXT_KINDS: Final = frozenset({"agentMessage", "plan", "hookPrompt", "userMessage"})


class TurnMapper:
    """The state of one turn."""

    def __init__(self, frame: Frame) -> None:
        self._turn_id = frame.turn_id
        self._folder = frame.folder
        self._toolkits = frame.toolkits
        self._open: dict[str, Open] = {}
        self._closed: set[str] = set()
        self._shown_raw: set[str] = set()
        self._ours: list[str] = []
        self._user_messages = 0
        self._notices = 0
        self.usage = TurnUsage(frame.compacts_at, frame.meter, frame.purpose)
        self._compactions = Compactions(automatic=not frame.compact)
        self._compact = frame.compact
        self._held: Events = []
        """How full the context is after a compaction, which Codex says before it says that it is done."""
        self._status: Working | None = None
        self._diff = DiffCard(frame.turn_id)
        self._plan = PlanCard(frame.turn_id)
        self._calls = RawCalls(frame.folder)
        self.ended = False

    def said_by_us(self, text: str) -> None:
        """The text of an input we sent: its echo as a `userMessage` item is not shown again."""
        self._ours.append(text)

    def map(self, method: str, params: Params, now: float) -> Events:
        """The events of one notification; `now` in seconds of any steady clock."""
        if self.ended:
            return []
        handler = _HANDLERS.get(method)
        if handler is not None:
            return [*handler(self, params, now), *self._diff.due(now)]
        notice = notice_of(method, params)
        if notice is None:
            return self._diff.due(now)
        after = self.thinking() if method == "hook/completed" else []
        return [*self.notice(*notice), *after]

    def notice(self, tool: str, text: str) -> Events:
        """Something to be seen that is no item, as a finished tool call."""
        self._notices += 1
        if self._notices > MAX_NOTICES:
            return []
        ref = self._own_ref(f"notice-{self._notices}", tool)
        return [ToolStarted(ref, {"message": text}), ToolEnded(ref, TextResult(text))]

    def tool(self, item_id: str) -> OpenTool | None:
        """A tool call that runs."""
        found = self._open.get(item_id)
        return found if isinstance(found, OpenTool) else None

    def tool_of_server(self, server: str) -> OpenTool | None:
        """The running call of an MCP server, when there is only one."""
        found = [t for t in self._open.values() if isinstance(t, OpenTool) and t.ref.toolkit == server]
        return found[0] if len(found) == 1 else None

    def open_own_tool(self, name: str, tool: str, arguments: dict[str, Any]) -> tuple[OpenTool, Events]:
        """A tool call of ours, for a question of Codex that belongs to no item."""
        opened = OpenTool(self._own_ref(name, tool), arguments)
        self._open[opened.ref.item_id] = opened
        return opened, opened.start()

    def close_own_tool(self, item_id: str, accepted: bool, result: str | None = None) -> Events:
        """The end of a tool call made by `open_own_tool`."""
        opened = self.tool(item_id)
        if opened is None:
            return []
        del self._open[item_id]
        if accepted:
            return [ToolEnded(opened.ref, TextResult(result or "Accepted."))]
        return [ToolEnded(opened.ref, error=ErrorInfo("Declined.", "declined"))]

    def working(self, text: str, pending: ItemId | None = None) -> Events:
        """The status line, when it changes."""
        status = Working(text, not self._compact, pending)
        if status == self._status or self.ended:
            return []
        self._status = status
        return [status]

    def thinking(self) -> Events:
        """The status line while nothing more is known."""
        return self.working(COMPACTING if self._compact else "Thinking")

    def finish(self, reason: EndReason, error: ErrorInfo | None = None) -> Events:
        """Close what is open and end the turn; nothing when it has ended."""
        if self.ended:
            return []
        events: Events = []
        for item_id, opened in self._open.items():
            events += self._unfinished(item_id, opened, reason)
        self._open.clear()
        events += self._diff.finish()
        events += self._plan.finish()
        self.ended = True
        return [*events, TurnEnded(reason, error)]

    def _unfinished(self, item_id: str, opened: Open, reason: EndReason) -> Events:
        if isinstance(opened, OpenText | OpenReasoning):
            return opened.close()
        if isinstance(opened, OpenImage):
            return opened.abandon(reason)
        if opened.ref.tool != "shell":
            return opened.abandon(reason)
        outcome = self._calls.command_outcome(item_id)
        seen = self._calls.output_so_far(item_id)
        return opened.abandon(reason, seen) if outcome is None else opened.end(*outcome)

    # --- Items -----------------------------------------------------------------------------------

    def _item_started(self, params: Params, _: float) -> Events:
        item = _item(params)
        item_id, kind = _id(item), item.get("type")
        if kind == "userMessage":
            self._user_messages += 1
            return self._cut_texts() if self._user_messages > 1 else []
        if kind == "contextCompaction":
            self._compactions.start(item_id)
            return self.working(COMPACTING)
        if item_id in self._shown_raw:
            return []
        if kind in _TEXT_KINDS:
            return [*self.working("Responding"), *self._text(item_id, item).start()]
        if kind == "reasoning":
            return [*self.thinking(), *self._reasoning(item_id).start()]
        if kind == "imageGeneration":
            image = self._open[item_id] = OpenImage(ItemId(item_id))
            return [*image.start(item), *self.working("Making an image")]
        view = tool_view(item, self._folder)
        ours = kind == "dynamicToolCall" and view.toolkit in self._toolkits
        ref = ToolRef(ItemId(item_id), view.toolkit, view.tool, MESHAGENT if ours else CODEX, item_id)
        opened = OpenTool(ref, view.arguments)
        self._open[item_id] = opened
        return [*opened.start(), *self.working(view.working)]

    def _item_completed(self, params: Params, now: float) -> Events:
        item = _item(params)
        item_id, kind = _id(item), item.get("type")
        if kind == "userMessage" and self._is_ours(item):
            return []
        if kind == "contextCompaction":
            held, self._held = self._held, []
            return [*self._compactions.complete(item_id), *held, *self.thinking()]
        events: Events = []
        if item_id not in self._open:
            if item_id in self._closed or item_id in self._shown_raw:
                return []  # it was cut off: a command that went on in the background, for one
            if kind == "userMessage":
                events = self._text(item_id, {"phase": "commentary"}).start()
            else:
                events = self._item_started(params, now)
        opened = self._open.pop(item_id)
        self._closed.add(item_id)
        if isinstance(opened, OpenText):
            return [*events, *opened.complete(_full_text(item))]
        if isinstance(opened, OpenReasoning):
            return [*events, *opened.complete(item)]
        if isinstance(opened, OpenImage):
            return [*events, *opened.complete(item), *self.thinking()]
        self.usage.item_done(item)
        events += self._grown(opened, item)
        events += opened.end(*outcome(item, self._folder))
        return [*events, *self.thinking()]

    def _grown(self, opened: OpenTool, item: Item) -> Events:
        """Arguments that are only known at the end: a search that had no query yet, a patch that grew."""
        view = tool_view(item, self._folder)
        return opened.change(view.arguments)

    def _text(self, item_id: str, item: Item) -> OpenText:
        phase = phase_of(item) if item.get("type") == "agentMessage" else "commentary"
        opened = self._open[item_id] = OpenText(ItemId(item_id), phase)
        return opened

    def _reasoning(self, item_id: str) -> OpenReasoning:
        opened = self._open[item_id] = OpenReasoning(ItemId(item_id))
        return opened

    def _is_ours(self, item: Item) -> bool:
        text = input_text(item.get("content"))
        if text in self._ours:
            self._ours.remove(text)
            return True
        return False

    def _cut_texts(self) -> Events:
        """A steer cuts the model's stream: what it was writing gets no end of its own (page section 5)."""
        events: Events = []
        for item_id, opened in list(self._open.items()):
            if isinstance(opened, OpenText | OpenReasoning):
                events += opened.close()
                del self._open[item_id]
                self._closed.add(item_id)
        return [*events, *self.thinking()]

    # --- Deltas ----------------------------------------------------------------------------------

    def _text_delta(self, params: Params, _: float) -> Events:
        opened = self._open.get(str(params.get("itemId")))
        return opened.delta(str(params.get("delta", ""))) if isinstance(opened, OpenText) else []

    def _summary_delta(self, params: Params, _: float) -> Events:
        return self._reasoning_delta("summary", params.get("summaryIndex"), params)

    def _raw_delta(self, params: Params, _: float) -> Events:
        return self._reasoning_delta("content", params.get("contentIndex"), params)

    def _reasoning_delta(self, kind: str, index: object, params: Params) -> Events:
        opened = self._open.get(str(params.get("itemId")))
        if not isinstance(opened, OpenReasoning):
            return []
        return opened.delta(kind, index if isinstance(index, int) else 0, str(params.get("delta", "")))

    def _output(self, params: Params, _: float) -> Events:
        opened = self.tool(str(params.get("itemId")))
        return opened.log(str(params.get("delta", ""))) if opened else []

    def _progress(self, params: Params, _: float) -> Events:
        opened = self.tool(str(params.get("itemId")))
        return opened.log(f"{params.get('message', '')}\n") if opened else []

    def _typed(self, params: Params, _: float) -> Events:
        """Typed nothing, the model only looks at what was printed since."""
        opened, stdin = self.tool(str(params.get("itemId"))), params.get("stdin")
        return opened.log(f"> {stdin}") if opened and stdin else []

    def _patch(self, params: Params, _: float) -> Events:
        opened = self.tool(str(params.get("itemId")))
        return (
            opened.change(file_change_view(params.get("changes"), self._folder).arguments) if opened else []
        )

    # --- The turn --------------------------------------------------------------------------------

    def _hook_started(self, params: Params, _: float) -> Events:
        name = as_dict(params.get("run")).get("eventName")
        return self.working(f"Running a hook ({name})" if name else "Running a hook")

    def _raw_item(self, params: Params, _: float) -> Events:
        item = _item(params)
        if self._compactions.raw(item):
            return []
        if item.get("type") == "image_generation_call":
            return self._raw_image(_id(item), item)
        call = self._calls.note(item)
        if call is None or call.ref.item_id in self._open or call.ref.item_id in self._closed:
            return []
        self._shown_raw.add(call.ref.item_id)
        return [ToolStarted(call.ref, call.arguments), ToolEnded(call.ref, *call.outcome)]

    def _raw_image(self, item_id: str, item: Item) -> Events:
        """An image of the provider's own tool, of which this Codex makes no item."""
        if item_id in self._open or item_id in self._closed or item_id in self._shown_raw:
            return []
        self._shown_raw.add(item_id)
        image = OpenImage(ItemId(item_id))
        return [*image.start(item), *image.complete(item)]

    def _compacted(self, _: Params, __: float) -> Events:
        return [*self._compactions.announced(self._turn_id)]

    def _turn_started(self, _: Params, __: float) -> Events:
        return self.thinking()

    def _diff_updated(self, params: Params, now: float) -> Events:
        return self._diff.update(str(params.get("diff", "")), now)

    def _plan_updated(self, params: Params, _: float) -> Events:
        return self._plan.update(params.get("explanation"), params.get("plan"))

    def _token_usage(self, params: Params, _: float) -> Events:
        before = self.usage.total
        events: Events = [*self.usage.update(params)]
        if self._compactions.under_way and self.usage.total == before:
            self._held = events
            return []
        return events

    def _turn_completed(self, params: Params, _: float) -> Events:
        turn = as_dict(params.get("turn"))
        if turn.get("status") == "completed":
            return self.finish(EndReason.COMPLETED)
        if turn.get("status") == "interrupted":
            return self.finish(EndReason.INTERRUPTED)
        return self.finish(EndReason.FAILED, turn_error(turn.get("error")))

    def _own_ref(self, name: str, tool: str) -> ToolRef:
        item_id = f"{self._turn_id}:codex-{name}"
        return ToolRef(ItemId(item_id), CODEX, tool, CODEX, item_id)


def _item(params: Params) -> Item:
    return as_dict(params.get("item"))


def _id(item: Item) -> str:
    return str(item.get("id") or f"codex-{item.get('type')}")


def _full_text(item: Item) -> str:
    if item.get("type") == "hookPrompt":
        return fragments_text(item)
    return (
        input_text(item.get("content")) if item.get("type") == "userMessage" else str(item.get("text") or "")
    )


_HANDLERS: Final[Mapping[str, Callable[[TurnMapper, Params, float], Events]]] = {
    "item/started": TurnMapper._item_started,
    "item/completed": TurnMapper._item_completed,
    "item/agentMessage/delta": TurnMapper._text_delta,
    "item/plan/delta": TurnMapper._text_delta,
    "item/reasoning/summaryTextDelta": TurnMapper._summary_delta,
    "item/reasoning/textDelta": TurnMapper._raw_delta,
    "item/commandExecution/outputDelta": TurnMapper._output,
    "item/fileChange/outputDelta": TurnMapper._output,
    "item/commandExecution/terminalInteraction": TurnMapper._typed,
    "item/mcpToolCall/progress": TurnMapper._progress,
    "item/fileChange/patchUpdated": TurnMapper._patch,
    "hook/started": TurnMapper._hook_started,
    "rawResponseItem/completed": TurnMapper._raw_item,
    "thread/compacted": TurnMapper._compacted,
    "turn/started": TurnMapper._turn_started,
    "turn/diff/updated": TurnMapper._diff_updated,
    "turn/plan/updated": TurnMapper._plan_updated,
    "turn/completed": TurnMapper._turn_completed,
    "thread/tokenUsage/updated": TurnMapper._token_usage,
}

HANDLED: Final = frozenset(_HANDLERS)
"""Notifications of a turn that have a place of their own; others may be notices."""
