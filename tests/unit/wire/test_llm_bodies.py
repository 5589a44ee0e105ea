"""One request, as each dialect sends it: the whole body, member by member."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from process_agent.config import load, load_providers
from process_agent.core.content import Json
from process_agent.core.providers import Dialect
from process_agent.wire.llm.dialects import CODECS
from process_agent.wire.llm.request import (
    Call,
    CallOutput,
    Item,
    JsonObject,
    Message,
    ModelRequest,
    OfferedTool,
    OutputSchema,
    Reasoning,
    Replay,
    Text,
)

SCHEMA: dict[str, Json] = {"type": "object", "properties": {"a": {"type": "string"}}}
THOUGHTS: dict[str, dict[str, Json]] = {
    "responses": {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed"},
    "messages": {"type": "thinking", "thinking": "hm", "signature": "signed"},
    "chat": {"reasoning_content": "hm"},
}


def request(dialect: Dialect) -> ModelRequest:
    return ModelRequest(
        "the-model",
        (
            Message("user", (Text("look"),)),
            Reasoning("hm", Replay("us", THOUGHTS[dialect])),
            Call("c1", "ls", '{"at":"/"}'),
            CallOutput("c1", (Text("no such"),), True),
        ),
        instructions="Be brief.",
        tools=(OfferedTool("ls", "lists", SCHEMA),),
        output=OutputSchema("answer", SCHEMA),
        origin="us",
        reasons=True,
        effort="high",
        cache_key="thread-1",
    )


def body(dialect: Dialect, **changed: object) -> JsonObject:
    return CODECS[dialect].build(replace(request(dialect), **changed))  # type: ignore[arg-type] # any member


def test_responses() -> None:
    assert body("responses") == {
        "model": "the-model",
        "input": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "look"}]},
            THOUGHTS["responses"],
            {"type": "function_call", "call_id": "c1", "name": "ls", "arguments": '{"at":"/"}'},
            {"type": "function_call_output", "call_id": "c1", "output": "no such"},
        ],
        "stream": True,
        "store": False,
        "instructions": "Be brief.",
        "tools": [
            {"type": "function", "name": "ls", "description": "lists", "parameters": SCHEMA, "strict": False}
        ],
        "reasoning": {"summary": "auto", "effort": "high"},
        "include": ["reasoning.encrypted_content"],
        "text": {"format": {"type": "json_schema", "name": "answer", "schema": SCHEMA, "strict": True}},
        "prompt_cache_key": "thread-1",
    }
    unknown = body("responses", reasons=False)
    assert unknown["reasoning"] == {"effort": "high"}, "of a model of which nothing is known the server knows"
    plain = body("responses", reasons=False, effort=None)
    assert "reasoning" not in plain
    assert "include" not in plain


def test_messages() -> None:
    cached = {"cache_control": {"type": "ephemeral"}}
    assert body("messages") == {
        "model": "the-model",
        "max_tokens": 16_384 + 8_192,
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "look"}]},
            {
                "role": "assistant",
                "content": [
                    THOUGHTS["messages"],
                    {"type": "tool_use", "id": "c1", "name": "ls", "input": {"at": "/"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "c1",
                        "content": [{"type": "text", "text": "no such"}],
                        "is_error": True,
                        **cached,
                    }
                ],
            },
        ],
        "stream": True,
        "system": [{"type": "text", "text": "Be brief.", **cached}],
        "tools": [{"name": "ls", "description": "lists", "input_schema": SCHEMA}],
        "thinking": {"type": "enabled", "budget_tokens": 16_384},
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
    }
    assert "thinking" not in body("messages", effort=None)
    assert "thinking" not in body("messages", reasons=False)


def test_messages_for_a_model_that_decides_itself_how_long_it_thinks() -> None:
    """It refuses a budget, and says nothing of what it thinks unless asked to (Anthropic, since Opus 4.7)."""
    found = body("messages", adaptive=True)
    assert found["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert found["output_config"] == {
        "effort": "high",
        "format": {"type": "json_schema", "schema": SCHEMA},
    }
    assert found["max_tokens"] == 16_384 + 8_192
    usual = body("messages", adaptive=True, effort=None, output=None)
    assert usual["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert "output_config" not in usual
    assert usual["max_tokens"] == 16_384 + 8_192, "what it thinks counts, too"
    assert "thinking" not in body("messages", adaptive=True, reasons=False)


def test_chat() -> None:
    assert body("chat") == {
        "model": "the-model",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "look"},
            {
                "role": "assistant",
                "content": None,
                "reasoning_content": "hm",
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "ls", "arguments": '{"at":"/"}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "no such"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [
            {"type": "function", "function": {"name": "ls", "description": "lists", "parameters": SCHEMA}}
        ],
        "reasoning_effort": "high",
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
        },
    }
    assert body("chat", reasons=False)["reasoning_effort"] == "high", "who asks knows the model's levels"
    assert "reasoning_effort" not in body("chat", effort=None)


def said(*items: Item, **changed: object) -> list[JsonObject]:
    found: list[JsonObject] = body("chat", items=items, instructions="", **changed)["messages"]
    return found


THOUGHT = Reasoning("hm", Replay("us", {"reasoning": "hm"}))
BLOCKS: list[Json] = [{"type": "reasoning.text", "text": "hm", "signature": "s", "index": 0}]
DETAILS = Reasoning("", Replay("us", {"reasoning_details": BLOCKS}))
CALL = Call("c1", "ls", "{}")
TEXT = Message("assistant", (Text("I look."),))


def test_chat_gives_reasoning_back_under_the_name_it_came_with() -> None:
    [message] = said(THOUGHT, CALL)
    assert message["reasoning"] == "hm"
    assert "reasoning_content" not in message
    assert said(Reasoning("hm", Replay("others", {"reasoning": "hm"})), TEXT) == [
        {"role": "assistant", "content": "I look."}
    ]


@pytest.mark.parametrize("order", [(THOUGHT, TEXT, DETAILS, CALL), (THOUGHT, DETAILS, TEXT, CALL)])
def test_chat_gives_blocks_of_reasoning_back_with_what_they_led_to_and_not_their_text_twice(
    order: tuple[Item, ...],
) -> None:
    [message] = said(*order)
    assert message["reasoning_details"] == BLOCKS
    assert not {"reasoning", "reasoning_content"} & set(message)
    assert message["content"] == "I look."
    assert [call["id"] for call in message["tool_calls"]] == ["c1"]


def test_blocks_of_one_answer_are_not_given_to_another() -> None:
    output = CallOutput("c1", (Text("a"),))
    first, tool, second = said(THOUGHT, DETAILS, CALL, output, DETAILS, TEXT)
    assert (first["reasoning_details"], second["reasoning_details"]) == (BLOCKS, BLOCKS)
    assert (first["content"], tool["role"], second["content"]) == (None, "tool", "I look.")


def test_chat_puts_a_blank_where_a_model_demands_reasoning_that_nobody_has() -> None:
    """As after a restart, or for calls that another model made: Kimi refuses the conversation otherwise."""
    output = CallOutput("c1", (Text("a"),))
    kept = Reasoning("hm", Replay("us", {"reasoning_content": "hm"}))
    items = (CALL, output, TEXT, kept, Call("c2", "ls", "{}"), CallOutput("c2", (Text("b"),)))
    demanded = said(*items, reasoned_calls=True)
    assert [message.get("reasoning_content") for message in demanded] == [" ", None, None, "hm", None]
    assert [message.get("reasoning_content") for message in said(*items)] == [None, None, None, "hm", None]


@pytest.mark.parametrize(
    ("model", "reasons", "adaptive"),
    [
        ("claude-3-5-sonnet-latest", False, False),
        ("claude-sonnet-4-5", True, False),
        ("claude-opus-4-6", True, False),
        ("claude-opus-4-7", True, True),
        ("claude-opus-5-20260724", True, True),
        ("claude-sonnet-5", True, True),
        ("claude-haiku-4-5", True, False),
    ],
)
def test_which_models_of_anthropic_think_how(
    tmp_path: Path, model: str, reasons: bool, adaptive: bool
) -> None:
    [anthropic] = [
        known for known in load_providers(load({"HOME": str(tmp_path)}), {}) if known.name == "anthropic"
    ]
    assert (anthropic.reasons(model), anthropic.adapts(model)) == (reasons, adaptive)
