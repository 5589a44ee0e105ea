from __future__ import annotations

import pytest

from process_agent.errors import FrameTooLargeError
from process_agent.wire.sse import SseEvent, SseParser, encode_comment, encode_event


def parse(stream: bytes) -> list[SseEvent]:
    return SseParser().feed(stream)


def test_fields_of_the_standard() -> None:
    parser = SseParser()
    stream = b": hi\nid: 7\nevent: add\ndata: a\ndata:b\ndata:  c\nretry: 250\n\ndata\n\n"
    assert parser.feed(stream) == [SseEvent("a\nb\n c", "add", "7"), SseEvent("", "message", "7")]
    assert parser.retry_ms == 250


def test_events_without_data_and_the_unfinished_tail_are_dropped() -> None:
    assert parse(b"event: nothing\n\ndata: told\n\ndata: cut off\n") == [SseEvent("told")]


def test_fields_it_must_ignore() -> None:
    parser = SseParser()
    assert parser.feed(b"id: a\0b\nretry: soon\nretry: \xc2\xb2\nunknown: x\ndata: y\n\n") == [SseEvent("y")]
    assert parser.retry_ms is None


def test_a_cr_at_the_end_of_a_chunk_ends_the_line_at_once() -> None:
    parser = SseParser()
    assert parser.feed(b"data: a\r\n\r") == [SseEvent("a")]
    assert parser.feed(b"") == []
    assert parser.feed(b"\ndata: b\r") == []
    assert parser.feed(b"\r") == [SseEvent("b")]


def test_bytes_that_are_not_utf8_become_replacement_characters() -> None:
    assert parse(b"data: \xff\n\n") == [SseEvent("\ufffd")]


def test_an_endless_line_is_refused_before_it_ends() -> None:
    parser = SseParser(max_event_bytes=10)
    with pytest.raises(FrameTooLargeError, match="10 bytes"):
        parser.feed(b"data: 12345")


def test_comments_do_not_pile_up_without_limit() -> None:
    parser = SseParser(max_event_bytes=10)
    parser.feed(encode_comment("1234"))
    with pytest.raises(FrameTooLargeError):
        parser.feed(encode_comment("5678"))


@pytest.mark.parametrize("bad", ["a\nb", "a\rb"])
def test_a_name_with_a_line_break_cannot_be_encoded(bad: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        encode_event("x", name=bad)
    with pytest.raises(ValueError, match="line break"):
        encode_event("x", event_id=bad)
