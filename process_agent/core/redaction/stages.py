"""One kind of secret in one text, covered as the text comes. Pure.

A stage gives out what no later text can change, and gives out the same wherever the text is cut: so stages
can be put behind each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol

MARK: Final = "[redacted]"
"""What covered text begins with; the rest is asterisks. A secret shorter than it gets the beginning of it."""

MAX_LINE: Final = 8_192
"""Characters of a line in which patterns are looked for; longer ones are taken in parts."""

type Span = tuple[int, int]


class Stage(Protocol):
    """What `feed` and `finish` give is together as long as what was fed."""

    @property
    def places(self) -> int:
        """How many secrets were covered."""
        ...

    def feed(self, text: str) -> str:
        """More text; what is final now."""
        ...

    def finish(self) -> str:
        """The rest."""
        ...


class Marks:
    """Covers spans in the pieces of one text, in order; what is covered may go on in the next piece."""

    def __init__(self) -> None:
        self.running = 0
        """Covered characters at the end of the last piece."""
        self.places = 0
        """Covered parts so far."""

    def cover(self, piece: str, spans: Iterable[Span]) -> str:
        """The piece with its spans covered."""
        if not piece:
            return piece
        made: list[str] = []
        at = 0
        for start, end in _merged(spans, len(piece)):
            self.running = self.running if start == 0 else 0
            self.places += not self.running
            made += (piece[at:start], self._mark(piece[start:end]))
            at = end
        if at < len(piece):
            self.running = 0
        return "".join([*made, piece[at:]])

    def _mark(self, secret: str) -> str:
        start, self.running = self.running, self.running + len(secret)
        mark = (MARK[start:] + "*" * len(secret))[: len(secret)]
        if "\n" not in secret:
            return mark
        return "".join("\n" if old == "\n" else new for old, new in zip(secret, mark, strict=True))


def _merged(spans: Iterable[Span], length: int) -> Iterator[Span]:
    """Spans in order, none of them touching another, within the piece."""
    last: Span | None = None
    for start, end in sorted((max(start, 0), min(end, length)) for start, end in spans):
        if start >= end:
            continue
        if last is None:
            last = (start, end)
        elif start <= last[1]:
            last = (last[0], max(last[1], end))
        else:
            yield last
            last = (start, end)
    if last is not None:
        yield last


class Values:
    """Exact texts, wherever they are, also across lines."""

    def __init__(self, values: Sequence[str]) -> None:
        self._values = values
        self._marks = Marks()
        self._pending = ""
        self._covered = 0
        """Characters at the beginning of what is pending that are part of a value."""

    @property
    def places(self) -> int:
        """See `Stage`."""
        return self._marks.places

    def feed(self, text: str) -> str:
        """See `Stage`."""
        self._pending += text
        return self._give(len(self._pending) - self._beginning())

    def finish(self) -> str:
        """See `Stage`."""
        return self._give(len(self._pending))

    def _give(self, cut: int) -> str:
        text = self._pending
        spans = [(0, self._covered), *self._found(text)]
        reach = max((end for start, end in spans if start < cut), default=self._covered)
        self._pending, self._covered = text[cut:], max(reach - cut, 0)
        return self._marks.cover(text[:cut], spans)

    def _found(self, text: str) -> Iterator[Span]:
        for value in self._values:
            at = text.find(value)
            while at >= 0:
                yield at, at + len(value)
                at = text.find(value, at + 1)

    def _beginning(self) -> int:
        """Characters at the end that may be the beginning of a value."""
        longest = 0
        for value in self._values:
            tail = self._pending[-(len(value) - 1) :]
            at = tail.find(value[0])
            while at >= 0 and len(tail) - at > longest:
                if value.startswith(tail[at:]):
                    longest = len(tail) - at
                    break
                at = tail.find(value[0], at + 1)
        return longest


class Patterns:
    """Regular expressions, each within one line."""

    def __init__(self, patterns: Sequence[re.Pattern[str]]) -> None:
        self._patterns = patterns
        self._marks = Marks()
        self._pending = ""

    @property
    def places(self) -> int:
        """See `Stage`."""
        return self._marks.places

    def feed(self, text: str) -> str:
        """See `Stage`."""
        *lines, self._pending = (self._pending + text).split("\n")
        given = [part for line in lines for part in (*map(self._part, _parts(line)), "\n")]
        while len(self._pending) > MAX_LINE:
            given.append(self._part(self._pending[:MAX_LINE]))
            self._pending = self._pending[MAX_LINE:]
        return "".join(given)

    def finish(self) -> str:
        """See `Stage`."""
        rest, self._pending = self._pending, ""
        return self._part(rest)

    def _part(self, part: str) -> str:
        self._marks.running = 0
        return self._marks.cover(
            part, [m.span() for pattern in self._patterns for m in pattern.finditer(part)]
        )


def _parts(line: str) -> list[str]:
    return [line[at : at + MAX_LINE] for at in range(0, max(len(line), 1), MAX_LINE)]
