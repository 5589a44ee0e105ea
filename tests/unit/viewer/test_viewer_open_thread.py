"""An open thread of the client: lost connections, unary messages, steering, earlier turns."""

from __future__ import annotations

from process_agent.core.content import ErrorInfo, TextPart
from process_agent.core.decisions import Decision
from process_agent.core.events import (
    EndReason,
    ModelChanged,
    Status,
    TextDelta,
    TurnAccepted,
    TurnEnded,
    TurnRequested,
    TurnStarted,
)
from process_agent.core.ids import ItemId, MessageId, ThreadId, TurnId
from process_agent.core.replies import (
    RequestRejected,
    ThreadLoaded,
)
from process_agent.viewer.updates import Failed, Loaded, Offline, Older, Online, Update
from process_agent.viewer.view import ThreadView
from tests.fakes.viewer_room import FakeMessaging, agent, event, wire_event, wire_reply
from tests.unit.viewer.test_viewer_client import HELLO, client_in, text_of


async def until(view: ThreadView, kind: type[Update]) -> list[Update]:
    seen: list[Update] = []
    async for update in view.updates():
        seen.append(update)
        if isinstance(update, kind):
            break
    return seen


async def test_a_lost_connection_is_told_and_the_thread_opened_again_without_doubling() -> None:
    room = FakeMessaging(agent())
    async with client_in(room) as client:
        view = client.open_thread(ThreadId("T"))
        first = await room.stream(0)
        assert first.opening["load"] is True
        for number in (1, 2):
            first.say(wire_event(event(TurnAccepted(MessageId(f"m{number}"), HELLO, "ana"), f"U{number}")))
            first.say(wire_event(event(TextDelta(ItemId("i"), "one"), f"U{number}")))
            if number == 1:
                first.say(wire_event(event(TurnEnded(EndReason.COMPLETED), "U1")))
        first.say(wire_reply(ThreadLoaded(MessageId("x"), ThreadId("T"))))
        await until(view, Loaded)
        room.connection(False)
        (lost,) = await until(view, Offline)
        assert isinstance(lost, Offline)
        assert "connection was lost" in lost.reason
        room.connection(True)
        second = await room.stream(1)
        assert second.opening["since_turn"] == "U1"
        # Stored forms have other message ids than live ones.
        second.say(wire_event(event(TextDelta(ItemId("i"), "one"), "U1")))
        second.say(wire_event(event(TurnEnded(EndReason.COMPLETED), "U1")))
        second.say(wire_event(event(TurnAccepted(MessageId("m2"), HELLO, "ana"), "U2")))
        second.say(wire_event(event(TextDelta(ItemId("i"), "one and more"), "U2")))
        second.say(wire_reply(ThreadLoaded(MessageId("x"), ThreadId("T"))))
        seen = await until(view, Loaded)
        assert isinstance(seen[0], Online)
        assert text_of(view, "U1") == "one"
        assert text_of(view, "U2") == "one and more"


async def test_a_message_the_agent_never_saw_is_sent_again_and_a_known_one_is_not() -> None:
    room = FakeMessaging(agent())
    async with client_in(room) as client:
        view = client.open_thread(ThreadId("T"), load=False)
        stream = await room.stream(0)
        known = await view.start_turn(HELLO)
        lost = await view.start_turn((TextPart("again"),))
        assert [body["message_id"] for body in stream.sent] == [known, lost]
        room.leave(room.roster[0])
        room.join(agent(participant_id="agent-2"))
        again = await room.stream(1)
        assert again.opening["since_turn"] == "none"
        again.say(wire_event(event(TurnRequested(HELLO, "ana"), message_id=known)))
        again.say(wire_reply(ThreadLoaded(MessageId("x"), ThreadId("T"))))
        await until(view, Loaded)
        assert [body["message_id"] for body in again.sent] == [lost]


async def test_without_streams_everything_is_unary() -> None:
    room = FakeMessaging(agent(streams=False))
    async with client_in(room) as client:
        view = client.open_thread(ThreadId("T"))
        opened = await room.request("thread.open")
        room.say(wire_reply(ThreadLoaded(MessageId(str(opened["message_id"])), ThreadId("T"))))
        await until(view, Loaded)
        await view.start_turn(HELLO)
        await view.interrupt(TurnId("U"))
        await view.decide(TurnId("U"), ItemId("i"), Decision.DECLINE)
        await view.close()
    kinds = [str(body["type"]).removeprefix("meshagent.agent.") for body in room.sent]
    assert kinds == ["thread.open", "turn.start", "turn.interrupt", "tool_call.reject", "thread.close"]


