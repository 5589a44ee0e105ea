"""What the model of a thread knows: items that are kept in memory and never read again. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, assert_never

from backends.llm.as_read import AsRead
from backends.llm.estimates import of_item
from backends.llm.fill import Fill
from backends.llm.parts import said
from process_agent.core.attached import image_problem, is_image, part_text
from process_agent.core.backend import AgentMessage, HistoryItem, MadeImages, ToolCall, UserMessage
from process_agent.core.content import ContentPart, FilePart, plain_text
from process_agent.core.recalled import SUMMARY, call_arguments, call_name, call_output, is_notice
from process_agent.core.senders import Senders, sender_line
from process_agent.wire.llm.request import (
    Built,
    Call,
    CallOutput,
    Document,
    Image,
    Item,
    Message,
    Part,
    Text,
)

MAX_OUTPUT: Final = 8_000
"""Characters of an earlier tool call's arguments and of its output, as the room remembers them."""

MAX_IMAGES: Final = 4
"""Images of the room's history that the model sees, the newest; of earlier ones it is told the name."""

MAX_SAID: Final = 80_000
"""Characters of people's messages that stay beside a summary, the newest (as in `threads.history`)."""


class Conversation:
    """The items of one thread, and how full they make a model's context."""

    def __init__(self, history: Sequence[HistoryItem] = ()) -> None:
        self.senders = Senders(history)
        self.items: list[Item] = list(recalled(history, self.senders.several))
        self.fill = Fill(self.items)
        self.built, self.as_read = Built(), AsRead()
        self._open: dict[str, None] = {}
        """Calls without an output."""

    def said(self, content: Iterable[ContentPart], sender_name: str | None) -> None:
        """A participant said something; with a line that says who, where several speak."""
        self.senders.heard(sender_name)
        line = sender_line(sender_name, datetime.now(UTC)) if self.senders.several else ""
        self.add(said(content, line))

    def add(self, *items: Item) -> None:
        """More was said or done."""
        self.items.extend(items)
        self.fill.add(items)
        for item in items:
            if isinstance(item, Call):
                self._open.setdefault(item.call_id)
            elif isinstance(item, CallOutput):
                self._open.pop(item.call_id, None)

    def looked_into(self, found: Mapping[str, Document]) -> None:
        """The documents at these addresses are these."""
        self.items = [
            replace(
                item,
                parts=tuple(found.get(p.url, p) if isinstance(p, Document) else p for p in item.parts),
            )
            if isinstance(item, Message)
            else item
            for item in self.items
        ]
        self._begin_anew()

    def put_documents_in_words(self) -> bool:
        """Documents are not given to the model any more; whether there were any."""
        before = self.items
        self.items = [
            replace(item, parts=tuple(_in_words(p) if isinstance(p, Document) else p for p in item.parts))
            if isinstance(item, Message)
            else item
            for item in before
        ]
        if self.items == before:
            return False
        self._begin_anew()
        return True

    def summarised(self, summary: str, room: int | None = None) -> None:
        """The summary stands for everything but the newest of what people said, `room` tokens of it at most;
        what was said just now, with nothing done about it yet, comes after it.
        """
        items, new = list(self.items), list[Item]()
        while items and _is_said(items[-1]) and not _is_summary(items[-1]):
            new.insert(0, items.pop())
        kept: list[Item] = []
        chars, tokens = MAX_SAID, room
        for item in reversed(items):
            if not _is_said(item) or _is_summary(item):
                continue
            chars -= _chars(item)
            tokens = None if tokens is None else tokens - of_item(item)
            if chars < 0 or (tokens is not None and tokens < 0):
                break
            kept.insert(0, item)
        self.items = [*kept, Message("user", (Text(SUMMARY + summary),)), *new]
        self._open.clear()
        self._begin_anew()

    def _begin_anew(self) -> None:
        """The items are others than before."""
        self.built, self.as_read = Built(), AsRead()
        frame, self.fill = self.fill.frame, Fill(self.items)
        self.fill.frame = frame

    def close_calls(self, text: str) -> None:
        """Give every call an output: providers refuse a conversation with one that has none."""
        self.add(*(CallOutput(call_id, (Text(text),), failed=True) for call_id in tuple(self._open)))


def recalled(history: Sequence[HistoryItem], several: bool = False) -> Iterable[Item]:
    """What the room remembers; where several speak, each message says who wrote it."""
    with_images = _newest_images(history)
    for position, item in enumerate(history):
        match item:
            case UserMessage(content, sender):
                named = several and not plain_text(content).startswith(SUMMARY)
                line = (Text(sender_line(sender, item.at)),) if named else ()
                yield Message("user", (*line, *_recalled_parts(content, position, with_images)))
            case MadeImages(content):
                yield Message("user", tuple(_recalled_parts(content, position, with_images)))
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


def without_images(items: Iterable[Item]) -> tuple[Item, ...]:
    """The items with a word in place of each image and document."""
    return tuple(
        replace(item, parts=tuple(map(_in_words, item.parts)))
        if isinstance(item, Message | CallOutput)
        else item
        for item in items
    )


def _in_words(part: Part) -> Part:
    match part:
        case Image():
            return Text("[image]")
        case Document(_, _, text):
            return Text(text)
        case _:
            return part


def _chars(item: Item) -> int:
    total = 0
    for part in item.parts if isinstance(item, Message | CallOutput) else ():
        match part:
            case Text(text):
                total += len(text)
            case Document() | Image():
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
        if isinstance(item, UserMessage | MadeImages)
        for number, part in enumerate(item.content)
        if isinstance(part, FilePart) and is_image(part) and image_problem(part) is None
    ]
    return set(found[-MAX_IMAGES:])


def _recalled_parts(
    content: Iterable[ContentPart], position: int, with_images: set[tuple[int, int]]
) -> Iterable[Part]:
    for number, part in enumerate(content):
        if isinstance(part, FilePart) and (position, number) in with_images:
            yield Image(part.url)
        elif text := part_text(part):
            yield Text(text)
