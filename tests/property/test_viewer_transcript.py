"""The transcript: exact text for any split, and repeats that change nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from process_agent.core.content import LogLine, TextPart
from process_agent.core.events import (
    EndReason,
    ReasoningDelta,
    TextDelta,
    TextEnded,
    TextStarted,
    ThreadEvent,
    ToolLog,
    ToolRef,
    TurnAccepted,
    TurnEnded,
    TurnStarted,
)
from process_agent.core.ids import ItemId, MessageId
from process_agent.viewer.items import MessageItem, ReasoningItem, ToolItem, TurnState
from process_agent.viewer.transcript import Transcript
from tests.fakes.viewer_room import event

PIECES = st.lists(st.text(max_size=8), max_size=20)
REF = ToolRef(ItemId("tool"), "codex", "shell")


def turn_of(text: list[str], thought: list[str], output: list[str]) -> list[ThreadEvent]:
    said = (TextPart("go"),)
    return [
        event(TurnAccepted(MessageId("m"), said, "ana")),
        event(TurnStarted(MessageId("m"), said, "ana")),
        *(event(ReasoningDelta(ItemId("why"), piece)) for piece in thought),
        *(event(ToolLog(REF, (LogLine(piece),))) for piece in output),
        event(TextStarted(ItemId("text"))),
        *(event(TextDelta(ItemId("text"), piece)) for piece in text),
        event(TextEnded(ItemId("text"))),
        event(TurnEnded(EndReason.COMPLETED)),
    ]


def texts(transcript: Transcript) -> dict[str, str]:
    found: dict[str, str] = {}
    for turn in transcript.turns:
        for item in turn.items.values():
            if isinstance(item, MessageItem | ReasoningItem):
                found[item.id] = str(item.text)
            elif isinstance(item, ToolItem):
                found[item.id] = item.output
    return {key: text for key, text in found.items() if text}


def expected(text: list[str], thought: list[str], output: list[str]) -> dict[str, str]:
    joined = {"text": "".join(text), "why": "".join(thought), "tool": "".join(output)}
    return {key: value for key, value in joined.items() if value}


@given(PIECES, PIECES, PIECES)
def test_text_is_the_concatenation_of_the_deltas(
    text: list[str], thought: list[str], output: list[str]
) -> None:
    transcript = Transcript()
    for happened in turn_of(text, thought, output):
        assert transcript.apply(happened) is not None
    assert texts(transcript) == expected(text, thought, output)
    assert transcript.turns[0].state is TurnState.ENDED


@given(PIECES, PIECES, PIECES, st.data())
def test_any_event_may_come_again(
    text: list[str], thought: list[str], output: list[str], data: st.DataObject
) -> None:
    transcript = Transcript()
    events = turn_of(text, thought, output)
    for position, happened in enumerate(events):
        transcript.apply(happened)
        again = data.draw(st.integers(min_value=0, max_value=position))
        assert transcript.apply(events[again]) is None
    assert texts(transcript) == expected(text, thought, output)


@given(PIECES, PIECES, PIECES, st.data())
def test_a_replay_after_a_break_at_any_point_gives_the_same_text(
    text: list[str], thought: list[str], output: list[str], data: st.DataObject
) -> None:
    transcript = Transcript()
    live = turn_of(text, thought, output)
    for happened in live[: data.draw(st.integers(min_value=0, max_value=len(live)))]:
        transcript.apply(happened)
    transcript.rewind()
    stored = turn_of(["".join(text)], ["".join(thought)], ["".join(output)])
    for happened in stored:
        transcript.apply(happened)
    assert texts(transcript) == expected(text, thought, output)


@given(PIECES, PIECES)
def test_a_second_start_begins_the_text_again(before: list[str], after: list[str]) -> None:
    transcript = Transcript()
    for happened in turn_of(before, [], [])[:-2]:
        transcript.apply(happened)
    transcript.apply(event(TextStarted(ItemId("text"))))
    for piece in after:
        transcript.apply(event(TextDelta(ItemId("text"), piece)))
    assert texts(transcript) == expected(after, [], [])
