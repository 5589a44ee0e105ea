"""Rules of an agent in a room: flags, files in the room's storage, clients, several people in a thread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from process_agent.agent.standing_rules import RuleFile, RulesOptions
from process_agent.core.rules import Rules
from process_agent.scripted.server import ScriptedServer
from tests.contract.agent_room import ChatClient, agent_in, chat_client
from tests.contract.test_llm_switching import CLAUDE, KIMI, OPENAI, backends
from tests.fakes.room import local_room


def told(model: ScriptedServer) -> str:
    """The rules that the model was told last."""
    items = model.requests[-1].body["input"]
    parts = [str(part.get("text")) for item in items for part in item.get("content") or ()]
    return [text for text in parts if text.startswith("<collaboration_mode>")][-1]


async def turn(client: ChatClient, text: str, **fields: Any) -> str:
    """Run a turn; returns what was said in it."""
    before = len(client.texts())
    started = await client.say("turn.start", text, **fields)
    accepted = await client.wait("turn.start.accepted", source_message_id=started)
    ended = await client.wait("turn.ended", turn_id=accepted["turn_id"])
    assert "error" not in ended
    return client.texts()[before:]


async def test_rules_in_the_room_are_read_for_each_turn_and_people_are_told_apart(tmp_path: Path) -> None:
    rules = RulesOptions(Rules(("Be kind.",), {"boards": ("Use tables.",)}), (RuleFile("/team/rules.txt"),))
    async with (
        local_room(tmp_path) as server,
        ScriptedServer() as model,
        agent_in(server, tmp_path, model=model, rules=rules),
        server.client("ana") as storage,
        chat_client(server, "bo") as bo,
        chat_client(server, "cy", client="boards") as cy,
    ):
        await bo.send("thread.start")
        thread = {"thread_id": (await bo.wait("thread.started"))["thread_id"]}
        said = await turn(bo, "say one", **thread)
        assert said.startswith("The rules in /team/rules.txt cannot be read: it is missing.")
        assert said.endswith("one")
        assert "Be kind." in told(model)
        await storage.storage.upload(path="team/rules.txt", data=b"Be brief.\n", overwrite=True)
        assert (await turn(bo, "say two", **thread)).endswith("two")
        assert "Be kind.\nBe brief." in told(model)
        await storage.storage.upload(path="team/rules.txt", data=b"# now\nBe long.\n", overwrite=True)
        assert await turn(bo, "say three", **thread) == "three"
        assert "Be kind.\nBe long." in told(model)
        assert "Use tables." not in told(model)

        await cy.send("thread.open", **thread)
        assert await turn(cy, "say four", **thread) == "four"
        assert "Be kind.\nUse tables.\nBe long." in told(model)
        assert '[From "cy", ' in str(model.requests[-1].body["input"])
        assert "[From" not in str([*bo.got, *cy.got]), "nothing of it is on the wire"
        assert len({request.body["prompt_cache_key"] for request in model.requests}) == 1


@pytest.mark.parametrize("choice", [OPENAI, CLAUDE, KIMI], ids=lambda choice: choice["provider"])
async def test_a_language_model_is_told_edited_rules_and_instructions_in_its_next_turn(
    tmp_path: Path, choice: dict[str, str]
) -> None:
    files = (RuleFile("/team/rules.txt"), RuleFile("/team/how.md", "instructions"))
    rules = RulesOptions(Rules(("Be kind.",), {"boards": ("Use tables.",)}), files)
    async with local_room(tmp_path) as server, ScriptedServer() as model, server.client("ana") as storage:
        made = backends(model, tmp_path)[:1]

        async def write(name: str, text: str) -> None:
            await storage.storage.upload(path=f"team/{name}", data=text.encode(), overwrite=True)

        await write("rules.txt", "Be brief.\n")
        await write("how.md", "# Work slowly")
        async with (
            agent_in(server, tmp_path, made, rules=rules),
            chat_client(server, "bo") as bo,
            chat_client(server, "cy", client="boards") as cy,
        ):
            await bo.send("thread.start")
            thread = {"thread_id": (await bo.wait("thread.started"))["thread_id"], **choice}
            assert await turn(bo, "say one", **thread) == "one"
            assert {"Be kind.", "Be brief.", "# Work slowly"} <= set(_lines(model))
            await write("rules.txt", "Be long.\n")
            await write("how.md", "# Work fast")
            assert await turn(bo, "say two", **thread) == "two"
            now = {"Be kind.", "Be long.", "# Work fast"}
            assert now <= set(_lines(model))
            assert not {"Be brief.", "# Work slowly", "Use tables."} & set(_lines(model))
            await cy.send("thread.open", thread_id=thread["thread_id"])
            assert await turn(cy, "say three", **thread) == "three"
            assert {*now, "Use tables."} <= set(_lines(model))


def _lines(model: ScriptedServer) -> list[str]:
    """The lines that a language model was told with authority in the last request of a turn."""
    bodies = [each.body for each in model.requests]
    body = [each for each in bodies if "say " in str(each.get("input") or each["messages"])][-1]
    told = body.get("instructions") or body.get("system")
    if told is None:
        told = [each["content"] for each in body["messages"] if each["role"] in ("system", "developer")]
    texts = [told] if isinstance(told, str) else [_text(each) for each in told]
    return "\n".join(texts).splitlines()


def _text(part: Any) -> str:
    return str(part["text"]) if isinstance(part, dict) else str(part)
