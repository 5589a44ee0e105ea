"""A thread is deleted by its agent, which says so to everybody and answers nobody in particular."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from process_agent.core.content import ErrorInfo, Json
from process_agent.core.ids import MessageId, ThreadId
from process_agent.core.replies import RequestRejected, ThreadDeleted
from process_agent.errors import TurnRefusedError
from process_agent.viewer.client import AgentClient
from tests.fakes.viewer_room import FakeMessaging, agent, wire_reply


async def test_it_is_gone_when_the_agent_says_so() -> None:
    room = FakeMessaging(agent())

    def answer(body: Mapping[str, Json]) -> None:
        room.say(wire_reply(ThreadDeleted(ThreadId("another"))))
        room.say(wire_reply(ThreadDeleted(ThreadId(str(body["thread_id"])))))

    room.answer = answer
    async with AgentClient(room, "codex-agent") as client:
        await client.delete_thread(ThreadId("T"))
    assert [str(body["type"]).rsplit(".", 2)[-2:] for body in room.sent] == [["thread", "delete"]]


async def test_an_agent_may_refuse() -> None:
    room = FakeMessaging(agent())

    def answer(body: Mapping[str, Json]) -> None:
        error = ErrorInfo("a turn runs", "thread_busy")
        room.say(wire_reply(RequestRejected(MessageId(str(body["message_id"])), ThreadId("T"), error)))

    room.answer = answer
    async with AgentClient(room, "codex-agent") as client:
        with pytest.raises(TurnRefusedError, match="a turn runs"):
            await client.delete_thread(ThreadId("T"))
