"""The toolkit channel of a whole agent in memory."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from process_agent.channels.toolkit import tool_name
from process_agent.core.content import ErrorInfo, Json
from process_agent.core.events import EndReason, FileShown, SecretRequested, TextDelta, TurnEnded
from process_agent.core.ids import AskId, ItemId, ParticipantId, ThreadId
from process_agent.core.participants import Participant
from process_agent.core.room_ports import ToolCaller
from process_agent.errors import ToolFailedError
from tests.fakes.channel_agent import ChannelRoom
from tests.fakes.memory_store import DIRECTORY

ANA = Participant(ParticipantId("p1"), "user", {"name": "Ana"})
BO = Participant(ParticipantId("p2"), "user", {"name": "Bo"})


@pytest.fixture
async def room(tmp_path: Path) -> ChannelRoom:
    return ChannelRoom(tmp_path, "chat", "toolkit:helper")


async def refusal(call: Any) -> str:
    with pytest.raises(ToolFailedError) as error:
        await call
    return str(error.value)


async def test_a_call_returns_the_text_of_its_turn(room: ChannelRoom) -> None:
    async with room.agent() as agent, asyncio.TaskGroup() as group:
        assert agent.ready.channels == ("chat", "toolkit:helper")
        arguments: dict[str, Json] = {"prompt": "Sum up", "instructions": "Be brief", "path": None}
        calling = group.create_task(room.toolkits.run("helper", arguments, ANA))
        turn = await room.backend.turn(0)
        assert (turn.text, turn.input.sender_name) == ("Sum up", "Ana")
        turn.say(TextDelta(ItemId("a"), "I look", "commentary"), TextDelta(ItemId("b"), "First"))
        turn.answer("Second")
        assert await calling == "First\n\nSecond"
    assert room.toolkits.hosted == {}


async def test_nobody_waits_for_a_secret_that_nobody_can_give(room: ChannelRoom) -> None:
    async with room.agent(), asyncio.TaskGroup() as group:
        calling = group.create_task(room.toolkits.run("helper", {"prompt": "Sum up"}, ANA))
        turn = await room.backend.turn(0)
        turn.say(SecretRequested(AskId("a1"), "github", "A token, please."))
        await turn.answered.wait()
        [(asked, answer)] = turn.answers
        assert (asked, isinstance(answer, ErrorInfo)) == ("a1", True)
        turn.answer("without it")
        assert await calling == "without it"


async def test_the_toolkit_tells_how_it_is_called(room: ChannelRoom) -> None:
    async with room.agent():
        toolkit = room.toolkits.hosted["helper"]
        (tool,) = toolkit.tools
        assert (tool.name, tool.title) == ("run_helper_task", "Run helper Task")
        properties = tool.schema["properties"]
        assert isinstance(properties, dict)
        assert sorted(properties) == ["instructions", "model", "path", "prompt", "thread_id"]
        assert (tool.schema["required"], tool.schema["additionalProperties"]) == (["prompt"], False)


async def test_calls_run_side_by_side_each_in_a_thread_of_its_own(room: ChannelRoom) -> None:
    async with room.agent(), asyncio.TaskGroup() as group:
        calls = [group.create_task(room.toolkits.run("helper", {"prompt": str(n)})) for n in range(3)]
        turns = [await room.backend.turn(n) for n in range(3)]
        assert len({turn.thread_id for turn in turns}) == 3
        for turn in reversed(turns):
            turn.answer(f"answer to {turn.text}")
        assert [await call for call in calls] == [f"answer to {n}" for n in range(3)]


async def test_a_path_goes_on_with_its_thread(room: ChannelRoom) -> None:
    thread = ThreadId(f"{DIRECTORY}/t")
    room.store.rows[thread] = []
    async with room.agent(), asyncio.TaskGroup() as group:
        ways: list[dict[str, Json]] = [
            {"path": "t"},
            {"thread_id": thread},
            {"path": "t", "thread_id": "t"},
        ]
        for number, names in enumerate(ways):
            call = group.create_task(room.toolkits.run("helper", {"prompt": "x", **names}))
            turn = await room.backend.turn(number)
            assert turn.thread_id == thread
            turn.answer("done")
            await call


async def test_who_is_called_for_is_named(room: ChannelRoom) -> None:
    async with room.agent(), asyncio.TaskGroup() as group:
        handler = room.toolkits.hosted["helper"].tools[0].handler
        agent = Participant(ParticipantId("p3"), "agent", {"name": "other-agent"})
        call = handler(ToolCaller(agent.id, agent, BO), {"prompt": "x"})
        group.create_task(asyncio.wait_for(call, None))
        turn = await room.backend.turn(0)
        assert turn.input.sender_name == "Bo"
        turn.answer("done")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "The prompt is missing."),
        ({"prompt": " "}, "The prompt is missing."),
        ({"prompt": 5}, "prompt must be text."),
        ({"prompt": "x", "path": 5}, "path must be text."),
        ({"prompt": "x", "other": 1}, "There is no argument 'other'."),
        ({"prompt": "x", "path": "a", "thread_id": "b"}, "name different threads"),
        ({"prompt": "x", "path": "../index"}, "is no path of a thread"),
        ({"prompt": "x", "model": "nothing"}, "No model here is called 'nothing'"),
        ({"prompt": "x", "path": "dataset://agents/other/threads/x"}, "cannot be opened"),
    ],
)
async def test_a_call_that_cannot_run_fails(room: ChannelRoom, arguments: dict[str, Json], text: str) -> None:
    async with room.agent():
        assert text in await refusal(room.toolkits.run("helper", arguments))
    assert room.backend.turns == []


async def test_every_bad_end_of_the_turn_fails_the_call(room: ChannelRoom) -> None:
    ends: dict[str, Any] = {
        "the model is gone": lambda turn: turn.say(
            TurnEnded(EndReason.FAILED, ErrorInfo("the model is gone", "x"))
        ),
        "The turn was interrupted.": lambda turn: turn.end(EndReason.INTERRUPTED),
        "stopped": lambda turn: turn.vanish(),
    }
    async with room.agent(), asyncio.TaskGroup() as group:
        for number, (text, end) in enumerate(ends.items()):
            calling = group.create_task(refusal(room.toolkits.run("helper", {"prompt": "x"})))
            end(await room.backend.turn(number))
            assert text in await calling


async def test_a_caller_that_leaves_interrupts_its_turn(room: ChannelRoom) -> None:
    async with room.agent():
        calling = asyncio.ensure_future(room.toolkits.run("helper", {"prompt": "x"}, ANA))
        turn = await room.backend.turn(0)
        calling.cancel()
        await turn.interrupted.wait()
        with pytest.raises(asyncio.CancelledError):
            await calling


async def test_a_stop_of_the_agent_ends_every_call(room: ChannelRoom) -> None:
    async with asyncio.TaskGroup() as group:
        async with room.agent():
            room.store.rows[ThreadId(f"{DIRECTORY}/t")] = []
            texts = ("one", "two")
            calls = [
                group.create_task(refusal(room.toolkits.run("helper", {"prompt": text, "path": "t"})))
                for text in texts
            ]
            await room.backend.turn(0)
        assert [await call for call in calls] == [
            "The turn was interrupted.",
            "The agent stopped before this turn could start. Send it again.",
        ]


async def test_a_backend_that_does_not_end_its_turn_does_not_hold_the_call(room: ChannelRoom) -> None:
    """The agent gives up draining at last; the caller hears of it."""
    from process_agent.agent import assemble

    room.backend.obedient = False
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assemble, "DRAIN_SECONDS", 0.05)
        async with asyncio.TaskGroup() as group:
            async with room.agent():
                calling = group.create_task(refusal(room.toolkits.run("helper", {"prompt": "x"})))
                await room.backend.turn(0)
            assert await calling == "The agent stopped before the turn ended."


async def test_files_stand_in_for_an_answer_without_text(room: ChannelRoom) -> None:
    async with room.agent(), asyncio.TaskGroup() as group:
        calling = group.create_task(room.toolkits.run("helper", {"prompt": "draw"}))
        turn = await room.backend.turn(0)
        turn.say(FileShown(ItemId("f"), "room:///a.png"), TurnEnded(EndReason.COMPLETED))
        assert await calling == "room:///a.png"


@pytest.mark.parametrize(
    ("toolkit", "tool"),
    [
        ("helper", "run_helper_task"),
        ("My Helper!", "run_My_Helper__task"),
        ("a.b/c", "run_a_b_c_task"),
        ("n" * 200, f"run_{'n' * 55}_task"),
    ],
)
def test_the_name_of_the_tool_is_one_that_models_take(toolkit: str, tool: str) -> None:
    assert tool_name(toolkit) == tool
    assert len(tool) <= 64
