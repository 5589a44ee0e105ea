"""What the readers make of answers that providers document: refusals, reasoning and what of it goes back,
tokens, sources. One table each; the events are those of the providers' own pages.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from process_agent.core.content import Json
from process_agent.core.providers import Dialect
from process_agent.wire.llm import events as e
from process_agent.wire.llm.dialects import CODECS
from process_agent.wire.llm.request import Call, Item, JsonObject, Message, ModelRequest, Reasoning, Text

SIGNED = "EqQBCkYIBxgCKkBkZXMgU2lnbmF0dXJlbg=="


def read(dialect: Dialect, *events: object) -> list[e.StreamEvent]:
    lines = [msgspec.json.encode(event).decode() for event in events]
    data = "".join(f"data: {line}\n\n" for line in lines).encode()
    reader = CODECS[dialect].reader("me")
    return [*reader.feed(data), *reader.eof()]


def chunk(delta: JsonObject | None = None, finish: str | None = None, **members: object) -> JsonObject:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "choices": [choice], **members}


def usage_of(found: list[e.StreamEvent]) -> e.TokenUsage:
    [used] = [event.usage for event in found if isinstance(event, e.Used)]
    return used


def thoughts(found: list[e.StreamEvent]) -> list[Reasoning]:
    return [event.reasoning for event in found if isinstance(event, e.ReasoningDone)]


def said(found: list[e.StreamEvent]) -> list[tuple[str, bool]]:
    return [(event.text, event.refusal) for event in found if isinstance(event, e.TextDelta)]


def again(dialect: Dialect, *items: Item) -> JsonObject:
    """The next request of the same provider."""
    return CODECS[dialect].build(ModelRequest("m", items, origin="me", reasons=True))


# --- Reasoning that goes back exactly ------------------------------------------------------------


def block(index: int, start: JsonObject, *deltas: JsonObject) -> list[JsonObject]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


THINKING = block(
    0,
    {"type": "thinking", "thinking": "", "signature": ""},
    {"type": "thinking_delta", "thinking": "Let me "},
    {"type": "thinking_delta", "thinking": "see."},
    {"type": "signature_delta", "signature": SIGNED[:10]},
    {"type": "signature_delta", "signature": SIGNED[10:]},
)
REDACTED = block(1, {"type": "redacted_thinking", "data": "c2VhbGVk+/=="})
UNSEEN = block(
    0,
    {"type": "thinking", "thinking": "", "signature": ""},
    {"type": "signature_delta", "signature": SIGNED},
)
USE = block(2, {"type": "tool_use", "id": "t1", "name": "look", "input": {}})
STOP = ({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}, {"type": "message_stop"})


@pytest.mark.parametrize(
    ("events", "blocks"),
    [
        (THINKING, [{"type": "thinking", "thinking": "Let me see.", "signature": SIGNED}]),
        (REDACTED, [{"type": "redacted_thinking", "data": "c2VhbGVk+/=="}]),
        (UNSEEN, [{"type": "thinking", "thinking": "", "signature": SIGNED}]),
        (
            [*THINKING, *REDACTED],
            [
                {"type": "thinking", "thinking": "Let me see.", "signature": SIGNED},
                {"type": "redacted_thinking", "data": "c2VhbGVk+/=="},
            ],
        ),
    ],
)
def test_thinking_goes_back_to_anthropic_as_it_came(
    events: list[JsonObject], blocks: list[JsonObject]
) -> None:
    found = read("messages", *events, *USE, *STOP)
    made = [event.call for event in found if isinstance(event, e.CallDone)]
    body = again("messages", Message("user", (Text("go"),)), *thoughts(found), *made)
    assert body["messages"][1]["content"][:-1] == blocks
    shown = "".join(event.text for event in found if isinstance(event, e.ReasoningDelta))
    assert shown == "".join(each.get("thinking", "") for each in blocks)


def test_encrypted_reasoning_goes_back_to_openai_as_it_came() -> None:
    item = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "Hm."}],
        "encrypted_content": "gAAAAA+/==",
        "status": None,
    }
    found = read(
        "responses",
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "summary": []}},
        {
            "type": "response.reasoning_summary_text.delta",
            "output_index": 0,
            "summary_index": 0,
            "delta": "Hm.",
        },
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {"status": "completed"}},
    )
    [thought] = thoughts(found)
    kept = {name: value for name, value in item.items() if name != "status"}
    assert again("responses", thought)["input"] == [kept]
    assert thought.text == "Hm."


TEXT_BLOCK = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
WHOLE = {**TEXT_BLOCK, "text": "Let me see.", "signature": SIGNED}
SEALED = {"type": "reasoning.encrypted", "data": "Zm9v", "format": "google-gemini-v1", "id": "t1", "index": 1}
SUMMARY = {"type": "reasoning.summary", "format": "openai-responses-v1", "index": 0}


@pytest.mark.parametrize(
    ("pieces", "blocks"),
    [
        (
            [
                [{**TEXT_BLOCK, "text": "Let me"}],
                [{**TEXT_BLOCK, "text": " see."}],
                [{**TEXT_BLOCK, "text": None, "signature": SIGNED}],
            ],
            [WHOLE],
        ),
        ([[WHOLE], [SEALED], [{**SEALED, "data": "YmFy", "id": "t2"}]], "as they came"),
        ([[WHOLE], [{**WHOLE, "text": "Next."}]], "as they came"),
        ([[{**SUMMARY, "summary": "A"}], [{**SUMMARY, "summary": "B"}]], [{**SUMMARY, "summary": "AB"}]),
        ([[{**TEXT_BLOCK, "text": "a"}, {**TEXT_BLOCK, "text": "b", "index": 1}]], "as they came"),
    ],
)
@pytest.mark.parametrize("late", [False, True], ids=["before the text", "with the call"])
def test_blocks_of_openrouter_are_put_together_and_go_back(
    pieces: list[list[JsonObject]], blocks: Any, late: bool
) -> None:
    told = [chunk({"reasoning_details": piece}) for piece in pieces]
    text = chunk({"content": "I look."})
    function = {"name": "look", "arguments": "{}"}
    call = chunk({"tool_calls": [{"index": 0, "id": "t1", "type": "function", "function": function}]})
    order = (text, call, *told) if late else (*told, text, call)
    found = read("chat", *order, chunk(finish="tool_calls"))
    kept: list[Item] = [*thoughts(found), *(Message("assistant", (Text(text),)) for text, _ in said(found))]
    made: list[Item] = [event.call for event in found if isinstance(event, e.CallDone)]
    [message] = again("chat", *kept, *made)["messages"]
    expected = [each for piece in pieces for each in piece] if blocks == "as they came" else blocks
    assert message["reasoning_details"] == expected
    assert message["content"] == "I look."
    assert [each["id"] for each in message["tool_calls"]] == ["t1"]


@pytest.mark.parametrize("member", ["reasoning_content", "reasoning"])
def test_reasoning_in_the_open_is_shown_and_goes_back_under_its_name(member: str) -> None:
    deltas = [{member: "Let me "}, {member: "see."}, {"content": "Yes."}]
    found = read("chat", *map(chunk, deltas), chunk(finish="stop"))
    [thought] = thoughts(found)
    assert thought.text == "Let me see."
    [message] = again("chat", thought, Message("assistant", (Text("Yes."),)))["messages"]
    assert message == {"role": "assistant", "content": "Yes.", member: "Let me see."}


def test_text_beside_blocks_is_shown_once() -> None:
    delta = {"reasoning": "Hm.", "reasoning_details": [{**TEXT_BLOCK, "text": "Hm."}]}
    found = read("chat", chunk(delta), chunk({"content": "Yes."}), chunk(finish="stop"))
    assert [event.text for event in found if isinstance(event, e.ReasoningDelta)] == ["Hm."]
    only = read("chat", chunk({"reasoning_details": [{**TEXT_BLOCK, "text": "Hm."}]}), chunk(finish="stop"))
    assert [event.text for event in only if isinstance(event, e.ReasoningDelta)] == ["Hm."]


# --- Refusals ------------------------------------------------------------------------------------

REFUSED_IN_RESPONSES = (
    {"type": "response.output_item.added", "output_index": 0, "item": {"type": "message", "id": "m1"}},
    {"type": "response.refusal.delta", "output_index": 0, "content_index": 0, "delta": "I can"},
    {"type": "response.refusal.delta", "output_index": 0, "content_index": 0, "delta": "not."},
    {"type": "response.output_item.done", "output_index": 0, "item": {"type": "message", "id": "m1"}},
    {"type": "response.completed", "response": {"status": "completed"}},
)
WHOLE_IN_RESPONSES = (
    {
        "type": "response.output_item.done",
        "output_index": 0,
        "item": {"type": "message", "content": [{"type": "refusal", "refusal": "I cannot."}]},
    },
    {"type": "response.completed", "response": {"status": "completed"}},
)


@pytest.mark.parametrize(
    ("dialect", "events", "words", "reason"),
    [
        ("responses", REFUSED_IN_RESPONSES, [("I cannot.", True)], e.StopReason.END),
        ("responses", WHOLE_IN_RESPONSES, [("I cannot.", True)], e.StopReason.END),
        (
            "responses",
            [
                {
                    "type": "response.incomplete",
                    "response": {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
                }
            ],
            [],
            e.StopReason.REFUSED,
        ),
        (
            "chat",
            [chunk({"refusal": "I can"}), chunk({"refusal": "not."}), chunk(finish="stop")],
            [("I cannot.", True)],
            e.StopReason.END,
        ),
        ("chat", [chunk(finish="content_filter")], [], e.StopReason.REFUSED),
        (
            "messages",
            [
                *block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "Well"}),
                {"type": "message_delta", "delta": {"stop_reason": "refusal"}},
                {"type": "message_stop"},
            ],
            [("Well", False)],
            e.StopReason.REFUSED,
        ),
    ],
)
def test_refusals(
    dialect: Dialect, events: list[JsonObject], words: list[tuple[str, bool]], reason: e.StopReason
) -> None:
    found = read(dialect, *events)
    assert said(found) == words
    assert found[-1] == e.Ended(reason)


@pytest.mark.parametrize(
    ("dialect", "events"),
    [
        ("chat", [chunk({"reasoning": "Hm."}), chunk({"refusal": "No."}), chunk(finish="stop")]),
        ("messages", [*THINKING, *block(1, {"type": "text", "text": "No."}), *STOP]),
    ],
)
def test_reasoning_before_a_refusal_goes_back_too(dialect: Dialect, events: list[JsonObject]) -> None:
    [thought] = thoughts(read(dialect, *events))
    assert thought.replay is not None


# --- Tokens --------------------------------------------------------------------------------------


def chat_usage(read: int, written: int, total: int | None = None, **members: object) -> JsonObject:
    whole = {} if total is None else {"total_tokens": total}
    return {"prompt_tokens": read, "completion_tokens": written, **whole, **members}


def within(dialect: Dialect, usage: JsonObject) -> list[JsonObject]:
    match dialect:
        case "responses":
            return [{"type": "response.completed", "response": {"status": "completed", "usage": usage}}]
        case "chat":
            return [chunk(finish="stop"), {"choices": [], "usage": usage}]
        case "messages":
            written = {"output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}}
            return [
                {"type": "message_start", "message": {"usage": usage}},
                {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": written},
                {"type": "message_stop"},
            ]


THOUGHT: dict[str, Json] = {"reasoning_tokens": 94}


@pytest.mark.parametrize(
    ("dialect", "usage", "counted"),
    [
        (
            "responses",
            {
                "input_tokens": 100,
                "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 5},
                "output_tokens": 103,
                "output_tokens_details": THOUGHT,
            },
            e.TokenUsage(100, 60, 5, 103, 94),
        ),
        (
            "messages",
            {
                "input_tokens": 10,
                "cache_read_input_tokens": 60,
                "cache_creation_input_tokens": 5,
                "output_tokens": 1,
            },
            e.TokenUsage(75, 60, 5, 9, 4),
        ),
        ("chat", chat_usage(32, 9), e.TokenUsage(32, 0, 0, 9)),
        # OpenAI and most others: what was thought is part of what was written
        (
            "chat",
            chat_usage(32, 103, 135, completion_tokens_details=THOUGHT),
            e.TokenUsage(32, 0, 0, 103, 94),
        ),
        ("chat", chat_usage(32, 103, completion_tokens_details=THOUGHT), e.TokenUsage(32, 0, 0, 103, 94)),
        # xAI: it comes on top (the figures of docs.x.ai)
        ("chat", chat_usage(32, 9, 135, completion_tokens_details=THOUGHT), e.TokenUsage(32, 0, 0, 103, 94)),
        # OpenRouter, with a cache that was written to
        (
            "chat",
            chat_usage(80, 9, 89, prompt_tokens_details={"cached_tokens": 60, "cache_write_tokens": 7}),
            e.TokenUsage(80, 60, 7, 9),
        ),
        # Kimi
        ("chat", chat_usage(80, 9, 89, cached_tokens=60), e.TokenUsage(80, 60, 0, 9)),
    ],
)
def test_tokens(dialect: Dialect, usage: JsonObject, counted: e.TokenUsage) -> None:
    assert usage_of(read(dialect, *within(dialect, usage))) == counted


def test_kimi_counts_in_the_last_choice() -> None:
    last = chunk(finish="stop")
    last["choices"][0]["usage"] = chat_usage(8, 2, 10)
    assert usage_of(read("chat", chunk({"content": "a"}), last)) == e.TokenUsage(8, 0, 0, 2)


# --- Sources -------------------------------------------------------------------------------------


def test_addresses_that_a_whole_answer_rests_on_come_once_and_before_its_text_ends() -> None:
    pages = ["https://a.example", "https://b.example"]
    found = read(
        "chat",
        chunk({"content": "So it is."}, citations=pages[:1]),
        chunk(finish="stop", citations=[*pages, 7, ""]),
    )
    assert [event.url for event in found if isinstance(event, e.Cited)] == pages
    kinds = [type(event) for event in found]
    assert kinds.index(e.TextDone) > max(n for n, kind in enumerate(kinds) if kind is e.Cited)


def test_a_call_without_arguments_is_an_empty_object() -> None:
    function = {"name": "look", "arguments": ""}
    call = chunk({"tool_calls": [{"index": 0, "id": "t1", "function": function}]})
    found = read("chat", call, chunk(finish="tool_calls"))
    assert [event.call for event in found if isinstance(event, e.CallDone)] == [Call("t1", "look", "{}")]
