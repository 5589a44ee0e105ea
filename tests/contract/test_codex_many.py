"""Many turns at once: an agent with the real Codex, a published client that asks, two cores."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from process_agent.scripted.server import ScriptedServer
from tests.contract.agent_room import ChatClient, agent_in, chat_client
from tests.contract.codex_room import script
from tests.fakes.room import LocalRoom

THREADS = 50
"""More than Codex is asked at once (32); the benchmarks have 200."""


async def test_a_hundred_turns_all_end_once_each_with_its_own_text(
    server: LocalRoom, model: ScriptedServer, tmp_path: Path
) -> None:
    """Fifty threads begin together, and each has another turn queued behind its first."""
    async with agent_in(server, tmp_path, model=model), chat_client(server, "ana") as ana:
        asked: dict[str, str] = {}
        for number in range(THREADS):
            slow = script({"sleep_ms": 1_500}, {"say": f"first {number}"})
            asked[await ana.say("thread.start", slow)] = f"first {number}"
        for number in range(THREADS):
            thread = (await ana.wait("thread.started"))["thread_id"]
            said = await ana.say("turn.start", f"say second {number}", thread_id=thread)
            asked[said] = f"second {number}"
        while len(ana.all("turn.ended")) < 2 * THREADS:
            await ana.wait("turn.ended")
        check(ana, asked)


def check(ana: ChatClient, asked: dict[str, str]) -> None:
    """Each message became a turn of its own, which ended once, well, with the text that was asked for."""
    turns = {told["source_message_id"]: told["turn_id"] for told in ana.all("turn.started")}
    assert turns.keys() == asked.keys()
    ended = ana.all("turn.ended")
    assert Counter(told["turn_id"] for told in ended) == dict.fromkeys(turns.values(), 1)
    assert {told["metadata"]["process"]["reason"] for told in ended} == {"completed"}
    texts: dict[str, str] = {}
    for told in ana.all("text_content.delta"):
        texts[told["turn_id"]] = texts.get(told["turn_id"], "") + told["text"]
    assert {said: texts[turn] for said, turn in turns.items()} == asked
