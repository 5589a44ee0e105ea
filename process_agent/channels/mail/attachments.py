"""Files that come with a mail: how many, how large, under which name. Pure."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass, field

from process_agent.channels.mail.message import Attachment, one_line

MAX_FILES = 20
MAX_FILE_BYTES = 10 << 20
MAX_ALL_BYTES = 20 << 20
MAX_NAME = 100
"""Characters of a file's name."""

MAX_NOTES = 10
"""Files that are left out by name; the others are counted."""

_UNFIT = frozenset('/\\:*?"<>|%#')
"""Separators, and characters that file systems, shells or addresses of files take for something else."""


@dataclass(slots=True)
class Collected:
    """Takes files in until there are too many."""

    _files: list[Attachment] = field(default_factory=list)
    _bytes: int = 0
    _left_out: list[str] = field(default_factory=list)

    @property
    def files(self) -> tuple[Attachment, ...]:
        """What was taken in, each under its own name."""
        return tuple(self._files)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, for people and models."""
        named = [f"The attached file {name} was left out." for name in self._left_out[:MAX_NOTES]]
        more = len(self._left_out) - MAX_NOTES
        return (*named, *([f"{more} more attached files were left out."] if more > 0 else []))

    def add(self, name: str, mime_type: str, data: bytes) -> None:
        """Take a file in, or note why not. Empty files without a name are nothing."""
        if not name and not data:
            return
        taken = {file.name.lower() for file in self._files}
        safe = _unique(safe_name(name, mime_type), taken)
        if len(self._files) >= MAX_FILES:
            self._left_out.append(f"{safe} (more than {MAX_FILES} files)")
        elif len(data) > MAX_FILE_BYTES or self._bytes + len(data) > MAX_ALL_BYTES:
            self._left_out.append(f"{safe} ({len(data)} bytes)")
        else:
            self._bytes += len(data)
            self._files.append(Attachment(safe, one_line(mime_type, 100), data))


def safe_name(name: str, mime_type: str) -> str:
    """A name that is one part of a path, visible and unsurprising: no folders, no leading dot or dash."""
    base = name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    shown = "".join("_" if c in _UNFIT else c for c in one_line(base))
    shown = shown.strip().lstrip(".-~ ").rstrip(". ")  # one may hide behind another, as in `~.profile`
    if not shown:
        shown = "attachment" + (mimetypes.guess_extension(mime_type, strict=False) or ".bin")
    if len(shown) <= MAX_NAME:
        return shown
    stem, dot, ending = shown.rpartition(".")
    if not dot or len(ending) > 10:
        return shown[:MAX_NAME].rstrip(". ")
    return f"{stem[: MAX_NAME - len(ending) - 1].rstrip('. ')}.{ending}"


def _unique(name: str, taken: set[str]) -> str:
    """The name itself, or with a number when it is taken, also by one that differs in case only."""
    if name.lower() not in taken:
        return name
    stem, dot, ending = name.rpartition(".")
    for number in range(2, len(taken) + 3):
        other = f"{stem}-{number}.{ending}" if dot and stem else f"{name}-{number}"
        if other.lower() not in taken:
            return other
    raise AssertionError("one of so many numbers is free")
