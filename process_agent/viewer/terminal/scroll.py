"""What goes up the terminal for good, and what is still drawn again. Pure.

Driven by the state of the transcript, not by single events: after a lost connection the same items come
again, and what is on the screen already is not printed twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from rich.console import RenderableType
from rich.text import Text

from process_agent.core.ids import TurnId
from process_agent.core.workspace import is_for_model
from process_agent.viewer.items import (
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
from process_agent.viewer.terminal import render, tools
from process_agent.viewer.terminal.markdown import MarkdownStream
from process_agent.viewer.transcript import Transcript

UNFOLDABLE = 50
"""Tool calls that `/output` can still show."""

LIVE_OUTPUT_LINES = 3

type _Key = tuple[TurnId, str]


class Scroll:
    """The scrolled part of one thread on one screen. `me` is our name, whose messages carry none."""

    def __init__(self, me: str | None) -> None:
        self._me = me
        self._closed: set[TurnId] = set()
        self._done: set[_Key] = set()
        self._streams: dict[_Key, MarkdownStream] = {}
        self._shown_files: dict[TurnId, set[str]] = {}
        self._gap = False
        self.tools: deque[ToolItem] = deque(maxlen=UNFOLDABLE)

    def skip(self, transcript: Transcript, keep: int) -> list[Turn]:
        """Leave out all finished turns but the last `keep`. Returns what was left out, oldest first."""
        ended = [t for t in transcript.turns if t.state in (TurnState.ENDED, TurnState.REFUSED)]
        skipped = ended[: max(len(ended) - keep, 0)]
        self._closed.update(turn.id for turn in skipped)
        return skipped

    def past(self, turns: Iterable[Turn], width: int) -> list[RenderableType]:
        """Turns that are over, whole; each once, and `/output` counts their calls as well."""
        return [shown for turn in turns for shown in self._take_turn(turn, width, over=True)]

    def take(self, transcript: Transcript, width: int) -> list[RenderableType]:
        """What became final since the last call, in order."""
        shown: list[RenderableType] = []
        for turn in self._open_turns(transcript):
            over = turn.state in (TurnState.ENDED, TurnState.REFUSED)
            shown.extend(self._take_turn(turn, width, over=over))
        return shown

    def _take_turn(self, turn: Turn, width: int, *, over: bool) -> Iterator[RenderableType]:
        for item in list(turn.items.values()):
            yield from self._take_item(turn, item, width, over=over)
        if over:
            yield render.footer(turn)
            self._close(turn)

    def live(self, transcript: Transcript, width: int) -> list[RenderableType]:
        """What is under way: unfinished text, running tools, what is queued."""
        shown: list[RenderableType] = []
        for turn in self._open_turns(transcript):
            for item in turn.items.values():
                if (turn.id, item.id) not in self._done:
                    shown.extend(self._live_item(turn, item, width))
        return shown

    def _open_turns(self, transcript: Transcript) -> Iterator[Turn]:
        turns = transcript.turns
        if len(self._closed) > 2 * len(turns) + 100:
            self._closed &= {turn.id for turn in turns}
        return (turn for turn in turns if turn.id not in self._closed)

    def _close(self, turn: Turn) -> None:
        self._closed.add(turn.id)
        self._shown_files.pop(turn.id, None)
        self._gap = True
        for item_id in turn.items:
            self._done.discard((turn.id, item_id))
            self._streams.pop((turn.id, item_id), None)

    # --- For good ---------------------------------------------------------------------------------

    def _take_item(self, turn: Turn, item: Item, width: int, *, over: bool) -> Iterator[RenderableType]:
        key = (turn.id, item.id)
        if key in self._done:
            return
        if isinstance(item, MessageItem):
            yield from self._take_text(key, item, over=over)
            return
        shown = self._finished(turn, item, width, over=over)
        if shown is None:
            return
        self._done.add(key)
        if not shown:
            return
        if self._gap or isinstance(item, UserItem):
            yield Text()
        self._gap = isinstance(item, UserItem | FileItem)
        yield from shown

    def _take_text(self, key: _Key, item: MessageItem, *, over: bool) -> Iterator[RenderableType]:
        stream = self._streams.setdefault(key, MarkdownStream())
        done = item.done or over
        block = stream.take(str(item.text), done=done)
        if done:
            self._done.add(key)
            self._streams.pop(key, None)
        if block.strip():
            yield Text()
            self._gap = True
            yield render.markdown(block)

    def _finished(self, turn: Turn, item: Item, width: int, *, over: bool) -> list[RenderableType] | None:
        """How a finished item looks; None while it is not finished."""
        match item:
            case UserItem(content=()):
                return []
            case UserItem(state=state):
                return (
                    None
                    if state is InputState.PENDING and not over
                    else [render.user(item, self._me, saved=True)]
                )
            case ReasoningItem(done=done):
                return None if not (done or over) else [render.reasoning(item)] if len(item.text) else []
            case FileItem():
                return [render.file(item, saved=True)]
            case ImageItem(state=state):
                return None if state is ToolState.RUNNING and not over else [render.image(item, saved=True)]
            case CompactionItem():
                said = turn.said(item)
                return None if said is None else [] if said else [render.compaction(item)]
            case ToolItem(ref=ref) if is_for_model(ref, turn.id):
                return []
            case ToolItem(state=state):
                if not over and (tools.is_turn_diff(item) or state not in (ToolState.DONE, ToolState.FAILED)):
                    return None
                return self._tool(turn, item, width)
            case _:
                return []

    def _tool(self, turn: Turn, item: ToolItem, width: int) -> list[RenderableType]:
        if not tools.is_turn_diff(item):
            self.tools.append(item)
            self._shown_files.setdefault(turn.id, set()).update(f.path for f in tools.files_of(item))
            return render.tool(item, width)
        files = tools.not_among(tools.files_of(item), self._shown_files.get(turn.id, ()))
        if not files:
            return []
        self.tools.append(item)
        return render.diff(item, files, width)

    def output(self, number: int) -> list[RenderableType]:
        """The whole output of the `number`-th last tool call that was shown."""
        if number > len(self.tools):
            return [render.notice("There is no such tool call on this screen.")]
        return [*render.tool(self.tools[-number], 200, full=True)]

    # --- Under way --------------------------------------------------------------------------------

    def _live_item(self, turn: Turn, item: Item, width: int) -> list[RenderableType]:
        match item:
            case UserItem(state=InputState.PENDING) if turn.state is not TurnState.ENDED:
                return [Text.assemble(("⋯ queued ", "dim"), render.user(item, self._me))]
            case MessageItem():
                stream = self._streams.get((turn.id, item.id))
                pending = stream.pending(str(item.text)) if stream else str(item.text)
                return [Text(), render.markdown(pending)] if pending.strip() else []
            case ReasoningItem() if len(item.text):
                return [render.reasoning(item)]
            case ToolItem(ref=ref, state=ToolState.RUNNING) if not (
                tools.is_turn_diff(item) or is_for_model(ref, turn.id)
            ):
                return render.running_tool(item, width, LIVE_OUTPUT_LINES)
            case ImageItem(state=ToolState.RUNNING):
                return [render.image(item)]
            case _:
                return []
