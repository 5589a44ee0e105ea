"""One JSON value per line, UTF-8, both ways."""

from __future__ import annotations

import json

import msgspec

from process_agent.errors import FrameTooLargeError, WireError

MAX_LINE = 64 * 1024 * 1024
"""Bytes of one line without its newline. Codex caps a command's output at 1 MiB and a text input at 1 Mi
characters; an image or a long diff needs more."""


class LineSplitter:
    """Cuts a stream of bytes into lines, for any split of the stream. Not for use after it raised."""

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take more bytes; return the lines they complete, without line ends and without blank lines.

        Raises `FrameTooLargeError` as soon as a line is longer than the limit, ended or not.
        """
        head, *tail = data.split(b"\n")
        self._rest += head
        self._check(len(self._rest))
        if not tail:
            return []
        *middle, last = tail
        lines = [bytes(self._rest), *middle]
        for line in tail:
            self._check(len(line))
        self._rest = bytearray(last)
        return [line for line in map(bytes.strip, lines) if line]

    def _check(self, length: int) -> None:
        if length > self._limit:
            raise FrameTooLargeError(f"A line is longer than the limit of {self._limit} bytes.")


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
