"""One folder for all threads of an agent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from process_agent.core.ids import ThreadId, TurnId
from process_agent.core.workspace import FileAnswer, FileCommand, Workspace
from process_agent.workspaces.commands import FileCommands
from process_agent.workspaces.places import agent_home
from process_agent.workspaces.records import Records
from process_agent.workspaces.snapshots import Snapshots
from process_agent.workspaces.tracked import TrackedFolder


def home_of(data_dir: Path, agent_name: str, folder: Path) -> Path:
    """Where an agent keeps what it knows of a folder."""
    return agent_home(data_dir, agent_name) / _short(folder)


def tracked_folder(folder: Path, home: Path, environment: Mapping[str, str]) -> TrackedFolder:
    """A folder whose turns are looked after; `home` may be shared by folders that have much in common."""
    return TrackedFolder(Snapshots(folder, home, environment), Records(home / f"turns-{_short(folder)}"))


def _short(folder: Path) -> str:
    return sha256(os.fsencode(folder)).hexdigest()[:16]


class SharedWorkspaces:
    """Implements the port `Workspaces`: every thread works in `folder`."""

    def __init__(self, folder: Path, home: Path, environment: Mapping[str, str]) -> None:
        self._tracked = tracked_folder(folder, home, environment)

    async def start(self) -> None:
        """Take the first snapshot in the background."""
        self._tracked.start()

    def of(self, thread_id: ThreadId) -> Workspace:
        """A view of the folder with what this thread did."""
        return TrackedWorkspace(thread_id, self._tracked)

    async def remove(self, thread_id: ThreadId) -> None:
        """Nothing was made for the thread."""

    async def close(self) -> None:
        """Stop taking snapshots. Idempotent."""
        await self._tracked.close()


class TrackedWorkspace:
    """Implements the port `Workspace` for a folder that is there."""

    def __init__(self, thread_id: ThreadId, tracked: TrackedFolder) -> None:
        self._thread_id = thread_id
        self._tracked = tracked

    @property
    def folder(self) -> Path:
        """The folder."""
        return self._tracked.snapshots.folder

    async def prepare(self, title: str) -> str | None:
        """Nothing has to be made."""
        return None

    async def turn_begins(self, turn_id: TurnId) -> None:
        """See the port."""
        await self._tracked.turn_begins(self._thread_id, turn_id)

    def turn_ends(self, turn_id: TurnId, *, used_tools: bool, patches: str | None = None) -> None:
        """See the port."""
        self._tracked.turn_ends(turn_id, used_tools=used_tools, patches=patches)

    async def carry_out(self, command: FileCommand) -> FileAnswer:
        """See the port."""
        return await FileCommands(self._thread_id, self._tracked).carry_out(command)
