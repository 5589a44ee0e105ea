"""What a thread remembers, as Responses items for `thread/inject_items` (page section 4).

Codex accepts unknown items in silence, so everything is built here from known types.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, assert_never

from process_agent.core.attached import image_problem, is_image, part_text
from process_agent.core.backend import AgentMessage, HistoryItem, MadeImages, ToolCall, UserMessage
from process_agent.core.content import ContentPart, FilePart, plain_text
from process_agent.core.recalled import CODEX, SUMMARY, call_arguments, call_name, call_output, is_notice
from process_agent.core.senders import sender_line

MAX_HISTORY: Final = 400_000
"""Bytes of history a new Codex thread gets, the newest first: about 100,000 tokens in most languages.

It has to fit: Codex counts injected items only after the first answer (tried with 0.163.0), so that a turn
with too many of them fails before Codex compacts.
"""

MAX_OUTPUT: Final = 8_000
"""Characters of one tool call's arguments and of its output."""

MAX_IMAGES: Final = 4
"""Images of the history that a new Codex thread gets, the newest; of earlier ones it is told the name."""

IMAGE_LENGTH: Final = 6_000
"""Bytes that an image counts for: about 1,500 tokens, whatever its size in bytes."""


def responses_items(
    history: Sequence[HistoryItem], limit: int = MAX_HISTORY, *, senders: bool = False
) -> list[dict[str, Any]]:
    """The newest part of the history that fits into `limit` bytes, oldest first; with `senders` each message
    says who wrote it.
    """
    return _newest(history, limit, senders)[0]


def parts(history: Sequence[HistoryItem], *, senders: bool = False) -> list[Sequence[HistoryItem]]:
    """The history in parts of `MAX_HISTORY` bytes at most, oldest first."""
    found: list[Sequence[HistoryItem]] = []
    rest = history
    while rest:
        start = _newest(rest, MAX_HISTORY, senders)[1]
        start = min(start, len(rest) - 1)  # what is too long is a part of its own
        found.insert(0, rest[start:])
        rest = rest[:start]
    return found


def _newest(history: Sequence[HistoryItem], limit: int, senders: bool) -> tuple[list[dict[str, Any]], int]:
    """The items, and the position of the first."""
    groups: list[list[dict[str, Any]]] = []
    room, images = limit, MAX_IMAGES
    for position in range(len(history) - 1, -1, -1):
        group = list(_items(history[position], position, images, senders))
        images -= sum(map(_images, group))
        room -= sum(map(_length, group))
        if room < 0:
            break
        groups.append(group)
    return [item for group in reversed(groups) for item in group], len(history) - len(groups)


def loses(history: Sequence[HistoryItem], limit: int = MAX_HISTORY) -> bool:
    """Whether a new Codex thread that gets this history knows less than the one in which all of it happened:
    plans, what is longer than the limits here, and images beyond the newest.
    """
    calls = [item for item in history if isinstance(item, ToolCall)]
    if any(call.ref.toolkit == CODEX and call.ref.tool == "plan" for call in calls):
        return True
    told = [call for call in calls if not is_notice(call)]
    long = any(max(len(call_output(call)), len(call_arguments(call, limit))) > MAX_OUTPUT for call in told)
    items = [item for n, each in enumerate(history) for item in _items(each, n, MAX_IMAGES, senders=False)]
    said = [item for item in history if isinstance(item, UserMessage | MadeImages)]
    images = sum(map(is_image, (part for item in said for part in item.content)))
    return long or images > MAX_IMAGES or sum(map(_length, items)) > limit


def _items(item: HistoryItem, position: int, images: int, senders: bool) -> Iterator[dict[str, Any]]:
    match item:
        case UserMessage():
            parts = _seen_parts(item.content, images)
            if parts:
                if senders and not plain_text(item.content).startswith(SUMMARY):
                    parts.insert(0, {"type": "input_text", "text": sender_line(item.sender_name, item.at)})
                yield {"type": "message", "role": "user", "content": parts}
        case AgentMessage():
            if item.text:
                parts = [{"type": "output_text", "text": item.text}]
                yield {"type": "message", "role": "assistant", "content": parts}
        case MadeImages():
            yield {"type": "message", "role": "user", "content": _seen_parts(item.content, images)}
        case ToolCall():
            yield from _tool_call(item, position)
        case _:
            assert_never(item)


def _tool_call(call: ToolCall, position: int) -> Iterator[dict[str, Any]]:
    if is_notice(call):
        return
    call_id = f"call_history_{position}"
    yield {
        "type": "function_call",
        "call_id": call_id,
        "name": call_name(call),
        "arguments": call_arguments(call, MAX_OUTPUT),
    }
    yield {"type": "function_call_output", "call_id": call_id, "output": call_output(call)[:MAX_OUTPUT]}


def _seen_parts(content: Iterable[ContentPart], images: int) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    for part in content:
        if isinstance(part, FilePart) and is_image(part) and images > 0 and image_problem(part) is None:
            images -= 1
            parts.append({"type": "input_image", "image_url": part.url})
        elif text := part_text(part):
            parts.append({"type": "input_text", "text": text})
    return parts


def _images(item: dict[str, Any]) -> int:
    return sum(part["type"] == "input_image" for part in item.get("content", ()))


def _length(item: dict[str, Any]) -> int:
    """Bytes that an item takes of the model's memory."""
    images = _images(item)
    if not images:
        return _bytes(item)
    return _bytes([part for part in item["content"] if part["type"] != "input_image"]) + images * IMAGE_LENGTH


def _bytes(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
