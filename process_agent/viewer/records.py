"""A transcript as plain records, for programs: one per item, and one per turn after its items. Pure.

Every record has `type`, `turn_id` and, for items, `item_id` and `text` in full:

    {"type": "message", "role": "user" | "agent", "text", …}; users' also "files" (addresses) and "file_names"
    {"type": "reasoning", "text", …}
    {"type": "tool_call", "toolkit", "tool", "arguments", "state", "text" (its output), "result", "error", …}
    {"type": "file", "urls", …}
    {"type": "image", "images": [{"uri", "mime_type", "width", "height"}, …], "state", "error", …}
    {"type": "compaction", "automatic", "text" (the summary), …}
    {"type": "turn", "state", "end": "completed" | "interrupted" | "failed" | "lost" | null, "error",
     "usage", "context", "cost" (US dollars), …}
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import assert_never

from process_agent.core.content import ErrorInfo, FilePart, Json, plain_text
from process_agent.viewer.items import (
    CompactionItem,
    FileItem,
    ImageItem,
    Item,
    MessageItem,
    ReasoningItem,
    ToolItem,
    Turn,
    UserItem,
)
from process_agent.viewer.transcript import Transcript
from process_agent.wire.agent_messages.parts import encode_error, encode_result, encode_time


def records(transcript: Transcript) -> Iterator[dict[str, Json]]:
    """All items, turn by turn, each turn's own record last."""
    for turn in transcript.turns:
        for item in turn.items.values():
            yield {"turn_id": turn.id, "item_id": item.id} | _item(item)
        yield _turn(turn)


def _item(item: Item) -> dict[str, Json]:
    match item:
        case UserItem():
            attached = [part for part in item.content if isinstance(part, FilePart)]
            files: list[Json] = [part.url for part in attached]
            names: list[Json] = [part.name for part in attached]
            return {
                "type": "message",
                "role": "user",
                "text": plain_text(item.content),
                "files": files,
                "file_names": names,
                "sender_name": item.sender_name,
                "steer": item.steer,
                "state": item.state.value,
                "error": _error(item.error),
            }
        case MessageItem():
            return {"type": "message", "role": "agent", "text": str(item.text), "phase": item.phase}
        case ReasoningItem():
            return {"type": "reasoning", "text": str(item.text)}
        case ToolItem():
            return _tool(item)
        case FileItem():
            urls: list[Json] = list(item.urls)
            return {"type": "file", "text": "\n".join(item.urls), "urls": urls}
        case ImageItem():
            return _image(item)
        case CompactionItem():
            return {"type": "compaction", "automatic": item.automatic, "text": item.summary or ""}
        case _:
            assert_never(item)


def _tool(item: ToolItem) -> dict[str, Json]:
    decided = item.decided
    return {
        "type": "tool_call",
        "toolkit": item.ref.toolkit,
        "tool": item.ref.tool,
        "namespace": item.ref.namespace,
        "arguments": dict(item.arguments),
        "state": item.state.value,
        "text": item.output,
        "result": encode_result(item.result),
        "error": _error(item.error),
        "approved": None if decided is None else decided.accepted,
        "decided_by": None if decided is None else decided.by,
        "decision": None if decided is None else decided.text,
    }


def _image(item: ImageItem) -> dict[str, Json]:
    images: list[Json] = [
        {"uri": image.uri, "mime_type": image.mime_type, "width": image.width, "height": image.height}
        for image in item.images
    ]
    return {
        "type": "image",
        "text": "\n".join(image.uri for image in item.images),
        "images": images,
        "prompt": item.prompt,
        "state": item.state.value,
        "error": _error(item.error),
    }


def _turn(turn: Turn) -> dict[str, Json]:
    usage: dict[str, Json] | None = None
    if turn.usage is not None:
        usage = {
            "input_tokens": turn.usage.input,
            "cached_input_tokens": turn.usage.cached,
            "output_tokens": turn.usage.output,
            "reasoning_output_tokens": turn.usage.reasoning,
        }
    context: dict[str, Json] | None = None
    if turn.context is not None:
        context = {
            "used_tokens": turn.context.used,
            "total_tokens": turn.context.total,
            "compacts_at": turn.context.compacts_at,
        }
    return {
        "type": "turn",
        "turn_id": turn.id,
        "state": turn.state.value,
        "end": None if turn.end is None else turn.end.value,
        "error": _error(turn.error),
        "started_at": _time(turn.started_at),
        "ended_at": _time(turn.ended_at),
        "provider": turn.provider,
        "model": turn.model,
        "usage": usage,
        "context": context,
        "cost": turn.cost,
    }


def _error(error: ErrorInfo | None) -> Json:
    return encode_error(error)


def _time(moment: datetime | None) -> Json:
    return None if moment is None else encode_time(moment)
