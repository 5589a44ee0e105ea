"""Keeps the garbage collector from looking through the program itself.

A program with an Arrow library and a room client has 140,000 objects before it does anything. A full
collection goes through all of them, and an agent or a room stands still meanwhile: 100 ms, in the middle of
somebody's turn.
"""

from __future__ import annotations

import gc


def spare_what_is_loaded() -> None:
    """Count all there is now as there to stay; only the first call does, for a program that has just begun.

    What is garbage by then is never freed; it is little, because nothing happened yet.
    """
    if gc.get_freeze_count() == 0:
        gc.freeze()
