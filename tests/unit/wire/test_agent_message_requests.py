"""What agents are asked for and do not speak, and what nobody may send, is refused with a code and a text."""

from __future__ import annotations

import math

import pytest

from process_agent.core import requests as r
from process_agent.core.content import ErrorInfo, Json, JsonResult
from process_agent.core.ids import ParticipantId
from process_agent.core.participants import Participant
from process_agent.errors import WireError
from process_agent.wire.agent_messages import decode_request, encode_request, limits, unpack

PREFIX = "meshagent.agent."
SENDER = Participant(ParticipantId("p1"), "user", {"name": "ana"})
THREAD: dict[str, Json] = {"thread_id": "t"}
TURN: dict[str, Json] = {"thread_id": "t", "turn_id": "u"}
ASK: dict[str, Json] = {**TURN, "request_id": "q"}


def decode(kind: str, **fields: Json) -> r.Request | None:
    body: dict[str, Json] = {"type": PREFIX + kind, "message_id": "m", **fields}
    return decode_request(body, channel="chat", sender=SENDER, new_id=lambda: "n")


@pytest.mark.parametrize("kind", ["thread.start", "turn.start"])
@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("unsupported_modality", {"output_modalities": ["audio"]}),
        ("unsupported_modality", {"voice": "alloy"}),
        ("unsupported_modality", {"realtime_protocol": "webrtc"}),
        ("unsupported_tool_choice", {"tool_choice": {"toolkit_name": "web", "tool_name": "search"}}),
        ("unsupported_mcp", {"mcp": {"servers": [{"url": "https://x", "authorization": "s3cret"}]}}),
        ("unsupported_mcp", {"toolkits": {"mcp": {"client_options": {"servers": [{"token": "s3cret"}]}}}}),
        ("invalid_message", {"output_modalities": "text"}),
        ("invalid_message", {"client_toolkits": [{"name": " "}]}),
        ("invalid_message", {"client_toolkits": [{"name": "a"}, {"name": "a"}]}),
        ("invalid_message", {"client_toolkits": [{"name": "a", "input_schema": []}]}),
        ("invalid_message", {"client_toolkits": [{"name": str(n)} for n in range(200)]}),
        ("invalid_message", {"instructions": "x" * (limits.MAX_INSTRUCTIONS + 1)}),
        ("invalid_message", {"metadata": {"process": {"effort": "very high"}}}),
        ("invalid_message", {"metadata": {"process": {"output_schema": ["object"]}}}),
        ("invalid_message", {"metadata": {"process": {"output_schema": {"x": "x" * limits.MAX_SCHEMA}}}}),
        ("invalid_message", {"content": [{"type": "video"}]}),
        ("invalid_message", {"content": [{"type": "text", "text": "x"}] * (limits.MAX_PARTS + 1)}),
        ("invalid_message", {"content": [{"type": "text", "text": "half a pair: \ud83d"}]}),
        ("invalid_message", {"content": [{"type": "text", "text": "x" * (limits.MAX_MESSAGE + 1)}]}),
        ("invalid_message", {"model": "x" * (limits.MAX_ID + 1)}),
    ],
)
def test_turns_that_are_refused(kind: str, code: str, fields: dict[str, Json]) -> None:
    with pytest.raises(WireError) as caught:
        decode(kind, **THREAD, **fields)
    assert caught.value.refusal == code
    assert "s3cret" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("kind", ["realtime_audio.chunk", "realtime_audio.commit"])
@pytest.mark.parametrize("fields", [{}, {"thread_id": "t", "format": {"type": "audio/pcm"}}])
def test_sound_is_refused(kind: str, fields: dict[str, Json]) -> None:
    with pytest.raises(WireError, match="type your message") as caught:
        decode(kind, **fields)
    assert caught.value.refusal == "unsupported_modality"


def test_a_voice_is_refused_with_a_model_too() -> None:
    with pytest.raises(WireError) as caught:
        decode("model.change", thread_id="t", model="gpt-realtime", voice="alloy")
    assert caught.value.refusal == "unsupported_modality"


