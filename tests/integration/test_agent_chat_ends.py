"""An agent in a chat: how turns end that are decided, lost, stopped, malformed or many."""

from __future__ import annotations

import asyncio

import pytest

from process_agent.core import events as e
from process_agent.core.backend import ApprovalMode
from process_agent.core.content import ErrorInfo, JsonResult, LogLine
from process_agent.core.decisions import Decision
from process_agent.core.events import EndReason
from process_agent.core.ids import ItemId, ThreadId
from process_agent.errors import BackendError
from tests.fakes.agent_house import Room, said, start
from tests.fakes.memory_messaging import Client
from tests.integration.test_agent_chat import HELLO, TURN_ITEM


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
