"""Copies of threads whose original is cleared or deleted before anything was said in the copy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from process_agent.core.ids import ThreadId
from process_agent.scripted.server import ScriptedServer
from tests.contract.codex_room import codex_room, script
from tests.contract.test_codex_resume import PLAN, THREAD, RoomThread, notices, records, words


@pytest.fixture
async def model() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as scripted:
        yield scripted


SHORT = script({"run": "echo out"}, {"say": "first answer"})


@pytest.mark.parametrize(("prompt", "lost"), [(SHORT, 0), (PLAN, 1)])
async def test_a_copy_outlives_what_it_is_a_copy_of(
    tmp_path: Path, model: ScriptedServer, prompt: str, lost: int
) -> None:
    room_thread = RoomThread()
    async with codex_room(tmp_path, model=model) as room:
        thread = await room_thread.opened(room)
        await room_thread.turn(room, thread, prompt)
        copies = [room_thread.copy(f"{THREAD}-{number}") for number in (2, 3)]
        await thread.close()
        assert room_thread.state.kept is not None
        await room.backend.discard(ThreadId(THREAD), room_thread.state.kept)
        assert records(room) == []
        for copied in copies:
            other = await copied.opened(room)
            told = await copied.turn(room, other, script({"say": "in the copy."}))
            assert [("is gone" in each, "not loaded" in each) for each in notices(told)] == [
                (True, False)
            ] * lost
            assert words(model).count("first answer") == words(model).count(prompt) == 1
            told = await copied.turn(room, other, script({"say": "more."}))
            assert notices(told) == []
            assert [words(model).count(each) for each in ("first answer", "in the copy.")] == [1, 1]


async def test_a_copy_is_made_of_an_archived_record(tmp_path: Path, model: ScriptedServer) -> None:
    """Codex needs the record for another copy, and so it is not deleted."""
    room_thread = RoomThread()
    async with codex_room(tmp_path, model=model) as room:
        thread = await room_thread.opened(room)
        await room_thread.turn(room, thread, PLAN)
        first, second = (room_thread.copy(f"{THREAD}-{number}") for number in (2, 3))
        await first.turn(room, await first.opened(room), script({"say": "in the first."}))
        await thread.close()
        assert room_thread.state.kept is not None
        await room.backend.discard(ThreadId(THREAD), room_thread.state.kept)
        assert len(records(room)) == 2
        told = await second.turn(room, await second.opened(room), script({"say": "in the second."}))
        assert notices(told) == []
        assert words(model).count("first answer") == words(model).count(PLAN) == 1
