from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_agent.errors import FrameTooLargeError
from process_agent.wire.sse import SseEvent, SseParser, encode_comment, encode_event

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=30)
names = texts.filter(bool)
events = st.builds(
    lambda lines, name: SseEvent("\n".join(lines), name),
    st.lists(texts, min_size=1, max_size=4),
    names,
)


def parse(stream: bytes, cuts: list[int]) -> list[SseEvent]:
    parser = SseParser()
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return [event for a, b in pairwise(edges) for event in parser.feed(stream[a:b])]


def feed_all(parser: SseParser, chunks: list[bytes]) -> None:
    for chunk in chunks:
        parser.feed(chunk)


@given(
    st.lists(events, max_size=5),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.lists(texts, max_size=3),
    st.booleans(),
    st.lists(st.integers(0, 10_000), max_size=30),
)
def test_any_split_and_any_line_end_give_the_events_back(
    sent: list[SseEvent], line_end: bytes, comments: list[str], bom: bool, cuts: list[int]
) -> None:
    noise = b"".join(encode_comment(c) for c in comments)
    stream = b"".join(noise + encode_event(e.data, name=e.name) for e in sent).replace(b"\n", line_end)
    assert parse((b"\xef\xbb\xbf" if bom else b"") + stream, cuts) == sent


@given(st.lists(events, min_size=1, max_size=3))
def test_byte_by_byte_equals_all_at_once(sent: list[SseEvent]) -> None:
    stream = b"".join(encode_event(e.data, name=e.name) for e in sent)
    assert parse(stream, list(range(len(stream)))) == parse(stream, [])


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=20))
def test_arbitrary_bytes_split_anywhere_mean_the_same(junk: bytes, cuts: list[int]) -> None:
    assert parse(junk, cuts) == parse(junk, [])


@given(st.integers(1, 200), st.lists(st.integers(0, 500), max_size=10))
def test_an_event_above_the_limit_is_refused_for_any_split(excess: int, cuts: list[int]) -> None:
    stream = encode_event("x" * (100 - len("data: "))) + encode_event("y" * (100 - len("data: ") + excess))
    parser = SseParser(max_event_bytes=100)
    edges = sorted({0, len(stream), *(cut % len(stream) for cut in cuts)})
    with pytest.raises(FrameTooLargeError):
        feed_all(parser, [stream[a:b] for a, b in pairwise(edges)])
