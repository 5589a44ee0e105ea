"""Requests as agent messages, for our own clients (section 3.3)."""

from __future__ import annotations

from typing import assert_never

from process_agent.core import requests as r
from process_agent.core.content import Json
from process_agent.wire.agent_messages.approvals import encode_choice
from process_agent.wire.agent_messages.parts import OWN, PREFIX, encode_content, encode_tool_answer


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
        case r.AnswerClientTool() | r.AnswerSecret():
            return _encode_answer(request)
        case r.Left():
            raise ValueError("leaving is not a message")
        case _:
            return _encode_thread(request)


def _encode_turn(
    request: r.StartThread | r.StartTurn | r.SteerTurn | r.InterruptTurn | r.Decide | r.ChangeModel,
) -> _Encoded:
    match request:
        case r.StartThread(_, content, name, wish, options):
            fields: dict[str, Json] = {"content": encode_content(content) or None, "name": name}
            return "thread.start", fields | _encode_wish(wish) | _encode_options(options)
        case r.StartTurn(_, thread_id, content, turn_id, wish, options):
            fields = {"thread_id": thread_id, "turn_id": turn_id, "content": encode_content(content)}
            return "turn.start", fields | _encode_wish(wish) | _encode_options(options)
        case r.SteerTurn(_, thread_id, turn_id, content):
            return "turn.steer", {
                "thread_id": thread_id,
                "turn_id": turn_id,
                "content": encode_content(content),
            }
        case r.InterruptTurn(_, thread_id, turn_id):
            return "turn.interrupt", {"thread_id": thread_id, "turn_id": turn_id}
        case r.Decide(_, thread_id, turn_id, item_id, decision, answers):
            kind = "tool_call.approve" if decision.accepts else "tool_call.reject"
            ids: dict[str, Json] = {"thread_id": thread_id, "turn_id": turn_id, "item_id": item_id}
            return kind, ids | {"metadata": encode_choice(decision, answers)}
        case r.ChangeModel(_, thread_id, wish):
            return "model.change", {"thread_id": thread_id, **_encode_wish(wish)}
        case _:
            assert_never(request)


type _AboutThread = r.CloseThread | r.ClearThread | r.ListCapabilities
type _AboutList = r.ListThreads | r.WatchThreads | r.UnwatchThreads | r.ListModels


def _encode_thread(
    request: r.OpenThread | r.RenameThread | r.DeleteThread | _AboutThread | _AboutList,
) -> _Encoded:
    match request:
        case r.OpenThread(_, thread_id, load, since, before, limit):
            opening: dict[str, Json] = {"thread_id": thread_id, "load": load, "since_turn": since}
            page: dict[str, Json] = {"before": before, "limit": limit}
            paged = before is not None or limit is not None
            return "thread.open", opening | ({"metadata": {OWN: page}} if paged else {})
        case r.RenameThread(_, thread_id, name):
            return "thread.rename", {"thread_id": thread_id, "name": name}
        case r.DeleteThread(_, thread_id, keep_files):
            own: dict[str, Json] = {"metadata": {OWN: {"keep_files": True}}} if keep_files else {}
            return "thread.delete", {"thread_id": thread_id, **own}
        case r.CloseThread() | r.ClearThread() | r.ListCapabilities():
            return _ABOUT_THREAD[type(request)], {"thread_id": request.thread_id}
        case r.ListThreads(_, limit, offset):
            return "thread.list", {"limit": limit, "offset": offset}
        case r.WatchThreads():
            return "thread.watch", {}
        case r.UnwatchThreads():
            return "thread.unwatch", {}
        case r.ListModels():
            return "models.request", {}
        case _:
            assert_never(request)


_ABOUT_THREAD: dict[type[_AboutThread], str] = {
    r.CloseThread: "thread.close",
    r.ClearThread: "thread.clear",
    r.ListCapabilities: "capabilities_request",
}


def _encode_wish(wish: r.ModelWish) -> dict[str, Json]:
    return {"backend": wish.backend, "provider": wish.provider, "model": wish.model}


def _encode_options(options: r.TurnOptions) -> dict[str, Json]:
    tools: list[Json] = [
        {
            "name": tool.name,
            "title": tool.title,
            "description": tool.description,
            "input_schema": dict(tool.schema),
        }
        for tool in options.client_tools
    ]
    own: dict[str, Json] = {}
    if options.effort is not None:
        own["effort"] = options.effort
    if options.output_schema is not None:
        own["output_schema"] = dict(options.output_schema)
    return {
        "instructions": options.instructions,
        "client_toolkits": tools or None,
        "metadata": {OWN: own} if own else None,
    }


def _encode_answer(request: r.AnswerClientTool | r.AnswerSecret) -> _Encoded:
    """What a participant answers a turn that asked it for something."""
    fields: dict[str, Json] = {
        "thread_id": request.thread_id,
        "turn_id": request.turn_id,
        "request_id": request.ask_id,
    }
    match request:
        case r.AnswerClientTool():
            return "client_tool_call.response", fields | {"response": encode_tool_answer(request.response)}
        case r.AnswerSecret():
            secret = request.secret
            return "secret.response", fields | {
                "value": secret.value,
                "authorization_code": secret.authorization_code,
                "redirect_uri": secret.redirect_uri,
                "error": secret.error,
            }
        case _:
            assert_never(request)
