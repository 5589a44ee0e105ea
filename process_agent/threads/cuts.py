"""Where a text may be cut into stored rows so that published readers put it together again unharmed.

Published agents and clients fold the rows of one item with a rule (section 6.3): a piece that equals the end
of the text so far is dropped, and a piece that begins with the whole text so far replaces it. So `ha`, `ha`
becomes `ha`. Pieces cut here never meet that rule, whatever text comes later.
"""

from __future__ import annotations

_HOLD_BACK = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
"""Lengths of the tail that are tried, in characters."""


def fold(text: str, piece: str) -> str:
    """The published rule."""
    if text.endswith(piece):
        return text
    return piece if piece.startswith(text) else text + piece


def safe_cut(text: str, stored: int) -> int:
    """How much of `text` may be stored now; `stored` (what is stored already) when no cut is safe.

    The rest begins with a tail that occurs nowhere in what is stored. So it can neither equal the end of it
    nor begin with it, however it goes on.
    """
    for keep in _HOLD_BACK:
        cut = len(text) - keep
        if cut <= stored:
            break
        if _tail_is_new(text, cut) and _piece_survives(text, stored, cut):
            return cut
    return stored


def _tail_is_new(text: str, cut: int) -> bool:
    tail = text[cut:]
    longer_and_same = len(tail) > cut and tail.startswith(text[:cut])
    return not longer_and_same and text.find(tail, 0, cut) < 0


def _piece_survives(text: str, stored: int, cut: int) -> bool:
    return fold(text[:stored], text[stored:cut]) == text[:cut]
