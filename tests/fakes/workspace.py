"""A workspace whose answers the test gives."""

from __future__ import annotations

from pathlib import Path

from process_agent.core.ids import TurnId
from process_agent.core.workspace import FileAnswer, FileCommand
from process_agent.errors import WorkspaceError


class PlayedWorkspace:
    """See `core.workspace.Workspace`; `heard` is what turns did, in order."""

    def __init__(self) -> None:
        self.folder = Path("/work")
        self.heard: list[str] = []
        self.made: str | None = None
        self.answers: list[FileAnswer | WorkspaceError] = []

    async def prepare(self, title: str) -> str | None:
        made, self.made = self.made, None
        return made

    async def turn_begins(self, turn_id: TurnId) -> None:
        self.heard.append(f"begin {turn_id}")

    def turn_ends(self, turn_id: TurnId, *, used_tools: bool, patches: str | None = None) -> None:
        self.heard.append(f"end {turn_id} {used_tools} {patches}")

    async def carry_out(self, command: FileCommand) -> FileAnswer:
        answer = self.answers.pop(0)
        if isinstance(answer, WorkspaceError):
            raise answer
        return answer
