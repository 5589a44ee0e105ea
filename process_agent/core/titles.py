"""Names of threads."""

from __future__ import annotations

import unicodedata

from process_agent.core.commands import MakeTitle, NameThread
from process_agent.core.content import ContentPart, FilePart, plain_text
from process_agent.core.ids import ThreadId
from process_agent.core.store import ThreadEntry

MAX_TITLE = 64
"""Most characters of a thread's name."""

UNTITLED = "New Chat"
"""The name of a thread that has nothing to be named after; clients know it as "no name yet"."""

MAX_TEXT = 8_000
"""Characters of a first message that a backend gets to make a title of."""

MAX_UNNAMED = 1_000
"""Threads remembered that a backend may still name; the oldest keep the name they have."""


class Titles:
    """Names made by a model, for threads that nobody named: asked for when the first turn has ended, taken
    unless somebody renamed the thread in the meantime. Kept in memory only: a restart asks for nothing.
    """

    def __init__(self) -> None:
        self._named: dict[ThreadId, tuple[str, str]] = {}
        self._asked: dict[ThreadId, str] = {}
        self._unsure: dict[ThreadId, tuple[ContentPart, ...]] = {}

    def unsure(self, thread_id: ThreadId, content: tuple[ContentPart, ...]) -> None:
        """The first that was said since the thread was opened: its name, if it has none yet."""
        self._unsure[thread_id] = content

    def listed(self, entry: ThreadEntry) -> NameThread | None:
        """The name the list has for a thread; what to name it where that is none."""
        content = self._unsure.pop(entry.path, None)
        if content is None or entry.name != UNTITLED:
            return None
        title = title_of(content)
        self.named(entry.path, title, content)
        return NameThread(entry.path, title, UNTITLED)

    def named(self, thread_id: ThreadId, name: str, content: tuple[ContentPart, ...]) -> None:
        """The thread got this name from what was said first."""
        text = plain_text(content).strip()
        if not text:
            return
        self._named[thread_id] = (name, text[:MAX_TEXT])
        if len(self._named) > MAX_UNNAMED:
            del self._named[next(iter(self._named))]

    def forget(self, thread_id: ThreadId) -> None:
        """Somebody named the thread, or it is gone."""
        for known in (self._named, self._asked, self._unsure):
            known.pop(thread_id, None)

    def answered(self, thread_id: ThreadId, backend: str) -> MakeTitle | None:
        """A model has answered in the thread; what to ask, the first time."""
        found = self._named.pop(thread_id, None)
        if found is None:
            return None
        name, text = found
        self._asked[thread_id] = name
        return MakeTitle(thread_id, backend, text)

    def made(self, thread_id: ThreadId, title: str | None) -> NameThread | None:
        """What the backend made; None where there is nothing to change."""
        before, better = self._asked.pop(thread_id, None), title_of((), title)
        if before is None or better in (UNTITLED, before):
            return None
        return NameThread(thread_id, better, before)


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
