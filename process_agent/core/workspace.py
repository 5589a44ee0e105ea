"""The port of a thread's workspace: where its commands run, and what its turns did to the files there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol

from process_agent.core.content import TextPart
from process_agent.core.events import ToolRef
from process_agent.core.ids import ItemId, ThreadId, TurnId

type WorkspaceMode = Literal["shared", "per-thread"]

TOOLKIT = "workspace"
"""Toolkit of the items that tell of undo and redo; a model that opens the thread is told what they say, and
viewers of ours leave them out.
"""


def is_for_model(ref: ToolRef, turn_id: TurnId) -> bool:
    """Whether an item only tells the model of undo and redo: people are told in the answer beside it. A
    toolkit of the room may have the same name, and no say in ids.
    """
    return ref.toolkit == TOOLKIT and ref.item_id == note_id(turn_id)


def note_id(turn_id: TurnId) -> ItemId:
    """The item of a turn that tells the model."""
    return ItemId(f"{turn_id}:files")


def for_model(note: str) -> TextPart:
    """What a model must know of its files, marked as nothing that a person said."""
    return TextPart(f"<workspace_note>\n{note}\n</workspace_note>")


class FileCommand(StrEnum):
    """What somebody asks of a workspace; the values are what `/diff` and the like are called with."""

    DIFF = "/diff"
    """What the turn that runs changed so far, or the last one that changed something."""
    DIFF_THREAD = "/diff thread"
    """What all turns of the thread changed."""
    DIFF_UNCOMMITTED = "/diff uncommitted"
    """What differs from the last commit, whoever changed it."""
    UNDO = "/undo"
    REDO = "/redo"

    @property
    def writes(self) -> bool:
        """Whether it changes files, so that no turn may run meanwhile."""
        return self in (FileCommand.UNDO, FileCommand.REDO)


@dataclass(frozen=True, slots=True)
class FileAnswer:
    """What came of a command: `text` for people, `diff` to be drawn, `note` what the model must know with its
    next turn, because files are not what it believes.
    """

    text: str
    diff: str | None = None
    note: str | None = None


class Workspace(Protocol):
    """Where one thread's files are. Turns of a thread come one after the other."""

    @property
    def folder(self) -> Path:
        """Where the thread's commands run. Known after `prepare`."""
        ...

    async def prepare(self, title: str) -> str | None:
        """See that the folder is there, before a turn; `title` may name it. Returns what people should hear
        when it was made just now. Raises `WorkspaceError`.
        """
        ...

    async def turn_begins(self, turn_id: TurnId) -> None:
        """A turn is about to run. Waits for nothing but an undo under way in this folder."""
        ...

    def turn_ends(self, turn_id: TurnId, *, used_tools: bool, patches: str | None = None) -> None:
        """A turn is over. `patches` is the diff its backend told of, if it told one. Idempotent."""
        ...

    async def carry_out(self, command: FileCommand) -> FileAnswer:
        """Answer a command. Raises `WorkspaceError`; nothing is changed then."""
        ...


class Workspaces(Protocol):
    """The workspaces of one agent."""

    async def start(self) -> None:
        """Begin to look at the files, in the background. Raises `WorkspaceError` for a folder that cannot be
        used as asked.
        """
        ...

    def of(self, thread_id: ThreadId) -> Workspace:
        """The workspace of a thread; the same one each time."""
        ...

    async def remove(self, thread_id: ThreadId) -> None:
        """The thread was deleted: remove what was made for it, unless work would be lost."""
        ...

    async def close(self) -> None:
        """Release everything. Idempotent."""
        ...
