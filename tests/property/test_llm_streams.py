"""Answers of all dialects, cut anywhere, read as the same events."""

from __future__ import annotations

from itertools import groupby, pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from process_agent.core.providers import Dialect
from process_agent.scripted.actions import Action, CallTools, Say, Search, StreamFault, Think, ToolCall
from process_agent.scripted.answers import Answer, AnswerStream, Cut, Noise, Pause
from process_agent.wire.chat_stream import ChatStream
from process_agent.wire.llm import events as e
from process_agent.wire.llm.dialects import CODECS
from process_agent.wire.messages_stream import MessagesStream
from process_agent.wire.responses import ResponsesRequest
from process_agent.wire.responses_stream import ResponseStream, Source

STREAMS: dict[Dialect, Any] = {"responses": ResponseStream, "messages": MessagesStream, "chat": ChatStream}

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
arguments = st.dictionaries(texts, texts, max_size=3).map(lambda value: msgspec.json.encode(value).decode())
calls = st.builds(lambda text: ToolCall("function", "tool", text), arguments)
pages = st.builds(Source, texts, texts)
actions = st.one_of(
    st.builds(Say, texts),
    st.builds(lambda text, cited: Say(text, cites=tuple(cited)), texts, st.lists(pages, max_size=2)),
    st.builds(lambda text, found: Search(text, tuple(found)), texts, st.lists(pages, max_size=2)),
    st.builds(lambda text: Search(text, error="unavailable"), texts),
    st.builds(Think, texts),
    st.builds(lambda made: CallTools(tuple(made)), st.lists(calls, min_size=1, max_size=3)),
)
faults = st.sampled_from([[], [StreamFault("unfinished")], [StreamFault("failed")], [StreamFault("garbage")]])


def stream(dialect: Dialect, done: list[Action]) -> bytes:
    building: AnswerStream = STREAMS[dialect](response_id="resp_1", model="m", created_at=1)
    answer = Answer(ResponsesRequest("m", (), (), True), done, building, seed="s")
    parts = (part for part in answer.parts() if not isinstance(part, Pause | Cut))
    return b"".join(part.data if isinstance(part, Noise) else building.encode(part) for part in parts)


def read(dialect: Dialect, data: bytes, cuts: list[int]) -> list[e.StreamEvent]:
    reader = CODECS[dialect].reader("me")
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    events = [event for a, b in pairwise(edges) for event in reader.feed(data[a:b])]
    return joined([*events, *reader.eof()])


def joined(events: list[e.StreamEvent]) -> list[e.StreamEvent]:
    """Neighbouring deltas as one: how many there are depends on the cuts."""
    found: list[e.StreamEvent] = []
    for (kind, index), group in groupby(events, lambda event: (type(event), getattr(event, "index", None))):
        same = list(group)
        if kind in (e.TextDelta, e.ReasoningDelta):
            found.append(kind("".join(event.text for event in same)))  # type: ignore[union-attr]
        elif kind is e.CallDelta:
            text = "".join(event.arguments for event in same)  # type: ignore[union-attr, misc]
            found.append(e.CallDelta(index or 0, text))
        else:
            found += same
    return found


@pytest.mark.parametrize("dialect", STREAMS)
@settings(max_examples=40)
@given(st.lists(actions, max_size=4), faults, st.lists(st.integers(0, 100_000), max_size=30))
def test_any_split_reads_the_same(
    dialect: Dialect, done: list[Action], fault: list[Action], cuts: list[int]
) -> None:
    data = stream(dialect, [*done, *fault])
    assert read(dialect, data, cuts) == read(dialect, data, [])


@pytest.mark.parametrize("dialect", STREAMS)
@settings(max_examples=40)
@given(st.lists(actions, max_size=4), faults)
def test_what_was_said_is_read_and_whatever_began_ends_before_the_end(
    dialect: Dialect, done: list[Action], fault: list[Action]
) -> None:
    events = read(dialect, stream(dialect, [*done, *fault]), [])
    assert isinstance(events[-1], e.Broken if fault else e.Ended)
    assert sum(isinstance(event, e.Ended | e.Broken) for event in events) == 1
    begun = [type(event) for event in events if isinstance(event, e.TextBegun | e.ReasoningBegun)]
    ended = [type(event) for event in events if isinstance(event, e.TextDone | e.ReasoningDone)]
    assert len(begun) == len(ended)
    said = "".join(event.text for event in events if isinstance(event, e.TextDelta))
    assert said.replace("\n", "") == "".join(a.text for a in done if isinstance(a, Say)).replace("\n", "")
    if fault:
        return
    made = [event.call for event in events if isinstance(event, e.CallDone)]
    wanted = [call.arguments for action in done if isinstance(action, CallTools) for call in action.calls]
    assert [call.arguments for call in made] == wanted
    assert len({call.call_id for call in made}) == len(made)
    [reason] = [event.reason for event in events if isinstance(event, e.Ended)]
    assert (reason is e.StopReason.CALLS) == bool(wanted)


@pytest.mark.parametrize("dialect", STREAMS)
@settings(max_examples=40)
@given(st.binary(max_size=400), st.lists(st.integers(0, 500), max_size=5))
def test_no_bytes_make_a_reader_fail(dialect: Dialect, noise: bytes, cuts: list[int]) -> None:
    for data in (noise, b"data: " + noise + b"\n\n"):
        events = read(dialect, data, cuts)
        assert isinstance(events[-1], e.Ended | e.Broken)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("dialect", STREAMS)
@settings(max_examples=40)
@given(st.lists(actions, min_size=1, max_size=2), st.data())
def test_members_of_any_type_make_no_reader_fail(
    dialect: Dialect, done: list[Action], data: st.DataObject
) -> None:
    lines = stream(dialect, done).decode().split("\n")
    changed = []
    for line in lines:
        if line.startswith("data: {"):
            event = msgspec.json.decode(line[6:])
            name = data.draw(st.sampled_from(sorted(event)))
            if name != "type":
                event[name] = data.draw(values)
            line = f"data: {msgspec.json.encode(event).decode()}\n"
        changed.append(line)
    assert isinstance(read(dialect, "\n".join(changed).encode(), [])[-1], e.Ended | e.Broken)
