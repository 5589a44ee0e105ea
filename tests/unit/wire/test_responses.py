from __future__ import annotations

from typing import Any

import msgspec
import pytest

from process_agent.errors import WireError
from process_agent.wire.responses import Call, CallOutput, Message, OtherItem, Tool, parse_request
from process_agent.wire.responses_stream import Event, ResponseStream, TokenCount, encode
from process_agent.wire.sse import SseParser


def request(**members: Any) -> bytes:
    return msgspec.json.encode({"model": "m"} | members)


def test_input_as_codex_sends_it() -> None:
    parsed = parse_request(
        request(
            stream=True,
            prompt_cache_key="thread",
            input=[
                {
                    "type": "message",
                    "id": "msg_1",
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "a"},
                        {"type": "input_image", "image_url": "data:"},
                        {"type": "input_text", "text": "b"},
                    ],
                },
                {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"},
                {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}", "namespace": "n"},
                {"type": "custom_tool_call", "call_id": "2", "name": "apply_patch", "input": "p"},
                {"type": "function_call_output", "call_id": "1", "output": "done"},
                {
                    "type": "custom_tool_call_output",
                    "call_id": "2",
                    "output": [{"type": "input_text", "text": "also"}, {"type": "input_image"}],
                },
                {"type": "local_shell_call", "call_id": "3", "action": {"command": ["ls"]}},
                {"type": "local_shell_call_output", "id": "3", "output": "files"},
            ],
        )
    )
    assert parsed.stream
    assert parsed.cache_key == "thread"
    assert parsed.input == (
        Message("user", ("a", "b")),
        OtherItem("reasoning"),
        Call("1", "f", "{}", "n"),
        Call("2", "apply_patch", "p"),
        CallOutput("1", "done"),
        CallOutput("2", "also"),
        Call("3", "local_shell", '{"command":["ls"]}'),
        CallOutput("3", "files"),
    )


def test_short_forms_other_clients_use() -> None:
    assert parse_request(request(input="hi")).input == (Message("user", ("hi",)),)
    assert parse_request(request(input=[{"role": "system", "content": "be kind"}])).input == (
        Message("system", ("be kind",)),
    )
    parsed = parse_request(request(tools=None))
    assert (parsed.input, parsed.tools, parsed.stream, parsed.cache_key) == ((), (), False, None)


def test_tools() -> None:
    parsed = parse_request(
        request(
            tools=[
                {"type": "function", "name": "f", "parameters": {"properties": {"a": {}, "b": {}}}},
                {"type": "custom", "name": "apply_patch", "format": {}},
                {"type": "web_search"},
                {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "g"}]},
            ]
        )
    )
    assert parsed.tools == (
        Tool("function", "f", None, frozenset({"a", "b"})),
        Tool("custom", "apply_patch"),
        Tool("web_search", "web_search"),
        Tool("function", "g", "n"),
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "`model`"),
        (request(input=1), "`input`"),
        (request(input=["x"]), r"`input\[0\]` is not an object"),
        (request(input=[{"type": 1}]), r"input\[0\]\.type"),
        (request(input=[{"role": "pope", "content": "x"}]), r"input\[0\]\.role"),
        (request(input=[{"role": "user", "content": 1}]), r"input\[0\]\.content"),
        (request(input=[{"type": "function_call", "call_id": "1", "name": "f"}]), "arguments"),
        (request(input=[{"type": "function_call_output", "output": "x"}]), "call_id"),
        (request(tools={}), "`tools`"),
        (request(tools=[{}]), "without a type"),
        (b"[" * 100_000, "not JSON"),
        (
            request(tools=[{"type": "namespace", "name": "a", "tools": [{"type": "namespace"}]}]),
            "namespace inside a namespace",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(body: bytes, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        parse_request(body)


def stream() -> ResponseStream:
    return ResponseStream(response_id="resp_1", model="m", created_at=7)


def kinds(events: list[Event]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def test_a_whole_answer_in_the_order_of_the_dialect() -> None:
    writing = stream()
    events = writing.begin()
    events += writing.reasoning("rs_1", ["hm", "m"])
    events += writing.message("msg_1", ["a", "", "b"], "commentary")
    events += writing.function_call("fc_1", "call_1", "f", "{}", "n")
    events += writing.custom_call("ctc_1", "call_2", "apply_patch", "patch")
    events += writing.local_shell_call("lsh_1", "call_3", ["ls"])
    events += writing.complete(TokenCount(10, 5, cached=2, reasoning=1))
    assert kinds(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "output_item.added",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
        "output_item.added",
        "output_item.done",
        "completed",
    ]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    indexes = [event["output_index"] for event in events if "output_index" in event]
    assert indexes == sorted(indexes)
    assert set(indexes) == {0, 1, 2, 3, 4}
    body = events[-1]["response"]
    assert body == writing.body
    assert [item["type"] for item in body["output"]] == [
        "reasoning",
        "message",
        "function_call",
        "custom_tool_call",
        "local_shell_call",
    ]
    assert body["output"][1]["content"][0]["text"] == "ab"
    assert body["output"][1]["phase"] == "commentary"
    assert body["output"][2]["namespace"] == "n"
    assert body["usage"]["total_tokens"] == 15
    assert body["usage"]["input_tokens_details"] == {"cached_tokens": 2}
    assert events[0]["response"]["status"] == "in_progress"


@pytest.mark.parametrize(
    ("end", "status", "member", "value"),
    [
        (lambda s: s.fail("c", "m"), "failed", "error", {"code": "c", "message": "m"}),
        (lambda s: s.stop_short("r"), "incomplete", "incomplete_details", {"reason": "r"}),
    ],
)
def test_other_ends(end: Any, status: str, member: str, value: object) -> None:
    writing = stream()
    (event,) = end(writing)
    assert event["type"] == f"response.{status}"
    assert event["response"]["status"] == status
    assert event["response"][member] == value


def test_a_raw_event_is_numbered_unless_it_brings_its_number() -> None:
    writing = stream()
    assert writing.raw({"type": "x"}) == {"type": "x", "sequence_number": 0}
    assert writing.raw({"type": "x", "sequence_number": 9})["sequence_number"] == 9


def test_encoding() -> None:
    writing = stream()
    events = writing.message("msg_1", ["line\nline\r\u2028"])
    parsed = SseParser().feed(b"".join(map(encode, events)))
    assert [msgspec.json.decode(event.data) for event in parsed] == events
    assert [event.name for event in parsed] == [event["type"] for event in events]
