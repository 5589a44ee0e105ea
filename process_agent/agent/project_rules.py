"""`AGENTS.md` files of the working folder, as Codex takes them: for language models that work in it.

From the root of the repository down to the folder, each folder on the way has at most one: its
`AGENTS.override.md`, else its `AGENTS.md`. Without a repository only the folder itself is looked at. What is
nearer comes later, and thereby counts more. The files are read again for each turn.

Commands in the sandbox can write such files, and links: no link is followed, or a command could have what is
kept from it, like a login, read by the agent and told to the model.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from process_agent.errors import ToolFailedError
from process_agent.io.beneath import read_beneath

logger = logging.getLogger(__name__)

MAX_BYTES = 32 * 1024
"""Of all files together, as in Codex; what is more is cut, and said."""

MAX_FILE = 1024 * 1024
"""Bytes of a file that is looked at at all."""

MAX_DEPTH = 64
"""Folders between the root of the repository and the working folder."""

NAMES = ("AGENTS.override.md", "AGENTS.md")
ROOT_MARK = ".git"

_HEAD = "Instructions of the project, from its AGENTS.md files; those that come later count more:"


@dataclass(frozen=True, slots=True)
class ProjectRules:
    """What the files say; `cut` names the file in which the limit was reached, `unread` those that could not
    be read, with the reason.
    """

    text: str | None = None
    cut: Path | None = None
    unread: tuple[str, ...] = ()

    def news(self) -> tuple[str, ...]:
        """What people should hear of the files."""
        if self.cut is None:
            return self.unread
        much = f"The AGENTS.md files have more than {MAX_BYTES:,} bytes"
        return (*self.unread, f"{much}: {self.cut} is cut, and what follows it left out.")


async def project_rules(folder: Path) -> ProjectRules:
    """What the files say now to whoever works in the folder. Raises nothing."""
    return await asyncio.to_thread(_read, folder)


def folders(folder: Path) -> list[Path]:
    """The folders that are looked into, the root of the repository first."""
    found = [folder]
    for above in (folder, *folder.parents)[:MAX_DEPTH]:
        if above != folder:
            found.append(above)
        if (above / ROOT_MARK).exists():
            return found[::-1]
    return [folder]


def _read(folder: Path) -> ProjectRules:
    parts, room, unread = list[str](), MAX_BYTES, list[str]()
    cut: Path | None = None
    # Above the folder others may write, as in /tmp: what they put there is not the operator's.
    trusted = {0, os.geteuid(), folder.stat().st_uid} if folder.is_dir() else set()
    for place in folders(folder):
        try:
            found = _file(place, trusted)
        except (ToolFailedError, OSError) as error:
            unread.append(f"The AGENTS.md of {place} is left out: {error}")
            continue
        if found is None or cut is not None:
            continue
        path, data = found
        text = data[:room].decode(errors="replace" if len(data) <= room else "ignore").strip()
        if len(data) > room:
            cut = path
        room -= len(data)
        if text:
            parts.append(text)
    return ProjectRules("\n\n".join((_HEAD, *parts)) if parts else None, cut, tuple(unread))


def _file(place: Path, trusted: Collection[int]) -> tuple[Path, bytes] | None:
    """The file of one folder, of these owners. Raises `ToolFailedError` and `OSError` for one that cannot be
    read.
    """
    for name in NAMES:
        path = place / name
        if path.is_symlink() or path.exists():
            if path.lstat().st_uid not in trusted:
                raise ToolFailedError(f"{name} belongs to another user.")
            return path, read_beneath(place, PurePosixPath(name), MAX_FILE)
    return None
