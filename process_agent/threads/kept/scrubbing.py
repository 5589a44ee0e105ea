"""Covering secrets in the rows of a thread that were stored before anybody looked for them.

A text may be cut into several rows, and a log into many: secrets are looked for in the whole of each. What
partial rows have of a text that has later rows is void, and goes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from process_agent.core.content import LogLine
from process_agent.core.redaction import Covering, Redaction
from process_agent.threads.items import CoveredLog
from process_agent.threads.kept.rows import StoredRow
from process_agent.threads.rows import PARTIAL
from process_agent.wire.agent_messages import PREFIX

_DELTAS = (PREFIX + "text_content.delta", PREFIX + "reasoning_content.delta")
_LOG = PREFIX + "tool_call.log_delta"

type _Key = tuple[object, ...]


@dataclass(slots=True)
class Scrubbed:
    """The rows as they are to be, how many of them change or go, and how many secrets are covered."""

    rows: list[StoredRow] = field(default_factory=list)
    changed: int = 0
    dropped: int = 0
    places: int = 0

    @property
    def anything(self) -> bool:
        """Whether rows are to be written."""
        return bool(self.changed or self.dropped)


def scrubbed(rows: Iterable[StoredRow], redaction: Redaction) -> Scrubbed:
    """Cover the secrets in all rows of a thread. Pure."""
    every = sorted(rows, key=lambda row: row.sequence)
    messages = [_message(row) for row in every]
    found = Scrubbed()
    void = _void(messages)
    texts = _Texts(redaction)
    for at, message in enumerate(messages):
        if message is not None and at not in void:
            texts.see(at, message)
    covered = texts.covered()
    for at, (row, message) in enumerate(zip(every, messages, strict=True)):
        if at in void or covered.get(at, "") is None:
            found.dropped += 1
            continue
        new = row if message is None else _row(row, message, covered.get(at), redaction)
        found.changed += new is not row
        found.rows.append(new)
    found.places = texts.places + redaction.places
    return found


def _message(row: StoredRow) -> dict[str, Any] | None:
    try:
        message = json.loads(row.data)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def _row(row: StoredRow, message: dict[str, Any], part: Any, redaction: Redaction) -> StoredRow:
    said = dict(message)
    if part is not None:
        if "event" in said:
            said["event"] = {**said["event"], "text": part}
        else:
            said["lines" if isinstance(part, list) else "text"] = part
    else:
        said = {name: redaction.field(name, value) for name, value in said.items()}
    return row if said == message else replace(row, data=json.dumps(said, separators=(",", ":")))


def _partial(message: dict[str, Any]) -> dict[str, Any] | None:
    event = message.get("event")
    return event if isinstance(event, dict) and event.get("type") == PARTIAL else None


def _item(message: dict[str, Any]) -> _Key | None:
    inside = _partial(message) or message
    return (message.get("turn_id"), inside["item_id"]) if "item_id" in inside else None


def _void(messages: Sequence[dict[str, Any] | None]) -> set[int]:
    """Partial rows whose item has a later row."""
    last: dict[_Key, int] = {}
    for at, message in enumerate(messages):
        if message is not None and (key := _item(message)) is not None:
            last[key] = at
    return {
        at
        for at, message in enumerate(messages)
        if message is not None and _partial(message) is not None and last.get(_item(message) or ()) != at
    }


class _Texts:
    """The texts and logs of items, put together over their rows."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._texts: dict[_Key, list[tuple[int, str]]] = {}
        self._logs: dict[_Key, list[tuple[int, list[dict[str, Any]]]]] = {}
        self.places = 0

    def see(self, at: int, message: dict[str, Any]) -> None:
        """The next row."""
        partial = _partial(message)
        inside = message if partial is None else partial
        key = (message.get("turn_id"), inside.get("item_id"))
        text, lines = inside.get("text"), inside.get("lines")
        if (partial is not None or message.get("type") in _DELTAS) and isinstance(text, str):
            self._texts.setdefault(key, []).append((at, text))
        elif message.get("type") == _LOG and isinstance(lines, list) and all(map(_is_line, lines)):
            self._logs.setdefault(key, []).append((at, lines))

    def covered(self) -> dict[int, Any]:
        """What the rows are to have as their text, or as the lines of their log; None for rows that go."""
        found: dict[int, Any] = {}
        for pieces in self._texts.values():
            covering, text = Covering(self._redaction), "".join(piece for _, piece in pieces)
            whole = covering.feed(text) + covering.finish()
            self.places += covering.places
            if whole == text:
                found.update(pieces)
            else:  # in one row: published readers would fold rows that end alike
                found.update({at: None for at, _ in pieces[1:]} | {pieces[0][0]: whole})
        for logs in self._logs.values():
            covered = CoveredLog(self._redaction)
            all_lines = [LogLine(line["text"], _source(line)) for _, lines in logs for line in lines]
            told = iter(covered.lines(all_lines, over=True))
            self.places += covered.places
            for at, lines in logs:
                found[at] = [{**line, "text": next(told).text} for line in lines]
        return found


def _is_line(line: object) -> bool:
    return isinstance(line, dict) and isinstance(line.get("text"), str)


def _source(line: dict[str, Any]) -> Any:
    return "stderr" if line.get("source") == "stderr" else "stdout"
