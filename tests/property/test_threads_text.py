"""Stored text is exactly what was said, however it was split, cut or interrupted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from process_agent.core import events as e
from process_agent.core.ids import ItemId
from process_agent.threads.cuts import fold, safe_cut
from process_agent.threads.encoded import EncodedRows
from process_agent.threads.fold import Fold
from process_agent.threads.reading import Reading
from process_agent.threads.rows import Row, Stored, from_table, moment_of, to_row
from process_agent.threads.sequence import LIMIT, Sequence, choose_writer, writer_of
from tests.fakes.thread_events import Speaker, TestClock, texts

# Small alphabets repeat themselves: exactly what the published folding rule trips over.
repetitive = st.text(alphabet="ha 7\n", max_size=12)
pieces = st.lists(st.one_of(repetitive, st.text(max_size=8)), max_size=30)
TICK = None


def through_rows(stored: list[Stored], sequence: Sequence | None = None) -> list[Row]:
    numbers = sequence or Sequence(TestClock(), 7)
    rows = [to_row(each, numbers.next(), moment_of(each)) for each in stored]
    return list(from_table(EncodedRows(rows)))


def read(rows: list[Row]) -> list[e.ThreadEvent]:
    reading = Reading(Speaker().thread_id)
    return [event for row in rows for event in reading.feed(row)] + reading.finish()


def published_text(rows: list[Row]) -> str:
    """The text as a published reader folds it."""
    import json

    text = ""
    for row in rows:
        if row.kind in ("text_content.delta", "reasoning_content.delta"):
            text = fold(text, json.loads(row.data)["text"])
    return text


@given(pieces)
def test_any_split_is_stored_as_the_concatenation(split: list[str]) -> None:
    speaker, open_items = Speaker(), Fold()
    stored = [s for event in speaker.text(*split) for s in open_items.add(event)]
    rows = through_rows(stored)
    whole = "".join(split)
    assert texts(read(rows)) == ({("u1", "i1"): whole} if whole else {})
    assert published_text(rows) == whole
    assert len([row for row in rows if row.kind == "text_content.delta"]) == (1 if whole else 0)


@given(st.lists(st.one_of(repetitive, st.text(max_size=30), st.none()), max_size=40), st.booleans())
def test_ticks_anywhere_change_nothing(steps: list[str | None], reasoning: bool) -> None:
    """None is a tick. At each one everything said so far is in the rows, and the whole at the end."""
    speaker, open_items, item = Speaker(), Fold(), ItemId("i1")
    said, stored = "", []
    for step in steps:
        if step is None:
            stored += open_items.tick()
            rows = through_rows(list(stored))
            seen = [ev.body for ev in read(rows) if isinstance(ev.body, e.TextDelta | e.ReasoningDelta)]
            assert "".join(body.text for body in seen) == said
            assert said.startswith(published_text(rows))
        else:
            said += step
            body = e.ReasoningDelta(item, step) if reasoning else e.TextDelta(item, step)
            stored += open_items.add(speaker.say(body))
    end = e.ReasoningEnded(item) if reasoning else e.TextEnded(item)
    stored += open_items.add(speaker.say(end))
    rows = through_rows(stored)
    bodies = [event.body for event in read(rows)]
    deltas = [body for body in bodies if isinstance(body, e.TextDelta | e.ReasoningDelta)]
    assert [body.text for body in deltas] == ([said] if said else [])
    assert isinstance(bodies[-1], e.TextEnded | e.ReasoningEnded)
    assert published_text(rows) == said


@given(st.text(alphabet="ab ", max_size=40), st.text(alphabet="ab ", max_size=40), st.integers(0, 40))
def test_a_cut_survives_the_published_rule_whatever_follows(text: str, more: str, stored: int) -> None:
    stored = safe_cut(text, 0) if stored % 2 else 0
    longer = text + more
    cut = safe_cut(longer, stored)
    assert stored <= cut <= len(longer)
    assert fold(longer[:stored], longer[stored:cut]) == longer[:cut] or cut == stored
    for end in range(len(longer), len(longer) + 4):
        whole = longer + "ab a"[: end - len(longer)]
        if cut < len(whole) and cut > stored:
            assert fold(whole[:cut], whole[cut:]) == whole


@given(st.lists(st.sampled_from(["open", "tick"]), max_size=6), repetitive, repetitive)
def test_a_second_start_begins_the_text_anew(ticks: list[str], first: str, second: str) -> None:
    speaker, open_items, item = Speaker(), Fold(), ItemId("i1")
    stored = [s for event in speaker.deltas(first) for s in open_items.add(event)]
    if "tick" in ticks:
        stored += open_items.tick()
    stored += open_items.add(speaker.say(e.TextStarted(item)))
    stored += [s for event in speaker.deltas(second) for s in open_items.add(event)]
    stored += open_items.add(speaker.say(e.TextEnded(item)))
    assert texts(read(through_rows(stored))) == ({("u1", "i1"): second} if second else {})


@given(st.lists(st.integers(-5000, 5000), max_size=40), st.integers(0, 4095), st.integers(-1, 2**52))
def test_numbers_grow_and_are_our_own(moves: list[int], writer: int, floor: int) -> None:
    from datetime import timedelta

    clock = TestClock()
    sequence = Sequence(clock, writer, floor)
    last = floor
    for move in moves:
        clock.now += timedelta(milliseconds=move)
        later = sequence.later()
        number = sequence.next()
        assert number > last
        assert later(number)
        assert not sequence.later()(number)
        assert not later(number ^ 1)
        assert number < LIMIT
        assert writer_of(number) == writer
        last = number


@given(st.sets(st.integers(0, 4095), max_size=300), st.integers(0, 4095))
def test_a_writer_takes_a_part_that_nobody_used(taken: set[int], start: int) -> None:
    assert choose_writer(taken, lambda _: start) not in taken
