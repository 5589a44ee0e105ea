"""Nothing of a secret gets into a row, however it was streamed; what people see live is not touched."""

from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from process_agent.core import events as e
from process_agent.core.content import JsonResult, LogLine
from process_agent.core.ids import ItemId
from process_agent.core.redaction import MAX_SHOWN, Redaction
from process_agent.threads.encoded import EncodedRows
from process_agent.threads.fold import Fold
from process_agent.threads.reading import Reading
from process_agent.threads.rows import Row, Stored, from_table, moment_of, to_row
from process_agent.threads.sequence import Sequence
from tests.fakes.thread_events import Speaker, TestClock, texts

SECRET = "swordfish-swordfish"
KEY = "sk-proj-" + "Ab1_" * 12
RULES = Redaction([SECRET], keys=True, patterns=[re.compile("PIN [0-9]+")])

said = st.lists(
    st.sampled_from([SECRET, KEY, "PIN 1234", "ha", " ", "\n", "word", KEY[:20]]), max_size=8
).map("".join)
cuts = st.lists(st.integers(0, 200), max_size=8)


def pieces(text: str, places: list[int]) -> list[str]:
    ends = sorted({min(place, len(text)) for place in places} | {0, len(text)})
    return [text[start:end] for start, end in pairwise(ends)] or [""]


def rows_of(fold: Fold, events: list[e.ThreadEvent], *, ticks: bool) -> list[Row]:
    stored: list[Stored] = []
    for event in events:
        stored += fold.add(event)
        if ticks:
            stored += fold.tick()
    numbers = Sequence(TestClock(), 7)
    return list(
        from_table(EncodedRows([to_row(each, numbers.next(), moment_of(each), RULES) for each in stored]))
    )


def read(rows: list[Row]) -> list[e.ThreadEvent]:
    reading = Reading(Speaker().thread_id)
    return [event for row in rows for event in reading.feed(row)] + reading.finish()


def clean(rows: list[Row], text: str) -> bool:
    """A key right behind a letter is none."""
    secrets = [each for each in (SECRET, KEY, "PIN 1234") if each not in RULES.text(text)]
    return SECRET in secrets and not any(secret in row.data for secret in secrets for row in rows)


@given(said, cuts, st.booleans())
def test_a_text(text: str, places: list[int], ticks: bool) -> None:
    speaker, fold = Speaker(), Fold(RULES)
    rows = rows_of(fold, [*speaker.begin(), *speaker.text(*pieces(text, places)), speaker.end()], ticks=ticks)
    assert clean(rows, text)
    covered = RULES.text(text)
    assert texts(read(rows)).get(("u1", "i1"), "") == covered
    assert len(covered) == len(text)


@given(said, cuts)
def test_a_text_that_nobody_ended(text: str, places: list[int]) -> None:
    speaker, fold = Speaker(), Fold(RULES)
    events = [*speaker.begin(), *speaker.deltas(*pieces(text, places))]
    rows = rows_of(fold, events, ticks=True)
    assert clean(rows, text)
    kept = texts(read(rows)).get(("u1", "i1"), "")
    covered = RULES.text(text)
    assert kept[:-MAX_SHOWN] == covered[: len(kept[:-MAX_SHOWN])]
    assert "".join(d.body.text for d in fold.open_events() if isinstance(d.body, e.TextDelta)) == text


@given(said, cuts, st.lists(st.booleans(), min_size=9, max_size=9), st.booleans())
def test_a_log(text: str, places: list[int], sources: list[bool], ticks: bool) -> None:
    speaker, fold, ref = Speaker(), Fold(RULES), e.ToolRef(ItemId("t"), "codex", "shell")
    lines = [
        LogLine(piece, "stderr" if sources[at % 9] else "stdout")
        for at, piece in enumerate(pieces(text, places))
    ]
    events = [
        *speaker.begin(),
        speaker.say(e.ToolStarted(ref, {"command": f"echo {SECRET}", SECRET: [KEY]})),
        *(speaker.say(e.ToolLog(ref, (line,))) for line in lines),
        speaker.say(e.ToolEnded(ref, JsonResult({"stdout": text}))),
        speaker.end(),
    ]
    rows = rows_of(fold, events, ticks=ticks)
    logged = [line for event in read(rows) if isinstance(event.body, e.ToolLog) for line in event.body.lines]
    assert [(line.source, len(line.text)) for line in logged] == [
        (line.source, len(line.text)) for line in lines
    ]
    for source in ("stdout", "stderr"):
        whole = "".join(line.text for line in lines if line.source == source)
        assert "".join(line.text for line in logged if line.source == source) == RULES.text(whole)
    assert not any(SECRET in row.data for row in rows if row.kind != "tool_call.log_delta")


def test_without_rules_nothing_waits() -> None:
    speaker, fold = Speaker(), Fold()
    for event in [*speaker.begin(), *speaker.deltas(SECRET[:10])]:
        fold.add(event)
    assert fold.unsaved
    fold.tick()
    assert not fold.unsaved


def test_what_is_held_back_is_not_looked_at_again_and_again() -> None:
    speaker, fold = Speaker(), Fold(RULES)
    for event in [*speaker.begin(), *speaker.deltas(SECRET[:12])]:
        fold.add(event)
    fold.tick()
    assert not fold.unsaved
    assert fold.tick() == []
