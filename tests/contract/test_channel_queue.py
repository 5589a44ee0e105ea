"""Queues with published clients and the published CLI: what they send becomes turns of our agent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.contract.agent_room import AGENT, agent_in, chat_client
from tests.fakes.backend import FakeBackend
from tests.fakes.room import LocalRoom

CHANNELS = ("chat", "queue:work")


async def test_what_a_client_sends_is_done_and_seen(server: LocalRoom, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with (
        agent_in(server, tmp_path, [backend], channels=CHANNELS),
        server.client("bo") as bo,
        chat_client(server, "ana") as ana,
    ):
        await ana.send("thread.watch")
        await ana.send("models.request")
        await ana.wait("models.response")
        await bo.storage.upload(path="task.md", data="tu\u00e9 es".encode())
        prompt: list[dict[str, Any]] = [{"type": "file", "url": "room:///task.md"}]
        await bo.queues.send(name="work", message={"prompt": prompt, "sender_name": "Bo"})
        turn = await backend.turn(0)
        assert (turn.text, turn.input.sender_name) == ("tu\u00e9 es", "Bo")
        thread = (await ana.wait("thread.created"))["thread"]["path"]
        assert thread == turn.thread_id
        await ana.send("thread.open", thread_id=thread, load=True)
        await ana.wait("thread.loaded")
        turn.answer("42")
        await ana.wait("turn.ended", turn_id=turn.input.turn_id)
        assert ana.texts() == "42"


async def test_items_wait_for_the_agent_and_keep_their_order(server: LocalRoom, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with server.client("bo") as bo:
        for n in range(12):
            await bo.queues.send(name="work", message={"prompt": str(n), "path": "batch/{YYYY}"})
        async with agent_in(server, tmp_path, [backend], channels=CHANNELS):
            for n in range(12):
                turn = await backend.turn(n)
                assert turn.text == str(n)
                assert turn.thread_id.startswith(f"dataset://agents/{AGENT}/threads/batch/20")
                turn.answer("done")
        assert len({turn.thread_id for turn in backend.turns}) == 1
        assert [(queue.name, queue.size) for queue in await bo.queues.list()] == [("work", 0)]


async def test_a_restart_of_the_room_does_not_end_it(server: LocalRoom, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with agent_in(server, tmp_path, [backend], channels=CHANNELS):
        await server.restart()
        async with server.client("bo") as bo:
            await bo.queues.send(name="work", message={"prompt": "after"})
            (await backend.turn(0)).answer("done")


async def test_what_becomes_no_turn_is_in_the_failed_queue(server: LocalRoom, tmp_path: Path) -> None:
    backend = FakeBackend()
    items = (
        {"prompt": "x", "model": "nothing"},
        {"prompt": "x", "path": "dataset://agents/other/threads/x"},
        {"prompt": 5},
    )
    async with agent_in(server, tmp_path, [backend], channels=CHANNELS), server.client("bo") as bo:
        for item in items:
            await bo.queues.send(name="work", message=item)
        reports = [await bo.queues.receive(name="work.failed") for _ in items]
    codes = {report["error"]["code"]: report["item"] for report in reports}
    assert codes == {
        "unknown_model": items[0],
        "thread_not_available": items[1],
        "invalid_message": items[2],
    }
    assert backend.turns == []


async def test_an_agent_that_leaves_gives_back_what_it_has_not_begun(
    server: LocalRoom, tmp_path: Path
) -> None:
    first, second = FakeBackend(), FakeBackend()
    async with server.client("bo") as bo:
        async with agent_in(server, tmp_path, [first], channels=CHANNELS), chat_client(server, "ana") as ana:
            await bo.queues.send(name="work", message={"prompt": "one", "path": "t"})
            thread = (await first.turn(0)).thread_id
            await ana.send("thread.open", thread_id=thread)
            await bo.queues.send(name="work", message={"prompt": "two", "path": "t"})
            while (await ana.wait("turn.start.accepted"))["content"][0]["text"] != "two":
                pass
        async with agent_in(server, tmp_path, [second], channels=CHANNELS):
            turn = await second.turn(0)
            assert turn.text == "two"
            turn.answer("done")
    assert [turn.text for turn in (*first.turns, *second.turns)] == ["one", "two"]