async def test_a_refused_stream_falls_back_to_unary() -> None:
    room = FakeMessaging(agent())
    room.refuse_streams = True
    async with client_in(room) as client:
        client.open_thread(ThreadId("T"))
        assert (await room.request("thread.open"))["thread_id"] == "T"


async def test_a_thread_that_does_not_exist_fails_the_view() -> None:
    room = FakeMessaging(agent(streams=False))
    async with client_in(room) as client:
        view = client.open_thread(ThreadId("T"))
        opened = await room.request("thread.open")
        error = ErrorInfo("there is no such thread", "thread_not_available")
        room.say(wire_reply(RequestRejected(MessageId(str(opened["message_id"])), ThreadId("T"), error)))
        failed = (await until(view, Failed))[-1]
        assert isinstance(failed, Failed)
        assert "no such thread" in str(failed.error)


async def test_a_turn_can_be_steered_only_while_its_status_says_so() -> None:
    room = FakeMessaging(agent(streams=False))
    async with client_in(room) as client:
        view = client.open_thread(ThreadId("T"), load=False)
        await room.request("thread.open")
        assert view.steerable is None
        room.say(wire_event(event(TurnStarted(MessageId("m"), HELLO, "ana"))))
        room.say(wire_event(event(Status("Thinking", "busy"))))
        room.say(wire_event(event(Status("Thinking", "steerable"))))
        room.say(wire_event(event(TurnEnded(EndReason.COMPLETED))))
        steerable: list[TurnId | None] = []
        updates = view.updates()
        for _ in range(4):
            await anext(updates)
            steerable.append(view.steerable)
        assert steerable == [None, None, "U", None]


async def test_earlier_turns_come_among_live_ones_and_are_told_apart() -> None:
    room = FakeMessaging(agent())
    async with client_in(room) as client:
        view = client.open_thread(ThreadId("T"), recent=1)
        stream = await room.stream(0)
        assert stream.opening["metadata"] == {"process": {"before": None, "limit": 1}}
        for at, turn in ((10.0, "U5"), (11.0, "U6")):
            stream.say(wire_event(event(TurnStarted(MessageId(f"m{turn}"), HELLO, "ana"), turn, at=at)))
            stream.say(wire_event(event(TurnEnded(EndReason.COMPLETED), turn, at=at + 0.5)))
        stream.say(wire_reply(ThreadLoaded(MessageId("x"), ThreadId("T"), older="c1")))
        await until(view, Loaded)
        assert view.has_older
        assert await view.older(2)
        assert not await view.older(2)  # one page at a time
        asked = stream.sent[-1]
        assert asked["metadata"] == {"process": {"before": "c1", "limit": 2}}
        old = ModelChanged(None, "codex", "openai", "old")
        said = [
            (event(TurnStarted(MessageId("m1"), HELLO, "ana"), "U1", at=1), "old"),
            (event(TurnAccepted(MessageId("mU5"), HELLO, "ana"), "U5", at=2), "known"),
            (event(TurnStarted(MessageId("m7"), HELLO, "ana"), "U7", at=20), "live"),
            (event(old, None, at=3), "old"),
            (event(TextDelta(ItemId("i"), "long ago"), "U1", at=3), "old"),
            (event(TurnEnded(EndReason.COMPLETED), "U1", at=4), "old"),
        ]
        for happened, _ in said:
            stream.say(wire_event(happened))
        stream.say(wire_reply(ThreadLoaded(MessageId(str(asked["message_id"])), ThreadId("T"))))
        page = (await until(view, Older))[-1]
        assert isinstance(page, Older)
        assert [turn.id for turn in page.turns] == ["U1"]
        assert (page.more, page.error, view.has_older) == (False, None, False)
        assert [turn.id for turn in view.transcript.turns] == ["U5", "U6", "U7"]
        assert view.transcript.model is None


async def test_earlier_turns_that_cannot_be_read_or_do_not_come_say_so() -> None:
    room = FakeMessaging(agent())
    async with client_in(room) as client:
        view = client.open_thread(ThreadId("T"), recent=1)
        stream = await room.stream(0)
        stream.say(wire_reply(ThreadLoaded(MessageId("x"), ThreadId("T"), older="c1")))
        await until(view, Loaded)
        await view.older(2)
        source = MessageId(str(stream.sent[-1]["message_id"]))
        error = ErrorInfo("no such page", "thread_not_available")
        stream.say(wire_reply(RequestRejected(source, ThreadId("T"), error)))
        stream.say(wire_reply(ThreadLoaded(source, ThreadId("T"), older="c2")))
        page = (await until(view, Older))[-1]
        assert isinstance(page, Older)
        assert page.error == error
        await view.older(2)
        room.connection(False)
        page = (await until(view, Older))[-1]
        assert isinstance(page, Older)
        assert page.error is not None
        assert page.error.code == "connection_lost"
