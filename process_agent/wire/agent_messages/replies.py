"""Replies of the agent as agent messages (section 3.4)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import assert_never

from process_agent.core import replies as r
from process_agent.core.backend import ToolkitInfo
from process_agent.core.content import ErrorInfo, Json
from process_agent.core.ids import MessageId, ThreadId
from process_agent.core.models import ModelInfo, Pricing, ProviderModels
from process_agent.core.store import ThreadEntry
from process_agent.wire.agent_messages.parts import (
    OWN,
    PREFIX,
    Body,
    Fields,
    decode_error,
    encode_error,
    encode_time,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLION = 1_000_000


def encode_reply(
    reply: r.Reply, *, message_id: str, created_at: datetime, sender_name: str | None = None
) -> dict[str, Json]:
    """The message of a reply."""
    kind, fields = _encode(reply)
    return {
        "type": PREFIX + kind,
        "message_id": message_id,
        "created_at": encode_time(created_at),
        "metadata": {},
        "sender_name": sender_name,
        **fields,
    }


def _encode(reply: r.Reply) -> tuple[str, dict[str, Json]]:
    match reply:
        case r.ThreadStarted() | r.ThreadStartRejected() | r.ThreadLoaded():
            return _encode_thread(reply)
        case r.ThreadsListed() | r.ThreadCreated() | r.ThreadUpdated() | r.ThreadDeleted():
            return _encode_list(reply)
        case r.ModelsListed(source, providers):
            listed: list[Json] = [_encode_provider(p) for p in providers]
            return "models.response", {"source_message_id": source, "providers": listed}
        case r.CapabilitiesListed():
            return "capabilities_response", _encode_capabilities(reply)
        case r.RequestRejected(source, thread_id, error):
            event: dict[str, Json] = {
                "type": "model_change_rejected",
                "error": encode_error(error),
                "source_message_id": source,
            }
            return "thread.event", {"thread_id": thread_id, "event": event}
        case _:
            assert_never(reply)


def _encode_thread(
    reply: r.ThreadStarted | r.ThreadStartRejected | r.ThreadLoaded,
) -> tuple[str, dict[str, Json]]:
    match reply:
        case r.ThreadStarted(source, thread_id):
            return "thread.started", {"source_message_id": source, "thread_id": thread_id}
        case r.ThreadStartRejected(source, error):
            return "thread.start.rejected", {"source_message_id": source, "error": encode_error(error)}
        case r.ThreadLoaded(source, thread_id, since, older):
            loaded: dict[str, Json] = {
                "source_message_id": source,
                "thread_id": thread_id,
                "since_turn": since,
            }
            return "thread.loaded", loaded if older is None else loaded | {
                "metadata": {OWN: {"older": older}}
            }
        case _:
            assert_never(reply)


def _encode_list(
    reply: r.ThreadsListed | r.ThreadCreated | r.ThreadUpdated | r.ThreadDeleted,
) -> tuple[str, dict[str, Json]]:
    match reply:
        case r.ThreadsListed(source, threads, total, offset, limit):
            page: dict[str, Json] = {"threads": [_encode_entry(t) for t in threads], "total": total}
            return "thread.listed", page | {"source_message_id": source, "offset": offset, "limit": limit}
        case r.ThreadCreated(thread):
            return "thread.created", {"thread": _encode_entry(thread)}
        case r.ThreadUpdated(thread):
            return "thread.updated", {"thread": _encode_entry(thread)}
        case r.ThreadDeleted(path):
            return "thread.deleted", {"path": path}
        case _:
            assert_never(reply)


def _encode_entry(entry: ThreadEntry) -> dict[str, Json]:
    return {
        "path": entry.path,
        "name": entry.name,
        "created_at": encode_time(entry.created_at),
        "modified_at": encode_time(entry.modified_at),
    }


def _encode_provider(provider: ProviderModels) -> dict[str, Json]:
    return {
        "name": provider.name,
        "friendly_name": provider.friendly_name,
        "description": None,
        "backend": provider.backend,
        "default_model": provider.default_model or "",
        "models": [_encode_model(m) for m in provider.models],
    }


def _encode_model(model: ModelInfo) -> dict[str, Json]:
    return {
        "name": model.name,
        "friendly_name": model.friendly_name,
        "description": model.description,
        "context_window": model.context_window,
        "pricing": _encode_pricing(model.pricing),
        "modalities": ["text"],
        "available_voices": [],
        "default_output_voice": None,
        "input_format": None,
        "output_format": None,
        "turn_detection": None,
        "realtime_protocols": [],
        "supports_attachments": "image" in model.accepts,
        "accepts": list(model.accepts),
        "active": model.active,
    }


def _encode_pricing(pricing: Pricing | None) -> Json:
    """Prices under the names of the published clients, which count in dollars for one token."""
    if pricing is None:
        return None
    prices = {"input_tokens": pricing.input, "output_tokens": pricing.output}
    if pricing.cached is not None:
        prices["cached_tokens"] = pricing.cached
    if pricing.written is not None:
        prices["cache_write_tokens"] = pricing.written
    return {name: price / _MILLION for name, price in prices.items()}


def _encode_capabilities(reply: r.CapabilitiesListed) -> dict[str, Json]:
    toolkits: list[Json] = []
    for toolkit in reply.toolkits:
        listed: list[Json] = [{"name": t, "title": t, "description": about} for t, about in toolkit.tools]
        toolkits.append(
            {
                "name": toolkit.name,
                "title": toolkit.title,
                "description": "",
                "rules": [],
                "client_options": {},
                "hidden": False,
                "tools": listed,
            }
        )
    return {
        "source_message_id": reply.source,
        "thread_id": reply.thread_id,
        "version": reply.version,
        "toolkits": toolkits,
    }


# --- Decoding, for our own clients -------------------------------------------------------------


def decode_reply(body: Body) -> r.Reply | None:
    """The reply a message is, or None when its type is not a reply we know.

    Raises `WireError` when the type is known and a field is wrong.
    """
    fields = Fields(body)
    decoder = _DECODERS.get(fields.type.removeprefix(PREFIX))
    return None if decoder is None or not fields.type.startswith(PREFIX) else decoder(fields)


def _source(f: Fields) -> MessageId:
    return MessageId(f.text("source_message_id"))


def _thread(f: Fields) -> ThreadId:
    return ThreadId(f.text("thread_id"))


def _error(f: Fields) -> ErrorInfo:
    return decode_error(f) or ErrorInfo("refused without a reason", "rejected")


def _entry(f: Fields) -> ThreadEntry:
    created = f.time("created_at") or _EPOCH
    modified = f.time("modified_at") or created
    return ThreadEntry(ThreadId(f.text("path")), f.maybe_text("name") or "", created, modified)


def _single(f: Fields) -> ThreadEntry:
    return _entry(Fields({"type": f"{f.type} thread", **f.object("thread")}))


def _loaded(f: Fields) -> r.Reply:
    own = f.object("metadata").get(OWN)
    older = own.get("older") if isinstance(own, dict) else None
    since = f.maybe_text("since_turn")
    return r.ThreadLoaded(_source(f), _thread(f), since, older if isinstance(older, str) else None)


def _listed(f: Fields) -> r.Reply:
    threads = tuple(_entry(t) for t in f.objects("threads"))
    total = f.number("total", len(threads))
    return r.ThreadsListed(_source(f), threads, total, f.number("offset", 0), f.number("limit", 200))


def _provider(f: Fields) -> ProviderModels:
    return ProviderModels(
        name=f.text("name"),
        friendly_name=f.maybe_text("friendly_name") or f.text("name"),
        backend=f.maybe_text("backend") or "",
        default_model=f.maybe_text("default_model") or None,
        models=tuple(_model(m) for m in f.objects("models")),
    )


def _model(f: Fields) -> ModelInfo:
    window = f.number("context_window", -1)
    accepts = f.body.get("accepts")
    return ModelInfo(
        name=f.text("name"),
        friendly_name=f.maybe_text("friendly_name"),
        description=f.maybe_text("description"),
        context_window=None if window < 0 else window,
        accepts=tuple(str(kind) for kind in accepts) if isinstance(accepts, list) else (),
        active=f.flag("active"),
        pricing=_pricing(f),
    )


def _pricing(f: Fields) -> Pricing | None:
    prices = f.object("pricing")

    def price(*names: str) -> float | None:
        found = (prices[name] for name in names if name in prices)
        return next(
            (round(p * _MILLION, 6) for p in found if isinstance(p, int | float) and not isinstance(p, bool)),
            None,
        )

    incoming, outgoing = price("input_tokens"), price("output_tokens")
    if incoming is None or outgoing is None:
        return None
    return Pricing(incoming, outgoing, price("cached_tokens", "cache_read_input_tokens"))


def _capabilities(f: Fields) -> r.Reply:
    toolkits = tuple(
        ToolkitInfo(
            toolkit.text("name"),
            toolkit.text("title"),
            tuple((tool.text("name"), tool.text("description")) for tool in toolkit.objects("tools")),
        )
        for toolkit in f.objects("toolkits")
    )
    return r.CapabilitiesListed(_source(f), _thread(f), f.text("version"), toolkits)


def _thread_event(f: Fields) -> r.Reply | None:
    event = Fields({"type": "", **f.object("event")})
    if event.type != "model_change_rejected":
        return None
    return r.RequestRejected(_source(event), _thread(f), _error(event))


_DECODERS: dict[str, Callable[[Fields], r.Reply | None]] = {
    "thread.started": lambda f: r.ThreadStarted(_source(f), _thread(f)),
    "thread.start.rejected": lambda f: r.ThreadStartRejected(_source(f), _error(f)),
    "thread.loaded": _loaded,
    "thread.listed": _listed,
    "thread.created": lambda f: r.ThreadCreated(_single(f)),
    "thread.updated": lambda f: r.ThreadUpdated(_single(f)),
    "thread.deleted": lambda f: r.ThreadDeleted(ThreadId(f.text("path"))),
    "models.response": lambda f: r.ModelsListed(
        _source(f), tuple(_provider(p) for p in f.objects("providers"))
    ),
    "capabilities_response": _capabilities,
    "thread.event": _thread_event,
}
