"""The files of one thread around its turns: where they are, what was done to them, what a model must know."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from process_agent.agent.tools.tool import Report
from process_agent.core.backend import TurnInput
from process_agent.core.content import ErrorInfo, TextResult
from process_agent.core.events import (
    BackendEvent,
    EndReason,
    Phase,
    TextDelta,
    TextEnded,
    TextStarted,
    ToolEnded,
    ToolRef,
    ToolStarted,
    TurnEnded,
)
from process_agent.core.ids import ItemId, TurnId
from process_agent.core.titles import title_of
from process_agent.core.workspace import TOOLKIT, FileAnswer, FileCommand, Workspace, for_model, note_id
from process_agent.errors import WorkspaceError

logger = logging.getLogger(__name__)


class ThreadFiles:
    """Of one thread. Without a workspace there is nothing to tell."""

    def __init__(self, workspace: Workspace | None) -> None:
        self._workspace = workspace
        self._notes: list[str] = []
        self._seen: _Seen | None = None

    @property
    def folder(self) -> Path | None:
        """Where commands run; None for the working folder."""
        return None if self._workspace is None else self._workspace.folder

    async def begin(self, turn: TurnInput, report: Report) -> None:
        """A turn is about to run. Raises `WorkspaceError` when there is no folder for it."""
        if self._workspace is None:
            return
        said = await self._workspace.prepare(title_of(turn.content))
        if said is not None:
            for event in _text(turn.turn_id, "workspace-made", said, "commentary"):
                report(turn.turn_id, event)
        if turn.compact:
            return
        self._seen = _Seen(turn.turn_id)
        await self._workspace.turn_begins(turn.turn_id)

    def told(self, turn: TurnInput, *, knows: bool) -> TurnInput:
        """The turn with what its model has to know first. `knows` when the model gets the whole history now,
        which says it already. Each thing is told once.
        """
        notes, self._notes = self._notes, []
        if self._workspace is not None:
            turn = replace(turn, folder=self._workspace.folder)
        if knows or not notes or turn.compact:
            self._notes = [] if knows else notes
            return turn
        return replace(turn, content=(for_model("\n\n".join(notes)), *turn.content))

    def observe(self, event: BackendEvent) -> None:
        """What the turn does."""
        if self._seen is None:
            return
        match event:
            case ToolStarted(ref, arguments):
                self._seen.used_tools = True
                if ref.tool == "diff_updated" and isinstance(diff := arguments.get("diff"), str):
                    self._seen.patches = diff
            case TurnEnded():
                self.end()
            case _:
                pass

    def end(self) -> None:
        """The turn is over, however it ended. Idempotent."""
        seen, self._seen = self._seen, None
        if seen is not None and self._workspace is not None:
            self._workspace.turn_ends(seen.turn_id, used_tools=seen.used_tools, patches=seen.patches)

    async def carry_out(self, command: FileCommand, turn_id: TurnId, report: Report) -> None:
        """Answer a command, in events of its own turn."""
        try:
            if self._workspace is None:
                raise WorkspaceError("The files of turns are not kept by this agent.")
            answer = await self._workspace.carry_out(command)
        except WorkspaceError as error:
            answer = FileAnswer(str(error))
        except Exception as error:
            logger.exception("%s failed", command.value)
            report(turn_id, TurnEnded(EndReason.FAILED, ErrorInfo(f"It failed: {error!r}", "internal_error")))
            return
        if answer.note is not None:
            self._notes.append(answer.note)
        for event in _events(answer, command, turn_id):
            report(turn_id, event)


@dataclass(slots=True)
class _Seen:
    turn_id: TurnId
    used_tools: bool = False
    patches: str | None = None


def _events(answer: FileAnswer, command: FileCommand, turn_id: TurnId) -> Iterator[BackendEvent]:
    """An answer as clients draw it: the diff as that of a turn is (agent protocol page, section 8.3)."""
    if answer.diff:
        item = ItemId(f"{turn_id}:diff")
        ref = ToolRef(item, "codex", "diff_updated", "codex", item)
        yield ToolStarted(ref, {"diff": answer.diff})
        yield ToolEnded(ref)
    if answer.note is not None:
        item = note_id(turn_id)
        ref = ToolRef(item, TOOLKIT, command.value.removeprefix("/"), call_id=item)
        yield ToolStarted(ref, {})
        yield ToolEnded(ref, TextResult(answer.note))
    yield from _text(turn_id, "answer", answer.text, "final_answer")
    yield TurnEnded(EndReason.COMPLETED)


def _text(turn_id: TurnId, name: str, text: str, phase: Phase) -> Iterator[BackendEvent]:
    item = ItemId(f"{turn_id}:{name}")
    yield TextStarted(item, phase)
    yield TextDelta(item, text, phase)
    yield TextEnded(item, phase)
