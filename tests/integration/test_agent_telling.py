"""What people asked is told to be accepted once it is stored, and what follows comes after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from process_agent.wire.agent_messages import PREFIX
from tests.fakes.agent_house import Room, said, start


def kinds(got: list[dict[str, object]]) -> list[str]:
    return [str(message["type"]).removeprefix(PREFIX) for message in got]


async def test_a_turn_is_accepted_once_it_is_stored(tmp_path: Path) -> None:
    room = Room(tmp_path)
    async with room.agent():
        ana = room.messaging.join("ana")
        room.store.flushing.clear()
        thread = await start(ana)
        ben = room.messaging.join("ben")
        ben.send("thread.open", thread_id=thread)
        (await room.backend.turn(0)).answer("hello")
        assert "turn.start.accepted" not in kinds(ana.got)
        assert "text_content.delta" not in kinds(ana.got)
        room.store.flushing.set()
        await ana.wait("turn.ended")
        told = [kind for kind in kinds(ana.got) if kind.startswith(("turn", "text"))]
        assert told[:3] == ["turn.start.accepted", "turn.started", "text_content.started"]
        assert told[-1] == "turn.ended"
        ana.send("turn.start", thread_id=thread, content=said("and now?"))
        await ana.wait("turn.started")


async def test_a_room_that_stores_nothing_stops_no_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("process_agent.agent.telling.HOLD_SECONDS", 0.01)
    room = Room(tmp_path)
    async with room.agent():
        ana = room.messaging.join("ana")
        room.store.flushing.clear()
        await start(ana)
        await ana.wait("turn.started")
        (await room.backend.turn(0)).answer("hello")
        await ana.wait("text_content.ended")
        room.store.fails = True
        room.store.flushing.set()
        assert (await ana.wait("turn.ended"))["error"]["code"] == "not_stored"
