"""What a Codex thread remembers for a new Codex has a size, whatever is in it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backends.codex import memory as module
from backends.codex.memory import MAX_TEXT, Memory, size_of
from process_agent.core.backend import AgentMessage, HistoryItem, ToolCall, UserMessage
from process_agent.core.content import FilePart, JsonResult, TextPart, TextResult
from process_agent.core.events import ContextCompacted, TextDelta, TextEnded, ToolEnded, ToolRef, ToolStarted
from process_agent.core.ids import ItemId
from tests.unit.codex.replay import PNG

SHELL = ToolRef(ItemId("c"), "codex", "shell", "codex")


def played(memory: Memory, step: str, size: int) -> None:
    text = "x" * size
    match step:
        case "said":
            memory.said(UserMessage((TextPart(text),), "ada"))
        case "image":
            memory.said(UserMessage((FilePart(PNG, "a.png"), TextPart(text)), "ada"))
        case "answered":
            memory.observe(TextDelta(ItemId("t"), text))
            memory.observe(TextEnded(ItemId("t")))
        case "ran":
            memory.observe(ToolStarted(SHELL, {"command": ["sh", "-c", text]}))
            memory.observe(ToolEnded(SHELL, JsonResult({"stdout": text, "exit_code": 0})))
        case _:
            memory.observe(ContextCompacted("k", automatic=True, summary=text))


steps = st.lists(
    st.tuples(st.sampled_from(["said", "image", "answered", "ran", "compacted"]), st.integers(0, 400)),
    max_size=40,
)


@given(steps)
def test_never_more_than_the_limit_but_the_newest(script: list[tuple[str, int]]) -> None:
    limit, module.MAX_SIZE = module.MAX_SIZE, 1_000  # type: ignore[misc]
    try:
        memory = Memory([AgentMessage("z" * 300) for _ in range(10)])
        for step, size in script:
            played(memory, step, size)
            items = memory.items()
            assert memory._size == sum(map(size_of, items))
            assert memory._size <= 1_000 or len(items) == 1
    finally:
        module.MAX_SIZE = limit  # type: ignore[misc]


def test_the_newest_stays() -> None:
    memory = Memory([AgentMessage("old")])
    for _ in range(60):
        played(memory, "answered", MAX_TEXT)
    kept = memory.items()
    assert len(kept) == module.MAX_SIZE // MAX_TEXT
    assert AgentMessage("old") not in kept


def test_what_counts() -> None:
    items: list[tuple[HistoryItem, int]] = [
        (UserMessage((TextPart("four"), FilePart(PNG, "a.png"), FilePart("room:///a", "a")), None), 4 + 9),
        (ToolCall(SHELL, {"k": "four"}, (), TextResult("out")), 1 + 4 + 3),
        (ToolCall(SHELL, {}, (), JsonResult({"a": ["b", 1]})), 1 + 1 + 1),
        (ToolCall(SHELL, {"k": None}), 2),
    ]
    assert [size_of(item) for item, _ in items] == [size for _, size in items]
