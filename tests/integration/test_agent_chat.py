"""A whole agent in memory: chat clients on one side, a backend the test plays on the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from process_agent.core import events as e
from process_agent.core.backend import AgentMessage, ApprovalMode, UserMessage
from process_agent.core.content import ErrorInfo, JsonResult, LogLine, TextPart
from process_agent.core.decisions import Decision
from process_agent.core.events import EndReason
from process_agent.core.ids import ItemId, ThreadId
from process_agent.errors import BackendError
from tests.fakes.agent_house import Room, said, start
from tests.fakes.memory_messaging import Client
from tests.fakes.memory_store import DIRECTORY

HELLO = said("hello")
TURN_ITEM = ItemId("answer")


@pytest.fixture
async def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


@pytest.fixture
async def ana(room: Room) -> AsyncIterator[Client]:
    async with room.agent():
        yield room.messaging.join("ana")


async def test_a_turn_from_start_to_end(room: Room, ana: Client) -> None:
    source = ana.send("thread.start", content=HELLO)
    thread = (await ana.wait("thread.started", source_message_id=source))["thread_id"]
    turn = await room.backend.turn(0)
    turn.answer("Hello, Ana")
    await ana.wait("turn.ended")
    await ana.wait("thread.status")
    assert ana.types() == [
        "thread.started",
        "turn.start.accepted",
        "turn.started",
        "thread.status",
        "text_content.started",
        "text_content.delta",
        "text_content.ended",
        "turn.ended",
        "thread.status",
    ]
    assert ana.text() == "Hello, Ana"
    started = ana.all("turn.started")[0]
    assert started["source_message_id"] == source
    assert started["turn_id"] == turn.input.turn_id
    assert started["content"] == HELLO
    assert started["sender_name"] == "ana"
    status = ana.all("thread.status")
    assert (status[0]["status"], status[0]["mode"]) == ("Thinking", "steerable")
    assert status[0]["turn_id"] == turn.input.turn_id
    assert "status" not in status[1]
    assert str(thread).startswith(f"{DIRECTORY}/")
    assert room.store.entries[thread].name == "hello"


async def test_discovery(room: Room) -> None:
    async with room.agent() as agent:
        assert room.messaging.attributes == {
            "supports_agent_messages": True,
            "supports_messaging_streams": True,
            "empty_state_title": "How can I help you?",
            "meshagent.chatbot.threading": "default-new",
            "meshagent.chatbot.thread-dir": DIRECTORY,
            "meshagent.chatbot.thread-list": f"{DIRECTORY}/index",
        }
        assert agent.ready.thread_dir == DIRECTORY
        assert agent.ready.default_model.model == "gpt-5.5"
        assert agent.ready.backends[0][0] == "codex"
    assert set(room.messaging.attributes.values()) == {None}
    assert room.store.closed
    assert room.backend.closed


async def test_what_everybody_should_know_is_said_in_the_room(room: Room) -> None:
    room.backend.caution = "Commands have all rights."
    async with room.agent():
        assert room.messaging.attributes["process.caution"] == "Commands have all rights."
    assert room.messaging.attributes["process.caution"] is None


async def test_another_agent_of_our_name(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    room.messaging.join("bot")  # a person of that name is no agent
    async with room.agent():
        assert "another agent" not in caplog.text
    room.messaging.join("bot", role="agent")
    async with room.agent():
        assert "another agent called 'bot' is in this room" in caplog.text


async def test_turns_queue_in_order(room: Room, ana: Client) -> None:
    thread = await start(ana, "one")
    first = await room.backend.turn(0)
    second = ana.send("turn.start", thread_id=thread, content=said("two"))
    third = ana.send("turn.start", thread_id=thread, content=said("three"))
    await ana.wait("turn.start.accepted", source_message_id=second)
    await ana.wait("turn.start.accepted", source_message_id=third)
    assert len(room.backend.turns) == 1
    first.end()
    (await room.backend.turn(1)).end()
    (await room.backend.turn(2)).end()
    await ana.wait("turn.ended", turn_id=room.backend.turns[2].input.turn_id)
    assert [turn.text for turn in room.backend.turns] == ["one", "two", "three"]
    assert len(ana.all("turn.ended")) == 3
    assert len(room.backend.threads) == 1


async def test_interrupting_a_running_and_a_waiting_turn(room: Room, ana: Client) -> None:
    thread = await start(ana)
    turn = await room.backend.turn(0)
    queued = ana.send("turn.start", thread_id=thread, content=HELLO)
    waiting = (await ana.wait("turn.start.accepted", source_message_id=queued))["turn_id"]
    ana.send("turn.interrupt", thread_id=thread, turn_id=waiting)
    ended = await ana.wait("turn.ended", turn_id=waiting)
    assert ended["error"]["code"] == "cancelled"
    # Any turn's end clears the status of clients, so the running turn's comes again.
    assert (await ana.wait("thread.status"))["turn_id"] == turn.input.turn_id
    interrupt = ana.send("turn.interrupt", thread_id=thread, turn_id=turn.input.turn_id)
    await ana.wait("turn.interrupt.accepted", source_message_id=interrupt)
    await ana.wait("turn.interrupted", source_message_id=interrupt)
    ended = await ana.wait("turn.ended", turn_id=turn.input.turn_id)
    assert ended["error"]["code"] == "cancelled"
    again = ana.send("turn.interrupt", thread_id=thread, turn_id=turn.input.turn_id)
    await ana.wait("turn.interrupt.accepted", source_message_id=again)
    assert len(ana.all("turn.ended")) == 2


async def test_interrupting_a_turn_whose_backend_is_still_opening(room: Room, ana: Client) -> None:
    room.backend.opening.clear()
    thread = await start(ana)
    turn_id = (await ana.wait("turn.started"))["turn_id"]
    ana.send("turn.interrupt", thread_id=thread, turn_id=turn_id)
    await ana.wait("turn.ended", turn_id=turn_id)
    room.backend.opening.set()
    ana.send("turn.start", thread_id=thread, content=HELLO)
    (await room.backend.turn(0)).answer("now")
    await ana.wait("turn.ended")
    assert ana.text() == "now"


async def test_steering(room: Room, ana: Client) -> None:
    ben = room.messaging.join("ben")
    thread = await start(ana)
    turn = await room.backend.turn(0)
    ben.send("thread.open", thread_id=thread)
    await ben.wait("thread.status")
    turn.say(e.Working("Reading"))
    spanish = said("in Spanish")
    steer = ana.send("turn.steer", thread_id=thread, turn_id=turn.input.turn_id, content=spanish)
    await ana.wait("turn.steer.accepted", source_message_id=steer)
    steered = await ana.wait("turn.steered", source_message_id=steer)
    assert steered["content"] == spanish
    assert turn.steers == ["in Spanish"]
    relayed = await ben.wait("turn.steer")
    assert (relayed["message_id"], relayed["sender_name"]) == (steer, "ana")
    room.backend.refuses_steers = True
    refused = ana.send("turn.steer", thread_id=thread, turn_id=turn.input.turn_id, content=spanish)
    rejected = await ana.wait("turn.steer.rejected", source_message_id=refused)
    assert rejected["error"]["code"] == "turn_ended"
    turn.end()
    await ana.wait("turn.ended")
    late = ana.send("turn.steer", thread_id=thread, turn_id=turn.input.turn_id, content=spanish)
    assert (await ana.wait("turn.steer.rejected", source_message_id=late))["error"]["code"] == "turn_ended"
    unknown = ana.send("turn.steer", thread_id=thread, turn_id="?", content=spanish)
    rejected = await ana.wait("turn.steer.rejected", source_message_id=unknown)
    assert rejected["error"]["code"] == "turn_not_in_progress"
    assert not ana.all("turn.steer")


async def test_a_second_viewer_joins_in_the_middle(room: Room, ana: Client) -> None:
    thread = await start(ana)
    turn = await room.backend.turn(0)
    turn.say(e.TextStarted(TURN_ITEM), e.TextDelta(TURN_ITEM, "Once upon "), e.TextDelta(TURN_ITEM, "a"))
    await ana.wait("text_content.delta")
    ben = room.messaging.join("ben")
    load = ben.send("thread.open", thread_id=thread, load=True)
    await ben.wait("thread.loaded", source_message_id=load)
    assert ben.text() == "Once upon "
    assert ben.all("thread.status")[0]["status"] == "Thinking"
    assert ben.types()[:3] == ["turn.start", "turn.start.accepted", "turn.started"]
    assert ben.types()[-2:] == ["thread.status", "thread.loaded"]
    turn.say(e.TextDelta(TURN_ITEM, " time"), e.TextEnded(TURN_ITEM))
    turn.end()
    for client in (ana, ben):
        await client.wait("turn.ended")
        assert client.text() == "Once upon a time"
    assert not ana.all("thread.loaded")


async def test_reopening_after_a_restart(room: Room) -> None:
    async with room.agent():
        ana = room.messaging.join("ana")
        thread = await start(ana)
        (await room.backend.turn(0)).answer("stored")
        await ana.wait("turn.ended")
    rows = room.store.rows[ThreadId(thread)]
    stored = len(rows)
    room.restarted()
    async with room.agent():
        ana = room.messaging.join("ana")
        ana.send("thread.open", thread_id=thread, load=True)
        await ana.wait("thread.loaded")
        assert ana.text() == "stored"
        assert len(rows) == stored  # opening writes nothing
        ana.send("turn.start", thread_id=thread, content=HELLO)
        turn = await room.backend.turn(0)
        assert room.backend.threads[0].history == (
            UserMessage((TextPart("hello"),), "ana"),
            AgentMessage("stored", "final_answer"),
        )
        turn.answer("again")
        await ana.wait("turn.ended", turn_id=turn.input.turn_id)


async def test_opening_a_thread_that_is_not_there(room: Room, ana: Client) -> None:
    missing = f"{DIRECTORY}/none"
    ana.send("thread.open", thread_id=missing, load=True)
    await ana.wait("thread.loaded")
    assert ana.all("thread.event")[0]["event"]["error"]["code"] == "thread_not_available"
    source = ana.send("turn.start", thread_id=missing, content=HELLO)
    rejected = await ana.wait("turn.start.rejected", source_message_id=source)
    assert rejected["error"]["code"] == "thread_not_available"
    assert missing not in room.store.rows


async def test_models(room: Room, ana: Client) -> None:
    source = ana.send("models.request")
    listed = await ana.wait("models.response", source_message_id=source)
    assert [m["name"] for m in listed["providers"][0]["models"]] == ["gpt-5.5", "gpt-5.5-mini"]
    thread = await start(ana)
    (await room.backend.turn(0)).end()
    await ana.wait("turn.ended")
    change = ana.send("model.change", thread_id=thread, backend="codex", model="gpt-5.5-mini")
    changed = await ana.wait("model.changed", source_message_id=change)
    assert (changed["backend"], changed["provider"], changed["model"]) == ("codex", "openai", "gpt-5.5-mini")
    wrong = ana.send("model.change", thread_id=thread, model="gpt-9")
    rejected = await ana.wait("thread.event")
    assert rejected["event"]["source_message_id"] == wrong
    assert "codex/openai/gpt-5.5-mini" in rejected["event"]["error"]["message"]
    ana.send("turn.start", thread_id=thread, content=HELLO)
    assert (await room.backend.turn(1)).input.model.model == "gpt-5.5-mini"
    bad = ana.send("turn.start", thread_id=thread, content=HELLO, backend="llm", model="gpt-5.5")
    assert (await ana.wait("turn.start.rejected", source_message_id=bad))["error"][
        "code"
    ] == "unknown_backend"


async def test_the_model_of_a_thread_survives_a_restart(room: Room) -> None:
    async with room.agent():
        ana = room.messaging.join("ana")
        ana.send("thread.start", content=HELLO, model="codex/gpt-5.5-mini")
        thread = (await ana.wait("thread.started"))["thread_id"]
        turn = await room.backend.turn(0)
        assert turn.input.model.model == "gpt-5.5-mini"
        turn.end()
        await ana.wait("turn.ended")
    room.restarted()
    async with room.agent():
        ana = room.messaging.join("ana")
        ana.send("turn.start", thread_id=thread, content=HELLO)
        assert (await room.backend.turn(0)).input.model.model == "gpt-5.5-mini"


async def test_thread_list_and_watching(room: Room, ana: Client) -> None:
    ben = room.messaging.join("ben")
    ben.send("thread.watch")
    ana.send("thread.start")
    thread = (await ana.wait("thread.started"))["thread_id"]
    assert (await ben.wait("thread.created"))["thread"]["name"] == "New Chat"
    ana.send("turn.start", thread_id=thread, content=said("fix the test"))
    assert (await ben.wait("thread.updated"))["thread"]["name"] == "fix the test"
    (await room.backend.turn(0)).end()
    assert (await ben.wait("thread.updated"))["thread"]["name"] == "fix the test"
    listing = ben.send("thread.list", limit=1)
    page = await ben.wait("thread.listed", source_message_id=listing)
    assert (page["total"], [x["path"] for x in page["threads"]]) == (1, [thread])
    ben.send("thread.unwatch")
    ana.send("thread.rename", thread_id=thread, name="better")
    assert (await ana.wait("thread.updated"))["thread"]["name"] == "better"
    ana.send("thread.delete", thread_id=thread)
    assert (await ana.wait("thread.deleted"))["path"] == thread
    assert not ben.all("thread.deleted")


async def test_refused_threads_get_both_rejections(room: Room, ana: Client) -> None:
    source = ana.send("thread.start", content=HELLO, model="nothing")
    await ana.wait("thread.start.rejected", source_message_id=source)
    rejected = await ana.wait("turn.start.rejected", source_message_id=source)
    assert rejected["thread_id"] == ""
    assert rejected["error"]["code"] == "unknown_model"
    room.store.fails = True
    source = ana.send("thread.start", content=HELLO)
    rejected = await ana.wait("thread.start.rejected", source_message_id=source)
    assert "the room is full" in rejected["error"]["message"]


async def test_an_approval(room: Room, ana: Client) -> None:
    robot = room.messaging.join("robot", role="agent")
    thread = await start(ana)
    robot.send("thread.open", thread_id=thread)
    turn = await room.backend.turn(0)
    ref = e.ToolRef(ItemId("cmd"), "codex", "shell", "codex")
    turn.say(
        e.ToolStarted(ref, {"command": "rm x"}), e.ApprovalRequested(ref, {"command": "rm x"}, "why not")
    )
    await ana.wait("tool_call.approval_requested", item_id="cmd")
    status = await ana.wait("thread.status", status="Waiting for approval")
    assert status["pending_item_id"] == "cmd"
    ids = {"thread_id": thread, "turn_id": turn.input.turn_id, "item_id": "cmd"}
    robot.send("tool_call.approve", **ids)
    assert turn.decisions == []
    ana.send("tool_call.approve", **ids)
    ana.send("tool_call.reject", **ids)
    await ana.wait("thread.status", status="Thinking")
    decided = await ana.wait("tool_call.log_delta")
    assert decided["lines"][0]["text"] == "Approved by ana\n"
    assert turn.decisions == [(ItemId("cmd"), Decision.ACCEPT)]
    turn.say(e.ToolEnded(ref, JsonResult({"exit_code": 0})))
    turn.end()
    await ana.wait("turn.ended")


async def test_no_decision_in_time_means_no(room: Room) -> None:
    async with room.agent(approval_seconds=0.01):
        ana = room.messaging.join("ana")
        await start(ana)
        turn = await room.backend.turn(0)
        ref = e.ToolRef(ItemId("cmd"), "codex", "shell", "codex")
        turn.say(e.ToolStarted(ref, {}), e.ApprovalRequested(ref, {}))
        assert "nobody answered in 0.01 s" in str(await ana.wait("tool_call.log_delta"))
        assert turn.decisions == [(ItemId("cmd"), Decision.UNANSWERED)]


@pytest.mark.parametrize(("mode", "decision"), [("auto", Decision.ACCEPT), ("deny", Decision.DECLINE)])
async def test_the_operator_decided(room: Room, mode: ApprovalMode, decision: Decision) -> None:
    async with room.agent(mode):
        ana = room.messaging.join("ana")
        await start(ana)
        turn = await room.backend.turn(0)
        ref = e.ToolRef(ItemId("cmd"), "codex", "shell", "codex")
        turn.say(e.ToolStarted(ref, {}), e.ApprovalRequested(ref, {}))
        assert f"--approvals {mode}" in str(await ana.wait("tool_call.log_delta"))
        assert turn.decisions == [(ItemId("cmd"), decision)]


async def test_a_backend_that_vanishes_or_fails(room: Room, ana: Client) -> None:
    thread = await start(ana)
    turn = await room.backend.turn(0)
    turn.say(e.TextStarted(TURN_ITEM), e.TextDelta(TURN_ITEM, "half a sen"))
    turn.vanish()
    assert (await ana.wait("turn.ended"))["error"]["code"] == "backend_lost"
    assert ana.text() == "half a sen"
    assert ana.all("text_content.ended")
    ana.send("turn.start", thread_id=thread, content=HELLO)
    failed = ErrorInfo("no quota", "codex_turn_failed")
    (await room.backend.turn(1)).say(e.TurnEnded(EndReason.FAILED, failed))
    assert (await ana.wait("turn.ended"))["error"] == {"message": "no quota", "code": "codex_turn_failed"}


@pytest.mark.parametrize(
    ("error", "code"), [(BackendError("Codex is gone."), "backend_failed"), (KeyError("x"), "internal_error")]
)
async def test_a_backend_that_cannot_open_a_thread(
    room: Room, ana: Client, error: Exception, code: str
) -> None:
    room.backend.open_error = error
    thread = await start(ana)
    assert (await ana.wait("turn.ended"))["error"]["code"] == code
    room.backend.open_error = None
    ana.send("turn.start", thread_id=thread, content=HELLO)
    (await room.backend.turn(0)).answer("better")
    await ana.wait("turn.ended")


async def test_an_end_that_cannot_be_stored_says_so(room: Room, ana: Client) -> None:
    await start(ana)
    turn = await room.backend.turn(0)
    room.store.fails = True
    turn.answer("written on water")
    ended = await ana.wait("turn.ended")
    assert ended["error"]["code"] == "not_stored"
    assert "the room is full" in ended["error"]["message"]


async def test_the_end_is_shown_when_it_is_stored(room: Room, ana: Client) -> None:
    await start(ana)
    turn = await room.backend.turn(0)
    room.store.flushing.clear()
    turn.answer("x y")
    await ana.wait("text_content.ended")
    await asyncio.sleep(0.02)
    assert not ana.all("turn.ended")
    room.store.flushing.set()
    await ana.wait("turn.ended")


async def test_stopping_ends_what_runs_and_refuses_what_waits(room: Room) -> None:
    async with room.agent():
        ana = room.messaging.join("ana")
        thread = await start(ana)
        turn = await room.backend.turn(0)
        waiting = ana.send("turn.start", thread_id=thread, content=HELLO)
        queued = (await ana.wait("turn.start.accepted", source_message_id=waiting))["turn_id"]
    assert turn.interrupted.is_set()
    ended = {message["turn_id"]: message["error"]["code"] for message in ana.all("turn.ended")}
    assert ended == {turn.input.turn_id: "cancelled", queued: "agent_stopped"}
    stored = [x for x in room.store.rows[ThreadId(thread)] if isinstance(x.body, e.TurnEnded)]
    assert len(stored) == 2
    assert room.backend.threads[0].closed
    assert all(log.closed for log in room.store.logs)


async def test_malformed_messages_disturb_nobody(room: Room, ana: Client) -> None:
    ana.send_raw({})
    ana.send_raw({"type": 7})
    ana.send_raw({"type": "meshagent.agent.turn.start"})
    ana.send_raw({"type": "meshagent.agent.from.the.future", "thread_id": []})
    ana.send_raw({"payload": "not an object"})
    ana.send_raw({"type": "meshagent.agent.thread.open", "thread_id": 5})
    ana.send_raw({"nothing": True}, message_type="typing")
    source = ana.send("turn.start", thread_id="T", content=[{"type": "hologram"}])
    rejected = await ana.wait("turn.start.rejected", source_message_id=source)
    assert rejected["error"]["code"] == "invalid_message"
    source = ana.send("thread.start", content="x")
    await ana.wait("thread.start.rejected", source_message_id=source)
    assert ana.all("turn.start.rejected")
    outsider = Client(room.messaging, "eve", "user")
    outsider.send("thread.start", content=HELLO)
    ana.send_raw({"payload": {"type": "meshagent.agent.thread.start", "message_id": "w", "content": HELLO}})
    await ana.wait("thread.started", source_message_id="w")
    assert len(room.store.rows) == 1
    assert not outsider.got


async def test_the_sender_is_who_the_room_says(room: Room, ana: Client) -> None:
    ana.send("thread.start", content=HELLO, sender_name="root")
    assert (await ana.wait("turn.started"))["sender_name"] == "ana"
    assert (await room.backend.turn(0)).input.sender_name == "ana"


async def test_two_hundred_turns_at_once(room: Room, ana: Client) -> None:
    count = 200
    for number in range(count):
        ana.send("thread.start", content=said(f"turn {number}"))
    last = await room.backend.turn(count - 1)
    began = asyncio.get_running_loop().time()
    ana.send("turn.interrupt", thread_id=last.thread_id, turn_id=last.input.turn_id)
    await ana.wait("turn.interrupt.accepted")
    assert asyncio.get_running_loop().time() - began < 1
    for turn in room.backend.turns[:-1]:
        turn.answer(f"answer to {turn.text}")
    for _ in range(count):
        await ana.wait("turn.ended")
    assert {turn.text for turn in room.backend.turns} == {f"turn {n}" for n in range(count)}


async def test_tool_output_reaches_viewers(room: Room, ana: Client) -> None:
    await start(ana)
    turn = await room.backend.turn(0)
    ref = e.ToolRef(ItemId("cmd"), "codex", "shell", "codex")
    turn.say(e.ToolStarted(ref, {"command": "ls"}))
    turn.say(*(e.ToolLog(ref, (LogLine(f"{n}\n"),)) for n in range(100)))
    turn.say(e.ToolEnded(ref, JsonResult({"exit_code": 0})))
    turn.end()
    await ana.wait("turn.ended")
    logs = ana.all("tool_call.log_delta")
    assert [line["text"] for log in logs for line in log["lines"]] == [f"{n}\n" for n in range(100)]
    assert len(logs) < 10


async def test_commands_are_answered_without_the_backend(room: Room) -> None:
    async with room.agent():
        ana, ben = room.messaging.join("ana"), room.messaging.join("ben")
        thread = await start(ana, "/models")
        first = await ana.wait("turn.ended")
        assert "error" not in first
        assert room.store.entries[ThreadId(thread)].name == "New Chat"
        assert "**← this thread**" in "".join(x["text"] for x in ana.all("text_content.delta"))
        ana.send("turn.start", thread_id=thread, content=said("count to ten"))
        turn = await room.backend.turn(0)
        assert list(room.backend.threads[0].history) == []
        turn.say(e.TextStarted(TURN_ITEM), e.TextDelta(TURN_ITEM, "one, "))
        await ana.wait("text_content.delta", item_id="answer")
        steered = ben.send(
            "turn.steer", thread_id=thread, turn_id=turn.input.turn_id, content=said("/model gpt-5.5-mini")
        )
        changed = (await ben.wait("turn.started", source_message_id=steered))["turn_id"]
        assert (await ben.wait("model.changed", source_message_id=steered))["model"] == "gpt-5.5-mini"
        await ana.wait("turn.ended", turn_id=changed)
        status = await ana.wait("thread.status")
        assert (status["turn_id"], status["mode"]) == (turn.input.turn_id, "steerable")
        turn.say(e.TextDelta(TURN_ITEM, "two"))
        ben.send("turn.start", thread_id=thread, content=said("/stop"))
        await asyncio.wait_for(turn.interrupted.wait(), 5)
        turn.end(EndReason.INTERRUPTED)
        await ana.wait("turn.ended", turn_id=turn.input.turn_id)
        assert ana.text() == "one, two"
        assert turn.steers == []
    room.restarted()
    async with room.agent():
        eve = room.messaging.join("eve")
        load = eve.send("thread.open", thread_id=thread, load=True)
        await eve.wait("thread.loaded", source_message_id=load)
        asked = [x["content"][0]["text"] for x in eve.all("turn.start")]
        assert asked == ["/models", "count to ten", "/model gpt-5.5-mini", "/stop"]
        assert len(eve.all("turn.ended")) == len(eve.all("turn.started")) == 4
        eve.send("turn.start", thread_id=thread, content=said("/clear the table"))
        again = await room.backend.turn(0)
        assert again.text == "/clear the table"
        assert again.input.model.model == "gpt-5.5-mini"
        history = list(room.backend.threads[0].history)
        assert [item for item in history if isinstance(item, UserMessage)] == [
            UserMessage((TextPart("count to ten"),), "ana")
        ]
        assert "on offer" not in repr(history)
        again.end()
        await eve.wait("turn.ended", turn_id=again.input.turn_id)
