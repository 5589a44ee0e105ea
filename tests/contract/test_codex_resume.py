"""Codex's own record of a thread goes on after restarts: each word reaches the model once."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from process_agent.core import events as e
from process_agent.core.backend import BackendThread
from process_agent.core.content import TextPart, TextResult
from process_agent.core.events import BackendEvent, EndReason, TextDelta, TextEnded
from process_agent.core.ids import MessageId, ThreadId, TurnId
from process_agent.scripted.server import ScriptedServer
from process_agent.threads.memory import MemoryThreadLog
from tests.contract.codex_room import OnEvent, PlayedState, Room, Told, codex_room, script

THREAD = "dataset://agents/codex-agent/threads/t"


@pytest.fixture
async def model() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as scripted:
        yield scripted


class RoomThread:
    """A thread of the room, which outlives agents: what was said in it and what Codex keeps with it."""

    def __init__(self, thread_id: str = THREAD) -> None:
        self.id = thread_id
        self.log = MemoryThreadLog(ThreadId(thread_id))
        self.state = PlayedState()
        self.turns = 0

    async def opened(self, room: Room) -> BackendThread:
        return await room.thread(await self.log.history(), self.state, self.id)

    async def turn(
        self,
        room: Room,
        thread: BackendThread,
        text: str | None,
        on_event: OnEvent | None = None,
        **more: Any,
    ) -> Told:
        self.turns += 1
        room.turns, turn = self.turns - 1, f"turn-{self.turns}"
        content = () if text is None else (TextPart(text),)
        self._add(turn, e.TurnStarted(MessageId(f"source-{turn}"), content, "ada"))

        def hear(event: BackendEvent) -> object:
            self._add(turn, event)
            return on_event(event) if on_event else None

        return await room.turn(thread, text, hear, **more)

    def elsewhere(self, text: str, answer: str) -> None:
        """A turn of another backend."""
        self.turns += 1
        turn = f"turn-{self.turns}"
        self._add(turn, e.TurnStarted(MessageId(f"source-{turn}"), (TextPart(text),), "ada"))
        item = e.ItemId(f"other-{turn}")
        for body in (e.TextStarted(item), TextDelta(item, answer), TextEnded(item)):
            self._add(turn, body)
        self._add(turn, e.TurnEnded(EndReason.COMPLETED))

    def copy(self, thread_id: str) -> RoomThread:
        """As it is now, under another name."""
        made = RoomThread(thread_id)
        made.log._rows.extend(self.log._rows)
        made.state.kept, made.turns = self.state.kept, self.turns + 100
        return made

    def _add(self, turn: str, body: e.EventBody) -> None:
        moment = datetime.now(UTC)
        event = e.ThreadEvent(
            MessageId(f"m-{moment.timestamp()}"), ThreadId(self.id), TurnId(turn), moment, body
        )
        self.log.append(event)


def words(model: ScriptedServer, request: int = -1) -> list[str]:
    """Messages, calls and outputs in a request to the model, without Codex's own."""
    found = []
    for item in model.requests[request].body["input"]:
        if item["type"] == "message" and item["role"] in ("user", "assistant"):
            text = "".join(part.get("text", "") for part in item["content"])
            found += [] if text.startswith("<") else [text]
        elif item["type"] != "message":
            found.append(str(item.get("arguments") or item.get("output") or item.get("input") or ""))
    return found


def times(model: ScriptedServer, text: str) -> int:
    """How often a text is in the latest request, however it is wrapped."""
    return sum(json.dumps(text)[1:-1] in json.dumps(each) or text in each for each in words(model))


def key(model: ScriptedServer, request: int = -1) -> str:
    return str(model.requests[request].body["prompt_cache_key"])


def notices(told: Told) -> list[str]:
    return [str(start.arguments["message"]) for start, _ in told.tools("notice")]


def records(room: Room) -> list[str]:
    return sorted(path.name for path in (room.data / "codex").rglob("rollout-*.jsonl"))


PLAN = script({"plan": [{"step": "look"}, {"step": "fix"}]}, {"run": "echo out"}, {"say": "first answer"})


async def test_an_agent_that_was_restarted_goes_on(tmp_path: Path, model: ScriptedServer) -> None:
    room_thread = RoomThread()
    async with codex_room(tmp_path, model=model) as room:
        thread = await room_thread.opened(room)
        told = await room_thread.turn(room, thread, PLAN)
        used = told.of(e.UsageUpdated)[-1].usage
        before, first = words(model), key(model)
    async with codex_room(tmp_path, model=model) as room:
        thread = await room_thread.opened(room)
        told = await room_thread.turn(room, thread, script({"run": "echo second"}, {"say": "again"}))
        assert told.end.reason is EndReason.COMPLETED
        assert notices(told) == []
        assert key(model) == first
        assert words(model)[: len(before)] == before, "calls, outputs and plan as Codex recorded them"
        assert words(model)[len(before)] == "first answer"
        assert [words(model).count(each) for each in ("first answer", PLAN)] == [1, 1]
        asked_and_called = [times(model, f'"echo {each}"') for each in ("out", "second")]
        assert asked_and_called == [2, 2]
        assert told.of(e.UsageUpdated)[-1].usage.input < used.input, "of this turn alone, with fewer requests"
        assert len(room_thread.state.written) == 1, "nothing new is kept"
        assert len(records(room)) == 1


