"""The published Python chat client with others: models, approvals, restarts, commands, what they share."""

from __future__ import annotations

from pathlib import Path

import pytest

from process_agent.core import events as e
from process_agent.core.content import Json, JsonResult
from process_agent.core.decisions import EVERY, Decision
from process_agent.core.ids import AskId, ItemId
from process_agent.core.requests import Secret
from tests.contract.agent_room import AGENT, agent_in
from tests.contract.published.install import for_published
from tests.contract.published.program import Program, PublishedError, joined
from tests.fakes.backend import FakeBackend
from tests.fakes.room import LocalRoom

pytestmark = for_published
both_transports = pytest.mark.parametrize("streams", [True, False], ids=["streams", "unary"])


async def test_the_model_of_one_thread(published: Program, server: LocalRoom, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with (
        agent_in(server, tmp_path, [backend]),
        joined(published, server, "ana") as ana,
        joined(published, server, "ben") as ben,
    ):
        session = await ana.start("hello")
        (await backend.turn(0)).end()
        await ana.wait("turn.ended")
        (provider,) = (await session.do("models"))["providers"]
        assert (provider["backend"], provider["name"]) == ("codex", "openai")
        assert [model["name"] for model in provider["models"]] == ["gpt-5.5", "gpt-5.5-mini"]
        changed = await session.do("change_model", backend="codex", provider="openai", model="gpt-5.5-mini")
        assert changed["model"] == "gpt-5.5-mini"
        seen = await ben.open(await session.path(), load=True)
        await ben.wait("thread.loaded")
        assert (await seen.state())["model"]["model"] == "gpt-5.5-mini"
        asked = seen.doing("ask", text="which one are you?")
        turn = await backend.turn(1)
        assert turn.input.model.model == "gpt-5.5-mini"
        turn.answer("the small one", "second")
        assert await asked == "the small one"
    async with (
        agent_in(server, tmp_path, [again := FakeBackend()]),
        joined(published, server, "cleo") as cleo,
    ):
        later = await cleo.open(changed["thread_id"])
        asked = later.doing("ask", text="and after a restart?")
        turn = await again.turn(0)
        assert turn.input.model.model == "gpt-5.5-mini"
        turn.answer("still the small one")
        assert await asked == "still the small one"


async def test_a_model_nobody_has_is_refused(published: Program, server: LocalRoom, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with agent_in(server, tmp_path, [backend]), joined(published, server, "ana") as ana:
        session = await ana.start("hello")
        (await backend.turn(0)).end()
        await ana.wait("turn.ended")
        with pytest.raises(PublishedError) as error:
            await (await ana.open(await session.path())).do("ask", text="try", model="a-model-of-the-future")
        assert error.value.code == "unknown_model"
        asked = await ana.send("thread.start", content=[{"type": "text", "text": "x"}], model="none-such")
        assert (await ana.wait("turn.start.rejected", source_message_id=asked))["error"][
            "code"
        ] == "unknown_model"
        kinds = [x["type"] for x in ana.got if x.get("source_message_id") == asked]
        assert sorted(kinds) == [
            "meshagent.agent.thread.start.rejected",
            "meshagent.agent.turn.start.rejected",
        ]
        thread = await session.path()
        changed = await ana.send("model.change", thread_id=thread, model="none-such")
        event = (await ana.wait("thread.event"))["event"]
        assert (event["source_message_id"], event["error"]["code"]) == (changed, "unknown_model")
        assert len(backend.turns) == 1


async def test_approvals_by_any_viewer(published: Program, server: LocalRoom, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with (
        agent_in(server, tmp_path, [backend]),
        joined(published, server, "ana") as ana,
        joined(published, server, "ben") as ben,
    ):
        session = await ana.session()
        asked = session.doing("ask", text="delete everything")
        turn = await backend.turn(0)
        await ana.wait("turn.started")
        thread, turn_id = await session.path(), turn.input.turn_id
        seen = await ben.open(thread)
        for number, kind in enumerate(("approve", "reject")):
            ref = e.ToolRef(ItemId(f"shell {number}"), "codex", "shell", "codex")
            turn.say(e.ToolStarted(ref, {"command": "rm -rf ."}))
            turn.say(e.ApprovalRequested(ref, {"command": "rm -rf ."}))
            wanted = await ben.wait("tool_call.approval_requested")
            assert wanted["arguments"] == {"command": "rm -rf ."}
            await ana.wait("thread.status", status="Waiting for approval")
            ids = {"thread_id": thread, "turn_id": turn_id, "item_id": wanted["item_id"]}
            answer = {"type": f"meshagent.agent.tool_call.{kind}", **ids}
            await seen.do("send", body=answer)
            await ana.wait("tool_call.log_delta", item_id=wanted["item_id"])
            turn.say(e.ToolEnded(ref))
        turn.answer("done")
        said = await asked
        assert said.startswith("**codex-agent asks to run a command** (request 1)\n\n```sh\nrm -rf .\n```")
        assert "Approved by ben (the command `rm -rf .`)." in said
        assert said.endswith("Declined by ben (the command `rm -rf .`).done")
        assert [(item, decision.name) for item, decision in turn.decisions] == [
            ("shell 0", "ACCEPT"),
            ("shell 1", "DECLINE"),
        ]


async def test_decisions_typed_in_a_client_without_cards(
    published: Program, server: LocalRoom, tmp_path: Path
) -> None:
    backend = FakeBackend()
    async with (
        agent_in(server, tmp_path, [backend]),
        joined(published, server, "ana") as ana,
        joined(published, server, "ben") as ben,
    ):
        session = await ana.session()
        asked = session.doing("ask", text="delete everything")
        turn = await backend.turn(0)
        await ana.wait("turn.started")
        seen = await ben.open(await session.path())
        ref = e.ToolRef(ItemId("shell"), "codex", "shell", "codex")
        command: dict[str, Json] = {"command": "rm -rf ."}
        turn.say(e.ToolStarted(ref, command), e.ApprovalRequested(ref, command, None, EVERY))
        await ana.wait("thread.status", status="Waiting for approval")
        said = await seen.do("ask", text="/approve session")
        assert said.endswith("Approved for the session: the command `rm -rf .`.")
        await ana.wait("tool_call.log_delta", item_id="shell")
        turn.say(e.ToolEnded(ref))
        turn.answer("done")
        assert (await asked).endswith("done")
        assert turn.decisions == [(ref.item_id, Decision.ACCEPT_FOR_SESSION)]


@both_transports
async def test_two_clients_in_one_thread(
    published: Program, server: LocalRoom, tmp_path: Path, streams: bool
) -> None:
    backend = FakeBackend()
    async with (
        agent_in(server, tmp_path, [backend]),
        joined(published, server, "ana", streams=streams) as ana,
        joined(published, server, "ben", streams=not streams) as ben,
    ):
        session = await ana.start("from ana")
        await backend.turn(0)
        seen = await ben.open(await session.path(), load=True)
        await ben.wait("thread.loaded")
        source = await seen.do("say", text="from ben", sender_name="ana")
        accepted = await ana.wait("turn.start.accepted", source_message_id=source)
        assert accepted["sender_name"] == "ben", "the room says who it is, not the message"
        backend.turns[0].answer("for ana", "first")
        (await backend.turn(1)).answer("for ben", "second")
        for one in (ana, ben):
            await one.wait("turn.ended", turn_id=backend.turns[1].input.turn_id)
        mine = {"ana": "me", "ben": "ben"}
        said = [("ana", "from ana"), ("ben", "from ben"), ("agent", "for ana"), ("agent", "for ben")]
        assert sorted(await session.shown()) == sorted((mine.get(who, who), text) for who, text in said)
        assert {who for who, _ in await seen.shown()} == {"ana", "agent"}
        texts = [x["text"] for x in ben.all("text_content.delta")]
        assert texts == [x["text"] for x in ana.all("text_content.delta")] == ["for ana", "for ben"]


async def test_a_tool_of_the_client(published: Program, server: LocalRoom, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with (
        agent_in(server, tmp_path, [backend]),
        joined(published, server, "ana") as ana,
        joined(published, server, "ben") as ben,
    ):
        session = await ana.session()
        await session.do("start_with_tool", text="use it", tool="echo")
        turn = await backend.turn(0)
        (offered,) = turn.input.client_tools
        assert (offered.name, offered.schema["required"]) == ("echo", ["text"])
        await ana.wait("turn.started")
        await ben.open(await session.path())
        await ben.wait("turn.started")
        turn.say(e.ClientToolRequested(AskId("ask"), "echo", {"text": "héllo"}))
        await turn.answered.wait()
        ((ask, answer),) = turn.answers
        assert ask == "ask"
        assert answer == JsonResult({"echo": "héllo", "for": "ana"})
        turn.end()
        await ben.wait("turn.ended")
        assert not ben.all("client_tool_call.requested"), "it is for the one who offers the tool"


async def test_a_secret_of_the_client(published: Program, server: LocalRoom, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with agent_in(server, tmp_path, [backend]), joined(published, server, "ana") as ana:
        session = await ana.start("log in")
        turn = await backend.turn(0)
        turn.say(e.SecretRequested(AskId("ask"), "API_KEY", "Your key, please"))
        wanted = await ana.wait("secret.requested")
        assert (wanted["secret_name"], wanted["prompt"]) == ("API_KEY", "Your key, please")
        ids = {"thread_id": await session.path(), "turn_id": wanted["turn_id"]}
        await ana.send("secret.response", **ids, request_id=wanted["request_id"], value="hunter2")
        await turn.answered.wait()
        ((_, answer),) = turn.answers
        assert isinstance(answer, Secret)
        assert answer.value == "hunter2"
        turn.end()
        await ana.wait("turn.ended")
        await ana.open(await session.path(), load=True)
        await ana.wait("thread.loaded")
        assert "hunter2" not in str(ana.got)


async def test_voice_is_refused(published: Program, server: LocalRoom, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with agent_in(server, tmp_path, [backend]), joined(published, server, "ana") as ana:
        session = await ana.start("hello")
        (await backend.turn(0)).end()
        await ana.wait("turn.ended")
        with pytest.raises(PublishedError) as error:
            await session.do("ask", text="sing", output_modalities=["audio"])
        assert error.value.code == "unsupported_modality"
        asked = session.doing("ask", text="say it", output_modalities=["text"])
        (await backend.turn(1)).answer("la la")
        assert await asked == "la la"


async def test_clear_and_inject(published: Program, server: LocalRoom, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with agent_in(server, tmp_path, [backend]), joined(published, server, "ana") as ana:
        session = await ana.start("remember")
        (await backend.turn(0)).answer("I do")
        await ana.wait("turn.ended")
        thread = await session.path()
        source = await ana.send("thread.clear", thread_id=thread)
        await ana.wait("thread.cleared", source_message_id=source)
        words = [{"type": "text", "text": text} for text in ("one", "two")]
        start = {"type": "meshagent.agent.turn.start", "thread_id": thread}
        await session.do("inject", bodies=[{**start, "content": [word]} for word in words])
        (await backend.turn(1)).answer("1", "first")
        (await backend.turn(2)).answer("2", "second")
        await ana.wait("turn.ended", turn_id=backend.turns[2].input.turn_id)
        assert [turn.text for turn in backend.turns] == ["remember", "one", "two"]
        assert backend.threads[-1].history == ()
        await session.do("close")
        again = await ana.open(thread, load=True)
        await ana.wait("thread.loaded")
        assert ("agent", "I do") not in await again.shown()


async def test_commands_as_plain_text(published: Program, server: LocalRoom, tmp_path: Path) -> None:
    backend = FakeBackend()
    async with agent_in(server, tmp_path, [backend]), joined(published, server, "ana") as ana:
        session = await ana.session()
        listed = await session.do("ask", text="/models")
        assert "gpt-5.5-mini" in listed
        assert "gpt-5.5-mini" in await session.do("ask", text="/model gpt-5.5-mini")
        assert (await session.state())["model"]["model"] == "gpt-5.5-mini"
        assert "/models" in await session.do("ask", text="/help")
        asked = session.doing("ask", text="/etc/passwd is what?")
        turn = await backend.turn(0)
        assert (turn.text, turn.input.model.model) == ("/etc/passwd is what?", "gpt-5.5-mini")
        turn.answer("a file")
        assert await asked == "a file"


async def test_the_attributes_by_which_clients_choose(
    published: Program, server: LocalRoom, tmp_path: Path
) -> None:
    async with agent_in(server, tmp_path, [FakeBackend()]), joined(published, server, "ana") as ana:
        connected = await ana.wait("connection.status")
        assert connected["status"] == "connected"
        assert AGENT in connected["message"]


async def test_commands_that_change_the_thread_as_plain_text(
    published: Program, server: LocalRoom, tmp_path: Path
) -> None:
    backend = FakeBackend()
    async with agent_in(server, tmp_path, [backend]), joined(published, server, "ana") as ana:
        session = await ana.session()
        assert "Nothing is running" in await session.do("ask", text="/stop")
        assert "started by your client" in await session.do("ask", text="/new")
        asked = session.doing("ask", text="remember this")
        (await backend.turn(0)).answer("I do")
        assert await asked == "I do"
        asked = session.doing("ask", text="work for long")
        turn = await backend.turn(1)
        await ana.wait("thread.status", mode="steerable")
        typed: list[Json] = [{"type": "text", "text": "/stop"}]
        stop = await ana.send("turn.start", thread_id=await session.path(), content=typed)
        with pytest.raises(PublishedError) as error:
            await asked
        assert error.value.code == "cancelled"
        assert turn.interrupted.is_set()
        ended = [m for m in ana.got if m["type"] == "meshagent.agent.turn.interrupt.accepted"]
        assert [m["source_message_id"] for m in ended] == [stop]
        asked = session.doing("ask", text="/compact")
        shortened = await backend.turn(2)
        assert shortened.input.compact
        shortened.say(e.ContextCompacted("c1", automatic=False))
        shortened.end()
        await ana.wait("context.compacted")
        assert isinstance(await asked, str)
        assert "was cleared" in await session.do("ask", text="/clear")
        await ana.wait("thread.cleared")
        asked = session.doing("ask", text="what do you remember?")
        (await backend.turn(3)).answer("nothing")
        assert await asked == "nothing"
        assert [played.text for played in backend.turns] == [
            "remember this",
            "work for long",
            "",  # what shortens is no message to a model
            "what do you remember?",
        ]
        assert backend.threads[-1].history == ()