def test_what_a_turn_says_and_we_do_not_need_is_left_out() -> None:
    request = decode(
        "turn.start",
        **THREAD,
        content=[{"type": "text", "text": "hi"}],
        output_modalities=["text"],
        voice=None,
        mcp={"servers": []},
        toolkits={"web_search": {"client_options": {}}},
        storage="dataset",
        llm_authorization={"token": "s3cret", "expires_at": "2030-01-01T00:00:00Z"},
        instructions="be brief",
        create=True,
        attended=False,
    )
    assert isinstance(request, r.StartTurn)
    assert request.options == r.TurnOptions(instructions="be brief")
    assert (request.create, request.options.attended) == (False, True)
    assert "s3cret" not in repr(request)


def test_servers_come_as_the_published_clients_write_them() -> None:
    bare: dict[str, Json] = {"server_label": "docs", "server_url": "https://docs.example/mcp"}
    full: dict[str, Json] = {
        "server_label": "crm",
        "server_url": "https://crm.example/mcp",
        "authorization": "s3cret",
        "headers": [{"name": "X-Team", "value": "s3cret too"}],
        "allowed_tools": ["find"],
        "require_approval": "never",
    }
    both: list[Json] = [bare, full]
    kits: dict[str, Json] = {"mcp": {"client_options": {"servers": both}}}
    request = decode("turn.start", **THREAD, mcp={"servers": [bare]}, toolkits=kits)
    assert isinstance(request, r.StartTurn)
    docs, crm = request.options.mcp_servers
    assert (docs.label, docs.url, docs.headers, docs.tools) == ("docs", bare["server_url"], {}, None)
    assert crm.headers == {"X-Team": "s3cret too", "Authorization": "Bearer s3cret"}
    assert crm.tools == ("find",)
    assert "s3cret" not in repr(request)


@pytest.mark.parametrize(
    "change",
    [
        {"server_label": "a.b"},
        {"server_label": ""},
        {"server_url": None},
        {"server_url": "https://x\n"},
        {"openai_connector_id": "s3cret"},
        {"use_proxy_secret": "s3cret"},
        {"headers": {"Host": "s3cret"}},
        {"headers": {"X": "s3cret\r\nY: z"}},
        {"headers": [7]},
        {"headers": 7},
        {"authorization": ["s3cret"]},
        {"authorization": "s3cret\n"},
        {"allowed_tools": "find"},
    ],
)
def test_servers_that_cannot_be_used_refuse_the_turn(change: dict[str, Json]) -> None:
    server: dict[str, Json] = {"server_label": "x", "server_url": "https://x.example/"}
    doubled: list[Json] = [server, {**server, "server_url": "https://y.example"}]
    changed: list[Json] = [{**server, **change}]
    for servers in (changed, doubled):
        with pytest.raises(WireError) as caught:
            decode("turn.start", **THREAD, mcp={"servers": servers})
        assert caught.value.refusal == "unsupported_mcp"
        assert "s3cret" not in str(caught.value)


def test_what_is_ours_alone_about_a_turn() -> None:
    schema: dict[str, Json] = {"type": "object"}
    request = decode(
        "turn.start", **THREAD, metadata={"process": {"effort": "high", "output_schema": schema}}
    )
    assert isinstance(request, r.StartTurn)
    assert request.options == r.TurnOptions(effort="high", output_schema=schema)
    again = decode_request(encode_request(request), channel="chat", sender=SENDER, new_id=lambda: "n")
    assert isinstance(again, r.StartTurn)
    assert again.options == request.options


@pytest.mark.parametrize("kind", ["turn.interrupt", "turn.steer", "tool_call.approve", "secret.response"])
@pytest.mark.parametrize("bad", [None, "", 7, ["t"], "x" * (limits.MAX_ID + 1)])
def test_ids_are_text_that_is_neither_empty_nor_endless(kind: str, bad: Json) -> None:
    known: dict[str, Json] = {**ASK, "item_id": "i"}
    assert decode(kind, **known) is not None
    for name in ("thread_id", "turn_id"):
        with pytest.raises(WireError, match=name):
            decode(kind, **known | {name: bad})


