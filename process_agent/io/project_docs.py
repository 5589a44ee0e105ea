"""AGENTS.md, read by us: with read protection Codex needs 0.2 s of sandboxed reads for it at each thread, and
language models with a shell have nobody else to do it.

Same rules as Codex: from the project's root (the nearest folder above with `.git`) down to the working
folder, in each the first of `AGENTS.override.md` and `AGENTS.md`, 32 KiB in all.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from process_agent.errors import ToolFailedError
from process_agent.io.beneath import read_beneath

NAMES: Final = ("AGENTS.override.md", "AGENTS.md")
MAX_BYTES: Final = 32 * 1024

MAX_FILE: Final = 1024 * 1024
"""Bytes of a file that is looked at at all."""

ROOT_MARK: Final = ".git"


@dataclass(frozen=True, slots=True)
class ProjectDocs:
    """All instructions as one text, each under the name of its folder; empty when there are none. `news` is
    what people should hear: files that were left out, with the reason, and the one at which the limit fell.
    """

    text: str = ""
    news: tuple[str, ...] = ()


def project_docs(folder: Path) -> ProjectDocs:
    """The instructions for a working folder. Blocking; raises nothing.

    They are read for each turn, mostly to find none: hence paths as text. A link out of the project, or to
    what is no Markdown, is not followed: a command could have made it, to have us read for it what the
    sandbox keeps from it. Where others can write above the folder, as in /tmp, what they wrote is not the
    operator's.
    """
    place = os.path.realpath(folder)
    above = [place]
    while (parent := os.path.dirname(above[-1])) != above[-1]:
        above.append(parent)
    root = next((each for each in above if os.path.exists(os.path.join(each, ROOT_MARK))), place)
    left, parts, news = MAX_BYTES, list[str](), list[str]()
    owners = _owners(place)
    for each in reversed(above[: above.index(root) + 1]):
        try:
            text = _read(each, root, owners)
        except (ToolFailedError, OSError) as error:
            news.append(f"The AGENTS.md of {each} is left out: {error}")
            continue
        if len(text) > left:
            news.append(f"The AGENTS.md files have more than {MAX_BYTES:,} bytes: that of {each} is cut.")
        text, left = text[:left], max(left - len(text), 0)
        if text.strip():
            parts.append(f"# Project instructions in {each}\n\n{text.decode(errors='replace').strip()}")
    return ProjectDocs("\n\n".join(parts), tuple(news))


def _owners(place: str) -> Collection[int]:
    """Whose files count: root's, ours, and those of whoever owns the working folder."""
    try:
        return {0, os.geteuid(), os.stat(place).st_uid}
    except OSError:
        return ()


def _read(place: str, root: str, owners: Collection[int]) -> bytes:
    """The file of one folder, empty when it has none. Raises `ToolFailedError` and `OSError`."""
    for name in NAMES:
        path = os.path.join(place, name)
        if not os.path.isfile(path):
            continue
        path = os.path.realpath(path)
        if os.path.commonpath([path, root]) != root or not path.endswith(".md"):
            raise ToolFailedError(f"{name} is a link out of the project, or to what is no Markdown.")
        if os.stat(path).st_uid not in owners:
            raise ToolFailedError(f"{name} belongs to another user.")
        # Step by step and without links: what was looked at just now may be another file already.
        return read_beneath(Path(root), PurePosixPath(os.path.relpath(path, root)), MAX_FILE)
    return b""
