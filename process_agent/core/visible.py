"""Text of others for somebody who has to decide about it: nothing hidden. Pure."""

from __future__ import annotations


def visible(text: str) -> str:
    """The text on one line with everything invisible written out."""
    return "".join(c if c == " " or c.isprintable() else _written_out(c) for c in text)


def _written_out(character: str) -> str:
    known = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\x1b": "\\e"}
    code = ord(character)
    return known.get(character) or (f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
