"""Turns of the llm backend in all three dialects, with the scripted model over real HTTP."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from backends.llm.efforts import effort_lines
from process_agent.core import events as e
from process_agent.core.backend import AgentMessage, HistoryItem, ToolCall, UserMessage
from process_agent.core.content import ErrorInfo, FilePart, JsonResult, TextPart, TextResult
from process_agent.core.ids import ItemId
from process_agent.core.models import ModelChoice
from process_agent.core.requests import ClientTool
from process_agent.core.tools import ToolkitSpec, ToolOutput, ToolSpec
from process_agent.errors import TurnRefusedError
from tests.contract.codex_room import script
from tests.fakes.llm_room import MODELS, LlmRoom, llm_room

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
IMAGE = FilePart(f"data:image/png;base64,{base64.b64encode(PIXEL).decode()}", "dot.png")


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[LlmRoom]:
    async with llm_room(tmp_path) as running:
        yield running


@pytest.fixture(params=["responses", "messages", "chat"])
def model(request: pytest.FixtureRequest) -> ModelChoice:
    return MODELS[request.param]


def sent(room: LlmRoom, request: int = -1) -> str:
    return str(room.model.requests[request].body)


async def test_a_turn_tells_text_and_usage_and_ends_once(room: LlmRoom, model: ModelChoice) -> None:
    told = await room.turn(await room.thread(), "say 7 7 7 and ha ha ha", model=model)
    assert told.text == "7 7 7 and ha ha ha"
    assert told.end.reason is e.EndReason.COMPLETED
    [usage] = told.of(e.UsageUpdated)
    assert usage.usage.input > 0
    assert usage.usage.output > 0
    assert usage.context is not None
    starts, ends = told.of(e.TextStarted), told.of(e.TextEnded)
    assert [start.item_id for start in starts] == [end.item_id for end in ends]
    assert room.model.requests[-1].body["model"] == model.model


async def test_reasoning_is_shown_and_given_back_to_who_made_it_only(
    room: LlmRoom, model: ModelChoice
) -> None:
    thread = await room.thread()
    told = await room.turn(thread, "think about cats", model=model)
    thought = "".join(delta.text for delta in told.of(e.ReasoningDelta))
    assert thought.startswith("**Thinking about cats**")
    assert len(told.of(e.ReasoningStarted)) == len(told.of(e.ReasoningEnded)) == 1
    await room.turn(thread, "say on", model=model)
    assert sent(room).count("**Thinking about cats**") == 1
    other = next(choice for choice in MODELS.values() if choice != model)
    await room.turn(thread, "say on", model=other)
    assert "**Thinking about cats**" not in sent(room)
    assert sent(room).count("I thought about cats") == 1


async def test_reasoning_that_led_to_nothing_is_not_given_back(room: LlmRoom, model: ModelChoice) -> None:
    """Providers refuse it, with this turn and all later ones."""
    thread = await room.thread()
    cut = script({"think": "I wonder"}, {"fault": "incomplete", "code": "max_output_tokens"})
    told = await room.turn(thread, cut, model=model)
    assert told.end.error is not None
    assert told.end.error.code == "output_limit_reached"
    assert [delta.text for delta in told.of(e.ReasoningDelta)]
    await room.turn(thread, "say on", model=model)
    said = room.model.requests[-1].body
    entries = said.get("input") or said["messages"]
    kept = [entry for entry in entries if entry.get("role") == "assistant" or "reasoning" in str(entry)]
    assert kept == []


async def test_a_model_that_does_not_reason_is_given_no_reasoning_of_its_provider(room: LlmRoom) -> None:
    thread, plain = await room.thread(), ModelChoice("llm", "openai", "gpt-4.1")
    await room.turn(thread, "think about cats", model=MODELS["responses"])
    await room.turn(thread, "say on", model=plain)
    assert "**Thinking about cats**" not in sent(room)
    assert sent(room).count("I thought about cats") == 1
    await room.turn(thread, "say on", model=MODELS["responses"])
    assert sent(room).count("**Thinking about cats**") == 1


async def test_images_and_text_files_reach_the_model(room: LlmRoom, model: ModelChoice) -> None:
    notes = FilePart("data:text/plain;base64," + base64.b64encode(b"remember the milk").decode(), "notes.txt")
    broken = FilePart("data:image/png;base64,AAAA", "broken.png")
    await room.turn(await room.thread(), "say ok", files=[IMAGE, notes, broken], model=model)
    body = sent(room)
    assert base64.b64encode(PIXEL).decode() in body
    assert "remember the milk" in body
    assert "no PNG, JPEG, GIF or WebP" in body


async def test_the_next_turn_knows_the_conversation_once(room: LlmRoom, model: ModelChoice) -> None:
    thread = await room.thread([UserMessage((TextPart("my cat is Ada"),), "eva"), AgentMessage("Nice.")])
    await room.turn(thread, "say one-answer", model=model)
    told = await room.turn(thread, "what did I say first?", model=model)
    assert told.text == "The first thing you said was: my cat is Ada"
    assert sent(room).count("my cat is Ada") == sent(room).count("'one-answer'") == 1


async def test_calls_of_another_backend_are_known_with_their_output(
    room: LlmRoom, model: ModelChoice
) -> None:
    ref = e.ToolRef("i1", "codex", "shell", "codex")  # type: ignore[arg-type]
    diff = e.ToolRef("i2", "codex", "diff_updated", "codex")  # type: ignore[arg-type]
    history: list[HistoryItem] = [
        UserMessage((TextPart("run it"),), "eva"),
        ToolCall(ref, {"command": "make it-so"}, result=JsonResult({"stdout": "engaged"})),
        ToolCall(diff, {"diff": "the same again"}, result=TextResult("")),
        AgentMessage("Done."),
    ]
    told = await room.turn(await room.thread(history), "say ok", model=model)
    assert told.end.reason is e.EndReason.COMPLETED
    assert sent(room).count("make it-so") == sent(room).count("engaged") == 1
    assert "the same again" not in sent(room)


def weather() -> ClientTool:
    return ClientTool("weather", {"type": "object", "properties": {"city": {"type": "string"}}})


async def test_tools_of_the_client_run_side_by_side(room: LlmRoom, model: ModelChoice) -> None:
    thread = await room.thread()
    asked: list[e.ClientToolRequested] = []

    async def answer(event: e.BackendEvent) -> None:
        if isinstance(event, e.ClientToolRequested):
            asked.append(event)
        if len(asked) == 2 and isinstance(event, e.ClientToolRequested):
            assert await thread.answer(asked[1].ask_id, ErrorInfo("no such town", "unknown"))
            assert await thread.answer(asked[0].ask_id, TextResult("sunny in Rome"))
            assert not await thread.answer(asked[0].ask_id, TextResult("again"))

    calls = [{"call": "weather", "arguments": {"city": city}} for city in ("Rome", "Atlantis")]
    prompt = script({"together": calls}, {"report": True})
    told = await room.turn(thread, prompt, answer, client_tools=(weather(),), model=model)
    assert told.text == "sunny in Rome\nno such town"
    assert [event.arguments for event in asked] == [{"city": "Rome"}, {"city": "Atlantis"}]
    results = {end.ref.call_id: (end.result, end.error) for end in told.of(e.ToolEnded)}
    assert len(results) == 2
    assert len(told.of(e.ToolStarted)) == 2
    assert "".join(d.delta for d in told.of(e.ToolArguments)).count("city") == 2
    assert room.model.total_requests == 2


async def test_a_tool_that_is_not_there_and_arguments_that_are_none(
    room: LlmRoom, model: ModelChoice
) -> None:
    prompt = script({"call": "nothing"}, {"call": "weather", "arguments": "{broken"}, {"say": "sorry"})
    told = await room.turn(await room.thread(), prompt, client_tools=(weather(),), model=model)
    assert told.text == "sorry"
    codes = [end.error.code for end in told.of(e.ToolEnded) if end.error]
    assert codes == ["unknown_tool", "invalid_arguments"] or model.provider == "anthropic"
    assert told.end.reason is e.EndReason.COMPLETED


async def test_a_tool_of_the_client_that_cannot_be_offered_ends_the_turn(room: LlmRoom) -> None:
    bad = ClientTool("not a name", {})
    told = await room.turn(await room.thread(), "say hi", client_tools=(bad,))
    assert told.end.error is not None
    assert told.end.error.code == "invalid_client_tool"
    assert room.model.total_requests == 0


class Box:
    toolkits = (ToolkitSpec("garden", "the garden", (ToolSpec("water", "water it", {"type": "object"}),)),)

    def __init__(self) -> None:
        self.called: list[tuple[str, str, Any]] = []

    def shown(self, ref: e.ToolRef, arguments: Any) -> Any:
        return arguments

    async def call(self, ref: e.ToolRef, arguments: Any) -> ToolOutput:
        self.called.append((ref.toolkit, ref.tool, dict(arguments)))
        return ToolOutput(TextResult("watered"), (IMAGE.url,))


async def test_tools_that_the_agent_runs(room: LlmRoom, model: ModelChoice) -> None:
    box = Box()
    prompt = script({"call": "garden__water", "arguments": {"litres": 3}}, {"report": True})
    told = await room.turn(await room.thread(), prompt, toolbox=box, model=model)
    assert box.called == [("garden", "water", {"litres": 3})]
    assert "watered" in told.text
    assert base64.b64encode(PIXEL).decode() in sent(room)
    [end] = told.of(e.ToolEnded)
    assert end.result == TextResult("watered")


async def test_a_steer_is_confirmed_with_the_request_that_has_it(room: LlmRoom, model: ModelChoice) -> None:
    thread = await room.thread()
    steers, requests = list[asyncio.Future[None]](), list[int]()

    async def steer(event: e.BackendEvent) -> None:
        if isinstance(event, e.TextDelta) and not steers:
            for text in ("and this", "say and that too"):
                steers.append(asyncio.ensure_future(thread.steer((TextPart(text),), "eva")))
            steers[-1].add_done_callback(lambda _: requests.append(room.model.total_requests))
        elif isinstance(event, e.TextEnded) and not requests:
            assert not any(each.done() for each in steers), "the first request does not have them"

    told = await room.turn(thread, "say this", steer, model=model)
    assert told.text == "this\nand that too"
    await asyncio.gather(*steers)
    assert (requests, room.model.total_requests) == ([1], 2)
    assert sent(room).index("and this") < sent(room).index("and that too")
    with pytest.raises(TurnRefusedError):
        await thread.steer((TextPart("too late"),), "eva")
    await room.turn(thread, "say on", model=model)
    assert sent(room).count("and that too") == 2  # the steer, and the answer to it


@pytest.mark.parametrize("stopped", [True, False])
async def test_a_steer_that_no_request_had_is_refused_and_not_told_later(
    room: LlmRoom, model: ModelChoice, *, stopped: bool
) -> None:
    thread = await room.thread()
    steers: list[asyncio.Future[None]] = []

    async def steer(event: e.BackendEvent) -> None:
        if isinstance(event, e.TextDelta) and not steers:
            steers.append(asyncio.ensure_future(thread.steer((TextPart("a wish nobody heard"),), "eva")))
            await asyncio.sleep(0)  # it begins
            if stopped:
                await thread.interrupt()

    cut = script({"say": "so far"}, {"fault": "incomplete", "code": "max_output_tokens"})
    prompt = "go silent" if stopped else cut
    told = await room.turn(thread, prompt, steer, model=model)
    assert told.end.reason is (e.EndReason.INTERRUPTED if stopped else e.EndReason.FAILED)
    with pytest.raises(TurnRefusedError) as refused:
        await steers[0]
    assert refused.value.code == "turn_ended"
    await room.turn(thread, "say on", model=model)
    assert "a wish nobody heard" not in sent(room)


async def test_an_interrupt_closes_the_upstream_at_once(room: LlmRoom, model: ModelChoice) -> None:
    thread = await room.thread()

    async def stop(event: e.BackendEvent) -> None:
        if isinstance(event, e.TextDelta):
            await thread.interrupt()

    told = await room.turn(thread, "go silent", stop, model=model)
    assert told.end == e.TurnEnded(e.EndReason.INTERRUPTED)
    assert len(told.of(e.TextEnded)) == 1
    await room.model.requests[-1].over.wait()
    assert not room.model.requests[-1].answered
    again = await room.turn(thread, "what did I say first?", model=model)
    assert again.text == "The first thing you said was: go silent"
    assert sent(room).count("This goes well until") == 1


async def test_an_interrupt_while_the_client_works_ends_its_call(room: LlmRoom, model: ModelChoice) -> None:
    thread = await room.thread()

    async def stop(event: e.BackendEvent) -> None:
        if isinstance(event, e.ClientToolRequested):
            await thread.interrupt()

    prompt = script({"call": "weather", "arguments": {}}, {"say": "never"})
    told = await room.turn(thread, prompt, stop, client_tools=(weather(),), model=model)
    assert told.end.reason is e.EndReason.INTERRUPTED
    [end] = told.of(e.ToolEnded)
    assert end.error is not None
    assert len(told.of(e.ClientToolCancelled)) == 1
    again = await room.turn(thread, "say next", model=model)  # providers refuse calls without an output
    assert again.end.reason is e.EndReason.COMPLETED


async def test_compaction_leaves_a_summary_and_what_people_said(room: LlmRoom, model: ModelChoice) -> None:
    thread = await room.thread()
    nothing = await room.turn(thread, None, compact=True, model=model)
    assert nothing.end.error is not None
    assert nothing.end.error.code == "nothing_to_compact"
    await room.turn(thread, "say a-long-answer", model=model)
    told = await room.turn(thread, None, compact=True, model=model)
    [compacted] = told.of(e.ContextCompacted)
    assert not compacted.automatic
    assert compacted.summary is not None
    assert compacted.summary.startswith("Summary by the scripted model")
    await room.turn(thread, "say next", model=model)
    body = sent(room)
    assert body.count("Summary by the scripted model") == 1
    assert "'a-long-answer'" not in body


async def test_a_conversation_that_does_not_fit_is_summarised_and_the_thread_says_so(
    room: LlmRoom, model: ModelChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = count(1)  # a conversation that was summarised is another request, and its first attempt
    monkeypatch.setattr(room.model, "_attempt", lambda seed: next(attempts))
    thread = await room.thread()
    await room.turn(thread, "say earlier", model=model)
    full = {"fault": 400, "code": "context_length_exceeded", "message": "prompt is too long", "times": 1}
    told = await room.turn(thread, script(full, {"say": "it fits now"}), model=model)
    assert [event.automatic for event in told.of(e.ContextCompacted)] == [True]
    assert told.text == "it fits now"
    never = {"fault": 400, "code": "context_length_exceeded", "message": "prompt is too long"}
    told = await room.turn(thread, script(never), model=model)
    assert told.end.error is not None
    assert told.end.error.code == "context_window_exceeded"


async def test_who_speaks_is_told_once_several_do(room: LlmRoom, model: ModelChoice) -> None:
    thread = await room.thread([UserMessage((TextPart("my cat is Ada"),), "ada")])
    await room.turn(thread, "say one", model=model)
    assert "[From" not in sent(room)
    await thread.close()
    thread = await room.thread([UserMessage((TextPart("my cat is Bob"),), "eva")])
    told = await room.turn(thread, "what did I say first?", model=model)
    assert told.text == "The first thing you said was: my cat is Bob"
    assert sent(room).count('[From "ada", ') == sent(room).count('are from "eva"') == 1
    thread = await room.thread([UserMessage((TextPart(f"I am {who}"),), who) for who in ("eva", "ada")])
    await room.turn(thread, "say hello", model=model)
    assert sent(room).count('[From "eva"]') == sent(room).count('[From "ada"]') == 1


async def test_rules_instructions_effort_and_schema_are_told(room: LlmRoom, model: ModelChoice) -> None:
    schema = {"type": "object", "properties": {"cats": {"type": "integer"}}}
    await room.turn(
        await room.thread(),
        "say ok",
        model=model,
        rules="Never say dog.",
        instructions="Be brief, this once.",
        effort=None if model.provider == "kimi" else "high",
        output_schema=schema,
    )
    for once in ("Never say dog.", "Be brief, this once.", "'cats'"):
        assert sent(room).count(once) == 1
    assert "high" in sent(room) or "budget_tokens" in sent(room) or model.provider == "kimi"


GROK = ModelChoice("llm", "grok", "grok-4.3")


async def test_a_level_that_a_model_has_is_sent_and_another_is_refused(tmp_path: Path) -> None:
    models = (GROK, ModelChoice("llm", "grok", "grok-build-0.1"), ModelChoice("llm", "ollama", "q"))
    async with llm_room(tmp_path, models=models, effort="medium") as room:
        thread = await room.thread()
        for model, effort in zip(models, ("medium", None, "medium"), strict=True):
            await room.turn(thread, "say ok", model=model)
            assert room.model.requests[-1].body.get("reasoning_effort") == effort
        asked = len(room.model.requests)
        for model, says in ((GROK, "it has none, low"), (models[1], "takes no reasoning effort")):
            told = await room.turn(thread, "say ok", model=model, effort="max")
            assert told.end.error is not None
            assert told.end.error.code == "unknown_effort"
            assert says in told.end.error.message
        assert len(room.model.requests) == asked
        assert dict(effort_lines(room.backend._offer, "medium")) == {
            "reasoning effort": "medium, not for grok/grok-build-0.1 (takes none)"
        }


async def test_what_a_model_needs_before_calls_is_there_after_a_restart(room: LlmRoom) -> None:
    call = ToolCall(e.ToolRef(ItemId("i"), "shell", "shell"), {}, result=TextResult("done"))
    thread = await room.thread([UserMessage((TextPart("go"),), None), call])
    await room.turn(thread, "say ok", model=MODELS["chat"])
    [calling] = [m for m in room.model.requests[-1].body["messages"] if "tool_calls" in m]
    assert calling["reasoning_content"] == " "


async def test_titles_are_made_where_a_script_has_one(room: LlmRoom) -> None:
    assert await room.backend.title(script({"title": "Cats"}, {"say": "x"})) == "Cats"
