"""What `process threads`, `messages` and `grep` print, in each form."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from process_agent.cli.thread_output import Form, matches_as, messages_as, threads_as
from process_agent.core import events as e
from process_agent.core.content import ErrorInfo, LogLine, TextPart
from process_agent.core.ids import ItemId, MessageId, ThreadId, TurnId
from process_agent.core.store import ThreadEntry
from process_agent.errors import UsageError
from process_agent.viewer.transcript import Transcript

MOMENT = datetime(2026, 1, 2, tzinfo=UTC)
PATH = ThreadId("dataset://t/a")
ASKED = (TextPart("Find the needle\nand more"),)


def events() -> list[e.ThreadEvent]:
    item = ItemId("i")
    bodies: list[e.EventBody] = [
        e.TurnRequested(ASKED, "ana"),
        e.TurnStarted(MessageId("m0"), ASKED, "ana"),
        e.TextStarted(item),
        e.TextDelta(item, "A NEEDLE \x1b[31mhere\nnothing"),
        e.TextEnded(item),
        e.TurnEnded(e.EndReason.COMPLETED),
    ]
    return [
        e.ThreadEvent(MessageId(f"m{n}"), PATH, TurnId("U"), MOMENT, body) for n, body in enumerate(bodies)
    ]


def transcript() -> Transcript:
    found = Transcript()
    for event in events():
        found.apply(event)
    return found


def test_each_form() -> None:
    entry = ThreadEntry(PATH, "a name\nof two lines", MOMENT, MOMENT)
    [listed] = json.loads("".join(threads_as([entry], Form.JSON)))
    assert (listed["path"], listed["name"]) == (PATH, "a name\nof two lines")
    head, _, row = threads_as([entry], Form.TABLE)
    assert head.split() == ["name", "modified_at", "path"]
    assert row.endswith(PATH)
    rows = json.loads("".join(messages_as(events(), Form.JSON)))
    assert [row["type"].removeprefix("meshagent.agent.") for row in rows][-1] == "turn.ended"
    assert len(list(messages_as(events(), Form.TABLE))) == len(rows) + 2
    assert list(threads_as([], Form.TABLE))[2:] == []


def test_matches_are_lines_whatever_the_case_and_drive_no_terminal() -> None:
    found = list(matches_as(transcript(), "needle", Form.TEXT))
    assert found[0] == "U  user: Find the needle"
    assert found[1].startswith("U  agent: A NEEDLE")
    assert "\x1b" not in found[1]
    assert len(found) == 2
    assert [row["type"] for row in json.loads("".join(matches_as(transcript(), "^a n", Form.JSON)))] == [
        "message"
    ]
    assert "\x1b" not in "".join(matches_as(transcript(), "needle", Form.TABLE))


def worked() -> Transcript:
    """A turn that called a tool twice, the second time in vain, and failed."""
    shell = e.ToolRef(ItemId("i1"), "shell", "shell")
    patch = e.ToolRef(ItemId("i2"), "shell", "apply_patch")
    bodies: list[e.EventBody] = [
        e.TurnRequested(ASKED, "ana"),
        e.TurnStarted(MessageId("m0"), ASKED, "ana"),
        e.ToolStarted(shell, {"command": "pytest -q"}),
        e.ToolLog(shell, (LogLine("3 passed"),)),
        e.ToolEnded(shell),
        e.ToolStarted(patch, {}),
        e.ToolEnded(patch, None, ErrorInfo("No such hunk", "tool_failed")),
        e.TurnEnded(e.EndReason.FAILED, ErrorInfo("The provider is away", "provider_error")),
    ]
    found = Transcript()
    for n, body in enumerate(bodies):
        found.apply(e.ThreadEvent(MessageId(f"m{n}"), PATH, TurnId("U"), MOMENT, body))
    return found


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        ("PYTEST", 'U  tool: shell.shell {"command": "pytest -q"}'),
        ("passed", "U  tool: 3 passed"),
        ("patch$", "U  tool: shell.apply_patch"),
        ("hunk", "U  tool: error: No such hunk"),
        ("provider", "U  error: The provider is away"),
        ("needle", "U  user: Find the needle"),
    ],
)
def test_tools_and_errors_are_looked_through_too(pattern: str, line: str) -> None:
    assert list(matches_as(worked(), pattern, Form.TEXT)) == [line]
    [row] = json.loads("".join(matches_as(worked(), pattern, Form.JSON)))
    role, _, text = line.removeprefix("U  ").partition(": ")
    assert (row["role"], row["turn_id"]) == (role, "U")
    assert text in row["text"]
    assert role in "".join(matches_as(worked(), pattern, Form.TABLE))


def test_why_a_message_was_refused_is_found_once() -> None:
    refused = Transcript()
    bodies: list[e.EventBody] = [
        e.TurnRequested(ASKED, "ana"),
        e.TurnRejected(MessageId("m0"), ErrorInfo("queue is full", "full")),
    ]
    for n, body in enumerate(bodies):
        refused.apply(e.ThreadEvent(MessageId(f"m{n}"), PATH, TurnId("U"), MOMENT, body))
    assert list(matches_as(refused, "full", Form.TEXT)) == ["U  error: queue is full"]


def test_what_is_no_pattern_is_said() -> None:
    with pytest.raises(UsageError, match="not a regular expression"):
        list(matches_as(transcript(), "(", Form.TEXT))
