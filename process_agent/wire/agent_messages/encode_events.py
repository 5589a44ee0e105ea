"""Thread events to agent messages (sections 3.4 and 3.5)."""

from __future__ import annotations

from typing import assert_never

from process_agent.core import events as e
from process_agent.core.content import ErrorInfo, Json
from process_agent.core.usage import ContextWindow, Usage
from process_agent.wire.agent_messages.encode_items import encode_item
from process_agent.wire.agent_messages.parts import (
    OWN,
    PREFIX,
    encode_content,
    encode_error,
    encode_time,
)

CLIENT_TOOLKIT = "client"
"""The toolkit that stands for whatever the turn's sender offers."""

type _Encoded = tuple[str, dict[str, Json]]


def encode_event(event: e.ThreadEvent) -> dict[str, Json]:
    """The complete form: nulls kept, `created_at` set. `compact` makes the live form of it."""
    kind, fields = _encode_body(event.body)
    if isinstance(event.body, e.ContextCompacted):
        fields["path"] = event.thread_id
    message: dict[str, Json] = {
        "type": PREFIX + kind,
        "message_id": event.message_id,
        "created_at": encode_time(event.created_at),
        "metadata": {},
        "sender_name": event.sender_name,
        "thread_id": event.thread_id,
        "turn_id": event.turn_id,
    }
    if kind not in _WITHOUT_MODEL:
        message |= {"provider": event.provider, "model": event.model}
    return message | fields


_WITHOUT_MODEL = frozenset({"thread.status", "thread.cleared", "turn.start.rejected", "turn.steer.rejected"})


def _encode_body(body: e.EventBody) -> _Encoded:
    match body:
        case (
            e.TurnRequested()
            | e.SteerRequested()
            | e.TurnAccepted()
            | e.TurnRejected()
            | e.TurnStarted()
            | e.SteerAccepted()
            | e.Steered()
            | e.SteerRejected()
            | e.InterruptAccepted()
            | e.Interrupted()
            | e.ThreadCleared()
        ):
            return _encode_request_event(body)
        case (
            e.Status()
            | e.ModelChanged()
            | e.Working()
            | e.UsageUpdated()
            | e.TurnEnded()
            | e.ContextCompacted()
        ):
            return _encode_state(body)
        case e.ClientToolRequested() | e.ClientToolCancelled() | e.SecretRequested():
            return _encode_ask(body)
        case _:
            return encode_item(body)


def _encode_request_event(
    body: e.TurnRequested
    | e.SteerRequested
    | e.TurnAccepted
    | e.TurnRejected
    | e.TurnStarted
    | e.SteerAccepted
    | e.Steered
    | e.SteerRejected
    | e.InterruptAccepted
    | e.Interrupted
    | e.ThreadCleared,
) -> _Encoded:
    match body:
        case e.TurnRequested():
            fields = _said(body) | {"backend": body.backend, "provider": body.provider, "model": body.model}
            return "turn.start", fields
        case e.SteerRequested():
            return "turn.steer", _said(body)
        case e.TurnAccepted():
            return "turn.start.accepted", _said(body) | {"source_message_id": body.source}
        case e.TurnStarted():
            about: dict[str, Json] = {"source_message_id": body.source}
            mark: dict[str, Json] = {"metadata": {OWN: {"replaces": body.replaces}}}
            return "turn.started", _said(body) | about | (mark if body.replaces is not None else {})
        case e.SteerAccepted():
            return "turn.steer.accepted", _said(body) | {"source_message_id": body.source}
        case e.Steered():
            return "turn.steered", _said(body) | {"source_message_id": body.source}
        case _:
            return _encode_answer(body)


def _encode_answer(
    body: e.TurnRejected | e.SteerRejected | e.InterruptAccepted | e.Interrupted | e.ThreadCleared,
) -> _Encoded:
    source: dict[str, Json] = {"source_message_id": body.source}
    match body:
        case e.TurnRejected():
            return "turn.start.rejected", source | {"error": encode_error(body.error)}
        case e.SteerRejected():
            return "turn.steer.rejected", source | {"error": encode_error(body.error)}
        case e.InterruptAccepted():
            return "turn.interrupt.accepted", source
        case e.Interrupted():
            return "turn.interrupted", source
        case e.ThreadCleared():
            return "thread.cleared", source
        case _:
            assert_never(body)


