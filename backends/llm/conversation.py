"""What the model of a thread knows: items that are kept in memory and never read again. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, assert_never

from backends.llm.parts import said
from process_agent.core.attached import image_problem, is_image, part_text
from process_agent.core.backend import AgentMessage, HistoryItem, ToolCall, UserMessage
from process_agent.core.content import ContentPart, FilePart, plain_text
from process_agent.core.recalled import SUMMARY, call_arguments, call_name, call_output, is_notice
from process_agent.core.senders import Senders, sender_line
from process_agent.wire.llm.request import (
    Call,
    CallOutput,
    Document,
    Hosted,
    Image,
    Item,
    Message,
    Part,
    Reasoning,
    Text,
)

MAX_OUTPUT: Final = 8_000
"""Characters of an earlier tool call's arguments and of its output, as the room remembers them."""

MAX_IMAGES: Final = 4
"""Images of the room's history that the model sees, the newest; of earlier ones it is told the name."""

MAX_SAID: Final = 80_000
"""Characters of people's messages that stay beside a summary, the newest (as in `threads.history`)."""

CHARS_PER_TOKEN: Final = 3.5
"""How tokens are estimated before a provider has counted them: rather too many than too few."""

IMAGE_TOKENS: Final = 1_500
ITEM_TOKENS: Final = 8


class Conversation:
    """The items of one thread. `used` is how many tokens the provider counted last, of how many items."""

    def __init__(self, history: Sequence[HistoryItem] = ()) -> None:
        self.senders = Senders(history)
        self.items: list[Item] = list(recalled(history, self.senders.several))
        self._counted: tuple[int, int] | None = None

    def said(self, content: Iterable[ContentPart], sender_name: str | None) -> None:
        """A participant said something; with a line that says who, where several speak."""
        self.senders.heard(sender_name)
        line = sender_line(sender_name, datetime.now(UTC)) if self.senders.several else ""
        self.add(said(content, line))

    def add(self, *items: Item) -> None:
        """More was said or done."""
        self.items.extend(items)

    def counted(self, tokens: int) -> None:
        """The provider counted this many tokens in all items that there are."""
        self._counted = (tokens, len(self.items))

    def tokens(self) -> int:
        """About how many tokens the items are."""
        known, number = self._counted or (0, 0)
        return known + sum(map(estimate, self.items[number:]))

    def summarised(self, summary: str) -> None:
        """The summary stands for everything but the newest of what people said; what was said just now, with
        nothing done about it yet, comes after it.
        """
        items, new = list(self.items), list[Item]()
        while items and _is_said(items[-1]) and not _is_summary(items[-1]):
            new.insert(0, items.pop())
        kept: list[Item] = []
        room = MAX_SAID
        for item in reversed(items):
            if not _is_said(item) or _is_summary(item):
                continue
            room -= _chars(item)
            if room < 0:
                break
            kept.insert(0, item)
        self.items = [*kept, Message("user", (Text(SUMMARY + summary),)), *new]
        self._counted = None

    def newest(self, tokens: int) -> tuple[Item, ...]:
        """The newest items that fit into so many tokens, no output without its call."""
        room, start = tokens, len(self.items)
        while start > 0 and (room := room - estimate(self.items[start - 1])) >= 0:
            start -= 1
        while start < len(self.items) and isinstance(self.items[start], CallOutput | Reasoning):
            start += 1
        found = self.items[start:]
        called = {item.call_id for item in found if isinstance(item, Call)}
        return tuple(item for item in found if not isinstance(item, CallOutput) or item.call_id in called)

    def close_calls(self, text: str) -> None:
        """Give every call an output: providers refuse a conversation with one that has none."""
        waiting: dict[str, None] = {}
        for item in self.items:
            if isinstance(item, Call):
                waiting.setdefault(item.call_id)
            elif isinstance(item, CallOutput):
                waiting.pop(item.call_id, None)
        self.add(*(CallOutput(call_id, (Text(text),), failed=True) for call_id in waiting))


def recalled(history: Sequence[HistoryItem], several: bool = False) -> Iterable[Item]:
    """What the room remembers; where several speak, each message says who wrote it."""
    with_images = _newest_images(history)
    for position, item in enumerate(history):
        match item:
            case UserMessage(content, sender):
                named = several and not plain_text(content).startswith(SUMMARY)
                line = (Text(sender_line(sender, item.at)),) if named else ()
                seen = (_recalled_part(p, (position, n) in with_images) for n, p in enumerate(content))
                yield Message("user", (*line, *(part for part in seen if part != Text(""))))
            case AgentMessage(text):
                if text:
                    yield Message("assistant", (Text(text),))
            case ToolCall():
                if not is_notice(item):
                    call_id = f"call_history_{position}"
                    yield Call(call_id, call_name(item), call_arguments(item, MAX_OUTPUT))
                    output = call_output(item)[:MAX_OUTPUT]
                    yield CallOutput(call_id, (Text(output or "(no output)"),), item.error is not None)
            case _:
                assert_never(item)


def estimate(item: Item) -> int:
    """About how many tokens an item is."""
    match item:
        case Message(_, parts) | CallOutput(_, parts):
            images = sum(isinstance(part, Image) for part in parts)
            return ITEM_TOKENS + images * IMAGE_TOKENS + round(_chars(item) / CHARS_PER_TOKEN)
        case Call(_, name, arguments):
            return ITEM_TOKENS + round((len(name) + len(arguments)) / CHARS_PER_TOKEN)
        case Reasoning(text, replay):
            data = 0 if replay is None else len(json.dumps(dict(replay.data), default=str))
            return ITEM_TOKENS + round(max(len(text), data) / CHARS_PER_TOKEN)
        case Hosted("image_generation"):
            return ITEM_TOKENS + IMAGE_TOKENS
        case Hosted(_, kept):
            return ITEM_TOKENS + round(len(json.dumps(dict(kept.data), default=str)) / CHARS_PER_TOKEN)
    assert_never(item)


def without_images(items: Iterable[Item]) -> tuple[Item, ...]:
    """The items with a word in place of each image."""
    return tuple(
        replace(
            item, parts=tuple(Text("[image]") if isinstance(part, Image) else part for part in item.parts)
        )
        if isinstance(item, Message | CallOutput)
        else item
        for item in items
    )


def _chars(item: Item) -> int:
    total = 0
    for part in item.parts if isinstance(item, Message | CallOutput) else ():
        match part:
            case Text(text):
                total += len(text)
            case Document(url):
                total += len(url)
            case Image():
                pass
    return total


def _is_said(item: Item) -> bool:
    return isinstance(item, Message) and item.role == "user"


def _is_summary(item: Item) -> bool:
    first = item.parts[0] if isinstance(item, Message) and item.parts else None
    return isinstance(first, Text) and first.text.startswith(SUMMARY)


def _newest_images(history: Sequence[HistoryItem]) -> set[tuple[int, int]]:
    found = [
        (position, number)
        for position, item in enumerate(history)
        if isinstance(item, UserMessage)
        for number, part in enumerate(item.content)
        if isinstance(part, FilePart) and is_image(part) and image_problem(part) is None
    ]
    return set(found[-MAX_IMAGES:])


def _recalled_part(part: ContentPart, as_image: bool) -> Part:
    if isinstance(part, FilePart) and as_image:
        return Image(part.url)
    return Text(part_text(part))
