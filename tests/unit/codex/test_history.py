from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from backends.codex.history import MAX_IMAGES, MAX_OUTPUT, responses_items
from backends.codex.memory import MAX_ITEMS, Memory
from process_agent.core.backend import AgentMessage, HistoryItem, MadeImages, ToolCall, UserMessage
from process_agent.core.content import (
    EmptyResult,
    ErrorInfo,
    FilePart,
    GeneratedImage,
    JsonResult,
    LinkResult,
    LogLine,
    TextPart,
    TextResult,
    plain_text,
)
from process_agent.core.events import (
    ContextCompacted,
    ImageCompleted,
    TextDelta,
    TextEnded,
    TextStarted,
    ToolEnded,
    ToolRef,
    ToolStarted,
)
from process_agent.core.ids import ItemId
from process_agent.core.recalled import IMAGE_MADE, SUMMARY
from tests.unit.codex.replay import PNG

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
    assert [part["text"] for part in user["content"]] == [
        "hi",
        "[The file a.png cannot be read here: it is at room:///a.png.]",
    ]
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
        call(result=LinkResult("n.png", PNG)),
    ]
    outputs = [i["output"] for i in responses_items(calls) if "output" in i]
    assert outputs == ["t", "n: u", "ab", "", "[image n.png]"]


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


def test_the_newest_images_are_shown_again_and_the_others_named() -> None:
    history = [
        UserMessage((TextPart(f"{n}"), FilePart(PNG, f"{n}.png")), None) for n in range(MAX_IMAGES + 2)
    ]
    items = responses_items(history)
    assert [[part["type"] for part in item["content"]] for item in items] == [
        *[["input_text", "input_text"]] * 2,
        *[["input_text", "input_image"]] * MAX_IMAGES,
    ]
    assert items[0]["content"][1]["text"] == "[image 0.png]"
    assert items[-1]["content"][1]["image_url"] == PNG


def test_images_that_a_model_made_count_among_the_newest() -> None:
    made = MadeImages((TextPart(IMAGE_MADE), FilePart(PNG)))
    named, *shown = responses_items([made] * (MAX_IMAGES + 1))
    assert [part["text"] for part in named["content"]] == [IMAGE_MADE, "[image]"]
    assert [item["content"][1] for item in shown] == [{"type": "input_image", "image_url": PNG}] * MAX_IMAGES


def test_the_limit_is_one_of_bytes_not_characters() -> None:
    said: list[HistoryItem] = [AgentMessage("漢" * 1_000), AgentMessage("漢" * 1_000)]
    assert len(responses_items(said, limit=5_000)) == 1
    assert len(responses_items([AgentMessage("a" * 1_000)] * 2, limit=5_000)) == 2
    assert len(responses_items([AgentMessage("\ud800")])) == 1


def test_an_image_costs_the_same_whatever_its_size() -> None:
    large = PNG + "A" * 400_000
    assert len(responses_items([UserMessage((FilePart(large),), None)], limit=7_000)) == 1


def test_memory_after_a_compaction_is_what_people_said_and_the_summary() -> None:
    memory = Memory([UserMessage((TextPart("first"),), None), AgentMessage("answer")])
    memory.said(UserMessage((TextPart("now"),), None))
    memory.observe(ContextCompacted("c", automatic=True, summary="we talked"))
    memory.observe(ContextCompacted("d", automatic=True, summary=None))
    first, summary, now = memory.items()
    assert (first, now) == (
        UserMessage((TextPart("first"),), None),
        UserMessage((TextPart("now"),), None),
    )
    assert isinstance(summary, UserMessage)
    assert plain_text(summary.content) == f"{SUMMARY}we talked"
    memory.observe(TextEnded(ItemId("t")))
    memory.observe(ContextCompacted("e", automatic=False, summary="again"))
    said = [plain_text(item.content) for item in memory.items() if isinstance(item, UserMessage)]
    assert said == ["first", "now", f"{SUMMARY}again"], "one summary, the newest"
    memory.observe(ContextCompacted("f", automatic=False, summary="once more"))
    said = [plain_text(item.content) for item in memory.items() if isinstance(item, UserMessage)]
    assert said == ["first", "now", f"{SUMMARY}once more"], "also right after another"


def test_memory_forgets_old_images_and_keeps_their_names() -> None:
    memory = Memory([])
    large = PNG + "A" * 9 * 1024 * 1024
    for number in range(3):
        memory.said(UserMessage((FilePart(large, f"{number}.png"),), None))
    kept = [item.content[0] for item in memory.items() if isinstance(item, UserMessage)]
    assert kept[-1] == FilePart(large, "2.png")
    assert kept[:2] == [TextPart(f"[image {n}.png, no longer remembered]") for n in (0, 1)]


def test_memory_keeps_images_that_codex_made_and_forgets_old_ones() -> None:
    memory = Memory([])
    for _ in range(3):
        memory.observe(ImageCompleted(ItemId("i"), (GeneratedImage(PNG + "A" * 9 * 1024 * 1024),)))
    kept = [item.content for item in memory.items() if isinstance(item, MadeImages)]
    assert [content[0] for content in kept] == [TextPart(f"{IMAGE_MADE}.]")] * 3
    assert [isinstance(content[1], FilePart) for content in kept] == [False, False, True]


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
