"""What a document says of a thread, whatever its form. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from process_agent.core.events import EndReason
from process_agent.core.ids import ThreadId
from process_agent.core.room_addresses import is_room_address, path_at
from process_agent.viewer.items import ToolItem, Turn, TurnState
from process_agent.viewer.terminal import tools
from process_agent.viewer.terminal.diffs import FileDiff, LineKind, summary
from process_agent.viewer.terminal.plain import duration, money, one_line, printable, quantity
from process_agent.viewer.transcript import Transcript

TITLE_WIDTH = 300
"""Characters of the line that names a tool call."""

SIGNS: dict[LineKind, str] = {"added": "+", "removed": "-", "same": " ", "hunk": "", "note": ""}
"""What a line of a diff begins with."""

LEFT_OUT = "Earlier turns of this thread are left out: it is too long for one document."


@dataclass(frozen=True, slots=True)
class Paper:
    """A thread to write down. `pictures` are MIME types and base64 of images that are put into the page, by
    address, or by path where they are files of the room; `links` lead to other such files, by path. `cut`
    says that earlier turns are missing.
    """

    thread: ThreadId
    name: str
    created_at: datetime
    modified_at: datetime
    transcript: Transcript
    pictures: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    cut: bool = False
    links: Mapping[str, str] = field(default_factory=dict)

    def picture(self, address: str) -> tuple[str, str] | None:
        """The image at an address, if the page has it."""
        return self.pictures.get(address) or self.pictures.get(self._path(address))

    def link(self, address: str) -> tuple[str, str] | None:
        """Where the file at an address is, and its name, if the document has it."""
        path = self._path(address)
        return (self.links[path], path.rpartition("/")[2]) if path in self.links else None

    def _path(self, address: str) -> str:
        return path_at(address) if is_room_address(address) else ""


def utc(moment: datetime) -> str:
    """A time, the same wherever the document is made."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment.utcoffset() is not None else str(moment)


def changed_files(turn: Turn, item: ToolItem) -> list[FileDiff]:
    """The files that a tool call changes; of the diff of the whole turn those that no other call has."""
    files = tools.files_of(item)
    if not tools.is_turn_diff(item):
        return files
    others = (i for i in turn.items.values() if isinstance(i, ToolItem) and not tools.is_turn_diff(i))
    return tools.not_among(files, {file.path for other in others for file in tools.files_of(other)})


def hidden(turn: Turn, item: ToolItem) -> bool:
    """Whether a turn's diff has nothing that was not there before."""
    return tools.is_turn_diff(item) and not changed_files(turn, item)


def headline(turn: Turn, item: ToolItem) -> str:
    """What a tool call does, on one line."""
    if tools.plan_of(item):
        return "plan"
    if files := changed_files(turn, item):
        return one_line(summary(files, tools.mood_of(item)).plain, TITLE_WIDTH)
    return tools.title(item, TITLE_WIDTH)


def output(turn: Turn, item: ToolItem) -> str:
    """What a tool call put out, where that says more than its plan or its diff."""
    if tools.plan_of(item) or (changed_files(turn, item) and not tools.failed(item)):
        return ""
    return tools.output_of(item)


def outcome(turn: Turn, item: ToolItem) -> str:
    """How a tool call ended, in a few words."""
    if not tools.failed(item) and item.decided is None and not output(turn, item):
        return ""
    return tools.outcome(item)


def ending(turn: Turn) -> str:
    """How a turn ended, how long it took, what it used."""
    error = "" if turn.error is None else printable(turn.error.message)
    if turn.state is TurnState.REFUSED:
        said = f"refused: {error}"
    elif turn.state is not TurnState.ENDED:
        said = f"… {turn.state.value}"
    elif turn.end is EndReason.INTERRUPTED:
        said = "stopped"
    elif turn.end in (EndReason.FAILED, EndReason.LOST):
        said = f"{turn.end.value}: {error}"
    else:
        said = "done"
    return " · ".join([said, *_facts(turn)])


def _facts(turn: Turn) -> list[str]:
    facts = []
    if turn.started_at is not None and turn.ended_at is not None:
        facts.append(duration(max((turn.ended_at - turn.started_at).total_seconds(), 0)))
    if turn.usage is not None and turn.usage.total:
        facts.append(f"{quantity(turn.usage.input)} in, {quantity(turn.usage.output)} out")
    if turn.cost is not None:
        facts.append(money(turn.cost))
    return [*facts, *([printable(turn.model)] if turn.model else [])]


def failed(turn: Turn) -> bool:
    """Whether readers should notice how it ended."""
    return turn.state is TurnState.REFUSED or turn.end in (EndReason.FAILED, EndReason.LOST)
