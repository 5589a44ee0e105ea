"""AGENTS.md, read by us: with read protection Codex needs 0.2 s of sandboxed reads for it at each thread.

Same rules as Codex: from the project's root (the nearest folder above with `.git`) down to the working
folder, in each the first of `AGENTS.override.md` and `AGENTS.md`, 32 KiB in all.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

NAMES: Final = ("AGENTS.override.md", "AGENTS.md")
MAX_BYTES: Final = 32 * 1024


def project_docs(folder: Path) -> str:
    """The instructions for a working folder, each under the name of its folder; empty when there are none.

    They are read for each turn, mostly to find none: hence paths as text. A link out of the project, or to
    what is no Markdown, is not followed: a command could have made it, to have us read for it what the
    sandbox keeps from it.
    """
    place = os.path.realpath(folder)
    above = [place]
    while (parent := os.path.dirname(above[-1])) != above[-1]:
        above.append(parent)
    root = next((each for each in above if os.path.exists(os.path.join(each, ".git"))), place)
    left, parts = MAX_BYTES, []
    for each in reversed(above[: above.index(root) + 1]):
        text = _read(each, root, left) if left > 0 else b""
        left -= len(text)
        if text.strip():
            parts.append(f"# Project instructions in {each}\n\n{text.decode(errors='replace').strip()}")
    return "\n\n".join(parts)


def _read(place: str, root: str, limit: int) -> bytes:
    for name in NAMES:
        path = os.path.join(place, name)
        if not os.path.isfile(path):
            continue
        path = os.path.realpath(path)
        inside = os.path.commonpath([path, root]) == root
        if inside and path.endswith(".md"):
            try:
                with open(path, "rb") as file:
                    return file.read(limit)
            except OSError:
                return b""
    return b""
