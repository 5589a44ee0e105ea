"""Files that were attached or shown: they go with the last thread that speaks of them."""

from __future__ import annotations

import json as json_module
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from process_agent.cli.thread_tools.places import Place
    from process_agent.core.room import TableRef
    from process_agent.rooms.join import JoinedRoom

MAX_ROWS: Final = 5_000_000
"""Rows of other threads that are read; in a room with more the files stay."""

KeepFiles = Annotated[
    bool,
    typer.Option(
        "--keep-files", help="Keep the files that were attached or shown, even if nobody else has them."
    ),
]


class Attached:
    """Files of threads that are deleted on the tables, looked up before they go. An agent that is in the room
    removes those of its own threads by itself.
    """

    def __init__(self, room: JoinedRoom, folders: dict[str, str], *, keep: bool) -> None:
        self.keep = keep
        self._room = room
        self._folders = folders
        self._paths: set[str] = set()
        self._namespaces: dict[tuple[str, ...], None] = {}

    async def look(self, place: Place) -> None:
        """Note what a thread has."""
        from process_agent.threads.paths import namespace_of
        from process_agent.threads.table import ThreadTable

        if not self.keep:
            self._namespaces[namespace_of(place.directory)] = None
            self._paths |= await ThreadTable(self._room.datasets, place.ref, place.entry.path).files()

    async def remove(self, *, json: bool) -> AsyncGenerator[str]:
        """Remove what no thread speaks of that is left in the room; lines that say so."""
        from process_agent.threads.kept.files import remove, unused
        from process_agent.threads.kept.looking import Counted
        from process_agent.threads.room_files import folder_of

        if not self._paths:
            return
        refs, counted = await self._left(), Counted(MAX_ROWS)
        folders = {folder_of(path) for path in self._paths}
        left = await unused(self._room.datasets, folders, refs, counted)
        if counted.enough:
            why = "other threads are too long to see whether they need them"
            yield _said({"files_kept": why}, json, f"Attached files stay: {why}.")
            return
        alone = [path for path in self._paths if folder_of(path) in left]
        async for path in remove(self._room.files, alone):
            yield _said({"file_removed": path}, json, f"Removed the file {path}")

    async def _left(self) -> list[TableRef]:
        from process_agent.threads.kept.cleaning import threads_in
        from process_agent.threads.paths import namespace_of, namespaces_told

        told = namespaces_told(self._room.messaging.participants())
        known = map(namespace_of, self._folders.values())
        namespaces = dict.fromkeys([*self._namespaces, *known, *told])
        return [ref for each in namespaces async for ref in threads_in(self._room.datasets, each)]


def _said(told: dict[str, str], json: bool, text: str) -> str:
    return json_module.dumps(told, ensure_ascii=False) if json else text
