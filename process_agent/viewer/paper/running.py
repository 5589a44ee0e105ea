"""A thread on paper while it goes on: lines that are never taken back. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from process_agent.core import events as e
from process_agent.core.content import plain_text
from process_agent.core.events import ThreadEvent
from process_agent.viewer.items import ToolItem, Turn
from process_agent.viewer.paper.parts import TITLE_WIDTH, ending, headline, outcome
from process_agent.viewer.terminal import tools
from process_agent.viewer.terminal.plain import one_line, printable
from process_agent.viewer.transcript import Change, Transcript

MAX_UNSAID = 100_000
"""Characters of a line that is not over yet; a longer one is written in pieces."""


class RunningPaper:
    """Events in, lines out. A text is written line by line as it comes, its last line when it ends."""

    def __init__(self) -> None:
        self._transcript = Transcript(turn_limit=100)
        self._unsaid = ""
        self._writing: tuple[object, ...] | None = None

    def lines(self, event: ThreadEvent) -> Iterator[str]:
        """What an event adds."""
        change = self._transcript.apply(event)
        if change is None:
            return
        key = (event.turn_id, getattr(event.body, "item_id", None), type(event.body))
        if self._writing not in (None, key):
            yield from self._rest()
        match event.body:
            case e.TextDelta(text=text):
                yield from self._text(key, "", text)
            case e.ReasoningDelta(text=text):
                yield from self._text(key, "∴ ", text)
            case e.TurnEnded() | e.TurnRejected() if change.turn is not None:
                yield from (f"— {ending(change.turn)}", "")
            case e.TurnRequested() | e.SteerRequested():
                yield from _said(event.body.sender_name, plain_text(event.body.content))
            case body:
                yield from _shown(body, change)

    def _text(self, key: tuple[object, ...], sign: str, text: str) -> Iterator[str]:
        if self._writing is None:
            self._unsaid = sign
        self._writing = key
        *whole, self._unsaid = (self._unsaid + text).split("\n")
        if len(self._unsaid) > MAX_UNSAID:
            whole, self._unsaid = [*whole, self._unsaid], ""
        for line in whole:
            yield printable(line)

    def _rest(self) -> Iterator[str]:
        if self._unsaid:
            yield printable(self._unsaid)
        self._unsaid, self._writing = "", None


def _shown(body: e.EventBody, change: Change) -> Iterator[str]:
    match body, change.item:
        case e.ToolEnded(), ToolItem() as item if change.turn is not None:
            yield from _tool(change.turn, item)
        case e.ApprovalRequested(), ToolItem() as item:
            yield f"? {one_line(tools.question(item), TITLE_WIDTH)}"
        case e.FileShown(url=url), _:
            yield f"▤ {one_line(url, 200)}"
        case e.ImageCompleted(images=images), _:
            yield from (f"▣ {one_line(image.uri, 200)}" for image in images)


def _said(name: str | None, text: str) -> Iterator[str]:
    first, *others = printable(text).split("\n")
    yield f"{one_line(name or 'somebody', 100)} › {first}"
    for line in others:
        yield f"  {line}"


def _tool(turn: Turn, item: ToolItem) -> Iterator[str]:
    if tools.is_turn_diff(item):
        return
    said = outcome(turn, item)
    yield f"• {headline(turn, item)}{f'  ({said})' if said else ''}"
