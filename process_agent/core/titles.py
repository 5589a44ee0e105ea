"""Names of threads."""

from __future__ import annotations

import unicodedata

from process_agent.core.content import ContentPart, FilePart, plain_text

MAX_TITLE = 64
"""Most characters of a thread's name."""

UNTITLED = "New Chat"
"""The name of a thread that has nothing to be named after; clients know it as "no name yet"."""


def title_of(content: tuple[ContentPart, ...], name: str | None = None) -> str:
    """The given name, else the first text, else the names of the files; one line, at most `MAX_TITLE`."""
    files = ", ".join(_file_name(part) for part in content if isinstance(part, FilePart))
    for candidate in (name or "", plain_text(content), files):
        title = _one_line(candidate)
        if title:
            return title
    return UNTITLED


def _one_line(text: str) -> str:
    # Only the beginning can matter, and a pasted file can be long.
    head = text[: MAX_TITLE * 16]
    printable = "".join(" " if unicodedata.category(c) in _UNSEEN else c for c in head)
    line = " ".join(printable.split())
    if len(line) <= MAX_TITLE:
        return line
    return line[: MAX_TITLE - 1].rstrip() + "…"


_UNSEEN = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Controls, surrogates, private and unassigned characters, and line separators."""


def _file_name(part: FilePart) -> str:
    if part.name:
        return part.name
    if part.url.startswith("data:"):
        return "file"
    return part.url.split("?", 1)[0].rstrip("/").rsplit("/", 1)[-1]