async def test_a_thread_that_was_released_is_taken_up_again(tmp_path: Path, model: ScriptedServer) -> None:
    room_thread = RoomThread()
    async with codex_room(tmp_path, model=model) as room:
        for number in range(4):
            thread = await room_thread.opened(room)
            told = await room_thread.turn(room, thread, script({"say": f"answer {number}."}))
            assert told.text == f"answer {number}."
            assert notices(told) == []
            await thread.close()
        assert len({key(model, n) for n in range(4)}) == 1
        assert [words(model).count(f"answer {n}.") for n in range(4)] == [1, 1, 1, 0]


async def test_codex_is_killed_in_the_middle_of_a_turn(tmp_path: Path, model: ScriptedServer) -> None:
    """What it had not written down when it died is told to it, and nothing else."""
    room_thread = RoomThread()
    async with codex_room(tmp_path, model=model) as room:
        thread = await room_thread.opened(room)
        await room_thread.turn(room, thread, script({"say": "in the beginning"}))
        said: list[str] = []

        def kill(event: BackendEvent) -> None:
            if isinstance(event, TextDelta):
                said.append(event.text)
                if len(said) == 5:
                    os.kill(room.app_server(), signal.SIGKILL)

        cut = script({"run": "echo done"}, {"say": "half ", "times": 400, "every_ms": 20})
        told = await room_thread.turn(room, thread, cut, kill)
        assert told.end.reason is EndReason.LOST
        await check_it_goes_on(room, room_thread, thread, model, told.text)


async def check_it_goes_on(
    room: Room, room_thread: RoomThread, thread: BackendThread, model: ScriptedServer, half: str
) -> None:
    first = key(model, 0)
    for number in (1, 2):
        told = await room_thread.turn(room, thread, script({"say": f"back {number}."}))
        assert told.end.reason is EndReason.COMPLETED
        assert notices(told) == []
        assert key(model) == first
        assert times(model, half) == 1
        assert [words(model).count(each) for each in ("in the beginning", half)] == [1, 1]
        assert times(model, '"echo done"') == 2, "as it was asked for and as a call"
        assert sum("Output:\ndone" in each or each.endswith("\ndone\n") for each in words(model)) == 1


async def test_the_agent_is_killed_in_the_middle_of_a_turn(tmp_path: Path, model: ScriptedServer) -> None:
    room_thread = RoomThread()
    half = ""
    async with codex_room(tmp_path, model=model) as room:
        thread = await room_thread.opened(room)
        await room_thread.turn(room, thread, script({"say": "in the beginning"}))

        class Killed(Exception):
            pass

        def kill(event: BackendEvent) -> None:
            nonlocal half
            if isinstance(event, TextDelta):
                half += event.text
                if len(half) > 30:
                    os.kill(room.app_server(), signal.SIGKILL)
                    raise Killed

        cut = script({"run": "echo done"}, {"say": "half ", "times": 400, "every_ms": 20})
        with pytest.raises(Killed):
            await room_thread.turn(room, thread, cut, kill)
    room_thread._add("turn-2", e.TurnEnded(EndReason.LOST))
    async with codex_room(tmp_path, model=model) as room:
        await check_it_goes_on(room, room_thread, await room_thread.opened(room), model, half)


async def test_what_another_backend_said_is_told_once(tmp_path: Path, model: ScriptedServer) -> None:
    room_thread = RoomThread()
    async with codex_room(tmp_path, model=model) as room:
        thread = await room_thread.opened(room)
        await room_thread.turn(room, thread, script({"say": "one."}))
        await thread.close()
        room_thread.elsewhere("asked elsewhere", "said elsewhere")
        thread = await room_thread.opened(room)
        await room_thread.turn(room, thread, script({"say": "two."}))
        assert room_thread.state.flushed >= 2, "it was durable before Codex was told"
    for number in range(2):
        async with codex_room(tmp_path, model=model) as room:
            thread = await room_thread.opened(room)
            told = await room_thread.turn(room, thread, script({"say": f"more {number}."}))
            assert notices(told) == []
            assert key(model) == key(model, 0)
            expected = ["one.", "asked elsewhere", "said elsewhere", "two."]
            assert [each for each in words(model) if each in expected] == expected


