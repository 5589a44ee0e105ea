"""The published Python chat client with messaging streams and without: what goes beyond a question and its
answer. One agent and one thread for all of it, as the programs are slow to start.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from process_agent.core import events as e
from process_agent.core.content import JsonResult
from process_agent.core.ids import AskId, ItemId
from process_agent.core.requests import Secret
from tests.contract.agent_room import agent_in
from tests.contract.published.install import for_published
from tests.contract.published.program import Participant, Program, PublishedError, Session, joined
from tests.fakes.backend import FakeBackend
from tests.fakes.room import LocalRoom

pytestmark = for_published
ITEM = ItemId("answer")
SHELL = e.ToolRef(ItemId("shell"), "codex", "shell", "codex")


@pytest.mark.parametrize("streams", [True, False], ids=["streams", "unary"])
async def test_steers_late_viewers_decisions_tools_secrets_and_stops(
    published: Program, server: LocalRoom, tmp_path: Path, streams: bool
) -> None:
    backend = FakeBackend()
    async with (
        agent_in(server, tmp_path, [backend]),
        joined(published, server, "ana", streams=streams) as ana,
        joined(published, server, "ben", streams=streams) as ben,
    ):
        session = await ana.session()
        await session.do("start_with_tool", text="use everything", tool="echo")
        turn = await backend.turn(0)
        await ana.wait("turn.started")
        thread, turn_id = await session.path(), turn.input.turn_id

        turn.say(e.TextStarted(ITEM), e.TextDelta(ITEM, "Once upon"))
        await ana.wait("text_content.delta")
        late = await ben.open(thread, load=True)
        await ben.wait("thread.loaded")
        assert (await late.state())["active_turn"] == turn_id
        assert (await late.shown())[0] == ("ana", "use everything")

        body = {"type": "meshagent.agent.turn.steer", "thread_id": thread, "turn_id": turn_id}
        steered = await session.do("send", body={**body, "content": [{"type": "text", "text": "faster"}]})
        await ana.wait("turn.steer.accepted", source_message_id=steered)
        await ben.wait("turn.steered", source_message_id=steered)
        assert turn.steers == ["faster"]
        # The turn uses a tool of ana's client, so that the steers of others are refused.
        refused = await late.do("send", body={**body, "content": [{"type": "text", "text": "slower"}]})
        rejected = await ben.wait("turn.steer.rejected", source_message_id=refused)
        assert rejected["error"]["code"] == "turn_owned_by_participant"

        turn.say(e.ToolStarted(SHELL, {"command": "rm -rf ."}))
        turn.say(e.ApprovalRequested(SHELL, {"command": "rm -rf ."}))
        await ben.wait("tool_call.approval_requested", item_id="shell")
        ids = {"thread_id": thread, "turn_id": turn_id}
        await late.do("send", body={"type": "meshagent.agent.tool_call.approve", **ids, "item_id": "shell"})
        await ana.wait("tool_call.log_delta", item_id="shell")
        turn.say(e.ToolEnded(SHELL))

        turn.say(e.ClientToolRequested(AskId("tool"), "echo", {"text": "hi"}))
        await turn.answered.wait()
        turn.answered.clear()
        turn.say(e.SecretRequested(AskId("key"), "API_KEY", "Your key, please"))
        await ana.wait("secret.requested", request_id="key")
        secret = {"type": "meshagent.agent.secret.response", **ids, "request_id": "key", "value": "hunter2"}
        await session.do("send", body=secret)
        await turn.answered.wait()
        (_, answer), (_, given) = turn.answers
        assert answer == JsonResult({"echo": "hi", "for": "ana"})
        assert isinstance(given, Secret)
        assert given.value == "hunter2"
        assert not ben.all("client_tool_call.requested")
        assert not ben.all("secret.requested")

        turn.say(e.TextDelta(ITEM, " a time."), e.TextEnded(ITEM))
        turn.end()
        for client in (ana, ben):
            await client.wait("turn.ended", turn_id=turn_id)
        assert "Once upon a time." in [text for who, text in await late.shown() if who == "agent"]
        assert (await session.state())["streams"] == ([thread] if streams else [])
        await stops(session, ana, backend)


async def stops(session: Session, ana: Participant, backend: FakeBackend) -> None:
    """`interrupt`, and `/stop` asked beside a running `ask`. That second `ask` may wait for ever: both take
    messages from one queue, and each throws away what is the other's. The agent sent everything.
    """
    asked = session.doing("ask", text="work for long")
    turn = await backend.turn(1)
    await ana.wait("thread.status", mode="steerable", turn_id=turn.input.turn_id)
    assert await session.do("interrupt")
    with pytest.raises(PublishedError) as error:
        await asked
    assert error.value.code == "cancelled"

    asked = session.doing("ask", text="work for long again")
    turn = await backend.turn(2)
    await ana.wait("thread.status", mode="steerable", turn_id=turn.input.turn_id)
    second = session.doing("ask", text="/stop")
    stopped = await ana.wait("turn.ended", turn_id=turn.input.turn_id)
    assert stopped["error"]["code"] == "cancelled"
    [started] = [m for m in ana.all("turn.started") if m["content"] == [{"type": "text", "text": "/stop"}]]
    if not any(m["turn_id"] == started["turn_id"] for m in ana.all("turn.ended")):
        await ana.wait("turn.ended", turn_id=started["turn_id"])
    accepted = [m for m in ana.all("turn.start.accepted") if m["turn_id"] == started["turn_id"]]
    assert [m["source_message_id"] for m in accepted] == [started["source_message_id"]]
    for each in (asked, second):
        each.cancel()
