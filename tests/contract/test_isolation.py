"""Threads of each participant's own in the real local room, with the published client, over a restart."""

from __future__ import annotations

from pathlib import Path

from tests.contract.agent_room import agent_in, chat_client
from tests.contract.published.install import for_published
from tests.contract.published.program import Program, joined
from tests.fakes.backend import FakeBackend
from tests.fakes.room import LocalRoom

pytestmark = for_published


async def test_each_sees_its_own_threads_also_after_a_restart(
    published: Program, server: LocalRoom, tmp_path: Path
) -> None:
    backend = FakeBackend()
    async with (
        agent_in(server, tmp_path, [backend], isolation="participant"),
        joined(published, server, "ana", streams=True) as ana,
        joined(published, server, "ben", streams=True) as ben,
    ):
        for who in (ana, ben):
            await who.send("thread.watch")
        session = await ana.start("ana's secret")
        path = await session.path()
        (await backend.turn(0)).end()
        await ana.wait("turn.ended")
        await ana.wait("thread.updated")
        listed = await session.do("threads")
        assert [thread["path"] for thread in listed["threads"]] == [path]
        other = await ben.start("ben's own")
        (await backend.turn(1)).end()
        await ben.wait("turn.ended")
        assert [x["name"] for x in (await other.do("threads"))["threads"]] == ["ben's own"]
        told = [x["thread"]["path"] for kind in ("created", "updated") for x in ben.all(f"thread.{kind}")]
        assert set(told) == {await other.path()}
    backend = FakeBackend()
    async with (
        agent_in(server, tmp_path, [backend], isolation="participant"),
        chat_client(server, "ben") as ben_again,
        chat_client(server, "ana") as ana_again,
    ):
        await ben_again.send("thread.open", thread_id=path, load=True)
        refused = await ben_again.wait("thread.event")
        assert refused["event"]["error"]["code"] == "thread_not_available"
        await ben_again.say("turn.start", "let me in", thread_id=path)
        assert (await ben_again.wait("turn.start.rejected"))["error"]["code"] == "thread_not_available"
        await ben_again.send("thread.delete", thread_id=path)
        await ben_again.wait("thread.event")
        await ben_again.send("thread.list")
        assert (await ben_again.wait("thread.listed"))["total"] == 1
        await ana_again.send("thread.open", thread_id=path, load=True)
        assert (await ana_again.wait("turn.start"))["content"][0]["text"] == "ana's secret"
        await ana_again.say("turn.start", "go on", thread_id=path)
        (await backend.turn(0)).end()
        await ana_again.wait("turn.ended")
        secret = [x for x in ben_again.got if "secret" in str(x) or x.get("thread", {}).get("path") == path]
        assert not secret
