"""A whole thread on paper: everything in full, nothing folded. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from process_agent.viewer.items import (
    CompactionItem,
    FileItem,
    ImageItem,
    Item,
    MessageItem,
    ReasoningItem,
    ToolItem,
    Turn,
    TurnState,
    UserItem,
)
from process_agent.viewer.terminal import render, tools
from process_agent.viewer.transcript import Transcript


def document(transcript: Transcript, width: int) -> Iterator[RenderableType]:
    """All turns; names are shown for everybody."""
    for turn in transcript.turns:
        for item in turn.items.values():
            yield from _item(turn, item, width)
        yield render.footer(turn) if _over(turn) else render.notice(f"… {turn.state}")
        yield Text()


def _item(turn: Turn, item: Item, width: int) -> Iterator[RenderableType]:
    match item:
        case UserItem() if item.content:
            yield render.user(item, None)
        case MessageItem() if len(item.text):
            yield Text()
            yield render.markdown(str(item.text))
        case ReasoningItem() if len(item.text):
            yield render.reasoning(item, full=True)
        case ToolItem() if not (tools.is_turn_diff(item) and _drawn_already(turn, item)):
            yield from render.tool(item, width, full=True)
        case FileItem():
            yield render.file(item)
        case ImageItem():
            yield render.image(item)
        case CompactionItem() if item.summary or not turn.said(item):
            yield render.compaction(item, full=True)


def _over(turn: Turn) -> bool:
    return turn.state in (TurnState.ENDED, TurnState.REFUSED)


def _drawn_already(turn: Turn, diff: ToolItem) -> bool:
    """Whether all that a turn's diff changes was drawn as single changes."""
    others = (i for i in turn.items.values() if isinstance(i, ToolItem) and not tools.is_turn_diff(i))
    drawn = {file.path for item in others for file in tools.files_of(item)}
    return not tools.not_among(tools.files_of(diff), drawn)
