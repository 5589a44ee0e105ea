"""What a service printed: its lines with their time, without credentials, in two files that stay small."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from process_agent.services.credentials import hide_credentials

MAX_FILE_BYTES = 1024 * 1024
"""A log longer than this is set aside, in place of the one before: twice this is kept."""

MAX_LINE_BYTES = 8 * 1024
"""Longer lines are cut."""

MAX_ANSWER_BYTES = 256 * 1024
"""Most of a log that one question gets."""

type Clock = Callable[[], float]


class ServiceLog:
    """The log of one service, in `folder`. `hidden` are the credentials that no line shows.

    Positions count bytes from the beginning of what is kept in both files.
    """

    def __init__(self, folder: Path, hidden: Iterable[str] = (), clock: Clock = time.time) -> None:
        self._file, self._old = folder / "log.txt", folder / "log.old.txt"
        self.hidden = tuple(hidden)
        self._clock = clock
        self._rest = b""
        self._dropped = 0
        """Bytes that were kept once and are gone."""

    def feed(self, data: bytes) -> None:
        """Take in what was printed; a line is written when it is whole, or too long."""
        *lines, rest = (self._rest + data).split(b"\n")
        for line in lines:
            self.line(line.decode(errors="replace"))
        if len(rest) > MAX_LINE_BYTES:
            self.line(rest.decode(errors="replace"))
            rest = b""
        self._rest = rest

    def end(self) -> None:
        """No more will come: write the line that was not whole."""
        if self._rest:
            self.feed(b"\n")

    def line(self, text: str) -> None:
        """Write one line."""
        plain = "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in text.rstrip("\r\n"))
        shown = hide_credentials(plain, self.hidden).encode(errors="replace")[:MAX_LINE_BYTES]
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._clock()))
        self._append(f"{stamp} ".encode() + shown + b"\n")

    def tail(self, lines: int) -> tuple[str, int]:
        """The last lines, and the position after them."""
        text, end = self._read(max(self._dropped, self._end() - MAX_ANSWER_BYTES))
        return "".join(text.splitlines(keepends=True)[-lines:]) if lines > 0 else "", end

    def after(self, position: int) -> tuple[str, int]:
        """What came after a position, as far as it is kept, and the position after that."""
        return self._read(min(max(position, self._dropped), self._end()))

    def _read(self, start: int) -> tuple[str, int]:
        data = b"".join(_content(file) for file in (self._old, self._file))
        found = data[start - self._dropped :][:MAX_ANSWER_BYTES]
        return found.decode(errors="replace"), start + len(found)

    def _end(self) -> int:
        return self._dropped + _size(self._old) + _size(self._file)

    def _append(self, line: bytes) -> None:
        if _size(self._file) + len(line) > MAX_FILE_BYTES:
            self._dropped += _size(self._old)
            self._file.replace(self._old)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        with open(os.open(self._file, flags, 0o600), "ab") as opened:
            opened.write(line)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""
