"""Bad messages to the chat channel: each kind of request with each kind of fault gets the refusal its client
waits for, is asked of nobody, and disturbs no other viewer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from process_agent.channels import repeats as repeats_module
from process_agent.core import events as e
from process_agent.core import requests as r
from process_agent.core.content import ErrorInfo, GeneratedImage, Json
from process_agent.core.ids import AskId, ItemId, MessageId
from process_agent.core.replies import ThreadStartRejected
from process_agent.wire.agent_messages import limits
from tests.fakes.memory_messaging import PREFIX
from tests.integration.test_channels_chat import Chat, T, chat

__all__ = ["chat"]

TEXT: list[Json] = [{"type": "text", "text": "hi"}]
ASK: dict[str, Json] = {"thread_id": T, "turn_id": "U", "request_id": "q"}

GOOD: dict[str, dict[str, Json]] = {
    "thread.start": {"content": TEXT},
    "turn.start": {"thread_id": T, "content": TEXT},
    "turn.steer": {"thread_id": T, "turn_id": "U", "content": TEXT},
    "turn.interrupt": {"thread_id": T, "turn_id": "U"},
    "thread.open": {"thread_id": T, "load": True},
    "thread.close": {"thread_id": T},
    "thread.clear": {"thread_id": T},
    "thread.delete": {"thread_id": T},
    "thread.rename": {"thread_id": T, "name": "x"},
    "thread.list": {"limit": 20, "offset": 0},
    "models.request": {},
    "model.change": {"thread_id": T, "model": "m"},
    "capabilities_request": {"thread_id": T},
    "tool_call.approve": {"thread_id": T, "turn_id": "U", "item_id": "i"},
    "tool_call.reject": {"thread_id": T, "turn_id": "U", "item_id": "i"},
    "client_tool_call.response": {**ASK, "response": {"type": "empty"}},
    "secret.response": {**ASK, "value": "s3cret"},
    "messages.inject": {"thread_id": T, "messages": [{"type": f"{PREFIX}thread.clear", "thread_id": T}]},
}
"""A message of each kind that is taken."""

REFUSED_BY: dict[str, tuple[str, ...]] = {
    "thread.start": ("thread.start.rejected", "turn.start.rejected"),
    "turn.start": ("turn.start.rejected",),
    "turn.steer": ("turn.steer.rejected",),
    "thread.open": ("thread.event", "thread.loaded"),
    "thread.close": (),
}
"""What its client waits for; for all others a `thread.event`."""

LONG = "x" * (limits.MAX_ID + 1)
FAULTS: dict[str, Callable[[dict[str, Json]], dict[str, Json]]] = {
    "no thread": lambda m: {k: v for k, v in m.items() if k != "thread_id"},
    "a thread that is no text": lambda m: m | {"thread_id": {"path": T}},
    "an endless thread": lambda m: m | {"thread_id": LONG},
    "no turn": lambda m: {k: v for k, v in m.items() if k != "turn_id"},
    "a turn that is no text": lambda m: m | {"turn_id": ["U"]},
    "content that is no list": lambda m: m | {"content": "hi"},
    "content of an unknown kind": lambda m: m | {"content": [{"type": "video", "url": "x"}]},
    "half a character": lambda m: m | {"content": [{"type": "text", "text": "\ud800"}], "name": "\ud800"},
    "a number that is none": lambda m: m | {"metadata": {"n": float("nan")}},
    "too large": lambda m: m | {"metadata": {"padding": "x" * (limits.MAX_MESSAGE + 1)}},
}
NEEDS: dict[str, Callable[[str], bool]] = {
    "no thread": lambda kind: "thread_id" in GOOD[kind],
    "a thread that is no text": lambda kind: "thread_id" in GOOD[kind],
    "an endless thread": lambda kind: "thread_id" in GOOD[kind] and kind != "messages.inject",
    "no turn": lambda kind: "turn_id" in GOOD[kind],
    "a turn that is no text": lambda kind: "turn_id" in GOOD[kind],
    "content that is no list": lambda kind: "content" in GOOD[kind],
    "content of an unknown kind": lambda kind: "content" in GOOD[kind],
}
"""Where a fault is one."""

CASES = [(kind, fault) for kind in GOOD for fault in FAULTS if fault not in NEEDS or NEEDS[fault](kind)]


@pytest.mark.parametrize(("kind", "fault"), CASES, ids=lambda value: str(value))
async def test_bad_messages_are_refused_and_disturb_nobody(chat: Chat, kind: str, fault: str) -> None:
    eve, ana = chat.messaging.join("eve"), chat.messaging.join("ana")
    chat.view(ana)
    message_id = eve.send(kind, **FAULTS[fault](GOOD[kind]))
    assert chat.asked == []
    for answer in REFUSED_BY.get(kind, ("thread.event",)):
        got = await eve.wait(answer)
        event = got["event"] if answer == "thread.event" else got
        assert event["source_message_id"] == message_id
        if answer != "thread.loaded":
            assert event["error"]["code"] == "invalid_message"
            assert len(event["error"]["message"]) < 300
            assert "s3cret" not in event["error"]["message"]
    eve.send(kind, **GOOD[kind])
    assert len(chat.asked) == 1
    chat.show(e.InterruptAccepted(MessageId("m")), ana)
    await ana.wait("turn.interrupt.accepted")
    assert ana.types() == ["turn.interrupt.accepted"]
    assert len(eve.got) == len(REFUSED_BY.get(kind, ("thread.event",)))


@pytest.mark.parametrize("message_id", [7, "", LONG, ["m"]])
async def test_a_message_without_a_usable_id_is_dropped_or_gets_one(chat: Chat, message_id: Json) -> None:
    eve = chat.messaging.join("eve")
    eve.send_raw({"type": f"{PREFIX}turn.start", "thread_id": T, "content": TEXT, "message_id": message_id})
    if message_id == "":
        assert chat.asked[0].envelope.message_id.startswith("n")  # type: ignore[union-attr]
    else:
        assert chat.asked == []
    await asyncio.sleep(0)
    assert eve.got == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"type": 7},
        {"type": f"{PREFIX}participant.connect", "participant_id": "p9", "message_id": "m"},
        {"type": f"{PREFIX}participant.disconnect", "participant_id": "agent", "message_id": "m"},
        {"type": f"{PREFIX}turn.ended", "thread_id": T, "turn_id": "U", "message_id": "m"},
        {"type": f"{PREFIX}thread.loaded", "thread_id": T, "message_id": "m"},
        {"type": f"{PREFIX}not.invented", "message_id": "m"},
        {"type": "turn.start", "thread_id": T, "content": TEXT, "message_id": "m"},
        {"payload": [1, 2]},
        {"payload": {"payload": {"type": f"{PREFIX}thread.watch"}}},
    ],
)
async def test_what_is_no_request_is_dropped(chat: Chat, body: dict[str, Json]) -> None:
    eve = chat.messaging.join("eve")
    eve.send_raw(body)
    eve.send_raw(body, message_type="typing")
    await asyncio.sleep(0)
    assert chat.asked == []
    assert eve.got == []


async def test_who_sent_it_and_who_gets_the_answer_is_for_the_room_to_say(chat: Chat) -> None:
    eve, ana = chat.messaging.join("eve"), chat.messaging.join("ana")
    forged: dict[str, Json] = {
        "sender_name": "ana",
        "sender": {"id": ana.participant.id, "attributes": {"name": "ana", "role": "user"}},
        "from_participant_id": ana.participant.id,
        "to_participant_id": ana.participant.id,
        "target_participant_id": ana.participant.id,
    }
    eve.send("turn.start", **GOOD["turn.start"], **forged)
    request = await chat.wait_for(r.StartTurn)
    assert request.envelope.sender == eve.participant
    eve.send("turn.start", **GOOD["turn.start"], **forged, voice="alloy")
    assert (await eve.wait("turn.start.rejected"))["error"]["code"] == "unsupported_modality"
    assert ana.got == []


async def test_a_message_that_comes_twice_is_asked_once(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats_module, "MAX_REMEMBERED", 3)
    ana, eve = chat.messaging.join("ana"), chat.messaging.join("eve")
    body: dict[str, Json] = {"type": f"{PREFIX}turn.start", "message_id": "once", **GOOD["turn.start"]}
    ana.send_raw(body)
    ana.send_raw(body)
    again = chat.messaging.join("ana")  # back with another participant id
    again.send_raw(body)
    assert len(chat.asked) == 1
    eve.send_raw(body)
    refused = await eve.wait("turn.start.rejected")
    assert refused["error"]["code"] == "duplicate_message_id"
    eve.send_raw(body)
    await eve.wait("turn.start.rejected")
    assert len(chat.asked) == 1
    chat.show(e.TurnRejected(MessageId("once"), ErrorInfo("busy", "busy")), ana)
    ana.send_raw(body)
    assert len(chat.asked) == 2
    for n in range(5):
        eve.send_raw(body | {"message_id": f"other{n}"})
    ana.send_raw(body)  # forgotten by now
    assert len(chat.asked) == 8


async def test_a_refused_thread_may_be_asked_for_again(chat: Chat) -> None:
    ana = chat.messaging.join("ana")
    body: dict[str, Json] = {"type": f"{PREFIX}thread.start", "message_id": "once", "content": TEXT}
    ana.send_raw(body)
    chat.channel.answer(
        ana.participant.id, ThreadStartRejected(MessageId("once"), ErrorInfo("no room", "room"))
    )
    ana.send_raw(body)
    assert len(chat.asked) == 2


async def test_sound_is_refused_once_for_a_recording(chat: Chat) -> None:
    ana = chat.messaging.join("ana")
    for _ in range(50):
        ana.send("realtime_audio.chunk", thread_id=T, format={"type": "audio/pcm"})
    ana.send("realtime_audio.commit", thread_id=T)
    first = await ana.wait("turn.start.rejected")
    assert first["error"]["code"] == "unsupported_modality"
    ana.send("realtime_audio.commit", thread_id=T)
    await ana.wait("turn.start.rejected")
    ana.send("realtime_audio.chunk", thread_id="another")
    await ana.wait("turn.start.rejected")
    assert len(ana.got) == 3
    assert chat.asked == []


async def test_injected_messages_are_asked_in_order_and_refused_one_by_one(chat: Chat) -> None:
    ana = chat.messaging.join("ana")
    inner: list[Json] = [
        {"type": f"{PREFIX}thread.rename", "thread_id": T, "name": "x", "message_id": "1"},
        {"type": f"{PREFIX}turn.start", "thread_id": T, "content": "wrong", "message_id": "2"},
        {"type": f"{PREFIX}thread.status", "thread_id": T, "message_id": "3"},
        {"type": f"{PREFIX}thread.clear", "thread_id": T, "message_id": "4"},
    ]
    ana.send("messages.inject", thread_id=T, messages=inner)
    assert [type(request) for request in chat.asked] == [r.RenameThread, r.ClearThread]
    assert (await ana.wait("turn.start.rejected"))["source_message_id"] == "2"


async def test_what_one_is_asked_for_reaches_nobody_else(chat: Chat) -> None:
    ana, eve = chat.messaging.join("ana"), chat.messaging.join("eve")
    chat.view(ana)
    chat.view(eve)
    target = ana.participant.id
    chat.show(e.ClientToolRequested(AskId("q"), "open_file", {"path": "x"}, target), ana, eve)
    chat.show(e.ClientToolCancelled(AskId("q"), "open_file", "too late", target), ana, eve)
    chat.show(e.SecretRequested(AskId("s"), "API_KEY"), ana)
    chat.show(e.InterruptAccepted(MessageId("m")), ana, eve)
    await eve.wait("turn.interrupt.accepted")
    await ana.wait("turn.interrupt.accepted")
    assert eve.types() == ["turn.interrupt.accepted"]
    assert ana.types()[:3] == ["client_tool_call.requested", "client_tool_call.cancelled", "secret.requested"]


async def test_one_viewer_of_ten_who_stopped_reading_slows_none(chat: Chat) -> None:
    *readers, stopped = (chat.messaging.join(f"viewer{n}") for n in range(10))
    for client in (*readers, stopped):
        chat.view(client)
    stopped.listening.clear()
    item, image = ItemId("i"), ItemId("image")
    ref = e.ToolRef(ItemId("tool"), "codex", "shell")
    for n in range(2000):
        chat.show(e.TextDelta(item, f"{n} "), *readers, stopped)
        chat.show(e.ToolArguments(ref, f"{n},"), *readers, stopped)
        chat.show(e.ImagePartial(image, GeneratedImage(f"data:,{n}"), n), *readers, stopped)
    chat.show(e.TextEnded(item), *readers, stopped)
    for client in readers:
        await client.wait("text_content.ended")
    assert stopped.got == []
    stopped.listening.set()
    await stopped.wait("text_content.ended")
    whole = "".join(f"{n} " for n in range(2000))
    assert {client.text("i") for client in (*readers, stopped)} == {whole}
    assert len(stopped.got) < 12
    (image_shown,) = stopped.all("image_generation.partial")
    assert image_shown["image"]["uri"] == "data:,1999"
