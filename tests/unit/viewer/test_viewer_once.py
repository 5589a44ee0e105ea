"""One turn for scripts: what is printed, how it ends, and what happens to approvals and time limits."""

from __future__ import annotations

import asyncio
import json
from io import StringIO

import pytest

from process_agent.core.content import ErrorInfo, GeneratedImage, JsonResult, TextPart, TextResult
from process_agent.core.events import (
    ApprovalRequested,
    ContextCompacted,
    EndReason,
    EventBody,
    ImageCompleted,
    Interrupted,
    SecretRequested,
    Status,
    TextDelta,
    TextEnded,
    TextStarted,
    ToolEnded,
    ToolRef,
    ToolStarted,
    TurnEnded,
    TurnRejected,
)
from process_agent.core.ids import AskId, ItemId, MessageId, ThreadId
from process_agent.errors import BackendError, TimeLimitError, TurnRefusedError
from process_agent.viewer.approve import Approve
from process_agent.viewer.client import AgentClient
from process_agent.viewer.once import Errand, run_once
from process_agent.viewer.terminal.streamed import JsonSink, TextSink
from tests.fakes.viewer_room import FakeAgent

SAID = (TextPart("go"),)
REF = ToolRef(ItemId("t"), "codex", "shell", "codex")
DONE = TurnEnded(EndReason.COMPLETED)


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def text(item: str, *pieces: str, phase: str | None = None) -> list[EventBody]:
    name = ItemId(item)
    deltas = [TextDelta(name, piece, phase) for piece in pieces]  # type: ignore[arg-type]
    return [TextStarted(name, phase), *deltas, TextEnded(name, phase)]  # type: ignore[arg-type]


async def answer(fake: FakeAgent, errand: Errand | None = None, *, out: StringIO | None = None) -> str:
    out = out or StringIO()
    async with AgentClient(fake.room) as client:
        await run_once(client, errand or Errand(SAID), TextSink(out, None))
    return out.getvalue()


async def test_only_the_final_text_is_printed() -> None:
    fake = FakeAgent(
        *text("c", "I will look.", phase="commentary"),
        ToolStarted(REF, {"command": "ls"}),
        ToolEnded(REF, JsonResult({"stdout": "x", "exit_code": 0})),
        *text("i", "It is ", "\x1b[1mdone", ".", phase="final_answer"),
        DONE,
    )
    assert await answer(fake) == "It is \x1b[1mdone.\n"


async def test_a_terminal_gets_no_control_characters() -> None:
    fake = FakeAgent(*text("i", "a\x1b[2Jb"), DONE)
    assert await answer(fake, out=Terminal()) == "ab\n"


async def test_several_messages_are_apart_and_a_line_end_is_not_doubled() -> None:
    fake = FakeAgent(*text("i", "one"), *text("j", "two\n"), DONE)
    assert await answer(fake) == "one\n\ntwo\n"


async def test_a_turn_without_a_final_message_prints_its_last_one() -> None:
    fake = FakeAgent(*text("c", "first", phase="commentary"), *text("d", "last", phase="commentary"), DONE)
    assert await answer(fake) == "last\n"


async def test_a_turn_without_text_prints_its_notices() -> None:
    said = ToolRef(ItemId("n"), "codex", "notice", "codex")
    nothing = "There is nothing to compact."
    fake = FakeAgent(ToolStarted(said, {"message": nothing}), ToolEnded(said, TextResult(nothing)), DONE)
    assert await answer(fake) == f"{nothing}\n"


async def test_notes_go_to_the_other_output() -> None:
    fake = FakeAgent(
        *text("c", "I will look.", phase="commentary"),
        ToolStarted(REF, {"command": "ls"}),
        ToolEnded(REF, JsonResult({"stdout": "a\nb", "exit_code": 2})),
        *text("i", "Done."),
        DONE,
    )
    out, notes = StringIO(), StringIO()
    async with AgentClient(fake.room) as client:
        await run_once(client, Errand(SAID), TextSink(out, notes))
    assert out.getvalue() == "Done.\n"
    assert notes.getvalue() == "I will look.\n● $ ls  exit 2 · 2 lines\n"


async def test_json_is_every_message_once_as_it_was_sent() -> None:
    fake = FakeAgent(*text("i", "hi"), DONE)
    out = StringIO()
    async with AgentClient(fake.room) as client:
        await run_once(client, Errand(SAID), JsonSink(out, None))
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["type"].removeprefix("meshagent.agent.") for line in lines] == [
        "thread.started",
        "turn.start.accepted",
        "turn.started",
        "text_content.started",
        "text_content.delta",
        "text_content.ended",
        "turn.ended",
    ]
    assert len({line["message_id"] for line in lines}) == len(lines)


