"""Requests of participants as agent messages (section 3.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from process_agent.core import requests as r
from process_agent.core.content import Json
from process_agent.core.ids import IdSource, ItemId, MessageId, ThreadId, TurnId
from process_agent.core.participants import Participant
from process_agent.wire.agent_messages.parts import PREFIX, Body, Fields, decode_content, encode_content

MAX_PAGE = 200
"""Most threads one `thread.list` returns; the published agent clamps to the same."""


def decode_request(body: Body, *, channel: str, sender: Participant, new_id: IdSource) -> r.Request | None:
    """The request a message makes, or None when its type is not a request we know.

    `sender` is who the room says sent it. Raises `WireError` when the type is known and a field is wrong.
    """
    fields = Fields(body)
    decoder = _DECODERS.get(fields.type.removeprefix(PREFIX))
    if decoder is None or not fields.type.startswith(PREFIX):
        return None
    message_id = MessageId(fields.maybe_text("message_id") or new_id())
    return decoder(fields, r.Envelope(message_id, channel, sender))


def _thread(f: Fields) -> ThreadId:
    return ThreadId(f.text("thread_id"))


def _turn(f: Fields) -> TurnId:
    return TurnId(f.text("turn_id"))


def _wish(f: Fields) -> r.ModelWish:
    return r.ModelWish(f.maybe_text("backend"), f.maybe_text("provider"), f.maybe_text("model"))


def _start_turn(f: Fields, envelope: r.Envelope) -> r.Request:
    turn_id = f.maybe_text("turn_id")
    return r.StartTurn(
        envelope, _thread(f), decode_content(f), None if turn_id is None else TurnId(turn_id), _wish(f)
    )


def _list(f: Fields, envelope: r.Envelope) -> r.Request:
    limit = min(max(f.number("limit", MAX_PAGE), 1), MAX_PAGE)
    return r.ListThreads(envelope, limit, max(f.number("offset", 0), 0))


def _decide(accepted: bool) -> Callable[[Fields, r.Envelope], r.Request]:
    def decode(f: Fields, envelope: r.Envelope) -> r.Request:
        return r.Decide(envelope, _thread(f), _turn(f), ItemId(f.text("item_id")), accepted)

    return decode


_DECODERS: dict[str, Callable[[Fields, r.Envelope], r.Request]] = {
    "thread.start": lambda f, v: r.StartThread(v, decode_content(f), f.maybe_text("name"), _wish(f)),
    "turn.start": _start_turn,
    "turn.steer": lambda f, v: r.SteerTurn(v, _thread(f), _turn(f), decode_content(f)),
    "turn.interrupt": lambda f, v: r.InterruptTurn(v, _thread(f), _turn(f)),
    "thread.open": lambda f, v: r.OpenThread(v, _thread(f), f.flag("load"), f.maybe_text("since_turn")),
    "thread.close": lambda f, v: r.CloseThread(v, _thread(f)),
    "thread.list": _list,
    "thread.watch": lambda f, v: r.WatchThreads(v),
    "thread.unwatch": lambda f, v: r.UnwatchThreads(v),
    "thread.rename": lambda f, v: r.RenameThread(v, _thread(f), f.text("name")),
    "thread.delete": lambda f, v: r.DeleteThread(v, _thread(f)),
    "models.request": lambda f, v: r.ListModels(v),
    "model.change": lambda f, v: r.ChangeModel(v, _thread(f), _wish(f)),
    "tool_call.approve": _decide(True),
    "tool_call.reject": _decide(False),
    "capabilities_request": lambda f, v: r.ListCapabilities(v, _thread(f)),
}


def encode_request(request: r.Request) -> dict[str, Json]:
    """The message of a request; `Left` is said by the room and has none, so it raises ValueError."""
    if isinstance(request, r.Left):
        raise ValueError("leaving is not a message")
    kind, fields = _encode(request)
    message: dict[str, Json] = {"type": PREFIX + kind, "message_id": request.envelope.message_id}
    return message | {k: v for k, v in fields.items() if v is not None}


type _Encoded = tuple[str, dict[str, Json]]


def _encode(request: r.Request) -> _Encoded:
    match request:
        case (
            r.StartThread() | r.StartTurn() | r.SteerTurn() | r.InterruptTurn() | r.Decide() | r.ChangeModel()
        ):
            return _encode_turn(request)
        case r.Left():
            raise ValueError("leaving is not a message")
        case _:
            return _encode_thread(request)


def _encode_turn(
    request: r.StartThread | r.StartTurn | r.SteerTurn | r.InterruptTurn | r.Decide | r.ChangeModel,
) -> _Encoded:
    match request:
        case r.StartThread(_, content, name, wish):
            parts = encode_content(content) or None
            return "thread.start", {"content": parts, "name": name, **_encode_wish(wish)}
        case r.StartTurn(_, thread_id, content, turn_id, wish):
            fields: dict[str, Json] = {"thread_id": thread_id, "turn_id": turn_id}
            return "turn.start", fields | {"content": encode_content(content), **_encode_wish(wish)}
        case r.SteerTurn(_, thread_id, turn_id, content):
            return "turn.steer", {
                "thread_id": thread_id,
                "turn_id": turn_id,
                "content": encode_content(content),
            }
        case r.InterruptTurn(_, thread_id, turn_id):
            return "turn.interrupt", {"thread_id": thread_id, "turn_id": turn_id}
        case r.Decide(_, thread_id, turn_id, item_id, accepted):
            kind = "tool_call.approve" if accepted else "tool_call.reject"
            return kind, {"thread_id": thread_id, "turn_id": turn_id, "item_id": item_id}
        case r.ChangeModel(_, thread_id, wish):
            return "model.change", {"thread_id": thread_id, **_encode_wish(wish)}
        case _:
            assert_never(request)


def _encode_thread(
    request: r.OpenThread
    | r.CloseThread
    | r.ListThreads
    | r.WatchThreads
    | r.UnwatchThreads
    | r.RenameThread
    | r.DeleteThread
    | r.ListModels
    | r.ListCapabilities,
) -> _Encoded:
    match request:
        case r.OpenThread(_, thread_id, load, since):
            return "thread.open", {"thread_id": thread_id, "load": load, "since_turn": since}
        case r.CloseThread(_, thread_id):
            return "thread.close", {"thread_id": thread_id}
        case r.ListThreads(_, limit, offset):
            return "thread.list", {"limit": limit, "offset": offset}
        case r.WatchThreads():
            return "thread.watch", {}
        case r.UnwatchThreads():
            return "thread.unwatch", {}
        case r.RenameThread(_, thread_id, name):
            return "thread.rename", {"thread_id": thread_id, "name": name}
        case r.DeleteThread(_, thread_id):
            return "thread.delete", {"thread_id": thread_id}
        case r.ListModels():
            return "models.request", {}
        case r.ListCapabilities(_, thread_id):
            return "capabilities_request", {"thread_id": thread_id}
        case _:
            assert_never(request)


def _encode_wish(wish: r.ModelWish) -> dict[str, Json]:
    return {"backend": wish.backend, "provider": wish.provider, "model": wish.model}
