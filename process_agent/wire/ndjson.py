"""One JSON value per line, UTF-8, both ways."""

from __future__ import annotations

import json

import msgspec

from process_agent.errors import WireError

MAX_LINE = 64 * 1024 * 1024
"""Bytes of one line without its newline. Codex caps a command's output at 1 MiB and a text input at 1 Mi
characters; an image or a long diff needs more."""


class LineSplitter:
    """Cuts a stream of bytes into lines, for any split of the stream.

    A line longer than the limit is left out, whatever its length, and counted in `skipped`: one message of a
    peer is not worth the connection to it.
    """

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._rest = bytearray()
        self._skipping = False
        self.skipped = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Take more bytes; return the lines they complete, without line ends and without blank lines."""
        *pieces, rest = data.split(b"\n")
        lines = [line for piece in pieces if (line := self._whole(piece).strip())]
        self._extend(rest)
        return lines

    def _whole(self, piece: bytes) -> bytes:
        """The line that ends with this piece; nothing for one that is left out."""
        if not self._rest and not self._skipping and len(piece) <= self._limit:
            return piece
        self._extend(piece)
        line = bytes(self._rest)
        self._rest.clear()
        self._skipping = False
        return line

    def _extend(self, piece: bytes) -> None:
        if self._skipping:
            return
        if len(self._rest) + len(piece) > self._limit:
            self._rest.clear()
            self._skipping = True
            self.skipped += 1
        else:
            self._rest += piece


def decode(line: bytes) -> object:
    """The JSON value of a line. Raises `WireError` when it is none."""
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"Not a JSON value: {error}.") from error


def encode(value: object) -> bytes:
    """A line with its newline. Characters that UTF-8 cannot hold (lone surrogates) become question marks.

    Raises `WireError` when the value is not JSON.
    """
    try:
        return msgspec.json.encode(value) + b"\n"
    except UnicodeEncodeError:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "replace") + b"\n"
    except (TypeError, ValueError, RecursionError, OverflowError, msgspec.MsgspecError) as error:
        raise WireError(f"Not a JSON value: {error}.") from error
