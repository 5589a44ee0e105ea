"""Cuts streamed text so that every client shows it exactly.

The Flutter client, given the text `S` so far and a delta `D`, drops `D` when `S` ends with it and replaces
`S` by `D` when `D` starts with `S` (agent protocol section 6.3); the Python and React clients append. The
pieces made here are none of both, so all of them show the same text.

How: the last run of one character is held back until something else follows or the text ends. What is sent
then never ends with the character that what is held begins with, and from such a state any further text,
even none, can be cut into at most three legal pieces:

- Held text `R` that is a suffix of `S` ends like `S`. Cut it after a character that differs from its last:
  both parts end differently from what precedes them. There is one, since a run of one character cannot be
  a suffix of `S`, which ends otherwise.
- Held text that starts with all of `S` is cut after its first run: that run is shorter than `S`, and what
  follows begins otherwise than `S` does.

Whether a piece is legal depends on the text and on where it begins and ends, not on how what precedes it was
cut. So what is held back may as well be cut at any place where the same text was cut before.
"""

from __future__ import annotations

from collections.abc import Sequence


def is_legal(sent: str, piece: str) -> bool:
    """Whether a client that has `sent` takes `piece` as more text. An empty piece never is."""
    if not piece:
        return False
    return not sent or not (sent.endswith(piece) or piece.startswith(sent))


class Recut:
    """The text of one item on its way to one viewer."""

    __slots__ = ("_held", "_length", "_sent")

    def __init__(self) -> None:
        self._sent: list[str] = []
        self._length = 0
        self._held = ""

    def take(self, text: str, *, final: bool = False) -> list[str]:
        """The pieces to send now that `text` follows; at the `final` call nothing stays held back."""
        pending = self._held + text
        keep = 0 if final else _last_run(pending)
        self._held = pending[len(pending) - keep :]
        return self._cut(pending[: len(pending) - keep])

    def follow(self, text: str, places: Sequence[int]) -> list[str]:
        """The pieces up to these places of the whole text, where it was cut before; the rest is held back."""
        self._held += text
        pieces, start = [], 0
        for place in places:
            end = start + place - self._length
            pieces.append(self._held[start:end])
            start, self._length = end, place
        self._sent += pieces
        self._held = self._held[start:]
        return pieces

    def may_jump(self, text: str, place: int) -> bool:
        """Whether all up to this place is one legal piece."""
        piece = (self._held + text)[: place - self._length]
        return self._legal_prefix(piece) == len(piece)

    @property
    def length(self) -> int:
        """Characters sent or held back so far."""
        return self._length + len(self._held)

    def _cut(self, text: str) -> list[str]:
        pieces = []
        while text:
            length = self._legal_prefix(text)
            pieces.append(text[:length])
            self._sent.append(text[:length])
            self._length += length
            text = text[length:]
        return pieces

    def _legal_prefix(self, text: str) -> int:
        if not self._length:
            return len(text)
        if len(text) >= self._length and text.startswith("".join(self._sent)):
            return _first_run(text)
        if text[-1] == self._sent[-1][-1] and self._ends_with(text):
            return len(text) - _last_run(text)
        return len(text)

    def _ends_with(self, text: str) -> bool:
        if len(text) > self._length:
            return False
        tail: list[str] = []
        length = 0
        for piece in reversed(self._sent):
            tail.append(piece)
            length += len(piece)
            if length >= len(text):
                break
        return "".join(reversed(tail)).endswith(text)


def _last_run(text: str) -> int:
    return len(text) - len(text.rstrip(text[-1])) if text else 0


def _first_run(text: str) -> int:
    return len(text) - len(text.lstrip(text[0]))
