"""Thread events to agent messages (sections 3.4 and 3.5)."""

from __future__ import annotations

from typing import assert_never

from process_agent.core import events as e
from process_agent.core.content import ErrorInfo, Json, LogLine
from process_agent.core.usage import ContextWindow, Usage
from process_agent.wire.agent_messages.parts import (
    OWN,
    PREFIX,
    encode_content,
    encode_error,
    encode_lines,
    encode_result,
    encode_time,
)

type _Encoded = tuple[str, dict[str, Json]]


def encode_event(event: e.ThreadEvent) -> dict[str, Json]:
    """The complete form: nulls kept, `created_at` set. `compact` makes the live form of it."""
    kind, fields = _encode_body(event.body)
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


_WITHOUT_MODEL = frozenset({"thread.status", "turn.start.rejected", "turn.steer.rejected"})


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
        ):
            return _encode_request_event(body)
        case e.Status() | e.ModelChanged() | e.Working() | e.UsageUpdated() | e.TurnEnded():
            return _encode_state(body)
        case e.ToolStarted() | e.ToolLog() | e.ToolEnded() | e.ApprovalRequested() | e.ApprovalDecided():
            return _encode_tool(body)
        case _:
            return _encode_output(body)


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
    | e.Interrupted,
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
            return "turn.started", _said(body) | {"source_message_id": body.source}
        case e.SteerAccepted():
            return "turn.steer.accepted", _said(body) | {"source_message_id": body.source}
        case e.Steered():
            return "turn.steered", _said(body) | {"source_message_id": body.source}
        case _:
            return _encode_answer(body)


def _encode_answer(
    body: e.TurnRejected | e.SteerRejected | e.InterruptAccepted | e.Interrupted,
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
        case _:
            assert_never(body)


def _said(
    body: e.TurnRequested | e.SteerRequested | e.TurnAccepted | e.TurnStarted | e.SteerAccepted | e.Steered,
) -> dict[str, Json]:
    return {"content": encode_content(body.content), "sender_name": body.sender_name}


def _encode_state(body: e.Status | e.ModelChanged | e.Working | e.UsageUpdated | e.TurnEnded) -> _Encoded:
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
        case e.ModelChanged(source, backend, provider, model):
            # The published model requires both names as text.
            chosen: dict[str, Json] = {"backend": backend, "provider": provider or "", "model": model or ""}
            return "model.changed", {"source_message_id": source, **chosen}
        case e.UsageUpdated(usage, context):
            return "usage.updated", {"usage": _encode_usage(usage), **_encode_context(context)}
        case e.TurnEnded(reason, error):
            if reason is e.EndReason.INTERRUPTED and error is None:
                # The published clients know a cancelled turn by the code of its error only.
                error = ErrorInfo("The turn was interrupted.", "cancelled")
            return "turn.ended", {"error": encode_error(error), "metadata": {OWN: {"reason": reason.value}}}
        case _:
            assert_never(body)


def _encode_usage(usage: Usage) -> dict[str, Json]:
    return {
        "input_tokens": usage.input,
        "cached_input_tokens": usage.cached,
        "output_tokens": usage.output,
        "reasoning_output_tokens": usage.reasoning,
        "total_tokens": usage.total,
    }


def _encode_context(context: ContextWindow | None) -> dict[str, Json]:
    if context is None:
        return {}  # the published model takes a missing window, not a null one
    window: dict[str, Json] = {
        "used_tokens": context.used,
        "total_tokens": context.total,
        "compaction_mode": None,
        "compaction_threshold": None,
    }
    return {"context_window": window}


def _encode_tool(
    body: e.ToolStarted | e.ToolLog | e.ToolEnded | e.ApprovalRequested | e.ApprovalDecided,
) -> _Encoded:
    ref = body.ref
    fields: dict[str, Json] = {
        "item_id": ref.item_id,
        "namespace": ref.namespace,
        "call_id": ref.call_id,
        "toolkit": ref.toolkit,
        "tool": ref.tool,
    }
    match body:
        case e.ToolStarted(_, arguments):
            return "tool_call.started", fields | {"arguments": dict(arguments), "argument_bytes": None}
        case e.ToolLog(_, lines):
            return "tool_call.log_delta", fields | {"lines": encode_lines(lines)}
        case e.ToolEnded(_, result, error):
            return "tool_call.ended", fields | {"result": encode_result(result), "error": encode_error(error)}
        case e.ApprovalRequested(_, arguments, reason):
            return "tool_call.approval_requested", fields | {
                "arguments": dict(arguments),
                "metadata": {OWN: {"approval_reason": reason}},
            }
        case e.ApprovalDecided(_, accepted, by):
            line = LogLine(f"{'Approved' if accepted else 'Declined'} by {by}\n")
            return "tool_call.log_delta", fields | {
                "lines": encode_lines([line]),
                "metadata": {OWN: {"approval": {"accepted": accepted, "by": by}}},
            }
        case _:
            assert_never(body)


def _encode_output(
    body: e.TextStarted
    | e.TextDelta
    | e.TextEnded
    | e.ReasoningStarted
    | e.ReasoningDelta
    | e.ReasoningEnded
    | e.FileShown,
) -> _Encoded:
    item: dict[str, Json] = {"item_id": body.item_id}
    match body:
        case e.TextStarted(_, phase):
            return "text_content.started", item | {"phase": phase}
        case e.TextDelta(_, text, phase):
            return "text_content.delta", item | {"text": text, "phase": phase}
        case e.TextEnded(_, phase):
            return "text_content.ended", item | {"phase": phase}
        case e.ReasoningStarted():
            return "reasoning_content.started", item
        case e.ReasoningDelta(_, text):
            return "reasoning_content.delta", item | {"text": text}
        case e.ReasoningEnded(_, metadata):
            return "reasoning_content.ended", item | {"metadata": dict(metadata)}
        case e.FileShown(_, url):
            return "file_content.delta", item | {"url": url}
        case _:
            assert_never(body)