async def test_interrupted_words_are_told_with_the_next_turn(tmp_path: Path, model: ScriptedServer) -> None:
    room_thread = RoomThread()
    async with codex_room(tmp_path, model=model) as room:
        thread = await room_thread.opened(room)

        def stop(event: BackendEvent) -> object:
            return thread.interrupt() if isinstance(event, TextDelta) else None

        told = await room_thread.turn(
            room, thread, script({"say": "half ", "times": 400, "every_ms": 20}), stop
        )
        assert told.end.reason is EndReason.INTERRUPTED
        half = told.text
        for number in range(2):
            await room_thread.turn(room, thread, script({"say": f"next {number}."}))
            assert words(model).count(half) == 1
            assert key(model) == key(model, 0)


def remove(room_thread: RoomThread, data: Path) -> None:
    shutil.rmtree(data / "codex" / "codex-agent" / "sessions")


def move(room_thread: RoomThread, data: Path) -> None:
    assert room_thread.state.kept is not None
    room_thread.state.kept = {**room_thread.state.kept, "home": "/somewhere/else"}


def forge(room_thread: RoomThread, data: Path) -> None:
    assert room_thread.state.kept is not None
    room_thread.state.kept = {**room_thread.state.kept, "telling": True, "turn": "turn-77"}


@pytest.mark.parametrize(("change", "why"), [(remove, "rollout"), (move, "home"), (forge, "not known")])
async def test_where_it_cannot_go_on_it_is_told_again_and_says_so(
    tmp_path: Path, model: ScriptedServer, change: Any, why: str
) -> None:
    room_thread = RoomThread()
    async with codex_room(tmp_path, model=model) as room:
        thread = await room_thread.opened(room)
        await room_thread.turn(room, thread, script({"run": "echo out"}, {"say": "one."}))
    change(room_thread, tmp_path / "data")
    async with codex_room(tmp_path, model=model) as room:
        thread = await room_thread.opened(room)
        told = await room_thread.turn(room, thread, script({"say": "two."}))
        (notice,) = notices(told)
        assert why in notice
        assert key(model) != key(model, 0)
        assert (words(model).count("one."), times(model, '"command": "echo out"')) == (1, 1)
        told = await room_thread.turn(room, thread, script({"say": "three."}))
        assert notices(told) == []
        assert [words(model).count(each) for each in ("one.", "two.")] == [1, 1]


async def test_two_agents_on_one_thread_do_not_share_a_record(tmp_path: Path, model: ScriptedServer) -> None:
    room_thread = RoomThread()
    async with codex_room(tmp_path, model=model) as one, codex_room(tmp_path, model=model) as two:
        thread = await room_thread.opened(one)
        await room_thread.turn(one, thread, script({"say": "one."}))
        other = await room_thread.opened(two)
        (notice,) = notices(await room_thread.turn(two, other, script({"say": "two."})))
        assert "active writer" in notice
        assert words(model).count("one.") == 1
        assert (await room_thread.turn(one, thread, script({"say": "three."}))).text == "three."
        assert len(records(one)) == 2


async def test_other_instructions_and_tools_make_another_codex_thread(
    tmp_path: Path, model: ScriptedServer
) -> None:
    room_thread = RoomThread()
    async with codex_room(tmp_path, model=model) as room:
        thread = await room_thread.opened(room)
        await room_thread.turn(room, thread, script({"say": "one."}))
        told = await room_thread.turn(room, thread, script({"say": "two."}), instructions="Be brief.")
        assert notices(told) == []
        assert key(model) != key(model, 0)
        assert words(model).count("one.") == 1
        second = key(model)
    async with codex_room(tmp_path, model=model) as room:
        assert [name[-41:-6] for name in records(room)] == [second[-35:]], "the first one is deleted"
        thread = await room_thread.opened(room)
        await room_thread.turn(room, thread, script({"say": "three."}), instructions="Be brief.")
        assert key(model) == second
        assert [words(model).count(each) for each in ("one.", "two.")] == [1, 1]


async def test_calls_without_items_are_seen_on_a_resumed_thread(
    tmp_path: Path, model: ScriptedServer
) -> None:
    """Codex tells of them in raw items only, which it does not send for threads that it resumed."""
    room_thread = RoomThread()
    refused = script({"call": "no_such_tool", "arguments": {"a": 1}}, {"say": "over"})
    for _ in range(2):
        async with codex_room(tmp_path, model=model) as room:
            thread = await room_thread.opened(room)
            told = await room_thread.turn(room, thread, refused)
            ((started, ended),) = told.tools("no_such_tool")
            assert started.arguments == {"a": 1}
            assert isinstance(ended.result, TextResult)
            assert "unsupported" in ended.result.text
