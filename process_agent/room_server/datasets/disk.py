"""What the log of rows does with files. Before and after each step a machine may lose its power.

All of them raise `OSError`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from process_agent.room_server.datasets.durable import sync_folder


class Disk:
    """The real one."""

    def paths(self, folder: Path, suffix: str) -> Sequence[Path]:
        """Files of a folder by name; none if there is no folder."""
        return sorted(folder.glob(f"*{suffix}"))

    def read(self, path: Path) -> bytes:
        """All of a file."""
        return path.read_bytes()

    def make_folder(self, folder: Path) -> None:
        """Make a folder with those above it; their names are on disk on return."""
        made = [each for each in (folder, *folder.parents) if not each.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for each in reversed(made):
            sync_folder(each.parent)

    def create(self, path: Path) -> int:
        """Begin a file to append to; its descriptor."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        """Append; how many bytes were taken."""
        return os.write(descriptor, data)

    def shorten(self, descriptor: int, size: int) -> None:
        """End a file that is being written at a size."""
        os.ftruncate(descriptor, size)

    def flush(self, descriptor: int) -> None:
        """Have on disk what was written."""
        os.fdatasync(descriptor)

    def close(self, descriptor: int) -> None:
        """Write no more to a file."""
        os.close(descriptor)

    def cut(self, path: Path, size: int) -> None:
        """End a file at a size; it is on disk on return."""
        with path.open("r+b") as written:
            written.truncate(size)
            os.fsync(written.fileno())

    def copy(self, path: Path, to: Path) -> None:
        """Have the same bytes in another file."""
        to.write_bytes(path.read_bytes())

    def remove(self, path: Path) -> None:
        """Remove a file, if it is there."""
        path.unlink(missing_ok=True)

    def sync_names(self, folder: Path) -> None:
        """Have on disk which files a folder has."""
        sync_folder(folder)
