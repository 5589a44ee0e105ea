"""Codex's own records beside the room's threads: copies, compaction, and a person in Codex itself."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest

from backends.codex.account import KEY_VARIABLE
from process_agent.core import events as e
from process_agent.core.events import UsageUpdated
from process_agent.core.ids import ThreadId
from process_agent.scripted.server import ScriptedServer
from tests.contract.codex_room import codex_room, script
from tests.contract.test_codex_resume import PLAN, THREAD, RoomThread, key, notices, records, times, words


@pytest.fixture
async def model() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as scripted:
        yield scripted


async def test_a_resumed_thread_is_compacted_and_goes_on_after_it(
    tmp_path: Path, model: ScriptedServer
) -> None:
    room_thread = RoomThread()
    async with codex_room(tmp_path, model=model) as room:
        thread = await room_thread.opened(room)
        await room_thread.turn(room, thread, script({"say": "one."}))
    async with codex_room(tmp_path, model=model) as room:
        thread = await room_thread.opened(room)
        told = await room_thread.turn(room, thread, None, compact=True)
        (compacted,) = told.of(e.ContextCompacted)
        assert compacted.summary is not None
        assert "Summary by the scripted model" in compacted.summary
    for number in range(2):
        async with codex_room(tmp_path, model=model) as room:
            thread = await room_thread.opened(room)
            told = await room_thread.turn(room, thread, script({"say": f"more {number}."}))
            assert notices(told) == []
            assert key(model) == key(model, 0)
            assert sum("Summary by the scripted model" in each for each in words(model)) == 1


async def test_a_copy_of_a_thread_goes_on_with_a_copy_of_the_record(
    tmp_path: Path, model: ScriptedServer
) -> None:
    room_thread = RoomThread()
    async with codex_room(tmp_path, model=model) as room:
        thread = await room_thread.opened(room)
        await room_thread.turn(room, thread, PLAN)
        copied = room_thread.copy(THREAD + "2")
        await room_thread.turn(room, thread, script({"say": "only in the first."}))
        before = words(model, 0)
        other = await copied.opened(room)
        told = await copied.turn(room, other, script({"tokens": 500}, {"say": "only in the copy."}))
        assert notices(told) == []
        assert told.of(UsageUpdated)[-1].usage.input == 500, "what was used before the copy is not the turn's"
        assert key(model) != key(model, 0)
        assert words(model)[: len(before)] == before
        assert (words(model).count("first answer"), times(model, "only in the first.")) == (1, 0)
        await copied.turn(room, other, script({"say": "more."}))
        assert words(model).count("only in the copy.") == 1
        told = await room_thread.turn(room, thread, script({"say": "last."}))
        assert (times(model, "only in the copy."), words(model).count("only in the first.")) == (0, 1)
        assert key(model) == key(model, 0)
        kept = room_thread.state.kept, copied.state.kept
    async with codex_room(tmp_path, model=model) as room:
        assert kept[0] is not None
        assert kept[1] is not None
        await room.backend.discard(ThreadId(copied.id), kept[0])
        assert len(records(room)) == 2, "what it was copied from is not its own"
        await room.backend.discard(ThreadId(THREAD), kept[0])
        other = await copied.opened(room)
        told = await copied.turn(room, other, script({"say": "still here."}))
        assert notices(told) == []
        assert words(model).count("only in the copy.") == 1


async def test_threads_that_are_not_kept_leave_no_record(tmp_path: Path, model: ScriptedServer) -> None:
    room_thread = RoomThread()
    room_thread.state.durable = False
    async with codex_room(tmp_path, model=model) as room:
        thread = await room_thread.opened(room)
        await room_thread.turn(room, thread, script({"say": "one."}))
        assert (records(room), room_thread.state.kept) == ([], None)


async def test_a_discarded_thread_is_gone_from_the_disk(tmp_path: Path, model: ScriptedServer) -> None:
    room_thread = RoomThread()
    async with codex_room(tmp_path, model=model) as room:
        thread = await room_thread.opened(room)
        await room_thread.turn(room, thread, script({"say": "one."}))
        kept = room_thread.state.kept
        assert kept is not None
        await thread.close()
        for _ in range(2):
            await room.backend.discard(ThreadId(THREAD), kept)
            assert records(room) == []


async def test_a_person_goes_on_in_codex_itself_and_then_in_the_room(
    tmp_path: Path, model: ScriptedServer
) -> None:
    room_thread = RoomThread()
    async with codex_room(tmp_path, model=model) as room:
        thread = await room_thread.opened(room)
        await room_thread.turn(room, thread, script({"say": "one."}))
        kept, launch = room_thread.state.kept, room.backend._launch
        assert kept is not None
        assert launch is not None
        command = room.backend.command(ThreadId(THREAD), kept)
        assert room.backend.command(ThreadId(THREAD + "2"), kept) is None, "it is not a copy's"
    home = tmp_path / "data" / "codex" / "codex-agent"
    assert command == f"CODEX_HOME={home} codex resume {kept['thread']}"
    given = launch.command.arguments
    provider = [word for a, b in pairwise(given) if a == "-c" and b.startswith("model") for word in (a, b)]
    program = await asyncio.create_subprocess_exec(
        *(given[0], "exec", *provider, "--skip-git-repo-check"),
        *("resume", str(kept["thread"]), script({"say": "typed."})),
        env={**os.environ, "CODEX_HOME": str(home), KEY_VARIABLE: model.api_key},
        cwd=tmp_path / "work",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(30):
        assert await program.wait() == 0
    assert words(model).count("one.") == 1
    async with codex_room(tmp_path, model=model) as room:
        thread = await room_thread.opened(room)
        assert notices(await room_thread.turn(room, thread, script({"say": "two."}))) == []
        assert key(model) == key(model, 0)
        assert [words(model).count(each) for each in ("one.", "typed.")] == [1, 1]
