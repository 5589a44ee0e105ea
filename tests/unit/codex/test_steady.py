"""Codex is read in a beat only where nobody waits for anything but more words."""

from __future__ import annotations

import pytest

from backends.codex.steady import BEAT_SECONDS, SMALL_BYTES, STEADY, Steadiness

WORDS = "item/agentMessage/delta"


class Stream:
    """Pieces that come one after the other, a word each."""

    def __init__(self) -> None:
        self.steadiness = Steadiness()
        self.now = 100.0

    def piece(
        self, *heard: tuple[str, str], size: int = 200, running: str = "a", after: float = 0.002
    ) -> float:
        self.now += after
        for method, thread in heard:
            self.steadiness.heard(method, thread)
        return self.steadiness.beat(size, running, self.now)

    def flow(self, pieces: int, *threads: str, running: str = "a", after: float = 0.002) -> list[float]:
        words = [(WORDS, thread) for thread in threads]
        return [self.piece(*words, running=running, after=after) for _ in range(pieces)]


def test_a_stream_has_a_beat_once_it_has_gone_on_for_a_moment() -> None:
    beats = Stream().flow(STEADY + 5, "a")
    assert beats == [0.0] * STEADY + [BEAT_SECONDS] * 5


def test_a_slow_stream_has_none() -> None:
    assert not any(Stream().flow(100, "a", after=3 * BEAT_SECONDS))


def test_nobody_waits_for_a_first_word_because_another_thread_streams() -> None:
    stream = Stream()
    assert stream.flow(50, "a")[-1]
    assert not any(stream.flow(50, "a", running="ab")), "the other turn has said nothing yet"
    assert stream.flow(50, "a", "b", running="ab")[-1]


@pytest.mark.parametrize("method", ["item/started", "item/completed", "turn/completed", "item/tool/call"])
def test_whatever_is_no_word_ends_it(method: str) -> None:
    stream = Stream()
    assert stream.flow(50, "a")[-1]
    assert not stream.piece((WORDS, "a"), (method, "a"))
    assert not any(stream.flow(STEADY - 1, "a"))


def test_a_thread_that_runs_a_command_is_not_in_the_middle_of_a_text() -> None:
    stream = Stream()
    stream.flow(50, "a", "b", running="ab")
    stream.piece(("item/started", "b"), running="ab")
    assert not any(stream.flow(50, "a", running="ab"))


def test_a_thread_nobody_listens_to_does_not_count() -> None:
    stream = Stream()
    stream.flow(50, "a", "b", running="ab")
    stream.steadiness.over("b")
    assert not any(stream.flow(50, "a", running="ab"))


def test_more_that_waits_is_read_at_once() -> None:
    stream = Stream()
    assert stream.flow(50, "a")[-1]
    assert not stream.piece((WORDS, "a"), size=SMALL_BYTES)


def test_words_of_other_threads_make_no_beat_for_a_turn_that_says_nothing() -> None:
    """Those of a summary that is written meanwhile, for one, or of a thread that was given up."""
    stream = Stream()
    assert not any(stream.flow(50, "summary", running="a"))
    for _ in range(50):
        stream.now += 0.002
        stream.steadiness.heard(WORDS, None)
        assert not stream.steadiness.beat(200, "a", stream.now)
