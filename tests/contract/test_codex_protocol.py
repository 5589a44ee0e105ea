"""What the agent protocol adds to a turn, with the real Codex: compaction, client tools, files, titles."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from backends.codex import titles
from process_agent.core.backend import AgentMessage, HistoryItem, UserMessage
from process_agent.core.content import ErrorInfo, FilePart, GeneratedImage, JsonResult, TextPart, TextResult
from process_agent.core.events import (
    BackendEvent,
    ClientToolCancelled,
    ClientToolRequested,
    ContextCompacted,
    EndReason,
    ImageCompleted,
    ImageStarted,
    ToolStarted,
    TurnEnded,
    UsageUpdated,
    Working,
)
from process_agent.core.ids import ItemId
from process_agent.core.models import ModelChoice
from process_agent.core.requests import ClientTool
from process_agent.errors import BackendError, TurnRefusedError
from process_agent.io.rpc import MAX_IN_FLIGHT
from tests.contract.codex_room import codex_room, script
from tests.unit.codex.replay import PNG

PICK = ClientTool("pick_colour", {"type": "object", "properties": {"of": {"type": "string"}}}, "Pick")
SLOW_TITLE = script({"title": "a name that takes its time", "every_ms": 60_000})
CALL = script({"call": "pick_colour", "arguments": {"of": "cars"}}, {"report": True})


# --- Compaction ----------------------------------------------------------------------------------


async def test_a_compaction_shortens_what_the_model_gets_and_says_how(tmp_path: Path) -> None:
    async with codex_room(tmp_path) as room:
        thread = await room.thread(
            [UserMessage((TextPart("My cat is Ada."),), "ada"), AgentMessage("Noted.")]
        )
        told = await room.turn(thread, None, compact=True)
        assert told.end == TurnEnded(EndReason.COMPLETED)
        (compacted,) = told.of(ContextCompacted)
        assert not compacted.automatic
        assert compacted.summary == "Summary by the scripted model. The user said:\n- My cat is Ada."
        assert Working("Compacting context", steerable=False) in told.events
        (usage,) = {event.usage.total for event in told.of(UsageUpdated)}
        assert usage > 0
        assert isinstance(told.events[told.events.index(compacted) + 1], UsageUpdated), "how full it is now"
        assert {event.text for event in told.of(Working)} == {"Compacting context"}

        await room.turn(thread, "say next")
        sent = room.sent()
        assert ("assistant", "Noted.") not in sent
        assert any(text.endswith(compacted.summary) for _, text in sent)
        assert sent[-1] == ("user", "say next")

        os.kill(room.app_server(), signal.SIGKILL)
        await room.turn(thread, "say again")
        texts = [text for _, text in room.sent()]
        assert texts[0] == "My cat is Ada."
        assert texts[1].endswith(compacted.summary)
        assert texts[2:] == ["say next", "next", "say again"]


async def test_nothing_is_compacted_where_nothing_was_said(tmp_path: Path) -> None:
    async with codex_room(tmp_path) as room:
        told = await room.turn(await room.thread(), None, compact=True)
        assert told.end == TurnEnded(EndReason.COMPLETED)
        assert not told.of(ContextCompacted)
        assert told.tools("notice")
        assert room.model.total_requests == 0


async def test_a_compaction_can_be_stopped_and_can_fail(tmp_path: Path) -> None:
    async with codex_room(tmp_path) as room:
        thread = await room.thread()
        await room.turn(thread, script({"when_compacted": [{"sleep_ms": 60_000}]}, {"say": "one"}))

        async def stop(event: BackendEvent) -> None:
            if isinstance(event, Working) and event.text == "Compacting context":
                await room.model.wait_for_requests(2)
                await thread.interrupt()

        told = await room.turn(thread, None, stop, compact=True)
        assert told.end == TurnEnded(EndReason.INTERRUPTED)
        assert not told.of(ContextCompacted)

        await room.turn(thread, script({"when_compacted": [{"fault": 400, "code": "bad"}]}, {"say": "two"}))
        told = await room.turn(thread, None, compact=True)
        assert told.end.reason is EndReason.FAILED
        assert not told.of(ContextCompacted)
        assert (await room.turn(thread, "say three")).text == "three"
        assert ("assistant", "one") in room.sent(), "nothing was forgotten"


async def test_a_compaction_is_made_by_the_model_chosen_for_it(tmp_path: Path) -> None:
    models = tuple(ModelChoice("codex", None, name) for name in ("one", "two"))
    async with codex_room(tmp_path, models=models) as room:
        thread = await room.thread()
        await room.turn(thread, "say hello")
        told = await room.turn(thread, None, compact=True, model=models[1])
        assert told.end == TurnEnded(EndReason.COMPLETED)
        assert [request.body["model"] for request in room.model.requests] == ["one", "two"]


async def test_a_message_does_not_steer_a_compaction(tmp_path: Path) -> None:
    async with codex_room(tmp_path) as room:
        thread = await room.thread()
        await room.turn(thread, script({"when_compacted": [{"sleep_ms": 60_000}]}, {"say": "one"}))

        async def steer(event: BackendEvent) -> None:
            if isinstance(event, Working) and event.text == "Compacting context":
                with pytest.raises(TurnRefusedError, match="being compacted"):
                    await thread.steer((TextPart("say two"),), "bob")
                await thread.interrupt()

        told = await room.turn(thread, None, steer, compact=True)
        assert told.end == TurnEnded(EndReason.INTERRUPTED)


async def test_a_full_context_is_compacted_by_itself_where_the_usage_says(tmp_path: Path) -> None:
    async with codex_room(tmp_path) as room:
        thread = await room.thread()
        told = await room.turn(thread, script({"tokens": 244_000}, {"say": "nearly full"}))
        context = told.of(UsageUpdated)[-1].context
        assert context is not None
        assert (context.total, context.compacts_at) == (258_400, 244_800)
        assert not (await room.turn(thread, script({"tokens": 244_900}, {"say": "full"}))).of(
            ContextCompacted
        )
        told = await room.turn(thread, "say room again")
        (compacted,) = told.of(ContextCompacted)
        assert compacted.automatic
        assert compacted.summary is not None
        assert (told.text, told.end.reason) == ("room again", EndReason.COMPLETED)


# --- Tools of the client ---------------------------------------------------------------------------


async def test_the_clients_tool_is_offered_asked_for_and_answered(tmp_path: Path) -> None:
    async with codex_room(tmp_path) as room:
        thread = await room.thread()
        asked: list[ClientToolRequested] = []

        async def answer(event: BackendEvent) -> None:
            if isinstance(event, ClientToolRequested):
                asked.append(event)
                answers: list[JsonResult | ErrorInfo] = [
                    JsonResult({"colour": "red"}),
                    ErrorInfo("no more colours", "empty"),
                ]
                assert await thread.answer(event.ask_id, answers[len(asked) - 1])
                assert not await thread.answer(event.ask_id, TextResult("twice"))

        told = await room.turn(thread, CALL, answer, client_tools=(PICK,))
        assert told.text == '{"colour": "red"}'
        assert [(event.tool, dict(event.arguments)) for event in asked] == [("pick_colour", {"of": "cars"})]
        ((start, ended),) = told.tools("pick_colour")
        assert (start.ref.toolkit, start.arguments, ended.result) == (
            "client",
            {"of": "cars"},
            TextResult('{"colour": "red"}'),
        )
        told = await room.turn(thread, CALL, answer, client_tools=(PICK,))
        assert told.text == "no more colours"
        ((_, ended),) = told.tools("pick_colour")
        assert ended.error == ErrorInfo("no more colours", "failed")
        assert len({event.ask_id for event in asked}) == 2


def tools_offered(body: dict[str, object]) -> set[str]:
    tools = body["tools"]
    assert isinstance(tools, list)
    return {str(tool.get("name")) for tool in tools}


async def test_tools_are_those_of_the_turn_and_the_history_stays(tmp_path: Path) -> None:
    other = ClientTool("other", {}, description="Does something else")
    async with codex_room(tmp_path) as room:
        thread = await room.thread()
        offered = []
        for number, tools in enumerate([(), (PICK,), (PICK,), (other, PICK), ()]):
            assert (await room.turn(thread, f"say {number}", client_tools=tools)).text == str(number)
            offered.append(tools_offered(room.model.requests[-1].body) & {"pick_colour", "other"})
        assert offered == [set(), {"pick_colour"}, {"pick_colour"}, {"pick_colour", "other"}, set()]
        said = [pair for n in range(5) for pair in [("user", f"say {n}"), ("assistant", str(n))]]
        assert room.sent() == said[:-1]
        keys = [request.body["prompt_cache_key"] for request in room.model.requests]
        assert keys[1] == keys[2], "the same tools need no other thread"
        assert len(set(keys)) == 4


@pytest.mark.parametrize("name", ["exec_command", "apply_patch", "bad name", "mcp__x__y", "x" * 65])
async def test_a_name_that_codex_cannot_take_fails_the_turn_with_the_reason(
    tmp_path: Path, name: str
) -> None:
    async with codex_room(tmp_path) as room:
        thread = await room.thread()
        told = await room.turn(thread, "say hello", client_tools=(ClientTool(name, {}),))
        assert told.end.error is not None
        assert told.end.error.code == "invalid_client_tool"
        assert name[:60] in told.end.error.message
        assert room.model.total_requests == 0
        assert (await room.turn(thread, "say on")).text == "on"


async def test_a_turn_that_waits_for_its_client_can_be_stopped(tmp_path: Path) -> None:
    async with codex_room(tmp_path) as room:
        thread = await room.thread()
        asked: list[ClientToolRequested] = []

        async def stop(event: BackendEvent) -> None:
            if isinstance(event, ClientToolRequested):
                asked.append(event)
                await thread.interrupt()

        async with asyncio.timeout(5):
            told = await room.turn(thread, CALL, stop, client_tools=(PICK,))
        assert told.end == TurnEnded(EndReason.INTERRUPTED)
        (cancelled,) = told.of(ClientToolCancelled)
        assert cancelled.ask_id == asked[0].ask_id
        ((_, ended),) = told.tools("pick_colour")
        assert ended.error is not None
        assert not await thread.answer(asked[0].ask_id, TextResult("late"))
        assert (await room.turn(thread, "say on", client_tools=(PICK,))).text == "on"


async def test_a_steer_while_the_client_is_waited_for(tmp_path: Path) -> None:
    """Codex waits for the tool and then reads the message."""
    async with codex_room(tmp_path) as room:
        thread = await room.thread()

        async def steer(event: BackendEvent) -> None:
            if isinstance(event, ClientToolRequested):
                await thread.steer((TextPart("say steered"),), "bob")
                assert await thread.answer(event.ask_id, TextResult("red"))

        told = await room.turn(thread, CALL, steer, client_tools=(PICK,))
        assert told.end == TurnEnded(EndReason.COMPLETED)
        assert told.text.endswith("steered")


# --- Instructions ----------------------------------------------------------------------------------


async def test_instructions_hold_for_their_turn_and_do_not_pile_up(tmp_path: Path) -> None:
    async with codex_room(tmp_path) as room:
        thread = await room.thread()
        seen = []
        for number, text in enumerate([None, "Answer in French.", "Answer in Greek.", None]):
            options: dict[str, Any] = {"instructions": text, "rules": "Always be brief."}
            assert (await room.turn(thread, f"say {number}", **options)).text == str(number)
            developer = [said for role, said in room.sent() if role == "developer"]
            assert [rules.count("Always be brief.") for rules in room.rules()] == [1]
            seen.append("\n".join(developer))
        assert [[language in text for language in ("French", "Greek")] for text in seen] == [
            [False, False],
            [True, False],
            [False, True],
            [False, False],
        ]
        assert [pair for pair in room.sent() if pair[0] != "developer"] == [
            pair for n in range(4) for pair in [("user", f"say {n}"), ("assistant", str(n))]
        ][:-1]


# --- Files and images ------------------------------------------------------------------------------


async def test_files_reach_the_model_as_what_they_are(tmp_path: Path) -> None:
    files = [
        FilePart(PNG, "a.png"),
        FilePart("data:text/plain;base64,aGVsbG8=", "b.txt"),
        FilePart("room:///docs/c.pdf", "c.pdf"),
    ]
    async with codex_room(tmp_path) as room:
        thread = await room.thread()
        told = await room.turn(thread, "say look", files=files)
        sent = [text for role, text in room.sent() if role == "user"]
        assert PNG in sent
        assert '<file name="b.txt">\nhello\n</file>' in sent
        assert "[The file c.pdf cannot be read here: it is at room:///docs/c.pdf.]" in sent
        assert PNG not in told.text, "our own message is not shown again"

        os.kill(room.app_server(), signal.SIGKILL)
        await room.turn(thread, "say again")
        assert ("user", PNG) in room.sent(), "a new Codex sees the image, too"


async def test_an_image_the_provider_makes_is_shown(tmp_path: Path) -> None:
    async with codex_room(tmp_path) as room:
        told = await room.turn(
            await room.thread(), script({"image": PNG.partition(",")[2], "prompt": "a cat"}, {"say": "there"})
        )
        (started,) = told.of(ImageStarted)
        (done,) = told.of(ImageCompleted)
        assert started.item_id == done.item_id != ItemId("")
        assert (dict(started.arguments), done.images) == (
            {"prompt": "a cat"},
            (GeneratedImage(PNG, "image/png", 1, 1),),
        )
        assert (told.text, told.end.reason) == ("there", EndReason.COMPLETED)


# --- Beside turns ----------------------------------------------------------------------------------


async def test_titles_are_made_on_a_thread_without_tools_only_when_a_script_asks(tmp_path: Path) -> None:
    titled = script({"title": '"Fix the demo"'}, {"say": "done"})
    async with codex_room(tmp_path) as room:
        assert await room.backend.title("say hello") is None
        assert room.model.total_requests == 0
        assert await room.backend.title(titled) == "Fix the demo"
        body = room.model.requests[-1].body
        assert body["tools"] == []
        assert body["reasoning"]["effort"] == "low"
        assert len(str(body["input"])) < 3_000
        assert (await room.turn(await room.thread(), titled)).text == "done"


async def test_a_title_that_fails_or_is_not_wanted_any_more_leaves_nothing(tmp_path: Path) -> None:
    async with codex_room(tmp_path) as room:
        with pytest.raises(BackendError, match="empty"):
            await room.backend.title(script({"title": "  "}))
        slow = asyncio.create_task(room.backend.title(SLOW_TITLE))
        request = await room.model.wait_for_requests(2)
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        await request.over.wait()
        assert not request.answered, "Codex was stopped, too"
        assert await room.backend.title(script({"title": "Again"})) == "Again"
        os.kill(room.app_server(), signal.SIGKILL)
        assert await room.backend.title(script({"title": "After a crash"})) == "After a crash"


async def test_a_title_has_a_time_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with codex_room(tmp_path) as room:
        monkeypatch.setattr(titles, "PATIENCE", 0.5)
        with pytest.raises(BackendError, match=r"within 0\.5 s"):
            await room.backend.title(SLOW_TITLE)
        request = await room.model.wait_for_requests(1)
        await request.over.wait()
        assert not request.answered


async def test_no_title_is_made_while_codex_has_as_many_requests_as_it_takes(tmp_path: Path) -> None:
    async with codex_room(tmp_path) as room, AsyncExitStack() as places:
        server = await room.backend.server()
        assert server._connection is not None
        for _ in range(MAX_IN_FLIGHT):
            await places.enter_async_context(server._connection._ordinary)
        with pytest.raises(BackendError, match="too busy"):
            await room.backend.title(script({"title": "x"}))
        assert room.model.total_requests == 0


async def test_what_codex_can_do_is_listed(tmp_path: Path) -> None:
    async with codex_room(tmp_path) as room:
        (toolkit,) = room.backend.toolkits()
        assert toolkit.name == "codex"
        assert [name for name, _ in toolkit.tools] == ["shell", "apply_patch", "plan", "view_image"]
        (provider,) = room.backend.models()
        (model,) = provider.models
        assert (model.context_window, model.accepts, model.pricing) == (258_400, ("image",), None)


async def test_usage_is_that_of_the_turn(tmp_path: Path) -> None:
    history: list[HistoryItem] = [UserMessage((TextPart("x" * 4_000),), None)]
    async with codex_room(tmp_path) as room:
        thread = await room.thread(history)
        used = []
        for _ in range(3):
            told = await room.turn(thread, script({"tokens": 500}, {"say": "abcd"}))
            used.append(told.of(UsageUpdated)[-1].usage)
        assert [(usage.input, usage.output) for usage in used] == [(500, 1)] * 3
        assert not [event for event in told.events if isinstance(event, ToolStarted)]
