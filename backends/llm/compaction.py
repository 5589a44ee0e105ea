"""When and how a conversation is shortened. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from backends.llm.conversation import without_images
from backends.llm.estimates import CHARS_PER_TOKEN, of_item, of_text
from process_agent.core.recalled import SUMMARISE, SUMMARY
from process_agent.wire.llm.request import Call, CallOutput, Item, Message, Reasoning, Text

MAX_SUMMARY: Final = 100_000
"""Characters of a summary that are kept."""

FILL: Final = 0.9
"""How full the context may be before the conversation is shortened."""

UNKNOWN_WINDOW: Final = 100_000
"""Tokens that are given to the model to summarise where nobody says how many it takes."""

LEAST_ROOM: Final = 2_000
"""With fewer tokens no summary is tried: each time the provider says that it is too much, it gets half."""

RESERVE: Final = 8_000
"""Tokens that stay free for the summary and what is said around it."""

MAX_PARTS: Final = 12
"""Parts in which a conversation is summarised that does not fit at once, each with the summary so far; of one
that has more the middle is left out.
"""

CUT: Final = "\n[… shortened …]\n"

ASK: Final = Message("user", (Text(SUMMARISE),))


def compacts_at(window: int, answer: int = 0) -> int:
    """The fill at which a conversation is shortened, in tokens. Some providers refuse a request whose longest
    `answer` does not fit beside it.
    """
    return max(min(int(window * FILL), window - answer), window // 2)


def room_for(window: int | None) -> int:
    """How many tokens of the conversation the model gets to summarise at a time."""
    return UNKNOWN_WINDOW if window is None else max(compacts_at(window) - RESERVE, window // 2)


def room_for_said(window: int | None) -> int | None:
    """How many tokens of what people said stay beside a summary; None where the usual limit holds."""
    return None if window is None else window // 4


def parts(items: Sequence[Item], room: int) -> list[tuple[Item, ...]]:
    """The conversation in parts that fit into `room` tokens together with a summary of those before, without
    images and reasoning; what is longer by itself is cut in its middle. Calls and outputs that a part has
    only one of are told as text.
    """
    plain = list(_plain(items, room))
    if sum(map(of_item, plain)) > room:
        room -= room // 5
    found: list[tuple[Item, ...]] = []
    part: list[Item] = []
    left = room
    for item in plain:
        tokens = of_item(item)
        if tokens > left and part:
            found.append(tuple(part))
            part, left = [], room
        part.append(item)
        left -= tokens
    if part:
        found.append(tuple(part))
    if len(found) > MAX_PARTS:
        found = [found[0], *found[1 - MAX_PARTS :]]
    return [_whole(each) for each in found]


def fitting(summary: str, room: int) -> str:
    """What is kept of a summary: it must leave room for what it stands before, a fifth of `room` tokens."""
    summary = summary[:MAX_SUMMARY]
    tokens, most = of_text(summary), room // 5
    return summary if tokens <= most else summary[: len(summary) * most // tokens]


def so_far(summary: str) -> Message:
    """What stands for the parts before."""
    return Message("user", (Text(SUMMARY + summary),))


def _plain(items: Sequence[Item], room: int) -> Iterator[Item]:
    for item in without_images(items):
        if not isinstance(item, Reasoning):
            yield _cut(item, room // 2)


def _cut(item: Item, tokens: int) -> Item:
    if of_item(item) <= tokens:
        return item
    chars = int(tokens * CHARS_PER_TOKEN / 3)  # letters of any alphabet
    match item:
        case Message(_, texts) | CallOutput(_, texts):
            return replace(item, parts=(Text(_ends("\n".join(_text(part) for part in texts), chars)),))
        case Call():
            return Message("assistant", (Text(_ends(f"{item.name} {item.arguments}", chars)),))
        case _:
            return item


def _text(part: object) -> str:
    return part.text if isinstance(part, Text) else "[file]"


def _ends(text: str, chars: int) -> str:
    half = max(chars // 2, 1)
    return text if len(text) <= 2 * half else f"{text[:half]}{CUT}{text[-half:]}"


def _whole(part: tuple[Item, ...]) -> tuple[Item, ...]:
    """Providers refuse a call without its output, and the other way round."""
    calls = {item.call_id for item in part if isinstance(item, Call)}
    outputs = {item.call_id for item in part if isinstance(item, CallOutput)}
    return tuple(_told(item, calls & outputs) for item in part)


def _told(item: Item, both: set[str]) -> Item:
    match item:
        case Call(call_id, name, arguments) if call_id not in both:
            return Message("assistant", (Text(f"[called {name} {arguments}]"),))
        case CallOutput(call_id, texts) if call_id not in both:
            return Message("user", (Text("[a tool gave back]"), *texts))
        case _:
            return item
