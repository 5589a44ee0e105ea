"""Agent messages to thread events (sections 3.4 and 3.5); tolerant of what other agents leave out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from process_agent.core import events as e
from process_agent.core.content import ErrorInfo, Json
from process_agent.core.ids import AskId, ItemId, MessageId, ParticipantId, ThreadId, TurnId
from process_agent.core.usage import ContextWindow, Usage
from process_agent.wire.agent_messages.approvals import decode_decided, decode_request
from process_agent.wire.agent_messages.parts import (
    OWN,
    PREFIX,
    Body,
    Fields,
    decode_content,
    decode_error,
    decode_image,
    decode_lines,
    decode_result,
)


def decode_event(body: Body, received_at: datetime) -> e.ThreadEvent | None:
    """The event a message describes, or None when its type is not an event we know.

    Live messages of other agents carry no `created_at`; `received_at` stands in. Raises `WireError` when
    the type is known and a field is wrong.
    """
    fields = Fields(body)
    decoder = _DECODERS.get(fields.type.removeprefix(PREFIX))
    if decoder is None or not fields.type.startswith(PREFIX):
        return None
    turn_id = fields.maybe_text("turn_id")
    return e.ThreadEvent(
        message_id=MessageId(fields.text("message_id")),
        thread_id=ThreadId(fields.text("thread_id")),
        turn_id=None if turn_id is None else TurnId(turn_id),
        created_at=fields.time("created_at") or received_at,
        body=decoder(fields),
        sender_name=fields.maybe_text("sender_name"),
        provider=fields.maybe_text("provider"),
        model=fields.maybe_text("model"),
    )


def _item(f: Fields) -> ItemId:
    return ItemId(f.text("item_id"))


def _source(f: Fields) -> MessageId:
    return MessageId(f.text("source_message_id"))


def _own(f: Fields) -> dict[str, Json]:
    own = f.object("metadata").get(OWN)
    return own if isinstance(own, dict) else {}


def _phase(f: Fields) -> e.Phase:
    match f.body.get("phase"):
        case "commentary":
            return "commentary"
        case "final_answer":
            return "final_answer"
        case _:
            return None


def _ref(f: Fields) -> e.ToolRef:
    return e.ToolRef(
        item_id=_item(f),
        toolkit=f.maybe_text("toolkit") or "",
        tool=f.maybe_text("tool") or "",
        namespace=f.maybe_text("namespace") or "meshagent",
        call_id=f.maybe_text("call_id"),
    )


def _log(f: Fields) -> e.EventBody:
    approval = _own(f).get("approval")
    if isinstance(approval, dict):
        return decode_decided(_ref(f), approval)
    return e.ToolLog(_ref(f), decode_lines(f))


def _approval(f: Fields) -> e.EventBody:
    return decode_request(_ref(f), f.object("arguments"), _own(f))


def _status(f: Fields) -> e.EventBody:
    pending = f.maybe_text("pending_item_id")
    mode = f.maybe_text("mode")
    return e.Status(
        text=f.maybe_text("status"),
        mode="steerable" if mode == "steerable" else None if mode is None else "busy",
        started_at=f.time("started_at"),
        pending_item_id=None if pending is None else ItemId(pending),
    )


def _model_changed(f: Fields) -> e.EventBody:
    source = f.maybe_text("source_message_id")
    return e.ModelChanged(
        source=None if source is None else MessageId(source),
        backend=f.maybe_text("backend") or "",
        provider=f.maybe_text("provider") or None,
        model=f.maybe_text("model") or None,
        effort=effort if isinstance(effort := _own(f).get("effort"), str) else None,
    )


MAX_IMAGES = 10_000
"""Images of one usage, as far as they are believed."""


def _usage(f: Fields) -> e.EventBody:
    usage = Fields({"type": f"{f.type} usage", **f.object("usage")})
    context = None
    if f.body.get("context_window") is not None:
        window = Fields({"type": f"{f.type} context_window", **f.object("context_window")})
        total, compacts_at = (window.number(name, -1) for name in ("total_tokens", "compaction_threshold"))
        context = ContextWindow(
            window.number("used_tokens", 0),
            None if total < 0 else total,
            None if compacts_at < 0 else compacts_at,
        )
    cost = _own(f).get("cost")
    return e.UsageUpdated(
        Usage(
            input=usage.number("input_tokens", 0),
            cached=usage.number("cached_input_tokens", usage.number("cached_tokens", 0)),
            output=usage.number("output_tokens", 0),
            reasoning=usage.number("reasoning_output_tokens", usage.number("reasoning_tokens", 0)),
            written=usage.number("cache_write_input_tokens", 0),
            searches=usage.number("web_searches", 0),
            images=("",) * min(max(usage.number("images_made", 0), 0), MAX_IMAGES),
        ),
        None if context == ContextWindow(0) else context,
        float(cost) if isinstance(cost, int | float) and not isinstance(cost, bool) else None,
    )


def _image_partial(f: Fields) -> e.EventBody:
    image = decode_image(Fields({"type": f"{f.type} image", **f.object("image")}))
    if image is None:
        return e.ImageStarted(_item(f), f.object("arguments"))
    return e.ImagePartial(_item(f), image, f.number("partial_index", 0))


def _image_completed(f: Fields) -> e.EventBody:
    images = (decode_image(image) for image in f.objects("images"))
    prompt = f.object("arguments").get("prompt")
    made = tuple(image for image in images if image is not None)
    return e.ImageCompleted(_item(f), made, prompt if isinstance(prompt, str) and prompt else None)


def _ask(f: Fields) -> AskId:
    return AskId(f.text("request_id"))


def _target(f: Fields) -> ParticipantId | None:
    target = f.maybe_text("target_participant_id")
    return None if target is None else ParticipantId(target)


def _secret(f: Fields) -> e.EventBody:
    oauth = None if f.body.get("oauth") is None else f.object("oauth")
    return e.SecretRequested(
        _ask(f), f.text("secret_name"), f.maybe_text("prompt"), oauth, f.maybe_text("challenge")
    )


def _compacted(f: Fields) -> e.EventBody:
    own = _own(f)
    summary = own.get("summary")
    return e.ContextCompacted(
        f.text("checkpoint_id"),
        automatic=own.get("automatic") is not False,
        summary=summary if isinstance(summary, str) else None,
    )


def _ended(f: Fields) -> e.EventBody:
    error = decode_error(f)
    reason = _own(f).get("reason")
    if isinstance(reason, str) and reason in {r.value for r in e.EndReason}:
        known = e.EndReason(reason)
        silent = known is e.EndReason.INTERRUPTED and error is not None and error.code == "cancelled"
        return e.TurnEnded(known, None if silent else error)
    if error is None:
        return e.TurnEnded(e.EndReason.COMPLETED)
    said = f"{error.code} {error.message}".lower()
    if any(word in said for word in ("cancel", "interrupt", "abort")):
        return e.TurnEnded(e.EndReason.INTERRUPTED)
    return e.TurnEnded(e.EndReason.FAILED, error)


def _replaces(f: Fields) -> TurnId | None:
    replaced = _own(f).get("replaces")
    return TurnId(replaced) if isinstance(replaced, str) else None


def _rejection(f: Fields) -> ErrorInfo:
    return decode_error(f) or ErrorInfo("refused without a reason", "rejected")


_DECODERS: dict[str, Callable[[Fields], e.EventBody]] = {
    "turn.start": lambda f: e.TurnRequested(
        decode_content(f),
        f.maybe_text("sender_name"),
        f.maybe_text("backend"),
        f.maybe_text("provider"),
        f.maybe_text("model"),
    ),
    "turn.steer": lambda f: e.SteerRequested(decode_content(f), f.maybe_text("sender_name")),
    "turn.start.accepted": lambda f: e.TurnAccepted(
        _source(f), decode_content(f), f.maybe_text("sender_name")
    ),
    "turn.start.rejected": lambda f: e.TurnRejected(_source(f), _rejection(f)),
    "turn.started": lambda f: e.TurnStarted(
        _source(f), decode_content(f), f.maybe_text("sender_name"), _replaces(f)
    ),
    "turn.steer.accepted": lambda f: e.SteerAccepted(
        _source(f), decode_content(f), f.maybe_text("sender_name")
    ),
    "turn.steered": lambda f: e.Steered(_source(f), decode_content(f), f.maybe_text("sender_name")),
    "turn.steer.rejected": lambda f: e.SteerRejected(_source(f), _rejection(f)),
    "turn.interrupt.accepted": lambda f: e.InterruptAccepted(_source(f)),
    "turn.interrupted": lambda f: e.Interrupted(_source(f)),
    "turn.ended": _ended,
    "thread.status": _status,
    "model.changed": _model_changed,
    "usage.updated": _usage,
    "text_content.started": lambda f: e.TextStarted(_item(f), _phase(f)),
    "text_content.delta": lambda f: e.TextDelta(_item(f), f.text("text"), _phase(f)),
    "text_content.ended": lambda f: e.TextEnded(_item(f), _phase(f)),
    "reasoning_content.started": lambda f: e.ReasoningStarted(_item(f)),
    "reasoning_content.delta": lambda f: e.ReasoningDelta(_item(f), f.text("text")),
    "reasoning_content.ended": lambda f: e.ReasoningEnded(_item(f), f.object("metadata")),
    "file_content.delta": lambda f: e.FileShown(_item(f), f.text("url")),
    "tool_call.pending": lambda f: e.ToolStarted(_ref(f), f.object("arguments")),
    "tool_call.in_progress": lambda f: e.ToolStarted(_ref(f), f.object("arguments")),
    "tool_call.started": lambda f: e.ToolStarted(_ref(f), f.object("arguments")),
    "tool_call.log_delta": _log,
    "tool_call.ended": lambda f: e.ToolEnded(_ref(f), decode_result(f.body.get("result")), decode_error(f)),
    "tool_call.approval_requested": _approval,
    "tool_call.arguments_delta": lambda f: e.ToolArguments(_ref(f), f.text("delta")),
    "image_generation.started": lambda f: e.ImageStarted(_item(f), f.object("arguments")),
    "image_generation.partial": _image_partial,
    "image_generation.completed": _image_completed,
    "image_generation.failed": lambda f: e.ImageFailed(
        _item(f), decode_error(f) or ErrorInfo("no image was made", "image_failed")
    ),
    "client_tool_call.requested": lambda f: e.ClientToolRequested(
        _ask(f), f.text("tool"), f.object("arguments"), _target(f)
    ),
    "client_tool_call.cancelled": lambda f: e.ClientToolCancelled(
        _ask(f), f.text("tool"), f.maybe_text("reason") or "cancelled", _target(f)
    ),
    "secret.requested": _secret,
    "context.compacted": _compacted,
    "thread.cleared": lambda f: e.ThreadCleared(_source(f)),
}
