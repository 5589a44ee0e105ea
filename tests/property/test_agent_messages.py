"""Agent messages survive the way over the wire, whatever they hold."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_agent.core import events as e
from process_agent.core import replies as rp
from process_agent.core import requests as rq
from process_agent.core.content import (
    EmptyResult,
    ErrorInfo,
    FilePart,
    JsonResult,
    LogLine,
    TextPart,
    TextResult,
)
from process_agent.core.ids import ItemId, MessageId, ParticipantId, ThreadId, TurnId
from process_agent.core.models import ModelInfo, ProviderModels
from process_agent.core.participants import Participant
from process_agent.core.store import ThreadEntry
from process_agent.core.usage import ContextWindow, Usage
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

NOW = datetime(2026, 1, 1, 10, 0, tzinfo=UTC)
names = st.text(min_size=1, max_size=12)
texts = st.text(max_size=40)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(names, children, max_size=3),
    max_leaves=6,
)
arguments = st.dictionaries(names, json_values, max_size=3)
errors = st.builds(ErrorInfo, names, names)
content = st.lists(
    st.builds(TextPart, texts) | st.builds(FilePart, st.just("room:///a.png"), st.none() | names), max_size=3
).map(tuple)
items = names.map(ItemId)
sources = names.map(MessageId)
phases = st.sampled_from(["commentary", "final_answer", None])
lines = st.lists(st.builds(LogLine, texts, st.sampled_from(["stdout", "stderr"])), max_size=3).map(tuple)
refs = st.builds(e.ToolRef, items, names, names, names, st.none() | names)
results = (
    st.none() | st.builds(TextResult, texts) | st.builds(JsonResult, json_values) | st.just(EmptyResult())
)
counts = st.integers(0, 2**40)
said = (content, st.none() | names)
bodies = st.one_of(
    st.builds(e.TextStarted, items, phases),
    st.builds(e.TextDelta, items, texts, phases),
    st.builds(e.TextEnded, items, phases),
    st.builds(e.ReasoningStarted, items),
    st.builds(e.ReasoningDelta, items, texts),
    st.builds(e.ReasoningEnded, items, arguments),
    st.builds(e.FileShown, items, texts),
    st.builds(e.ToolStarted, refs, arguments),
    st.builds(e.ToolLog, refs, lines),
    st.builds(e.ToolEnded, refs, results, st.none() | errors),
    st.builds(e.ApprovalRequested, refs, arguments, st.none() | names),
    st.builds(
        e.UsageUpdated,
        st.builds(Usage, counts, counts, counts, counts),
        st.none() | st.builds(ContextWindow, counts, st.none() | counts),
    ),
    st.builds(e.TurnEnded, st.just(e.EndReason.COMPLETED)),
    st.builds(e.TurnEnded, st.just(e.EndReason.INTERRUPTED)),
    st.builds(e.TurnEnded, st.sampled_from([e.EndReason.FAILED, e.EndReason.LOST]), errors),
    st.builds(e.TurnRequested, *said, st.none() | names, st.none() | names, st.none() | names),
    st.builds(e.SteerRequested, *said),
    st.builds(e.TurnAccepted, sources, *said),
    st.builds(e.TurnRejected, sources, errors),
    st.builds(e.TurnStarted, sources, *said),
    st.builds(e.SteerAccepted, sources, *said),
    st.builds(e.Steered, sources, *said),
    st.builds(e.SteerRejected, sources, errors),
    st.builds(e.InterruptAccepted, sources),
    st.builds(e.Interrupted, sources),
    st.builds(
        e.Status, st.none() | names, st.sampled_from(["busy", "steerable", None]), st.none() | st.just(NOW)
    ),
    st.builds(e.ModelChanged, st.none() | sources, names, st.none() | names, st.none() | names),
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


@given(refs, st.booleans(), names)
def test_a_decision_reads_as_a_log_line_for_others_and_as_a_decision_for_us(
    ref: e.ToolRef, accepted: bool, by: str
) -> None:
    event = e.ThreadEvent(
        MessageId("m"), ThreadId("t"), TurnId("u"), NOW, e.ApprovalDecided(ref, accepted, by)
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


sender = Participant(ParticipantId("p1"), "user", {"name": "ana"})
envelopes = st.builds(rq.Envelope, sources, st.just("chat"), st.just(sender))
threads = names.map(ThreadId)
turns = names.map(TurnId)
wishes = st.builds(rq.ModelWish, st.none() | names, st.none() | names, st.none() | names)
all_requests = st.one_of(
    st.builds(rq.StartThread, envelopes, content, st.none() | names, wishes),
    st.builds(rq.StartTurn, envelopes, threads, content, st.none() | turns, wishes),
    st.builds(rq.SteerTurn, envelopes, threads, turns, content),
    st.builds(rq.InterruptTurn, envelopes, threads, turns),
    st.builds(rq.OpenThread, envelopes, threads, st.booleans(), st.none() | names),
    st.builds(rq.CloseThread, envelopes, threads),
    st.builds(rq.ListThreads, envelopes, st.integers(1, 200), st.integers(0, 1000)),
    st.builds(rq.WatchThreads, envelopes),
    st.builds(rq.UnwatchThreads, envelopes),
    st.builds(rq.RenameThread, envelopes, threads, names),
    st.builds(rq.DeleteThread, envelopes, threads),
    st.builds(rq.ListModels, envelopes),
    st.builds(rq.ChangeModel, envelopes, threads, wishes),
    st.builds(rq.Decide, envelopes, threads, turns, items, st.booleans()),
    st.builds(rq.ListCapabilities, envelopes, threads),
)


@given(all_requests)
def test_request_round_trip(request: rq.Request) -> None:
    body = over_the_wire(encode_request(request))
    assert decode_request(body, channel="chat", sender=sender, new_id=lambda: "unused") == request


entries = st.builds(ThreadEntry, threads, names, st.just(NOW), st.just(NOW))
models = st.builds(
    ModelInfo,
    names,
    st.none() | names,
    st.none() | names,
    st.none() | counts,
    st.just(("image",)) | st.just(()),
    st.booleans(),
)
all_providers = st.builds(
    ProviderModels, names, names, names, st.none() | names, st.lists(models, max_size=2).map(tuple)
)
all_replies = st.one_of(
    st.builds(rp.ThreadStarted, sources, threads),
    st.builds(rp.ThreadStartRejected, sources, errors),
    st.builds(rp.ThreadLoaded, sources, threads, st.none() | names),
    st.builds(
        rp.ThreadsListed,
        sources,
        st.lists(entries, max_size=3).map(tuple),
        counts,
        counts,
        st.integers(1, 200),
    ),
    st.builds(rp.ThreadCreated, entries),
    st.builds(rp.ThreadUpdated, entries),
    st.builds(rp.ThreadDeleted, threads),
    st.builds(rp.ModelsListed, sources, st.lists(all_providers, max_size=2).map(tuple)),
    st.builds(
        rp.CapabilitiesListed,
        sources,
        threads,
        names,
        st.lists(st.tuples(names, st.lists(names, max_size=2).map(tuple)), max_size=2).map(tuple),
    ),
    st.builds(rp.RequestRejected, sources, threads, errors),
)


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
