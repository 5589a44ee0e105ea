"""Copies of what people attached, in a folder that commands can read.

<folder>/<thread>/<file>/NAME, where `thread` and `file` are digests: what comes from one address stays in one
place, also over restarts. Nothing is written over. Files that nobody attached again for a week are removed at
the next start, and the oldest of more than a gigabyte; those of a thread go with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from process_agent.core.ids import ThreadId
from process_agent.io.beneath import keep_beneath

logger = logging.getLogger(__name__)

KEEP_SECONDS = 7 * 24 * 3600
MAX_KEPT = 1024 * 1024 * 1024
"""Bytes that stay at a start."""

MAX_NAME = 120
"""Characters of a file's name; in UTF-8 they have at most four bytes each and need room for a number."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """The copies of one agent in one room."""

    folder: Path

    async def keep(self, thread_id: ThreadId, url: str, name: str, data: bytes) -> str:
        """Keep a copy; returns its path. Raises `OSError` and `ToolFailedError`."""
        path = self._place(thread_id, url, name)
        kept = await asyncio.to_thread(keep_beneath, self.folder, path, data)
        return str(self.folder / kept)

    def find(self, thread_id: ThreadId, url: str, name: str) -> str | None:
        """The path of a copy that was kept before."""
        path = self.folder / self._place(thread_id, url, name)
        return str(path) if path.is_file() else None

    async def forget(self, thread_id: ThreadId) -> None:
        """The thread is gone."""
        await asyncio.to_thread(shutil.rmtree, self.folder / self._thread(thread_id), ignore_errors=True)

    async def tidy(self) -> None:
        """Remove what is old, or too much."""
        await asyncio.to_thread(_tidy, self.folder)

    def _place(self, thread_id: ThreadId, url: str, name: str) -> PurePosixPath:
        return PurePosixPath(self._thread(thread_id), _digest(url), plain_name(name))

    def _thread(self, thread_id: ThreadId) -> str:
        return _digest(thread_id)


def plain_name(name: str) -> str:
    """A name that can be nothing but the name of a visible file, whatever somebody called theirs."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    shown = "".join(char if char.isprintable() else "_" for char in last).strip()
    shown = shown.encode("utf-8", "replace").decode()
    stem, dot, suffix = shown.rpartition(".")
    if dot and stem and len(shown) > MAX_NAME:
        shown = f"{stem[: MAX_NAME - 1 - len(suffix[:20])]}.{suffix[:20]}"
    shown = shown[:MAX_NAME].lstrip(".-~ ")
    while len(shown.encode()) > 2 * MAX_NAME:
        shown = shown[1:]
    return shown or "file"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]


def _tidy(folder: Path) -> None:
    found: list[tuple[float, int, str]] = []
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            with contextlib.suppress(OSError):
                about = os.lstat(path)
                found.append((about.st_mtime, about.st_size, path))
    left, oldest = MAX_KEPT, time.time() - KEEP_SECONDS
    for used, size, path in sorted(found, reverse=True):
        left -= size
        if left < 0 or used < oldest:
            with contextlib.suppress(OSError):
                os.unlink(path)
    for place, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(place)  # if it is empty
