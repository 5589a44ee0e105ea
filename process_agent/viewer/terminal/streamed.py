"""A single turn on plain output: the answer as text, or every message as a line of JSON."""

from __future__ import annotations

import json
from typing import TextIO

from process_agent.core.visible import visible
from process_agent.viewer.items import (
    CompactionItem,
    ImageItem,
    MessageItem,
    ReasoningItem,
    ToolItem,
    ToolState,
    Turn,
)
from process_agent.viewer.once import final_texts
from process_agent.viewer.received import Received
from process_agent.viewer.terminal import render, tools
from process_agent.viewer.terminal.plain import printable
from process_agent.viewer.transcript import Change

PROGRESS_WIDTH = 100


class JsonSink:
    """One agent message per line, as the agent sent it."""

    def __init__(self, out: TextIO, notes: TextIO | None) -> None:
        self._out = out
        self._notes = notes

    def message(self, received: Received) -> None:
        """Print it."""
        print(json.dumps(dict(received.body), ensure_ascii=False), file=self._out, flush=True)

    def change(self, change: Change) -> None:
        """Nothing: the message said it."""

    def notice(self, text: str) -> None:
        """Tell people, when there are any."""
        _note(self._notes, text)

    def ended(self, turn: Turn) -> None:
        """Nothing: the message said it."""


class TextSink:
    """The final text as it comes, and nothing else on `out`; what happens on the way goes to `notes`.

    Several messages are separated by an empty line. On a terminal control characters are left out, else
    the text is exactly what the agent wrote, with a line end at its end.
    """

    def __init__(self, out: TextIO, notes: TextIO | None) -> None:
        self._out = out
        self._notes = notes
        self._safe = out.isatty()
        self._written: dict[str, int] = {}
        self._current: str | None = None
        self._at_line_start = True
        self._noted: set[str] = set()

    def message(self, received: Received) -> None:
        """Nothing: the change says it."""

    def change(self, change: Change) -> None:
        """Write more of the answer, or note what the agent does."""
        item = change.item
        if isinstance(item, MessageItem) and item.phase != "commentary":
            self._write(item.id, str(item.text))
        elif item is not None and self._notes is not None and item.id not in self._noted:
            self._note_item(item)

    def notice(self, text: str) -> None:
        """Tell people, when there are any."""
        self._end_line_on_screen()
        _note(self._notes, text)

    def ended(self, turn: Turn) -> None:
        """Write what was held back, and a last line end."""
        if not self._written:
            for text in final_texts(turn) or _notices(turn):
                self._write(text, text)
        if not self._at_line_start:
            self._put("\n")

    def _write(self, key: str, text: str) -> None:
        written = self._written.get(key, 0)
        if len(text) <= written:
            return
        if self._current is not None and self._current != key:
            self._put("\n\n" if not self._at_line_start else "\n")
        self._current = key
        self._written[key] = len(text)
        self._put(text[written:])

    def _put(self, text: str) -> None:
        text = printable(text) if self._safe else text
        if text:
            self._out.write(text)
            self._out.flush()
            self._at_line_start = text.endswith("\n")

    def _end_line_on_screen(self) -> None:
        """Where both go to one terminal, a note begins on a line of its own."""
        if self._safe and self._notes is not None and not self._at_line_start:
            self._put("\n")

    def _note_item(self, item: object) -> None:
        match item:
            case MessageItem(done=True, text=text) if len(text):
                shown = str(text).strip()
            case ReasoningItem(done=True) if len(item.text):
                shown = render.to_ansi([render.reasoning(item)], PROGRESS_WIDTH, None).rstrip()
            case ToolItem(state=ToolState.DONE | ToolState.FAILED) if not tools.is_turn_diff(item):
                shown = render.to_ansi(render.tool(item, PROGRESS_WIDTH)[:1], PROGRESS_WIDTH, None).rstrip()
            case ImageItem(state=ToolState.DONE | ToolState.FAILED):
                shown = render.to_ansi([render.image(item)], PROGRESS_WIDTH, None).rstrip()
            case CompactionItem():
                shown = render.to_ansi([render.compaction(item)], PROGRESS_WIDTH, None).rstrip()
            case ToolItem(state=ToolState.WAITING):
                self._note_waiting(item)
                return
            case _:
                return
        self._noted.add(item.id)  # every item that is shown has one
        self.notice(shown)

    def _note_waiting(self, item: ToolItem) -> None:
        request = item.request
        if request is not None and request.questions:
            asked = " ".join(visible(question.text) for question in request.questions)
            self.notice(f"Waiting for an answer: {asked}\n  Answer in Studio or `process chat`.")
            return
        question = f"Waiting for approval: {tools.question(item)}"
        self.notice(f"{question}\n  Answer in Studio, or start with --approve always.")


def _notices(turn: Turn) -> list[str]:
    """What a turn without text said beside it."""
    items = [item for item in turn.items.values() if isinstance(item, ToolItem)]
    return [tools.output_of(item) for item in items if tools.is_notice(item)]


def _note(notes: TextIO | None, text: str) -> None:
    if notes is not None:
        print(printable(text), file=notes, flush=True)
