"""The files of threads that are deleted: those that no other thread speaks of go too."""

from __future__ import annotations

import json as json_module
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from process_agent.cli.thread_tools.places import Place
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
    """Files of threads, looked up before they go."""

    def __init__(self, room: JoinedRoom) -> None:
        self._room = room
        self._folders: set[str] = set()

    async def look(self, place: Place) -> None:
        """Note what a thread speaks of."""
        from process_agent.threads.kept.files import folders_of
        from process_agent.threads.kept.looking import Counted

        self._folders |= await folders_of(self._room.datasets, place.ref, Counted(MAX_ROWS))

    async def remove(self, others: Sequence[Place], *, json: bool) -> AsyncGenerator[str]:
        """Remove what no other thread of the same agents speaks of; lines that say so."""
        from process_agent.threads.kept.files import remove, unused

        if not self._folders:
            return
        refs = [place.ref for place in others]
        left = await unused(self._room.datasets, self._folders, refs, MAX_ROWS)
        if left is None:
            why = "other threads are too long to see whether they need them"
            yield _said({"files_kept": why}, json, f"Attached files stay: {why}.")
            return
        async for path in remove(self._room.files, left):
            yield _said({"file_removed": path}, json, f"Removed the file {path}")


def _said(told: dict[str, str], json: bool, text: str) -> str:
    return json_module.dumps(told, ensure_ascii=False) if json else text
