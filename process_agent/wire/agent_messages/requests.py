"""Requests of participants from agent messages (section 3.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from process_agent.core import requests as r
from process_agent.core.content import ContentPart
from process_agent.core.ids import AskId, IdSource, ItemId, MessageId, ThreadId, TurnId
from process_agent.core.participants import Participant
from process_agent.errors import WireError
from process_agent.wire.agent_messages import limits
from process_agent.wire.agent_messages.approvals import decode_choice
from process_agent.wire.agent_messages.parts import (
    OWN,
    PREFIX,
    Body,
    Fields,
    decode_attached,
    decode_tool_answer,
)
from process_agent.wire.agent_messages.turn_options import (
    UNSUPPORTED_MODALITY,
    decode_options,
    refuse_voice,
)

MAX_TURNS = 1_000
"""Most turns of one page of a thread."""

MAX_PAGE = 200
"""Most threads one `thread.list` returns; the published agent clamps to the same."""


def decode_request(body: Body, *, channel: str, sender: Participant, new_id: IdSource) -> r.Request | None:
    """The request a message makes, or None when its type is not a request we know.

    `sender` is who the room says sent it; what the message says about its sender or about whom it is for
    does not count. Raises `WireError` when the type is known and a field is wrong, or asks for what we do
    not speak.
    """
    fields = Fields(body)
    decoder = _DECODERS.get(fields.type.removeprefix(PREFIX))
    if decoder is None or not fields.type.startswith(PREFIX):
        return None
    if decoder is not _audio:  # sound may be bytes, and is refused in any case
        limits.check(body)
    message_id = MessageId(_maybe_id(fields, "message_id") or new_id())
    return decoder(fields, r.Envelope(message_id, channel, sender))


def _maybe_id(f: Fields, name: str) -> str | None:
    value = f.maybe_text(name)
    if value is not None and len(value) > limits.MAX_ID:
        raise WireError(f"{f.type}: {name} has more than {limits.MAX_ID} characters")
    return value or None


def _id(f: Fields, name: str) -> str:
    f.text(name)
    value = _maybe_id(f, name)
    if value is None:
        raise WireError(f"{f.type}: {name} must not be empty")
    return value


def _thread(f: Fields) -> ThreadId:
    return ThreadId(_id(f, "thread_id"))


def _turn(f: Fields) -> TurnId:
    return TurnId(_id(f, "turn_id"))


def _ask(f: Fields) -> AskId:
    return AskId(_id(f, "request_id"))


def _name(f: Fields) -> str:
    name = f.text("name")
    if len(name) > limits.MAX_NAME:
        raise WireError(f"{f.type}: name has more than {limits.MAX_NAME} characters")
    return name


def _content(f: Fields) -> tuple[ContentPart, ...]:
    content = decode_attached(f)
    if len(content) > limits.MAX_PARTS:
        raise WireError(f"{f.type}: content has more than {limits.MAX_PARTS} parts")
    return content


def _wish(f: Fields) -> r.ModelWish:
    return r.ModelWish(*(_maybe_id(f, name) for name in ("backend", "provider", "model")))


def _start_thread(f: Fields, envelope: r.Envelope) -> r.Request:
    name = None if f.body.get("name") is None else _name(f)
    return r.StartThread(envelope, _content(f), name, _wish(f), decode_options(f))


def _start_turn(f: Fields, envelope: r.Envelope) -> r.Request:
    turn_id = _maybe_id(f, "turn_id")
    named = None if turn_id is None else TurnId(turn_id)
    return r.StartTurn(envelope, _thread(f), _content(f), named, _wish(f), decode_options(f))


def _change_model(f: Fields, envelope: r.Envelope) -> r.Request:
    refuse_voice(f)
    return r.ChangeModel(envelope, _thread(f), _wish(f))


def _open(f: Fields, envelope: r.Envelope) -> r.Request:
    """Paging backwards is ours alone: clients that know nothing of it open without."""
    own = f.object("metadata").get(OWN)
    page = Fields({**(own if isinstance(own, dict) else {}), "type": f.type})
    limit = page.body.get("limit")
    return r.OpenThread(
        envelope,
        _thread(f),
        f.flag("load"),
        _maybe_id(f, "since_turn"),
        _maybe_id(page, "before"),
        None if limit is None else min(max(page.number("limit", MAX_TURNS), 1), MAX_TURNS),
    )


def _delete(f: Fields, envelope: r.Envelope) -> r.Request:
    own = f.object("metadata").get(OWN)
    return r.DeleteThread(envelope, _thread(f), isinstance(own, dict) and own.get("keep_files") is True)


def _list(f: Fields, envelope: r.Envelope) -> r.Request:
    limit = min(max(f.number("limit", MAX_PAGE), 1), MAX_PAGE)
    return r.ListThreads(envelope, limit, max(f.number("offset", 0), 0))


def _decide(accepted: bool) -> Callable[[Fields, r.Envelope], r.Request]:
    def decode(f: Fields, envelope: r.Envelope) -> r.Request:
        choice = decode_choice(f, accepted)
        return r.Decide(envelope, _thread(f), _turn(f), ItemId(_id(f, "item_id")), *choice)

    return decode


def _answer_tool(f: Fields, envelope: r.Envelope) -> r.Request:
    response = decode_tool_answer(f, "response")
    return r.AnswerClientTool(envelope, _thread(f), _turn(f), _ask(f), response)


def _answer_secret(f: Fields, envelope: r.Envelope) -> r.Request:
    parts = tuple(f.maybe_text(n) for n in ("value", "authorization_code", "redirect_uri", "error"))
    if any(part is not None and len(part) > limits.MAX_SECRET for part in parts):
        raise WireError(f"{f.type}: a part of the secret has more than {limits.MAX_SECRET} characters")
    return r.AnswerSecret(envelope, _thread(f), _turn(f), _ask(f), r.Secret(*parts))


def _audio(f: Fields, _envelope: r.Envelope) -> NoReturn:
    raise WireError(
        "This agent does not listen: type your message, or turn voice input off.",
        refusal=UNSUPPORTED_MODALITY,
    )


_DECODERS: dict[str, Callable[[Fields, r.Envelope], r.Request]] = {
    "thread.start": _start_thread,
    "turn.start": _start_turn,
    "turn.steer": lambda f, v: r.SteerTurn(v, _thread(f), _turn(f), _content(f)),
    "turn.interrupt": lambda f, v: r.InterruptTurn(v, _thread(f), _turn(f)),
    "thread.open": _open,
    "thread.close": lambda f, v: r.CloseThread(v, _thread(f)),
    "thread.list": _list,
    "thread.watch": lambda f, v: r.WatchThreads(v),
    "thread.unwatch": lambda f, v: r.UnwatchThreads(v),
    "thread.rename": lambda f, v: r.RenameThread(v, _thread(f), _name(f)),
    "thread.delete": _delete,
    "thread.clear": lambda f, v: r.ClearThread(v, _thread(f)),
    "models.request": lambda f, v: r.ListModels(v),
    "model.change": _change_model,
    "tool_call.approve": _decide(True),
    "tool_call.reject": _decide(False),
    "client_tool_call.response": _answer_tool,
    "secret.response": _answer_secret,
    "realtime_audio.chunk": _audio,
    "realtime_audio.commit": _audio,
    "capabilities_request": lambda f, v: r.ListCapabilities(v, _thread(f)),
}
