from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_agent.errors import WireError
from process_agent.wire import ndjson

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


@given(st.lists(json_values, max_size=6), st.lists(st.integers(0, 10_000), max_size=12))
def test_any_split_of_the_bytes_gives_the_same_values(values: list[object], cuts: list[int]) -> None:
    splitter = ndjson.LineSplitter()
    data = b"".join(map(ndjson.encode, values))
    lines = [line for piece in split(data, cuts) for line in splitter.feed(piece)]
    assert [ndjson.decode(line) for line in lines] == values


@given(
    st.lists(st.integers(0, 40), max_size=6),
    st.integers(1, 40),
    st.booleans(),
    st.lists(st.integers(0, 10_000), max_size=12),
)
def test_a_line_above_the_limit_is_left_out_and_the_others_arrive(
    lengths: list[int], limit: int, ended: bool, cuts: list[int]
) -> None:
    splitter = ndjson.LineSplitter(limit)
    data = b"\n".join(b"x" * length for length in lengths) + b"\n" * ended
    lines = [line for piece in split(data, cuts) for line in splitter.feed(piece)]
    whole = lengths if ended else lengths[:-1]
    assert list(map(len, lines)) == [length for length in whole if 0 < length <= limit]
    assert splitter.skipped == len([length for length in lengths if length > limit])


def test_an_endless_line_takes_no_memory() -> None:
    splitter = ndjson.LineSplitter(10)
    for _ in range(100):
        assert splitter.feed(b"x" * 7) == []
        assert len(splitter._rest) <= 10
    assert splitter.feed(b"\nok\n") == [b"ok"]


def test_blank_lines_and_carriage_returns_are_nothing() -> None:
    assert ndjson.LineSplitter().feed(b'\n  \r\n{"a":1}\r\n') == [b'{"a":1}']


@given(st.text(alphabet=st.characters(categories=["L", "Cs"]), min_size=1))
def test_every_text_can_be_encoded(text: str) -> None:
    decoded = ndjson.decode(ndjson.encode({"text": text}).strip())
    assert decoded == {"text": text.encode("utf-8", "replace").decode()}


@pytest.mark.parametrize("line", [b"", b"{", b"nope", b'{"a":NaN}', b'"\xff"', b"[" * 100_000])
def test_bad_json_is_a_wire_error(line: bytes) -> None:
    with pytest.raises(WireError):
        ndjson.decode(line)


def test_what_is_no_json_cannot_be_sent() -> None:
    with pytest.raises(WireError):
        ndjson.encode({"x": object()})
