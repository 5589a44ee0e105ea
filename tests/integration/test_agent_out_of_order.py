"""Messages that come too early, too late, twice, or for what is not there: each gets the answer the protocol
has for it, and another participant's running turn goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from process_agent.core import events as e
from process_agent.core.content import Json
from process_agent.core.ids import ItemId
from tests.fakes.agent_house import Room, said, start
from tests.fakes.memory_messaging import Client

ITEM = ItemId("i")
GONE = "dataset://agents/bot/threads/gone"

type Fields = dict[str, Json]


@dataclass
class Case:
    """`kind` is sent with `fields`, in which names of `House` stand for its ids. `answer` is what the sender
    waits for, None where the protocol has no answer; `code` that of its error, None for none.
    """

    kind: str
    fields: dict[str, str | Json] = field(default_factory=dict)
    answer: str | None = None
    code: str | None = None


TEXT = said("hello")
HERE: Fields = {"thread_id": "$thread"}
ENDED: Fields = {**HERE, "turn_id": "$ended"}
RUNNING: Fields = {**HERE, "turn_id": "$running"}
NEVER: Fields = {**HERE, "turn_id": "never"}

CASES = {
    "a steer before any turn": Case(
        "turn.steer", {**NEVER, "content": TEXT}, "turn.steer.rejected", "turn_not_in_progress"
    ),
    "a steer of an ended turn": Case(
        "turn.steer", {**ENDED, "content": TEXT}, "turn.steer.rejected", "turn_ended"
    ),
    "a steer of a thread that is gone": Case(
        "turn.steer",
        {"thread_id": "$deleted", "turn_id": "$ended", "content": TEXT},
        "turn.steer.rejected",
        "turn_not_in_progress",
    ),
    "an approval of nothing": Case(
        "tool_call.approve", {**RUNNING, "item_id": "none"}, "thread.event", "nothing_waits"
    ),
    "a refusal in an ended turn": Case(
        "tool_call.reject", {**ENDED, "item_id": "none"}, "thread.event", "nothing_waits"
    ),
    "an interrupt of an ended turn": Case("turn.interrupt", ENDED, "turn.interrupt.accepted"),
    "an interrupt of no turn": Case("turn.interrupt", NEVER, "turn.interrupt.accepted"),
    "closing a thread never opened": Case("thread.close", HERE),
    "closing a thread that is not there": Case("thread.close", {"thread_id": GONE}),
    "the result of a tool nobody asked for": Case(
        "client_tool_call.response", {**RUNNING, "request_id": "none", "response": {"type": "empty"}}
    ),
    "a secret nobody asked for": Case(
        "secret.response", {**RUNNING, "request_id": "none", "value": "s3cret"}
    ),
    "a turn for a deleted thread": Case(
        "turn.start",
        {"thread_id": "$deleted", "content": TEXT},
        "turn.start.rejected",
        "thread_not_available",
    ),
    "opening a deleted thread": Case(
        "thread.open", {"thread_id": "$deleted", "load": True}, "thread.event", "thread_not_available"
    ),
    "deleting a thread twice": Case("thread.delete", {"thread_id": "$deleted"}, "thread.deleted"),
    "renaming a deleted thread": Case(
        "thread.rename", {"thread_id": "$deleted", "name": "x"}, "thread.event", "thread_not_available"
    ),
    "deleting a thread whose turn runs": Case("thread.delete", HERE, "thread.event", "turn_in_progress"),
    "clearing a thread whose turn runs": Case("thread.clear", HERE, "thread.event", "turn_in_progress"),
    "a model for a deleted thread": Case(
        "model.change",
        {"thread_id": "$deleted", "model": "gpt-5.5-mini"},
        "thread.event",
        "thread_not_available",
    ),
    "unwatching what was not watched": Case("thread.unwatch"),
}


async def settled(ana: Client, room: Room) -> dict[str, str]:
    """Ana's thread, with a turn that ended and one that runs; and a thread that was deleted."""
    thread = await start(ana)
    (await room.backend.turn(0)).answer("done")
    ended = (await ana.wait("turn.ended"))["turn_id"]
    deleted = await start(ana)
    (await room.backend.turn(1)).answer("done")
    await ana.wait("turn.ended")
    await ana.wait("thread.status", thread_id=deleted, status=None)
    ana.send("thread.delete", thread_id=deleted)
    await ana.wait("thread.deleted")
    ana.send("turn.start", thread_id=thread, content=said("work"))
    turn = await room.backend.turn(2)
    turn.say(e.TextStarted(ITEM), e.TextDelta(ITEM, "wor"))
    await ana.wait("text_content.delta", item_id=ITEM)
    return {"$thread": thread, "$ended": ended, "$deleted": deleted, "$running": turn.input.turn_id}


@pytest.mark.parametrize("name", CASES)
async def test_each_gets_its_answer_and_the_running_turn_goes_on(room: Room, ana: Client, name: str) -> None:
    case, known = CASES[name], await settled(ana, room)
    eve = room.messaging.join("eve")
    seen = len(ana.got)
    fields = {
        key: known.get(value, value) if isinstance(value, str) else value
        for key, value in case.fields.items()
    }
    for _ in range(2):  # a second time it is no other
        source = eve.send(case.kind, **fields)
        if case.answer is not None:
            got = await eve.wait(case.answer)
            answer = got["event"] if case.answer == "thread.event" else got
            assert answer.get("source_message_id", source) == source
            assert (answer.get("error") or {}).get("code") == case.code
    eve.send("models.request")
    await eve.wait("models.response")
    allowed = {case.answer, "models.response", "thread.loaded"}
    assert set(eve.types()) <= allowed, "nothing else comes of it"
    turn = room.backend.turns[2]
    assert (turn.steers, turn.decisions, turn.answers) == ([], [], [])
    assert not turn.interrupted.is_set()
    turn.say(e.TextDelta(ITEM, "ked"), e.TextEnded(ITEM))
    turn.end()
    ended = await ana.wait("turn.ended")
    assert (ended["turn_id"], ended.get("error")) == (known["$running"], None)
    assert ana.text(ITEM) == "worked"
    assert len(room.backend.turns) == 3
    news = {kind for kind in ana.types()[seen:] if not kind.startswith(("text_content", "thread.updated"))}
    assert news <= {"turn.ended", "thread.status"}, "others hear nothing of it"


async def test_opening_twice_and_starting_twice(room: Room, ana: Client) -> None:
    known = await settled(ana, room)
    eve = room.messaging.join("eve")
    for _ in range(2):
        source = eve.send("thread.open", thread_id=known["$thread"], load=True)
        await eve.wait("thread.loaded", source_message_id=source)
    turn = room.backend.turns[2]
    turn.say(e.TextDelta(ITEM, "ked"), e.TextEnded(ITEM))
    turn.end()
    await eve.wait("turn.ended", turn_id=known["$running"])
    await eve.wait("thread.status", status=None)
    assert len([m for m in eve.all("turn.ended") if m["turn_id"] == known["$running"]]) == 1, (
        "one view, not two"
    )
    ids = {m["message_id"]: m["text"] for m in eve.all("text_content.delta") if m["item_id"] == ITEM}
    assert "".join(ids.values()) == "worked"
