"""How many tokens something is, before a provider has counted it. Pure.

No tokenizer fits all providers, and each takes long to load. These figures are rather too high than too low:
too high shortens a conversation a little early, too low has the provider refuse it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final, assert_never

from process_agent.wire.llm.request import (
    Call,
    CallOutput,
    Document,
    Hosted,
    Image,
    Item,
    Message,
    OfferedTool,
    Part,
    Reasoning,
    Text,
)

CHARS_PER_TOKEN: Final = 3.5
"""Of English and code; what is written in other letters has more tokens, see `of_text`."""

TOKENS_PER_BYTE: Final = 0.45
"""For each byte beyond the first of a letter: a Chinese character is 1.2 tokens, a Cyrillic one 0.7."""

IMAGE_TOKENS: Final = 1_500
ITEM_TOKENS: Final = 8


def of_text(text: str) -> int:
    """About how many tokens a text is."""
    more = 0 if text.isascii() else len(text.encode(errors="replace")) - len(text)
    return round(len(text) / CHARS_PER_TOKEN + more * TOKENS_PER_BYTE)


def of_item(item: Item) -> int:
    """About how many tokens an item is."""
    match item:
        case Message(_, parts) | CallOutput(_, parts):
            return ITEM_TOKENS + sum(map(_of_part, parts))
        case Call(_, name, arguments):
            return ITEM_TOKENS + of_text(name) + of_text(arguments)
        case Reasoning(text, replay):
            data = 0 if replay is None else len(json.dumps(dict(replay.data), default=str))
            return ITEM_TOKENS + max(of_text(text), round(data / CHARS_PER_TOKEN))
        case Hosted("image_generation"):
            return ITEM_TOKENS + IMAGE_TOKENS
        case Hosted(_, kept):
            return ITEM_TOKENS + round(len(json.dumps(dict(kept.data), default=str)) / CHARS_PER_TOKEN)
    assert_never(item)


def of_items(items: Iterable[Item]) -> int:
    """About how many tokens items are."""
    return sum(map(of_item, items))


def of_frame(instructions: str, tools: Iterable[OfferedTool]) -> int:
    """About how many tokens come with every request beside the conversation."""
    schemas = sum(len(json.dumps(dict(tool.schema), default=str)) for tool in tools)
    words = sum(of_text(tool.name) + of_text(tool.description) + ITEM_TOKENS for tool in tools)
    return of_text(instructions) + words + round(schemas / CHARS_PER_TOKEN)


def _of_part(part: Part) -> int:
    match part:
        case Text(text):
            return of_text(text)
        case Document():
            return part.tokens or IMAGE_TOKENS
        case Image():
            return IMAGE_TOKENS
    assert_never(part)
