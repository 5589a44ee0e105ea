"""MessagePack as agent channels speak it: one map per websocket frame, or values one after the other.

Agent messages travel as maps with text keys; binary appears once, as the `data` of a message with audio.
`msgspec` decodes only a whole value that stands alone. A scan of the lengths comes before it: it finds where
a value ends in a stream without framing, and bounds what a stranger's bytes cost before anything is built.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from process_agent.core.content import Json
from process_agent.errors import FrameTooLargeError, WireError

MAX_BYTES = 64 * 1024 * 1024
"""Longest value, the limit of the published channels."""

MAX_ELEMENTS = 250_000
"""Most parts of one value: entries, keys and texts. A message has some dozens."""

MAX_DEPTH = 64
"""How deep maps and lists may nest."""

_FIXED = {0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}
_FIXED |= {0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
_SIZED = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
"""Binary and text: how many bytes their length takes."""
_COUNTED = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}
"""Lists and maps: how many bytes their count takes, and values per entry."""

_INT64 = 1 << 63
_DECODER = msgspec.msgpack.Decoder()


def encode(message: Mapping[str, Any]) -> bytes:
    """A message as a MessagePack map. Whole numbers beyond 64 bits become floats or, beyond those, text;
    halves of surrogate pairs become question marks, because MessagePack has neither.
    """
    try:
        return msgspec.msgpack.encode(message)
    except (OverflowError, UnicodeEncodeError):
        return msgspec.msgpack.encode(_representable(message))


def decode(value: bytes | memoryview) -> tuple[dict[str, Json], bytes | None]:
    """The message in one whole value, without its binary `data`, and that data.

    Raises `WireError` for bytes that are no such message, `FrameTooLargeError` above a limit.
    """
    if Scan().end(value) != len(value):
        raise WireError("the frame is not one MessagePack value")
    message = decode_map(value)
    attachment = message.pop("data", None) if isinstance(message.get("data"), bytes) else None
    return _json_map(message), attachment


def decode_map(value: bytes | memoryview) -> dict[Any, Any]:
    """A value that was scanned, as a map whose entries are not checked. Raises `WireError`."""
    try:
        decoded = _DECODER.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError, ValueError) as error:
        raise WireError(f"the MessagePack value cannot be read: {error}") from error
    if not isinstance(decoded, dict):
        raise WireError("the MessagePack value is not a map")
    return decoded


def json_message(value: Any, what: str) -> tuple[dict[str, Json], bytes | None]:
    """A message inside a decoded value, as `decode` returns it. Raises `WireError`, naming `what`."""
    if not isinstance(value, dict):
        raise WireError(f"{what} must be a map")
    attachment = value.pop("data", None) if isinstance(value.get("data"), bytes) else None
    return _json_map(value), attachment


class Values:
    """Cuts a stream of values that stand next to each other. Keeps at most one unfinished value."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scan = Scan()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes in; yields each value that is whole, to be consumed before more is fed.

        Raises `WireError`; the stream cannot be read on then, because nobody knows where a value begins.
        """
        self._buffer += data
        while self._buffer:
            end = self._scan.end(self._buffer)
            if end is None:
                return
            value = bytes(self._buffer[:end])
            del self._buffer[:end]
            self._scan = Scan()
            yield value


class Scan:
    """Finds the end of one value in a buffer that grows. One use only."""

    def __init__(self) -> None:
        self._at = 0
        self._elements = 0
        self._open: list[int] = []

    def end(self, buffer: bytes | bytearray | memoryview) -> int | None:
        """Where the value at the start of the buffer ends; None while it is not all there. Call again with
        the same bytes and more. Raises `WireError` and `FrameTooLargeError`.
        """
        while self._at < len(buffer):
            head = _head(buffer, self._at)
            if head is None:
                return None
            size, inner = head
            if self._at + size > MAX_BYTES:
                raise FrameTooLargeError(f"a MessagePack value is longer than {MAX_BYTES} bytes")
            if self._at + size > len(buffer):
                return None
            self._at += size
            if self._step(inner):
                return self._at
        return None

    def _step(self, inner: int) -> bool:
        """One part is read, with `inner` parts to come inside it; whether that was the last one."""
        self._elements += 1
        if self._elements + inner > MAX_ELEMENTS:
            raise FrameTooLargeError(f"a MessagePack value has more than {MAX_ELEMENTS} parts")
        if inner:
            self._open.append(inner)
            if len(self._open) > MAX_DEPTH:
                raise FrameTooLargeError(f"a MessagePack value nests deeper than {MAX_DEPTH}")
            return False
        while self._open:
            self._open[-1] -= 1
            if self._open[-1]:
                return False
            self._open.pop()
        return True


def _head(buffer: bytes | bytearray | memoryview, at: int) -> tuple[int, int] | None:
    """Bytes of the part at `at` without what is inside it, and how many parts are; None while its length is
    not all there.
    """
    kind = buffer[at]
    if kind < 0x80 or kind >= 0xE0:
        return 1, 0
    if kind < 0xA0:
        return (1, 2 * (kind & 0x0F)) if kind < 0x90 else (1, kind & 0x0F)
    if kind < 0xC0:
        return 1 + (kind & 0x1F), 0
    if (fixed := _FIXED.get(kind)) is not None:
        return 1 + fixed, 0
    width, per_entry = _COUNTED.get(kind, (_SIZED.get(kind, 0), 0))
    if not width:
        raise WireError(f"MessagePack of kind 0x{kind:02x} has no place in a message")
    if at + 1 + width > len(buffer):
        return None
    length = int.from_bytes(buffer[at + 1 : at + 1 + width], "big")
    return (1 + width, length * per_entry) if per_entry else (1 + width + length, 0)


def _json_map(value: dict[Any, Any]) -> dict[str, Json]:
    for key, entry in value.items():
        if not isinstance(key, str):
            raise WireError("a map has a key that is not text")
        _check_json(entry)
    return value


def _check_json(value: Any) -> None:
    """Raise `WireError` for what JSON cannot hold. The scan has bounded the depth."""
    if value is None or isinstance(value, str | int):
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise WireError("a number is not finite")
    elif isinstance(value, list):
        for entry in value:
            _check_json(entry)
    elif isinstance(value, dict):
        _json_map(value)
    else:
        raise WireError(f"a value of type {type(value).__name__} has no place in a message")


def _representable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int) and not -_INT64 <= value < 2 * _INT64:
        try:
            return float(value)
        except OverflowError:
            return hex(value)
    if isinstance(value, Mapping):
        return {_representable(key): _representable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_representable(entry) for entry in value]
    return value
