"""Agent messages survive the way over the wire, whatever they hold."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_agent.core import events as e
from process_agent.core import replies as rp
from process_agent.core import requests as rq
from process_agent.core.content import ErrorInfo, FilePart
from process_agent.core.decisions import Decision
from process_agent.core.ids import MessageId, ThreadId, TurnId
from process_agent.errors import WireError
from process_agent.wire.agent_messages import (
    compact,
    decode_event,
    decode_reply,
    decode_request,
    encode_event,
    encode_reply,
    encode_request,
)
from tests.fakes.agent_message_samples import (
    NOW,
    all_replies,
    all_requests,
    bodies,
    json_values,
    names,
    refs,
    sender,
)


def over_the_wire(body: dict[str, Any]) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(json.dumps(body))
    return decoded


def stable(event: e.ThreadEvent) -> e.ThreadEvent | None:
    return decode_event(over_the_wire(encode_event(event)), NOW)


@given(bodies)
def test_event_round_trip_in_complete_and_live_form(body: e.EventBody) -> None:
    event = e.ThreadEvent(MessageId("m"), ThreadId("dataset://a/b"), TurnId("u"), NOW, body)
    complete = over_the_wire(encode_event(event))
    decoded = decode_event(complete, NOW)
    assert decoded is not None
    assert decoded.body == body
    assert (decoded.message_id, decoded.thread_id, decoded.turn_id) == ("m", "dataset://a/b", "u")
    live = decode_event(compact(complete), NOW)
    assert live is not None
    assert live.body == body


@given(refs, st.sampled_from(Decision), names)
def test_a_decision_reads_as_a_log_line_for_others_and_as_a_decision_for_us(
    ref: e.ToolRef, decision: Decision, by: str
) -> None:
    event = e.ThreadEvent(
        MessageId("m"), ThreadId("t"), TurnId("u"), NOW, e.ApprovalDecided(ref, decision, by)
    )
    message = over_the_wire(encode_event(event))
    assert message["type"] == "meshagent.agent.tool_call.log_delta"
    assert by in message["lines"][0]["text"]
    assert stable(event) == event


def test_every_ended_turn_names_a_code_unless_it_completed() -> None:
    for reason in e.EndReason:
        error = ErrorInfo("gone", "lost") if reason in {e.EndReason.FAILED, e.EndReason.LOST} else None
        event = e.ThreadEvent(MessageId("m"), ThreadId("t"), TurnId("u"), NOW, e.TurnEnded(reason, error))
        sent = encode_event(event)["error"]
        assert (sent is None) == (reason is e.EndReason.COMPLETED)
        assert sent is None or (isinstance(sent, dict) and sent["code"])


def test_ends_of_other_agents_are_understood() -> None:
    def ended(error: dict[str, str] | None) -> e.EventBody:
        base = {"type": "meshagent.agent.turn.ended", "message_id": "m", "thread_id": "t", "turn_id": "u"}
        decoded = decode_event({**base, "error": error}, NOW)  # type: ignore[dict-item]
        assert decoded is not None
        return decoded.body

    assert ended(None) == e.TurnEnded(e.EndReason.COMPLETED)
    assert ended({"message": "turn cancelled", "code": "cancelled"}) == e.TurnEnded(e.EndReason.INTERRUPTED)
    assert ended({"message": "boom"}) == e.TurnEnded(e.EndReason.FAILED, ErrorInfo("boom", "error"))


@given(all_requests)
def test_request_round_trip(request: rq.Request) -> None:
    body = over_the_wire(encode_request(request))
    assert decode_request(body, channel="chat", sender=sender, new_id=lambda: "unused") == request


@given(all_replies)
def test_reply_round_trip(reply: rp.Reply) -> None:
    body = over_the_wire(encode_reply(reply, message_id="m", created_at=NOW, sender_name="bot"))
    assert decode_reply(body) == reply
    assert decode_reply(compact(body)) == reply


@given(
    st.dictionaries(names, json_values, max_size=5),
    st.sampled_from(sorted(["turn.start", "tool_call.ended"])),
)
def test_nonsense_is_a_wire_error_and_nothing_else(fields: dict[str, Any], kind: str) -> None:
    body = {**fields, "type": f"meshagent.agent.{kind}"}
    for decode in (
        lambda: decode_event(body, NOW),
        lambda: decode_request(body, channel="chat", sender=sender, new_id=lambda: "m"),
        lambda: decode_reply(body),
    ):
        with suppress(WireError):
            decode()


def test_unknown_types_are_nobodys() -> None:
    body: dict[str, Any] = {"type": "meshagent.agent.not.invented", "message_id": "m", "thread_id": "t"}
    assert decode_event(body, NOW) is None
    assert decode_reply(body) is None
    assert decode_request(body, channel="chat", sender=sender, new_id=lambda: "m") is None
    with pytest.raises(WireError, match="without a type"):
        decode_event({}, NOW)


def test_the_sender_is_who_the_room_says_it_is() -> None:
    body = {"type": "meshagent.agent.thread.start", "sender_name": "the boss", "message_id": "m"}
    request = decode_request(body, channel="chat", sender=sender, new_id=lambda: "m")
    assert isinstance(request, rq.StartThread)
    assert request.envelope.sender.name == "ana"


def test_a_file_without_scheme_is_in_room_storage() -> None:
    body: dict[str, Any] = {
        "type": "meshagent.agent.turn.start",
        "thread_id": "t",
        "content": [{"type": "file", "url": "/uploads/a.png"}, {"type": "file", "url": "data:x,y"}],
    }
    request = decode_request(body, channel="chat", sender=sender, new_id=lambda: "m")
    assert isinstance(request, rq.StartTurn)
    assert request.content == (FilePart("room:///uploads/a.png"), FilePart("data:x,y"))
