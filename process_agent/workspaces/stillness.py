"""Whether anything in a small folder has changed since it was last looked at, without a program for it.

Most turns only talk. Asking Git whether files have changed costs more than the rest of the agent's work for
such a turn; names, sizes and times of a few hundred files are read in less than a millisecond.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

MAX_ENTRIES: Final = 500
"""Files and folders that are looked at; of a folder with more nothing is known."""

UNSETTLED: Final = 100_000_000
"""Nanoseconds: a change so short ago could be followed by another one with the same time."""

type Sight = frozenset[tuple[str, int, int, int, int, int]]
"""Path, mode, inode, size, times of content and of the rest, of every entry."""


def look(folder: Path) -> Sight | None:
    """What is there. None when it is too much, too fresh, or cannot be read: ask Git then.

    Two equal sights mean that nothing has changed in between, but for what times and sizes do not tell; Git
    itself knows no more. Folders called `.git` are left out.
    """
    found: set[tuple[str, int, int, int, int, int]] = set()
    settled = time.time_ns() - UNSETTLED
    todo = [os.fspath(folder)]
    try:
        while todo:
            with os.scandir(todo.pop()) as entries:
                for entry in entries:
                    if entry.name == ".git" and entry.is_dir(follow_symlinks=False):
                        continue
                    at = entry.stat(follow_symlinks=False)
                    if len(found) >= MAX_ENTRIES or max(at.st_mtime_ns, at.st_ctime_ns) > settled:
                        return None
                    found.add((entry.path, at.st_mode, at.st_ino, at.st_size, at.st_mtime_ns, at.st_ctime_ns))
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(entry.path)
    except OSError:
        return None
    return frozenset(found)
