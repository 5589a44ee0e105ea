"""How the scripted model cuts its text into deltas: like a model, in odd places, yet always the same."""

from __future__ import annotations

import random
import zlib

LONGEST_PIECE = 9
"""Characters in the longest delta."""


def pieces(text: str) -> tuple[str, ...]:
    """Cut a text into pieces of 1 to 9 characters. The same text is always cut the same way."""
    chance = random.Random(zlib.crc32(text.encode("utf-8", "surrogatepass")))  # noqa: S311  no secret
    cut: list[str] = []
    at = 0
    while at < len(text):
        end = at + chance.randint(1, LONGEST_PIECE)
        cut.append(text[at:end])
        at = end
    return tuple(cut)
