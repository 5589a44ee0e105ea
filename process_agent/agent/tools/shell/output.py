"""What a command writes, within limits: for people as it comes, for the model at its end. Pure."""

from __future__ import annotations

import codecs
from typing import Final

MAX_SHOWN: Final = 1024 * 1024
"""Characters of output that people see of one command, as of Codex's."""

MAX_TAIL: Final = 32 * 1024
"""Characters of what comes after, the last of which are kept."""

MAX_READ: Final = 40_000
"""Characters of one result that a model reads, about 10,000 tokens."""

CUT_NOTE: Final = "\n… more output is not shown while it runs.\n"

_UNFIT: Final = {code: "\ufffd" for code in (*range(32), 127) if chr(code) not in "\t\n\r\x1b"}
"""Control characters that no provider and no table takes well; escape sequences are for viewers to see to."""


class Capture:
    """The output of one command: its beginning, its end, and how much there was in between."""

    def __init__(self) -> None:
        self.bytes = 0
        """How much was written in all."""
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._head: list[str] = []
        self._length = 0
        self._tail = ""
        self._left_out = 0

    def take(self, data: bytes, *, end: bool = False) -> str:
        """The next bytes; returns what people are to see of them now."""
        self.bytes += len(data)
        text = self._decoder.decode(data, end).translate(_UNFIT)
        room = MAX_SHOWN - self._length
        shown, rest = text[: max(room, 0)], text[max(room, 0) :]
        if shown:
            self._head.append(shown)
            self._length += len(shown)
        if rest:
            first = not self._tail and not self._left_out
            kept = self._tail + rest
            self._left_out += max(0, len(kept) - MAX_TAIL)
            self._tail = kept[-MAX_TAIL:]
            return shown + CUT_NOTE if first else shown
        return shown

    @property
    def text(self) -> str:
        """All of it, with a line where something is left out."""
        gap = f"\n… {self._left_out:,} characters are left out here …\n" if self._left_out else ""
        return "".join(self._head) + gap + self._tail

    def drain(self) -> str:
        """What came since the last call, as in `text`."""
        text = self.text
        self._head, self._length, self._tail, self._left_out = [], 0, "", 0
        return text


def shortened(text: str, limit: int = MAX_READ) -> str:
    """Beginning and end of a text that is too long for a model, with a statement in between."""
    if len(text) <= limit:
        return text
    half = limit // 2
    left_out = len(text) - 2 * half
    return f"{text[:half]}\n…{left_out} characters truncated…\n{text[-half:]}"


def report(
    output: str,
    seconds: float,
    exit_code: int | None,
    *,
    session: int | None = None,
    note: str | None = None,
) -> str:
    """What the model is told, in the form that Codex gives its own models."""
    lines = [f"Wall time: {seconds:.1f} seconds"]
    if session is not None and exit_code is None:
        lines.append(f"Process running with session ID {session}")
    elif exit_code is not None:
        lines.append(f"Process exited with code {exit_code}")
    if note is not None:
        lines.append(note)
    return "\n".join([*lines, "Output:", shortened(output)])
