"""What a reopened thread tells: history, model, usage, and nothing of before it was cleared."""

from __future__ import annotations

from dataclasses import replace

import pytest

from process_agent.core import events as e
from process_agent.core.backend import AgentMessage, ToolCall, UserMessage
from process_agent.core.content import ErrorInfo, JsonResult, LogLine, TextPart
from process_agent.core.ids import ItemId, MessageId
from process_agent.core.models import ModelChoice
from process_agent.core.room import TableRef
from process_agent.core.turn_output import NOTICE
from process_agent.core.usage import ContextWindow, Usage
from process_agent.threads.encoded import EncodedRows
from process_agent.threads.history import SUMMARY
from process_agent.threads.rows import to_row
from tests.fakes.thread_events import texts
from tests.fakes.thread_house import House, append, replayed

REF = e.ToolRef(ItemId("tool1"), "codex", "shell", "codex")


async def test_what_was_cleared_is_not_replayed(house: House) -> None:
    store, log, say = await house.thread()
    append(log, say.begin(), say.end())
    await log.flush()
    row = to_row(say.say(e.Interrupted(MessageId("x"))), (1 << 52) + 1, house.clock())
    cleared = type(row)(None, "c", "meshagent.agent.thread.cleared", row.sequence, row.timestamp, "{}")
    await house.datasets.insert(TableRef("t1", ("agents", "bot", "threads")), EncodedRows([cleared]))
    await log.close()
    assert await replayed(await store.open(say.thread_id)) == []


async def test_who_knows_a_cleared_thread_from_before_hears_of_it(house: House) -> None:
    store, log, say = await house.thread()
    append(log, say.begin(), say.text("old"), say.end())
    append(log, say.say(e.ModelChanged(None, "codex", "openai", "m"), None))
    append(log, say.say(e.ThreadCleared(MessageId("asked")), None))
    assert await replayed(log) == []
    append(log, say.begin("new", "u2"), say.text("after", turn="u2"), say.end("u2"))
    await log.close()
    again = await house.agent().open(say.thread_id)
    assert texts(await replayed(again)) == {("u2", "i1"): "after"}
    assert [type(x.body) for x in await replayed(again, since="u1")][:2] == [e.ThreadCleared, e.TurnRequested]
    assert [x.turn_id for x in await replayed(again, since="u2")][:1] == ["u2"]
    assert await again.history() == [
        UserMessage((TextPart("new"),), "Ana"),
        AgentMessage("after", "final_answer"),
    ]
    assert await again.model() == ModelChoice("codex", "openai", "m")
    await store.close()


async def test_history_counts_each_input_once_and_knows_tools(house: House) -> None:
    _, log, say = await house.thread()
    append(log, say.begin("first"), say.say(e.ToolStarted(REF, {"command": "ls"})))
    append(
        log,
        say.say(e.ToolLog(REF, (LogLine("a\n"),))),
        say.say(e.ToolEnded(REF, JsonResult({"exit_code": 0}))),
    )
    steer, content = MessageId("steer1"), (TextPart("also"),)
    append(log, say.say(e.SteerAccepted(steer, content, "Ben")))
    append(
        log,
        say.say(e.SteerRequested(content, "Ben"), message_id=steer),
        say.say(e.Steered(steer, content, "Ben")),
    )
    append(log, say.text("done"), say.end())
    append(log, say.begin("queued", turn="u2"), say.begin("never", turn="u3")[:2])
    append(log, say.say(e.TurnEnded(e.EndReason.FAILED, ErrorInfo("stopped", "agent_stopped")), "u3"))
    expected = [
        UserMessage((TextPart("first"),), "Ana"),
        ToolCall(REF, {"command": "ls"}, (LogLine("a\n"),), JsonResult({"exit_code": 0})),
        UserMessage((TextPart("also"),), "Ben"),
        AgentMessage("done", "final_answer"),
    ]
    assert await log.history() == expected, "the turn under way is not in it"
    append(log, say.end("u2"))
    assert await log.history() == [*expected, UserMessage((TextPart("queued"),), "Ana")]


async def test_a_summary_stands_for_what_it_summarises(house: House) -> None:
    _, log, say = await house.thread()
    append(log, say.begin("build it"), say.text("building"), say.end())
    append(log, say.begin("and test it", "u2"), say.text("on it", turn="u2", item="i2"))
    append(log, say.say(e.ContextCompacted("c1", True, "It was built."), "u2"))
    append(log, say.text("Earlier conversation was summarised", item=f"{NOTICE}1", turn="u2"))
    append(log, say.text("tested", turn="u2", item="i3"), say.end("u2"))
    await log.close()
    again = await house.agent().open(say.thread_id)
    summary = UserMessage((TextPart(SUMMARY + "It was built."),), None)
    people = [UserMessage((TextPart(text),), "Ana") for text in ("build it", "and test it")]
    assert await again.history() == [*people, summary, AgentMessage("tested", "final_answer")]
    command = [say.say(x.body, "u3", x.message_id) for x in say.begin("/compact", "u3")]
    append(again, [replace(x, model="m") for x in command])
    append(again, say.say(e.ContextCompacted("c2", False, "All done."), "u3"), say.end("u3"))
    summary = UserMessage((TextPart(SUMMARY + "All done."),), None)
    assert await again.history() == [*people, summary]


async def test_the_model_chosen_last(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    store, log, say = await house.thread()
    assert await log.model() is None
    append(log, say.say(e.ModelChanged(None, "codex", "openai", "gpt-5.5"), None))
    append(log, say.say(e.ModelChanged(None, "llm", None, "claude"), None))
    assert await log.model() == ModelChoice("llm", None, "claude")
    for number in range(10):
        append(log, say.begin(turn=f"u{number}"), say.end(f"u{number}"))
    await log.close()
    assert await (await store.open(say.thread_id)).model() == ModelChoice("llm", None, "claude")
    await store.close()
    monkeypatch.setattr("process_agent.threads.opening.TAIL_ROWS", 5)
    assert await (await house.agent().open(say.thread_id)).model() == ModelChoice("llm", None, "claude")


async def test_the_usage_told_last_is_known_from_the_end_of_the_table(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("process_agent.threads.opening.TAIL_ROWS", 8)
    _, log, say = await house.thread()
    append(log, say.begin(), say.say(e.UsageUpdated(Usage(input=5), ContextWindow(3, 9), 0.25)), say.end())
    assert await log.usage() is not None
    await log.close()
    again = await house.agent().open(say.thread_id)
    told = await again.usage()
    assert told is not None
    assert told.body == e.UsageUpdated(Usage(input=5), ContextWindow(3, 9), 0.25)
    append(again, *[say.say(e.Interrupted(MessageId(str(n))), None) for n in range(8)])
    await again.close()
    assert await (await house.agent().open(say.thread_id)).usage() is None
