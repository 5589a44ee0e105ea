"""Packets and payloads of the room protocol (sections 4 and 4.1), pure.

One logical message is a header packet and N payload packets; all integers are big-endian and unsigned:

    packet 0:  8 bytes message id | 4 bytes 0 | 4 bytes N | UTF-8 type
    packet k:  8 bytes message id | 4 bytes k | payload bytes

A payload is 8 bytes length, a JSON object of that length, and a binary tail. The JSON values inside are
kept as raw bytes wherever they are only passed on.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from process_agent.errors import FrameTooLargeError, WireError

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""Largest payload of one message."""

MAX_PACKETS = MAX_MESSAGE_BYTES // 1024
"""Most payload packets of one message: the largest payload in the 1 KiB pieces that published clients cut."""

MAX_TYPE_BYTES = 256
"""Longest message type."""

PACKET_BYTES = 64 * 1024
"""Payload bytes per packet that we send; published clients accept any size below 4 MiB."""

_START = struct.Struct(">QII")
_PIECE = struct.Struct(">QI")
_LENGTH = struct.Struct(">Q")
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_RAW = msgspec.json.Decoder(msgspec.Raw)
_VALUE = msgspec.json.Decoder()


@dataclass(frozen=True, slots=True)
class Message:
    """One logical message. `id` is the sender's number, 0 to 2^64-1; a response repeats its request's."""

    id: int
    type: str
    payload: bytes = b""


class PacketJoiner:
    """Joins the packets of one connection to messages. After an error it must not be used again.

    `max_message` bounds the payload in bytes, `max_packets` the number of payload packets.
    """

    def __init__(self, *, max_message: int = MAX_MESSAGE_BYTES, max_packets: int = MAX_PACKETS) -> None:
        self._max_message = max_message
        self._max_packets = max_packets
        self._id = 0
        self._type = ""
        self._expected = 0
        self._size = 0
        self._pieces: list[bytes] = []

    @property
    def incomplete(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._expected > 0

    def feed(self, packet: bytes) -> Message | None:
        """Take the next packet; return the message that it completes.

        Raises `WireError` for packets that are malformed, out of order or of another message than the one
        that has begun, and `FrameTooLargeError` above a limit.
        """
        if len(packet) < _PIECE.size:
            raise WireError(f"a packet of {len(packet)} bytes is shorter than its header")
        message_id, number = _PIECE.unpack_from(packet)
        if number == 0:
            return self._start(packet)
        return self._continue(message_id, number, packet)

    def _start(self, packet: bytes) -> Message | None:
        if self._expected:
            raise WireError(f"a new message began before message {self._id} ({self._type}) was complete")
        if len(packet) < _START.size:
            raise WireError("a header packet is shorter than 16 bytes")
        if len(packet) > _START.size + MAX_TYPE_BYTES:
            raise FrameTooLargeError(f"a message type is longer than {MAX_TYPE_BYTES} bytes")
        message_id, _, count = _START.unpack_from(packet)
        if count > self._max_packets:
            raise FrameTooLargeError(f"{count} packets are above the limit of {self._max_packets} a message")
        try:
            type_ = packet[_START.size :].decode()
        except UnicodeDecodeError as error:
            raise WireError("a message type is not UTF-8") from error
        if count == 0:
            return Message(message_id, type_)
        self._id, self._type, self._expected, self._size = message_id, type_, count, 0
        self._pieces = []
        return None

    def _continue(self, message_id: int, number: int, packet: bytes) -> Message | None:
        if not self._expected:
            raise WireError(f"payload packet {number} came without a header packet")
        if message_id != self._id:
            raise WireError(f"packets of message {message_id} came inside message {self._id}")
        if number != len(self._pieces) + 1:
            raise WireError(f"payload packet {number} came where {len(self._pieces) + 1} was due")
        self._size += len(packet) - _PIECE.size
        if self._size > self._max_message:
            raise FrameTooLargeError(f"a message is larger than the limit of {self._max_message} bytes")
        self._pieces.append(packet[_PIECE.size :])
        if number < self._expected:
            return None
        payload = self._pieces[0] if number == 1 else b"".join(self._pieces)
        self._expected, self._pieces = 0, []
        return Message(message_id, self._type, payload)


def split(message: Message, packet_bytes: int = PACKET_BYTES) -> list[bytes]:
    """The packets of a message, in order, each with at most `packet_bytes` of payload."""
    payload = message.payload
    count = -(-len(payload) // packet_bytes)
    packets = [_START.pack(message.id, 0, count) + message.type.encode()]
    if count == 1:
        packets.append(_PIECE.pack(message.id, 1) + payload)
        return packets
    view = memoryview(payload)
    for number in range(count):
        piece = view[number * packet_bytes : (number + 1) * packet_bytes]
        packets.append(b"".join((_PIECE.pack(message.id, number + 1), piece)))
    return packets


def pack_payload(header: bytes, data: bytes = b"") -> bytes:
    """A payload from the JSON text of its header and its binary tail."""
    return b"".join((_LENGTH.pack(len(header)), header, data))


def unpack_payload(payload: bytes) -> tuple[bytes, bytes]:
    """The JSON text and the binary tail of a payload. Raises `WireError` when it is cut short."""
    if len(payload) < _LENGTH.size:
        raise WireError("a payload is shorter than its length field")
    (length,) = _LENGTH.unpack_from(payload)
    end = _LENGTH.size + length
    if end > len(payload):
        raise WireError("a payload is shorter than its header says")
    return payload[_LENGTH.size : end], payload[end:]


def read_fields(header: bytes) -> dict[str, msgspec.Raw]:
    """The top-level fields of a JSON object, their values unparsed. Raises `WireError` for anything else."""
    try:
        return _FIELDS.decode(header.decode())
    except UnicodeDecodeError as error:
        raise WireError("a header is not UTF-8") from error
    except (msgspec.DecodeError, RecursionError):
        value = read_json(header)
    if not isinstance(value, dict):
        raise WireError("a header is not a JSON object")
    return {key: msgspec.Raw(write_json(item)) for key, item in value.items()}


def read_json(text: bytes | str | msgspec.Raw) -> Any:
    """The value of a JSON text. Raises `WireError`.

    Published clients write with Python's encoder: NaN, infinities and half surrogates are let through.
    """
    try:
        return _VALUE.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raw = bytes(text) if isinstance(text, msgspec.Raw) else text
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise WireError(f"not JSON: {error}") from error


def is_strict(text: bytes) -> bool:
    """Whether a text is JSON to the letter, so that it can be passed on to any reader."""
    try:
        _RAW.decode(text)
    except msgspec.DecodeError:
        return False
    return True


def write_json(value: Any) -> bytes:
    """JSON text of a value, compact. Values that JSON has no form for become their text."""
    try:
        return msgspec.json.encode(value, enc_hook=str)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return json.dumps(value, default=str, separators=(",", ":")).encode()


def write_fields(fields: Mapping[str, Any]) -> bytes:
    """JSON text of an object; its raw values are taken over byte for byte, the others encoded."""
    return b"{" + b",".join(_field(key, value) for key, value in fields.items()) + b"}"


def _field(key: str, value: Any) -> bytes:
    return write_json(key) + b":" + (bytes(value) if isinstance(value, msgspec.Raw) else write_json(value))
