"""Threads and what was said in them as JSON, as a table or as text: `-o json|table|text`."""

from __future__ import annotations

import json as json_module
import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from process_agent.errors import UsageError

if TYPE_CHECKING:
    from process_agent.core.events import ThreadEvent
    from process_agent.core.ids import ThreadId
    from process_agent.core.store import ThreadEntry
    from process_agent.viewer.transcript import Transcript

PAPER_WIDTH = 100
"""Columns of the text form when it does not go to a terminal."""

MAX_CELL = 80
"""Characters of one cell of a table; JSON has everything."""


class Form(StrEnum):
    """How something is printed."""

    JSON = "json"
    TABLE = "table"
    TEXT = "text"


Output = Annotated[
    Form | None,
    typer.Option("--output", "-o", help="json: one array; table; or text.", show_choices=True),
]


def threads_as(entries: Sequence[ThreadEntry], form: Form) -> Iterator[str]:
    """A list of threads."""
    from process_agent.wire.agent_messages.parts import encode_time

    rows = [
        {
            "path": entry.path,
            "name": entry.name,
            "created_at": encode_time(entry.created_at),
            "modified_at": encode_time(entry.modified_at),
        }
        for entry in entries
    ]
    yield from _json(rows) if form is Form.JSON else _table(rows, ("name", "modified_at", "path"))


def messages_as(events: Sequence[ThreadEvent], form: Form) -> Iterator[str]:
    """The stored agent messages of a thread, each item's text in one."""
    from process_agent.wire.agent_messages import encode_event

    rows = [encode_event(event) for event in events]
    if form is Form.JSON:
        yield from _json(rows)
        return
    shown = [{**row, "type": str(row["type"]).removeprefix("meshagent.agent.")} for row in rows]
    yield from _table(
        [{**row, "text": _text(row)} for row in shown], ("created_at", "turn_id", "type", "text")
    )


def matches_as(transcript: Transcript, pattern: str, form: Form) -> Iterator[str]:
    """What is said in a thread where the regular expression is found, whatever the case: messages, calls of
    tools with their arguments, output, errors.

    Raises `UsageError` for a pattern that is none.
    """
    from process_agent.viewer.records import records

    try:
        wanted = re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        raise UsageError(f"{pattern!r} is not a regular expression: {error}.") from error
    found = [row for record in records(transcript) for row in _said(record) if wanted.search(row["text"])]
    match form:
        case Form.JSON:
            yield from _json(found)
        case Form.TABLE:
            yield from _table(found, ("turn_id", "item_id", "role", "text"))
        case Form.TEXT:
            for row in found:
                for line in row["text"].splitlines():
                    if wanted.search(line):
                        yield f"{row['turn_id']}  {row['role']}: {_plain(line)}"


def _said(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A record once for each text of it, with the `role` that says it; calls and errors are texts, too."""
    text, error = record.get("text"), (record.get("error") or {}).get("message")
    if record["type"] == "tool_call":
        call, arguments = f"{record['toolkit']}.{record['tool']}", record["arguments"]
        shown = f"{call} {json_module.dumps(arguments, ensure_ascii=False)}" if arguments else call
        yield from _in_role("tool", record, shown, text, f"error: {error}" if error else None)
        return
    yield from _in_role(record.get("role") or record["type"], record, text)
    if record["type"] != "message" or record.get("steer"):  # why a turn was refused is in its own record
        yield from _in_role("error", record, error)


def _in_role(role: str, record: dict[str, Any], *texts: str | None) -> Iterator[dict[str, Any]]:
    for text in texts:
        if text:
            yield {**record, "role": role, "text": text}


def _text(row: dict[str, Any]) -> str:
    """What a message says, in a few words."""
    if row.get("text"):
        return str(row["text"])
    parts = [part.get("text") or part.get("name") or part.get("url") for part in row.get("content") or []]
    said = " ".join(str(part) for part in parts if part)
    lines = "".join(str(line.get("text")) for line in row.get("lines") or [])
    error = (row.get("error") or {}).get("message")
    return said or lines or str(error or row.get("tool") or row.get("status") or "")


def _json(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield json_module.dumps(rows, ensure_ascii=False, indent=2)


def _table(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> Iterator[str]:
    cells = [[_plain(str(row.get(column) or ""), MAX_CELL) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for line in ([*columns], ["-" * width for width in widths], *cells):
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _plain(text: str, limit: int = 100_000) -> str:
    """One line of it, which cannot drive the terminal."""
    from process_agent.viewer.terminal.plain import one_line

    return one_line(text, limit)


def workplace(data_dir: Path, thread_id: ThreadId, *, json: bool) -> list[str]:
    """Where the thread works, when it has a work tree of its own on this machine."""
    from process_agent.workspaces.places import place_of

    place = place_of(data_dir, thread_id)
    if place is None:
        return []
    if not json:
        return [f"Works in {place.folder}, on the branch {place.branch} of {place.repository}"]
    where = {"folder": str(place.folder), "branch": place.branch, "repository": str(place.repository)}
    return [json_module.dumps({"type": "workspace", **where}, ensure_ascii=False)]


def printed(transcript: Transcript, *, json: bool) -> Iterator[str]:
    """A thread on paper, or its records, one of JSON a line."""
    import shutil
    import sys

    from process_agent.viewer.records import records
    from process_agent.viewer.terminal.document import document
    from process_agent.viewer.terminal.render import to_ansi

    if json:
        for record in records(transcript):
            yield json_module.dumps(record, ensure_ascii=False)
        return
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else PAPER_WIDTH
    yield to_ansi(document(transcript, width), width, "standard" if terminal else None).rstrip("\n")


def going_on(found: Sequence[tuple[str, str]], *, json: bool) -> Iterator[str]:
    """How to go on in the terminal programs of backends."""
    for backend, command in found:
        if json:
            record = {"type": "resume", "backend": backend, "command": command}
            yield json_module.dumps(record, ensure_ascii=False)
        else:
            yield f"\nGo on in a terminal: {command}"
