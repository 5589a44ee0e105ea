"""The official SDKs and our readers, asking the scripted server over HTTP: it suits both.

What either makes of an answer is compared in full in `unit/wire/test_llm_judged`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import httpx
import openai
import pytest

from process_agent.core.providers import Dialect
from process_agent.scripted.server import ScriptedServer
from process_agent.wire.llm import events as e
from process_agent.wire.llm.dialects import CODECS, headers
from process_agent.wire.llm.request import (
    Call,
    CallOutput,
    Image,
    Message,
    ModelRequest,
    OfferedTool,
    OutputSchema,
    Text,
)
from tests.contract.codex_room import script

PIXEL = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
TOOL = OfferedTool("look", "look it up", {"type": "object", "properties": {"where": {"type": "string"}}})

PROMPTS = {
    "two calls": script(
        {"say": "Looking."},
        {"together": [{"call": "look", "arguments": {"where": w}} for w in ("here", "there")]},
    ),
    "cut off": script({"say": "half"}, {"fault": "incomplete", "code": "max_output_tokens"}),
}


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as running:
        yield running


def request(prompt: str) -> ModelRequest:
    return ModelRequest("m", (Message("user", (Text(prompt),)),), "Be brief.", tools=(TOOL,))


async def ours(server: ScriptedServer, dialect: Dialect, asked: ModelRequest) -> dict[str, Any]:
    root = server.base_url.removesuffix("/v1") if dialect == "messages" else server.base_url
    codec = CODECS[dialect]
    reader = codec.reader("me")
    events: list[e.StreamEvent] = []
    async with (
        httpx.AsyncClient() as client,
        client.stream(
            "POST",
            root + codec.path,
            headers=headers(dialect, server.api_key),
            content=codec.encode(asked),
        ) as answer,
    ):
        assert answer.status_code == 200, await answer.aread()
        async for piece in answer.aiter_raw():
            events += reader.feed(piece)
        events += reader.eof()
    end = events[-1]
    assert isinstance(end, e.Ended)
    usage = [event.usage for event in events if isinstance(event, e.Used)]
    return {
        "text": "".join(event.text for event in events if isinstance(event, e.TextDelta)),
        "reasoning": "".join(event.text for event in events if isinstance(event, e.ReasoningDelta)),
        "calls": [
            (event.call.call_id, event.call.name, json.loads(event.call.arguments))
            for event in events
            if isinstance(event, e.CallDone)
        ],
        "cut": end.reason is e.StopReason.LENGTH,
        "output": usage[-1].output if usage else 0,
    }


async def of_responses(server: ScriptedServer, body: dict[str, Any]) -> dict[str, Any]:
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key=server.api_key) as client:
        stream = await client.responses.create(**body)
        deltas = {"text": "", "reasoning": ""}
        async for event in stream:
            if event.type == "response.output_text.delta":
                deltas["text"] += event.delta
            elif event.type == "response.reasoning_summary_text.delta":
                deltas["reasoning"] += event.delta
            elif event.type in ("response.completed", "response.incomplete"):
                final = event.response
    calls = [item for item in final.output if item.type == "function_call"]
    return {
        **deltas,
        "calls": [(item.call_id, item.name, json.loads(item.arguments)) for item in calls],
        "cut": final.status == "incomplete",
        "output": final.usage.output_tokens if final.usage else 0,
    }


async def of_chat(server: ScriptedServer, body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"text": "", "reasoning": "", "cut": False, "output": 0}
    calls: dict[int, list[str]] = {}
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key=server.api_key) as client:
        async for chunk in await client.chat.completions.create(**body):
            found["output"] = chunk.usage.completion_tokens if chunk.usage else found["output"]
            for choice in chunk.choices:
                found["text"] += choice.delta.content or ""
                found["reasoning"] += getattr(choice.delta, "reasoning_content", None) or ""
                found["cut"] = found["cut"] or choice.finish_reason == "length"
                for call in choice.delta.tool_calls or []:
                    known = calls.setdefault(call.index, ["", "", ""])
                    known[0] += call.id or ""
                    known[1] += call.function.name or ""
                    known[2] += call.function.arguments or ""
    return found | {"calls": [(call, name, json.loads(text)) for call, name, text in calls.values()]}


async def of_messages(server: ScriptedServer, body: dict[str, Any]) -> dict[str, Any]:
    root = server.base_url.removesuffix("/v1")
    body.pop("stream")
    async with (
        anthropic.AsyncAnthropic(base_url=root, api_key=server.api_key) as client,
        client.messages.stream(**body) as stream,
    ):
        final = await stream.get_final_message()
    blocks = final.content
    return {
        "text": "".join(block.text for block in blocks if block.type == "text"),
        "reasoning": "".join(block.thinking for block in blocks if block.type == "thinking"),
        "calls": [(block.id, block.name, block.input) for block in blocks if block.type == "tool_use"],
        "cut": final.stop_reason == "max_tokens",
        "output": final.usage.output_tokens,
    }


JUDGES = {"responses": of_responses, "chat": of_chat, "messages": of_messages}


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("dialect", JUDGES)
async def test_an_official_client_reads_what_we_read(
    server: ScriptedServer, dialect: Dialect, prompt: str
) -> None:
    asked = request(PROMPTS[prompt])
    judged = await JUDGES[dialect](server, CODECS[dialect].build(asked))
    mine = await ours(server, dialect, asked)
    assert mine == judged
    assert mine["text"]
    bodies = [kept.body for kept in server.requests]
    assert bodies[0]["model"] == bodies[1]["model"]


@pytest.mark.parametrize("dialect", JUDGES)
async def test_an_official_client_takes_whole_conversations(server: ScriptedServer, dialect: Dialect) -> None:
    """Official clients refuse members they do not know: what we build are requests they would make."""
    items = (
        Message("user", (Text("look at this"), Image(PIXEL))),
        Message("assistant", (Text("I look."),)),
        Call("call_1", "look", '{"where": "here"}'),
        Call("call_2", "look", '{"where": "there"}'),
        CallOutput("call_1", (Text("nothing"),)),
        CallOutput("call_2", (Text("broken"),), failed=True),
        Message("user", (Text("say ok"),)),
    )
    schema = OutputSchema("answer", {"type": "object", "properties": {}, "additionalProperties": False})
    asked = ModelRequest("m", items, "Be brief.", (TOOL,), schema, reasons=True, effort="high", cache_key="k")
    judged = await JUDGES[dialect](server, CODECS[dialect].build(asked))
    assert judged["text"] == "ok" == (await ours(server, dialect, asked))["text"]
    sent, mine = (kept.body for kept in server.requests)
    assert sent == mine


SEARCHED = script(
    {"search": "pears", "results": [{"url": "https://p.example", "title": "P"}]},
    {"say": "Fruit.", "cites": [{"url": "https://p.example", "title": "P"}]},
)


async def heard(server: ScriptedServer, dialect: Dialect, asked: ModelRequest) -> list[e.StreamEvent]:
    """What our reader makes of an answer."""
    root = server.base_url.removesuffix("/v1") if dialect == "messages" else server.base_url
    codec = CODECS[dialect]
    reader = codec.reader("me")
    known, content = headers(dialect, server.api_key), codec.encode(asked)
    async with httpx.AsyncClient() as client:
        answer = await client.post(root + codec.path, headers=known, content=content)
    assert answer.status_code == 200, answer.text
    return [*reader.feed(answer.content), *reader.eof()]


async def found_by_openai(server: ScriptedServer, body: dict[str, Any]) -> Any:
    final: Any = None
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key=server.api_key) as client:
        async for event in await client.responses.create(**body):
            if event.type == "response.completed":
                final = event.response
    (search,) = [item for item in final.output if item.type == "web_search_call"]
    (said,) = [item for item in final.output if item.type == "message"]
    cited = [mark.url for mark in said.content[0].annotations]
    return search.id, search.action.query, [each.url for each in search.action.sources], cited


async def found_by_anthropic(server: ScriptedServer, body: dict[str, Any]) -> Any:
    body.pop("stream")
    root = server.base_url.removesuffix("/v1")
    async with (
        anthropic.AsyncAnthropic(base_url=root, api_key=server.api_key) as client,
        client.messages.stream(**body) as stream,
    ):
        final: Any = await stream.get_final_message()
    use, result, text = final.content
    assert (use.type, result.type, text.type) == ("server_tool_use", "web_search_tool_result", "text")
    assert isinstance(result.content, list)
    cited = [mark.url for mark in text.citations or ()]
    return use.id, dict(use.input)["query"], [each.url for each in result.content], cited


FINDERS: dict[Dialect, Any] = {"responses": found_by_openai, "messages": found_by_anthropic}


@pytest.mark.parametrize("dialect", FINDERS)
async def test_an_official_client_finds_what_we_find_and_takes_it_again(
    server: ScriptedServer, dialect: Dialect
) -> None:
    said = Message("user", (Text(SEARCHED),))
    asked = ModelRequest("m", (said,), tools=(TOOL,), origin="me", search=True)
    judged = await FINDERS[dialect](server, CODECS[dialect].build(asked))
    events = await heard(server, dialect, asked)
    (done,) = [event for event in events if isinstance(event, e.HostedDone)]
    cited = [event.url for event in events if isinstance(event, e.Cited)]
    results: Any = (done.result or {})["results"]
    assert judged == (done.call_id, done.arguments["query"], [each["url"] for each in results], cited)
    (text,) = [event for event in events if isinstance(event, e.TextDone)]
    answer = Message("assistant", text.parts or (Text("Fruit."),))
    on = ModelRequest(
        "m", (said, done.hosted, answer, Message("user", (Text("say ok"),))), origin="me", search=True
    )
    again = await JUDGES[dialect](server, CODECS[dialect].build(on))
    assert again["text"] == "ok"
    assert server.requests[-1].body == json.loads(CODECS[dialect].encode(on)) | (
        {"stream": True} if dialect == "messages" else {}
    )
