"""MessagePack values, split and cut anywhere."""

from __future__ import annotations

import math
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_agent.errors import FrameTooLargeError, WireError
from process_agent.wire import msgpack_frames as frames

INT64 = 1 << 63
LENGTHS = (15, 16, 17, 31, 32, 33, 40)
"""Around those where MessagePack writes a length in another way; above them a short text comes 300 times."""

texts = st.text(st.characters(codec="utf-8"), max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-INT64, 2 * INT64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
    | st.builds(str.__mul__, texts, st.sampled_from((*LENGTHS, 300)))
)
# Drawn one by one, so many values would take Hypothesis seconds: long ones repeat what was drawn.
long_ones = st.builds(lambda value, count: [value] * count, scalars, st.sampled_from(LENGTHS)) | st.builds(
    lambda key, value, count: {f"{key}{number}": value for number in range(count)},
    st.text(max_size=40),
    scalars,
    st.sampled_from(LENGTHS),
)
json_values = st.recursive(
    scalars | long_ones,
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=40), inner, max_size=8),
    max_leaves=20,
)
messages = st.dictionaries(st.text(max_size=20), json_values, max_size=4)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    return [*pieces, data[at:]]


@given(messages)
def test_a_message_comes_back_as_it_was(message: dict[str, Any]) -> None:
    assert frames.decode(frames.encode(message)) == (message, None)


@given(messages, st.binary(max_size=400))
def test_binary_data_comes_apart_from_the_message(message: dict[str, Any], data: bytes) -> None:
    message.pop("data", None)
    assert frames.decode(frames.encode({**message, "data": data})) == (message, data)


@given(st.lists(messages, max_size=6), st.lists(st.integers(0, 60), max_size=40))
def test_values_are_found_in_a_stream_wherever_it_is_cut(
    sent: list[dict[str, Any]], sizes: list[int]
) -> None:
    values = frames.Values()
    stream = b"".join(frames.encode(message) for message in sent)
    found = [frames.decode_map(value) for piece in cut(stream, sizes) for value in values.feed(piece)]
    assert found == sent


@given(messages, st.data())
def test_a_cut_value_is_not_an_end(message: dict[str, Any], data: st.DataObject) -> None:
    encoded = frames.encode(message)
    assert frames.Scan().end(encoded) == len(encoded)
    shorter = encoded[: data.draw(st.integers(0, len(encoded) - 1))]
    assert frames.Scan().end(shorter) is None
    with pytest.raises(WireError):
        frames.decode(shorter)


@given(st.binary(max_size=2_000))
def test_any_bytes_are_a_message_or_a_wire_error(data: bytes) -> None:
    try:
        message, attachment = frames.decode(data)
    except WireError:
        return
    again: dict[str, Any] = message if attachment is None else {**message, "data": attachment}
    assert frames.decode(frames.encode(again)) == (message, attachment)


@given(json_values, st.binary(max_size=30))
def test_the_scan_agrees_with_the_decoder(value: Any, after: bytes) -> None:
    encoded = msgspec.msgpack.encode(value)
    assert frames.Scan().end(encoded + after) == len(encoded)


@given(st.integers() | st.text() | st.just("\ud800"))
def test_everything_json_can_say_can_be_sent(value: int | str) -> None:
    message, _ = frames.decode(frames.encode({"value": [value], f"{value}": 1}))
    sent = message["value"]
    assert isinstance(sent, list)
    if isinstance(value, int):
        assert isinstance(sent[0], int | float)
        assert math.isclose(sent[0], value)
    else:
        assert sent[0] == value.encode("utf-8", "replace").decode()


def test_numbers_without_any_place_are_sent_as_text() -> None:
    message, _ = frames.decode(frames.encode({"value": 10**5_000}))
    assert message["value"] == hex(10**5_000)


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\x80\x80",
        b"\x01",
        b"\x90",
        msgspec.msgpack.encode({"a": {1: 2}}),
        msgspec.msgpack.encode({"a": b"binary"}),
        msgspec.msgpack.encode({"a": math.inf}),
        b"\x81\xa1a\xc1",
        b"\x81\xa1a\xd4\x01\x00",
        b"\x81\xa1a\xd6\xff\x00\x00\x00\x00",
        b"\x81\xa1\xff\xc0",
        b"\x81\xc4\x01a\xc0",
    ],
)
def test_what_is_no_message(bad: bytes) -> None:
    with pytest.raises(WireError):
        frames.decode(bad)


@pytest.mark.parametrize(
    "head",
    [
        b"\xdb" + struct.pack(">I", frames.MAX_BYTES),
        b"\xc6\xff\xff\xff\xff",
        b"\xdd" + struct.pack(">I", frames.MAX_ELEMENTS),
        b"\xdf" + struct.pack(">I", frames.MAX_ELEMENTS // 2),
        b"\x91" * (frames.MAX_DEPTH + 1),
        (b"\xdc\xff\xff" + b"\xc0" * 65_000) * 5,
    ],
)
def test_a_value_that_is_too_large_is_refused_by_its_head(head: bytes) -> None:
    """Before its bytes are there, let alone decoded."""
    with pytest.raises(FrameTooLargeError):
        list(frames.Values().feed(head))


def test_a_long_text_that_comes_in_small_pieces_is_scanned_once() -> None:
    """Each piece costs its own length, not that of what came before."""
    message = {"type": "x", "text": "a" * 3_000_000}
    values, found = frames.Values(), []
    for piece in cut(frames.encode(message), [1_000] * 3_000):
        found += [frames.decode_map(value) for value in values.feed(piece)]
    assert found == [message]
