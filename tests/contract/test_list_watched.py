"""Clients that write the list of threads by themselves, in the real local room: watchers hear of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from process_agent.threads.schema import INDEX
from tests.contract.agent_room import AGENT, agent_in, chat_client
from tests.fakes.backend import FakeBackend
from tests.fakes.room import LocalRoom

FOLDER = ["agents", AGENT, "threads"]
THEIRS = f"dataset://agents/{AGENT}/threads/made-by-a-client"


async def put(datasets: Any, name: str, path: str = THEIRS) -> None:
    at = "2026-01-01T10:00:00.000000Z"
    row = {"path": path, "name": name, "created_at": at, "modified_at": at}
    rows = pa.Table.from_pylist([row], schema=INDEX)
    await datasets.merge(table="index", on="path", records=rows, namespace=FOLDER)


async def test_watchers_hear_of_it_and_a_removed_thread_stops(server: LocalRoom, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with (
        agent_in(server, tmp_path, [backend]),
        chat_client(server, "ana") as ana,
        server.client("app") as app,
    ):
        await ana.send("thread.watch")
        await ana.say("thread.start", "work")
        thread = (await ana.wait("thread.started"))["thread_id"]
        turn = await backend.turn(0)
        await put(app.datasets, "by a client")
        assert (await ana.wait("thread.created", thread=_Named(THEIRS)))["thread"]["name"] == "by a client"
        await put(app.datasets, "renamed")
        assert (await ana.wait("thread.updated", thread=_Named(THEIRS)))["thread"]["name"] == "renamed"
        for path in (THEIRS, thread):
            await app.datasets.delete(table="index", where=f"path = '{path}'", namespace=FOLDER)
            await ana.wait("thread.deleted", path=path)
        await turn.interrupted.wait()
        turn.end()
        assert (await ana.wait("turn.ended"))["error"]["code"] == "thread_deleted"
        await ana.send("thread.list")
        assert (await ana.wait("thread.listed"))["total"] == 0
        assert len(ana.all("thread.created")) == 2


async def test_our_own_changes_are_told_once_also_after_a_restart_of_the_room(
    server: LocalRoom, tmp_path: Path
) -> None:
    backend = FakeBackend()
    async with agent_in(server, tmp_path, [backend]):
        async with chat_client(server, "ana") as ana:
            await ana.say("thread.start", "work")
            thread = (await ana.wait("thread.started"))["thread_id"]
            (await backend.turn(0)).end()
            await ana.wait("turn.ended")
        await server.restart()
        async with chat_client(server, "ben") as ben, server.client("app") as app:
            await ben.send("thread.watch")
            await put(app.datasets, "after the restart")
            await ben.wait("thread.created")
            for name in ("one", "two"):
                await ben.send("thread.rename", thread_id=thread, name=name)
                await ben.wait("thread.updated")
            await put(app.datasets, "the last")
            await ben.wait("thread.updated", thread=_Named(THEIRS))
            told = [x["thread"]["name"] for x in ben.all("thread.updated")]
            assert told == ["one", "two", "the last"]


class _Named:
    """Equal to the list entry of this thread."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __eq__(self, other: object) -> bool:
        return isinstance(other, dict) and other.get("path") == self._path

    def __hash__(self) -> int:
        return hash(self._path)
