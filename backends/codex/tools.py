"""A tool call that runs: what it was started with, what it has said, how it ends."""

from __future__ import annotations

from typing import Any, Final

from backends.codex.items import MAX_TEXT, command_result
from process_agent.core.content import ErrorInfo, LogLine, ToolResult
from process_agent.core.events import BackendEvent, EndReason, ToolEnded, ToolLog, ToolRef, ToolStarted

CUT_NOTE: Final = "\n… more output is not shown while it runs.\n"


class OpenTool:
    """One running tool call."""

    def __init__(self, ref: ToolRef, arguments: dict[str, Any]) -> None:
        self.ref = ref
        self.arguments = arguments
        self._output: list[str] = []
        self._length = 0

    def start(self) -> list[BackendEvent]:
        """Begin, or show it again."""
        return [ToolStarted(self.ref, self.arguments)]

    def change(self, arguments: dict[str, Any]) -> list[BackendEvent]:
        """Other arguments; nothing when they are the same."""
        if arguments == self.arguments:
            return []
        self.arguments = arguments
        return self.start()

    def log(self, text: str) -> list[BackendEvent]:
        """A piece of output, as it came; above the limit only a note."""
        if not text or self._length > MAX_TEXT:
            return []
        left = MAX_TEXT - self._length
        self._length += len(text)
        piece = text if len(text) <= left else text[:left] + CUT_NOTE
        self._output.append(piece)
        return [ToolLog(self.ref, (LogLine(piece),))]

    def end(self, result: ToolResult | None, error: ErrorInfo | None) -> list[BackendEvent]:
        """The outcome Codex gave."""
        return [ToolEnded(self.ref, result, error)]

    def abandon(self, reason: EndReason, seen: str = "") -> list[BackendEvent]:
        """The turn ends while this runs. A command of a completed turn goes on in the background.

        `seen` is what the model has seen of its output; Codex does not always show it while it comes.
        """
        if reason is EndReason.COMPLETED and self.ref.tool == "shell":
            return [ToolEnded(self.ref, command_result("".join(self._output) or seen, None, None))]
        text, code = _UNFINISHED[reason]
        return [ToolEnded(self.ref, error=ErrorInfo(text, code))]


_UNFINISHED: Final = {
    EndReason.COMPLETED: ("The turn ended before it did.", "unfinished"),
    EndReason.INTERRUPTED: ("Stopped.", "interrupted"),
    EndReason.FAILED: ("The turn failed before it ended.", "turn_failed"),
    EndReason.LOST: ("Codex is gone; how it ended is not known.", "lost"),
}
