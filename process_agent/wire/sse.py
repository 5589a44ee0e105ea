"""Server-sent events: an incremental parser and an encoder.

Follows the event stream format of the WHATWG HTML standard: UTF-8, lines end in LF, CRLF or CR, a blank
line ends an event, a line that begins with a colon is a comment, several `data` lines are joined by LF, an
event without data is dropped, and what follows the last blank line is never delivered.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from process_agent.errors import FrameTooLargeError

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""Default limit for one event: the bytes of all its lines, the unfinished one included."""

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class SseEvent:
    """One event. `name` is "message" when the stream names none; `last_id` is the id seen so far."""

    data: str
    name: str = "message"
    last_id: str = ""


class SseParser:
    """Turns chunks of any size into events. `retry_ms` is what the stream last asked for, or None."""

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.retry_ms: int | None = None
        self._limit = max_event_bytes
        self._rest = bytearray()
        self._at_start = True
        self._skip_lf = False
        self._data: list[str] = []
        self._name = ""
        self._last_id = ""
        self._event_bytes = 0

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """Take the next bytes; returns the events they complete, in order.

        Raises `FrameTooLargeError` when an event passes the limit; the parser cannot be used after that.
        """
        if self._skip_lf and chunk:
            self._skip_lf = False
            chunk = chunk.removeprefix(b"\n")
        scan_from = 0 if self._at_start else len(self._rest)
        self._rest += chunk
        if self._at_start and not self._start():
            return []
        events: list[SseEvent] = []
        taken = 0
        for end in _LINE_END.finditer(self._rest, scan_from):
            event = self._line(bytes(self._rest[taken : end.start()]))
            taken = end.end()
            if event is not None:
                events.append(event)
        self._skip_lf = taken > 0 and taken == len(self._rest) and self._rest.endswith(b"\r")
        del self._rest[:taken]
        self._check(len(self._rest))
        return events

    def _start(self) -> bool:
        """Drop a byte order mark; False while it cannot be told yet whether there is one."""
        if len(self._rest) < len(_BOM) and _BOM.startswith(self._rest):
            return False
        if self._rest.startswith(_BOM):
            del self._rest[: len(_BOM)]
        self._at_start = False
        return True

    def _line(self, line: bytes) -> SseEvent | None:
        if not line:
            return self._dispatch()
        self._event_bytes += len(line)
        self._check(0)
        if line.startswith(b":"):
            return None
        field, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        match field:
            case "data":
                self._data.append(value)
            case "event":
                self._name = value
            case "id" if "\0" not in value:
                self._last_id = value
            case "retry" if value.isascii() and value.isdigit():
                self.retry_ms = int(value)
            case _:
                pass  # the standard says to ignore unknown fields
        return None

    def _dispatch(self) -> SseEvent | None:
        data, name = self._data, self._name
        self._data, self._name, self._event_bytes = [], "", 0
        if not data:
            return None
        return SseEvent("\n".join(data), name or "message", self._last_id)

    def _check(self, pending: int) -> None:
        if self._event_bytes + pending > self._limit:
            raise FrameTooLargeError(f"A server-sent event is larger than {self._limit} bytes.")


def encode_event(data: str, *, name: str | None = None, event_id: str | None = None) -> bytes:
    """Encode one event. Line breaks in `data` become several `data` lines, all read back as LF.

    Raises ValueError when `name` or `event_id` hold a line break, which the format cannot carry.
    """
    lines: list[str] = []
    for field, value in (("event", name), ("id", event_id)):
        if value is None:
            continue
        if "\n" in value or "\r" in value:
            raise ValueError(f"the {field} of a server-sent event cannot hold a line break")
        lines.append(f"{field}: {value}\n")
    lines.extend(f"data: {line}\n" for line in _lines(data))
    return ("".join(lines) + "\n").encode()


def encode_comment(text: str = "") -> bytes:
    """Encode a comment, which keeps a quiet connection alive. It is not an event and ends none."""
    return "".join(f": {line}\n" for line in _lines(text)).encode()


def _lines(text: str) -> Iterable[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
