"""The npm client in Node, unmodified. It has no chat client: pages send and receive agent messages."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from process_agent.core import events as e
from process_agent.core.ids import ItemId
from tests.contract.agent_room import AGENT, PREFIX, agent_in
from tests.contract.published.install import for_published
from tests.contract.published.program import Participant, Program, PublishedError, joined, node_client
from tests.fakes.backend import FakeBackend
from tests.fakes.room import LocalRoom

pytestmark = for_published
ITEM = ItemId("answer")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with node_client(tmp_path_factory.mktemp("npm")) as started:
        yield started


async def say(ana: Participant, kind: str, text: str, **fields: object) -> str:
    source = str(uuid.uuid4())
    body = {
        "type": PREFIX + kind,
        "message_id": source,
        "content": [{"type": "text", "text": text}],
        **fields,
    }
    await ana.do("send", body=body, wrapped=fields.get("wrapped", False))
    return source


async def send(ana: Participant, kind: str, **fields: object) -> str:
    source = str(uuid.uuid4())
    await ana.do("send", body={"type": PREFIX + kind, "message_id": source, **fields})
    return source


async def test_a_conversation(program: Program, server: LocalRoom, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with agent_in(server, tmp_path, [backend]), joined(program, server, "ana") as ana:
        folder = f"dataset://agents/{AGENT}/threads"
        wanted = {
            "supports_agent_messages": True,
            "meshagent.chatbot.threading": "default-new",
            "meshagent.chatbot.thread-dir": folder,
            "meshagent.chatbot.thread-list": f"{folder}/index",
        }
        assert await ana.do("attributes", names=list(wanted)) == wanted
        source = await say(ana, "thread.start", "héllo 漢字")
        thread = (await ana.wait("thread.started", source_message_id=source))["thread_id"]
        turn = await backend.turn(0)
        assert turn.text == "héllo 漢字"
        turn.say(e.TextStarted(ITEM), *(e.TextDelta(ITEM, piece) for piece in ("1", "0", "0", " ha", " ha")))
        turn.say(e.TextEnded(ITEM))
        turn.end()
        ended = await ana.wait("turn.ended")
        assert "error" not in ended
        assert "".join(x["text"] for x in ana.all("text_content.delta")) == "100 ha ha"

        second = await say(ana, "turn.start", "wrapped as old clients do", thread_id=thread, wrapped=True)
        await ana.wait("turn.started", source_message_id=second)
        turn = await backend.turn(1)
        turn.say(e.TextStarted(ItemId("second")))
        await ana.wait("text_content.started")
        steer = await say(ana, "turn.steer", "faster", thread_id=thread, turn_id=turn.input.turn_id)
        await ana.wait("turn.steered", source_message_id=steer)
        stop = await send(ana, "turn.interrupt", thread_id=thread, turn_id=turn.input.turn_id)
        await ana.wait("turn.interrupt.accepted", source_message_id=stop)
        assert (await ana.wait("turn.ended"))["error"]["code"] == "cancelled"

        listing = await send(ana, "thread.list")
        listed = await ana.wait("thread.listed", source_message_id=listing)
        assert [entry["path"] for entry in listed["threads"]] == [thread]
        models = await send(ana, "models.request")
        assert (await ana.wait("models.response", source_message_id=models))["providers"]
        for number in range(3):
            await ana.do("send", body={"type": f"{PREFIX}unknown.{number}", "message_id": "m"})
        opened = await send(ana, "thread.open", thread_id=thread, load=True)
        await ana.wait("thread.loaded", source_message_id=opened)


async def test_the_history_as_react_reads_it(program: Program, server: LocalRoom, tmp_path: Path) -> None:
    """React shows a thread from the rows of its table, read with the dataset client of this package."""
    backend = FakeBackend()
    async with agent_in(server, tmp_path, [backend]), joined(program, server, "ana") as ana:
        await say(ana, "thread.start", "remember this")
        thread = (await ana.wait("thread.started"))["thread_id"]
        (await backend.turn(0)).answer("I do")
        await ana.wait("turn.ended")
        *namespace, table = thread.removeprefix("dataset://").split("/")
        select = ["sequence", "type", "turn_id", "item_id", "data"]
        rows = await ana.do("rows", table=table, namespace=namespace, select=select)
        rows.sort(key=lambda row: row["sequence"])
        assert len({row["sequence"] for row in rows}) == len(rows)
        kinds = [row["type"].removeprefix(PREFIX) for row in rows]
        assert kinds[:3] == ["turn.start", "turn.start.accepted", "turn.started"]
        assert kinds[-1] == "turn.ended"
        (delta,) = [json.loads(row["data"]) for row in rows if row["type"].endswith("text_content.delta")]
        assert delta["text"] == "I do"
        index = await ana.do("rows", table="index", namespace=namespace, select=["path", "name"])
        assert index == [{"path": thread, "name": "remember this"}]


async def test_it_comes_back_when_the_room_does(program: Program, server: LocalRoom, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with agent_in(server, tmp_path, [backend]), joined(program, server, "ana") as ana:
        await say(ana, "thread.start", "long work")
        thread = (await ana.wait("thread.started"))["thread_id"]
        turn = await backend.turn(0)
        await server.restart()
        await ana.do("rejoined")
        opened = await send(ana, "thread.open", thread_id=thread, load=True)
        await ana.wait("thread.loaded", source_message_id=opened)
        turn.answer("done")
        await ana.wait("turn.ended", turn_id=turn.input.turn_id)
        assert "".join(x["text"] for x in ana.all("text_content.delta")) == "done"


async def test_a_token_of_another_server_is_refused_at_once(
    program: Program, server: LocalRoom, tmp_path: Path
) -> None:
    ana = Participant(program, "ana")
    for token in ("not.a.token", server.token("ana", room="another"), ""):
        with pytest.raises(PublishedError, match="403"):
            await ana.do("join", url=server.ws_url(), token=token, agent=AGENT)
