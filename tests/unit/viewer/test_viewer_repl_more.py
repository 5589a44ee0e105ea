"""The interactive terminal: secrets, approvals, effort, clearing, and the line of facts."""

from __future__ import annotations

import pytest

from process_agent.core.content import TextResult
from process_agent.core.events import (
    ApprovalRequested,
    SecretRequested,
    TextDelta,
    ThreadCleared,
    ToolEnded,
    ToolRef,
    ToolStarted,
    UsageUpdated,
)
from process_agent.core.ids import AskId, ItemId, MessageId
from process_agent.core.usage import ContextWindow, Usage
from process_agent.viewer.approve import Approve
from tests.fakes.viewer_room import FakeAgent
from tests.unit.viewer.test_viewer_repl import ANSWER, DONE, ENTER, SHELL, person


async def test_approvals_can_be_left_or_decided_beforehand() -> None:
    fake = FakeAgent(ToolStarted(SHELL, {"command": "x"}), ApprovalRequested(SHELL, {"command": "x"}))
    async with person(fake, approve=Approve.NEVER) as ana:
        ana.types("go", ENTER)
        await fake.heard("tool_call.reject")
        assert "May the agent" not in ana.screen.text


async def test_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    fake = FakeAgent(TextDelta(ItemId("i"), "A long answer that has to be wrapped."), DONE)
    async with person(fake, columns=20) as ana:
        ana.types("go", ENTER)
        await ana.sees("A long answer that\r\nhas to be wrapped.")


async def test_a_secret_is_typed_unseen_and_answered() -> None:
    asked = SecretRequested(AskId("q"), "API_KEY", "The key of the weather service")
    fake = FakeAgent(asked)
    async with person(fake) as ana:
        ana.types("what is the weather?", ENTER)
        await ana.sees("The agent asks you for API_KEY")
        await ana.sees("⚿")
        ana.types("s3cret-y", "n", ENTER)
        await fake.heard("secret.response")
        sent = fake.room.streams[0].sent[-1]
        assert (sent["request_id"], sent["value"]) == ("q", "s3cret-yn")
        assert "s3cret" not in ana.screen.text
        assert ana.repl.session.asked_secret is None
        fake.turn = (SecretRequested(AskId("r"), "PIN"),)
        ana.types("next", ENTER)
        await fake.heard("turn.start", 2)
        await ana.sees("The agent asks you for PIN")
        ana.types(ENTER)
        await fake.heard("secret.response", 2)
        refused = fake.room.streams[0].sent[-1]
        assert refused["error"] == "The person who was asked refused."
        assert "value" not in refused


async def test_a_secret_nobody_wants_any_more_is_not_said_aloud() -> None:
    fake = FakeAgent(SecretRequested(AskId("q"), "API_KEY"))
    async with person(fake) as ana:
        ana.types("go", ENTER)
        await ana.sees("⚿")
        ana.types("s3cr")
        await ana.sees("****")
        fake.emit(DONE, "U1", at=2.0)
        await ana.sees("✓")
        ana.types("et", ENTER)
        await ana.sees("Nobody asks for it any more")
        assert fake.asked.count("turn.start") == 1
        assert "secret.response" not in fake.asked
        assert "s3cr" not in ana.screen.text


async def test_a_line_under_way_is_not_taken_for_a_secret() -> None:
    fake = FakeAgent(*ANSWER)
    async with person(fake) as ana:
        ana.types("go", ENTER)
        await ana.sees("It is done.")
        ana.types("half a li")
        await ana.sees("half a li")
        fake.emit(SecretRequested(AskId("q"), "API_KEY"), "U1")
        await ana.sees("The agent asks you for API_KEY")
        ana.types("ne", ENTER)
        await fake.heard("turn.start", 2)
        assert "secret.response" not in fake.asked
        await ana.sees("⚿")


async def test_effort_before_the_first_message_is_kept_for_the_thread_it_starts() -> None:
    fake = FakeAgent(*ANSWER, DONE)
    async with person(fake) as ana:
        ana.types("/effort", ENTER)
        await ana.sees("next thread: the model's default.")
        ana.types("/effort high", ENTER)
        await ana.sees("next thread: high.")
        ana.types("/status", ENTER)
        await ana.sees("effort")
        ana.types("hello", ENTER)
        await fake.heard("turn.start", 2)
        said = [
            body["content"] for body in fake.room.streams[0].sent if str(body["type"]).endswith("turn.start")
        ]
        assert said == [[{"type": "text", "text": text}] for text in ("/effort high", "hello")]
        assert ana.repl.session.effort.chosen is None


async def test_a_note_for_the_model_is_not_shown_to_people() -> None:
    note = ToolRef(ItemId("U1:files"), "workspace", "undo")
    other = ToolRef(ItemId("x"), "workspace", "undo")
    fake = FakeAgent(
        *(ToolStarted(note, {}), ToolEnded(note, TextResult("The user took back a change."))),
        *(ToolStarted(other, {}), ToolEnded(other, TextResult("The room's own tool."))),
        *(*ANSWER, DONE),
    )
    async with person(fake) as ana:
        ana.types("/undo", ENTER)
        ana.types("take it back", ENTER)
        await ana.sees("✓ 1.0 s")
        assert "took back a change" not in ana.screen.text
        assert "The room's own tool." in ana.screen.text


async def test_clear_and_compact_are_for_the_agent_and_clearing_is_told() -> None:
    fake = FakeAgent(*ANSWER, DONE)
    async with person(fake) as ana:
        ana.types("/compact", ENTER)
        await ana.sees("/compact is about a thread, and none is open.")
        ana.types("hello", ENTER)
        await ana.sees("✓ 1.0 s")
        for command in ("/compact", "/clear"):
            ana.types(command, ENTER)
            await fake.heard("turn.start", 2 if command == "/compact" else 3)
            assert fake.room.streams[0].sent[-1]["content"] == [{"type": "text", "text": command}]
        fake.emit(ThreadCleared(MessageId("m")), None)
        await ana.sees("the thread was cleared")
        view = ana.repl.session.view
        assert view is not None
        assert view.transcript.turns == ()


async def test_status_and_the_line_of_facts_say_what_was_used() -> None:
    used = UsageUpdated(Usage(1200, 200, 80), ContextWindow(1280, 12_800), 0.0042)
    fake = FakeAgent(*ANSWER, used, DONE)
    async with person(fake) as ana:
        ana.types("hello", ENTER)
        await ana.sees("1.2k in, 80 out · $0.0042")
        await ana.sees("context 10% · $0.0042")
        ana.types("/status", ENTER)
        await ana.sees("1.3k of 13k tokens")
        await ana.sees("1.2k in (200 cached), 80 out")
