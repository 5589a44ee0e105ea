"""Whatever Codex says, in whatever order: what was started is ended, and the turn ends once."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from backends.codex.frame import Frame
from backends.codex.mapping import TurnMapper
from process_agent.core.events import (
    BackendEvent,
    EndReason,
    ImageCompleted,
    ImageFailed,
    ImageStarted,
    ReasoningDelta,
    ReasoningEnded,
    ReasoningStarted,
    TextDelta,
    TextEnded,
    TextStarted,
    ToolEnded,
    ToolLog,
    ToolStarted,
    TurnEnded,
)
from process_agent.core.ids import TurnId

KINDS = [
    "agentMessage",
    "plan",
    "reasoning",
    "commandExecution",
    "fileChange",
    "webSearch",
    "userMessage",
    "imageGeneration",
    "contextCompaction",
    "new",
]
DELTAS = [
    "item/agentMessage/delta",
    "item/plan/delta",
    "item/reasoning/summaryTextDelta",
    "item/commandExecution/outputDelta",
    "item/mcpToolCall/progress",
    "item/fileChange/patchUpdated",
]
OTHERS = [
    "turn/diff/updated",
    "turn/plan/updated",
    "warning",
    "turn/started",
    "thread/compacted",
    "rawResponseItem/completed",
    "thread/tokenUsage/updated",
    "x/y",
]

ids = st.sampled_from(["a", "b", "c"])
pieces = st.text(alphabet="ab", max_size=3)


@st.composite
def notifications(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    method = draw(st.sampled_from(["item/started", "item/completed", *DELTAS, *OTHERS]))
    item = {
        "id": draw(ids),
        "type": draw(st.sampled_from(KINDS)),
        "text": draw(pieces),
        "status": draw(st.sampled_from(["completed", "failed", "declined", "inProgress"])),
    }
    params = {"item": item, "itemId": draw(ids), "delta": draw(pieces), "diff": draw(pieces), "message": "m"}
    return method, params


@given(st.lists(notifications(), max_size=40), st.sampled_from(list(EndReason)))
def test_events_of_a_turn_are_well_formed(said: list[tuple[str, dict[str, Any]]], reason: EndReason) -> None:
    mapper = TurnMapper(Frame(TurnId("T"), "/w"))
    events: list[BackendEvent] = []
    for step, (method, params) in enumerate(said):
        events += mapper.map(method, params, step / 7)
    events += mapper.finish(reason)
    assert [e for e in events if isinstance(e, TurnEnded)] == [events[-1]]
    assert mapper.map("warning", {"message": "late"}, 99) == []
    started_and_ended_in_order(events)


def started_and_ended_in_order(events: list[BackendEvent]) -> None:
    opened: set[str] = set()
    for event in events:
        match event:
            case TextStarted() | ReasoningStarted():
                opened.add(event.item_id)
            case ImageStarted():
                opened.add(event.item_id)
            case ImageCompleted() | ImageFailed():
                opened.remove(event.item_id)
            case ToolStarted():
                opened.add(event.ref.item_id)
            case TextDelta() | ReasoningDelta():
                assert event.item_id in opened
            case ToolLog():
                assert event.ref.item_id in opened
            case TextEnded() | ReasoningEnded():
                opened.remove(event.item_id)
            case ToolEnded():
                opened.remove(event.ref.item_id)
            case _:
                pass
    assert not opened


@given(st.text(max_size=30), st.lists(st.integers(0, 30), max_size=6), st.text(max_size=30), st.booleans())
def test_a_message_adds_up_to_its_final_text(text: str, cuts: list[int], final: str, differs: bool) -> None:
    mapper = TurnMapper(Frame(TurnId("T"), "/w"))
    item = {"id": "m", "type": "agentMessage", "text": ""}
    events = mapper.map("item/started", {"item": item}, 0)
    edges = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    for start, end in pairwise(edges):
        events += mapper.map("item/agentMessage/delta", {"itemId": "m", "delta": text[start:end]}, 0)
    whole = final if differs else text + final
    events += mapper.map("item/completed", {"item": {**item, "text": whole}}, 0)
    shown = ""
    for event in events:
        if isinstance(event, TextStarted):
            shown = ""
        elif isinstance(event, TextDelta):
            shown += event.text
    assert shown == whole
