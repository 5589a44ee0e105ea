from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from backends.codex.history import MAX_OUTPUT, input_items, responses_items
from backends.codex.memory import MAX_ITEMS, Memory
from process_agent.core.backend import AgentMessage, HistoryItem, ToolCall, UserMessage
from process_agent.core.content import (
    EmptyResult,
    ErrorInfo,
    FilePart,
    JsonResult,
    LinkResult,
    LogLine,
    TextPart,
    TextResult,
)
from process_agent.core.events import TextDelta, TextEnded, TextStarted, ToolEnded, ToolRef, ToolStarted
from process_agent.core.ids import ItemId

SHELL = ToolRef(ItemId("i"), "codex", "shell", "codex")


def call(tool: str = "shell", toolkit: str = "codex", **rest: Any) -> ToolCall:
    return ToolCall(ToolRef(ItemId("i"), toolkit, tool, "codex"), **({"arguments": {"command": "ls"}} | rest))


def test_messages_and_calls_become_known_items() -> None:
    history: list[HistoryItem] = [
        UserMessage((TextPart("hi"), FilePart("room:///a.png", "a.png")), "ada"),
        AgentMessage("hello", "commentary"),
        call(result=JsonResult({"stdout": "x"})),
        call("look up!", "my tools", error=ErrorInfo("no", "failed")),
        AgentMessage(""),
        UserMessage((), "ada"),
    ]
    user, agent, first, output, second, failed = responses_items(history)
    assert [part["text"] for part in user["content"]] == ["hi", "[file a.png room:///a.png]"]
    assert (agent["role"], agent["content"][0]) == ("assistant", {"type": "output_text", "text": "hello"})
    assert (first["name"], json.loads(first["arguments"])) == ("shell", {"command": "ls"})
    assert (output["call_id"], output["output"]) == (first["call_id"], '{"stdout": "x"}')
    assert second["name"] == "my_tools_look_up_"
    assert failed["output"] == "no"


def test_outputs_of_every_kind() -> None:
    calls = [
        call(result=TextResult("t")),
        call(result=LinkResult("n", "u")),
        call(result=EmptyResult(), log=(LogLine("a"), LogLine("b"))),
        call(),
    ]
    assert [i["output"] for i in responses_items(calls) if "output" in i] == ["t", "n: u", "ab", ""]


def test_notices_diffs_and_plans_are_not_told() -> None:
    assert (
        responses_items([call(tool) for tool in ("warning", "retry", "notice", "diff_updated", "plan")]) == []
    )
    assert len(responses_items([call("warning", "another")])) == 2


@given(st.lists(st.integers(0, 300), max_size=30), st.integers(0, 4_000))
def test_the_newest_that_fits_is_told_in_order(lengths: list[int], limit: int) -> None:
    history = [AgentMessage(f"{n}:" + "x" * length) for n, length in enumerate(lengths)]
    items = responses_items(history, limit)
    assert sum(len(json.dumps(item, ensure_ascii=False)) for item in items) <= limit
    numbers = [int(item["content"][0]["text"].partition(":")[0]) for item in items]
    assert numbers == list(range(len(history) - len(items), len(history)))


def test_a_call_and_its_output_stay_together_and_stay_json() -> None:
    long = call(arguments={"patch": "x" * 50_000}, result=TextResult("y" * 50_000))
    for limit in range(0, 40_000, 5_000):
        assert len(responses_items([long], limit)) in (0, 2)
    first, second = responses_items([long])
    assert list(json.loads(first["arguments"])) == ["shortened"]
    assert len(second["output"]) == MAX_OUTPUT


def test_input_is_text_but_for_inline_images() -> None:
    parts = (TextPart("look"), FilePart("data:image/png;base64,AA"), FilePart("room:///b.txt", "b.txt"))
    text, image, file = input_items(parts)
    assert text == {"type": "text", "text": "look", "text_elements": []}
    assert image == {"type": "image", "url": "data:image/png;base64,AA"}
    assert file["text"] == "[file b.txt room:///b.txt]"


def test_memory_keeps_what_ended_and_has_a_limit() -> None:
    memory = Memory([AgentMessage("before")])
    memory.said(UserMessage((TextPart("q"),), None))
    for event in (
        TextStarted(ItemId("t")),
        TextDelta(ItemId("t"), "dropped"),
        TextStarted(ItemId("t"), "final_answer"),
        TextDelta(ItemId("t"), "kept "),
        ToolStarted(SHELL, {"command": "ls"}),
        TextDelta(ItemId("t"), "text"),
        TextEnded(ItemId("t"), "final_answer"),
        ToolEnded(SHELL, TextResult("out")),
    ):
        memory.observe(event)
    assert memory.items()[2:] == (
        AgentMessage("kept text", "final_answer"),
        ToolCall(SHELL, {"command": "ls"}, (), TextResult("out"), None),
    )
    for _ in range(MAX_ITEMS):
        memory.said(UserMessage((), None))
    assert len(memory.items()) == MAX_ITEMS
