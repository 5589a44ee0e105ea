"""The queue channel of a whole agent in memory."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from process_agent.channels import queue as module
from process_agent.core import speaker
from process_agent.core.content import ErrorInfo, FilePart, Json, TextPart
from process_agent.core.events import EndReason, TurnEnded, TurnRequested
from process_agent.core.ids import ThreadId
from process_agent.core.store import ThreadEntry
from process_agent.errors import RoomError, RoomRequestError
from process_agent.io.backoff import Backoff
from tests.fakes.channel_agent import ChannelRoom
from tests.fakes.memory_store import DIRECTORY


@pytest.fixture
async def room(tmp_path: Path) -> ChannelRoom:
    return ChannelRoom(tmp_path, "chat", "queue:work")


async def failed(room: ChannelRoom) -> dict[str, Any]:
    report: dict[str, Any] = cast("dict[str, Any]", await room.queues.receive("work.failed"))
    return report


async def test_an_item_becomes_a_turn(room: ChannelRoom) -> None:
    async with room.agent() as agent:
        assert agent.ready.channels == ("chat", "queue:work")
        room.queues.put("work", {"prompt": "Sum up", "from": "Bo", "instructions": "Be brief"}, "plain")
        turn = await room.backend.turn(0)
        assert (turn.input.content, turn.input.sender_name) == ((TextPart("Sum up"),), "Bo")
        other = await room.backend.turn(1)
        assert (other.text, other.input.sender_name) == ("plain", None)
        assert turn.thread_id != other.thread_id
        turn.answer("done")
        other.answer("done")
    assert room.queues.sent == {}


async def test_a_name_gives_no_rights(room: ChannelRoom) -> None:
    async with room.agent():
        ana = room.messaging.join("ana")
        ana.send("thread.watch")
        room.queues.put(
            "work", {"prompt": "x", "sender_name": "ana", "role": "user", "id": ana.participant.id}
        )
        turn = await room.backend.turn(0)
        bodies = [event.body for event in room.store.rows[turn.thread_id]]
        said = next(body for body in bodies if isinstance(body, TurnRequested))
        assert said.sender_name == "ana"
        assert ana.all("turn.start.accepted") == []
        turn.answer("done")


async def test_files_of_a_prompt_become_text(room: ChannelRoom) -> None:
    room.files.files = {
        "task.md": b"the task",
        "a/b.txt": "gr\u00fcn".encode(),
        "image.png": b"\xff\xfe\x00",
        "large": bytes(2 << 20),
    }
    prompt: Json = [
        {"type": "text", "text": "look"},
        {"type": "file", "url": "room:///a/b.txt"},
        {"type": "file", "url": "room://a/b.txt"},
        {"type": "file", "url": "a/b%2Etxt"},
        {"type": "file", "url": "room:///image.png"},
        {"type": "file", "url": "room:///missing"},
        {"type": "file", "url": "room:///large"},
        {"type": "file", "url": "room:///x//y"},
        {"type": "file", "url": "https://example.com/x"},
    ]
    async with room.agent():
        room.queues.put("work", {"prompt": prompt, "prompt_file": "/task.md"})
        content = (await room.backend.turn(0)).input.content
        assert content[:5] == (
            TextPart("the task"),
            TextPart("look"),
            TextPart("gr\u00fcn"),
            TextPart("gr\u00fcn"),
            TextPart("gr\u00fcn"),
        )
        assert content[5] == FilePart("data:image/png;base64,//4A", "image.png")
        notices = [part.text for part in content[6:9] if isinstance(part, TextPart)]
        assert notices == [
            "[The file room:///missing could not be read: There is no file missing.]",
            "[The file room:///large could not be read: The file large has more than 1048576 bytes.]",
            "[The file room:///x//y could not be read: this is not a file that can be in a prompt.]",
        ]
        assert content[9] == FilePart("https://example.com/x")
        room.queues.put("work", {"content": [{"type": "file", "url": "room:///a/b.txt"}]})
        (part,) = (await room.backend.turn(1)).input.content
        assert part == FilePart("data:text/plain;base64,Z3LDvG4=", "b.txt")


@pytest.mark.parametrize("name", [".emails/x", "room:///.emails/x", "a/../b", "room://[", "/", "a\\b"])
async def test_a_queue_reads_no_hidden_files(room: ChannelRoom, name: str) -> None:
    room.files.files = {".emails/x": b"secret", "b": b"secret", "a\\b": b"secret", "": b"secret"}
    async with room.agent():
        room.queues.put("work", {"prompt_file": name})
        assert (await room.backend.turn(0)).text.endswith("this is not a file that can be in a prompt.]")


async def test_the_room_may_be_away_while_a_file_is_read(room: ChannelRoom) -> None:
    read, tries = room.files.read, []

    async def unsteady(path: str, limit: int) -> bytes:
        tries.append(path)
        if len(tries) < 3:
            raise RoomError("the connection is lost")
        return await read(path, limit)

    room.files.read = unsteady  # type: ignore[method-assign]
    room.files.files = {"f": b"text"}
    async with room.agent():
        room.queues.put("work", {"prompt_file": "f"})
        assert (await room.backend.turn(0)).text == "text"


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ({"event": "push", "n": 1}, '{"event": "push", "n": 1}'),
        ({"prompt": "  ", "n": 1}, '{"prompt": "  ", "n": 1}'),
        ({"content": []}, '{"content": []}'),
        ([1, None], "[1, null]"),
        (5, "5"),
        (None, "null"),
        ({"from": {"a": 1}, "x": "\u00fc"}, '{"from": {"a": 1}, "x": "\u00fc"}'),
        ({"content": "as text"}, "as text"),
        ({"prompt": {"type": "text", "text": "one part"}}, "one part"),
    ],
)
async def test_anything_else_is_given_as_json(room: ChannelRoom, item: Json, text: str) -> None:
    async with room.agent():
        room.queues.put("work", item)
        assert (await room.backend.turn(0)).text == text


@pytest.mark.parametrize(
    ("item", "code", "text"),
    [
        ({"prompt": 5}, "invalid_message", "prompt must be text or content parts"),
        ({"content": [{"type": "video"}]}, "invalid_message", "cannot take content of type 'video'"),
        ({"content": [{"type": "audio", "url": "x"}]}, "unsupported_modality", "audio cannot be taken"),
        ({"content": ["x"]}, "invalid_message", "content[0] must be an object"),
        (
            {"prompt": {"type": "file", "url": ".emails/x"}},
            "invalid_message",
            "is not a file that can be attached",
        ),
        (
            {"content": {"type": "file", "url": "room:///%2e./x"}},
            "invalid_message",
            "is not a file that can be attached",
        ),
        ({"prompt": "x", "path": 5}, "invalid_message", "path must be text"),
        ({"prompt": "x", "path": "../other"}, "invalid_item", "is no path of a thread"),
        ({"prompt": "x", "model": "nothing"}, "unknown_model", "No model here is called 'nothing'"),
    ],
)
async def test_what_becomes_no_turn_is_kept_with_the_reason(
    room: ChannelRoom, item: Json, code: str, text: str
) -> None:
    async with room.agent():
        room.queues.put("work", item, "next")
        report = await failed(room)
        assert (report["queue"], report["item"], report["error"]["code"]) == ("work", item, code)
        assert text in report["error"]["message"]
        assert report["failed_at"].endswith("Z")
        (await room.backend.turn(0)).answer("done")
    assert [turn.text for turn in room.backend.turns] == ["next"]


async def test_a_model_is_chosen_for_the_turn(room: ChannelRoom) -> None:
    async with room.agent():
        room.queues.put("work", {"prompt": "x", "model": "codex/gpt-5.5-mini"})
        assert (await room.backend.turn(0)).input.model.model == "gpt-5.5-mini"


async def test_no_item_is_taken_that_cannot_start(room: ChannelRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TURNS", 3)
    async with room.agent():
        items: list[Json] = [{"prompt": str(n)} for n in range(5)]
        room.queues.put("work", *items)
        turns = [await room.backend.turn(n) for n in range(3)]
        assert sorted(turn.text for turn in turns) == ["0", "1", "2"]
        assert (room.queues.size("work"), room.queues.waiting) == (2, 0)
        turns[1].answer("done")
        assert (await room.backend.turn(3)).text == "3"
        assert room.queues.size("work") == 1
        for turn in (turns[0], turns[2], room.backend.turns[3]):
            turn.answer("done")
        (await room.backend.turn(4)).answer("done")


async def test_a_queue_that_is_closed_is_taken_from_again(room: ChannelRoom) -> None:
    async with room.agent():
        room.queues.refuse("work")
        room.queues.put("work", "after")
        (await room.backend.turn(0)).answer("done")


async def test_a_failed_turn_is_in_its_thread_and_in_the_log(
    room: ChannelRoom, caplog: pytest.LogCaptureFixture
) -> None:
    async with room.agent():
        room.queues.put("work", "x")
        turn = await room.backend.turn(0)
        turn.say(TurnEnded(EndReason.FAILED, ErrorInfo("the model is gone", "gone")))
        room.queues.put("work", "next")
        (await room.backend.turn(1)).answer("done")
    assert "the model is gone" in caplog.text
    assert room.queues.sent == {}


async def test_a_stop_takes_nothing_more_and_loses_nothing(room: ChannelRoom) -> None:
    room.store.rows[ThreadId(f"{DIRECTORY}/t")] = []
    room.backend.obedient = True
    async with room.agent():
        for n in range(3):
            room.queues.put("work", {"prompt": str(n), "path": "t"})
        await room.backend.turn(0)
        await room.queues.until(lambda: room.queues.taken == 3 and room.queues.waiting == 1)
    assert [turn.text for turn in room.backend.turns] == ["0"]
    assert room.queues.waiting == 0
    assert room.queues.sent == {"work": [{"prompt": str(n), "path": "t"} for n in (1, 2)]}


async def test_items_that_come_during_the_drain_go_back(room: ChannelRoom) -> None:
    room.backend.obedient = False
    async with asyncio.TaskGroup() as group:
        agent = room.agent()
        await agent.__aenter__()
        room.queues.put("work", "runs")
        turn = await room.backend.turn(0)
        leaving = group.create_task(agent.__aexit__(None, None, None))
        await turn.interrupted.wait()
        room.queues.put("work", "late", "later")
        await room.queues.until(lambda: "late" in room.queues.sent.get("work", []))
        turn.end(EndReason.INTERRUPTED)
        await leaving
    assert room.queues.size("work") == 2
    assert [turn.text for turn in room.backend.turns] == ["runs"]


async def test_what_cannot_be_kept_is_in_the_log(
    room: ChannelRoom, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(name: str, message: Json) -> None:
        raise RoomRequestError("the queue is full")

    monkeypatch.setattr(room.queues, "send", refuse)
    async with room.agent():
        room.queues.put("work", {"prompt": 5}, "next")
        (await room.backend.turn(0)).answer("done")
    assert "an item is lost: the queue is full" in caplog.text


async def test_a_busy_thread_is_asked_again(room: ChannelRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    thread = ThreadId(f"{DIRECTORY}/t")
    room.store.rows[thread] = []
    monkeypatch.setattr(module, "_RETRY", Backoff(first=0.001, ceiling=0.001))
    monkeypatch.setattr(speaker.Limits, "__init__", _with_queued(speaker.Limits.__init__, 1))
    async with room.agent():
        for n in range(4):
            room.queues.put("work", {"prompt": str(n), "path": "t"})
        for n in range(4):
            (await room.backend.turn(n)).answer("done")
    assert sorted(turn.text for turn in room.backend.turns) == ["0", "1", "2", "3"]
    assert room.queues.sent == {}


async def test_a_room_that_is_away_is_asked_again_but_not_for_ever(
    room: ChannelRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RETRY", Backoff(first=0.001, ceiling=0.001))
    create, tries = room.store.create, []

    async def unsteady(name: str, owner: str | None) -> ThreadEntry:
        tries.append(name)
        if name == "never" or len(tries) < 3:
            raise RoomError("the connection is lost")
        return await create(name, owner)

    monkeypatch.setattr(room.store, "create", unsteady)
    async with room.agent():
        room.queues.put("work", "once")
        (await room.backend.turn(0)).answer("done")
        assert tries == ["once"] * 3
        room.queues.put("work", "never")
        assert (await failed(room))["error"]["code"] == "room_error"
        assert tries[3:] == ["never"] * module.ROOM_TRIES


async def test_a_path_makes_its_thread(room: ChannelRoom) -> None:
    async with room.agent():
        for number in range(2):
            room.queues.put("work", {"prompt": "x", "path": "a/b"})
            turn = await room.backend.turn(number)
            assert turn.thread_id == f"{DIRECTORY}/a/b"
            turn.answer("done")


def _with_queued(init: Any, queued: int) -> Any:
    def changed(self: Any, **fields: Any) -> None:
        init(self, **{"queued": queued, **fields})

    return changed
