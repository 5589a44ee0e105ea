"""Markdown that arrives piece by piece: which part will not change any more. Pure.

A block is final when another block has begun below it, so a streamed answer scrolls up block by block while
only its last block is drawn again and again.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

PARSE_LIMIT = 64_000
"""Characters of one unfinished block that are looked at; a longer one is cut at a line end."""


class MarkdownStream:
    """The text of one message on its way to the screen."""

    __slots__ = ("_shown",)

    def __init__(self) -> None:
        self._shown = 0

    @property
    def shown(self) -> int:
        """Characters handed out so far."""
        return self._shown

    def take(self, text: str, *, done: bool) -> str:
        """What of the whole text so far became final since the last call; everything when `done`."""
        rest = text[self._shown :]
        final = len(rest) if done else final_length(rest)
        self._shown += final
        return rest[:final]

    def pending(self, text: str) -> str:
        """What of the whole text so far may still change."""
        return text[self._shown :]


def final_length(text: str) -> int:
    """How many characters from the start belong to finished blocks.

    Only whole lines count: half of one may still become something else.
    """
    end = text.rfind("\n") + 1
    if end == 0:
        return 0
    starts = [
        t.map[0]
        for t in _parser().parse(text[:end].replace("\r", " "))
        if t.level == 0 and t.nesting >= 0 and t.map
    ]
    if len(starts) > 1 and starts[-1] > 0:
        return _offset_of_line(text, starts[-1])
    return end if end > PARSE_LIMIT and not text.lstrip().startswith(("```", "~~~")) else 0


def _offset_of_line(text: str, line: int) -> int:
    offset = 0
    for _ in range(line):
        offset = text.index("\n", offset) + 1
    return offset


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt().enable("strikethrough").enable("table")