def _said(
    body: e.TurnRequested | e.SteerRequested | e.TurnAccepted | e.TurnStarted | e.SteerAccepted | e.Steered,
) -> dict[str, Json]:
    return {"content": encode_content(body.content), "sender_name": body.sender_name}


def _encode_state(
    body: e.Status | e.ModelChanged | e.Working | e.UsageUpdated | e.TurnEnded | e.ContextCompacted,
) -> _Encoded:
    match body:
        case e.Working(text, steerable, pending):
            return _encode_state(e.Status(text, "steerable" if steerable else "busy", None, pending))
        case e.Status(text, mode, started_at, pending):
            return "thread.status", {
                "status": text,
                "mode": mode,
                "started_at": None if started_at is None else encode_time(started_at),
                "pending_item_id": pending,
                "total_bytes": None,
                "lines_added": None,
                "lines_removed": None,
            }
        case e.ModelChanged(source, backend, provider, model, effort):
            # The published model requires both names as text.
            chosen: dict[str, Json] = {"backend": backend, "provider": provider or "", "model": model or ""}
            mark: dict[str, Json] = {} if effort is None else {"metadata": {OWN: {"effort": effort}}}
            return "model.changed", {"source_message_id": source, **chosen, **mark}
        case e.UsageUpdated(usage, context, cost):
            own: dict[str, Json] = {} if cost is None else {OWN: {"cost": cost}}
            return "usage.updated", {
                "usage": _encode_usage(usage),
                "context_window": _encode_context(context),
                "metadata": own,
            }
        case e.ContextCompacted(checkpoint_id, automatic, summary):
            return "context.compacted", {
                "checkpoint_id": checkpoint_id,
                "through_sequence": 0,
                "messages": None,
                "metadata": {OWN: {"automatic": automatic, "summary": summary}},
            }
        case e.TurnEnded(reason, error):
            if reason is e.EndReason.INTERRUPTED and error is None:
                # The published clients know a cancelled turn by the code of its error only.
                error = ErrorInfo("The turn was interrupted.", "cancelled")
            return "turn.ended", {"error": encode_error(error), "metadata": {OWN: {"reason": reason.value}}}
        case _:
            assert_never(body)


def _encode_usage(usage: Usage) -> dict[str, Json]:
    written: dict[str, Json] = {"cache_write_input_tokens": usage.written} if usage.written else {}
    searched: dict[str, Json] = {"web_searches": usage.searches} if usage.searches else {}
    made: dict[str, Json] = {"images_made": len(usage.images)} if usage.images else {}
    return {
        **written,
        **searched,
        **made,
        "input_tokens": usage.input,
        "cached_input_tokens": usage.cached,
        "output_tokens": usage.output,
        "reasoning_output_tokens": usage.reasoning,
        "total_tokens": usage.total,
    }


def _encode_context(context: ContextWindow | None) -> Json:
    """The published model wants a window in any case; one without any figure stands for none."""
    known = context or ContextWindow(0)
    return {
        "used_tokens": known.used,
        "total_tokens": known.total,
        "compaction_mode": None if known.compacts_at is None else "auto",
        "compaction_threshold": known.compacts_at,
    }


def _encode_ask(body: e.ClientToolRequested | e.ClientToolCancelled | e.SecretRequested) -> _Encoded:
    """What a turn asks of one participant."""
    fields: dict[str, Json] = {"request_id": body.ask_id}
    match body:
        case e.ClientToolRequested(_, tool, arguments, target):
            fields |= {"toolkit": CLIENT_TOOLKIT, "tool": tool, "target_participant_id": target}
            return "client_tool_call.requested", fields | {"arguments": dict(arguments)}
        case e.ClientToolCancelled(_, tool, reason, target):
            fields |= {"toolkit": CLIENT_TOOLKIT, "tool": tool, "target_participant_id": target}
            return "client_tool_call.cancelled", fields | {"reason": reason}
        case e.SecretRequested(_, name, prompt, oauth, challenge):
            login: Json = None if oauth is None else {"secret_name": name, **oauth}
            fields |= {"secret_name": name, "prompt": prompt, "oauth": login}
            return "secret.requested", fields | {"challenge": challenge}
        case _:
            assert_never(body)
