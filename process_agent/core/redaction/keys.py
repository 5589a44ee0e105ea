"""Keys and tokens of known form, covered as the text comes. Pure.

All of these are words: letters, digits and a few signs. So the text up to its last space is final, and what
follows waits.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from process_agent.core.redaction.stages import Marks, Span

MAX_WORD: Final = 8_192
"""Characters without a space that are held back at most; a key that is longer is still covered whole."""

_LETTERS: Final = string.ascii_letters + string.digits + "_-./+=:"
_WORD = r"[A-Za-z0-9_\-./+=:]"
_CONTEXT: Final = 96
"""Characters before a piece that are looked at with it: they may say what it is, or begin a block."""

_LONG = re.compile(f"{_WORD}{{{MAX_WORD}}}")
_RUN = re.compile(f"{_WORD}+")


@dataclass(frozen=True, slots=True)
class _Shape:
    """A form of keys: every text that has one has one of the `hints`; the last group, or all, is the key."""

    hints: tuple[str, ...]
    pattern: re.Pattern[str]


KNOWN: Final = {
    "OpenAI and Anthropic keys": _Shape(
        ("sk-",), re.compile(r"(?<![A-Za-z0-9_-])sk-(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{20,}")
    ),
    "GitHub tokens": _Shape(
        ("gh", "github_pat_"),
        re.compile(r"(?<![A-Za-z0-9_])(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})"),
    ),
    "AWS key ids": _Shape(
        ("AKIA", "ASIA"), re.compile(r"(?<![A-Za-z0-9/+])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9/+=])")
    ),
    "AWS secret keys": _Shape(
        ("ecret", "ECRET"),
        re.compile(
            r"(?i:secret_?access_?key)\\?[\"']?\s{0,4}[=:]\s{0,4}\\?[\"']?([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"
        ),
    ),
    "MeshAgent keys": _Shape(
        ("ma-",),
        re.compile(r"(?<![A-Za-z0-9_-])ma-[A-Za-z0-9_.]{16,}-[A-Za-z0-9_.]{16,}-[A-Za-z0-9_.-]{16,}"),
    ),
    "JSON web tokens": _Shape(
        ("eyJ",),
        re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*)?"),
    ),
}
"""Forms that `keys` stands for; private keys in PEM blocks come on top."""


def spans_of_keys(text: str) -> Iterator[Span]:
    """Where keys of these forms stand in a whole text; blocks of private keys are not among them."""
    for shape in KNOWN.values():
        if any(hint in text for hint in shape.hints):
            for found in shape.pattern.finditer(text):
                yield found.span(found.re.groups)


def may_have_keys(text: str) -> bool:
    """A quick look: False where no key can be."""
    return _KEY_HINT in text or any(hint in text for shape in KNOWN.values() for hint in shape.hints)


_KEY_HINT: Final = "PRIVATE KEY"
_PEM = re.compile(r"-----(BEGIN|END) (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_BASE64 = re.compile(r"[A-Za-z0-9+/=]+")
_LINE_OF_KEY: Final = 16
"""Characters of a word that can only be part of a key, within a block of one."""

_WORDS_BEFORE_KEY: Final = 12
"""Words, such as headers, after which a block that has no key is none."""


class KnownKeys:
    """See `stages.Stage`."""

    def __init__(self) -> None:
        self._marks = Marks()
        self._pending = ""
        self._before = ""
        self._goes_on = False
        self._block = _Block()

    @property
    def places(self) -> int:
        """See `Stage`."""
        return self._marks.places

    def feed(self, text: str) -> str:
        """See `Stage`."""
        self._pending += text
        given: list[str] = []
        while (long := _LONG.search(self._pending)) is not None:
            given.append(self._take(long.end(), whole=False))
        given.append(self._take(len(self._pending.rstrip(_LETTERS)), whole=True))
        return "".join(given)

    def finish(self) -> str:
        """See `Stage`."""
        return self._take(len(self._pending), whole=True)

    def _take(self, cut: int, *, whole: bool) -> str:
        """The piece before `cut`; `whole` when its last word is over."""
        piece, self._pending = self._pending[:cut], self._pending[cut:]
        if not piece:
            return piece
        spans = list(self._spans(piece))
        if self._goes_on and (run := _RUN.match(piece)) is not None:
            spans.append(run.span())
        covered = self._marks.cover(piece, spans)
        self._goes_on = not whole and self._marks.running > 0
        self._before = (self._before + piece)[-_CONTEXT:]
        return covered

    def _spans(self, piece: str) -> Iterator[Span]:
        text, before = self._before + piece, len(self._before)
        for start, end in spans_of_keys(text):
            yield start - before, end - before
        if self._block.open or _KEY_HINT in text:
            yield from self._in_blocks(text, before)

    def _in_blocks(self, text: str, before: int) -> Iterator[Span]:
        at = before
        for mark in _PEM.finditer(text):
            if mark.end() <= before:
                continue
            yield from self._block.words(text, at, max(mark.start(), at), before)
            self._block = _Block(open=mark[1] == "BEGIN")
            at = mark.end()
        yield from self._block.words(text, at, len(text), before)


@dataclass(slots=True)
class _Block:
    """A block that begins like one of a private key; it ends with the first word that is no part of one."""

    open: bool = False
    seen: bool = False
    others: int = 0

    def words(self, text: str, start: int, end: int, before: int) -> Iterator[Span]:
        """The spans of the key between two places of the text, counted from `before`."""
        for found in _RUN.finditer(text, start, end) if self.open else ():
            # A line end within a quoted text is written as two characters, the second of which is a letter.
            escaped = text[found.start() - 1 : found.start()] == "\\" and found[0][0] in "nrt"
            word = found[0][1:] if escaped else found[0]
            if not word:
                continue
            if _BASE64.fullmatch(word) is not None and (self.seen or len(word) >= _LINE_OF_KEY):
                yield found.end() - len(word) - before, found.end() - before
                self.open = len(word) >= _LINE_OF_KEY
                self.seen = True
            else:
                self.others += 1
                self.open = not self.seen and self.others <= _WORDS_BEFORE_KEY
            if not self.open:
                return
