"""What of a thread is searched: the text of its items, put together. Pure but for `matches_in`."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from process_agent.core import events as e
from process_agent.core.content import ContentPart, FilePart, Json, JsonResult, LinkResult, TextResult
from process_agent.core.events import ThreadEvent
from process_agent.core.ids import ThreadId, TurnId
from process_agent.core.room import Datasets, TableRef
from process_agent.errors import UsageError
from process_agent.threads.kept.rows import all_rows
from process_agent.threads.reading import Reading
from process_agent.threads.rows import from_table
from process_agent.wire.agent_messages import PREFIX

MAX_EXCERPT = 200
"""Characters of the line that is shown of a match."""

_COLUMNS = ("turn_id", "item_id", "type", "sequence", "timestamp", "data")

_SILENT = frozenset(
    PREFIX + kind
    for kind in ("turn.started", "usage.updated", "model.changed", "thread.status", "turn.interrupt.accepted")
)
"""Rows that say nothing to search, which need not be read."""


@dataclass(frozen=True, slots=True)
class Said:
    """One searchable text; `who` is `user`, `agent`, `reasoning`, a tool's name, or `error`."""

    turn_id: TurnId | None
    item_id: str
    who: str
    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Match:
    """Where the pattern fits: the first line of the text in which it does, around it."""

    said: Said
    excerpt: str
    count: int


def pattern_of(text: str, *, regex: bool, case: bool) -> re.Pattern[str]:
    """What to look for. Raises `UsageError` for an expression that is none."""
    try:
        return re.compile(text if regex else re.escape(text), 0 if case else re.IGNORECASE)
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(f"{text[:200]!r} is not a regular expression: {error}.") from error


def match(said: Said, pattern: re.Pattern[str]) -> Match | None:
    """Whether and how a text fits."""
    found = pattern.search(said.text)
    if found is None:
        return None
    return Match(said, excerpt(said.text, *found.span()), sum(1 for _ in pattern.finditer(said.text)))


def excerpt(text: str, start: int, end: int) -> str:
    """The line around a place, cut to `MAX_EXCERPT` with the place in it."""
    begin = text.rfind("\n", 0, start) + 1
    stop = text.find("\n", min(max(end, start), len(text)))
    stop = len(text) if stop < 0 else stop
    if stop - begin > MAX_EXCERPT:
        middle = (start + min(end, start + MAX_EXCERPT)) // 2
        begin = max(begin, min(middle - MAX_EXCERPT // 2, stop - MAX_EXCERPT))
        stop = min(stop, begin + MAX_EXCERPT)
    return " ".join(text[begin:stop].split())


def said_in(event: ThreadEvent) -> Iterator[Said]:
    """The texts of one event as `threads.reading` gives it: whole texts, whole logs."""
    for item_id, who, text in _texts(event.body):
        if text:
            yield Said(event.turn_id, item_id or event.message_id, who, event.created_at, text)


def _texts(body: e.EventBody) -> Iterator[tuple[str, str, str]]:
    match body:
        case e.TurnRequested() | e.SteerRequested() | e.TurnAccepted():
            yield "", "user", _content(body.content)
        case e.TextDelta(item, text):
            yield item, "agent", text
        case e.ReasoningDelta(item, text):
            yield item, "reasoning", text
        case e.ToolStarted(ref, arguments):
            yield ref.item_id, ref.tool, "\n".join(_strings(dict(arguments)))
        case e.ToolLog(ref, lines):
            yield ref.item_id, ref.tool, "".join(line.text for line in lines)
        case e.ToolEnded(ref):
            yield ref.item_id, ref.tool, _result(body)
        case e.FileShown(item, url):
            yield item, "agent", url
        case e.ContextCompacted(summary=str(summary)):
            yield "", "summary", summary
        case e.TurnEnded(error=error) | e.TurnRejected(error=error) if error is not None:
            yield "", "error", error.message
        case _:
            pass


def _content(parts: Iterable[ContentPart]) -> str:
    return "\n".join(
        (part.name or part.url[:MAX_EXCERPT]) if isinstance(part, FilePart) else part.text for part in parts
    )


def _result(ended: e.ToolEnded) -> str:
    error = "" if ended.error is None else ended.error.message
    match ended.result:
        case TextResult(text):
            return f"{text}\n{error}".strip()
        case JsonResult(value):
            return "\n".join([*_strings(value), error]).strip()
        case LinkResult(name, url):
            return f"{name} {url}\n{error}".strip()
        case _:
            return error


def _strings(value: Json) -> Iterator[str]:
    """The texts in a JSON value; of other values what JSON writes."""
    match value:
        case str():
            yield value
        case dict():
            for each in value.values():
                yield from _strings(each)
        case list():
            for each in value:
                yield from _strings(each)
        case None | bool():
            pass
        case _:
            yield json.dumps(value)


class Counted:
    """Rows that were read, against the most that may be."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.rows = 0

    @property
    def enough(self) -> bool:
        """Whether no more is to be read."""
        return self.rows >= self.most


async def matches_in(
    datasets: Datasets, ref: TableRef, thread_id: ThreadId, pattern: re.Pattern[str], counted: Counted
) -> AsyncIterator[Match]:
    """The texts of a thread that fit, oldest first, page by page; ends early when enough rows were read.

    A message that somebody sent is there as asked and as accepted: told once, as is what a row says that is
    there twice. Raises `RoomError`.
    """
    reading, seen, numbers = Reading(thread_id), set[tuple[Any, ...]](), set[int]()
    async for batch in all_rows(datasets, ref, columns=_COLUMNS):
        for row in from_table(batch):
            counted.rows += 1
            if row.type in _SILENT or row.sequence in numbers:
                continue
            numbers.add(row.sequence)
            for event in reading.feed(row):
                for found in _fitting(event, pattern, seen):
                    yield found
        if counted.enough:
            break
    for event in reading.finish():
        for found in _fitting(event, pattern, seen):
            yield found


def _fitting(event: ThreadEvent, pattern: re.Pattern[str], seen: set[tuple[Any, ...]]) -> Iterator[Match]:
    for said in said_in(event):
        if said.who == "user":
            key = (said.turn_id, hash(said.text))
            if key in seen:
                continue
            seen.add(key)
        if (found := match(said, pattern)) is not None:
            yield found
