"""Answers as providers send them, read by the official SDKs and by us: all that both know is the same."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from process_agent.core.providers import Dialect
from process_agent.wire.llm.events import StopReason, TokenUsage
from tests.fakes.llm_judges import Heard, Judges, cut, judges, ours, sse

type Events = Sequence[Mapping[str, Any]]


@pytest.fixture
async def sitting() -> AsyncIterator[Judges]:
    async with judges() as both:
        yield both


def item(index: int, done: Mapping[str, Any], *between: Mapping[str, Any], **begun: Any) -> Events:
    """An output item of Responses; `begun` is what it says before it is complete."""
    at = {"output_index": index, "item_id": done["id"]}
    return [
        {"type": "response.output_item.added", "output_index": index, "item": {**done, **begun}},
        *({**at, **event} for event in between),
        {"type": "response.output_item.done", "output_index": index, "item": done},
    ]


REASONED = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "Look it up."}],
    "encrypted_content": "gAAAA+/==",
}
SEARCH = {
    "type": "web_search_call",
    "id": "ws_1",
    "status": "completed",
    "action": {"type": "search", "query": "pears"},
}
MARK = {"type": "url_citation", "start_index": 0, "end_index": 6, "url": "https://p.example", "title": "P"}
ANSWER = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Fruit. ü", "annotations": [MARK]}],
}
CALLS = [
    {"type": "function_call", "id": f"fc_{n}", "call_id": f"call_{n}", "name": "look", "arguments": text}
    for n, text in enumerate(('{"where":"here"}', ""))
]
COUNTED = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 60},
    "output_tokens": 103,
    "output_tokens_details": {"reasoning_tokens": 94},
    "total_tokens": 203,
}


def response(status: str, output: Events, **members: Any) -> Mapping[str, Any]:
    whole = {"id": "resp_1", "object": "response", "status": status, "output": output, **members}
    return {"type": f"response.{status}", "response": whole}


def delta(kind: str, text: str, **more: Any) -> Mapping[str, Any]:
    return {"type": f"response.{kind}.delta", "delta": text, **more}


RESPONSES = [
    {"type": "response.created", "response": {"id": "resp_1", "object": "response", "output": []}},
    *item(0, REASONED, delta("reasoning_summary_text", "Look it up.", summary_index=0), summary=[]),
    *item(1, SEARCH, status="in_progress"),
    *item(
        2,
        ANSWER,
        delta("output_text", "Fruit.", content_index=0),
        delta("output_text", " ü", content_index=0),
        {"type": "response.output_text.annotation.added", "annotation_index": 0, "annotation": MARK},
        content=[],
    ),
    *item(3, CALLS[0], delta("function_call_arguments", '{"where":"here"}'), arguments=""),
    *item(4, CALLS[1], arguments=""),
    response("completed", [REASONED, SEARCH, ANSWER, *CALLS], usage=COUNTED),
]
REFUSED = {
    "type": "message",
    "id": "msg_2",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "refusal", "refusal": "I cannot."}],
}


def block(index: int, start: Mapping[str, Any], *deltas: Mapping[str, Any]) -> Events:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": each} for each in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def text(index: int, *pieces: str, **more: Any) -> Events:
    told = ({"type": "text_delta", "text": piece} for piece in pieces)
    return block(index, {"type": "text", "text": ""}, *told, **more)


STARTED: Mapping[str, Any] = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "usage": {
            "input_tokens": 10,
            "cache_read_input_tokens": 60,
            "cache_creation_input_tokens": 5,
            "output_tokens": 1,
        },
    },
}


def stopped(why: str, **usage: Any) -> Events:
    counted = {"output_tokens": 40, "output_tokens_details": {"thinking_tokens": 30}, **usage}
    told = {"type": "message_delta", "delta": {"stop_reason": why, "stop_sequence": None}, "usage": counted}
    return [told, {"type": "message_stop"}]


PLACE = {
    "type": "web_search_result_location",
    "url": "https://p.example",
    "title": "P",
    "encrypted_index": "i",
    "cited_text": "Pears",
}
FOUND = {"type": "web_search_result", "url": "https://p.example", "title": "P", "encrypted_content": "e"}
MESSAGES = [
    STARTED,
    {"type": "ping"},
    *block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "Look "},
        {"type": "thinking_delta", "thinking": "it up."},
        {"type": "signature_delta", "signature": "EqQB+/=="},
    ),
    *block(1, {"type": "redacted_thinking", "data": "c2VhbGVk"}),
    *block(
        2,
        {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {}},
        {"type": "input_json_delta", "partial_json": '{"query": "pears"}'},
    ),
    *block(3, {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": [FOUND]}),
    *text(4, "It is "),
    *block(
        5,
        {"type": "text", "text": ""},
        {"type": "citations_delta", "citation": PLACE},
        {"type": "text_delta", "text": "fruit. ü"},
    ),
    *block(
        6,
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}},
        {"type": "input_json_delta", "partial_json": '{"whe'},
        {"type": "input_json_delta", "partial_json": 're": "here"}'},
    ),
    *block(7, {"type": "tool_use", "id": "toolu_2", "name": "look", "input": {}}),
    *stopped("tool_use", server_tool_use={"web_search_requests": 1}),
]


def chunk(told: Mapping[str, Any], finish: str | None = None, **members: Any) -> Mapping[str, Any]:
    choice = {"index": 0, "delta": told, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice], **members}


def call(index: int, arguments: str, **begun: Any) -> Mapping[str, Any]:
    function = {"arguments": arguments, **({"name": "look"} if begun else {})}
    return chunk({"tool_calls": [{"index": index, "function": function, **begun}]})


CHAT = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"reasoning_content": "Look "}),
    chunk({"reasoning_content": "it up."}),
    chunk({"content": "Fruit."}),
    chunk({"content": " ü"}),
    chunk({"annotations": [{"type": "url_citation", "url_citation": {"url": "https://p", "title": "P"}}]}),
    call(0, "", id="call_1", type="function"),
    call(1, "", id="call_2", type="function"),
    call(0, '{"where":'),
    call(1, "{}"),
    call(0, '"here"}'),
    chunk({}, "tool_calls"),
    {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "choices": [],
        "usage": {
            "prompt_tokens": 100,
            "prompt_tokens_details": {"cached_tokens": 60},
            "completion_tokens": 103,
            "completion_tokens_details": {"reasoning_tokens": 94},
            "total_tokens": 203,
        },
    },
]
DONE = b"data: [DONE]\n\n"

CASES: dict[str, tuple[Dialect, Events, bytes]] = {
    "responses: everything": ("responses", RESPONSES, b""),
    "responses: a refusal": (
        "responses",
        [
            *item(0, REFUSED, delta("refusal", "I can"), delta("refusal", "not."), content=[]),
            response("completed", [REFUSED], usage=COUNTED),
        ],
        b"",
    ),
    "responses: too long": (
        "responses",
        [
            *item(0, ANSWER, delta("output_text", "Fruit. ü"), content=[]),
            response("incomplete", [], incomplete_details={"reason": "max_output_tokens"}),
        ],
        b"",
    ),
    "responses: filtered": (
        "responses",
        [response("incomplete", [], incomplete_details={"reason": "content_filter"}, usage=COUNTED)],
        b"",
    ),
    "messages: everything": ("messages", MESSAGES, b""),
    "messages: a refusal": ("messages", [STARTED, *text(0, "We", "ll"), *stopped("refusal")], b""),
    "messages: too long": ("messages", [STARTED, *text(0, "half"), *stopped("max_tokens")], b""),
    "messages: no room": (
        "messages",
        [STARTED, *text(0, "half"), *stopped("model_context_window_exceeded")],
        b"",
    ),
    "messages: a pause": ("messages", [STARTED, *text(0, "wait"), *stopped("pause_turn")], b""),
    "chat: everything": ("chat", CHAT, DONE),
    "chat: a refusal": ("chat", [chunk({"refusal": "I can"}), chunk({"refusal": "not."}, "stop")], DONE),
    "chat: too long": ("chat", [chunk({"content": "half"}), chunk({}, "length")], DONE),
    "chat: filtered": ("chat", [chunk({}, "content_filter")], DONE),
}


@pytest.mark.parametrize("pieces", [[], [7, 100, 333, 334, 700, 1_001, 2_222]], ids=["whole", "cut"])
@pytest.mark.parametrize("case", CASES)
async def test_an_official_client_reads_all_that_we_read(
    sitting: Judges, case: str, pieces: list[int]
) -> None:
    dialect, events, end = CASES[case]
    data = cut(sse(events) + end, pieces)
    mine, judged = ours(dialect, data), await sitting.judge(dialect, data)
    if dialect == "chat":  # what goes back is no matter of OpenAI's
        assert mine.kept == ([{"reasoning_content": mine.reasoning}] if mine.reasoning else [])
        mine.kept = []
    if "too long" in case and dialect == "responses":
        judged.cited = mine.cited  # the incomplete answer does not repeat them
    assert mine == judged


def test_the_answers_with_everything_have_everything() -> None:
    """So that no field is compared only where both leave it empty."""
    for case in ("responses: everything", "messages: everything"):
        dialect, events, end = CASES[case]
        heard = ours(dialect, [sse(events) + end])
        empty = [name for name, value in vars(heard).items() if not value]
        assert empty == ["refusal"], case
        assert isinstance(heard.usage, TokenUsage)
        counted = (heard.usage.cached, heard.usage.reasoning, heard.usage.searches)
        assert 0 not in counted
        assert (len(heard.calls), heard.stop) == (2, StopReason.CALLS)
    heard = ours("chat", [sse(CHAT) + DONE])
    assert [name for name, value in vars(heard).items() if not value] == ["refusal", "searched"]
    assert isinstance(heard, Heard)
