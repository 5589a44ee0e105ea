"""Text of others made safe for a terminal, and short forms of long things. Pure.

Agents, tools and participants choose their texts; none of it may move the cursor, set the title, write the
clipboard or hide what it says.
"""

from __future__ import annotations

import re
import unicodedata

TAB = "    "

_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC: titles, links, clipboard
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\)?"  # DCS, SOS, PM, APC
    r"|\x1b\[[0-?]*[ -/]*[@-~]?"  # CSI: colours, cursor
    r"|\x9b[0-?]*[ -/]*[@-~]?"  # CSI as one C1 character
    r"|\x1b[ -/]*[0-~]?"  # two-character escapes
)
_REWRITTEN = re.compile(r"[^\n]*\r(?!\n|$)")
"""What a carriage return makes the terminal write over, as progress bars do."""


def printable(text: str) -> str:
    """The text without escape sequences and control characters other than line ends and tabs."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    text = _ESCAPES.sub("", text)
    text = _REWRITTEN.sub("", text).replace("\r", "").replace("\t", TAB)
    return "".join(c for c in text if c == "\n" or not _is_control(c))


def one_line(text: str, width: int) -> str:
    """The text on one line of at most `width` characters."""
    flat = " ".join(printable(text).split())
    return flat if len(flat) <= width else flat[: max(width - 1, 0)] + "…"


def duration(seconds: float) -> str:
    """`0.8 s`, `12 s`, `3 min 05 s`, `2 h 07 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def quantity(number: int) -> str:
    """`950`, `1.2k`, `34k`, `1.2M`."""
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if number >= size:
            amount = number / size
            return f"{amount:.1f}{unit}" if amount < 10 else f"{amount:.0f}{unit}"
    return str(number)


def money(dollars: float) -> str:
    """`$0`, `$0.0042`, `$0.42`, `$12.30`."""
    if dollars < 0.00005:
        return "$0"
    return f"${dollars:.2f}" if dollars >= 0.1 else f"${dollars:.4f}"


def count(number: int, noun: str) -> str:
    """`1 line`, `2 lines`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _is_control(character: str) -> bool:
    """Control characters, and the format characters that reorder text."""
    return unicodedata.category(character) == "Cc" or character in _BIDI


_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def size(count: int) -> str:
    """`512 bytes`, `12 KB`, `3.4 MB`."""
    if count < 1024:
        return "1 byte" if count == 1 else f"{count} bytes"
    unit, name = (1024, "KB") if count < 1024 * 1024 else (1024 * 1024, "MB")
    amount = count / unit
    return f"{amount:.0f} {name}" if amount >= 10 else f"{amount:.1f} {name}"
