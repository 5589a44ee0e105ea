"""Threads from before `--thread-isolation participant`: nobody gets another's by coming first."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tests.contract.agent_room import AGENT, agent_in, chat_client
from tests.fakes.backend import FakeBackend
from tests.fakes.program import Loaded
from tests.fakes.room import ROOM, LocalRoom


async def test_threads_from_before_go_to_who_began_them_or_to_whom_the_operator_says(
    server: LocalRoom, tmp_path: Path
) -> None:
    backend = FakeBackend()
    async with (
        agent_in(server, tmp_path, [backend]),
        chat_client(server, "ana") as ana,
        chat_client(server, "ben") as ben,
    ):
        await ana.say("thread.start", "ana's secret")
        hers = (await ana.wait("thread.started"))["thread_id"]
        (await backend.turn(0)).end()
        await ana.wait("turn.ended")
        await ben.say("turn.start", "ben was here", thread_id=hers)
        (await backend.turn(1)).end()
        await ben.wait("turn.ended")
        await ben.send("thread.start")
        empty = (await ben.wait("thread.started"))["thread_id"]
    operator = Loaded(
        tmp_path / "home", MESHAGENT_API_URL=server.url, MESHAGENT_TOKEN=server.token("operator", "user")
    )

    async def process(*words: str) -> tuple[int, str]:
        done = await asyncio.to_thread(operator.run, f"threads {words[0]} --room {ROOM}", *words[1:])
        return done.returncode, done.stdout + done.stderr

    async with (
        agent_in(server, tmp_path, [FakeBackend()], isolation="participant"),
        chat_client(server, "ben") as ben,
        chat_client(server, "ana") as ana,
    ):
        for thread in (hers, empty):
            await ben.send("thread.open", thread_id=thread, load=True)
            assert (await ben.wait("thread.event"))["event"]["error"]["code"] == "thread_not_available"
            await ben.say("turn.start", "mine now", thread_id=thread)
            refused = await ben.wait("turn.start.rejected")
            assert refused["error"]["code"] == "thread_not_available"
        await ana.send("thread.open", thread_id=hers, load=True)
        assert (await ana.wait("turn.start"))["content"][0]["text"] == "ana's secret"
        assert not [x for x in ben.got if "secret" in str(x)]
        code, listed = await process("owners", "--json", "--agent-name", AGENT)
        rows = [json.loads(line) for line in listed.splitlines()]
        assert (code, {x["path"]: x["owner"] for x in rows}) == (0, {hers: "name:ana", empty: None})
        code, said = await process("assign", hers, "ben")
        assert (code, "is ana's, and stays so" in said) == (2, True)
        assert (await process("assign", empty, "ben"))[0] == 0
        await ben.send("thread.list")
        assert [x["path"] for x in (await ben.wait("thread.listed"))["threads"]] == [empty]
        await ben.send("thread.open", thread_id=empty, load=True)
        await ben.wait("thread.loaded", thread_id=empty)