def test_numbers_that_are_none_are_refused() -> None:
    for number in (math.inf, -math.inf, math.nan):
        with pytest.raises(WireError):
            decode("thread.list", limit=number)
        with pytest.raises(WireError):
            decode("client_tool_call.response", **ASK, response={"type": "json", "json": [number]})


@pytest.mark.parametrize(
    ("asked", "given"), [(None, 200), (1, 1), (0, 1), (-7, 1), (200, 200), (201, 200), (10**9, 200)]
)
def test_a_page_of_the_list_has_1_to_200_threads(asked: int | None, given: int) -> None:
    request = decode("thread.list", **({} if asked is None else {"limit": asked}))
    assert isinstance(request, r.ListThreads)
    assert (request.limit, request.offset) == (given, 0)


def test_nesting_without_end_is_refused() -> None:
    deep: Json = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(WireError):
        decode("client_tool_call.response", **ASK, response={"type": "json", "json": deep})


@pytest.mark.parametrize(
    "content",
    [
        {"type": "file", "name": "a.png", "mime_type": "image/png"},
        {"type": "binary", "headers": {}},
        {"type": "raw", "outputs": []},
        {"type": "control", "method": "open"},
    ],
)
def test_tool_content_without_a_form_of_its_own_is_kept_as_it_is(content: dict[str, Json]) -> None:
    request = decode("client_tool_call.response", **ASK, response=content)
    assert isinstance(request, r.AnswerClientTool)
    assert request.response == JsonResult(content)


def test_a_client_tool_fails_with_its_number_or_with_ours() -> None:
    for code, expected in ((404, "404"), (None, "client_tool_failed"), (True, "client_tool_failed")):
        answer: dict[str, Json] = {"type": "error", "text": "no such file", "code": code}
        request = decode("client_tool_call.response", **ASK, response=answer)
        assert isinstance(request, r.AnswerClientTool)
        assert request.response == ErrorInfo("no such file", expected)
    wrongs: list[Json] = [{}, {"type": "video"}, None, "text", {"type": "error", "text": 7}]
    for wrong in wrongs:
        with pytest.raises(WireError):
            decode("client_tool_call.response", **ASK, response=wrong)


def test_a_secret_is_printed_nowhere() -> None:
    request = decode("secret.response", **ASK, value="s3cret", authorization_code="c0de")
    assert isinstance(request, r.AnswerSecret)
    assert (request.secret.value, request.secret.authorization_code) == ("s3cret", "c0de")
    assert "s3cret" not in repr(request)
    assert "c0de" not in repr(request)
    with pytest.raises(WireError) as caught:
        decode("secret.response", **ASK, value="s3cret" * limits.MAX_SECRET)
    assert "s3cret" not in str(caught.value)


MANY: list[Json] = [{"type": PREFIX + "turn.interrupt", "thread_id": "t"}] * (limits.MAX_INJECTED + 1)


def inject(*messages: Json, thread_id: str = "t") -> dict[str, Json]:
    return {"type": PREFIX + "messages.inject", "thread_id": thread_id, "messages": list(messages)}


def test_injected_messages_come_in_order() -> None:
    first: dict[str, Json] = {"type": PREFIX + "turn.start", "thread_id": "t", "message_id": "1"}
    second: dict[str, Json] = {"type": PREFIX + "models.request", "message_id": "2"}
    assert unpack(inject(first, second)) == (first, second)
    assert unpack(first) == (first,)
    assert unpack(inject()) == ()


@pytest.mark.parametrize(
    "body",
    [
        inject({"type": PREFIX + "turn.start", "thread_id": "other"}),
        inject({"type": PREFIX + "turn.start", "thread_id": None}),
        inject(inject({"type": PREFIX + "turn.start", "thread_id": "t"})),
        inject("turn.start"),
        inject({"thread_id": "t"}),
        inject(*MANY),
        {"type": PREFIX + "messages.inject", "messages": []},
        {"type": PREFIX + "messages.inject", "thread_id": "t", "messages": {}},
    ],
)
def test_injections_that_are_refused(body: dict[str, Json]) -> None:
    with pytest.raises(WireError):
        unpack(body)
