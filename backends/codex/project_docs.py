"""AGENTS.md, read by us: with read protection Codex needs 0.2 s of sandboxed reads for it at each thread.

Same rules as Codex: from the project's root (the nearest folder above with `.git`) down to the working
folder, in each the first of `AGENTS.override.md` and `AGENTS.md`, 32 KiB in all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

NAMES: Final = ("AGENTS.override.md", "AGENTS.md")
MAX_BYTES: Final = 32 * 1024


def project_docs(folder: Path) -> str:
    """The instructions for a working folder, each under the name of its folder; empty when there are none.

    A link out of the project is not followed: a command could have made it, to have us read for it what the
    sandbox keeps from it.
    """
    folder = folder.resolve()
    root = _root(folder)
    left, parts = MAX_BYTES, []
    for place in reversed([folder, *folder.parents]):
        if place.is_relative_to(root) and left > 0:
            text = _read(place, root, left)
            left -= len(text)
            if text.strip():
                parts.append(f"# Project instructions in {place}\n\n{text.decode(errors='replace').strip()}")
    return "\n\n".join(parts)


def _root(folder: Path) -> Path:
    return next((place for place in (folder, *folder.parents) if (place / ".git").exists()), folder)


def _read(place: Path, root: Path, limit: int) -> bytes:
    for name in NAMES:
        path = (place / name).resolve()
        if path.is_relative_to(root) and path.is_file():
            try:
                with path.open("rb") as file:
                    return file.read(limit)
            except OSError:
                return b""
    return b""