async def test_an_existing_thread_goes_on_without_its_history() -> None:
    fake = FakeAgent(*text("i", "more"), DONE)
    assert await answer(fake, Errand(SAID, ThreadId("T"))) == "more\n"
    assert fake.asked == ["turn.start"]
    assert fake.room.streams[0].opening["load"] is False


@pytest.mark.parametrize(
    ("end", "message"),
    [
        (TurnEnded(EndReason.FAILED, ErrorInfo("quota", "quota")), "The turn failed: quota"),
        (TurnEnded(EndReason.LOST, ErrorInfo("agent gone", "lost")), "The turn was lost: agent gone"),
        (TurnEnded(EndReason.INTERRUPTED), "stopped before it was done"),
    ],
)
async def test_a_turn_that_does_not_complete_is_an_error_after_its_text(end: TurnEnded, message: str) -> None:
    out = StringIO()
    with pytest.raises(BackendError, match=message):
        await answer(FakeAgent(*text("i", "half"), end), out=out)
    assert out.getvalue() == "half\n"


async def test_a_refused_turn_is_an_error() -> None:
    fake = FakeAgent()
    refusal = ErrorInfo("there is no such model", "unknown_model")
    fake._run = lambda source, content, turn: fake.emit(TurnRejected(source, refusal), None)  # type: ignore[method-assign]
    with pytest.raises(TurnRefusedError, match="no such model"):
        await answer(fake)


@pytest.mark.parametrize(
    ("approve", "asked"),
    [(Approve.ALWAYS, "tool_call.approve"), (Approve.NEVER, "tool_call.reject"), (Approve.WAIT, None)],
)
async def test_approvals_are_answered_as_told(approve: Approve, asked: str | None) -> None:
    fake = FakeAgent(ToolStarted(REF, {"command": "rm x"}), ApprovalRequested(REF, {"command": "rm x"}))
    async with AgentClient(fake.room) as client, asyncio.TaskGroup() as group:
        running = group.create_task(
            run_once(client, Errand(SAID, approve=approve), TextSink(StringIO(), None))
        )
        stream = await fake.room.stream(0)
        await fake.heard(asked or "turn.start")
        stream.say({"type": "meshagent.agent.unknown", "thread_id": "T", "message_id": "u"})
        fake.emit(ToolEnded(REF), "U1")
        fake.emit(DONE, "U1")
        await running
    assert [kind for kind in fake.asked if kind.startswith("tool_call")] == ([asked] if asked else [])


async def test_a_turn_that_takes_too_long_is_stopped() -> None:
    fake = FakeAgent(Status("Thinking", "steerable"), TextStarted(ItemId("i")), TextDelta(ItemId("i"), "so"))
    inner = fake.room.answer

    def answers(body: object) -> None:
        inner(body)  # type: ignore[arg-type]
        if fake.asked[-1] == "turn.interrupt":
            fake.emit(Interrupted(MessageId("x")), "U1")
            fake.emit(TextDelta(ItemId("i"), " far"), "U1")
            fake.emit(TurnEnded(EndReason.INTERRUPTED), "U1")

    fake.room.answer = answers
    out, notes = StringIO(), StringIO()
    async with AgentClient(fake.room) as client:
        with pytest.raises(TimeLimitError, match=r"0\.05 seconds"):
            await run_once(client, Errand(SAID, limit=0.05), TextSink(out, notes))
    assert fake.asked[-1] == "turn.interrupt"
    assert out.getvalue() == "so far\n"
    assert "may still run" not in notes.getvalue()


async def test_a_secret_is_refused_where_nobody_can_be_asked() -> None:
    fake = FakeAgent(SecretRequested(AskId("q"), "API_KEY"), *text("i", "Without it, then."), DONE)
    out, notes = StringIO(), StringIO()
    async with AgentClient(fake.room) as client:
        await run_once(client, Errand(SAID), TextSink(out, notes))
    (refused,) = [m for m in fake.room.streams[0].sent if str(m["type"]).endswith("secret.response")]
    assert (refused["request_id"], refused["error"]) == ("q", "Nobody is here to be asked.")
    assert "asked for API_KEY" in notes.getvalue()
    assert out.getvalue() == "Without it, then.\n"


async def test_json_has_the_images_and_notices_of_a_turn() -> None:
    done = ImageCompleted(ItemId("p"), (GeneratedImage("room:///cat.png"),))
    fake = FakeAgent(done, ContextCompacted("c", automatic=True), DONE)
    out, notes = StringIO(), StringIO()
    async with AgentClient(fake.room) as client:
        await run_once(client, Errand(SAID), JsonSink(out, None))
        await run_once(client, Errand(SAID), TextSink(StringIO(), notes))
    kinds = [
        json.loads(line)["type"].removeprefix("meshagent.agent.") for line in out.getvalue().splitlines()
    ]
    assert "image_generation.completed" in kinds
    assert "context.compacted" in kinds
    assert "▣ image room:///cat.png" in notes.getvalue()
    assert "memory of this thread" in notes.getvalue()
