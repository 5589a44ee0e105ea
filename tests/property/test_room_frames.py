"""Packets and payloads of the room protocol, for any content and any cut."""

from __future__ import annotations

import json
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_agent.errors import FrameTooLargeError, WireError
from process_agent.wire import room_frames
from process_agent.wire.room_frames import Message, PacketJoiner

ids = st.integers(0, 2**64 - 1)
types = st.text(max_size=60)
messages = st.builds(Message, ids, types, st.binary(max_size=5000))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.lists(messages, max_size=5), st.integers(1, 2000))
def test_messages_come_back_from_their_packets(sent: list[Message], packet_bytes: int) -> None:
    joiner = PacketJoiner()
    got = [joiner.feed(packet) for message in sent for packet in room_frames.split(message, packet_bytes)]
    assert [message for message in got if message is not None] == sent
    assert not joiner.incomplete


@given(messages, st.integers(1, 2000))
def test_packets_have_the_documented_form(message: Message, packet_bytes: int) -> None:
    head, *pieces = room_frames.split(message, packet_bytes)
    count = math.ceil(len(message.payload) / packet_bytes)
    assert head == message.id.to_bytes(8) + bytes(4) + count.to_bytes(4) + message.type.encode()
    assert all(len(piece) <= packet_bytes + 12 for piece in pieces)
    assert [piece[:12] for piece in pieces] == [
        message.id.to_bytes(8) + number.to_bytes(4) for number in range(1, count + 1)
    ]
    assert b"".join(piece[12:] for piece in pieces) == message.payload


@given(messages, messages, st.data())
def test_interleaved_messages_are_detected(first: Message, second: Message, data: st.DataObject) -> None:
    """Any packet of another message inside an unfinished one is an error."""
    packets = room_frames.split(first, 700)
    cut = data.draw(st.integers(1, len(packets)))
    joiner = PacketJoiner()
    for packet in packets[:cut]:
        joiner.feed(packet)
    intruder = data.draw(st.sampled_from(room_frames.split(second, 700)))
    is_next = cut < len(packets) and intruder[:12] == packets[cut][:12]
    starts_anew = cut == len(packets) and intruder[8:12] == bytes(4)
    if is_next or starts_anew:
        joiner.feed(intruder)
    else:
        with pytest.raises(WireError):
            joiner.feed(intruder)


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_noise_is_refused_or_understood_and_never_breaks(packets: list[bytes]) -> None:
    joiner = PacketJoiner(max_message=1000, max_packets=4)
    for packet in packets:
        try:
            joiner.feed(packet)
        except WireError:
            return


def test_lost_repeated_and_early_packets_are_refused() -> None:
    head, one, two, three = room_frames.split(Message(1, "t", b"x" * 30), 10)
    for wrong in ([one], [head, two], [head, one, one], [head, one, three], [head, head]):
        joiner = PacketJoiner()
        for packet in wrong[:-1]:
            assert joiner.feed(packet) is None
        with pytest.raises(WireError):
            joiner.feed(wrong[-1])


def test_limits() -> None:
    at_limit = room_frames.split(Message(1, "t", b"x" * 100), 25)
    joiner = PacketJoiner(max_message=100, max_packets=4)
    assert [joiner.feed(packet) for packet in at_limit][-1] == Message(1, "t", b"x" * 100)
    for payload, size in ((b"x" * 101, 26), (b"x" * 100, 24)):
        joiner = PacketJoiner(max_message=100, max_packets=4)
        packets = room_frames.split(Message(1, "t", payload), size)
        with pytest.raises(FrameTooLargeError):
            list(map(joiner.feed, packets))
    with pytest.raises(FrameTooLargeError):
        PacketJoiner().feed(room_frames.split(Message(1, "t" * 257, b""))[0])


@given(st.dictionaries(st.text(), json_values, max_size=5), st.binary(max_size=200))
def test_payloads_come_back(header: dict[str, object], data: bytes) -> None:
    payload = room_frames.pack_payload(json.dumps(header).encode(), data)
    text, tail = room_frames.unpack_payload(payload)
    assert tail == data
    fields = room_frames.read_fields(text)
    assert {key: room_frames.read_json(raw) for key, raw in fields.items()} == header
    assert json.loads(room_frames.write_fields(fields)) == header


@given(st.binary(max_size=60))
def test_broken_payloads_are_refused_or_understood(payload: bytes) -> None:
    try:
        text, _ = room_frames.unpack_payload(payload)
        fields = room_frames.read_fields(text)
    except WireError:
        return
    assert all(isinstance(raw, msgspec.Raw) for raw in fields.values())


@given(json_values)
def test_json_is_written_as_any_reader_expects(value: object) -> None:
    assert json.loads(room_frames.write_json(value)) == value
    assert room_frames.is_strict(room_frames.write_json(value))


def test_what_pythons_encoder_writes_is_read() -> None:
    text = json.dumps({"nan": math.nan, "half": "\ud800", "deep": [math.inf]}).encode()
    assert not room_frames.is_strict(text)
    fields = room_frames.read_fields(text)
    assert room_frames.read_json(fields["half"]) == "\ud800"
    assert bytes(fields["nan"]) == b"null"


@pytest.mark.parametrize("text", [b"[]", b"1", b"{", b"", b'{"a":1}x', b"\xff", b"[" * 100_000])
def test_headers_that_are_no_object_are_refused(text: bytes) -> None:
    with pytest.raises(WireError):
        room_frames.read_fields(text)
